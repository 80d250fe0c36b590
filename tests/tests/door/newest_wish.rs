//! Of many quick wishes one is confirmed: the newest.

use axum::http::{Method, StatusCode};
use serde_json::{Value, json};
use tests::{World, webhook};

const SHEENA: &str = "14155550123";
const USER: &str = "US.13491208655302741918";

/// The states of a contact's confirmations, oldest first. An entry that has none is left out.
async fn states(world: &World, id: &str) -> Vec<String> {
    let history = world.history(id).await;
    let states = history.iter().rev().map(|entry| entry["confirmation"]["state"].as_str().map(str::to_owned));
    states.flatten().collect()
}

/// A customer writes `text` and shows these ids.
async fn says_as(world: &World, phone: Option<&str>, user: Option<&str>, text: &str) {
    world.wait(1);
    let mut message = world.message("", text).without("from").json();
    if let Some(phone) = phone {
        message["from"] = phone.into();
    }
    if let Some(user) = user {
        message["from_user_id"] = user.into();
    }
    assert_eq!(world.post_webhook(&webhook(&[message])).await, StatusCode::OK);
}

#[tokio::test]
async fn of_ten_quick_changes_of_mind_the_last_is_confirmed() {
    let world = World::start().await;
    for _ in 0..10 {
        world.says(SHEENA, "STOP").await;
        world.says(SHEENA, "START").await;
    }
    world.sweep().await;
    let sent = world.sent();
    assert_eq!(sent.len(), 1, "{sent:?}");
    assert!(sent[0].1.starts_with("You are subscribed"));
    let states = states(&world, SHEENA).await;
    assert_eq!((states.len(), states.iter().filter(|state| *state == "superseded").count()), (20, 19));
    assert_eq!(states[19], "sent");
    assert_eq!(world.outbox().await, 0);
}

#[tokio::test]
async fn a_second_stop_without_effect_takes_no_confirmation_away() {
    let world = World::start().await;
    world.says(SHEENA, "STOP").await;
    world.says(SHEENA, "STOP").await;
    world.sweep().await;
    assert_eq!((world.sent().len(), states(&world, SHEENA).await), (1, vec!["sent".to_owned()]));
}

#[tokio::test]
async fn switches_by_staff_in_between_take_no_confirmation_away() {
    let world = World::start().await;
    world.says(SHEENA, "STOP").await;
    world.switch(SHEENA, "opted_in").await;
    world.switch(SHEENA, "opted_out").await;
    world.sweep().await;
    assert_eq!(world.sent().len(), 1);
}

#[tokio::test]
async fn wishes_under_number_and_user_id_are_one_persons() {
    let world = World::start().await;
    says_as(&world, Some(SHEENA), None, "STOP").await;
    says_as(&world, Some(SHEENA), Some(USER), "START").await;
    says_as(&world, None, Some(USER), "STOP").await;
    world.sweep().await;
    let sent = world.system.graph().outbox();
    assert_eq!(sent.len(), 1, "{sent:?}");
    assert_eq!(sent[0]["recipient"], USER);
    assert_eq!(states(&world, SHEENA).await, ["superseded", "superseded", "sent"]);
}

#[tokio::test]
async fn a_wish_under_the_number_that_the_person_has_left_gives_way_to_one_under_the_new() {
    let world = World::start().await;
    let new = "14155550124";
    world.says(SHEENA, "STOP").await;
    world.wait(1);
    let mut moved = world.message(SHEENA, "").without("text").json();
    moved["type"] = "system".into();
    moved["system"] = json!({"type": "user_changed_number", "wa_id": new});
    assert_eq!(world.post_webhook(&webhook(&[moved])).await, StatusCode::OK);
    world.says(new, "START").await;
    world.says(new, "STOP").await;
    world.sweep().await;
    let sent = world.sent();
    assert_eq!(sent.iter().map(|(to, _)| to.as_str()).collect::<Vec<_>>(), ["+14155550124"]);
    assert_eq!(states(&world, new).await, ["superseded", "superseded", "sent"]);
}

#[tokio::test]
async fn a_wish_of_the_next_holder_of_a_number_takes_no_confirmation_away() {
    let world = World::start().await;
    says_as(&world, Some(SHEENA), Some(USER), "STOP").await;
    // The next holder is opted out from the start, as the number is.
    says_as(&world, Some(SHEENA), Some("US.2"), "START").await;
    says_as(&world, Some(SHEENA), Some("US.2"), "STOP").await;
    world.sweep().await;
    assert_eq!(states(&world, USER).await, ["sent"]);
    assert_eq!(states(&world, "US.2").await, ["superseded", "sent"]);
}

#[tokio::test]
async fn a_wish_that_counts_at_its_receipt_is_as_new_as_that() {
    let world = World::start().await;
    world.delivers(&world.message(SHEENA, "STOP").without("timestamp")).await;
    world.says(SHEENA, "START").await;
    world.wait(1);
    world.delivers(&world.message(SHEENA, "STOP").without("timestamp")).await;
    world.sweep().await;
    assert_eq!(world.sent().len(), 1);
    let history = world.history(SHEENA).await;
    let newest = history.iter().max_by_key(|entry| entry["at"].as_str().unwrap()).unwrap();
    assert_eq!(newest["confirmation"]["state"], "sent");
    assert_eq!(world.outbox().await, 0);
}

#[tokio::test]
async fn the_newest_wish_is_found_behind_hundreds_without_effect() {
    let world = World::start().await;
    world.says(SHEENA, "STOP").await;
    let repeats: Vec<Value> = (0..300)
        .map(|_| {
            world.wait(1);
            world.message(SHEENA, &format!("stop{}", "!".repeat(1_000))).json()
        })
        .collect();
    assert_eq!(world.post_webhook(&webhook(&repeats)).await, StatusCode::OK);
    world.says(SHEENA, "START").await;
    world.says(SHEENA, "STOP").await;
    world.sweep().await;
    assert_eq!(world.sent().len(), 1);
    assert_eq!(states(&world, SHEENA).await, ["superseded", "superseded", "sent"]);
}

/// The customer uses WhatsApp's own control.
async fn prefers(world: &World, value: &str) {
    world.wait(1);
    let mut body = webhook(&[]);
    let change = &mut body["entry"][0]["changes"][0];
    change["field"] = "user_preferences".into();
    change["value"]["user_preferences"] =
        json!([{"wa_id": SHEENA, "category": "marketing_messages", "value": value, "timestamp": world.seconds()}]);
    assert_eq!(world.post_webhook(&body).await, StatusCode::OK);
}

#[tokio::test]
async fn no_opt_in_is_confirmed_while_the_provider_stop_holds_and_the_history_says_why() {
    let world = World::start().await;
    world.says(SHEENA, "STOP").await;
    world.sweep().await;
    prefers(&world, "stop").await;
    world.says(SHEENA, "START").await;
    world.sweep().await;
    assert_eq!((world.sent().len(), world.status(SHEENA).await), (1, "opted_in".to_owned()));
    let entry = world.history(SHEENA).await.swap_remove(0);
    assert_eq!((&entry["kind"], &entry["effect"]), (&json!("opt_in"), &json!("changed")));
    assert_eq!((&entry["reason"], &entry["confirmation"]), (&json!("provider_stopped"), &Value::Null));
    // A version before this one knows no such reason, and reads the entry all the same.
    let stored = world.items().await.into_iter().find(|item| item["kind"] == "opt_in").unwrap();
    assert_eq!(stored.get("reason"), None);
    // An opt-out is true at any time, and so is an opt-in once the stop is over.
    world.says(SHEENA, "STOP").await;
    world.sweep().await;
    prefers(&world, "resume").await;
    world.says(SHEENA, "START").await;
    world.sweep().await;
    assert_eq!(states(&world, SHEENA).await, ["sent", "sent", "sent"]);
}

#[tokio::test]
async fn an_opt_in_is_not_confirmed_once_the_provider_stop_came_in_between() {
    let world = World::start().await;
    world.says(SHEENA, "STOP").await;
    world.sweep().await;
    world.says(SHEENA, "START").await;
    prefers(&world, "stop").await;
    world.sweep().await;
    assert_eq!(world.sent().len(), 1);
    let start = world.history(SHEENA).await.into_iter().find(|entry| entry["kind"] == "opt_in").unwrap();
    assert_eq!(start["confirmation"]["state"], "superseded");
    assert!(start["confirmation"]["title"].as_str().unwrap().contains("stop"), "{start}");
}

#[tokio::test]
async fn a_contact_that_was_blocked_since_is_told_nothing() {
    let world = World::start().await;
    world.says(SHEENA, "STOP").await;
    world.block(SHEENA, true).await.expect(StatusCode::OK);
    world.sweep().await;
    world.ask(Method::DELETE, &format!("/contacts/{SHEENA}/block"), None).await.expect(StatusCode::OK);
    world.sweep().await;
    assert_eq!((world.sent().len(), states(&world, SHEENA).await), (0, vec!["superseded".to_owned()]));
}
