//! The stand-in for WhatsApp's Graph API: takes the messages that the system sends, and keeps them for
//! `GET /local/outbox`.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Serialize;
use serde_json::Value;
use tokio::sync::watch;
use uuid::Uuid;

use crate::secrets::ACCESS_TOKEN;

/// The version of the Graph API that the local run speaks.
pub const GRAPH_VERSION: &str = "v25.0";

/// The messages sent so far. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Graph {
    sent: watch::Sender<Vec<Sent>>,
    fates: Arc<Mutex<VecDeque<Fate>>>,
}

/// What is to become of a message.
#[derive(Clone, Copy, Debug)]
enum Fate {
    Refused(u32),
    AnswerLost,
}

/// A message that was accepted.
#[derive(Clone, Debug)]
struct Sent {
    channel: String,
    body: Value,
}

impl Graph {
    /// The bodies of the messages that were accepted, oldest first.
    #[must_use]
    pub fn outbox(&self) -> Vec<Value> {
        bodies(&self.sent.borrow())
    }

    /// The channels that these messages came from.
    #[must_use]
    pub fn channels(&self) -> Vec<String> {
        self.sent.borrow().iter().map(|sent| sent.channel.clone()).collect()
    }

    /// Refuses the next messages, one with each of these error codes.
    pub fn refuse(&self, codes: impl IntoIterator<Item = u32>) {
        self.fates.lock().unwrap_or_else(PoisonError::into_inner).extend(codes.into_iter().map(Fate::Refused));
    }

    /// Accepts the next messages, so many of them, and hangs up without an answer.
    pub fn lose_answers(&self, count: usize) {
        let fates = std::iter::repeat_n(Fate::AnswerLost, count);
        self.fates.lock().unwrap_or_else(PoisonError::into_inner).extend(fates);
    }

    /// Waits until so many messages have been accepted; then all of them, oldest first.
    pub async fn sent(&self, count: usize) -> Vec<Value> {
        let mut sent = self.sent.subscribe();
        match sent.wait_for(|sent| sent.len() >= count).await {
            Ok(sent) => bodies(&sent),
            Err(_) => unreachable!("the sender is in this very value"),
        }
    }

    /// The routes of the Graph API and of the outbox.
    pub fn router(&self) -> Router {
        Router::new()
            .route("/graph/{version}/{channel}/messages", post(messages))
            .route("/local/outbox", get(outbox))
            .layer(DefaultBodyLimit::max(1 << 20))
            .with_state(self.clone())
    }

    fn keep(&self, channel: String, body: Value) {
        self.sent.send_modify(|sent| sent.push(Sent { channel, body }));
    }

    fn fate(&self) -> Option<Fate> {
        self.fates.lock().unwrap_or_else(PoisonError::into_inner).pop_front()
    }
}

fn bodies(sent: &[Sent]) -> Vec<Value> {
    sent.iter().map(|sent| sent.body.clone()).collect()
}

async fn outbox(State(graph): State<Graph>) -> Json<Vec<Value>> {
    Json(graph.outbox())
}

async fn messages(
    State(graph): State<Graph>,
    Path((_version, channel)): Path<(String, String)>,
    headers: HeaderMap,
    body: String,
) -> Response {
    let fate = graph.fate();
    if let Some(Fate::Refused(code)) = fate {
        return Refusal::new(code, "Refused because it was asked for").into_response();
    }
    match answer(&headers, &body) {
        Ok((message, accepted)) => {
            graph.keep(channel, message);
            if let Some(Fate::AnswerLost) = fate {
                // The server has no other way to hang up from within. Nothing is printed.
                std::panic::resume_unwind(Box::new("the answer is lost"));
            }
            Json(accepted).into_response()
        }
        Err(refusal) => refusal.into_response(),
    }
}

/// What becomes of a message.
fn answer(headers: &HeaderMap, body: &str) -> Result<(Value, Accepted), Refusal> {
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

#[derive(Debug, Serialize)]
struct Accepted {
    messaging_product: &'static str,
    contacts: [Contact; 1],
    messages: [MessageId; 1],
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

/// An error as the Graph API words it.
#[derive(Debug, Serialize)]
struct Refusal {
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
    fn new(code: u32, title: &str) -> Self {
        let error_data = ErrorData { messaging_product: "whatsapp", details: title.to_owned() };
        let fbtrace_id = Uuid::now_v7().simple().to_string();
        let message = format!("(#{code}) {title}");
        Self { error: GraphError { message, r#type: "OAuthException", code, error_data, fbtrace_id } }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let status = match self.error.code {
            0 | 190 => StatusCode::UNAUTHORIZED,
            368 | 131_031 | 130_497 => StatusCode::FORBIDDEN,
            2 | 131_000 | 131_016 | 131_057 | 133_004 => StatusCode::INTERNAL_SERVER_ERROR,
            _ => StatusCode::BAD_REQUEST,
        };
        (status, Json(self)).into_response()
    }
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use axum::http::Request;
    use http_body_util::BodyExt;
    use serde_json::json;
    use tower::ServiceExt;

    use super::*;

    async fn send(graph: &Graph, token: &str, body: &Value) -> (StatusCode, Value) {
        let request = Request::post("/graph/v25.0/106540352242922/messages")
            .header("authorization", token)
            .body(Body::from(body.to_string()))
            .unwrap();
        let response = graph.router().oneshot(request).await.unwrap();
        let status = response.status();
        (status, serde_json::from_slice(&response.into_body().collect().await.unwrap().to_bytes()).unwrap())
    }

    #[tokio::test]
    async fn an_accepted_message_is_answered_and_kept() {
        let graph = Graph::default();
        let (first, second) = (json!({"to": "+16505551234", "n": 1}), json!({"recipient": "US.1349", "n": 2}));
        let (status, answer) = send(&graph, "Bearer local-access-token", &first).await;
        assert_eq!(status, StatusCode::OK);
        assert_eq!(answer["contacts"], json!([{"input": "+16505551234", "wa_id": "16505551234"}]));
        assert!(answer["messages"][0]["id"].as_str().unwrap().starts_with("wamid."));
        let (_, answer) = send(&graph, "Bearer local-access-token", &second).await;
        assert_eq!(answer["contacts"], json!([{"input": "US.1349", "user_id": "US.1349"}]));
        assert_eq!(graph.outbox(), [first, second]);
    }

    #[tokio::test]
    async fn another_token_is_code_190_and_keeps_nothing() {
        let graph = Graph::default();
        for token in ["Bearer other", "local-access-token", "Bearer local-access-token2"] {
            let (status, answer) = send(&graph, token, &json!({"to": "+16505551234"})).await;
            assert_eq!((status, answer["error"]["code"].as_u64()), (StatusCode::UNAUTHORIZED, Some(190)));
        }
        assert!(graph.outbox().is_empty());
    }

    #[tokio::test]
    async fn a_message_to_nobody_is_refused() {
        let (status, answer) = send(&Graph::default(), "Bearer local-access-token", &json!({})).await;
        assert_eq!((status, answer["error"]["code"].as_u64()), (StatusCode::BAD_REQUEST, Some(100)));
    }
}
