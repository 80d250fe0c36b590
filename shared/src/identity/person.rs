//! The person whom an update is about, and the records to write about that person.

use std::collections::BTreeMap;

use super::{HistorySpan, IdRecord, IdState, Ids};
use crate::contact::{Contact, LeftId};
use crate::event::Event;
use crate::id::ContactId;
use crate::time::Time;

/// The person whom an update is about, once everything that the update teaches about ids is applied.
#[derive(Clone, Debug)]
pub struct Person {
    /// The person's contact, before the update's own event is applied.
    pub contact: Contact,
    /// Whether merging two contacts restricted one of them further.
    pub tightened: bool,
    /// Whether the person has other ids now than before.
    pub moved: bool,
    /// Whether the update is not newer than an erasure under one of its ids. It may leave no trace then but a restriction.
    pub is_forgotten: bool,
    pub(super) ids: Ids,
    pub(super) linked_at: Option<Time>,
    /// The records that were looked at, as they are to be written, except for the person's own state.
    pub(super) records: BTreeMap<ContactId, IdRecord>,
    /// The ids that the update names and that the person has left.
    pub(super) left_ids: Vec<ContactId>,
}

impl Person {
    /// The id under which the person's contact is kept.
    ///
    /// # Panics
    /// Never: a person is identified by at least one id.
    #[must_use]
    pub fn id(&self) -> &ContactId {
        self.ids.first().expect("a person is identified by an id")
    }

    /// The spans of the ids' histories that are the person's.
    #[must_use]
    pub fn history_spans(&self) -> Vec<HistorySpan> {
        let user = self.contact.user_id.as_ref().map(ContactId::from);
        let mut own: Vec<ContactId> = self.ids.iter().cloned().collect();
        own.extend(user.filter(|user| !own.contains(user)));
        let after = |id: &ContactId| self.records.get(id)?.former.as_ref().map(|former| former.until);
        let now = own.into_iter().map(|id| HistorySpan { after: after(&id), id, until: None });
        let left = self.contact.left.iter().cloned();
        now.chain(left.map(|LeftId { id, until, .. }| HistorySpan { id, after: None, until: Some(until) })).collect()
    }

    /// The records to write when the person's contact becomes `contact`: those that were looked at and the contact's own.
    /// An event under an id that the person has left is applied to that id's record, too.
    #[must_use]
    pub fn records(&self, contact: &Contact, event: Option<&Event>) -> BTreeMap<ContactId, IdRecord> {
        let mut records = self.records.clone();
        let kept_under = self.id();
        let changed = self.moved || *contact != self.contact;
        for id in self.ids.iter().filter(|_| changed) {
            // A record that was not looked at stays as it is: it is a link already.
            let Some(record) = records.get_mut(id) else { continue };
            record.now = match self.tombstone(contact) {
                Some(tombstone) => {
                    // Each record keeps the time of its own erasure, where that is later.
                    let erased_until = record.erased_until.max(tombstone.erased_at());
                    record.erased_until = erased_until;
                    IdState::Erased(Box::new(erased_until.map_or(tombstone.clone(), |until| tombstone.erased(until))))
                }
                None if id == kept_under => IdState::Contact(Box::new(self.linked(contact))),
                None => IdState::Link(kept_under.clone()),
            };
        }
        if let Some(event) = event {
            for id in &self.left_ids {
                if let Some(record) = records.get_mut(id) {
                    record.apply_late(event);
                }
            }
        }
        records
    }

    /// The contact's tombstone, if nothing has changed since the erasure. A newer update that names two ids of one person
    /// links them again, so that neither keeps a tombstone of its own.
    pub(super) fn tombstone(&self, contact: &Contact) -> Option<Contact> {
        contact.tombstone().filter(|_| self.is_forgotten || self.ids.iter().count() == 1)
    }

    /// The contact with the user id that the person goes by beside the number.
    pub(super) fn linked(&self, contact: &Contact) -> Contact {
        let user_id = self.ids.phone.as_ref().and(self.ids.user.as_ref()).and_then(ContactId::user_id).cloned();
        let linked_at = self.linked_at.filter(|_| self.ids.phone.is_some());
        Contact { user_id, linked_at, ..contact.clone() }
    }
}
