//! Erasure: the end of what is known of a person.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

use super::read_set::ReadSet;
use super::request::{WriteOutcome, until_written};
use super::{StoreError, TenantStore};
use crate::id::ContactId;
use crate::identity::{HistorySpan, IdRecord, IdState, Person, PreviousHolder, Sighting};
use crate::time::Time;

impl TenantStore {
    /// Erases a person under every id: history, contact and links go. A tombstone stays under each, so that an event that is
    /// delivered once more leaves no trace and no restriction is lost; suppression items stay as they are.
    ///
    /// The histories go first and the contact, which leads to them, goes last: an erasure that was interrupted is finished
    /// by asking for it again.
    ///
    /// # Errors
    /// The table could not be read or written; the erasure can be asked for again.
    pub async fn erase(&self, id: &ContactId, now: Time) -> Result<(), StoreError> {
        until_written(None, |_, newest| self.try_erase(id, newest, now)).await
    }

    /// One attempt at an erasure, which continues with the newest time of the entries that were deleted so far.
    async fn try_erase(
        &self,
        id: &ContactId,
        newest: Option<Time>,
        now: Time,
    ) -> Result<ControlFlow<(), Option<Time>>, StoreError> {
        let mut read_set = ReadSet::default();
        let person = self.find(&Sighting::of(id.clone()), &mut read_set).await?;
        let history_spans = self.history_spans(&person, &mut read_set).await?;
        let newest = newest.max(self.delete_histories(&history_spans).await?);
        let at = moment(now, &person, newest);
        // Whatever goes into the history of a contact counts up the version on which this is conditional.
        let records = erased(&person, &history_spans, &read_set, at);
        let rewrite = self.rewrite(&read_set, &records, &BTreeSet::new(), now)?;
        if !rewrite.items.is_empty() && self.store.transact(rewrite.items).await? == WriteOutcome::Raced {
            return Ok(ControlFlow::Continue(newest));
        }
        // Where no contact was, an entry that came in between counted nothing up.
        let bounded: Vec<HistorySpan> = history_spans.into_iter().map(|span| span.up_to(at)).collect();
        self.delete_histories(&bounded).await?;
        Ok(ControlFlow::Break(()))
    }

    /// Deletes the entries of spans, and returns the time of the newest.
    async fn delete_histories(&self, history_spans: &[HistorySpan]) -> Result<Option<Time>, StoreError> {
        let mut newest = None;
        for span in history_spans {
            newest = newest.max(self.delete_history(span).await?);
        }
        Ok(newest)
    }
}

/// The moment up to which everything is erased: the end of the second, as the times of messages are of whole seconds, and
/// after whatever was known, as messages may be from a little ahead.
fn moment(now: Time, person: &Person, newest: Option<Time>) -> Time {
    let newest = [Some(now), person.contact.newest(), newest].into_iter().max().flatten().unwrap_or(now);
    Time::from_millis(newest.seconds() * 1000 + 999)
}

/// The records of a person's ids once the person is erased.
fn erased(
    person: &Person,
    history_spans: &[HistorySpan],
    read_set: &ReadSet,
    at: Time,
) -> BTreeMap<ContactId, IdRecord> {
    let mut after = BTreeMap::new();
    for HistorySpan { id, until, .. } in history_spans {
        let mut record = read_set.records.get(id).cloned().unwrap_or_default();
        let at = until.unwrap_or(at);
        let has_left = person.contact.left.iter().any(|left| left.id == *id);
        let tombstone = match (&record.now, until) {
            (IdState::Vacant(remains), _) if has_left => Some(remains.erased(at)),
            // Also where nothing is known of the id yet: a message of it may be on its way.
            (_, None) => Some(person.contact.erased(at)),
            // Another person holds the id.
            _ => None,
        };
        if has_left {
            let is_own = |former: &PreviousHolder| {
                person.contact.left.iter().any(|left| left.id == *id && left.until == former.until)
            };
            record.former = record.former.filter(|former| !is_own(former));
        }
        if let Some(tombstone) = tombstone {
            record.now = IdState::Erased(Box::new(tombstone));
            record.other = serde_json::Map::new();
        }
        record.erased_until = record.erased_until.max(Some(at));
        after.insert(id.clone(), record);
    }
    after
}
