//! The statuses of accepted messages, which are delivered as signed updates after the answer.

use std::collections::VecDeque;

use consent::clock::Clock;
use serde_json::Value;
use tokio::sync::watch;
use tracing::warn;

use super::answer::Accepted;
use crate::gateway::Gateway;
use crate::update::{Status, Update};

/// The statuses of a message that arrives, in order.
const LIFE: [&str; 2] = ["sent", "delivered"];

/// The statuses that are still to be delivered. Clones share them.
#[derive(Clone, Debug, Default)]
pub(super) struct Statuses(watch::Sender<Due>);

#[derive(Debug, Default)]
struct Due {
    /// Number of messages without all their statuses, including those whose answer is not written yet.
    open: usize,
    /// The messages whose answer was written.
    answered: VecDeque<Report>,
}

/// The contents of a message's statuses.
#[derive(Debug)]
pub(super) struct Report {
    channel: String,
    message_id: String,
    recipient_id: Option<String>,
    recipient_user_id: Option<String>,
    callback: Option<Value>,
}

/// A receipt attached to an answer. It is dropped when the answer was written or lost, and then the statuses follow.
#[derive(Debug)]
pub(super) struct Receipt {
    statuses: Statuses,
    report: Option<Report>,
}

impl Report {
    /// The statuses of a message from a channel.
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
            warn!(channel = self.channel, state, %answer, "status refused by the webhook");
        }
    }
}

impl Statuses {
    /// A receipt that delivers the statuses when it is dropped.
    pub fn owed(&self, report: Report) -> Receipt {
        self.0.send_modify(|due| due.open += 1);
        Receipt { statuses: self.clone(), report: Some(report) }
    }

    /// Delivers the statuses one after the other, and never returns.
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

    /// Waits until all statuses are delivered.
    pub async fn delivered(&self) {
        let mut due = self.0.subscribe();
        // The sender is a field of `self`, so the channel can't be closed.
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
