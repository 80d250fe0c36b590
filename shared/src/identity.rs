//! Who an update is about. Pure: no input, no output, no clock.
//!
//! A person goes by a phone number, by WhatsApp's user id, or by both, and has one contact: in the place of the number
//! where that is known, else in the place of the user id. A link to it stands in the place of the other. Numbers change
//! hands, and so may user ids: what is older than the change counts for who held the id then, what is newer for who
//! holds it now.
//!
//! [`identify`] finds the person in what was read of the table; [`Person::places`] says what the table has to hold
//! afterwards, with all that the update taught.

mod draft;
mod join;

use std::collections::{BTreeMap, HashMap};

use crate::contact::{Contact, LeftId};
use crate::decision::advance;
use crate::event::Event;
use crate::id::ContactId;
use crate::time::Time;
use draft::{Draft, Someone};

/// The ids that an update names: a number, a user id, or both.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Ids {
    /// The phone number.
    pub phone: Option<ContactId>,
    /// WhatsApp's user id.
    pub user: Option<ContactId>,
}

impl Ids {
    /// Each of them, the number first.
    pub fn iter(&self) -> impl Iterator<Item = &ContactId> {
        self.phone.iter().chain(&self.user)
    }

    /// Under which of them an update goes into the history: the user id where it names one, since that is one person's
    /// whereas numbers change hands.
    #[must_use]
    pub fn home(&self) -> Option<&ContactId> {
        self.user.as_ref().or(self.phone.as_ref())
    }

    /// The number; without one, the user id.
    #[must_use]
    pub fn first(&self) -> Option<&ContactId> {
        self.iter().next()
    }
}

impl From<ContactId> for Ids {
    fn from(id: ContactId) -> Self {
        if id.is_phone() { Self { phone: Some(id), user: None } } else { Self { phone: None, user: Some(id) } }
    }
}

/// Somebody, as an update shows them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sighting {
    /// The ids that the update names.
    pub ids: Ids,
    /// The ids that it says the person has from then on.
    pub moved_to: Option<Ids>,
    /// When it happened. None for what staff does: that is about whoever the id leads to.
    pub at: Option<Time>,
    /// When what follows from joining two contacts counts from.
    pub joins_at: Time,
}

impl Sighting {
    /// Whoever an id leads to.
    #[must_use]
    pub fn of(id: ContactId) -> Self {
        Self { ids: id.into(), ..Self::default() }
    }

    /// Whoever held an id at some time.
    #[must_use]
    pub fn then(id: ContactId, at: Time) -> Self {
        Self { at: Some(at), ..Self::of(id) }
    }

    /// All ids that it names.
    pub fn named(&self) -> impl Iterator<Item = &ContactId> {
        self.ids.iter().chain(self.moved_to.iter().flat_map(Ids::iter))
    }
}

/// What stands in the place of an id.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IdRecord {
    /// Fields of a later version, beside a link or a tombstone. Those of a contact are its own.
    pub other: serde_json::Map<String, serde_json::Value>,
    /// Who held the id before whoever holds it now.
    pub former: Option<PreviousHolder>,
    /// What happened under the id up to then is erased: what comes of it once more leaves no trace.
    pub erased_until: Option<Time>,
    /// What stands there now.
    pub now: IdState,
}

/// A person who has left an id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PreviousHolder {
    /// Where that person's contact is.
    pub to: ContactId,
    /// The last moment at which the id was that person's.
    pub until: Time,
}

/// What stands in the place of an id now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IdState {
    /// Nobody: this is what the last holder left there.
    Vacant(Box<Contact>),
    /// A person's contact.
    Contact(Box<Contact>),
    /// A link to the contact of the person, who goes by this id as well.
    Link(ContactId),
    /// The tombstone of somebody who was erased.
    Erased(Box<Contact>),
}

impl Default for IdState {
    fn default() -> Self {
        Self::Vacant(Box::default())
    }
}

/// What is known of places.
pub type IdRecords = HashMap<ContactId, IdRecord>;

/// A place has to be read before it can be said who an update is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MissingRecord(pub ContactId);

/// A person, as an update finds it.
#[derive(Clone, Debug)]
pub struct Person {
    /// What stands about the person.
    pub contact: Contact,
    /// Whether joining two contacts tightened what stood about one of them.
    pub tightened: bool,
    /// Whether the person has other ids now than before.
    pub moved: bool,
    /// Whether the update is not newer than an erasure under one of the ids that it names, so that it may leave no trace but a
    /// restriction.
    pub is_forgotten: bool,
    ids: Ids,
    linked_at: Option<Time>,
    /// The places that were looked at, as they are to be but for the person's own.
    places: BTreeMap<ContactId, IdRecord>,
    /// The ids that the update came by and that are the person's no more.
    behind: Vec<ContactId>,
}

/// Finds out who an update is about, in what was read of the table.
///
/// # Errors
/// More has to be read.
pub fn identify(sighting: &Sighting, read: &IdRecords) -> Result<Person, MissingRecord> {
    let mut draft = Draft::new(read);
    let mut someone = draft.identify(&sighting.ids, sighting.at, sighting.joins_at)?;
    if let (Some(to), Some(at)) = (&sighting.moved_to, sighting.at) {
        someone = draft.relocate(&someone, &sighting.ids, to, at, sighting.joins_at)?;
    }
    let behind = sighting.ids.iter().filter(|id| !someone.goes_by(id)).cloned().collect();
    let Draft { places, tightened, moved, .. } = draft;
    let Someone { ids, linked_at, contact } = someone;
    let erased_until = sighting.named().filter_map(|id| read.get(id)?.erased_until).max();
    let is_forgotten = sighting.at.is_some_and(|at| Some(at) <= erased_until);
    let mut person = Person { contact, tightened, moved, is_forgotten, ids, linked_at, places, behind };
    if person.tombstone(&person.contact).is_none() {
        person.contact = person.linked(&person.contact);
    }
    Ok(person)
}

impl Person {
    /// Where the person's contact is kept.
    ///
    /// # Panics
    /// Never: a person is found by an id.
    #[must_use]
    pub fn id(&self) -> &ContactId {
        self.ids.first().expect("a person is found by an id")
    }

    /// The spans of the ids' histories that are the person's: the id, after when, and until when.
    #[must_use]
    pub fn history_spans(&self) -> Vec<HistorySpan> {
        let user = self.contact.user_id.as_ref().map(ContactId::from);
        let mut own: Vec<ContactId> = self.ids.iter().cloned().collect();
        own.extend(user.filter(|user| !own.contains(user)));
        let after = |id: &ContactId| self.places.get(id)?.former.as_ref().map(|former| former.until);
        let now = own.into_iter().map(|id| HistorySpan { after: after(&id), id, until: None });
        let before = self.contact.left.iter().cloned();
        now.chain(before.map(|LeftId { id, until }| HistorySpan { id, after: None, until: Some(until) })).collect()
    }

    /// What the places have to hold when this stands about the person: those that were looked at and the contact's own.
    /// An event that came by an id which the person has left counts for what was left there, too.
    #[must_use]
    pub fn places(&self, contact: &Contact, event: Option<&Event>) -> BTreeMap<ContactId, IdRecord> {
        let mut places = self.places.clone();
        let keeper = self.id();
        let changed = self.moved || *contact != self.contact;
        for id in self.ids.iter().filter(|_| changed) {
            // A place that was not looked at stays as it is: it is a link already.
            let Some(place) = places.get_mut(id) else { continue };
            place.now = match self.tombstone(contact) {
                Some(tombstone) => {
                    place.erased_until = place.erased_until.max(tombstone.erased_at());
                    IdState::Erased(Box::new(tombstone))
                }
                None if id == keeper => IdState::Contact(Box::new(self.linked(contact))),
                None => IdState::Link(keeper.clone()),
            };
        }
        if let Some(event) = event {
            for id in &self.behind {
                if let Some(place) = places.get_mut(id) {
                    place.hear(event);
                }
            }
        }
        places
    }

    /// The tombstone that the contact is, if nothing has changed since the erasure. Where something newer shows that one
    /// person goes by two ids, those are linked again, so that each has its own tombstone no more.
    fn tombstone(&self, contact: &Contact) -> Option<Contact> {
        contact.tombstone().filter(|_| self.is_forgotten || self.ids.iter().count() == 1)
    }

    /// The contact with the other id that the person goes by.
    fn linked(&self, contact: &Contact) -> Contact {
        let user_id = self.ids.phone.as_ref().and(self.ids.user.as_ref()).and_then(ContactId::user_id);
        let linked_at = self.linked_at.filter(|_| self.ids.phone.is_some());
        Contact { user_id, linked_at, ..contact.clone() }
    }
}

/// A part of what happened under an id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HistorySpan {
    /// The id.
    pub id: ContactId,
    /// What is not newer is somebody else's.
    pub after: Option<Time>,
    /// What is newer is somebody else's.
    pub until: Option<Time>,
}

impl HistorySpan {
    /// The part of it that is not newer than a time.
    #[must_use]
    pub fn up_to(self, time: Time) -> Self {
        Self { until: Some(self.until.map_or(time, |until| until.min(time))), ..self }
    }

    /// Whether it holds what happened at a time.
    #[must_use]
    pub fn holds(&self, at: Time) -> bool {
        self.after.is_none_or(|after| at > after) && self.until.is_none_or(|until| at <= until)
    }
}

impl IdRecord {
    /// Takes note of an event from before the time at which its holder left. Whoever came after starts from what was left,
    /// so a restriction holds for them as well; what frees is the former holder's alone.
    fn hear(&mut self, event: &Event) {
        match &mut self.now {
            IdState::Vacant(remains) => {
                let mut heard = (**remains).clone();
                advance(&mut heard, event);
                **remains = heard.remains();
            }
            IdState::Contact(contact) | IdState::Erased(contact) if event.kind.restricts() => advance(contact, event),
            IdState::Contact(_) | IdState::Link(_) | IdState::Erased(_) => {}
        }
    }
}

#[cfg(test)]
mod tests;

#[cfg(test)]
mod model;
