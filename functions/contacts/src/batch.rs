//! Many changes at once. All of them can be sent again: what is made already is not made twice.

mod change;

use axum::Json;
use axum::extract::State;
use consent::contact::{Contact, Source};
use consent::decision::{Decision, RefusedOptIn, batch_opt_in_time, decide_switch};
use consent::event::{Actor, Effect, Event};
use consent::http::{Body, Caller, Fields, Problem};
use consent::identity::{Person, Sighting};
use consent::store::{self, ReadSet, StoreError, TenantStore};
use consent::time::Time;
use futures::StreamExt;
use futures::stream;
use serde::Serialize;
use serde_json::Value;

use crate::App;
use crate::switch::{self, Consent};
use change::Change;

/// Changes in one batch, at most.
const MAX_CHANGES: usize = 1_000;

/// Contacts that are written at a time.
const AT_ONCE: usize = 16;

/// What became of a batch: an answer to each change, in order.
#[derive(Serialize)]
pub struct Report {
    results: Vec<Answer>,
    counts: Counts,
}

/// What became of one change.
#[derive(Serialize)]
struct Answer {
    /// The contact's; of a change that can't be read, what was given as one.
    id: Value,
    outcome: Outcome,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Outcome {
    Changed,
    Unchanged,
    Refused,
    Invalid,
}

#[derive(Debug, Default, PartialEq, Eq, Serialize)]
struct Counts {
    changed: usize,
    unchanged: usize,
    refused: usize,
    invalid: usize,
}

/// Something with its place in the batch.
type Placed<T> = (usize, T);

/// `POST /contacts/batch`
pub async fn apply(State(app): State<App>, caller: Caller, body: Body) -> Result<Json<Report>, Problem> {
    let changes = body.required()?.make(changes)?;
    let now = app.clock.now();
    let tenant = app.store.tenant(&caller.tenant);

    let mut answers: Vec<Placed<Answer>> = Vec::with_capacity(changes.len());
    let mut wanted: Vec<Placed<(Sighting, Change)>> = Vec::new();
    for (place, change) in changes.into_iter().enumerate() {
        match Change::read(change, now) {
            Ok(change) => wanted.push((place, (change.named.sighting(), change))),
            Err(invalid) => {
                answers.push((place, Answer::new(invalid.id, Outcome::Invalid, Some(invalid.detail))));
            }
        }
    }
    answers.extend(change_all(&tenant, &caller.actor(), wanted, now).await?);
    answers.sort_unstable_by_key(|(place, _)| *place);

    let results: Vec<Answer> = answers.into_iter().map(|(_, answer)| answer).collect();
    Ok(Json(Report { counts: Counts::of(&results), results }))
}

fn changes(fields: &mut Fields) -> Option<Vec<Value>> {
    let changes: Vec<Value> = fields.required("changes", "a list of changes")?;
    if changes.len() > MAX_CHANGES {
        let detail = format!("has {} changes: send at most {MAX_CHANGES} at once", changes.len());
        fields.refuse("changes", detail);
    }
    Some(changes)
}

/// Changes many contacts. One that fails holds up no other, and is told when all the others are done.
async fn change_all(
    tenant: &TenantStore,
    actor: &Actor,
    wanted: Vec<Placed<(Sighting, Change)>>,
    now: Time,
) -> Result<Vec<Placed<Answer>>, StoreError> {
    let sightings: Vec<&Sighting> = wanted.iter().map(|(_, (sighting, _))| sighting).collect();
    let snapshot = tenant.people(&sightings).await?;
    let people = snapshot.by_person(wanted, |(_, (sighting, _))| sighting);
    let each = people
        .into_iter()
        .map(|(read_set, changes)| change_person(tenant.clone(), actor.clone(), read_set, changes, now));
    let done: Vec<Result<_, StoreError>> = stream::iter(each).buffer_unordered(AT_ONCE).collect().await;
    let done: Vec<Vec<_>> = done.into_iter().collect::<Result<_, _>>()?;
    Ok(done.into_iter().flatten().collect())
}

/// Carries out one person's changes in their order, each on what the one before left, and writes them together.
async fn change_person(
    tenant: TenantStore,
    actor: Actor,
    read_set: ReadSet,
    changes: Vec<Placed<(Sighting, Change)>>,
    now: Time,
) -> Result<Vec<Placed<Answer>>, StoreError> {
    let sightings: Vec<&Sighting> = changes.iter().map(|(_, (sighting, _))| sighting).collect();
    let decide = |index: usize, person: &Person| decide(&person.contact, &changes[index].1.1, &actor, now);
    let made = tenant.change_in_series(&sightings, read_set, now, decide).await?;
    let answer = |((place, (_, change)), made): (&Placed<(Sighting, Change)>, store::ChangeOutcome<RefusedOptIn>)| {
        let (outcome, detail) = match made {
            store::ChangeOutcome::Made { decision, .. } => {
                switch::report(tenant.id(), change.consent.into(), &decision);
                (Outcome::from(decision.effect()), None)
            }
            store::ChangeOutcome::Refused(refusal) => (Outcome::Refused, Some(refusal.to_string())),
            // What staff does is never a repeat: each time it is an event of its own.
            store::ChangeOutcome::Repeat | store::ChangeOutcome::Erased => (Outcome::Unchanged, None),
        };
        (*place, Answer::new(change.named.id.to_string().into(), outcome, detail))
    };
    Ok(changes.iter().zip(made).map(answer).collect())
}

fn decide(contact: &Contact, change: &Change, actor: &Actor, now: Time) -> Result<Decision, RefusedOptIn> {
    let obtained_at = change.evidence.as_ref().map(|evidence| evidence.obtained_at);
    let counts_at = match change.consent {
        Consent::OptedIn => batch_opt_in_time(contact, obtained_at)?,
        Consent::OptedOut => obtained_at.unwrap_or(now),
    };
    let event = Event {
        counts_at: Some(counts_at),
        evidence: change.evidence.clone(),
        ..switch::event(change.consent.into(), Source::Batch, actor.clone(), now)
    };
    Ok(decide_switch(contact, event, &change.named.profile(contact)))
}

impl Answer {
    fn new(id: Value, outcome: Outcome, detail: Option<String>) -> Self {
        Self { id, outcome, detail }
    }
}

impl From<Effect> for Outcome {
    fn from(effect: Effect) -> Self {
        match effect {
            Effect::Changed => Self::Changed,
            Effect::None | Effect::Superseded => Self::Unchanged,
        }
    }
}

impl Counts {
    fn of(results: &[Answer]) -> Self {
        let mut counts = Self::default();
        for result in results {
            *match result.outcome {
                Outcome::Changed => &mut counts.changed,
                Outcome::Unchanged => &mut counts.unchanged,
                Outcome::Refused => &mut counts.refused,
                Outcome::Invalid => &mut counts.invalid,
            } += 1;
        }
        counts
    }
}
