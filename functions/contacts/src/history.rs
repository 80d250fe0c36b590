//! The history of a contact, newest first: the proof of consent.

use axum::Json;
use axum::extract::State;
use consent::contact::Source;
use consent::event::{
    Confirmation, ConfirmationState, Effect, Event, Evidence, HistoryEntry, HistoryKey, Kind, UnappliedReason,
};
use consent::http::{Caller, Problem};
use consent::id::{ChannelId, EventId};
use consent::time::{Rfc3339, Time};
use serde::Serialize;

use crate::App;
use crate::cursor::{self, List};
use crate::named::Named;
use crate::query::Query;

/// Events of a page, at most.
pub(crate) const MAX_LIMIT: u16 = 100;

/// A page of events.
#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema), schemars(rename = "HistoryPage"))]
pub struct HistoryView {
    /// Events, newest first.
    events: Vec<EventView>,
    /// Cursor of the next page; null after the last one.
    cursor: Option<String>,
}

/// An event of a contact's history.
#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema), schemars(rename = "HistoryEvent"))]
struct EventView {
    /// WhatsApp's id of the message, or an id of our own.
    id: EventId,
    /// Time at which the event counts.
    at: Rfc3339,
    /// Time of the first processing.
    received_at: Rfc3339,
    /// Change that the event asks for.
    kind: Kind,
    /// Result, as of the first processing.
    effect: Effect,
    /// Origin of the event.
    source: Source,
    /// `customer`, `system`, or the id of the user.
    by: String,
    /// Channel that the customer wrote to.
    channel: Option<ChannelId>,
    /// Words of the customer, cut at 1 KiB.
    words: Option<String>,
    /// Keyword that the words match.
    keyword: Option<String>,
    /// Note of the user who made the change.
    note: Option<String>,
    /// Evidence that a batch gave.
    evidence: Option<EvidenceView>,
    /// Confirmation of the change to the customer.
    confirmation: Option<ConfirmationView>,
    /// Reason for which the event was not applied, or not confirmed.
    reason: Option<UnappliedReason>,
}

/// A consent that was given outside of this system.
#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema), schemars(rename = "Evidence"))]
struct EvidenceView {
    /// Way and place of giving it.
    text: String,
    /// Time of giving it.
    obtained_at: Rfc3339,
}

/// A message that confirms a change to the customer.
#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema), schemars(rename = "Confirmation"))]
struct ConfirmationView {
    /// Fate of the message.
    state: ConfirmationState,
    /// Text of the message.
    text: String,
    /// WhatsApp's id of the message, once it is accepted.
    message_id: Option<String>,
    /// Time at which the fate was decided.
    at: Option<Rfc3339>,
    /// WhatsApp's error code, where the message failed.
    code: Option<i64>,
    /// Meaning of that error.
    title: Option<String>,
}

/// `GET /contacts/{id}/history`: empty for a contact without events. Words that changed nothing are events too, so an unknown
/// contact may have a history.
pub async fn page(
    State(app): State<App>,
    caller: Caller,
    Named { id, .. }: Named,
    mut query: Query,
) -> Result<Json<HistoryView>, Problem> {
    query.only(&["limit", "cursor"]);
    let limit = query.limit(MAX_LIMIT);
    let cursor = query.text("cursor").map(str::to_owned);
    query.finish()?;

    let list = List::of(&["history", caller.tenant.as_str(), id.as_str()]);
    let before = match cursor {
        Some(cursor) => Some(position(&list, &cursor).ok_or_else(cursor::invalid)?),
        None => None,
    };
    let found = app.store.tenant(&caller.tenant).history(&id, before.as_ref(), limit).await?;
    let events = found.entries.into_iter().map(EventView::from).collect();
    Ok(Json(HistoryView { events, cursor: found.next.map(|next| cursor_for(&list, &next)) }))
}

fn cursor_for(list: &List, oldest: &HistoryKey) -> String {
    list.cursor([&oldest.time.millis().to_string(), oldest.id.as_str()])
}

fn position(list: &List, cursor: &str) -> Option<HistoryKey> {
    let [millis, id] = list.position(cursor)?;
    Some(HistoryKey { time: Time::from_millis(millis.parse().ok()?), id: id.into() })
}

impl From<HistoryEntry> for EventView {
    fn from(entry: HistoryEntry) -> Self {
        let HistoryEntry { event, effect, reason, confirmation } = entry;
        let Event { key, at, received_at, kind, source, by, channel, words, keyword, note, evidence, counts_at: _ } =
            event;
        Self {
            id: key.id,
            at: Rfc3339(at),
            received_at: Rfc3339(received_at),
            kind,
            effect,
            source,
            by: by.as_str().to_owned(),
            channel,
            words,
            keyword,
            note,
            evidence: evidence.map(EvidenceView::from),
            confirmation: confirmation.map(ConfirmationView::from),
            reason,
        }
    }
}

impl From<Evidence> for EvidenceView {
    fn from(Evidence { text, obtained_at }: Evidence) -> Self {
        Self { text, obtained_at: Rfc3339(obtained_at) }
    }
}

impl From<Confirmation> for ConfirmationView {
    fn from(confirmation: Confirmation) -> Self {
        let Confirmation { state, text, message_id, at, code, title } = confirmation;
        Self { state, text, message_id, at: at.map(Rfc3339), code, title }
    }
}

#[cfg(test)]
mod tests {
    use consent::event::Actor;
    use serde_json::json;

    use super::*;
    use crate::switch;

    #[test]
    fn an_event_shows_every_field_whether_it_has_one_or_not() {
        let at = Time::from_millis(1_795_341_600_000);
        let event = switch::event(Kind::OptOut, Source::Manual, Actor::user("user-1", None), at);
        let id = event.key.id.to_string();
        let confirmation = Some(Confirmation::pending("Done."));
        let entry = HistoryEntry { event, effect: Effect::Changed, reason: None, confirmation };
        assert_eq!(
            serde_json::to_value(EventView::from(entry)).unwrap(),
            json!({
                "id": id, "at": "2026-11-22T10:00:00.000Z", "received_at": "2026-11-22T10:00:00.000Z", "kind": "opt_out",
                "effect": "changed", "source": "manual", "by": "user-1", "channel": null, "words": null,
                "keyword": null, "note": null, "evidence": null, "reason": null,
                "confirmation": {
                    "state": "pending", "text": "Done.", "message_id": null, "at": null, "code": null, "title": null
                }
            })
        );
    }

    #[test]
    fn a_cursor_leads_back_to_its_entry() {
        let list = List::of(&["history", "demo", "+14155550123"]);
        let oldest = HistoryKey { time: Time::from_millis(5), id: EventId::from("wamid.A#B".to_owned()) };
        assert_eq!(position(&list, &cursor_for(&list, &oldest)), Some(oldest));
        assert_eq!(position(&list, &list.cursor(["x", "y"])), None);
    }
}
