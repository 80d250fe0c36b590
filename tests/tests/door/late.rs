//! Opt-outs that arrive after something was done without knowing of them.

use axum::http::{Method, StatusCode};
use serde_json::{Value, json};
use tests::World;

const SHEENA: &str = "14155550123";

/// Staff uploads one change of Sheena's consent; its outcome.
async fn upload(world: &World, change: Value) -> String {
    let mut change = change;
    change["id"] = SHEENA.into();
    let answer = world.ask(Method::POST, "/contacts/batch", Some(json!({"changes": [change]}))).await;
    answer.expect(StatusCode::OK)["results"][0]["outcome"].as_str().unwrap().to_owned()
}

/// A consent that staff has on paper, `ago` seconds old.
fn evidence(world: &World, ago: i64) -> Value {
    json!({"text": "paper form", "obtained_at": world.shown(world.seconds() - ago)})
}

/// Returns true if a campaign goes to Sheena.
async fn eligible(world: &World) -> bool {
    let campaign = json!({"tenant_id": "demo", "category": "marketing", "contacts": [SHEENA]});
    world.filter(&campaign).await.unwrap()["counts"]["eligible"] == 1
}

#[tokio::test]
async fn a_batch_opt_in_without_evidence_beats_no_stop_on_its_way() {
    let world = World::start().await;
    let stop = world.message(SHEENA, "STOP");
    world.wait(3600);
    assert_eq!(upload(&world, json!({"status": "opted_in"})).await, "changed");
    assert_eq!(world.status(SHEENA).await, "opted_in");
    world.delivers(&stop).await;
    assert_eq!((world.status(SHEENA).await.as_str(), eligible(&world).await), ("opted_out", false));
}

#[tokio::test]
async fn a_batch_opt_in_of_someone_opted_in_makes_nobody_deaf_to_a_late_stop() {
    let world = World::start().await;
    world.says(SHEENA, "STOP").await;
    world.says(SHEENA, "START").await;
    world.wait(10);
    let stop = world.message(SHEENA, "STOP");
    world.wait(3600);
    assert_eq!(upload(&world, json!({"status": "opted_in"})).await, "unchanged");
    world.delivers(&stop).await;
    assert!(!eligible(&world).await);
}

#[tokio::test]
async fn a_batch_opt_in_counts_when_its_evidence_was_obtained() {
    let world = World::start().await;
    let before = world.message(SHEENA, "STOP");
    world.wait(600);
    let after = world.message(SHEENA, "STOP");
    world.wait(600);
    let change = json!({"status": "opted_in", "evidence": evidence(&world, 900)});
    assert_eq!(upload(&world, change).await, "changed");
    let changed_at = world.contact(SHEENA).await.unwrap()["status_changed_at"].clone();
    assert_eq!(changed_at, world.shown(world.seconds()), "the change is of the moment of the request");

    world.delivers(&before).await;
    let contact = world.contact(SHEENA).await.unwrap();
    assert_eq!((&contact["status"], contact["unheeded_opt_out_at"].is_string()), (&json!("opted_in"), true));
    world.delivers(&after).await;
    assert!(!eligible(&world).await);
}

#[tokio::test]
async fn contacts_whose_stop_was_not_heeded_can_be_listed() {
    let world = World::start().await;
    let stop = world.message(SHEENA, "STOP");
    world.wait(60);
    world.switch(SHEENA, "opted_in").await;
    world.switch("14155550124", "opted_in").await;
    world.delivers(&stop).await;
    let unheeded = async || {
        let page = world.ask(Method::GET, "/contacts?status=unheeded", None).await.expect(StatusCode::OK);
        let ids = page["contacts"].as_array().unwrap().iter().map(|contact| contact["id"].clone());
        ids.collect::<Vec<_>>()
    };
    assert_eq!(unheeded().await, ["+14155550123"]);
    world.switch(SHEENA, "opted_out").await;
    assert_eq!(unheeded().await, Vec::<Value>::new());
}

#[tokio::test]
async fn a_stop_of_the_same_second_as_one_that_staff_overruled_is_shown() {
    let world = World::start().await;
    let [first, second] = ["STOP", "Stop!"].map(|words| world.message(SHEENA, words));
    world.delivers(&first).await;
    world.wait(60);
    world.switch(SHEENA, "opted_in").await;
    world.delivers(&second).await;
    let contact = world.contact(SHEENA).await.unwrap();
    assert_eq!((&contact["status"], contact["unheeded_opt_out_at"].is_string()), (&json!("opted_in"), true));
}

#[tokio::test]
async fn a_start_from_the_future_stands_over_no_stop_that_is_sent_now() {
    let world = World::start().await;
    world.says(SHEENA, "STOP").await;
    world.wait(1);
    let ahead = world.message(SHEENA, "START").at(world.seconds() + 240);
    world.delivers(&ahead).await;
    assert_eq!(world.status(SHEENA).await, "opted_in");
    world.wait(1);
    world.says(SHEENA, "STOP").await;
    assert!(!eligible(&world).await);
    world.wait(600);
    world.delivers(&ahead).await;
    assert!(!eligible(&world).await, "a repeat counts no later than the first");
}

#[tokio::test]
async fn a_batch_opt_out_counts_when_it_was_obtained() {
    let world = World::start().await;
    world.says(SHEENA, "STOP").await;
    world.wait(600);
    world.says(SHEENA, "START").await;
    world.wait(600);
    let old = json!({"status": "opted_out", "evidence": evidence(&world, 900)});
    assert_eq!(upload(&world, old).await, "unchanged");
    assert!(eligible(&world).await);
    let newer = json!({"status": "opted_out", "evidence": evidence(&world, 300)});
    assert_eq!(upload(&world, newer).await, "changed");
    assert_eq!(upload(&world, json!({"status": "opted_out"})).await, "unchanged");
    let start = world.message(SHEENA, "START").at(world.seconds() - 100);
    world.delivers(&start).await;
    assert!(!eligible(&world).await, "without evidence it counts when it is asked for");
}

#[tokio::test]
async fn a_batch_writes_once_for_a_person_however_often_it_names_one() {
    let world = World::start().await;
    let changes: Vec<Value> = (0..50)
        .map(|index| {
            let status = if index % 2 == 0 { "opted_out" } else { "opted_in" };
            json!({"id": SHEENA, "status": status, "evidence": evidence(&world, 100 - index)})
        })
        .collect();
    world.calls.reset();
    let answer = world.ask(Method::POST, "/contacts/batch", Some(json!({"changes": changes}))).await;
    assert_eq!(answer.expect(StatusCode::OK)["counts"]["changed"], 50);
    assert_eq!(world.calls.count("TransactWriteItems"), 1);
    assert_eq!(world.history(SHEENA).await.len(), 50);
    assert!(eligible(&world).await, "the last change says so");
}

#[tokio::test]
async fn a_long_series_of_changes_of_one_person_is_written_in_parts_and_whole() {
    let world = World::start().await;
    let changes: Vec<Value> = (0..200)
        .map(|index| {
            let status = if index % 2 == 0 { "opted_out" } else { "opted_in" };
            json!({"id": SHEENA, "status": status, "evidence": evidence(&world, 1_000 - index)})
        })
        .collect();
    world.calls.fail("TransactWriteItems", [tests::Fault::Pass, tests::Fault::Conflict]);
    let answer = world.ask(Method::POST, "/contacts/batch", Some(json!({"changes": changes}))).await;
    assert_eq!(answer.expect(StatusCode::OK)["counts"]["changed"], 200);
    assert_eq!(world.history(SHEENA).await.len(), 200);
}
