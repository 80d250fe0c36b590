//! Nothing that was acknowledged is lost, and nothing that was not counts: whatever stops, repeats or races.

use axum::http::{Method, StatusCode};
use futures::future::join_all;
use serde_json::json;
use tests::{Fault, World, webhook};

const SHEENA: &str = "14155550123";

#[tokio::test]
async fn a_stop_that_meets_a_stopped_table_is_delivered_again_and_counts_then() {
    let world = World::start().await;
    world.says(SHEENA, "hello").await;
    let stop = world.message(SHEENA, "STOP");
    let engine = world.system.engine().unwrap();
    engine.stop().await;
    assert_eq!(world.deliver(&stop).await, StatusCode::INTERNAL_SERVER_ERROR);
    engine.restart().await.unwrap();
    assert_eq!(world.contact(SHEENA).await, None);
    world.delivers(&stop).await;
    assert_eq!(world.status(SHEENA).await, "opted_out");
    assert_eq!(world.history(SHEENA).await.len(), 1);
}

#[tokio::test]
async fn deliveries_at_the_same_moment_count_once() {
    let world = World::start().await;
    let stop = world.message(SHEENA, "STOP");
    let statuses = join_all((0..12).map(|_| world.deliver(&stop))).await;
    assert!(statuses.iter().all(|status| *status == StatusCode::OK), "{statuses:?}");
    assert_eq!(world.history(SHEENA).await.len(), 1);
    world.sweep().await;
    assert_eq!(world.sent().len(), 1);
}

#[tokio::test]
async fn wishes_at_the_same_moment_are_all_kept_and_the_newest_stands() {
    let world = World::start().await;
    let now = world.seconds();
    let wishes: Vec<_> = (0..12)
        .map(|index| {
            let text = if index % 2 == 0 { "STOP" } else { "START" };
            world.message(SHEENA, text).at(now - 60 + index)
        })
        .collect();
    let statuses = join_all(wishes.iter().map(|wish| world.deliver(wish))).await;
    for (wish, status) in wishes.iter().zip(statuses) {
        if status != StatusCode::OK {
            world.delivers(wish).await;
        }
    }
    assert_eq!(world.history(SHEENA).await.len(), 12);
    assert_eq!(world.status(SHEENA).await, "opted_in");
}

#[tokio::test]
async fn a_transaction_that_meets_another_is_decided_again() {
    let world = World::start().await;
    world.calls.fail("TransactWriteItems", [Fault::Conflict, Fault::Conflict, Fault::Conflict]);
    world.says(SHEENA, "STOP").await;
    assert_eq!(world.status(SHEENA).await, "opted_out");
    assert_eq!(world.history(SHEENA).await.len(), 1);
}

#[tokio::test]
async fn conflicts_without_end_are_an_error_not_a_loss() {
    let world = World::start().await;
    let stop = world.message(SHEENA, "STOP");
    world.calls.fail("TransactWriteItems", [Fault::Conflict; 8]);
    assert_eq!(world.deliver(&stop).await, StatusCode::INTERNAL_SERVER_ERROR);
    world.delivers(&stop).await;
    assert_eq!(world.status(SHEENA).await, "opted_out");
}

#[tokio::test]
async fn an_overloaded_table_is_asked_again() {
    let world = World::start().await;
    world.calls.fail("BatchGetItem", [Fault::Throttled, Fault::Unprocessed(100), Fault::Unprocessed(100)]);
    world.calls.fail("TransactWriteItems", [Fault::Throttled]);
    world.says(SHEENA, "STOP").await;
    assert_eq!(world.status(SHEENA).await, "opted_out");
}

#[tokio::test]
async fn one_contact_that_cannot_be_written_holds_up_no_other() {
    let world = World::start().await;
    let numbers = ["14155550100", "14155550101", "14155550102"];
    let messages: Vec<_> = numbers.iter().map(|number| world.message(number, "STOP").json()).collect();
    let body = webhook(&messages);
    world.says("14155550199", "hello").await;
    world.calls.fail("TransactWriteItems", [Fault::Denied]);
    assert_eq!(world.post_webhook(&body).await, StatusCode::INTERNAL_SERVER_ERROR);
    let mut known = 0;
    for number in numbers {
        known += usize::from(world.contact(number).await.is_some());
    }
    assert_eq!(known, 2);
    assert_eq!(world.post_webhook(&body).await, StatusCode::OK);
    for number in numbers {
        assert_eq!(world.status(number).await, "opted_out");
        assert_eq!(world.history(number).await.len(), 1);
    }
}

#[tokio::test]
async fn one_contact_that_cannot_be_read_holds_up_no_other() {
    let world = World::start().await;
    world.says(SHEENA, "STOP").await;
    let text = |text: &str| aws_sdk_dynamodb::types::AttributeValue::S(text.to_owned());
    let stored = world.system.dynamodb().scan().table_name(local::TABLE).send().await.unwrap();
    let mut item = stored.items().iter().find(|item| item.contains_key("opt_out")).unwrap().clone();
    item.insert("version".to_owned(), text("odd"));
    world.system.dynamodb().put_item().table_name(local::TABLE).set_item(Some(item)).send().await.unwrap();
    let messages = [world.message(SHEENA, "START").json(), world.message("14155550124", "STOP").json()];
    assert_eq!(world.post_webhook(&webhook(&messages)).await, StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(world.status("14155550124").await, "opted_out");
}

#[tokio::test]
async fn staff_and_customer_at_the_same_moment_both_count() {
    let world = World::start().await;
    world.says(SHEENA, "STOP").await;
    world.wait(1);
    let start = world.message(SHEENA, "START");
    let ((), blocked) = tokio::join!(world.delivers(&start), world.block(SHEENA, true));
    assert_eq!(blocked.status, StatusCode::OK);
    let contact = world.contact(SHEENA).await.unwrap();
    assert_eq!((&contact["status"], &contact["blocked"]), (&json!("opted_in"), &json!(true)));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_erasure_takes_no_proof_of_what_came_after_it() {
    let world = World::start().await;
    for index in 0..100 {
        let number = format!("1415555{index:04}");
        let stop = world.message(&number, "STOP");
        let path = format!("/contacts/{number}");
        let erase = || world.ask(Method::DELETE, &path, None);
        tokio::join!(erase(), erase(), world.delivers(&stop), erase());
        let contact = world.contact(&number).await.unwrap();
        let erased = contact.get("phone").is_none();
        assert_eq!(world.history(&number).await.is_empty(), erased, "{contact}");
        assert_eq!(contact["status"], "opted_out");
    }
}

#[tokio::test]
async fn a_campaign_that_cannot_read_the_whole_list_is_an_error() {
    let world = World::start().await;
    let contacts: Vec<String> = (0..250).map(|index| format!("+1415555{index:04}")).collect();
    let campaign = json!({"tenant_id": "demo", "category": "marketing", "contacts": contacts});
    world.calls.fail("BatchGetItem", [Fault::Unprocessed(100), Fault::Throttled]);
    assert_eq!(world.filter(&campaign).await.unwrap()["counts"]["eligible"], 250);
    world.calls.fail("BatchGetItem", [Fault::Denied]);
    assert_eq!(world.filter(&campaign).await, Err("StoreUnavailable".to_owned()));
}
