//! Campaigns: who gets them, who does not, and why.

use axum::http::{Method, StatusCode};
use futures::future::join_all;
use serde_json::{Value, json};
use tests::World;

fn campaign(category: &str, contacts: &Value) -> Value {
    json!({"tenant_id": "demo", "campaign_id": "spring-1", "category": category, "contacts": contacts})
}

fn number(index: usize) -> String {
    format!("+1415555{index:04}")
}

#[tokio::test]
async fn of_a_thousand_with_fifty_opted_out_950_get_the_campaign() {
    let world = World::start().await;
    let everybody: Vec<String> = (0..1_000).map(number).collect();
    let opted_out: Vec<&String> = everybody.iter().step_by(20).collect();
    join_all(opted_out.iter().map(|number| world.says(number, "STOP"))).await;

    let report = world.filter(&campaign("marketing", &json!(everybody))).await.unwrap();
    assert_eq!(report["campaign_id"], "spring-1");
    assert_eq!(report["total"], 1_000);
    assert_eq!(report["eligible"].as_array().unwrap().len(), 950);
    assert_eq!(report["summary"], "50 contacts skipped (opted-out)");
    let counts = json!({"eligible": 950, "opted_out": 50, "blocked": 0, "provider_stopped": 0, "not_opted_in": 0, "duplicate": 0, "invalid": 0});
    assert_eq!(report["counts"], counts);
    let skipped: Vec<&Value> =
        report["skipped"].as_array().unwrap().iter().map(|skipped| &skipped["contact"]).collect();
    assert_eq!(skipped, opted_out);

    let report = world.filter(&campaign("utility", &json!(everybody))).await.unwrap();
    assert_eq!((&report["counts"]["eligible"], &report["summary"]), (&json!(1_000), &json!("0 contacts skipped")));

    world.switch(opted_out[7], "opted_in").await;
    let report = world.filter(&campaign("marketing", &json!(everybody))).await.unwrap();
    assert_eq!(report["counts"]["eligible"], 951);
}

#[tokio::test]
async fn every_reason_is_told_the_first_that_applies_and_totals_add_up() {
    let world = World::start().await;
    let [stopped, blocked, both, fine] = [100, 101, 102, 103].map(|index| format!("+14155550{index}"));
    world.says(&stopped, "STOP").await;
    world.says(&both, "STOP").await;
    for number in [&blocked, &both] {
        world.block(number, true).await.expect(StatusCode::OK);
    }
    let contacts = json!([stopped, blocked, both, fine, fine, " 1 (415) 555-0103", 7, null, "hello", {"name": "nobody"}, {"id": stopped}]);
    let report = world.filter(&campaign("marketing", &contacts)).await.unwrap();
    let skipped: Vec<&str> =
        report["skipped"].as_array().unwrap().iter().map(|skipped| skipped["reason"].as_str().unwrap()).collect();
    let reasons = [
        "opted_out",
        "blocked",
        "blocked",
        "duplicate",
        "duplicate",
        "invalid",
        "invalid",
        "invalid",
        "invalid",
        "duplicate",
    ];
    assert_eq!(skipped, reasons);
    assert_eq!(report["total"], 11);
    assert_eq!(
        report["summary"],
        "4 contacts skipped (invalid), 3 contacts skipped (duplicate), 2 contacts skipped (blocked), 1 contact skipped (opted-out)"
    );
    for category in ["utility", "authentication", "service"] {
        let report = world.filter(&campaign(category, &json!([stopped, blocked, both, fine]))).await.unwrap();
        assert_eq!(report["summary"], "2 contacts skipped (blocked)", "{category}");
    }
}

#[tokio::test]
async fn recipients_come_back_byte_for_byte() {
    let world = World::start().await;
    let event = r#"{"tenant_id":"demo","category":"marketing","contacts":[ {"id" : "+14155550100",  "amount":1.50, "name":"Zo\u00eb"} , "+1 415 555 0101"]}"#;
    let event = serde_json::value::RawValue::from_string(event.to_owned()).unwrap();
    let answer = world.system.functions().invoke("campaign-filter", event).await.unwrap().unwrap();
    assert!(
        answer.contains(r#""eligible":[{"id" : "+14155550100",  "amount":1.50, "name":"Zo\u00eb"},"+1 415 555 0101"]"#),
        "{answer}"
    );
}

#[tokio::test]
async fn one_mexican_recipient_is_skipped_under_either_spelling() {
    let world = World::start().await;
    world.says("5215512345678", "STOP").await;
    for spelling in ["+525512345678", "+5215512345678"] {
        let report = world.filter(&campaign("marketing", &json!([spelling]))).await.unwrap();
        assert_eq!(report["summary"], "1 contact skipped (opted-out)", "{spelling}");
    }
}

#[tokio::test]
async fn a_recipient_is_suppressed_if_either_id_is() {
    let world = World::start().await;
    world.switch("US.13491208655302741918", "opted_out").await;
    let contacts = json!([{"id": "+14155550100", "user_id": "US.13491208655302741918"}]);
    let report = world.filter(&campaign("marketing", &contacts)).await.unwrap();
    assert_eq!(report["counts"]["opted_out"], 1);
}

#[tokio::test]
async fn one_person_under_two_ids_gets_a_campaign_once() {
    let world = World::start().await;
    let user = "US.13491208655302741918";
    let contacts =
        json!([{"id": "+14155550100", "user_id": user}, user, {"id": "+14155550101", "user_id": user}, "+14155550100"]);
    let report = world.filter(&campaign("marketing", &contacts)).await.unwrap();
    assert_eq!(report["summary"], "3 contacts skipped (duplicate)");
}

#[tokio::test]
async fn where_silence_is_no_consent_only_those_who_opted_in_get_the_campaign() {
    let world = World::start().await;
    world.change_settings(|settings| settings["require_opt_in"] = true.into()).await;
    let [silent, willing, gone] = ["+14155550100", "+14155550101", "+14155550102"];
    world.says(willing, "START").await;
    world.says(gone, "STOP").await;
    let contacts = json!([silent, willing, gone]);
    let report = world.filter(&campaign("marketing", &contacts)).await.unwrap();
    assert_eq!(report["eligible"], json!([willing]));
    assert_eq!(report["summary"], "1 contact skipped (opted-out), 1 contact skipped (not-opted-in)");
    assert_eq!(world.filter(&campaign("utility", &contacts)).await.unwrap()["counts"]["eligible"], 3);
}

#[tokio::test]
async fn what_is_no_campaign_is_an_error_with_a_name() {
    let world = World::start().await;
    for wrong in [
        json!({}),
        json!([]),
        json!("campaign"),
        json!({"tenant_id": "nobody", "category": "marketing", "contacts": []}),
        json!({"tenant_id": "demo", "contacts": []}),
        json!({"tenant_id": "demo", "category": "promotion", "contacts": []}),
        json!({"tenant_id": "demo", "category": "marketing"}),
        json!({"tenant_id": "demo", "category": "marketing", "contacts": {}}),
    ] {
        assert_eq!(world.filter(&wrong).await, Err("InvalidCampaign".to_owned()), "{wrong}");
    }
}

#[tokio::test]
async fn an_empty_campaign_is_a_campaign() {
    let world = World::start().await;
    let report = world.filter(&campaign("marketing", &json!([]))).await.unwrap();
    assert_eq!((&report["total"], &report["summary"]), (&json!(0), &json!("0 contacts skipped")));
}

#[tokio::test]
async fn a_tenants_opt_outs_concern_its_own_campaigns_only() {
    let world = World::start().await;
    world.register("200", "acme").await;
    world.says("+14155550100", "STOP").await;
    let campaign = json!({"tenant_id": "acme", "category": "marketing", "contacts": ["+14155550100"]});
    assert_eq!(world.filter(&campaign).await.unwrap()["counts"]["eligible"], 1);
}

#[tokio::test]
async fn the_stop_before_a_campaign_is_in_its_answer() {
    let world = World::start().await;
    for index in 0..20 {
        let number = number(index);
        world.says(&number, "STOP").await;
        let report = world.filter(&campaign("marketing", &json!([number]))).await.unwrap();
        assert_eq!(report["counts"]["eligible"], 0);
    }
    let list = world.ask(Method::GET, "/contacts?status=opted_out&limit=100", None).await.expect(StatusCode::OK);
    assert_eq!(list["contacts"].as_array().unwrap().len(), 20);
}
