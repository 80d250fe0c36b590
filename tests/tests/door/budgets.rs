//! What each kind of work may cost, in calls of the table and read units.

use serde_json::{Value, json};
use tests::{World, webhook};

const SHEENA: &str = "14155550123";

/// A world whose channel and secret have been used already, and whose calls are counted from now on.
async fn warm() -> World {
    let world = World::start().await;
    world.says("14155550199", "hello").await;
    world.calls.reset();
    world
}

fn calls(read: usize, written: usize) -> Vec<(String, usize)> {
    let each = [("BatchGetItem", read), ("TransactWriteItems", written)];
    each.into_iter().filter(|(_, count)| *count > 0).map(|(name, count)| (name.to_owned(), count)).collect()
}

#[tokio::test]
async fn a_status_update_calls_no_table() {
    let world = warm().await;
    for status in ["sent", "delivered", "read", "failed", "played"] {
        let status = json!({"id": "wamid.X", "status": status, "timestamp": "1750030073", "recipient_id": SHEENA});
        let mut body = webhook(&[]);
        body["entry"][0]["changes"][0]["value"]["statuses"] = json!([status]);
        world.post_webhook(&body).await;
    }
    assert_eq!(world.calls.counts(), calls(0, 0));
}

#[tokio::test]
async fn text_that_cannot_be_a_keyword_calls_no_table() {
    let world = warm().await;
    for text in ["🛑🛑", "   ", "I would like to know when my order is going to arrive at the shop in town"] {
        world.says(SHEENA, text).await;
    }
    assert_eq!(world.calls.counts(), calls(0, 0));
}

#[tokio::test]
async fn other_text_is_read_once_for_five_units_at_most_even_with_the_largest_settings() {
    let world = World::start().await;
    let long = |prefix: &str| (0..50).map(|index| format!("{prefix}{index:02}{}", "é".repeat(18))).collect::<Vec<_>>();
    world
        .change_settings(|settings| {
            settings["opt_out_keywords"] = json!(long("out"));
            settings["opt_in_keywords"] = json!(long("in"));
            settings["opt_out_message"] = "x".repeat(1_000).into();
            settings["opt_in_message"] = "x".repeat(1_000).into();
        })
        .await;
    world.says(SHEENA, "hello").await;
    world.calls.reset();
    world.says(SHEENA, "hello").await;
    assert_eq!(world.calls.counts(), calls(1, 0));
    assert!((1.0..=5.0).contains(&world.calls.read_units()), "{}", world.calls.read_units());
}

#[tokio::test]
async fn a_keyword_that_changes_consent_is_one_read_and_one_transaction() {
    let world = warm().await;
    world.says(SHEENA, "STOP").await;
    assert_eq!(world.calls.counts(), calls(1, 1));
    world.calls.reset();
    world.says(SHEENA, "START").await;
    assert_eq!(world.calls.counts(), calls(1, 1));
}

#[tokio::test]
async fn a_keyword_that_changes_nothing_is_one_read_and_at_most_one_transaction() {
    let world = warm().await;
    world.says(SHEENA, "START").await;
    assert_eq!(world.calls.counts(), calls(1, 1));
    world.says(SHEENA, "STOP").await;
    world.calls.reset();
    world.says(SHEENA, "STOP").await;
    assert_eq!(world.calls.counts(), calls(1, 1));
    world.change_settings(|settings| settings["enabled"] = Value::Bool(false)).await;
    world.calls.reset();
    world.says(SHEENA, "STOP").await;
    assert_eq!(world.calls.counts(), calls(1, 1));
}

#[tokio::test]
async fn a_message_delivered_again_is_one_read() {
    let world = warm().await;
    let stop = world.says(SHEENA, "STOP").await;
    world.calls.reset();
    world.delivers(&stop).await;
    assert_eq!(world.calls.counts(), calls(1, 0));
}

#[tokio::test]
async fn a_body_of_many_messages_is_read_once_for_each_hundred_keys() {
    let world = warm().await;
    let messages: Vec<Value> =
        (0..45).map(|index| world.message(&format!("141555501{index:02}"), "hello").json()).collect();
    world.post_webhook(&webhook(&messages)).await;
    assert_eq!(world.calls.counts(), calls(1, 0));
}
