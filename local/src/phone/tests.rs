//! The bodies of `POST /local/messages`, and the updates that arrive at the webhook.

use std::time::Duration;

use axum::body::Body;
use axum::http::Request;
use consent::time::Time;
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tower::ServiceExt;

use super::*;
use crate::update::inbox::Inbox;

const NUMBER: &str = "16505551234";
const USER: &str = "US.13491208655302741918";

fn phones(clock: &Clock) -> (Phones, Inbox) {
    let inbox = Inbox::default();
    (Phones::new(inbox.gateway(clock), clock.clone()), inbox)
}

async fn post(phones: &Phones, body: &Value) -> (StatusCode, Value) {
    let request = Request::post("/local/messages").body(Body::from(body.to_string())).unwrap();
    let response = phones.router().oneshot(request).await.unwrap();
    let status = response.status();
    (status, serde_json::from_slice(&response.into_body().collect().await.unwrap().to_bytes()).unwrap())
}

/// The update that a body becomes at second 1749416383, as `(field, value)`.
async fn arrived(body: Value) -> (String, Value) {
    let (phones, inbox) = phones(&Clock::manual(Time::from_millis(1_749_416_383_500)));
    let (status, answer) = post(&phones, &body).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    let mut change = inbox.changes().remove(0);
    assert_eq!(change["value"]["metadata"]["phone_number_id"], crate::DEMO_CHANNEL);
    (change["field"].as_str().unwrap().to_owned(), change["value"].take())
}

#[tokio::test]
async fn a_text_arrives_in_meta_s_shape() {
    let (phones, inbox) = phones(&Clock::manual(Time::from_millis(1_749_416_383_500)));
    let (status, answer) = post(&phones, &json!({"from": "+16505551234", "text": "STOP", "id": "wamid.1"})).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(answer, json!({"status": 200, "id": "wamid.1", "timestamp": 1_749_416_383}));
    let value = &inbox.changes()[0]["value"];
    assert_eq!(value["contacts"], json!([{"wa_id": NUMBER}]));
    assert_eq!(
        value["messages"],
        json!([{"from": NUMBER, "id": "wamid.1", "timestamp": "1749416383", "type": "text", "text": {"body": "STOP"}}])
    );
}

#[tokio::test]
async fn a_customer_may_go_by_a_user_id_beside_or_without_a_number() {
    let (_, value) = arrived(json!({"from_user_id": USER, "text": "STOP", "name": "Sheena"})).await;
    assert_eq!(value["contacts"], json!([{"profile": {"name": "Sheena"}, "user_id": USER}]));
    let message = &value["messages"][0];
    assert_eq!((message.get("from"), message["from_user_id"].as_str()), (None, Some(USER)));
    let (_, value) = arrived(json!({"from": NUMBER, "from_user_id": USER, "text": "STOP"})).await;
    assert_eq!(value["contacts"], json!([{"wa_id": NUMBER, "user_id": USER}]));
    let message = &value["messages"][0];
    assert_eq!((message["from"].as_str(), message["from_user_id"].as_str()), (Some(NUMBER), Some(USER)));
}

#[tokio::test]
async fn what_is_pressed_tells_what_it_was_pressed_on() {
    let choice = json!({"id": "cancel", "title": "Cancel"});
    let unsubscribe = json!({"payload": "p", "text": "Unsubscribe"});
    for (given, kind, content) in [
        (json!({"button": unsubscribe}), "button", unsubscribe.clone()),
        (json!({"button": {"text": "Stop"}}), "button", json!({"text": "Stop"})),
        (json!({"reply": choice}), "interactive", json!({"type": "button_reply", "button_reply": choice})),
        (json!({"list_reply": choice}), "interactive", json!({"type": "list_reply", "list_reply": choice})),
    ] {
        let mut body = given;
        body["from"] = json!(NUMBER);
        let (_, value) = arrived(body).await;
        let message = &value["messages"][0];
        assert_eq!((message["type"].as_str(), &message[kind]), (Some(kind), &content));
        assert_eq!(message["context"]["from"], crate::DEMO_NUMBER);
        assert!(message["context"]["id"].as_str().unwrap().starts_with("wamid."));
    }
}

#[tokio::test]
async fn files_have_captions_or_none() {
    for (kind, mime) in [("image", "image/jpeg"), ("video", "video/mp4"), ("document", "application/pdf")] {
        let (_, value) = arrived(json!({"from": NUMBER, kind: {"caption": "Stop"}})).await;
        let message = &value["messages"][0];
        assert_eq!(message["type"], kind);
        assert_eq!((&message[kind]["caption"], &message[kind]["mime_type"]), (&json!("Stop"), &json!(mime)));
        assert!(message.get("context").is_none());
        let (_, value) = arrived(json!({"from": NUMBER, kind: {}})).await;
        assert!(value["messages"][0][kind].get("caption").is_none());
    }
}

#[tokio::test]
async fn a_preference_is_an_update_of_its_own_field() {
    for (wish, signup) in [("stop", None), ("resume", None), ("signup", Some("local-signup"))] {
        let (field, value) = arrived(json!({"from": NUMBER, "from_user_id": USER, "preference": wish})).await;
        assert_eq!(field, "user_preferences");
        assert_eq!(value["contacts"], json!([{"wa_id": NUMBER, "user_id": USER}]));
        let preference = &value["user_preferences"][0];
        assert_eq!((preference["value"].as_str(), preference["wa_id"].as_str()), (Some(wish), Some(NUMBER)));
        assert_eq!((&preference["category"], &preference["user_id"]), (&json!("marketing_messages"), &json!(USER)));
        assert_eq!(preference["timestamp"], 1_749_416_383, "an integer here");
        assert_eq!(preference.get("signup_id").and_then(Value::as_str), signup);
        assert!(value.get("messages").is_none());
    }
    let (phones, _) = phones(&Clock::manual(Time::from_millis(1_000_000)));
    let (_, answer) = post(&phones, &json!({"from": NUMBER, "preference": "stop"})).await;
    assert_eq!(answer, json!({"status": 200, "timestamp": 1000}), "there is no id");
}

#[tokio::test]
async fn a_change_of_number_or_user_id_names_old_and_new_and_no_contacts() {
    let (field, value) = arrived(json!({"from": NUMBER, "number_changed_to": "+12195555358"})).await;
    assert_eq!((field.as_str(), value.get("contacts")), ("messages", None));
    let message = &value["messages"][0];
    assert_eq!((message["from"].as_str(), message["type"].as_str()), (Some(NUMBER), Some("system")));
    let body = "User changed from 16505551234 to 12195555358";
    assert_eq!(message["system"], json!({"type": "user_changed_number", "body": body, "wa_id": "12195555358"}));
    let (_, value) = arrived(json!({"from_user_id": USER, "user_id_changed_to": "US.2"})).await;
    let message = &value["messages"][0];
    assert_eq!((message.get("from"), message.get("from_user_id"), value.get("contacts")), (None, None, None));
    let body = "User changed from US.13491208655302741918 to US.2";
    assert_eq!(
        message["system"],
        json!({"type": "user_changed_user_id", "body": body, "user_id": "US.2", "previous_user_id": USER})
    );
}

#[test]
fn messages_of_one_sender_have_an_order() {
    let clock = Clock::manual(Time::from_millis(1_000_000));
    let (phones, _) = phones(&clock);
    assert_eq!(phones.time_of(&["1"], None), 1000);
    assert_eq!(phones.time_of(&["1"], None), 1001);
    assert_eq!(phones.time_of(&["2"], None), 1000);
    assert_eq!(phones.time_of(&["1"], Some(500)), 500);
    assert_eq!(phones.time_of(&["1"], None), 1002, "an old one does not take the order back");
    assert_eq!(phones.time_of(&["1"], Some(2000)), 2000);
    assert_eq!(phones.time_of(&["1", "US.1"], None), 2001);
    assert_eq!(phones.time_of(&["US.1"], None), 2002, "the other id is the same sender's");
    clock.advance(Duration::from_secs(5000));
    assert_eq!(phones.time_of(&["1"], None), 6000);
}

#[tokio::test]
async fn a_message_does_not_arrive_before_the_time_that_it_bears() {
    let clock = Clock::system();
    let (phones, inbox) = phones(&clock);
    for text in ["STOP", "START"] {
        let (_, answer) = post(&phones, &json!({"from": NUMBER, "text": text})).await;
        assert!(answer["timestamp"].as_i64().unwrap() <= clock.now().seconds(), "{text}");
    }
    assert_eq!(inbox.changes().len(), 2);
}

#[tokio::test]
async fn what_is_wrong_is_named() {
    let (phones, inbox) = phones(&Clock::system());
    for (body, field) in [
        (json!({"text": "STOP"}), "from"),
        (json!({"from": 1, "text": "STOP"}), "from"),
        (json!({"from": "Anna", "text": "STOP"}), "from"),
        (json!({"from_user_id": "13491208655302741918", "text": "STOP"}), "from_user_id"),
        (json!({"from": NUMBER}), "text"),
        (json!({"from": NUMBER, "text": "STOP", "timestamp": "soon"}), "timestamp"),
        (json!({"from": NUMBER, "text": "STOP", "id": ""}), "id"),
        (json!({"from": NUMBER, "text": "STOP", "channel": "x"}), "channel"),
        (json!({"from": NUMBER, "text": "STOP", "txt": 1}), "txt"),
        (json!({"from": NUMBER, "text": "STOP", "image": {}}), "image"),
        (json!({"from": NUMBER, "button": {}}), "button"),
        (json!({"from": NUMBER, "button": {"title": "Stop"}}), "button.title"),
        (json!({"from": NUMBER, "reply": {"id": "1"}}), "reply"),
        (json!({"from": NUMBER, "image": "Stop"}), "image"),
        (json!({"from": NUMBER, "preference": "halt"}), "preference"),
        (json!({"from": NUMBER, "preference": "stop", "id": "wamid.1"}), "id"),
        (json!({"from": NUMBER, "number_changed_to": USER}), "number_changed_to"),
        (json!({"from": NUMBER, "number_changed_to": "12195555358", "name": "Sheena"}), "name"),
        (json!({"from_user_id": USER, "number_changed_to": "12195555358"}), "from"),
        (json!({"from": NUMBER, "user_id_changed_to": "US.2"}), "from_user_id"),
        (json!({"from_user_id": USER, "user_id_changed_to": NUMBER}), "user_id_changed_to"),
        (json!([]), "body"),
    ] {
        let (status, answer) = post(&phones, &body).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{body}");
        let message = answer["message"].as_str().unwrap();
        assert!(message.starts_with(&format!("{field}: ")), "{message}");
    }
    assert!(inbox.changes().is_empty());
}
