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
const MAX_LIMIT: u16 = 100;

/// A page of events.
#[derive(Serialize)]
pub struct HistoryView {
    events: Vec<EventView>,
    cursor: Option<String>,
}

/// An event as the API shows it.
#[derive(Serialize)]
struct EventView {
    id: EventId,
    at: Rfc3339,
    received_at: Rfc3339,
    kind: Kind,
    effect: Effect,
    source: Source,
    by: String,
    channel: Option<ChannelId>,
    words: Option<String>,
    keyword: Option<String>,
    note: Option<String>,
    evidence: Option<EvidenceView>,
    confirmation: Option<ConfirmationView>,
    reason: Option<UnappliedReason>,
}

#[derive(Serialize)]
struct EvidenceView {
    text: String,
    obtained_at: Rfc3339,
}

#[derive(Serialize)]
struct ConfirmationView {
    state: ConfirmationState,
    text: String,
    message_id: Option<String>,
    at: Option<Rfc3339>,
    code: Option<i64>,
    title: Option<String>,
}

/// `GET /contacts/{id}/history`: empty where nothing ever happened. Words that changed nothing are here too, so somebody
/// may have a history and still not be known.
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
