//! The budgets of each kind of work, in calls of the table and read units.

use axum::http::StatusCode;
use consent::log::Metric;
use serde_json::{Value, json};
use tests::{Counted, Message, World, webhook};

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

/// The tenants of the test below; each has a channel.
const TENANTS: usize = 40;

/// Number of the first tenant's updates among the thousand: more than one read has room for.
const OF_THE_FIRST: usize = 220;

/// The first so many other tenants have a customer each who says a keyword.
const KEYWORDS: usize = 20;

#[tokio::test]
async fn a_thousand_mixed_updates_of_forty_tenants_cost_no_more_than_their_keys_and_their_changes() {
    let world = World::start().await;
    for tenant in 0..TENANTS {
        world.register(&channel(tenant), &format!("tenant-{tenant}")).await;
    }
    let hello = vec![world.message("14155550199", "hello").json()];
    assert_eq!(world.post_webhook(&body(&vec![hello; TENANTS])).await, StatusCode::OK);
    let updates: Vec<Vec<Value>> = (0..TENANTS).map(|tenant| updates(&world, tenant)).collect();
    assert_eq!(updates.iter().map(Vec::len).sum::<usize>(), 1_000);
    world.calls.reset();
    let counted = Counted::from_now_on();
    assert_eq!(world.post_webhook(&body(&updates)).await, StatusCode::OK);

    // Of a text that may be a keyword, its sender and its place in the history are looked up, and the settings once.
    let keys = |updates: &Vec<Value>| 1 + 2 * updates.iter().filter(|update| may_be_a_keyword(update)).count();
    let reads: usize = updates.iter().map(|updates| keys(updates).div_ceil(100)).sum();
    assert!(world.calls.count("BatchGetItem") <= reads, "{:?}, where {reads} reads do", world.calls.counts());
    assert_eq!(world.calls.count("TransactWriteItems"), KEYWORDS);
    assert_eq!(world.calls.total(), world.calls.count("BatchGetItem") + KEYWORDS);
    assert_eq!((counted.count(Metric::BadUpdate), counted.count(Metric::OptOut)), (5, KEYWORDS), "{:?}", counted.all());
    let items = world.items().await;
    let history: Vec<&Value> = items.iter().filter(|item| item["pk"].as_str().unwrap().contains("#H#")).collect();
    assert_eq!(history.len(), KEYWORDS);
    assert!(history.iter().all(|entry| entry["kind"] == "opt_out" && entry["effect"] == "changed"));
}

fn channel(tenant: usize) -> String {
    format!("{}", 300 + tenant)
}

/// One body with a change for each tenant's channel.
fn body(updates: &[Vec<Value>]) -> Value {
    let change = |(tenant, updates): (usize, &Vec<Value>)| {
        let (statuses, messages): (Vec<_>, Vec<_>) =
            updates.iter().cloned().partition(|update| update["status"].is_string());
        let mut change = webhook(&messages)["entry"][0]["changes"][0].take();
        change["value"]["metadata"]["phone_number_id"] = channel(tenant).into();
        change["value"]["statuses"] = statuses.into();
        change
    };
    json!({"entry": [{"id": "1", "changes": updates.iter().enumerate().map(change).collect::<Vec<_>>()}]})
}

fn updates(world: &World, tenant: usize) -> Vec<Value> {
    let count = if tenant == 0 { OF_THE_FIRST } else { (1_000 - OF_THE_FIRST) / (TENANTS - 1) };
    let from = |index: usize| format!("1{}55501{:02}", 415 + index / 100, index % 100);
    let mut updates: Vec<Value> = (0..count).map(|index| ordinary(world, tenant, &from(index), index)).collect();
    if (1..=KEYWORDS).contains(&tenant) {
        updates[7] = world.message(&from(7), if tenant.is_multiple_of(2) { "STOP" } else { " *Stop!* 🛑" }).json();
    }
    let malformed = [
        json!("no update"),
        json!(7),
        json!([{"from": "14155550123", "text": {"body": "STOP"}}]),
        Message::text("", "START").with_id("wamid.nobody").at(world.seconds()).without("from").json(),
        Message::text(&from(3), "START").with_id("wamid.timeless").json(),
    ];
    if let Some(malformed) = malformed.into_iter().nth(tenant.wrapping_sub(KEYWORDS - 2)) {
        updates[3] = malformed;
    }
    updates
}

/// An update that changes nothing; the first tenant's are all texts that may be a keyword.
fn ordinary(world: &World, tenant: usize, from: &str, index: usize) -> Value {
    let status = |status: &str| json!({"id": format!("wamid.{tenant}.{index}"), "status": status, "timestamp": "1795341600", "recipient_id": from});
    match if tenant == 0 { 0 } else { index % 5 } {
        0 => world.message(from, "hello").json(),
        1 => world.message(from, "I would like to know when my order is going to arrive at the shop in town").json(),
        2 => {
            Message::of(from, json!({"type": "reaction", "reaction": {"message_id": "wamid.X", "emoji": "🛑"}})).json()
        }
        3 => status("delivered"),
        _ => status("failed"),
    }
}

fn may_be_a_keyword(update: &Value) -> bool {
    update["text"]["body"].as_str().is_some_and(|text| text.len() <= 64)
}
