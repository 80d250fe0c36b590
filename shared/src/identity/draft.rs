//! A working copy of the records that an update concerns.
//!
//! The cases of [`super::message`] and [`super::news`] look records up here and change them. What they leave here is
//! written.

use std::collections::BTreeMap;

use super::known_person::{Holder, KnownPerson};
use super::{IdRecord, IdRecords, IdState, Ids, MissingRecord};
use crate::contact::Contact;
use crate::id::ContactId;
use crate::time::Time;

/// The records that were looked at, as they are to be written.
pub(super) struct Draft<'a> {
    read: &'a IdRecords,
    /// The time at which a restriction counts that follows from merging two contacts.
    pub(super) joins_at: Time,
    /// The working copies.
    pub(super) records: BTreeMap<ContactId, IdRecord>,
    /// Whether a merge restricted one of two contacts further.
    pub(super) tightened: bool,
    /// Whether anybody has other ids now than before.
    pub(super) moved: bool,
}

/// The most changes of ids that are followed from one id. Nobody changes ids more often while messages are on their way.
const MAX_CHANGES: usize = 8;

impl<'a> Draft<'a> {
    pub(super) fn new(read: &'a IdRecords, joins_at: Time) -> Self {
        Self { read, joins_at, records: BTreeMap::new(), tightened: false, moved: false }
    }

    /// The working copy of the record of an id.
    pub(super) fn record(&mut self, id: &ContactId) -> Result<&mut IdRecord, MissingRecord> {
        if !self.records.contains_key(id) {
            let record = self.read.get(id).ok_or_else(|| MissingRecord(id.clone()))?;
            self.records.insert(id.clone(), record.clone());
        }
        Ok(self.records.get_mut(id).expect("it was inserted"))
    }

    /// The person who held an id at a time; without a time, the present holder. Of a vacant id, that is the last one.
    pub(super) fn holder(&mut self, id: &ContactId, at: Option<Time>) -> Result<Option<Holder>, MissingRecord> {
        let (mut id, mut at, mut until) = (id.clone(), at, None);
        let mut came_from: Option<ContactId> = None;
        for _ in 0..MAX_CHANGES {
            let record = self.record(&id)?.clone();
            // The person looked for went on to this id and holds it. Its holders from before are other persons.
            let present = self.contact_of(&record.now)?;
            if came_from.is_some_and(|from| present.is_some_and(|contact| contact.has_left(&from))) {
                break;
            }
            // Staff, and the news of a change, mean the last holder where an id is vacant.
            let is_vacant = matches!(record.now, IdState::Vacant(_)) && (at.is_none() || until.is_some());
            let former = record.former.filter(|former| is_vacant || at.is_some_and(|at| at <= former.until));
            let Some(former) = former else { break };
            // The person came to the next id after leaving this one.
            at = at.max(Some(former.until.next()));
            until = until.or(Some(former.until));
            came_from = Some(id);
            id = former.to;
        }
        let person = self.present_holder(&id)?;
        Ok(person.map(|person| Holder { person, until }))
    }

    /// The person to whose contact or tombstone an id leads now.
    fn present_holder(&mut self, id: &ContactId) -> Result<Option<KnownPerson>, MissingRecord> {
        Ok(match self.record(id)?.now.clone() {
            IdState::Contact(contact) | IdState::Erased(contact) => Some(KnownPerson::kept_under(id, *contact)),
            IdState::Link(to) => match self.record(&to)?.now.clone() {
                IdState::Contact(contact) => Some(KnownPerson::kept_under(&to, *contact)),
                _ => None,
            },
            IdState::Vacant(_) => None,
        })
    }

    /// The contact that a state is, or that it links to.
    fn contact_of(&mut self, state: &IdState) -> Result<Option<Contact>, MissingRecord> {
        let linked = match state {
            IdState::Link(to) => &self.record(to)?.now,
            own => own,
        };
        Ok(match linked {
            IdState::Contact(contact) => Some((**contact).clone()),
            _ => None,
        })
    }

    /// Lets the ids that a person has left lead straight to the person's contact. Without that they would lead to a number
    /// that may have passed on since.
    pub(super) fn forward(&mut self, contact: &Contact, to: &ContactId) -> Result<(), MissingRecord> {
        for left in contact.left.iter().rev().take(MAX_CHANGES) {
            let former = self.record(&left.id)?.former.as_mut();
            if let Some(former) = former.filter(|former| former.until == left.until) {
                former.to = to.clone();
            }
        }
        Ok(())
    }

    /// A person of whom nothing is known but an id, and who starts from the restrictions that the last holder left there.
    pub(super) fn newcomer(&mut self, ids: &Ids) -> Result<KnownPerson, MissingRecord> {
        let mut contact = Contact::default();
        for id in ids.iter() {
            if let IdState::Vacant(left) = &self.record(id)?.now {
                contact = left.inherited();
            }
        }
        Ok(KnownPerson { ids: ids.clone(), linked_at: None, contact })
    }
}
