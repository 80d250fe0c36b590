//! Changes of contacts: decided on what stands, and written in one transaction with all that follows.

use std::time::Duration;

use aws_sdk_dynamodb::types::TransactWriteItem;

use super::key::Key;
use super::outbox::OutboxItem;
use super::place::ReadSet;
use super::request::{ATTEMPTS, Condition, WriteOutcome, pause, to_item, unreadable};
use super::{StoreError, TenantStore};
use crate::count;
use crate::decision::Decision;
use crate::event::{HistoryEntry, HistoryKey};
use crate::id::ContactId;
use crate::identity::{self, MissingRecord, Person, Sighting};
use crate::log::Metric;
use crate::time::Time;

/// A change that is wanted.
#[derive(Clone, Copy, Debug)]
pub struct ChangeRequest<'a> {
    /// Who it is about.
    pub sighting: &'a Sighting,
    /// Where in the history it is if it happened before: under the home of its ids, in one of these places.
    pub places: &'a [HistoryKey],
    /// Whom a confirmation goes to.
    pub recipient: Option<&'a str>,
}

impl<'a> ChangeRequest<'a> {
    /// A change that staff makes: each time it is an event of its own, and nobody is told.
    #[must_use]
    pub fn by_staff(sighting: &'a Sighting) -> Self {
        Self { sighting, places: &[], recipient: None }
    }
}

/// How a change of a contact ended.
#[derive(Debug)]
pub enum ChangeOutcome<R> {
    /// It was decided and is in the table.
    Made {
        /// Where the contact is kept.
        id: ContactId,
        /// What was decided.
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
    /// `known` is what was read before; afterwards it holds what stands now. What it lacks is read.
    ///
    /// # Errors
    /// It could not be read or written. Whether it was written is then not known; asking again finds out.
    pub async fn change<R>(
        &self,
        wanted: ChangeRequest<'_>,
        known: &mut ReadSet,
        now: Time,
        decide: impl Fn(&Person) -> Result<Decision, R>,
    ) -> Result<ChangeOutcome<R>, StoreError> {
        for attempt in 1..=ATTEMPTS {
            let person = self.find(wanted.sighting, known).await?;
            let decision = match decide(&person) {
                Ok(decision) => decision,
                Err(refusal) => return Ok(ChangeOutcome::Refused(refusal)),
            };
            let decision = if person.is_forgotten { decision.after_erasure(&person.contact) } else { Some(decision) };
            let Some(decision) = decision else { return Ok(ChangeOutcome::Erased) };
            // A little later each time: the outbox could have another event of this id and time.
            let due = now.plus(Duration::from_millis(u64::from(attempt - 1)));
            let (items, after) = self.transaction(wanted, &person, known, &decision, due)?;
            if items.is_empty() || self.store.transact(items).await? == WriteOutcome::Yes {
                *known = after;
                self.tell_unheeded(&decision);
                return Ok(ChangeOutcome::Made { id: person.id().clone(), decision: Box::new(decision) });
            }
            pause(attempt).await;
            let fresh = self.fresh(wanted).await?;
            let is_repeat = fresh.is_none();
            *known = fresh.unwrap_or_default();
            if is_repeat {
                return Ok(ChangeOutcome::Repeat);
            }
        }
        Err(StoreError::Contended)
    }

    /// Counts an opt-out that staff has to look at, whichever way it came.
    pub(super) fn tell_unheeded(&self, decision: &Decision) {
        if let Some(entry) = decision.unheeded() {
            let event = entry.event.key.id.log_name();
            count!(warn, Metric::OptOutUnheeded, tenant = %self.id, event, "an opt-out is older than an opt-in by staff");
        }
    }

    /// Whoever an id leads to, as a reader wants to know it.
    ///
    /// # Errors
    /// Something could not be read.
    pub async fn person(&self, sighting: &Sighting) -> Result<Person, StoreError> {
        let mut known = ReadSet::default();
        self.find(sighting, &mut known).await
    }

    /// Finds out who somebody is, and reads what is not known yet.
    pub(super) async fn find(&self, sighting: &Sighting, known: &mut ReadSet) -> Result<Person, StoreError> {
        loop {
            let MissingRecord(id) = match identity::identify(sighting, &known.places) {
                Ok(person) => return Ok(person),
                Err(unread) => unread,
            };
            let mut unread: Vec<ContactId> = sighting.named().filter(|named| !known.has(named)).cloned().collect();
            if !unread.contains(&id) {
                unread.push(id);
            }
            let (places, bad) = self.places(unread).await?;
            if !bad.is_empty() {
                return Err(unreadable("contact"));
            }
            known.extend(places);
        }
    }

    /// Reads again after a race what a change is about; none if it is in the history by now.
    async fn fresh(&self, wanted: ChangeRequest<'_>) -> Result<Option<ReadSet>, StoreError> {
        let home = wanted.sighting.ids.home();
        let entries = home.into_iter().flat_map(|home| wanted.places.iter().map(|at| Key::history(&self.id, home, at)));
        let entries: Vec<Key> = entries.collect();
        let ids: Vec<ContactId> = wanted.sighting.named().cloned().collect();
        let places = ids.iter().map(|id| Key::contact(&self.id, id));
        let mut items = self.store.batch_get(entries.iter().cloned().chain(places)).await?;
        if entries.iter().any(|entry| items.contains_key(entry)) {
            return Ok(None);
        }
        let mut known = ReadSet::default();
        for id in ids {
            let item = items.remove(&Key::contact(&self.id, &id));
            known.insert(id, item)?;
        }
        Ok(Some(known))
    }

    /// All that a decision writes, and what is known afterwards. A confirmation is due at `due`.
    fn transaction(
        &self,
        wanted: ChangeRequest<'_>,
        person: &Person,
        known: &ReadSet,
        decision: &Decision,
        due: Time,
    ) -> Result<(Vec<TransactWriteItem>, ReadSet), StoreError> {
        let entry = decision.entry.as_ref();
        let after = person.records(&decision.contact, decision.heeded.as_ref());
        // Whatever goes into the history of a contact counts its version up, so that an erasure misses none of it.
        let counted = entry.or(decision.merge.as_ref()).map(|_| person.id().clone()).into_iter().collect();
        let rewrite = self.rewrite(known, &after, &counted, due)?;
        let mut items = rewrite.items;
        // What an update brings stands under an id of the update's own, whatever else the person goes by: so a repeat finds
        // it.
        let home = wanted.sighting.ids.home().filter(|_| wanted.sighting.at.is_some()).unwrap_or(person.id());
        for entry in [entry, decision.merge.as_ref()].into_iter().flatten() {
            items.push(self.record(home, entry)?);
        }
        if let Some(entry) = entry {
            let elsewhere = wanted.places.iter().filter(|place| **place != entry.event.key);
            items.extend(elsewhere.map(|at| self.store.require(Key::history(&self.id, home, at), Condition::Absent)));
            if let (Some(channel), Some(recipient), true) =
                (&entry.event.channel, wanted.recipient, decision.confirms())
            {
                let outbox = to_item("outbox", OutboxItem::new(&self.id, home, &entry.event, channel, recipient))?;
                items.push(self.store.put(Key::outbox(due, &entry.event.key.id), outbox, Condition::Absent));
            }
        }
        Ok((items, rewrite.known))
    }

    pub(super) fn record(&self, home: &ContactId, entry: &HistoryEntry) -> Result<TransactWriteItem, StoreError> {
        let key = Key::history(&self.id, home, &entry.event.key);
        Ok(self.store.put(key, to_item("history", entry)?, Condition::Absent))
    }
}
