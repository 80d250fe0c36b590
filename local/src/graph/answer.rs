//! The stand-in's answers, in the Graph API's form.
//! <https://developers.facebook.com/docs/whatsapp/cloud-api/support/error-codes>

use axum::Json;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::Value;
use uuid::Uuid;

use crate::secrets::ACCESS_TOKEN;

/// Accepts or refuses a message. Returns the accepted message with its answer.
pub(super) fn answer(headers: &HeaderMap, body: &str) -> Result<(Value, Accepted), Refusal> {
    let token = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    if token.and_then(|value| value.strip_prefix("Bearer ")) != Some(ACCESS_TOKEN) {
        return Err(Refusal::new(190, "Invalid OAuth access token"));
    }
    let message: Value = serde_json::from_str(body).map_err(|_| Refusal::new(100, "The body is not JSON"))?;
    let phone = message.get("to").and_then(Value::as_str);
    let user = message.get("recipient").and_then(Value::as_str);
    let contact = match (phone, user) {
        (Some(phone), _) => Contact { input: phone.to_owned(), wa_id: Some(digits(phone)), user_id: None },
        (None, Some(user)) => Contact { input: user.to_owned(), wa_id: None, user_id: Some(user.to_owned()) },
        (None, None) => return Err(Refusal::new(100, "The parameter to is required")),
    };
    let id = MessageId { id: format!("wamid.local-{}", Uuid::now_v7().simple()) };
    Ok((message, Accepted { messaging_product: "whatsapp", contacts: [contact], messages: [id] }))
}

fn digits(phone: &str) -> String {
    phone.chars().filter(char::is_ascii_digit).collect()
}

/// The answer to an accepted message.
#[derive(Debug, Serialize)]
pub(super) struct Accepted {
    messaging_product: &'static str,
    contacts: [Contact; 1],
    messages: [MessageId; 1],
}

impl Accepted {
    /// The message's id.
    pub fn message_id(&self) -> &str {
        let [message] = &self.messages;
        &message.id
    }

    /// The recipient's number. None if the message was sent to a user id.
    pub fn wa_id(&self) -> Option<&str> {
        let [contact] = &self.contacts;
        contact.wa_id.as_deref()
    }

    /// The recipient's user id. None if the message was sent to a number.
    pub fn user_id(&self) -> Option<&str> {
        let [contact] = &self.contacts;
        contact.user_id.as_deref()
    }
}

#[derive(Debug, Serialize)]
struct Contact {
    input: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    wa_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_id: Option<String>,
}

#[derive(Debug, Serialize)]
struct MessageId {
    id: String,
}

/// An error in the Graph API's form.
#[derive(Debug, Serialize)]
pub(super) struct Refusal {
    error: GraphError,
}

#[derive(Debug, Serialize)]
struct GraphError {
    message: String,
    r#type: &'static str,
    code: u32,
    error_data: ErrorData,
    fbtrace_id: String,
}

#[derive(Debug, Serialize)]
struct ErrorData {
    messaging_product: &'static str,
    details: String,
}

impl Refusal {
    pub fn new(code: u32, title: &str) -> Self {
        let error_data = ErrorData { messaging_product: "whatsapp", details: title.to_owned() };
        let fbtrace_id = Uuid::now_v7().simple().to_string();
        let message = format!("(#{code}) {title}");
        Self { error: GraphError { message, r#type: "OAuthException", code, error_data, fbtrace_id } }
    }

    /// The HTTP status of the error code.
    pub fn status(&self) -> StatusCode {
        match self.error.code {
            0 | 190 => StatusCode::UNAUTHORIZED,
            368 | 131_031 | 130_497 => StatusCode::FORBIDDEN,
            2 | 131_000 | 131_016 | 131_057 | 133_004 => StatusCode::INTERNAL_SERVER_ERROR,
            _ => StatusCode::BAD_REQUEST,
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        (self.status(), Json(self)).into_response()
    }
}
