//! Attempts with an unknown outcome: answers that are lost, and functions that crash.

use std::time::Duration;

use axum::http::StatusCode;
use consent::log::Metric;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use tests::{Counted, World};

const SHEENA: &str = "14155550123";

/// The lease of a first attempt, in seconds.
const LEASE: u64 = 4 * 60;

/// The lease of an attempt after one with an unknown outcome, in seconds.
const LONG_LEASE: u64 = 60 * 60;

async fn state(world: &World, index: usize) -> Value {
    world.history(SHEENA).await[index]["confirmation"]["state"].clone()
}

#[tokio::test]
async fn an_answer_that_was_lost_is_not_sent_again_once_a_status_came() {
    let world = World::start().await;
    world.says(SHEENA, "STOP").await;
    world.system.graph().lose_answers(1);
    world.sweep().await;
    assert_eq!((world.sent().len(), state(&world, 0).await), (1, json!("pending")));
    assert_eq!(world.post_webhook(&world.status_of_the_last("delivered")).await, StatusCode::OK);
    assert_eq!(world.history(SHEENA).await[0]["confirmation"]["message_id"], "wamid.answer");
    for _ in 0..3 {
        world.wait(LONG_LEASE);
        world.sweep().await;
    }
    assert_eq!((world.sent().len(), state(&world, 0).await), (1, json!("sent")));
}

#[tokio::test]
async fn an_answer_that_was_lost_is_sent_again_after_4_minutes_and_after_an_hour_and_then_never() {
    let world = World::start().await;
    world.says(SHEENA, "STOP").await;
    world.system.graph().lose_answers(9);
    let counted = Counted::from_now_on();
    world.sweep().await;
    for (sent, wait) in [(1, 4 * 60), (2, 60 * 60), (3, 60 * 60)] {
        world.wait(wait - 1);
        world.sweep().await;
        assert_eq!((world.sent().len(), state(&world, 0).await), (sent, json!("pending")));
        world.wait(1);
        world.sweep().await;
    }
    assert_eq!((world.sent().len(), state(&world, 0).await), (3, json!("failed")));
    assert_eq!((world.outbox().await, counted.count(Metric::ConfirmationFailed)), (0, 1));
}

#[tokio::test]
async fn a_crash_before_the_record_costs_two_repeats_at_most() {
    let world = World::start().await;
    world.says(SHEENA, "STOP").await;
    // The taking succeeds, the record does not: as if the function had died in between.
    for _ in 0..5 {
        world.calls.fail("TransactWriteItems", [tests::Fault::Pass, tests::Fault::Denied]);
        world.sweep().await;
        world.wait(LONG_LEASE);
    }
    assert_eq!(world.sent().len(), 3);
    world.calls.forgive();
    world.sweep().await;
    assert_eq!(world.sent().len(), 3);
    assert_eq!(state(&world, 0).await, "failed");
}

/// Has `confirmation` begin with an event, and kills it when WhatsApp has taken one more message and not answered yet.
async fn killed_after_its_send(world: &World, event: &RawValue) {
    let graph = world.system.graph();
    graph.slow_down(Duration::from_mins(1));
    world.confirm_until(graph.sent(graph.outbox().len() + 1), event).await;
    graph.slow_down(Duration::ZERO);
}

/// Some hours in which the stream brings its record again and again, and the outbox is swept.
async fn hours_pass(world: &World, record: &RawValue) {
    for _ in 0..5 {
        world.confirm(record).await;
        world.sweep().await;
        world.wait(LONG_LEASE);
    }
}

#[tokio::test]
async fn killed_between_send_and_record_it_has_sent_once_where_a_status_came_in_between() {
    let world = World::start().await;
    world.says(SHEENA, "STOP").await;
    let record = world.outbox_event().await;
    killed_after_its_send(&world, &record).await;
    assert_eq!((world.sent().len(), state(&world, 0).await), (1, json!("pending")));
    assert_eq!(world.post_webhook(&world.status_of_the_last("sent")).await, StatusCode::OK);
    hours_pass(&world, &record).await;
    assert_eq!((world.sent().len(), state(&world, 0).await), (1, json!("sent")));
    assert_eq!(world.outbox().await, 0);
}

#[tokio::test]
async fn killed_between_send_and_record_it_sends_a_second_time_where_no_status_came_and_no_third_time() {
    let world = World::start().await;
    world.says(SHEENA, "STOP").await;
    let record = world.outbox_event().await;
    killed_after_its_send(&world, &record).await;
    world.confirm(&record).await;
    world.sweep().await;
    assert_eq!((world.sent().len(), state(&world, 0).await), (1, json!("pending")), "the lease is not over");
    world.wait(LEASE);
    hours_pass(&world, &record).await;
    assert_eq!((world.sent().len(), state(&world, 0).await), (2, json!("sent")));
    assert_eq!(world.outbox().await, 0);
}

#[tokio::test]
async fn killed_three_times_between_send_and_record_it_gives_up() {
    let world = World::start().await;
    world.says(SHEENA, "STOP").await;
    let record = world.outbox_event().await;
    killed_after_its_send(&world, &record).await;
    let sweep = RawValue::from_string("{}".to_owned()).unwrap();
    for lease in [LEASE, LONG_LEASE] {
        world.wait(lease);
        killed_after_its_send(&world, &sweep).await;
    }
    world.wait(LONG_LEASE);
    hours_pass(&world, &record).await;
    assert_eq!((world.sent().len(), state(&world, 0).await), (3, json!("failed")));
    assert_eq!(world.outbox().await, 0);
}

#[tokio::test]
async fn killed_before_its_send_it_sends_once_when_the_lease_is_over() {
    let world = World::start().await;
    world.says(SHEENA, "STOP").await;
    let record = world.outbox_event().await;
    // The function reads the entry, claims the item, and crashes while it reads the contact.
    world.calls.fail("BatchGetItem", [tests::Fault::Pass, tests::Fault::Hanging]);
    world.confirm_until(world.calls.hanging(), &record).await;
    world.calls.forgive();
    world.confirm(&record).await;
    world.sweep().await;
    assert_eq!((world.sent().len(), world.outbox().await), (0, 1), "the lease is not over");
    world.wait(LEASE);
    hours_pass(&world, &record).await;
    assert_eq!((world.sent().len(), state(&world, 0).await), (1, json!("sent")));
    assert_eq!(world.outbox().await, 0);
}

#[tokio::test]
async fn killed_before_it_took_the_item_it_sends_as_soon_as_the_record_comes_again() {
    let world = World::start().await;
    world.says(SHEENA, "STOP").await;
    let record = world.outbox_event().await;
    world.calls.fail("TransactWriteItems", [tests::Fault::Hanging]);
    world.confirm_until(world.calls.hanging(), &record).await;
    world.calls.forgive();
    world.confirm(&record).await;
    assert_eq!((world.sent().len(), state(&world, 0).await), (1, json!("sent")));
    world.wait(61);
    hours_pass(&world, &record).await;
    assert_eq!((world.sent().len(), world.outbox().await), (1, 0));
}
