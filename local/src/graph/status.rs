//! The statuses of accepted messages, which follow as signed updates when the answer is out.

use std::collections::VecDeque;

use consent::clock::Clock;
use serde_json::Value;
use tokio::sync::watch;
use tracing::warn;

use super::answer::Accepted;
use crate::gateway::Gateway;
use crate::update::{Status, Update};

/// What WhatsApp tells of a message that arrives.
const LIFE: [&str; 2] = ["sent", "delivered"];

/// The statuses that are still to be sent. Clones share them.
#[derive(Clone, Debug, Default)]
pub(super) struct Statuses(watch::Sender<Due>);

#[derive(Debug, Default)]
struct Due {
    /// Messages that have not had all their statuses, with those whose answer is still to come.
    open: usize,
    /// Those whose answer is out.
    answered: VecDeque<Report>,
}

/// What is to be told of a message.
#[derive(Debug)]
pub(super) struct Report {
    channel: String,
    message_id: String,
    recipient_id: Option<String>,
    recipient_user_id: Option<String>,
    callback: Option<Value>,
}

/// Goes with the answer; when it is dropped, the answer is out or lost, and the statuses follow.
#[derive(Debug)]
pub(super) struct Receipt {
    statuses: Statuses,
    report: Option<Report>,
}

impl Report {
    /// Of a message from a channel.
    pub fn new(channel: &str, message: &Value, accepted: &Accepted) -> Self {
        Self {
            channel: channel.to_owned(),
            message_id: accepted.message_id().to_owned(),
            recipient_id: accepted.wa_id().map(str::to_owned),
            recipient_user_id: accepted.user_id().map(str::to_owned),
            callback: message.get("biz_opaque_callback_data").cloned(),
        }
    }

    async fn deliver(&self, state: &'static str, gateway: &Gateway, clock: &Clock) {
        let update = Status {
            id: self.message_id.clone(),
            state,
            timestamp: clock.now().seconds().to_string(),
            recipient_id: self.recipient_id.clone(),
            recipient_user_id: self.recipient_user_id.clone(),
            biz_opaque_callback_data: self.callback.clone(),
        };
        let answer = Update::Statuses([update]).deliver(gateway, &self.channel, None).await.status();
        if !answer.is_success() {
            warn!(channel = self.channel, state, %answer, "the webhook did not take a status");
        }
    }
}

impl Statuses {
    /// Statuses that follow when the receipt is dropped.
    pub fn owed(&self, report: Report) -> Receipt {
        self.0.send_modify(|due| due.open += 1);
        Receipt { statuses: self.clone(), report: Some(report) }
    }

    /// Delivers them, one after the other, for ever.
    pub async fn run(self, gateway: Gateway, clock: Clock) {
        let mut due = self.0.subscribe();
        while due.wait_for(|due| !due.answered.is_empty()).await.is_ok() {
            let mut answered = VecDeque::new();
            self.0.send_modify(|due| std::mem::swap(&mut answered, &mut due.answered));
            for report in answered {
                for state in LIFE {
                    report.deliver(state, &gateway, &clock).await;
                }
                self.0.send_modify(|due| due.open -= 1);
            }
        }
    }

    /// Waits until all of them are delivered.
    pub async fn delivered(&self) {
        let mut due = self.0.subscribe();
        // The sender is in this very value: it can't be gone.
        let _ = due.wait_for(|due| due.open == 0).await;
    }
}

impl Drop for Receipt {
    fn drop(&mut self) {
        if let Some(report) = self.report.take() {
            self.statuses.0.send_modify(|due| due.answered.push_back(report));
        }
    }
}
