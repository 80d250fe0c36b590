//! A customer's phone: `POST /local/messages` becomes the webhook that Meta would send, signed, and delivered through the
//! gateway.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use consent::clock::Clock;
use hmac::{Hmac, KeyInit, Mac};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::Sha256;
use uuid::Uuid;

use crate::gateway::Gateway;
use crate::secrets::APP_SECRET;

const WEBHOOK: &str = "/webhooks/whatsapp";

/// Plays customers' phones. Clones share the times of the last messages.
#[derive(Clone)]
pub struct Phones {
    gateway: Gateway,
    clock: Clock,
    last: Arc<Mutex<HashMap<String, i64>>>,
}

/// A message as the caller describes it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Message {
    from: String,
    text: String,
    timestamp: Option<Value>,
    id: Option<String>,
    name: Option<String>,
    channel: Option<String>,
}

/// What became of it.
#[derive(Serialize)]
struct Delivered {
    /// The webhook's answer.
    status: u16,
    id: String,
    timestamp: i64,
}

#[derive(Debug, PartialEq, Serialize)]
struct Refused {
    message: String,
}

impl Phones {
    /// Phones whose messages go to the gateway.
    #[must_use]
    pub fn new(gateway: Gateway, clock: Clock) -> Self {
        Self { gateway, clock, last: Arc::default() }
    }

    /// The route `POST /local/messages`.
    pub fn router(&self) -> Router {
        Router::new().route("/local/messages", post(send)).with_state(self.clone())
    }

    /// The time of a message in seconds: as given, else now, or a second after the sender's last where that is later, so
    /// that two messages sent one after the other have an order.
    fn time_of(&self, sender: &str, given: Option<i64>) -> i64 {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let before = last.get(sender).copied();
        let now = self.clock.now().millis().div_euclid(1000);
        let time = given.unwrap_or_else(|| before.map_or(now, |before| now.max(before + 1)));
        last.insert(sender.to_owned(), before.map_or(time, |before| before.max(time)));
        time
    }

    async fn deliver(&self, message: Message) -> Result<Delivered, Refused> {
        let from = phone("from", &message.from)?;
        let channel = message.channel.unwrap_or_else(|| crate::DEMO_CHANNEL.to_owned());
        let channel =
            digits(&channel, 1, 32).ok_or_else(|| refused("channel", "is the phone_number_id, digits only"))?;
        let given = message.timestamp.as_ref().map(seconds).transpose()?;
        let id = message.id.unwrap_or_else(|| format!("wamid.local-{}", Uuid::now_v7().simple()));
        if id.is_empty() {
            return Err(refused("id", "is empty"));
        }
        let timestamp = self.time_of(&from, given);
        let webhook = webhook::body(&channel, &from, message.name, &id, timestamp, message.text);
        let response = self.gateway.call(signed(&webhook)).await;
        Ok(Delivered { status: response.status().as_u16(), id, timestamp })
    }
}

async fn send(State(phones): State<Phones>, body: String) -> Response {
    let message = match message(&body) {
        Ok(message) => message,
        Err(refused) => return (StatusCode::UNPROCESSABLE_ENTITY, Json(refused)).into_response(),
    };
    match phones.deliver(message).await {
        Ok(delivered) => {
            let status = StatusCode::from_u16(delivered.status).unwrap_or(StatusCode::BAD_GATEWAY);
            (status, Json(delivered)).into_response()
        }
        Err(refused) => (StatusCode::UNPROCESSABLE_ENTITY, Json(refused)).into_response(),
    }
}

fn message(body: &str) -> Result<Message, Refused> {
    let mut reader = serde_json::Deserializer::from_str(body);
    serde_path_to_error::deserialize(&mut reader).map_err(|error| {
        let field = error.path().to_string();
        refused(if field == "." { "body" } else { &field }, &error.into_inner().to_string())
    })
}

/// The digits that Meta writes for a sender; a `+` in front is taken off.
fn phone(field: &str, text: &str) -> Result<String, Refused> {
    digits(text.strip_prefix('+').unwrap_or(text), 7, 15)
        .ok_or_else(|| refused(field, "is a phone number of 7 to 15 digits, as WhatsApp writes it: 14155550123"))
}

fn digits(text: &str, least: usize, most: usize) -> Option<String> {
    let fits = (least..=most).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    fits.then(|| text.to_owned())
}

/// Seconds since 1970, as a number or as text.
fn seconds(value: &Value) -> Result<i64, Refused> {
    let seconds = value.as_i64().or_else(|| value.as_str().and_then(|text| text.parse().ok()));
    seconds
        .filter(|seconds| (0..=253_402_300_799).contains(seconds))
        .ok_or_else(|| refused("timestamp", "is in whole seconds since 1970-01-01T00:00:00Z"))
}

fn refused(field: &str, problem: &str) -> Refused {
    Refused { message: format!("{field}: {problem}") }
}

fn signed(body: &str) -> Request {
    let mut mac = Hmac::<Sha256>::new_from_slice(APP_SECRET.as_bytes()).expect("HMAC takes keys of any length");
    mac.update(body.as_bytes());
    Request::post(WEBHOOK)
        .header(header::HOST, "localhost")
        .header(header::USER_AGENT, "facebookexternalua")
        .header(header::CONTENT_TYPE, "application/json")
        .header("x-hub-signature-256", format!("sha256={}", hex::encode(mac.finalize().into_bytes())))
        .body(Body::from(body.to_owned()))
        .expect("the parts are all valid")
}

/// The update as Meta writes it.
mod webhook {
    use serde::Serialize;

    #[derive(Serialize)]
    struct Webhook {
        object: &'static str,
        entry: [Entry; 1],
    }

    #[derive(Serialize)]
    struct Entry {
        id: &'static str,
        changes: [Change; 1],
    }

    #[derive(Serialize)]
    struct Change {
        field: &'static str,
        value: Value,
    }

    #[derive(Serialize)]
    struct Value {
        messaging_product: &'static str,
        metadata: Metadata,
        contacts: [Contact; 1],
        messages: [Message; 1],
    }

    #[derive(Serialize)]
    struct Metadata {
        display_phone_number: &'static str,
        phone_number_id: String,
    }

    #[derive(Serialize)]
    struct Contact {
        #[serde(skip_serializing_if = "Option::is_none")]
        profile: Option<Profile>,
        wa_id: String,
    }

    #[derive(Serialize)]
    struct Profile {
        name: String,
    }

    #[derive(Serialize)]
    struct Message {
        from: String,
        id: String,
        timestamp: String,
        r#type: &'static str,
        text: Text,
    }

    #[derive(Serialize)]
    struct Text {
        body: String,
    }

    /// The body of the request that brings one text.
    pub(super) fn body(channel: &str, from: &str, name: Option<String>, id: &str, time: i64, text: String) -> String {
        let message = Message {
            from: from.to_owned(),
            id: id.to_owned(),
            timestamp: time.to_string(),
            r#type: "text",
            text: Text { body: text },
        };
        let value = Value {
            messaging_product: "whatsapp",
            metadata: Metadata { display_phone_number: crate::DEMO_NUMBER, phone_number_id: channel.to_owned() },
            contacts: [Contact { profile: name.map(|name| Profile { name }), wa_id: from.to_owned() }],
            messages: [message],
        };
        let entry = Entry { id: "102290129340398", changes: [Change { field: "messages", value }] };
        serde_json::to_string(&Webhook { object: "whatsapp_business_account", entry: [entry] }).expect("texts are JSON")
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::time::Duration;

    use axum::http::HeaderMap;
    use consent::time::Time;
    use http_body_util::BodyExt;
    use serde_json::json;
    use tower::ServiceExt;

    use super::*;
    use crate::route::{Access, Route, Routes};
    use crate::token::Tokens;

    type Got = Arc<Mutex<Vec<(HeaderMap, String)>>>;

    /// Phones before a webhook that keeps what it gets.
    fn phones(clock: &Clock) -> (Phones, Got) {
        let mut routes = Routes::default();
        routes.add(Route::new("webhook", Some("POST"), WEBHOOK, Access::Open).unwrap()).unwrap();
        let got = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&got);
        let webhook = Router::new().fallback(move |headers: HeaderMap, body: String| async move {
            kept.lock().unwrap().push((headers, body));
            StatusCode::OK
        });
        let functions = BTreeMap::from([("webhook".to_owned(), webhook)]);
        let gateway = Gateway::new(routes, functions, Tokens::random(), clock.clone()).unwrap();
        (Phones::new(gateway, clock.clone()), got)
    }

    async fn post(phones: &Phones, body: &Value) -> (StatusCode, Value) {
        let request = Request::post("/local/messages").body(Body::from(body.to_string())).unwrap();
        let response = phones.router().oneshot(request).await.unwrap();
        let status = response.status();
        (status, serde_json::from_slice(&response.into_body().collect().await.unwrap().to_bytes()).unwrap())
    }

    #[tokio::test]
    async fn a_text_arrives_signed_and_in_meta_s_shape() {
        let (phones, got) = phones(&Clock::manual(Time::from_millis(1_749_416_383_500)));
        let (status, answer) = post(&phones, &json!({"from": "+16505551234", "text": "STOP", "id": "wamid.1"})).await;
        assert_eq!(status, StatusCode::OK);
        assert_eq!(answer, json!({"status": 200, "id": "wamid.1", "timestamp": 1_749_416_383}));
        let got = got.lock().unwrap();
        let (headers, body) = &got[0];
        assert_eq!(headers["x-hub-signature-256"], signed(body).headers()["x-hub-signature-256"]);
        let update: Value = serde_json::from_str(body).unwrap();
        let value = &update["entry"][0]["changes"][0]["value"];
        assert_eq!(value["metadata"]["phone_number_id"], crate::DEMO_CHANNEL);
        assert_eq!(value["contacts"], json!([{"wa_id": "16505551234"}]));
        assert_eq!(
            value["messages"],
            json!([{"from": "16505551234", "id": "wamid.1", "timestamp": "1749416383", "type": "text", "text": {"body": "STOP"}}])
        );
    }

    #[test]
    fn the_signature_is_meta_s() {
        let mut mac = Hmac::<Sha256>::new_from_slice(b"secret").unwrap();
        mac.update(b"test");
        let known = "0329a06b62cd16b33eb6792be8c60b158d89a2ee3a876fce9a881ebb488c0914";
        assert_eq!(hex::encode(mac.finalize().into_bytes()), known);
    }

    #[test]
    fn messages_of_one_sender_have_an_order() {
        let clock = Clock::manual(Time::from_millis(1_000_000));
        let (phones, _) = phones(&clock);
        assert_eq!(phones.time_of("1", None), 1000);
        assert_eq!(phones.time_of("1", None), 1001);
        assert_eq!(phones.time_of("2", None), 1000);
        assert_eq!(phones.time_of("1", Some(500)), 500);
        assert_eq!(phones.time_of("1", None), 1002, "an old one does not take the order back");
        assert_eq!(phones.time_of("1", Some(2000)), 2000);
        assert_eq!(phones.time_of("1", None), 2001);
        clock.advance(Duration::from_secs(5000));
        assert_eq!(phones.time_of("1", None), 6000);
    }

    #[tokio::test]
    async fn what_is_wrong_is_named() {
        let (phones, got) = phones(&Clock::system());
        for (body, field) in [
            (json!({"text": "STOP"}), "from"),
            (json!({"from": 1, "text": "STOP"}), "from"),
            (json!({"from": "Anna", "text": "STOP"}), "from"),
            (json!({"from": "14155550123"}), "text"),
            (json!({"from": "14155550123", "text": "STOP", "timestamp": "soon"}), "timestamp"),
            (json!({"from": "14155550123", "text": "STOP", "id": ""}), "id"),
            (json!({"from": "14155550123", "text": "STOP", "channel": "x"}), "channel"),
            (json!({"from": "14155550123", "text": "STOP", "txt": 1}), "txt"),
            (json!([]), "body"),
        ] {
            let (status, answer) = post(&phones, &body).await;
            assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{body}");
            assert!(answer["message"].as_str().unwrap().contains(field), "{answer}");
        }
        assert!(got.lock().unwrap().is_empty());
    }
}
