//! A customer's phone: turns `POST /local/messages` into the signed webhook that Meta would send, and delivers it through
//! the gateway.

mod message;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use consent::clock::Clock;
use consent::time::Time;
use serde::Serialize;

use crate::gateway::Gateway;
use message::Message;

/// The longest time that a message waits for its own timestamp.
const LONGEST_WAIT: Duration = Duration::from_secs(1);

/// The phones of all customers. Clones share the times of the last messages.
#[derive(Clone)]
pub struct Phones {
    gateway: Gateway,
    clock: Clock,
    last: Arc<Mutex<HashMap<String, i64>>>,
}

/// The result of delivering a message.
#[derive(Serialize)]
struct Delivered {
    /// The webhook's answer.
    status: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    timestamp: i64,
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

    /// The timestamp of a message, in seconds since 1970: the given one, or else now. Without a given one it is at least one
    /// second after the sender's last message, so that two messages in a row have an order. `senders` are all ids of the
    /// sender.
    fn time_of(&self, senders: &[&str], given: Option<i64>) -> i64 {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let before = senders.iter().filter_map(|sender| last.get(*sender).copied()).max();
        let now = self.clock.now().millis().div_euclid(1000);
        let time = given.unwrap_or_else(|| before.map_or(now, |before| now.max(before + 1)));
        for sender in senders {
            last.insert((*sender).to_owned(), before.map_or(time, |before| before.max(time)));
        }
        time
    }

    async fn deliver(&self, message: Message) -> Delivered {
        let timestamp = self.time_of(&message.senders(), message.timestamp);
        if message.timestamp.is_none() {
            // The timestamp must not be in the future: an opt-in never counts later than it is processed.
            let ahead = Time::from_millis(timestamp * 1000).since(self.clock.now());
            tokio::time::sleep(ahead.min(LONGEST_WAIT)).await;
        }
        let (channel, id) = (message.channel.clone(), message.id.clone());
        let (contact, update) = message.update(timestamp);
        let response = update.deliver(&self.gateway, &channel, contact).await;
        Delivered { status: response.status().as_u16(), id, timestamp }
    }
}

async fn send(State(phones): State<Phones>, body: String) -> Response {
    match Message::read(&body) {
        Ok(message) => {
            let delivered = phones.deliver(message).await;
            let status = StatusCode::from_u16(delivered.status).unwrap_or(StatusCode::BAD_GATEWAY);
            (status, Json(delivered)).into_response()
        }
        Err(refused) => refused.into_response(),
    }
}

#[cfg(test)]
mod tests;
