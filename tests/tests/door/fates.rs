//! The fate of a confirmation that two sides know something of: the answer to its sending, and what WhatsApp reports of it.

use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use axum::http::{Method, StatusCode};
use consent::log::Metric;
use serde_json::{Value, json};
use tests::{Counted, Fault, World, webhook};

const SHEENA: &str = "14155550123";

async fn confirmation(world: &World) -> Value {
    world.history(SHEENA).await[0]["confirmation"].clone()
}

/// Sweeps, and does something else while WhatsApp has the message and has not answered yet.
async fn sweep_and_meanwhile<T>(world: &World, meanwhile: impl Future<Output = T>) -> T {
    let graph = world.system.graph();
    graph.slow_down(Duration::from_millis(500));
    let meanwhile = async {
        graph.sent(1).await;
        meanwhile.await
    };
    let ((), result) = tokio::join!(world.sweep(), meanwhile);
    graph.slow_down(Duration::ZERO);
    result
}

#[tokio::test]
async fn what_whatsapp_reports_before_it_answers_stands() {
    for (reported, code) in [("failed", json!(131_026)), ("delivered", Value::Null)] {
        let world = World::start().await;
        world.says(SHEENA, "STOP").await;
        let report = async {
            assert_eq!(world.post_webhook(&world.status_of_the_last(reported)).await, StatusCode::OK);
            confirmation(&world).await
        };
        let stood = sweep_and_meanwhile(&world, report).await;
        assert_eq!(stood["code"], code, "{reported}");
        assert_eq!(confirmation(&world).await, stood, "{reported}");
        assert_eq!((world.sent().len(), world.outbox().await), (1, 0), "{reported}");
    }
}

#[tokio::test]
async fn an_erasure_while_the_message_is_sent_leaves_neither_entry_nor_outbox_item() {
    let world = World::start().await;
    world.says(SHEENA, "STOP").await;
    let erasure = async { world.ask(Method::DELETE, &format!("/contacts/{SHEENA}"), None).await.status };
    assert_eq!(sweep_and_meanwhile(&world, erasure).await, StatusCode::NO_CONTENT);
    assert_eq!((world.history(SHEENA).await, world.outbox().await), (Vec::new(), 0));
}

/// Sets a field of the only confirmation to `sent` behind the system's back; without a field, deletes the entry.
async fn change_entry(world: &World, field: Option<&str>) {
    let text = |value: &Value| AttributeValue::S(value.as_str().unwrap().to_owned());
    let entry = stored_entry(world).await;
    let (pk, sk, table) = (text(&entry["pk"]), text(&entry["sk"]), world.system.dynamodb());
    let Some(field) = field else {
        table.delete_item().table_name(local::TABLE).key("pk", pk).key("sk", sk).send().await.unwrap();
        return;
    };
    let update = table.update_item().table_name(local::TABLE).key("pk", pk).key("sk", sk);
    let update =
        update.update_expression("SET confirmation.#field = :sent").expression_attribute_names("#field", field);
    update.expression_attribute_values(":sent", text(&json!("sent"))).send().await.unwrap();
}

async fn stored_entry(world: &World) -> Value {
    let mut items = world.items().await.into_iter();
    items.find(|item| item["pk"].as_str().unwrap().contains("#H#")).unwrap()
}

/// Sweeps, and changes the history's only entry between its reading and the claim.
async fn sweep_and_change_before_the_claim(world: &World, field: Option<&str>) {
    world.calls.reset();
    // The claim is tried again and again for a while, as it meets other transactions.
    world.calls.fail("TransactWriteItems", [Fault::Conflict; 5]);
    let change = async {
        while world.calls.count("TransactWriteItems") == 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        change_entry(world, field).await;
    };
    tokio::join!(world.sweep(), change);
}

#[tokio::test]
async fn an_entry_that_went_after_it_was_read_is_neither_confirmed_nor_made_again() {
    let world = World::start().await;
    world.says(SHEENA, "STOP").await;
    sweep_and_change_before_the_claim(&world, None).await;
    world.sweep().await;
    assert_eq!(world.sent(), []);
    assert_eq!((world.history(SHEENA).await, world.outbox().await), (Vec::new(), 0));
}

#[tokio::test]
async fn a_confirmation_that_was_settled_after_it_was_read_is_not_sent() {
    let world = World::start().await;
    world.says(SHEENA, "STOP").await;
    sweep_and_change_before_the_claim(&world, Some("state")).await;
    world.sweep().await;
    assert_eq!((world.sent().len(), world.outbox().await), (0, 0));
}

#[tokio::test]
async fn fields_of_a_later_version_survive_the_fate_of_a_confirmation() {
    let world = World::start().await;
    world.says(SHEENA, "STOP").await;
    change_entry(&world, Some("later")).await;
    world.sweep().await;
    let survives = async || stored_entry(&world).await["confirmation"]["later"].clone();
    assert_eq!((confirmation(&world).await["state"].clone(), survives().await), (json!("sent"), json!("sent")));
    assert_eq!(world.post_webhook(&world.status_of_the_last("failed")).await, StatusCode::OK);
    assert_eq!((confirmation(&world).await["state"].clone(), survives().await), (json!("failed"), json!("sent")));
}

#[tokio::test]
async fn every_way_to_end_failed_is_counted_once() {
    let world = World::start().await;
    world.says(SHEENA, "STOP").await;
    world.sweep().await;
    let counted = Counted::from_now_on();
    let mut body = world.status_of_the_last("sent");
    let failed = world.status_of_the_last("failed")["entry"][0]["changes"][0]["value"]["statuses"][0].clone();
    let statuses = &mut body["entry"][0]["changes"][0]["value"]["statuses"];
    statuses.as_array_mut().unwrap().extend([failed.clone(), failed]);
    for _ in 0..2 {
        assert_eq!(world.post_webhook(&body).await, StatusCode::OK);
    }
    assert_eq!(
        (confirmation(&world).await["state"].clone(), counted.count(Metric::ConfirmationFailed)),
        (json!("failed"), 1)
    );
}

/// Twenty customers opt out and are told; all statuses of all these messages in one body.
async fn twenty_reported(world: &World) -> Value {
    for index in 0..20 {
        world.says(&format!("141555501{index:02}"), "STOP").await;
    }
    world.sweep().await;
    let outbox = world.system.graph().outbox();
    let status = |index: usize, state: &str| {
        json!({"id": format!("wamid.answer.{index}"), "status": state, "timestamp": world.seconds().to_string(),
            "biz_opaque_callback_data": outbox[index]["biz_opaque_callback_data"], "errors": [{"code": 131_026}]})
    };
    let all = |state| (0..20).map(move |index| status(index, state));
    let mut body = webhook(&[]);
    body["entry"][0]["changes"][0]["value"]["statuses"] = all("sent").chain(all("failed")).collect();
    world.calls.reset();
    body
}

#[tokio::test]
async fn reports_of_many_confirmations_are_one_read_and_a_write_each() {
    let world = World::start().await;
    let body = twenty_reported(&world).await;
    let counted = Counted::from_now_on();
    assert_eq!(world.post_webhook(&body).await, StatusCode::OK);
    assert_eq!((world.calls.count("BatchGetItem"), world.calls.count("TransactWriteItems")), (1, 20));
    assert_eq!(counted.count(Metric::ConfirmationFailed), 20);
    world.calls.reset();
    assert_eq!(world.post_webhook(&body).await, StatusCode::OK);
    assert_eq!((world.calls.count("BatchGetItem"), world.calls.total()), (1, 1));
}

#[tokio::test]
async fn a_report_that_cannot_be_written_holds_up_no_other_and_is_delivered_again() {
    let world = World::start().await;
    let body = twenty_reported(&world).await;
    let counted = Counted::from_now_on();
    world.calls.fail("TransactWriteItems", [Fault::Denied, Fault::Conflict]);
    assert_eq!(world.post_webhook(&body).await, StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(counted.count(Metric::ConfirmationFailed), 19);
    assert_eq!(world.post_webhook(&body).await, StatusCode::OK);
    assert_eq!(counted.count(Metric::ConfirmationFailed), 20);
}
