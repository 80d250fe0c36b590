//! Confirmations to customers, each of which is sent once.

use axum::http::{Method, StatusCode};
use consent::log::Metric;
use serde_json::{Value, json};
use tests::{Counted, World};

const SHEENA: &str = "14155550123";

async fn state(world: &World, index: usize) -> Value {
    world.history(SHEENA).await[index]["confirmation"]["state"].clone()
}

#[tokio::test]
async fn the_stream_sends_one_confirmation_for_each_change() {
    let world = World::with_stream().await;
    world.says(SHEENA, "STOP").await;
    world.says(SHEENA, "STOP").await;
    world.system.stream_drained().await;
    world.says(SHEENA, "START").await;
    world.system.stream_drained().await;
    let sent = world.sent();
    assert_eq!(sent.len(), 2);
    assert!(sent.iter().all(|(to, _)| to == "+14155550123"));
    assert!(sent[0].1.starts_with("You are unsubscribed"), "{sent:?}");
    assert!(sent[1].1.starts_with("You are subscribed"), "{sent:?}");
    let history = world.history(SHEENA).await;
    let confirmations: Vec<&Value> = history.iter().map(|event| &event["confirmation"]["state"]).collect();
    assert_eq!(confirmations, [&json!("sent"), &Value::Null, &json!("sent")]);
    assert!(history[0]["confirmation"]["message_id"].is_string());
    world.sweep().await;
    assert_eq!(world.sent().len(), 2);
}

#[tokio::test]
async fn what_goes_out_is_a_text_from_the_channel_that_was_written_to() {
    let world = World::start().await;
    world.register("200", "demo").await;
    let mut body = tests::webhook(&[world.message("5215512345678", "STOP").json()]);
    body["entry"][0]["changes"][0]["value"]["metadata"]["phone_number_id"] = "200".into();
    assert_eq!(world.post_webhook(&body).await, StatusCode::OK);
    world.sweep().await;
    assert_eq!(world.system.graph().channels(), ["200"]);
    let sent = world.system.graph().outbox();
    assert_eq!(sent[0]["messaging_product"], "whatsapp");
    assert_eq!(sent[0]["to"], "+5215512345678", "the number as received, not as it is found under");
    assert_eq!(sent[0]["text"]["preview_url"], false);
}

#[tokio::test]
async fn a_customer_without_a_number_is_told_by_id() {
    let world = World::start().await;
    let message = world.message("x", "STOP").without("from").json();
    let mut body = tests::webhook(&[message]);
    let message = &mut body["entry"][0]["changes"][0]["value"]["messages"][0];
    message["from_user_id"] = "US.13491208655302741918".into();
    assert_eq!(world.post_webhook(&body).await, StatusCode::OK);
    world.sweep().await;
    assert_eq!(world.system.graph().outbox()[0]["recipient"], "US.13491208655302741918");
    assert_eq!(world.status("US.13491208655302741918").await, "opted_out");
}

#[tokio::test]
async fn only_the_customers_own_words_are_confirmed() {
    let world = World::start().await;
    world.switch(SHEENA, "opted_out").await;
    world.switch(SHEENA, "opted_in").await;
    let changes = json!({"changes": [{"id": SHEENA, "status": "opted_out"}]});
    world.ask(Method::POST, "/contacts/batch", Some(changes)).await.expect(StatusCode::OK);
    world.sweep().await;
    assert_eq!(world.sent(), []);
}

#[tokio::test]
async fn a_blocked_contact_is_told_nothing() {
    let world = World::start().await;
    world.block(SHEENA, true).await.expect(StatusCode::OK);
    world.says(SHEENA, "STOP").await;
    world.sweep().await;
    assert_eq!(world.sent(), []);
    assert_eq!(world.status(SHEENA).await, "opted_out");
}

#[tokio::test]
async fn an_empty_text_is_not_sent() {
    let world = World::start().await;
    world.change_settings(|settings| settings["opt_out_message"] = "".into()).await;
    world.says(SHEENA, "STOP").await;
    world.sweep().await;
    assert_eq!(world.sent(), []);
    assert_eq!(world.history(SHEENA).await[0]["confirmation"], Value::Null);
}

#[tokio::test]
async fn while_the_access_token_is_refused_a_confirmation_waits_and_goes_out_with_a_new_one() {
    let world = World::start().await;
    let secret = |token: &str| {
        let secret = json!({"app_secret": local::secrets::APP_SECRET, "verify_token": "x", "access_token": token});
        world.system.secrets().put(local::secrets::SECRET_ID, secret.to_string());
    };
    secret("expired");
    world.says(SHEENA, "STOP").await;
    world.wait(1);
    world.sweep().await;
    assert_eq!((world.sent().len(), state(&world, 0).await), (0, json!("pending")));
    secret(local::secrets::ACCESS_TOKEN);
    world.calls.reset();
    world.sweep().await;
    assert_eq!(world.calls.count("TransactWriteItems"), 0, "it was tried again without a pause");
    world.wait(61);
    world.sweep().await;
    assert_eq!((world.sent().len(), state(&world, 0).await), (1, json!("sent")));
}

#[tokio::test]
async fn errors_that_pass_are_tried_again_with_growing_gaps_until_it_goes_out() {
    let world = World::start().await;
    world.says(SHEENA, "STOP").await;
    world.system.graph().refuse([130_429, 131_056, 4, 80_007, 2, 131_016]);
    for gap in [30, 60, 120, 240, 480, 960] {
        world.sweep().await;
        assert_eq!((world.sent().len(), state(&world, 0).await), (0, json!("pending")));
        // No gap is shorter than half of the longest that it may have, or longer than that.
        world.wait(gap / 2 - 1);
        world.calls.reset();
        world.sweep().await;
        assert_eq!(world.calls.count("TransactWriteItems"), 0, "too early after a gap of {gap}");
        world.wait(gap / 2 + 1);
    }
    world.sweep().await;
    assert_eq!((world.sent().len(), state(&world, 0).await), (1, json!("sent")));
}

/// WhatsApp's error codes for one refused message: the code, the HTTP statuses of all sends, and the confirmation's state.
const REFUSALS: [(u32, &[u16], &str); 24] = [
    // Stopped by the customer; withheld; too late; undeliverable; spam.
    (131_050, &[400], "failed"),
    (131_049, &[400], "failed"),
    (130_472, &[400], "failed"),
    (131_047, &[400], "failed"),
    (131_026, &[400], "failed"),
    (131_021, &[400], "failed"),
    (131_048, &[400], "failed"),
    // Limits: of throughput, of the pair, of the app, of the account.
    (130_429, &[400, 200], "sent"),
    (131_056, &[400, 200], "sent"),
    (4, &[400, 200], "sent"),
    (80_007, &[400, 200], "sent"),
    // Troubles of WhatsApp's own.
    (2, &[500, 200], "sent"),
    (131_016, &[500, 200], "sent"),
    (133_004, &[500, 200], "sent"),
    (131_057, &[500, 200], "sent"),
    (131_000, &[500, 200], "sent"),
    // The access token: after the alarm, staff has a day to replace it.
    (0, &[401, 200], "sent"),
    (190, &[401, 200], "sent"),
    // Policy, lock, country; payment; template paused.
    (368, &[403], "failed"),
    (131_031, &[403], "failed"),
    (130_497, &[403], "failed"),
    (131_042, &[400], "failed"),
    (132_015, &[400], "failed"),
    (132_016, &[400], "failed"),
];

#[tokio::test]
async fn a_refusal_is_final_or_tried_again_as_its_code_says() {
    for (code, answers, fate) in REFUSALS {
        let world = World::start().await;
        world.says(SHEENA, "STOP").await;
        world.system.graph().refuse([code]);
        let counted = Counted::from_now_on();
        for _ in 0..4 {
            world.sweep().await;
            world.wait(3600);
        }
        assert_eq!(world.system.graph().answers(), answers, "{code}");
        let confirmation = world.history(SHEENA).await[0]["confirmation"].clone();
        assert_eq!(confirmation["state"], fate, "{code}");
        let expected = if fate == "failed" { json!(code) } else { Value::Null };
        assert_eq!(confirmation["code"], expected, "{code}");
        assert_eq!(confirmation["title"].is_string(), fate == "failed", "{code}");
        let alarms = [counted.count(Metric::ConfirmationFailed), counted.count(Metric::GraphTokenRefused)];
        assert_eq!(alarms, [usize::from(fate == "failed"), usize::from(code == 0 || code == 190)], "{code}");
    }
}

#[tokio::test]
async fn a_page_of_a_gateway_means_not_sent_and_is_tried_again_with_growing_gaps() {
    let world = World::start().await;
    world.says(SHEENA, "STOP").await;
    world.system.graph().answer_with_pages([502, 503, 504, 502, 503]);
    for gap in [30, 60, 120, 240, 480] {
        world.sweep().await;
        assert_eq!((world.sent().len(), state(&world, 0).await), (0, json!("pending")));
        world.wait(gap);
    }
    world.sweep().await;
    assert_eq!(world.system.graph().answers(), [502, 503, 504, 502, 503, 200]);
    assert_eq!((world.sent().len(), state(&world, 0).await), (1, json!("sent")));
}

#[tokio::test]
async fn a_confirmation_expires_a_day_after_the_message_not_after_its_receipt() {
    let world = World::start().await;
    let stop = world.message(SHEENA, "STOP");
    world.wait(24 * 60 * 60 - 60);
    world.delivers(&stop).await;
    world.system.graph().answer_with_pages([503]);
    let counted = Counted::from_now_on();
    world.sweep().await;
    assert_eq!(state(&world, 0).await, "pending");
    world.wait(90);
    world.sweep().await;
    assert_eq!((world.sent().len(), state(&world, 0).await), (0, json!("expired")));
    assert_eq!((world.outbox().await, counted.count(Metric::ConfirmationFailed)), (0, 1));
}

#[tokio::test]
async fn what_was_accepted_may_still_fail_and_what_failed_stays_so() {
    let world = World::start().await;
    world.says(SHEENA, "STOP").await;
    world.sweep().await;
    for (reported, stands) in [("sent", "sent"), ("failed", "failed"), ("read", "failed")] {
        assert_eq!(world.post_webhook(&world.status_of_the_last(reported)).await, StatusCode::OK);
        assert_eq!(state(&world, 0).await, stands, "after {reported}");
    }
    assert_eq!(world.history(SHEENA).await[0]["confirmation"]["code"], 131_026);
}

#[tokio::test]
async fn an_error_without_an_explanation_is_tried_a_few_times() {
    let world = World::start().await;
    world.says(SHEENA, "STOP").await;
    world.system.graph().refuse([131_000; 9]);
    for _ in 0..9 {
        world.sweep().await;
        world.wait(3600);
    }
    let confirmation = world.history(SHEENA).await[0]["confirmation"].clone();
    assert_eq!((&confirmation["state"], &confirmation["code"]), (&json!("failed"), &json!(131_000)));
    assert_eq!(world.system.graph().answers(), [500; 5]);
}

#[tokio::test]
async fn a_channel_without_a_secret_to_be_had_waits_until_there_is_one() {
    let world = World::start().await;
    world.says(SHEENA, "STOP").await;
    let body = json!({"tenant_id": "demo", "display_phone_number": "15550783881", "secret_id": "consent/nowhere"});
    let path = format!("/channels/{}", local::DEMO_CHANNEL);
    world.ask_as("demo", "consent/platform", Method::PUT, &path, Some(body)).await.expect(StatusCode::OK);
    world.wait(61);
    world.sweep().await;
    assert_eq!((world.sent().len(), state(&world, 0).await), (0, json!("pending")));
    world.register(local::DEMO_CHANNEL, "demo").await;
    world.wait(61);
    world.sweep().await;
    assert_eq!((world.sent().len(), state(&world, 0).await), (1, json!("sent")));
}

#[tokio::test]
async fn the_number_of_another_tenant_never_speaks_for_this_one() {
    let world = World::start().await;
    world.register("200", "demo").await;
    let mut body = tests::webhook(&[world.message(SHEENA, "STOP").json()]);
    body["entry"][0]["changes"][0]["value"]["metadata"]["phone_number_id"] = "200".into();
    assert_eq!(world.post_webhook(&body).await, StatusCode::OK);
    let text = |text: &str| aws_sdk_dynamodb::types::AttributeValue::S(text.to_owned());
    let channel = world.system.dynamodb().delete_item().table_name(local::TABLE).key("pk", text("CHANNEL#200"));
    channel.key("sk", text("CHANNEL")).send().await.unwrap();
    for minutes in [1, 2, 24 * 60] {
        world.sweep().await;
        assert_eq!((world.sent().len(), state(&world, 0).await), (0, json!("pending")));
        world.register("200", "other").await;
        world.wait(minutes * 60);
    }
    world.sweep().await;
    assert_eq!((world.sent().len(), state(&world, 0).await), (0, json!("expired")));
}

#[tokio::test]
async fn an_item_that_cannot_be_read_holds_up_no_other() {
    let world = World::start().await;
    world.says(SHEENA, "STOP").await;
    for shard in consent::id::Shard::all() {
        let text = |text: &str| aws_sdk_dynamodb::types::AttributeValue::S(text.to_owned());
        let item = world.system.dynamodb().put_item().table_name(local::TABLE);
        item.item("pk", text(&format!("OUTBOX#{shard}"))).item("sk", text("0000000000001#odd")).send().await.unwrap();
    }
    world.wait(1);
    world.sweep().await;
    assert_eq!(world.sent().len(), 1);
}

#[tokio::test]
async fn what_is_no_longer_so_is_not_sent() {
    let world = World::start().await;
    world.says(SHEENA, "STOP").await;
    world.says(SHEENA, "START").await;
    world.sweep().await;
    let sent = world.sent();
    assert_eq!(sent.len(), 1);
    assert!(sent[0].1.starts_with("You are subscribed"));
    assert_eq!((state(&world, 0).await, state(&world, 1).await), (json!("sent"), json!("superseded")));
}

#[tokio::test]
async fn after_a_day_a_confirmation_has_expired() {
    let world = World::start().await;
    world.says(SHEENA, "STOP").await;
    world.wait(24 * 60 * 60 + 1);
    world.sweep().await;
    assert_eq!(world.sent(), []);
    assert_eq!(state(&world, 0).await, "expired");
}

#[tokio::test]
async fn the_same_outbox_item_brought_twice_is_sent_once() {
    let world = World::start().await;
    world.says(SHEENA, "STOP").await;
    tokio::join!(world.sweep(), world.sweep(), world.sweep());
    assert_eq!(world.sent().len(), 1);
}

#[tokio::test]
async fn a_confirmation_of_someone_erased_since_is_dropped() {
    let world = World::start().await;
    world.says(SHEENA, "STOP").await;
    let erased = world.ask(Method::DELETE, &format!("/contacts/{SHEENA}"), None).await;
    assert_eq!(erased.status, StatusCode::NO_CONTENT);
    world.sweep().await;
    assert_eq!(world.sent(), []);
    world.calls.reset();
    world.sweep().await;
    assert_eq!(world.calls.count("TransactWriteItems"), 0, "the item is still in the outbox");
}

#[tokio::test]
async fn a_record_that_meets_another_transaction_is_written_all_the_same() {
    let world = World::start().await;
    world.says(SHEENA, "STOP").await;
    world.calls.fail("TransactWriteItems", [tests::Fault::Conflict, tests::Fault::Pass, tests::Fault::Conflict]);
    world.sweep().await;
    assert_eq!(state(&world, 0).await, "sent");
}

#[tokio::test]
async fn an_unreadable_record_is_named_so_that_the_stream_brings_it_again() {
    let world = World::start().await;
    let event = json!({"Records": [{"eventID": "1", "eventName": "INSERT", "awsRegion": "us-east-1", "dynamodb": {
        "ApproximateCreationDateTime": 1_763_805_600, "SequenceNumber": "111", "SizeBytes": 1, "StreamViewType": "NEW_IMAGE",
        "Keys": {"pk": {"S": "OUTBOX#0"}, "sk": {"S": "x"}}, "NewImage": {"pk": {"S": "OUTBOX#0"}, "sk": {"S": "x"}}}}]});
    let event = serde_json::value::to_raw_value(&event).unwrap();
    let answer = world.system.functions().invoke("confirmation", event).await.unwrap().unwrap();
    assert_eq!(answer, r#"{"batchItemFailures":[{"itemIdentifier":"111"}]}"#);
}

#[tokio::test]
async fn a_stop_that_the_answer_to_a_confirmation_tells_counts_once() {
    let world = World::start().await;
    world.says(SHEENA, "STOP").await;
    world.sweep().await;
    world.says(SHEENA, "START").await;
    world.system.graph().refuse([131_050]);
    // The note is made, and the fate of the confirmation is not: as if the function had died in between.
    world.calls.fail("TransactWriteItems", [tests::Fault::Pass, tests::Fault::Pass, tests::Fault::Denied]);
    world.sweep().await;
    assert_eq!(world.contact(SHEENA).await.unwrap()["provider_stopped"], true);
    world.wait(4 * 60);
    world.sweep().await;
    let history = world.history(SHEENA).await;
    assert_eq!(history.iter().filter(|event| event["kind"] == "provider_stop").count(), 1);
    let start = history.iter().find(|event| event["kind"] == "opt_in").unwrap();
    assert_eq!(start["confirmation"]["state"], "superseded", "the stop that was noted holds");
}
