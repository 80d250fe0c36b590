//! The record that the table holds for an id.

use std::collections::HashMap;

use serde_json::{Map, Value};

use crate::contact::Contact;
use crate::decision::advance;
use crate::event::Event;
use crate::id::ContactId;
use crate::time::Time;

/// The records that were read, by id. An id without a stored item has the default record.
pub type IdRecords = HashMap<ContactId, IdRecord>;

/// The id whose record has to be read before the person can be identified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MissingRecord(pub ContactId);

/// The record of an id: its state, and the person who held it before.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IdRecord {
    /// Fields of a later version, beside a link or a tombstone. A contact keeps its own.
    pub other: Map<String, Value>,
    /// The last person who has left the id.
    pub former: Option<PreviousHolder>,
    /// The time up to which the events under the id are erased. An event from before that leaves no history.
    pub erased_until: Option<Time>,
    /// The state of the id now.
    pub now: IdState,
}

/// A person who has left an id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PreviousHolder {
    /// The id under which that person's contact was kept afterwards.
    pub to: ContactId,
    /// The last moment at which the id was that person's.
    pub until: Time,
}

/// The state of an id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IdState {
    /// The id has no holder. The contact holds the consent, block and provider stop that the last holder left.
    Vacant(Box<Contact>),
    /// The contact of the id's holder.
    Contact(Box<Contact>),
    /// A link to the contact of the id's holder, who goes by another id as well.
    Link(ContactId),
    /// The tombstone of a person who was erased.
    Erased(Box<Contact>),
}

impl Default for IdState {
    fn default() -> Self {
        Self::Vacant(Box::default())
    }
}

impl IdRecord {
    /// Applies an event from before the time at which the last holder left the id. The next holder starts from what was
    /// left, so a restriction holds for that person as well. A release is the last holder's alone.
    pub(super) fn apply_late(&mut self, event: &Event) {
        match &mut self.now {
            IdState::Vacant(left) => {
                advance(left, event);
                **left = left.consent_state();
            }
            IdState::Contact(contact) | IdState::Erased(contact) if event.kind.restricts() => advance(contact, event),
            IdState::Contact(_) | IdState::Link(_) | IdState::Erased(_) => {}
        }
    }
}
