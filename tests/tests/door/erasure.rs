//! Erasures while messages are still on their way, and while calls of the table fail.

use axum::http::{Method, StatusCode};
use serde_json::{Value, json};
use tests::{Fault, World, webhook};

const PHONE: &str = "14155550123";
const NEW_PHONE: &str = "14155550124";
const USER: &str = "US.13491208655302741918";

/// A text by number, user id or both, of the present second.
fn text(world: &World, id: &str, (phone, user): (Option<&str>, Option<&str>), words: &str) -> Value {
    let mut message = world.message("", words).with_id(id).without("from").json();
    for (field, id) in [("from", phone), ("from_user_id", user)] {
        if let Some(id) = id {
            message[field] = id.into();
        }
    }
    webhook(&[message])
}

/// The news that a number was changed, of the present second.
fn changed_number(world: &World, from: &str, to: &str) -> Value {
    let system = json!({"type": "user_changed_number", "wa_id": to, "body": "changed"});
    webhook(&[
        json!({"id": "wamid.news", "from": from, "timestamp": world.seconds().to_string(), "type": "system", "system": system}),
    ])
}

async fn deliver(world: &World, body: &Value) {
    assert_eq!(world.post_webhook(body).await, StatusCode::OK);
}

async fn erase(world: &World, id: &str) -> StatusCode {
    world.ask(Method::DELETE, &format!("/contacts/{id}"), None).await.status
}

/// The reason for which a campaign skips each of these ids. Empty for an id that gets it.
async fn skipped<const N: usize>(world: &World, ids: [&str; N]) -> [String; N] {
    let mut reasons = Vec::new();
    for id in ids {
        let campaign = json!({"tenant_id": "demo", "category": "marketing", "contacts": [id]});
        let report = world.filter(&campaign).await.unwrap();
        reasons.push(report["skipped"][0]["reason"].as_str().unwrap_or_default().to_owned());
    }
    reasons.try_into().unwrap()
}

/// The items of a kind: `C` for places, `S` for the suppression list, `H` for history.
async fn items(world: &World, kind: &str) -> Vec<Value> {
    let mut items = world.items().await;
    items.retain(|item| item["pk"].as_str().unwrap().starts_with(&format!("T#demo#{kind}#")));
    items
}

#[tokio::test]
async fn a_stop_that_is_delivered_again_after_an_erasure_leaves_no_words_and_no_second_confirmation() {
    let world = World::start().await;
    let stop = text(&world, "wamid.stop", (Some(PHONE), Some(USER)), "STOP");
    deliver(&world, &stop).await;
    world.sweep().await;
    assert_eq!(world.sent().len(), 1);
    assert_eq!(erase(&world, PHONE).await, StatusCode::NO_CONTENT);
    let before = world.items().await;
    for _ in 0..2 {
        world.wait(60);
        deliver(&world, &stop).await;
        world.sweep().await;
    }
    assert_eq!(items(&world, "H").await, Vec::<Value>::new());
    assert_eq!(world.items().await, before);
    assert_eq!(world.sent().len(), 1);
    assert_eq!(skipped(&world, [PHONE, USER]).await, ["opted_out"; 2]);
}

#[tokio::test]
async fn a_stop_that_arrives_after_an_erasure_for_the_first_time_counts_and_leaves_no_words() {
    let world = World::start().await;
    deliver(&world, &text(&world, "wamid.hello", (Some(PHONE), Some(USER)), "hello")).await;
    world.wait(60);
    let stop = text(&world, "wamid.stop", (Some(PHONE), Some(USER)), "STOP");
    world.wait(60);
    assert_eq!(erase(&world, USER).await, StatusCode::NO_CONTENT);
    deliver(&world, &stop).await;
    assert_eq!(skipped(&world, [PHONE, USER]).await, ["opted_out"; 2]);
    assert_eq!(items(&world, "H").await, Vec::<Value>::new());
    for tombstone in items(&world, "C").await {
        assert_eq!(
            (&tombstone["r"], tombstone.get("expires_at")),
            (&json!("O"), None),
            "what suppresses never expires"
        );
    }
    world.sweep().await;
    assert_eq!(world.sent(), []);
    let contact = world.contact(USER).await.unwrap();
    assert_eq!((&contact["status"], contact.get("name"), contact.get("source")), (&json!("opted_out"), None, None));
}

#[tokio::test]
async fn an_older_stop_than_the_opt_in_that_an_erasure_kept_suppresses_nobody() {
    let world = World::start().await;
    let stop = text(&world, "wamid.stop", (Some(PHONE), None), "STOP");
    world.wait(60);
    world.switch(PHONE, "opted_in").await;
    world.wait(60);
    assert_eq!(erase(&world, PHONE).await, StatusCode::NO_CONTENT);
    deliver(&world, &stop).await;
    assert_eq!(skipped(&world, [PHONE]).await, [""]);
    assert_eq!(items(&world, "H").await, Vec::<Value>::new());
}

#[tokio::test]
async fn nothing_that_is_older_than_an_erasure_loosens_it() {
    let world = World::start().await;
    deliver(&world, &text(&world, "wamid.stop", (Some(PHONE), None), "STOP")).await;
    world.wait(60);
    let start = text(&world, "wamid.start", (Some(PHONE), None), "START");
    let obtained_at = world.shown(world.seconds());
    world.wait(60);
    assert_eq!(erase(&world, PHONE).await, StatusCode::NO_CONTENT);
    deliver(&world, &start).await;
    let evidence = json!({"text": "paper form", "obtained_at": obtained_at});
    let changes = json!({"changes": [{"id": PHONE, "status": "opted_in", "evidence": evidence}]});
    let answer = world.ask(Method::POST, "/contacts/batch", Some(changes)).await.expect(StatusCode::OK);
    assert_eq!(answer["results"][0]["outcome"], "refused");
    assert_eq!(skipped(&world, [PHONE]).await, ["opted_out"]);
    assert_eq!(items(&world, "H").await, Vec::<Value>::new());
}

#[tokio::test]
async fn the_time_of_an_erasure_outlives_what_replaces_its_tombstone() {
    let world = World::start().await;
    let stop = text(&world, "wamid.stop", (Some(PHONE), None), "STOP");
    deliver(&world, &stop).await;
    world.wait(60);
    assert_eq!(erase(&world, PHONE).await, StatusCode::NO_CONTENT);
    world.wait(60);
    world.switch(PHONE, "opted_in").await;
    deliver(&world, &stop).await;
    let kinds: Vec<Value> = world.history(PHONE).await.into_iter().map(|event| event["kind"].clone()).collect();
    assert_eq!(kinds, ["opt_in"], "the words came back");
    assert_eq!(skipped(&world, [PHONE]).await, [""]);
    world.wait(9 * 24 * 3600);
    world.block(PHONE, true).await.expect(StatusCode::OK);
    assert_eq!(items(&world, "C").await[0].get("erased_until"), None, "after eight days nothing old is delivered");
}

#[tokio::test]
async fn whoever_writes_under_both_ids_after_an_erasure_is_one_person_again() {
    let world = World::start().await;
    deliver(&world, &text(&world, "wamid.1", (Some(PHONE), Some(USER)), "hello")).await;
    assert_eq!(erase(&world, PHONE).await, StatusCode::NO_CONTENT);
    world.wait(60);
    deliver(&world, &text(&world, "wamid.2", (Some(PHONE), Some(USER)), "hello")).await;
    deliver(&world, &text(&world, "wamid.3", (Some(PHONE), None), "STOP")).await;
    assert_eq!(skipped(&world, [PHONE, USER]).await, ["opted_out"; 2]);
}

#[tokio::test]
async fn a_changed_number_that_is_told_again_after_an_erasure_teaches_nothing() {
    let world = World::start().await;
    deliver(&world, &text(&world, "wamid.1", (Some(PHONE), None), "STOP")).await;
    world.wait(10);
    let news = changed_number(&world, PHONE, NEW_PHONE);
    deliver(&world, &news).await;
    world.wait(60);
    assert_eq!(erase(&world, NEW_PHONE).await, StatusCode::NO_CONTENT);
    let before = world.items().await;
    deliver(&world, &news).await;
    assert_eq!(world.items().await, before);
    assert_eq!(skipped(&world, [PHONE, NEW_PHONE]).await, ["opted_out"; 2]);
}

#[tokio::test]
async fn what_staff_did_before_the_news_of_a_move_arrived_is_shown_and_erased_with_the_person() {
    let world = World::start().await;
    let news = changed_number(&world, PHONE, NEW_PHONE);
    world.wait(60);
    world.switch(PHONE, "opted_out").await;
    deliver(&world, &news).await;
    let kinds: Vec<Value> = world.history(NEW_PHONE).await.into_iter().map(|event| event["kind"].clone()).collect();
    assert_eq!(kinds, ["opt_out", "id_change"]);
    assert_eq!(erase(&world, NEW_PHONE).await, StatusCode::NO_CONTENT);
    assert_eq!(items(&world, "H").await, Vec::<Value>::new());
    assert_eq!(skipped(&world, [PHONE, NEW_PHONE]).await, ["opted_out"; 2]);
}

#[tokio::test]
async fn whoever_was_erased_gave_no_consent_where_that_is_demanded() {
    let world = World::start().await;
    world.change_settings(|settings| settings["require_opt_in"] = true.into()).await;
    world.says(PHONE, "STOP").await;
    world.says(PHONE, "START").await;
    assert_eq!(skipped(&world, [PHONE]).await, [""]);
    world.wait(60);
    assert_eq!(erase(&world, PHONE).await, StatusCode::NO_CONTENT);
    assert_eq!(skipped(&world, [PHONE]).await, ["not_opted_in"]);
    world.says(PHONE, "START").await;
    assert_eq!((skipped(&world, [PHONE]).await, world.status(PHONE).await.as_str()), ([String::new()], "opted_in"));
}

#[tokio::test]
async fn a_message_sent_ahead_of_time_is_not_new_after_the_erasure_that_took_it() {
    let world = World::start().await;
    let start = world.message(PHONE, "START").at(world.seconds() + 200);
    world.delivers(&start).await;
    world.says(PHONE, "STOP").await;
    world.wait(10);
    assert_eq!(erase(&world, PHONE).await, StatusCode::NO_CONTENT);
    for _ in 0..3 {
        world.wait(120);
        world.delivers(&start).await;
    }
    assert_eq!(skipped(&world, [PHONE]).await, ["opted_out"]);
    assert_eq!(items(&world, "H").await, Vec::<Value>::new());
}

/// A world with a person who has two ids and left a number, with a history of several pages under each of the three.
async fn somebody() -> World {
    let world = World::start().await;
    deliver(&world, &text(&world, "wamid.first", (Some(PHONE), Some(USER)), "STOP")).await;
    for index in 0..30 {
        world.wait(1);
        let (ids, words) = if index % 2 == 0 { ((Some(PHONE), None), "START") } else { ((None, Some(USER)), "STOP") };
        deliver(&world, &text(&world, &format!("wamid.{index}"), ids, words)).await;
    }
    world.wait(1);
    deliver(&world, &changed_number(&world, PHONE, NEW_PHONE)).await;
    world.wait(1);
    deliver(&world, &text(&world, "wamid.last", (Some(NEW_PHONE), None), "STOP")).await;
    world.wait(1);
    world
}

#[tokio::test]
async fn an_erasure_that_is_interrupted_anywhere_is_finished_by_a_repeat() {
    for operation in ["BatchGetItem", "Query", "BatchWriteItem", "TransactWriteItems"] {
        for call in 0.. {
            let world = somebody().await;
            let faults = std::iter::repeat_n(Fault::Pass, call).chain([Fault::Denied]);
            world.calls.fail(operation, faults);
            let first = erase(&world, NEW_PHONE).await;
            world.calls.forgive();
            world.wait(60);
            assert_eq!(erase(&world, NEW_PHONE).await, StatusCode::NO_CONTENT, "{operation} {call}");
            assert_eq!(items(&world, "H").await, Vec::<Value>::new(), "{operation} {call}");
            assert_eq!(skipped(&world, [PHONE, NEW_PHONE, USER]).await, ["opted_out"; 3], "{operation} {call}");
            let places = items(&world, "C").await;
            assert!(places.iter().all(|place| place.get("erased_at").is_some()), "{operation} {call}: {places:?}");
            if first == StatusCode::NO_CONTENT {
                assert!(call > 0, "no call of {operation} failed");
                break;
            }
            assert_eq!(first, StatusCode::SERVICE_UNAVAILABLE, "{operation} {call}");
        }
    }
}
