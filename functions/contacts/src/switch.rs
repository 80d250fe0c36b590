//! Changes of one contact by staff. For changes of many, see [`crate::batch`].

use axum::Json;
use axum::extract::State;
use consent::contact::Source;
use consent::decision::{Decision, decide_switch, switch_time};
use consent::event::{Actor, Event, HistoryKey, Kind};
use consent::http::{Body, Caller, Fields, Problem};
use consent::id::{EventId, TenantId};
use consent::store::{ChangeOutcome, ChangeRequest};
use consent::time::Time;
use serde::Deserialize;

use crate::named::Named;
use crate::view::ContactView;
use crate::{App, contact};

/// Characters of a note, at most.
const MAX_NOTE: usize = 1_000;

/// The consent that staff switches a contact to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Consent {
    /// The contact may get marketing.
    OptedIn,
    /// The contact gets no more marketing.
    OptedOut,
}

/// A change of one contact's consent.
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
pub struct ConsentChange {
    /// Consent to set.
    status: Consent,
    /// Note for the history.
    #[cfg_attr(feature = "openapi", schemars(length(max = MAX_NOTE)))]
    note: Option<String>,
}

/// A change of one contact's block.
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
pub struct BlockChange {
    /// Note for the history.
    #[cfg_attr(feature = "openapi", schemars(length(max = MAX_NOTE)))]
    note: Option<String>,
}

impl Consent {
    /// Takes the field `status`.
    pub fn read(fields: &mut Fields) -> Option<Self> {
        fields.required("status", "`opted_in` or `opted_out`")
    }
}

impl From<Consent> for Kind {
    fn from(consent: Consent) -> Self {
        match consent {
            Consent::OptedIn => Self::OptIn,
            Consent::OptedOut => Self::OptOut,
        }
    }
}

/// A change that staff asks for.
struct Switch {
    kind: Kind,
    note: Option<String>,
}

impl ConsentChange {
    fn read(fields: &mut Fields) -> Option<Self> {
        let status = Consent::read(fields);
        let note = note(fields);
        Some(Self { status: status?, note })
    }
}

impl BlockChange {
    #[expect(clippy::unnecessary_wraps, reason = "the shape that bodies are read by")]
    fn read(fields: &mut Fields) -> Option<Self> {
        Some(Self { note: note(fields) })
    }
}

/// `PUT /contacts/{id}/consent`
pub async fn set_consent(
    State(app): State<App>,
    caller: Caller,
    named: Named,
    body: Body,
) -> Result<Json<ContactView>, Problem> {
    let ConsentChange { status, note } = body.required()?.make(ConsentChange::read)?;
    carry_out(&app, &caller, named, Switch { kind: status.into(), note }).await
}

/// `PUT /contacts/{id}/block`
pub async fn block(
    State(app): State<App>,
    caller: Caller,
    named: Named,
    body: Body,
) -> Result<Json<ContactView>, Problem> {
    let BlockChange { note } = body.optional().make(BlockChange::read)?;
    carry_out(&app, &caller, named, Switch { kind: Kind::Block, note }).await
}

/// `DELETE /contacts/{id}/block`
pub async fn unblock(
    State(app): State<App>,
    caller: Caller,
    named: Named,
    body: Body,
) -> Result<Json<ContactView>, Problem> {
    let BlockChange { note } = body.optional().make(BlockChange::read)?;
    carry_out(&app, &caller, named, Switch { kind: Kind::Unblock, note }).await
}

/// The event of a change by staff.
pub fn event(kind: Kind, source: Source, by: Actor, received_at: Time) -> Event {
    Event::new(kind, source, by, HistoryKey { time: received_at, id: EventId::unique() }, received_at)
}

/// Logs the effect of a change by staff.
pub fn report(tenant: &TenantId, kind: Kind, decision: &Decision) {
    tracing::info!(tenant = %tenant, ?kind, effect = ?decision.effect(), "contact changed by staff");
}

fn note(fields: &mut Fields) -> Option<String> {
    fields.optional_text("note", MAX_NOTE)
}

/// The refusal to lift the block of a contact of whom nothing is known.
struct UnknownContact;

async fn carry_out(app: &App, caller: &Caller, named: Named, switch: Switch) -> Result<Json<ContactView>, Problem> {
    let now = app.clock.now();
    let tenant = app.store.tenant(&caller.tenant);
    let sighting = named.sighting();
    let snapshot = tenant.people(&[&sighting]).await?;
    let mut read_set = snapshot.read_set();
    let change = tenant.change(ChangeRequest::by_staff(&sighting), &mut read_set, now, |person| {
        let contact = &person.contact;
        if switch.kind == Kind::Unblock && !contact.is_known() {
            return Err(UnknownContact);
        }
        let at = switch_time(contact, now);
        let mut event = event(switch.kind, Source::Manual, caller.actor(), now);
        (event.at, event.key.time, event.note) = (at, at, switch.note.clone());
        Ok(decide_switch(contact, event, &named.profile(contact)))
    });
    match change.await? {
        ChangeOutcome::Made { id, decision } => {
            report(&caller.tenant, switch.kind, &decision);
            Ok(Json(ContactView::new(id, decision.contact, snapshot.settings.as_ref())))
        }
        // Changes by staff are never repeats: each is an event of its own.
        ChangeOutcome::Refused(UnknownContact) | ChangeOutcome::Repeat | ChangeOutcome::Erased => {
            Err(contact::unknown())
        }
    }
}
