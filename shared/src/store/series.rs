//! Several changes of one person that staff makes at once: decided one on the other, and written together.

use std::collections::{BTreeMap, BTreeSet};

use super::change::ChangeOutcome;
use super::place::ReadSet;
use super::request::{ATTEMPTS, WriteOutcome, pause};
use super::{StoreError, TenantStore};
use crate::decision::Decision;
use crate::event::HistoryEntry;
use crate::id::ContactId;
use crate::identity::{IdRecord, Person, Sighting};
use crate::time::Time;

/// History entries that are written in one transaction, at most: with the places and the suppression items of the person
/// they stay far below the hundred items that DynamoDB takes.
const ENTRIES: usize = 60;

/// Changes that are decided and not written yet.
struct Pending<R> {
    changes: Vec<ChangeOutcome<R>>,
    entries: Vec<(ContactId, HistoryEntry)>,
    after: BTreeMap<ContactId, IdRecord>,
}

impl TenantStore {
    /// Makes changes of one person in their order, each decided on what the one before left, and writes what comes of them
    /// in one transaction, or in as few as their history fits into. `decide` gets the index of the change. Where something
    /// that the decisions relied on has changed since it was read, it is read and decided again.
    ///
    /// `known` is what was read before; what it lacks is read. The answer has an outcome for each of `sightings`.
    ///
    /// # Errors
    /// Something could not be read or written. A part of the changes may be in the table; making all of them again is safe.
    pub async fn change_in_series<R>(
        &self,
        sightings: &[&Sighting],
        mut known: ReadSet,
        now: Time,
        decide: impl Fn(usize, &Person) -> Result<Decision, R>,
    ) -> Result<Vec<ChangeOutcome<R>>, StoreError> {
        let mut made = Vec::with_capacity(sightings.len());
        let mut attempt = 1;
        while made.len() < sightings.len() {
            let mut read = known.clone();
            let pending = self.decide_series(&sightings[made.len()..], made.len(), &mut read, &decide).await?;
            let counted: BTreeSet<ContactId> = pending.entries.iter().map(|(id, _)| id.clone()).collect();
            let rewrite = self.rewrite(&read, &pending.after, &counted, now)?;
            let mut items = rewrite.items;
            for (id, entry) in &pending.entries {
                items.push(self.record(id, entry)?);
            }
            if items.is_empty() || self.store.transact(items).await? == WriteOutcome::Yes {
                for change in &pending.changes {
                    if let ChangeOutcome::Made { decision, .. } = change {
                        self.tell_unheeded(decision);
                    }
                }
                made.extend(pending.changes);
                known = rewrite.known;
                attempt = 1;
            } else if attempt == ATTEMPTS {
                return Err(StoreError::Contended);
            } else {
                pause(attempt).await;
                known = ReadSet::default();
                attempt += 1;
            }
        }
        Ok(made)
    }

    /// Decides on changes until their history fills a transaction. `read` gets what had to be read besides.
    async fn decide_series<R>(
        &self,
        sightings: &[&Sighting],
        first: usize,
        read: &mut ReadSet,
        decide: &impl Fn(usize, &Person) -> Result<Decision, R>,
    ) -> Result<Pending<R>, StoreError> {
        let mut pending = Pending { changes: Vec::new(), entries: Vec::new(), after: BTreeMap::new() };
        // What will stand once the changes before are written.
        let mut meanwhile = read.clone();
        for (index, sighting) in sightings.iter().enumerate() {
            if pending.entries.len() >= ENTRIES {
                break;
            }
            let person = self.find(sighting, &mut meanwhile).await?;
            read.add(&meanwhile);
            let decision = match decide(first + index, &person) {
                Ok(decision) => decision,
                Err(refusal) => {
                    pending.changes.push(ChangeOutcome::Refused(refusal));
                    continue;
                }
            };
            let after = person.records(&decision.contact, decision.heeded.as_ref());
            meanwhile.assume(&after);
            pending.after.extend(after);
            let entries = [&decision.entry, &decision.merge].into_iter().flatten();
            pending.entries.extend(entries.map(|entry| (person.id().clone(), entry.clone())));
            pending.changes.push(ChangeOutcome::Made { id: person.id().clone(), decision: Box::new(decision) });
        }
        Ok(pending)
    }
}
