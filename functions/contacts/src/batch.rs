//! Many changes at once. All of them can be sent again: what is made already is not made twice.

pub(crate) mod change;

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
use change::BatchChange;

/// Changes in one batch, at most.
const MAX_CHANGES: usize = 1_000;

/// Maximum number of contacts that are written in parallel.
const AT_ONCE: usize = 16;

/// The changes of a batch.
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
pub struct Batch {
    /// Changes, in the order in which they are made.
    #[cfg_attr(feature = "openapi", schemars(with = "Vec<BatchChange>", length(max = MAX_CHANGES)))]
    changes: Vec<Value>,
}

/// The results of a batch.
#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
pub struct BatchReport {
    /// A result for each change, in the order of the changes.
    results: Vec<BatchResult>,
    /// Number of changes with each outcome.
    counts: BatchCounts,
}

/// The result of one change.
#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
struct BatchResult {
    /// Id of the contact. Of an invalid change, the `id` as it was given, whatever that is.
    id: Value,
    /// Outcome of the change.
    outcome: BatchOutcome,
    /// Reason of a refusal, or the fault of an invalid change and its cure.
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
}

/// The outcome of one change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
enum BatchOutcome {
    /// The change was made.
    Changed,
    /// There was nothing to change, or something newer stands.
    Unchanged,
    /// The change would opt in somebody who opted out or was erased, without evidence of a later consent.
    Refused,
    /// The change can't be read.
    Invalid,
}

/// Number of changes with each outcome.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
struct BatchCounts {
    /// Changes that were made.
    changed: usize,
    /// Changes that changed nothing.
    unchanged: usize,
    /// Changes that were refused.
    refused: usize,
    /// Changes that can't be read.
    invalid: usize,
}

/// A thing with its index in the batch.
type Indexed<T> = (usize, T);

/// `POST /contacts/batch`
pub async fn apply(State(app): State<App>, caller: Caller, body: Body) -> Result<Json<BatchReport>, Problem> {
    let Batch { changes } = body.required()?.make(Batch::read)?;
    let now = app.clock.now();
    let tenant = app.store.tenant(&caller.tenant);

    let mut answers: Vec<Indexed<BatchResult>> = Vec::with_capacity(changes.len());
    let mut requests: Vec<Indexed<(Sighting, BatchChange)>> = Vec::new();
    for (index, change) in changes.into_iter().enumerate() {
        match BatchChange::read(change, now) {
            Ok(change) => requests.push((index, (change.named.sighting(), change))),
            Err(invalid) => {
                answers.push((index, BatchResult::new(invalid.id, BatchOutcome::Invalid, Some(invalid.detail))));
            }
        }
    }
    answers.extend(change_all(&tenant, &caller.actor(), requests, now).await?);
    answers.sort_unstable_by_key(|(index, _)| *index);

    let results: Vec<BatchResult> = answers.into_iter().map(|(_, answer)| answer).collect();
    Ok(Json(BatchReport { counts: BatchCounts::of(&results), results }))
}

impl Batch {
    fn read(fields: &mut Fields) -> Option<Self> {
        let changes: Vec<Value> = fields.required("changes", "a list of changes")?;
        if changes.len() > MAX_CHANGES {
            let detail = format!("has {} changes: send at most {MAX_CHANGES} at once", changes.len());
            fields.refuse("changes", detail);
        }
        Some(Self { changes })
    }
}

/// Changes many contacts. One failure does not stop the others; it is returned when all of them are done.
async fn change_all(
    tenant: &TenantStore,
    actor: &Actor,
    requests: Vec<Indexed<(Sighting, BatchChange)>>,
    now: Time,
) -> Result<Vec<Indexed<BatchResult>>, StoreError> {
    let sightings: Vec<&Sighting> = requests.iter().map(|(_, (sighting, _))| sighting).collect();
    let snapshot = tenant.people(&sightings).await?;
    let people = snapshot.by_person(requests, |(_, (sighting, _))| sighting);
    let each = people
        .into_iter()
        .map(|(read_set, changes)| change_person(tenant.clone(), actor.clone(), read_set, changes, now));
    let done: Vec<Result<_, StoreError>> = stream::iter(each).buffer_unordered(AT_ONCE).collect().await;
    let done: Vec<Vec<_>> = done.into_iter().collect::<Result<_, _>>()?;
    Ok(done.into_iter().flatten().collect())
}

/// Makes one person's changes in their order and writes them together. Each is decided on the contact as the one before left
/// it.
async fn change_person(
    tenant: TenantStore,
    actor: Actor,
    read_set: ReadSet,
    changes: Vec<Indexed<(Sighting, BatchChange)>>,
    now: Time,
) -> Result<Vec<Indexed<BatchResult>>, StoreError> {
    let sightings: Vec<&Sighting> = changes.iter().map(|(_, (sighting, _))| sighting).collect();
    let decide = |index: usize, person: &Person| decide(&person.contact, &changes[index].1.1, &actor, now);
    let made = tenant.change_in_series(&sightings, read_set, now, decide).await?;
    let answer =
        |((index, (_, change)), made): (&Indexed<(Sighting, BatchChange)>, store::ChangeOutcome<RefusedOptIn>)| {
            let (outcome, detail) = match made {
                store::ChangeOutcome::Made { decision, .. } => {
                    switch::report(tenant.id(), change.consent.into(), &decision);
                    (BatchOutcome::from(decision.effect()), None)
                }
                store::ChangeOutcome::Refused(refusal) => (BatchOutcome::Refused, Some(refusal.to_string())),
                // Changes by staff are never repeats: each is an event of its own.
                store::ChangeOutcome::Repeat | store::ChangeOutcome::Erased => (BatchOutcome::Unchanged, None),
            };
            (*index, BatchResult::new(change.named.id.to_string().into(), outcome, detail))
        };
    Ok(changes.iter().zip(made).map(answer).collect())
}

fn decide(contact: &Contact, change: &BatchChange, actor: &Actor, now: Time) -> Result<Decision, RefusedOptIn> {
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

impl BatchResult {
    fn new(id: Value, outcome: BatchOutcome, detail: Option<String>) -> Self {
        Self { id, outcome, detail }
    }
}

impl From<Effect> for BatchOutcome {
    fn from(effect: Effect) -> Self {
        match effect {
            Effect::Changed => Self::Changed,
            Effect::None | Effect::Superseded => Self::Unchanged,
        }
    }
}

impl BatchCounts {
    fn of(results: &[BatchResult]) -> Self {
        let mut counts = Self::default();
        for result in results {
            *match result.outcome {
                BatchOutcome::Changed => &mut counts.changed,
                BatchOutcome::Unchanged => &mut counts.unchanged,
                BatchOutcome::Refused => &mut counts.refused,
                BatchOutcome::Invalid => &mut counts.invalid,
            } += 1;
        }
        counts
    }
}
