//! Things that happen to a contact, and the entries of its history: the proof of consent.

mod actor;

use serde::{Deserialize, Serialize};

pub use actor::Actor;

use crate::contact::Source;
use crate::id::{ChannelId, EventId};
use crate::settings::Intent;
use crate::time::Time;

/// The kind of an event: what it asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// No more marketing.
    OptOut,
    /// Marketing again.
    OptIn,
    /// Staff: nothing at all any more.
    Block,
    /// Staff: the end of a block.
    Unblock,
    /// WhatsApp's own control: no more marketing.
    ProviderStop,
    /// WhatsApp's own control: marketing again.
    ProviderResume,
    /// Two contacts turned out to be one person.
    Merge,
    /// The person's number or id changed.
    IdChange,
    /// A kind of a later version.
    #[serde(other)]
    Other,
}

impl Kind {
    /// True if it takes something away that the contact could receive.
    #[must_use]
    pub fn restricts(self) -> bool {
        matches!(self, Self::OptOut | Self::Block | Self::ProviderStop)
    }
}

impl From<Intent> for Kind {
    fn from(intent: Intent) -> Self {
        match intent {
            Intent::OptOut => Self::OptOut,
            Intent::OptIn => Self::OptIn,
        }
    }
}

/// The key of an event in a contact's history. An event that came with a usable time stands at that time; one that
/// counts when it is processed stands at 0, so that a repeat, processed later, still finds it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct HistoryKey {
    /// The event's own time, or 0. Stored in the entry's key alone.
    #[serde(skip)]
    pub time: Time,
    /// The event's id.
    pub id: EventId,
}

/// Something that happened to a contact.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// The key in the history.
    #[serde(flatten)]
    pub key: HistoryKey,
    /// The event's own time or, where that can't be relied on, the time of processing.
    pub at: Time,
    /// The time at which it counts in the one order of all events, where that is not `at`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub counts_at: Option<Time>,
    /// The time at which it reached us.
    pub received_at: Time,
    /// The kind.
    pub kind: Kind,
    /// The source.
    pub source: Source,
    /// The actor, stored as `by`, and for users with a marker and the name.
    #[serde(flatten)]
    pub by: Actor,
    /// The channel that the customer wrote to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channel: Option<ChannelId>,
    /// The customer's own words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub words: Option<String>,
    /// The keyword that they matched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keyword: Option<String>,
    /// The note of staff.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// The proof of a consent that was given elsewhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evidence: Option<Evidence>,
}

impl Event {
    /// An event that reached us, and happened, at this time, and of which nothing more is known.
    #[must_use]
    pub fn new(kind: Kind, source: Source, by: Actor, key: HistoryKey, received_at: Time) -> Self {
        Self {
            key,
            at: received_at,
            counts_at: None,
            received_at,
            kind,
            source,
            by,
            channel: None,
            words: None,
            keyword: None,
            note: None,
            evidence: None,
        }
    }

    /// The time at which the event counts against others: it alone decides which of them stands.
    #[must_use]
    pub fn counts_at(&self) -> Time {
        self.counts_at.unwrap_or(self.at)
    }
}

/// A consent that was given outside of this system.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evidence {
    /// The words that say how and where it was given.
    pub text: String,
    /// The time at which it was given.
    pub obtained_at: Time,
}

/// The effect of an event when it was processed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// The event changed the contact.
    Changed,
    /// There was nothing to change.
    None,
    /// The event would have changed the contact, but a newer one stands.
    Superseded,
}

/// The reason for which an event was not applied, or its customer is not told of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum UnappliedReason {
    /// The event was not applied: the tenant has switched keyword handling off.
    Disabled,
    /// The opt-in was applied and is not confirmed: the customer has stopped marketing with WhatsApp's own control, so
    /// that it would be untrue.
    ProviderStopped,
    /// A reason of a later version.
    #[serde(other)]
    Other,
}

/// An event as the history keeps it, with what came of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "StoredEntry", from = "StoredEntry")]
pub struct HistoryEntry {
    /// The event.
    pub event: Event,
    /// The effect of the event.
    pub effect: Effect,
    /// The reason for which it did nothing or is not confirmed, where that needs one.
    pub reason: Option<UnappliedReason>,
    /// The confirmation that the customer gets.
    pub confirmation: Option<Confirmation>,
}

/// A history entry as it is stored. Versions that know [`UnappliedReason::Disabled`] alone refuse any other `reason`, so
/// the others stand in a field that those versions pass over.
#[derive(Serialize, Deserialize)]
struct StoredEntry {
    #[serde(flatten)]
    event: Event,
    effect: Effect,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reason: Option<UnappliedReason>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    unconfirmed: Option<UnappliedReason>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    confirmation: Option<Confirmation>,
}

impl From<HistoryEntry> for StoredEntry {
    fn from(HistoryEntry { event, effect, reason, confirmation }: HistoryEntry) -> Self {
        let (reason, unconfirmed) = match reason {
            Some(UnappliedReason::ProviderStopped) => (None, reason),
            Some(UnappliedReason::Disabled | UnappliedReason::Other) | None => (reason, None),
        };
        Self { event, effect, reason, unconfirmed, confirmation }
    }
}

impl From<StoredEntry> for HistoryEntry {
    fn from(StoredEntry { event, effect, reason, unconfirmed, confirmation }: StoredEntry) -> Self {
        let event = Event { by: event.by.of_source(event.source), ..event };
        Self { event, effect, reason: reason.or(unconfirmed), confirmation }
    }
}

impl HistoryEntry {
    /// An event that changed something and is not confirmed.
    #[must_use]
    pub fn changed(event: Event) -> Self {
        Self { event, effect: Effect::Changed, reason: None, confirmation: None }
    }
}

/// The message that tells a customer that a wish was granted, and its fate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Confirmation {
    /// Its fate.
    pub state: ConfirmationState,
    /// Its text.
    pub text: String,
    /// WhatsApp's id of the message, once it is accepted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message_id: Option<String>,
    /// The time at which its fate was decided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Time>,
    /// WhatsApp's error code, where it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<i64>,
    /// WhatsApp's words for that error.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
}

/// The fate of a confirmation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum ConfirmationState {
    /// On its way.
    Pending,
    /// Accepted by WhatsApp.
    Sent,
    /// Refused by WhatsApp for good.
    Failed,
    /// Not sent within the 24 hours in which WhatsApp allows an answer.
    Expired,
    /// Not sent, because what it says is no longer so.
    Superseded,
}

/// A report of WhatsApp's on a confirmation, some time after it was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeliveryReport {
    /// The message is on its way to the customer, or there.
    Sent {
        /// WhatsApp's id of the message.
        message_id: Option<String>,
    },
    /// The message could not be delivered.
    Failed {
        /// WhatsApp's error code.
        code: Option<i64>,
        /// WhatsApp's words for that error.
        title: Option<String>,
    },
}

impl Confirmation {
    /// The confirmation as a report makes it; none if the report is no news. What was accepted may still fail, but what
    /// has failed, or was never sent, stays so.
    #[must_use]
    pub fn reported(&self, report: &DeliveryReport, now: Time) -> Option<Self> {
        use ConfirmationState::{Failed, Pending, Sent};
        match (self.state, report) {
            (Pending, DeliveryReport::Sent { message_id }) => {
                Some(Self { state: Sent, message_id: message_id.clone(), at: Some(now), ..self.clone() })
            }
            (Pending | Sent, DeliveryReport::Failed { code, title }) => {
                Some(Self { state: Failed, at: Some(now), code: *code, title: title.clone(), ..self.clone() })
            }
            _ => None,
        }
    }

    /// A confirmation that is still to be sent.
    #[must_use]
    pub fn pending(text: &str) -> Self {
        Self {
            state: ConfirmationState::Pending,
            text: text.to_owned(),
            message_id: None,
            at: None,
            code: None,
            title: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn entry(reason: Option<UnappliedReason>) -> HistoryEntry {
        let (at, id) = (Time::from_millis(5), EventId::from("wamid.A".to_owned()));
        let event = Event::new(Kind::OptIn, Source::Keyword, Actor::Customer, HistoryKey { time: at, id }, at);
        HistoryEntry { reason, ..HistoryEntry::changed(event) }
    }

    #[test]
    fn a_reason_survives_and_stands_where_an_earlier_version_can_cope_with_it() {
        for (reason, field) in
            [(UnappliedReason::Disabled, "reason"), (UnappliedReason::ProviderStopped, "unconfirmed")]
        {
            let stored = serde_json::to_value(entry(Some(reason))).unwrap();
            assert_eq!((&stored[field], stored["id"].as_str()), (&json!(reason), Some("wamid.A")));
            assert_eq!(stored.get("reason").is_some(), field == "reason");
            let read: HistoryEntry = serde_json::from_value(stored).unwrap();
            assert_eq!(read.reason, Some(reason));
        }
    }

    #[test]
    fn an_entry_with_a_reason_of_a_later_version_can_be_read() {
        for field in ["reason", "unconfirmed"] {
            let mut stored = serde_json::to_value(entry(None)).unwrap();
            assert_eq!(stored.get(field), None);
            for (later, reason) in [(json!("later"), Some(UnappliedReason::Other)), (Value::Null, None)] {
                stored[field] = later;
                assert_eq!(serde_json::from_value::<HistoryEntry>(stored.clone()).unwrap().reason, reason, "{stored}");
            }
        }
    }
}
