//! The dashboard's API: settings, contacts, batches, erasure.

use axum::body::Body;
use axum::extract::Request;
use axum::http::{Method, StatusCode, header};
use local::token::Scopes;
use serde_json::{Value, json};
use tests::{SCOPES, World};

const SHEENA: &str = "14155550123";

fn settings() -> Value {
    json!({"enabled": true, "opt_out_keywords": ["STOP", "Unsubscribe"], "opt_out_message": "Bye", "opt_in_keywords": ["START"],
        "opt_in_message": "Hi", "require_opt_in": false})
}

#[tokio::test]
async fn a_tenants_first_channel_brings_default_settings_and_a_second_leaves_them() {
    let world = World::start().await;
    let saved = world.ask(Method::GET, "/settings", None).await;
    assert_eq!(saved.headers[header::ETAG], "\"1\"");
    assert_eq!(saved.body["opt_out_keywords"], json!(["STOP"]));
    assert!(saved.body["opt_out_message"].as_str().unwrap().contains("START"));
    world.ask(Method::PUT, "/settings", Some(settings())).await.expect(StatusCode::OK);
    world.register("201", "demo").await;
    let saved = world.ask(Method::GET, "/settings", None).await.expect(StatusCode::OK);
    assert_eq!((&saved["version"], &saved["opt_out_message"]), (&json!(2), &json!("Bye")));
}

#[tokio::test]
async fn settings_are_saved_with_a_message_and_counted_up() {
    let world = World::start().await;
    let answer = world.ask(Method::PUT, "/settings", Some(settings())).await;
    assert_eq!(answer.headers[header::ETAG], "\"2\"");
    let body = answer.expect(StatusCode::OK);
    assert_eq!(body["message"], "Opt-In/Out settings saved successfully");
    assert_eq!(
        (&body["settings"]["version"], &body["settings"]["updated_at"]),
        (&json!(2), &json!("2026-11-22T10:00:00.000Z"))
    );
    let warning = body["warnings"][0].as_str().unwrap();
    assert!(warning.contains("`cancel`") && !warning.contains("`unsubscribe`"), "{warning}");
    assert_eq!(world.ask(Method::GET, "/settings", None).await.body, body["settings"]);
}

#[tokio::test]
async fn settings_that_somebody_else_saved_first_are_not_overwritten() {
    let world = World::start().await;
    let save = async |if_match: &str| {
        let request = Request::put("/settings")
            .header(header::AUTHORIZATION, format!("Bearer {}", world.system.token("demo", Scopes(SCOPES))))
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::IF_MATCH, if_match);
        world.call(request.body(Body::from(settings().to_string())).unwrap()).await
    };
    save("\"1\"").await.expect(StatusCode::OK);
    save("\"1\"").await.problem(StatusCode::PRECONDITION_FAILED);
    save("\"2\"").await.expect(StatusCode::OK);
    save("*").await.expect(StatusCode::OK);
}

#[tokio::test]
async fn every_fault_of_settings_is_named_by_its_field() {
    let world = World::start().await;
    let refused = async |change: &dyn Fn(&mut Value)| {
        let mut settings = settings();
        change(&mut settings);
        let mut fields =
            world.ask(Method::PUT, "/settings", Some(settings)).await.problem(StatusCode::UNPROCESSABLE_ENTITY);
        fields.sort();
        fields
    };
    assert_eq!(refused(&|settings| *settings = json!({"enabled": 1, "extra": true})).await.len(), 7);
    assert_eq!(refused(&|settings| settings["opt_in_keywords"] = json!(["Stop"])).await, ["opt_in_keywords[0]"]);
    assert_eq!(refused(&|settings| settings["opt_in_keywords"] = json!(["quit"])).await, ["opt_in_keywords[0]"]);
    assert_eq!(refused(&|settings| settings["opt_out_keywords"] = json!([])).await, ["opt_out_keywords"]);
    assert_eq!(refused(&|settings| settings["opt_out_keywords"] = json!(["ok", "🛑"])).await, ["opt_out_keywords[1]"]);
    assert_eq!(refused(&|settings| settings["opt_out_message"] = "x".repeat(1_001).into()).await, ["opt_out_message"]);
    assert_eq!(refused(&|settings| settings["require_opt_in"] = Value::Null).await, ["require_opt_in"]);
    assert_eq!(world.ask(Method::GET, "/settings", None).await.body["version"], 1, "nothing of it was saved");
}

#[tokio::test]
async fn bodies_that_are_no_json_objects_are_refused_with_problem_documents() {
    let world = World::start().await;
    let put = async |kind: &str, body: &'static str| {
        let request = Request::put("/settings")
            .header(header::AUTHORIZATION, format!("Bearer {}", world.system.token("demo", Scopes(SCOPES))))
            .header(header::CONTENT_TYPE, kind);
        world.call(request.body(Body::from(body)).unwrap()).await
    };
    put("application/json", "{").await.problem(StatusCode::BAD_REQUEST);
    put("application/json", "[]").await.problem(StatusCode::BAD_REQUEST);
    put("application/json", "").await.problem(StatusCode::BAD_REQUEST);
    put("text/plain", "{}").await.problem(StatusCode::UNSUPPORTED_MEDIA_TYPE);
}

#[tokio::test]
async fn a_keyword_can_be_tried_before_it_is_saved() {
    let world = World::start().await;
    let test = async |body: Value| world.ask(Method::POST, "/settings/test", Some(body)).await;
    let answer = test(json!({"text": " *Stop!* "})).await.expect(StatusCode::OK);
    assert_eq!(
        (&answer["outcome"], &answer["keyword"], &answer["folded"]),
        (&json!("opt_out"), &json!("STOP"), &json!("stop"))
    );
    assert!(answer["reply"].as_str().unwrap().contains("START"));
    let answer = test(json!({"text": "Unsubscribe", "settings": settings()})).await.expect(StatusCode::OK);
    assert_eq!((&answer["outcome"], &answer["reply"]), (&json!("opt_out"), &json!("Bye")));
    let answer = test(json!({"text": "please don't stop"})).await.expect(StatusCode::OK);
    assert_eq!(
        (&answer["outcome"], &answer["keyword"], &answer["reply"]),
        (&json!("none"), &Value::Null, &Value::Null)
    );
    let mut wrong = settings();
    wrong["enabled"] = "yes".into();
    let fields = test(json!({"text": "STOP", "settings": wrong})).await.problem(StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(fields, ["settings.enabled"]);
    assert_eq!(test(json!({})).await.problem(StatusCode::UNPROCESSABLE_ENTITY), ["text"]);
}

#[tokio::test]
async fn a_channel_stays_with_its_tenant() {
    let world = World::start().await;
    let put = async |channel: &str, body: Value| {
        world.ask_as("acme", "consent/platform", Method::PUT, &format!("/channels/{channel}"), Some(body)).await
    };
    let body = json!({"tenant_id": "acme", "display_phone_number": "15550783881"});
    put(local::DEMO_CHANNEL, body.clone()).await.problem(StatusCode::CONFLICT);
    put("200", body.clone()).await.expect(StatusCode::OK);
    put("200", body).await.expect(StatusCode::OK);
    let fields = put("x", json!({"tenant_id": "a b", "display_phone_number": 5}))
        .await
        .problem(StatusCode::UNPROCESSABLE_ENTITY);
    assert!(
        fields.contains(&"tenant_id".to_owned()) && fields.contains(&"display_phone_number".to_owned()),
        "{fields:?}"
    );
}

#[tokio::test]
async fn a_switch_by_hand_takes_effect_at_once_and_is_recorded_once() {
    let world = World::start().await;
    let body = json!({"status": "opted_out", "note": "called the shop"});
    let path = format!("/contacts/{SHEENA}/consent");
    let contact = world.ask(Method::PUT, &path, Some(body)).await.expect(StatusCode::OK);
    assert_eq!(
        (&contact["id"], &contact["status"], &contact["source"]),
        (&json!("+14155550123"), &json!("opted_out"), &json!("manual"))
    );
    world.switch(SHEENA, "opted_out").await;
    let history = world.history(SHEENA).await;
    assert_eq!(history.len(), 1);
    assert_eq!((&history[0]["note"], &history[0]["source"]), (&json!("called the shop"), &json!("manual")));
    assert_ne!(history[0]["by"], "customer");
}

#[tokio::test]
async fn a_late_stop_does_not_undo_a_switch_by_hand_but_shows_until_the_next_change() {
    let world = World::start().await;
    world.says(SHEENA, "STOP").await;
    let late = world.message(SHEENA, "STOP").at(world.seconds() + 10);
    world.wait(60);
    world.switch(SHEENA, "opted_in").await;
    world.delivers(&late).await;
    let contact = world.contact(SHEENA).await.unwrap();
    assert_eq!(contact["status"], "opted_in");
    assert_eq!(contact["unheeded_opt_out_at"], "2026-11-22T10:00:11.999Z");
    assert!(world.history(SHEENA).await.iter().any(|event| event["effect"] == "superseded"));
    world.says(SHEENA, "STOP").await;
    assert_eq!(world.contact(SHEENA).await.unwrap()["unheeded_opt_out_at"], Value::Null);
}

#[tokio::test]
async fn blocked_is_more_than_opted_out() {
    let world = World::start().await;
    let blocked = world.block(SHEENA, true).await.expect(StatusCode::OK);
    let nothing = json!({"marketing": false, "utility": false, "authentication": false, "service": false});
    assert_eq!(
        (&blocked["blocked"], &blocked["status"], &blocked["can_receive"]),
        (&json!(true), &json!("unknown"), &nothing)
    );
    world.switch(SHEENA, "opted_in").await;
    let contact = world.contact(SHEENA).await.unwrap();
    assert_eq!((&contact["status"], &contact["can_receive"]), (&json!("opted_in"), &nothing));
    let freed = world.block(SHEENA, false).await.expect(StatusCode::OK);
    assert_eq!((&freed["blocked"], &freed["can_receive"]["marketing"]), (&json!(false), &json!(true)));
    world.block("14155550199", false).await.problem(StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn faults_of_a_switch_are_named() {
    let world = World::start().await;
    let put = async |path: &str, body: Value| {
        world.ask(Method::PUT, path, Some(body)).await.problem(StatusCode::UNPROCESSABLE_ENTITY)
    };
    let path = format!("/contacts/{SHEENA}/consent");
    assert_eq!(put(&path, json!({})).await, ["status"]);
    assert_eq!(put(&path, json!({"status": "unknown"})).await, ["status"]);
    assert_eq!(put(&path, json!({"status": "opted_in", "note": 5, "why": ""})).await, ["note", "why"]);
    assert_eq!(put("/contacts/hello/consent", json!({"status": "opted_in"})).await, ["id"]);
}

#[tokio::test]
async fn the_list_is_paged_filtered_and_complete() {
    let world = World::start().await;
    let numbers: Vec<String> = (0..60).map(|index| format!("+1415555{index:04}")).collect();
    for (index, number) in numbers.iter().enumerate() {
        world.switch(number, if index % 3 == 0 { "opted_out" } else { "opted_in" }).await;
    }
    world.block(&numbers[0], true).await.expect(StatusCode::OK);
    let all = async |query: &str| {
        let (mut ids, mut cursor) = (Vec::new(), String::new());
        loop {
            let page = world.ask(Method::GET, &format!("/contacts?{query}{cursor}"), None).await.expect(StatusCode::OK);
            ids.extend(
                page["contacts"].as_array().unwrap().iter().map(|contact| contact["id"].as_str().unwrap().to_owned()),
            );
            match page["cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return ids,
            }
        }
    };
    let mut listed = all("limit=7").await;
    assert_eq!(listed, all("limit=100").await, "the order depends on the size of the pages");
    listed.sort();
    assert_eq!(listed, numbers);
    assert_eq!(all("status=opted_out&limit=3").await.len(), 20);
    assert_eq!(all("status=blocked&").await, [numbers[0].clone()]);
    assert_eq!(all("status=provider_stopped&").await, Vec::<String>::new());
    for prefix in ["%2B1415555001", "+1415555001", "1415555001", "%201415555001"] {
        assert_eq!(all(&format!("prefix={prefix}&")).await.len(), 10, "{prefix}");
    }
}

#[tokio::test]
async fn a_cursor_holds_for_its_tenant_and_filters_only() {
    let world = World::start().await;
    for index in 0..5 {
        world.switch(&format!("1415555000{index}"), "opted_out").await;
    }
    let page = world.ask(Method::GET, "/contacts?limit=2", None).await.expect(StatusCode::OK);
    let cursor = page["cursor"].as_str().unwrap();
    for path in [
        format!("/contacts?cursor={cursor}&status=opted_out"),
        format!("/contacts?cursor={cursor}&prefix=1"),
        "/contacts?cursor=x".into(),
    ] {
        let fields = world.ask(Method::GET, &path, None).await.problem(StatusCode::UNPROCESSABLE_ENTITY);
        assert_eq!(fields, ["cursor"], "{path}");
    }
    let stranger = world.ask_as("acme", SCOPES, Method::GET, &format!("/contacts?cursor={cursor}"), None).await;
    stranger.problem(StatusCode::UNPROCESSABLE_ENTITY);
    for (query, field) in [
        ("limit=0", "limit"),
        ("limit=1001", "limit"),
        ("limit=x", "limit"),
        ("status=gone", "status"),
        ("stauts=opted_out", "stauts"),
        ("limit=1&limit=2", "limit"),
        (&format!("prefix={}", "0".repeat(136)), "prefix"),
    ] {
        let fields =
            world.ask(Method::GET, &format!("/contacts?{query}"), None).await.problem(StatusCode::UNPROCESSABLE_ENTITY);
        assert_eq!(fields, [field]);
    }
}

#[tokio::test]
async fn history_is_paged_newest_first() {
    let world = World::start().await;
    for index in 0..5 {
        world.says(SHEENA, if index % 2 == 0 { "STOP" } else { "START" }).await;
    }
    let page =
        world.ask(Method::GET, &format!("/contacts/{SHEENA}/history?limit=2"), None).await.expect(StatusCode::OK);
    assert_eq!(page["events"].as_array().unwrap().len(), 2);
    let all = world.history(SHEENA).await;
    assert_eq!(all.len(), 5);
    assert_eq!(page["events"].as_array().unwrap()[..], all[..2]);
    let times: Vec<&str> = all.iter().map(|event| event["received_at"].as_str().unwrap()).collect();
    assert!(times.is_sorted_by(|newer, older| newer > older), "{times:?}");
}

#[tokio::test]
async fn a_batch_answers_each_change_in_order() {
    let world = World::start().await;
    world.says("14155550101", "STOP").await;
    world.wait(60);
    let changes = json!({"changes": [
        {"id": "+14155550100", "status": "opted_out"},
        {"id": "+14155550100", "status": "opted_out"},
        {"id": "+14155550101", "status": "opted_in"},
        {"id": "+14155550101", "status": "opted_in", "evidence": {"text": "web form", "obtained_at": "2026-11-22T09:00:00Z"}},
        {"id": "+14155550101", "status": "opted_in", "evidence": {"text": "web form", "obtained_at": "2026-11-22T10:00:30Z"}},
        {"id": "+14155550102", "status": "opted_in"},
        {"id": "nobody", "status": "opted_in"},
        {"id": "+14155550103", "status": "gone"},
        {"id": "+14155550103", "status": "opted_in", "evidence": {"text": "tomorrow", "obtained_at": "2026-11-23T10:00:00Z"}},
        7
    ]});
    let answer = world.ask(Method::POST, "/contacts/batch", Some(changes.clone())).await.expect(StatusCode::OK);
    let outcomes: Vec<&str> =
        answer["results"].as_array().unwrap().iter().map(|result| result["outcome"].as_str().unwrap()).collect();
    assert_eq!(
        outcomes,
        [
            "changed",
            "unchanged",
            "refused",
            "refused",
            "changed",
            "changed",
            "invalid",
            "invalid",
            "invalid",
            "invalid"
        ]
    );
    assert_eq!(answer["counts"], json!({"changed": 3, "unchanged": 1, "refused": 2, "invalid": 4}));
    let contact = world.contact("14155550101").await.unwrap();
    assert_eq!(
        (&contact["status"], &contact["source"], &contact["status_changed_at"]),
        (&json!("opted_in"), &json!("batch"), &json!("2026-11-22T10:01:01.000Z"))
    );
    assert_eq!(world.history("14155550101").await[0]["evidence"]["text"], "web form");
    let again = world.ask(Method::POST, "/contacts/batch", Some(changes)).await.expect(StatusCode::OK);
    assert_eq!(again["counts"]["changed"], 0);
}

#[tokio::test]
async fn a_batch_of_a_thousand_is_taken_and_one_more_is_not() {
    let world = World::start().await;
    let changes = |count: usize| {
        let changes: Vec<Value> =
            (0..count).map(|index| json!({"id": format!("+1415555{index:04}"), "status": "opted_out"})).collect();
        json!({"changes": changes})
    };
    let answer = world.ask(Method::POST, "/contacts/batch", Some(changes(1_000))).await.expect(StatusCode::OK);
    assert_eq!(answer["counts"]["changed"], 1_000);
    let refused = world.ask(Method::POST, "/contacts/batch", Some(changes(1_001))).await;
    assert_eq!(refused.problem(StatusCode::UNPROCESSABLE_ENTITY), ["changes"]);
    let refused = world.ask(Method::POST, "/contacts/batch", Some(json!({"changes": {}}))).await;
    assert_eq!(refused.problem(StatusCode::UNPROCESSABLE_ENTITY), ["changes"]);
}

#[tokio::test]
async fn a_batch_lifts_no_block() {
    let world = World::start().await;
    world.block(SHEENA, true).await.expect(StatusCode::OK);
    let changes = json!({"changes": [{"id": SHEENA, "status": "opted_in"}]});
    world.ask(Method::POST, "/contacts/batch", Some(changes)).await.expect(StatusCode::OK);
    assert_eq!(world.contact(SHEENA).await.unwrap()["blocked"], true);
}

#[tokio::test]
async fn an_erased_contact_leaves_nothing_but_its_suppression() {
    let world = World::start().await;
    world.says(SHEENA, "STOP").await;
    let erase = async || world.ask(Method::DELETE, &format!("/contacts/{SHEENA}"), None).await.status;
    assert_eq!(erase().await, StatusCode::NO_CONTENT);
    let contact = world.contact(SHEENA).await.unwrap();
    let fields: Vec<&str> = contact.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(fields.len(), 5, "{fields:?}");
    assert_eq!((&contact["id"], &contact["status"]), (&json!("+14155550123"), &json!("opted_out")));
    assert_eq!(world.history(SHEENA).await, Vec::<Value>::new());
    let campaign = json!({"tenant_id": "demo", "category": "marketing", "contacts": [SHEENA]});
    assert_eq!(world.filter(&campaign).await.unwrap()["counts"]["opted_out"], 1);
    assert_eq!(erase().await, StatusCode::NO_CONTENT);
    assert_eq!(world.status(SHEENA).await, "opted_out");
}

#[tokio::test]
async fn an_erased_opt_out_holds_until_the_customer_says_otherwise() {
    let world = World::start().await;
    let older = world.message(SHEENA, "START");
    world.says(SHEENA, "STOP").await;
    world.wait(60);
    assert_eq!(world.ask(Method::DELETE, &format!("/contacts/{SHEENA}"), None).await.status, StatusCode::NO_CONTENT);
    world.delivers(&older).await;
    assert_eq!(world.status(SHEENA).await, "opted_out");
    world.says(SHEENA, "STOP").await;
    world.block(SHEENA, true).await.expect(StatusCode::OK);
    assert_eq!(world.contact(SHEENA).await.unwrap()["status"], "opted_out");
    let changes = json!({"changes": [{"id": SHEENA, "status": "opted_in"}]});
    let answer = world.ask(Method::POST, "/contacts/batch", Some(changes)).await.expect(StatusCode::OK);
    assert_eq!(answer["counts"]["refused"], 1);
    world.block(SHEENA, false).await.expect(StatusCode::OK);
    world.says(SHEENA, "START").await;
    let contact = world.contact(SHEENA).await.unwrap();
    assert_eq!((&contact["status"], &contact["source"]), (&json!("opted_in"), &json!("keyword")));
}

#[tokio::test]
async fn someone_not_suppressed_leaves_a_tombstone_that_expires() {
    let world = World::start().await;
    world.switch(SHEENA, "opted_in").await;
    assert_eq!(world.ask(Method::DELETE, &format!("/contacts/{SHEENA}"), None).await.status, StatusCode::NO_CONTENT);
    assert_eq!(world.contact(SHEENA).await, None);
    let mut left = world.items().await;
    left.retain(|item| item["pk"].as_str().unwrap().starts_with("T#demo#"));
    let [tombstone] = &left[..] else { panic!("{left:?}") };
    let erased_at = tombstone["erased_at"].as_i64().unwrap();
    assert_eq!((erased_at / 1000, &tombstone["r"]), (world.seconds(), &json!("")));
    assert_eq!(tombstone["expires_at"], erased_at / 1000 + 8 * 24 * 3600);
}
