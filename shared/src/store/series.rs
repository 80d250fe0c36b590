//! Several changes of one person that staff makes at once: decided one on the other, and written together.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

use super::change::ChangeOutcome;
use super::read_set::ReadSet;
use super::request::{WriteOutcome, until_written};
use super::{StoreError, TenantStore};
use crate::decision::Decision;
use crate::event::HistoryEntry;
use crate::id::ContactId;
use crate::identity::{IdRecord, Person, Sighting};
use crate::time::Time;

/// The most history entries that are written in one transaction. With the records and the suppression items of the person
/// they stay far below the hundred items that DynamoDB takes:
/// <https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_TransactWriteItems.html>.
const ENTRIES: usize = 60;

/// Changes that are decided and not written yet.
struct Unwritten<R> {
    outcomes: Vec<ChangeOutcome<R>>,
    entries: Vec<(ContactId, HistoryEntry)>,
    records: BTreeMap<ContactId, IdRecord>,
}

impl TenantStore {
    /// Makes changes of one person in their order, each decided on what the one before left, and writes what comes of them
    /// in one transaction, or in as few as their history fits into. `decide` gets the index of the change. Where something
    /// that the decisions relied on has changed since it was read, it is read and decided again.
    ///
    /// `read_set` is what was read before; records that it lacks are read. The answer has an outcome for each of
    /// `sightings`.
    ///
    /// # Errors
    /// The table could not be read or written. A part of the changes may be in the table; making all of them again is safe.
    pub async fn change_in_series<R>(
        &self,
        sightings: &[&Sighting],
        mut read_set: ReadSet,
        now: Time,
        decide: impl Fn(usize, &Person) -> Result<Decision, R>,
    ) -> Result<Vec<ChangeOutcome<R>>, StoreError> {
        let mut made = Vec::with_capacity(sightings.len());
        while made.len() < sightings.len() {
            let first = made.len();
            let rest = &sightings[first..];
            let decide = &|index, person: &Person| decide(first + index, person);
            let attempt = |_, read_set| self.try_series(rest, read_set, now, decide);
            let (outcomes, after) = until_written(read_set, attempt).await?;
            made.extend(outcomes);
            read_set = after;
        }
        Ok(made)
    }

    /// One attempt at the first of these changes: their outcomes, and the read set afterwards.
    async fn try_series<R>(
        &self,
        sightings: &[&Sighting],
        mut read_set: ReadSet,
        now: Time,
        decide: &impl Fn(usize, &Person) -> Result<Decision, R>,
    ) -> Result<ControlFlow<(Vec<ChangeOutcome<R>>, ReadSet), ReadSet>, StoreError> {
        let unwritten = self.decide_series(sightings, &mut read_set, decide).await?;
        let counted: BTreeSet<ContactId> = unwritten.entries.iter().map(|(id, _)| id.clone()).collect();
        let rewrite = self.rewrite(&read_set, &unwritten.records, &counted, now)?;
        let mut items = rewrite.items;
        for (id, entry) in &unwritten.entries {
            items.push(self.put_entry(id, entry)?);
        }
        if !items.is_empty() && self.store.transact(items).await? == WriteOutcome::Raced {
            return Ok(ControlFlow::Continue(ReadSet::default()));
        }
        for outcome in &unwritten.outcomes {
            if let ChangeOutcome::Made { decision, .. } = outcome {
                self.tell_unheeded(decision);
            }
        }
        Ok(ControlFlow::Break((unwritten.outcomes, rewrite.after)))
    }

    /// Decides on changes until their history fills a transaction. Records that the read set lacks are read into it.
    async fn decide_series<R>(
        &self,
        sightings: &[&Sighting],
        read_set: &mut ReadSet,
        decide: &impl Fn(usize, &Person) -> Result<Decision, R>,
    ) -> Result<Unwritten<R>, StoreError> {
        let mut unwritten = Unwritten { outcomes: Vec::new(), entries: Vec::new(), records: BTreeMap::new() };
        // The read set as the changes before leave it.
        let mut meanwhile = read_set.clone();
        for (index, sighting) in sightings.iter().enumerate() {
            if unwritten.entries.len() >= ENTRIES {
                break;
            }
            let person = self.find(sighting, &mut meanwhile).await?;
            read_set.add_missing(&meanwhile);
            let decision = match decide(index, &person) {
                Ok(decision) => decision,
                Err(refusal) => {
                    unwritten.outcomes.push(ChangeOutcome::Refused(refusal));
                    continue;
                }
            };
            let records = person.records(&decision.contact, decision.applied.as_ref());
            meanwhile.assume(&records);
            unwritten.records.extend(records);
            let entries = [&decision.entry, &decision.merge].into_iter().flatten();
            unwritten.entries.extend(entries.map(|entry| (person.id().clone(), entry.clone())));
            unwritten.outcomes.push(ChangeOutcome::Made { id: person.id().clone(), decision: Box::new(decision) });
        }
        Ok(unwritten)
    }
}
