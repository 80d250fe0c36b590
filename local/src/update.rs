//! Updates in WhatsApp's shape, signed and delivered to the webhook through the gateway.
//! <https://developers.facebook.com/docs/whatsapp/cloud-api/webhooks/components>

use axum::body::Body;
use axum::extract::Request;
use axum::http::header;
use axum::response::Response;
use hmac::{Hmac, KeyInit, Mac};
use serde::{Deserialize, Serialize};
use sha2::Sha256;

use crate::gateway::Gateway;
use crate::secrets::APP_SECRET;

const WEBHOOK: &str = "/webhooks/whatsapp";

/// An update, under the name of its list in the payload.
#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Update {
    /// A customer's message.
    Messages([Message; 1]),
    /// A delivery status of a message to a customer.
    Statuses([Status; 1]),
    /// A customer's use of WhatsApp's own marketing control.
    UserPreferences([Preference; 1]),
}

/// The customer of an update, in the list `contacts`.
#[derive(Serialize)]
pub(crate) struct Contact {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub profile: Option<Profile>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wa_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_id: Option<String>,
}

#[derive(Serialize)]
pub(crate) struct Profile {
    pub name: String,
}

#[derive(Serialize)]
pub(crate) struct Message {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from_user_id: Option<String>,
    pub id: String,
    pub timestamp: String,
    pub r#type: &'static str,
    #[serde(flatten)]
    pub content: Content,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub context: Option<Context>,
}

/// The content of a message, under the name of its type.
#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Content {
    Text { body: String },
    Button(Button),
    Interactive(Interactive),
    Image(Media),
    Video(Media),
    Document(Media),
    System(System),
}

/// A template's quick reply.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Button {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub payload: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(crate) enum Interactive {
    ButtonReply { button_reply: Choice },
    ListReply { list_reply: Choice },
}

/// The button or row that the customer chose.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Choice {
    pub id: String,
    pub title: String,
}

#[derive(Serialize)]
pub(crate) struct Media {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub caption: Option<String>,
    pub mime_type: &'static str,
    pub sha256: &'static str,
    pub id: &'static str,
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(crate) enum System {
    UserChangedNumber { body: String, wa_id: String },
    UserChangedUserId { body: String, user_id: String, previous_user_id: String },
}

/// The message that a button was pressed on.
#[derive(Serialize)]
pub(crate) struct Context {
    pub from: &'static str,
    pub id: String,
}

#[derive(Serialize)]
pub(crate) struct Status {
    pub id: String,
    #[serde(rename = "status")]
    pub state: &'static str,
    pub timestamp: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recipient_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recipient_user_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub biz_opaque_callback_data: Option<serde_json::Value>,
}

#[derive(Serialize)]
pub(crate) struct Preference {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wa_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_id: Option<String>,
    pub detail: &'static str,
    pub category: &'static str,
    pub value: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signup_id: Option<&'static str>,
    pub timestamp: i64,
}

impl Update {
    /// Delivers the update to the webhook, signed with the local run's app secret. Returns the webhook's answer.
    pub async fn deliver(self, gateway: &Gateway, channel: &str, contact: Option<Contact>) -> Response {
        let field = match self {
            Self::Messages(_) | Self::Statuses(_) => "messages",
            Self::UserPreferences(_) => "user_preferences",
        };
        let metadata = Metadata { display_phone_number: crate::DEMO_NUMBER, phone_number_id: channel };
        let contacts = contact.map(|contact| [contact]);
        let value = Value { messaging_product: "whatsapp", metadata, contacts, update: self };
        let entry = Entry { id: "102290129340398", changes: [Change { field, value }] };
        let webhook = Webhook { object: "whatsapp_business_account", entry: [entry] };
        gateway.call(signed(serde_json::to_string(&webhook).expect("texts are JSON"))).await
    }
}

impl Content {
    /// WhatsApp's name of the message's type.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Text { .. } => "text",
            Self::Button(_) => "button",
            Self::Interactive(_) => "interactive",
            Self::Image(_) => "image",
            Self::Video(_) => "video",
            Self::Document(_) => "document",
            Self::System(_) => "system",
        }
    }
}

#[derive(Serialize)]
struct Webhook<'a> {
    object: &'static str,
    entry: [Entry<'a>; 1],
}

#[derive(Serialize)]
struct Entry<'a> {
    id: &'static str,
    changes: [Change<'a>; 1],
}

#[derive(Serialize)]
struct Change<'a> {
    field: &'static str,
    value: Value<'a>,
}

#[derive(Serialize)]
struct Value<'a> {
    messaging_product: &'static str,
    metadata: Metadata<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    contacts: Option<[Contact; 1]>,
    #[serde(flatten)]
    update: Update,
}

#[derive(Serialize)]
struct Metadata<'a> {
    display_phone_number: &'static str,
    phone_number_id: &'a str,
}

fn signed(body: String) -> Request {
    let signature = signature(AppSecret(APP_SECRET), &body);
    Request::post(WEBHOOK)
        .header(header::HOST, "localhost")
        .header(header::USER_AGENT, "facebookexternalua")
        .header(header::CONTENT_TYPE, "application/json")
        .header("x-hub-signature-256", signature)
        .body(Body::from(body))
        .expect("the parts are all valid")
}

/// The secret of a WhatsApp app.
struct AppSecret<'a>(&'a str);

/// The value of `X-Hub-Signature-256` for a body.
fn signature(AppSecret(secret): AppSecret, body: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("HMAC takes keys of any length");
    mac.update(body.as_bytes());
    format!("sha256={}", hex::encode(mac.finalize().into_bytes()))
}

/// A webhook that keeps its requests, for tests.
#[cfg(test)]
pub(crate) mod inbox {
    use std::collections::BTreeMap;
    use std::sync::{Arc, Mutex};

    use axum::Router;
    use axum::http::{HeaderMap, StatusCode};
    use consent::clock::Clock;

    use super::*;
    use crate::route::{Access, Route, Routes};
    use crate::token::Tokens;

    #[derive(Clone, Default)]
    pub(crate) struct Inbox(Arc<Mutex<Vec<String>>>);

    impl Inbox {
        /// A gateway before it; signatures are checked.
        pub(crate) fn gateway(&self, clock: &Clock) -> Gateway {
            let mut routes = Routes::default();
            routes.add(Route::new("webhook", Some("POST"), WEBHOOK, Access::Open).unwrap()).unwrap();
            let kept = Arc::clone(&self.0);
            let webhook = Router::new().fallback(move |headers: HeaderMap, body: String| async move {
                assert_eq!(headers["x-hub-signature-256"], signature(AppSecret(APP_SECRET), &body).as_str());
                kept.lock().unwrap().push(body);
                StatusCode::OK
            });
            let functions = BTreeMap::from([("webhook".to_owned(), webhook)]);
            Gateway::new(routes, functions, Tokens::random(), None, clock.clone()).unwrap()
        }

        /// The only changes of all that arrived, oldest first.
        pub(crate) fn changes(&self) -> Vec<serde_json::Value> {
            let change = |body: &String| {
                let mut update: serde_json::Value = serde_json::from_str(body).unwrap();
                assert_eq!(update["object"], "whatsapp_business_account");
                update["entry"][0]["changes"][0].take()
            };
            self.0.lock().unwrap().iter().map(change).collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_signature_is_meta_s() {
        let known = "sha256=0329a06b62cd16b33eb6792be8c60b158d89a2ee3a876fce9a881ebb488c0914";
        assert_eq!(signature(AppSecret("secret"), "test"), known);
    }
}
