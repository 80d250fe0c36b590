//! Changes of contacts: decided on a read set, and written in one transaction with all that follows.

use std::ops::ControlFlow;
use std::time::Duration;

use aws_sdk_dynamodb::types::TransactWriteItem;

use super::key::ItemKey;
use super::outbox::OutboxItem;
use super::read_set::ReadSet;
use super::request::{Condition, WriteOutcome, to_item, until_written};
use super::{StoreError, TenantStore};
use crate::count;
use crate::decision::Decision;
use crate::event::{HistoryEntry, HistoryKey};
use crate::id::ContactId;
use crate::identity::{self, MissingRecord, Person, Sighting};
use crate::log::Metric;
use crate::time::Time;

/// A request to change a contact.
#[derive(Clone, Copy, Debug)]
pub struct ChangeRequest<'a> {
    /// The ids that the change names, with the time at which they do.
    pub sighting: &'a Sighting,
    /// The keys under which the event stands in the history of the home of its ids if it was processed before.
    pub history_keys: &'a [HistoryKey],
    /// The recipient of a confirmation: the customer's id as received. None where no confirmation is sent.
    pub recipient: Option<&'a str>,
}

impl<'a> ChangeRequest<'a> {
    /// A change that staff makes: each time it is an event of its own, and no confirmation is sent.
    #[must_use]
    pub fn by_staff(sighting: &'a Sighting) -> Self {
        Self { sighting, history_keys: &[], recipient: None }
    }
}

/// The outcome of a change.
#[derive(Debug)]
pub enum ChangeOutcome<R> {
    /// The change was decided and is in the table.
    Made {
        /// The id that the contact is kept under.
        id: ContactId,
        /// The decision.
        decision: Box<Decision>,
    },
    /// The event is in the history already; nothing was written.
    Repeat,
    /// The event is not newer than the erasure of its person, and nothing of it may be kept; nothing was written.
    Erased,
    /// The decision was not to change anything, for this reason; nothing was written.
    Refused(R),
}

impl TenantStore {
    /// Decides on a contact and writes what was decided: contact, links, suppression list, history and outbox in one
    /// transaction. Where something that the decision relied on has changed since it was read, it is read and decided
    /// again.
    ///
    /// `read_set` is what was read before; afterwards it holds the records as they are now. Records that it lacks are read.
    ///
    /// # Errors
    /// The table could not be read or written. Whether the change was written is then not known; asking again finds out.
    pub async fn change<R>(
        &self,
        request: ChangeRequest<'_>,
        read_set: &mut ReadSet,
        now: Time,
        decide: impl Fn(&Person) -> Result<Decision, R>,
    ) -> Result<ChangeOutcome<R>, StoreError> {
        let decide = &decide;
        let first = std::mem::take(read_set);
        let attempt = |number, read_set| self.try_change(request, read_set, number, now, decide);
        let (outcome, after) = until_written(first, attempt).await?;
        *read_set = after;
        Ok(outcome)
    }

    /// One attempt at a change, with the read set afterwards.
    async fn try_change<R>(
        &self,
        request: ChangeRequest<'_>,
        mut read_set: ReadSet,
        number: u32,
        now: Time,
        decide: &impl Fn(&Person) -> Result<Decision, R>,
    ) -> Result<ControlFlow<(ChangeOutcome<R>, ReadSet), ReadSet>, StoreError> {
        if number > 1 {
            match self.fresh(request).await? {
                Some(fresh) => read_set = fresh,
                None => return Ok(ControlFlow::Break((ChangeOutcome::Repeat, ReadSet::default()))),
            }
        }
        let person = self.find(request.sighting, &mut read_set).await?;
        let decision = match decide(&person) {
            Ok(decision) => decision,
            Err(refusal) => return Ok(ControlFlow::Break((ChangeOutcome::Refused(refusal), read_set))),
        };
        let decision = if person.is_forgotten { decision.after_erasure(&person.contact) } else { Some(decision) };
        let Some(decision) = decision else { return Ok(ControlFlow::Break((ChangeOutcome::Erased, read_set))) };
        // A little later each time: the outbox could have another event of this id and time.
        let due = now.plus(Duration::from_millis(u64::from(number - 1)));
        let (items, after) = self.transaction(request, &person, &read_set, &decision, due)?;
        if !items.is_empty() && self.store.transact(items).await? == WriteOutcome::Raced {
            return Ok(ControlFlow::Continue(read_set));
        }
        self.tell_unheeded(&decision);
        let made = ChangeOutcome::Made { id: person.id().clone(), decision: Box::new(decision) };
        Ok(ControlFlow::Break((made, after)))
    }

    /// Counts an opt-out that staff has to look at.
    pub(super) fn tell_unheeded(&self, decision: &Decision) {
        if let Some(entry) = decision.unheeded() {
            let event = entry.event.key.id.log_name();
            count!(warn, Metric::OptOutUnheeded, tenant = %self.id, event, "opt-out is older than an opt-in by staff");
        }
    }

    /// The person that the ids of a sighting lead to, read for this call alone.
    ///
    /// # Errors
    /// A record could not be read.
    pub async fn person(&self, sighting: &Sighting) -> Result<Person, StoreError> {
        self.find(sighting, &mut ReadSet::default()).await
    }

    /// The person that the ids of a sighting lead to. Records that the read set lacks are read into it.
    pub(super) async fn find(&self, sighting: &Sighting, read_set: &mut ReadSet) -> Result<Person, StoreError> {
        loop {
            let MissingRecord(id) = match identity::identify(sighting, &read_set.records) {
                Ok(person) => return Ok(person),
                Err(missing) => missing,
            };
            let mut missing: Vec<ContactId> = sighting.named().filter(|named| !read_set.has(named)).cloned().collect();
            if !missing.contains(&id) {
                missing.push(id);
            }
            read_set.extend(self.records(missing).await?);
        }
    }

    /// Reads again after a race the records of a change; none if its event is in the history by now.
    async fn fresh(&self, request: ChangeRequest<'_>) -> Result<Option<ReadSet>, StoreError> {
        let home = request.sighting.ids.home();
        let entry = |home| request.history_keys.iter().map(move |key| ItemKey::history(&self.id, home, key));
        let entries: Vec<ItemKey> = home.into_iter().flat_map(entry).collect();
        let ids: Vec<ContactId> = request.sighting.named().cloned().collect();
        let records = ids.iter().map(|id| ItemKey::contact(&self.id, id));
        let mut items = self.store.batch_get(entries.iter().cloned().chain(records)).await?;
        if entries.iter().any(|entry| items.contains_key(entry)) {
            return Ok(None);
        }
        let mut read_set = ReadSet::default();
        for id in ids {
            let item = items.remove(&ItemKey::contact(&self.id, &id));
            read_set.read(id, item)?;
        }
        Ok(Some(read_set))
    }

    /// The transaction that a decision comes to, and the read set once it is written. A confirmation is due at `due`.
    fn transaction(
        &self,
        request: ChangeRequest<'_>,
        person: &Person,
        read_set: &ReadSet,
        decision: &Decision,
        due: Time,
    ) -> Result<(Vec<TransactWriteItem>, ReadSet), StoreError> {
        let entry = decision.entry.as_ref();
        let records = person.records(&decision.contact, decision.applied.as_ref());
        // Whatever goes into the history of a contact counts its version up, so that an erasure misses none of it.
        let counted = entry.or(decision.merge.as_ref()).map(|_| person.id().clone()).into_iter().collect();
        let rewrite = self.rewrite(read_set, &records, &counted, due)?;
        let mut items = rewrite.items;
        // What an update brings stands under an id of the update's own, whatever else the person goes by: so a repeat finds
        // it.
        let home = request.sighting.ids.home().filter(|_| request.sighting.at.is_some()).unwrap_or(person.id());
        for entry in [entry, decision.merge.as_ref()].into_iter().flatten() {
            items.push(self.put_entry(home, entry)?);
        }
        if let Some(entry) = entry {
            let elsewhere = request.history_keys.iter().filter(|key| **key != entry.event.key);
            items.extend(
                elsewhere.map(|key| self.store.require(ItemKey::history(&self.id, home, key), Condition::Absent)),
            );
            if let (Some(channel), Some(recipient), true) =
                (&entry.event.channel, request.recipient, decision.confirms())
            {
                let outbox = to_item("outbox", OutboxItem::new(&self.id, home, &entry.event, channel, recipient))?;
                items.push(self.store.put(ItemKey::outbox(due, &entry.event.key.id), outbox, Condition::Absent));
            }
        }
        Ok((items, rewrite.after))
    }

    /// The write of a history entry, on the condition that it is not there yet.
    pub(super) fn put_entry(&self, home: &ContactId, entry: &HistoryEntry) -> Result<TransactWriteItem, StoreError> {
        let key = ItemKey::history(&self.id, home, &entry.event.key);
        Ok(self.store.put(key, to_item("history", entry)?, Condition::Absent))
    }
}
