//! The stand-in for WhatsApp's Graph API: accepts the system's messages, keeps them for `GET /local/outbox`, and sends their
//! statuses to the webhook. `PUT /local/graph` makes it fail, answer slowly, lose answers, or answer as a gateway that is
//! down.
//! <https://developers.facebook.com/docs/whatsapp/cloud-api/reference/messages>

mod answer;
mod orders;
mod status;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::{get, post, put};
use axum::{Json, Router};
use consent::clock::Clock;
use serde_json::Value;
use tokio::sync::watch;

use crate::gateway::Gateway;
use answer::{Accepted, Refusal};
use orders::{Changes, Fate, Orders};
use status::{Receipt, Report, Statuses};

/// The version of the Graph API that the local run speaks.
pub const GRAPH_VERSION: &str = "v25.0";

/// The messages sent so far, and the orders for the next ones. Clones share both.
#[derive(Clone, Debug, Default)]
pub struct Graph {
    sent: watch::Sender<Vec<Sent>>,
    answers: Arc<Mutex<Vec<u16>>>,
    orders: Arc<Mutex<Orders>>,
    statuses: Statuses,
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

    /// The channels that sent the accepted messages, oldest first.
    #[must_use]
    pub fn channels(&self) -> Vec<String> {
        self.sent.borrow().iter().map(|sent| sent.channel.clone()).collect()
    }

    /// The HTTP statuses of the answers to all messages, oldest first, including refusals and lost answers.
    #[must_use]
    pub fn answers(&self) -> Vec<u16> {
        self.answers.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Refuses the next messages, one with each of these error codes.
    pub fn refuse(&self, codes: impl IntoIterator<Item = u32>) {
        self.orders().add(codes.into_iter().map(Fate::Refused));
    }

    /// Answers the next messages as a gateway does, with an HTML page and one of these HTTP statuses each. The messages are
    /// not accepted.
    pub fn answer_with_pages(&self, statuses: impl IntoIterator<Item = u16>) {
        self.orders().add(statuses.into_iter().map(Fate::Page));
    }

    /// Accepts the next `count` messages, and hangs up without an answer.
    pub fn lose_answers(&self, count: usize) {
        self.orders().add(std::iter::repeat_n(Fate::AnswerLost, count));
    }

    /// Delays every answer from now on. The message itself is accepted at once.
    pub fn slow_down(&self, slowness: Duration) {
        self.orders().slowness = slowness;
    }

    /// Switches the statuses of accepted messages on or off.
    pub fn send_statuses(&self, wanted: bool) {
        self.orders().statuses = wanted;
    }

    /// Waits until `count` messages were accepted. Returns all of them, oldest first.
    pub async fn sent(&self, count: usize) -> Vec<Value> {
        let mut sent = self.sent.subscribe();
        match sent.wait_for(|sent| sent.len() >= count).await {
            Ok(sent) => bodies(&sent),
            Err(_) => unreachable!("the sender is in this very value"),
        }
    }

    /// Waits until the webhook got the statuses of all messages accepted so far.
    pub async fn statuses_delivered(&self) {
        self.statuses.delivered().await;
    }

    /// The routes of the Graph API, of the outbox and of the orders.
    pub fn router(&self) -> Router {
        Router::new()
            .route("/graph/{version}/{channel}/messages", post(messages))
            .route("/local/outbox", get(outbox))
            .route("/local/graph", put(order))
            .layer(DefaultBodyLimit::max(1 << 20))
            .with_state(self.clone())
    }

    /// Delivers statuses through the gateway, and never returns.
    pub(crate) fn deliver_statuses(&self, gateway: Gateway, clock: Clock) -> impl Future<Output = ()> + use<> {
        self.statuses.clone().run(gateway, clock)
    }

    /// Keeps a message. Returns the receipt to attach to its answer, if statuses are to follow.
    fn keep(&self, channel: String, body: Value, accepted: &Accepted) -> Option<Arc<Receipt>> {
        let wanted = self.orders().statuses;
        let receipt = wanted.then(|| Arc::new(self.statuses.owed(Report::new(&channel, &body, accepted))));
        self.sent.send_modify(|sent| sent.push(Sent { channel, body }));
        receipt
    }

    fn answered(&self, status: u16) {
        self.answers.lock().unwrap_or_else(PoisonError::into_inner).push(status);
    }

    fn orders(&self) -> MutexGuard<'_, Orders> {
        self.orders.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn bodies(sent: &[Sent]) -> Vec<Value> {
    sent.iter().map(|sent| sent.body.clone()).collect()
}

async fn outbox(State(graph): State<Graph>) -> Json<Vec<Value>> {
    Json(graph.outbox())
}

/// `PUT /local/graph`: replaces the orders that the body names. Returns all orders.
async fn order(State(graph): State<Graph>, body: String) -> Response {
    let changes = match Changes::read(&body) {
        Ok(changes) => changes,
        Err(refused) => return refused.into_response(),
    };
    if let Some(codes) = changes.codes() {
        graph.orders().forget_refusals();
        graph.refuse(codes.iter().copied());
    }
    if let Some(statuses) = changes.pages() {
        graph.orders().forget_pages();
        graph.answer_with_pages(statuses.iter().copied());
    }
    if let Some(count) = changes.lose_answers {
        graph.orders().forget_losses();
        graph.lose_answers(count);
    }
    if let Some(slowness) = changes.slowness() {
        graph.slow_down(slowness);
    }
    if let Some(wanted) = changes.statuses {
        graph.send_statuses(wanted);
    }
    let state = graph.orders().state();
    Json(state).into_response()
}

async fn messages(
    State(graph): State<Graph>,
    Path((_version, channel)): Path<(String, String)>,
    headers: HeaderMap,
    body: String,
) -> Response {
    let (fate, slowness) = {
        let mut orders = graph.orders();
        (orders.next(), orders.slowness)
    };
    if let Some(Fate::Page(status)) = fate {
        graph.answered(status);
        let page = "<html><body><h1>The server is temporarily unavailable</h1></body></html>";
        return (StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_GATEWAY), Html(page)).into_response();
    }
    let answered = match fate {
        Some(Fate::Refused(code)) => Err(Refusal::new(code, "Refused because it was asked for")),
        Some(Fate::AnswerLost | Fate::Page(_)) | None => answer::answer(&headers, &body),
    };
    let kept = answered.map(|(message, accepted)| {
        let receipt = graph.keep(channel, message, &accepted);
        (accepted, receipt)
    });
    let status = kept.as_ref().map_or_else(Refusal::status, |_| StatusCode::OK);
    graph.answered(status.as_u16());
    if !slowness.is_zero() {
        tokio::time::sleep(slowness).await;
    }
    match kept {
        // A panic is the only way to hang up from within a handler. Nothing is printed.
        Ok(_) if fate == Some(Fate::AnswerLost) => std::panic::resume_unwind(Box::new("the answer is lost")),
        Ok((accepted, receipt)) => {
            let mut response = Json(accepted).into_response();
            // The receipt is dropped when the answer is written, or when the caller hangs up before.
            response.extensions_mut().insert(receipt);
            response
        }
        Err(refusal) => refusal.into_response(),
    }
}

#[cfg(test)]
mod tests;
