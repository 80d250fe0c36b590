//! Updates without an id and a time: nothing tells a second one from the first delivered again, so a wish to stop is taken
//! for a new one wherever it would be lost otherwise.

use axum::http::StatusCode;
use futures::future::join_all;
use serde_json::{Value, json};
use tests::{Message, World, webhook};

const ANN: &str = "14155550101";

/// A customer's use of WhatsApp's own control.
fn preference(value: &str, timestamp: &Value) -> Value {
    let mut body = webhook(&[]);
    let change = &mut body["entry"][0]["changes"][0];
    change["field"] = "user_preferences".into();
    change["value"]["user_preferences"] =
        json!([{"wa_id": ANN, "category": "marketing_messages", "value": value, "timestamp": timestamp}]);
    body
}

/// A text without an id and a time.
fn text(text: &str) -> Value {
    webhook(&[Message::text(ANN, text).json()])
}

async fn post(world: &World, body: &Value) {
    assert_eq!(world.post_webhook(body).await, StatusCode::OK, "{body}");
}

async fn entries(world: &World) -> usize {
    world.history(ANN).await.len()
}

#[tokio::test]
async fn a_second_stop_after_a_resume_is_no_repeat_of_the_first() {
    let world = World::start().await;
    let stop = preference("stop", &Value::Null);
    let stopped = async || world.contact(ANN).await.is_some_and(|contact| contact["provider_stopped"] == true);
    for round in 1..=3 {
        world.wait(60);
        post(&world, &stop).await;
        assert!(stopped().await, "{round}");
        // Delivered again, it is the same one.
        world.wait(60);
        post(&world, &stop).await;
        assert_eq!(entries(&world).await, 2 * round - 1);
        world.wait(60);
        post(&world, &preference("resume", &world.seconds().into())).await;
        assert!(!stopped().await, "{round}");
        assert_eq!(entries(&world).await, 2 * round);
    }
}

#[tokio::test]
async fn a_second_stop_in_words_after_a_start_is_no_repeat_of_the_first() {
    let world = World::start().await;
    for round in 1..=3 {
        world.wait(60);
        post(&world, &text("STOP")).await;
        assert_eq!(world.status(ANN).await, "opted_out", "{round}");
        world.wait(60);
        post(&world, &text("STOP")).await;
        assert_eq!(entries(&world).await, 2 * round - 1);
        world.says(ANN, "START").await;
        assert_eq!(world.status(ANN).await, "opted_in", "{round}");
    }
    // An opt-in by staff can't be told apart either.
    world.wait(60);
    post(&world, &text("STOP")).await;
    world.wait(60);
    world.switch(ANN, "opted_in").await;
    post(&world, &text("STOP")).await;
    assert_eq!(world.status(ANN).await, "opted_out");
}

#[tokio::test]
async fn a_repeat_of_what_stands_is_one_read() {
    let world = World::start().await;
    post(&world, &text("STOP")).await;
    world.calls.reset();
    post(&world, &text("STOP")).await;
    assert_eq!(world.calls.counts(), [("BatchGetItem".to_owned(), 1)]);
}

#[tokio::test]
async fn second_stops_at_the_same_moment_count_once() {
    let world = World::start().await;
    post(&world, &text("STOP")).await;
    world.says(ANN, "START").await;
    let stop = text("STOP");
    let statuses = join_all((0..12).map(|_| world.post_webhook(&stop))).await;
    assert!(statuses.iter().all(|status| *status == StatusCode::OK), "{statuses:?}");
    assert_eq!((world.status(ANN).await.as_str(), entries(&world).await), ("opted_out", 3));
}

#[tokio::test]
async fn what_has_an_id_or_a_time_is_still_a_repeat() {
    let world = World::start().await;
    let with_id = webhook(&[Message::text(ANN, "STOP").with_id("wamid.1").json()]);
    let with_time = webhook(&[Message::text(ANN, "STOP").at(world.seconds()).json()]);
    for body in [with_id, with_time] {
        post(&world, &body).await;
        world.wait(60);
        world.says(ANN, "START").await;
        post(&world, &body).await;
        assert_eq!(world.status(ANN).await, "opted_in", "{body}");
    }
}

#[tokio::test]
async fn while_keywords_are_off_a_repeat_leaves_no_second_entry() {
    let world = World::start().await;
    world.change_settings(|settings| settings["enabled"] = false.into()).await;
    post(&world, &text("STOP")).await;
    post(&world, &text("STOP")).await;
    assert_eq!(entries(&world).await, 1);
    world.change_settings(|settings| settings["enabled"] = true.into()).await;
    post(&world, &text("STOP")).await;
    assert_eq!(world.status(ANN).await, "opted_out");
}

#[tokio::test]
async fn a_second_stop_that_another_app_signed_is_delivered_again() {
    let world = World::start().await;
    world.register("200", "acme").await;
    let mut stop = text("STOP");
    stop["entry"][0]["changes"][0]["value"]["metadata"]["phone_number_id"] = "200".into();
    let mut start = webhook(&[world.message(ANN, "START").json()]);
    start["entry"][0]["changes"][0]["value"]["metadata"]["phone_number_id"] = "200".into();
    post(&world, &stop).await;
    post(&world, &start).await;
    world.put_secret("consent/acme", "acme-secret");
    world.register_with("200", "acme", "consent/acme").await;
    world.wait(61);
    assert_eq!(world.status_at("acme", ANN).await.as_deref(), Some("opted_out"), "a tie is an opt-out");
    post(&world, &stop).await;
    world.register("200", "acme").await;
    let mut start = webhook(&[world.message(ANN, "START").json()]);
    start["entry"][0]["changes"][0]["value"]["metadata"]["phone_number_id"] = "200".into();
    post(&world, &start).await;
    world.register_with("200", "acme", "consent/acme").await;
    world.wait(61);
    assert_eq!(world.post_webhook(&stop).await, StatusCode::UNAUTHORIZED);
}
