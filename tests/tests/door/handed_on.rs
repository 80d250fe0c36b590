//! Ids that pass from one person to the next, with news that comes late and erasures in between. Most of
//! these histories were found by the reference model.

use axum::http::{Method, StatusCode};
use serde_json::{Value, json};
use tests::{World, webhook};

const A: &str = "14155550101";
const B: &str = "14155550102";
const C: &str = "14155550103";
const ANN: &str = "US.11111111111111111111";
const ANN_LATER: &str = "US.11111111111111111112";
const ANN_LAST: &str = "US.11111111111111111113";
const BOB: &str = "US.22222222222222222222";

/// Somebody of these ids says something, so many seconds ago.
fn says(world: &World, ids: &[&str], words: &str, ago: i64) -> Value {
    let seconds = world.seconds() - ago;
    let mut message = json!({"id": format!("wamid.{ids:?}.{seconds}"), "timestamp": seconds.to_string()});
    message["type"] = "text".into();
    message["text"] = json!({"body": words});
    for id in ids {
        message[if id.starts_with('1') { "from" } else { "from_user_id" }] = (*id).into();
    }
    message
}

/// The news that a number or a user id was changed, so many seconds ago.
fn moved(world: &World, from: &str, to: &str, ago: i64) -> Value {
    let seconds = world.seconds() - ago;
    let mut message = json!({"id": format!("wamid.{from}.{to}.{seconds}"), "timestamp": seconds.to_string()});
    message["type"] = "system".into();
    if from.starts_with('1') {
        message["from"] = from.into();
        message["system"] = json!({"type": "user_changed_number", "wa_id": to});
    } else {
        message["system"] = json!({"type": "user_changed_user_id", "user_id": to, "previous_user_id": from});
    }
    message
}

async fn deliver(world: &World, message: Value) {
    assert_eq!(world.post_webhook(&webhook(&[message])).await, StatusCode::OK);
    world.wait(10);
}

async fn erase(world: &World, id: &str) {
    world.ask(Method::DELETE, &format!("/contacts/{id}"), None).await.expect(StatusCode::NO_CONTENT);
    world.wait(10);
}

async fn is_opted_out(world: &World, id: &str) -> bool {
    let campaign = json!({"tenant_id": "demo", "category": "marketing", "contacts": [id]});
    world.filter(&campaign).await.unwrap()["skipped"][0]["reason"] == "opted_out"
}

#[tokio::test]
async fn the_start_of_a_numbers_next_holder_who_was_erased_undoes_no_stop_of_the_holder_before() {
    let world = World::start().await;
    let stop = says(&world, &[A, ANN], "STOP", 0);
    world.wait(10);
    deliver(&world, says(&world, &[A, BOB], "START", 0)).await;
    erase(&world, BOB).await;
    deliver(&world, stop).await;
    assert!(is_opted_out(&world, ANN).await);
}

#[tokio::test]
async fn words_from_before_an_erasure_leave_no_history_under_either_id_of_their_sender() {
    for erased in [[A, ANN], [ANN, A]] {
        let world = World::start().await;
        world.switch(A, "opted_out").await;
        let stop = says(&world, &[A, ANN], "STOP", 0);
        world.wait(10);
        for id in erased {
            erase(&world, id).await;
        }
        deliver(&world, stop).await;
        for id in [A, ANN] {
            assert_eq!(world.history(id).await, Vec::<Value>::new(), "{erased:?} {id}");
            assert!(is_opted_out(&world, id).await, "{erased:?} {id}");
        }
    }
}

#[tokio::test]
async fn an_erasure_of_one_id_takes_the_words_that_were_said_under_both_before() {
    let world = World::start().await;
    world.switch(A, "opted_out").await;
    world.wait(10);
    erase(&world, A).await;
    let stop = says(&world, &[A, ANN], "STOP", 0);
    world.wait(10);
    erase(&world, ANN).await;
    for _ in 0..3 {
        deliver(&world, stop.clone()).await;
    }
    for id in [A, ANN] {
        assert_eq!(world.history(id).await, Vec::<Value>::new(), "{id}");
        assert!(is_opted_out(&world, id).await, "{id}");
    }
}

#[tokio::test]
async fn an_id_that_was_left_leads_to_the_person_whatever_becomes_of_the_number_that_the_person_had() {
    let world = World::start().await;
    deliver(&world, says(&world, &[A, ANN], "START", 0)).await;
    deliver(&world, moved(&world, ANN, ANN_LATER, 0)).await;
    deliver(&world, moved(&world, ANN_LATER, ANN_LAST, 0)).await;
    // Bob comes to Ann's number, and leaves it for another.
    deliver(&world, says(&world, &[B, BOB], "START", 0)).await;
    deliver(&world, moved(&world, B, A, 0)).await;
    deliver(&world, says(&world, &[C, BOB], "STOP", 0)).await;
    for id in [ANN, ANN_LATER, ANN_LAST] {
        world.switch(id, "opted_in").await;
        assert!(is_opted_out(&world, C).await && is_opted_out(&world, BOB).await, "{id}");
    }
}

#[tokio::test]
async fn an_id_that_was_left_shows_the_person_after_news_of_a_number_that_contradict_each_other() {
    let world = World::start().await;
    deliver(&world, says(&world, &[A, ANN], "STOP", 0)).await;
    deliver(&world, moved(&world, ANN, ANN_LATER, 0)).await;
    deliver(&world, says(&world, &[ANN_LATER], "START", 0)).await;
    deliver(&world, moved(&world, A, B, 0)).await;
    deliver(&world, moved(&world, A, C, 0)).await;
    assert!(is_opted_out(&world, ANN).await, "the old id keeps its suppression");
    assert_eq!(world.contact(ANN).await, world.contact(ANN_LATER).await);
    assert_ne!(world.contact(ANN).await, None);
}

#[tokio::test]
async fn the_first_message_with_the_user_id_of_who_moved_is_one_read_and_one_transaction() {
    let world = World::start().await;
    deliver(&world, says(&world, &[A], "hello", 0)).await;
    deliver(&world, says(&world, &[A], "STOP", 0)).await;
    deliver(&world, moved(&world, A, B, 0)).await;
    deliver(&world, moved(&world, B, C, 0)).await;
    world.calls.reset();
    deliver(&world, says(&world, &[C, ANN], "START", 0)).await;
    let counts = world.calls.counts();
    assert_eq!(counts, [("BatchGetItem".to_owned(), 1), ("TransactWriteItems".to_owned(), 1)]);
    assert!(!is_opted_out(&world, ANN).await && is_opted_out(&world, A).await);
}
