//! Who somebody is, worked out on a copy of the places that it concerns.
//!
//! A user id is one person's, whereas a number goes from hand to hand. So where the two disagree the user id is right: the
//! person has come to the number, and whoever was known there before has left it.

use std::collections::BTreeMap;
use std::time::Duration;

use super::join;
use super::{IdRecord, IdRecords, IdState, Ids, MissingRecord, PreviousHolder};
use crate::contact::Contact;
use crate::id::ContactId;
use crate::time::Time;

/// Somebody under whatever ids are known.
#[derive(Clone, Debug, Default)]
pub(super) struct Someone {
    pub(super) ids: Ids,
    /// Since when the person is known at the number.
    pub(super) linked_at: Option<Time>,
    pub(super) contact: Contact,
}

/// Who holds an id.
struct Holder {
    someone: Someone,
    /// The last moment at which the id was that person's, where the person has left it since.
    until: Option<Time>,
}

/// The id records as they are to be written.
pub(super) struct Draft<'a> {
    read: &'a IdRecords,
    pub(super) places: BTreeMap<ContactId, IdRecord>,
    pub(super) tightened: bool,
    pub(super) moved: bool,
}

/// How long after somebody was first seen at a new number the news of the move may say that it happened.
const NEWS: Duration = Duration::from_hours(1);

/// Links that are followed, at most: nobody changes the number more often while messages are on their way.
const MAX_LINKS: usize = 8;

impl<'a> Draft<'a> {
    pub(super) fn new(read: &'a IdRecords) -> Self {
        Self { read, places: BTreeMap::new(), tightened: false, moved: false }
    }

    fn place(&mut self, id: &ContactId) -> Result<&mut IdRecord, MissingRecord> {
        if !self.places.contains_key(id) {
            let place = self.read.get(id).ok_or_else(|| MissingRecord(id.clone()))?;
            self.places.insert(id.clone(), place.clone());
        }
        Ok(self.places.get_mut(id).expect("it was inserted"))
    }

    /// Who an update about these ids is about, and what it teaches of that person.
    pub(super) fn identify(&mut self, ids: &Ids, at: Option<Time>, joins_at: Time) -> Result<Someone, MissingRecord> {
        let by_phone = ids.phone.as_ref().map(|id| self.holder(id, at)).transpose()?.flatten();
        let by_user = ids.user.as_ref().map(|id| self.holder(id, at)).transpose()?.flatten();
        let (Some(phone), Some(user)) = (&ids.phone, &ids.user) else {
            return match by_phone.or(by_user) {
                Some(holder) => Ok(holder.someone),
                None => self.newcomer(ids),
            };
        };
        let at = at.unwrap_or(joins_at);
        // A number goes from hand to hand, a user id hardly ever: where they disagree, the user id is right.
        match (by_phone, by_user) {
            (Some(one), Some(other)) if one.someone.ids.first() == other.someone.ids.first() => Ok(other.someone),
            // An old message, from before somebody left the number: it tells nothing of who has that now.
            (Some(Holder { someone: one, until: Some(until) }), other) => {
                self.former_holder(&one, other.map(|other| other.someone), user, until, joins_at)
            }
            (Some(one), other) => {
                let (one, other) = (one.someone, other.map(|other| other.someone));
                // A user id that has changed since is known by what it has become.
                let user = other.as_ref().and_then(|other| other.ids.user.clone()).unwrap_or_else(|| user.clone());
                let user = &user;
                let is_somebody_else = one.ids.user.as_ref().is_some_and(|own| own != user);
                match one.linked_at {
                    Some(since) if at < since => self.earlier_holder(other, user, phone, since, joins_at),
                    _ if is_somebody_else => {
                        let newcomer = self.evict(one, phone, at)?;
                        self.settle_at(phone, user, &newcomer, other, at, joins_at)
                    }
                    _ => self.settle_at(phone, user, &one, other, at, joins_at),
                }
            }
            (None, other) => {
                let newcomer = self.newcomer(&phone.clone().into())?;
                self.settle_at(phone, user, &newcomer, other.map(|other| other.someone), at, joins_at)
            }
        }
    }

    /// Brings the person with a user id to a number, where this is known of its holder.
    fn settle_at(
        &mut self,
        phone: &ContactId,
        user: &ContactId,
        holder: &Someone,
        person: Option<Someone>,
        at: Time,
        joins_at: Time,
    ) -> Result<Someone, MissingRecord> {
        let Some(person) = person else {
            let person = self.newcomer(&user.clone().into())?;
            return self.unite(&person, holder, at, just_before(at), joins_at);
        };
        if let Some(since) = person.linked_at.filter(|since| at < *since) {
            // Nobody else is known at the number, so whoever is known there went on with that person.
            if matches!(self.place(phone)?.now, IdState::Contact(_)) && holder.ids.user.is_none() {
                return self.unite(holder, &person, since, just_before(since), joins_at);
            }
            return self.earlier_holder(Some(person), user, phone, since, joins_at);
        }
        self.unite(&person, holder, at, just_before(at), joins_at)
    }

    /// The person with a user id who went by a number before its holder of that time, `one`, left it. Where nothing says
    /// that those are two, they are the same person.
    fn former_holder(
        &mut self,
        one: &Someone,
        person: Option<Someone>,
        user: &ContactId,
        until: Time,
        joins_at: Time,
    ) -> Result<Someone, MissingRecord> {
        let person = self.or_newcomer(person, user)?;
        if one.ids.user.is_some() {
            return Ok(person);
        }
        match person.linked_at.filter(|since| *since > until && person.ids.phone.is_some()) {
            Some(since) => self.unite(one, &person, since, just_before(since), joins_at),
            None => self.unite(&person, one, until.next(), until, joins_at),
        }
    }

    /// The person with a user id, in an update that is older than what is known of who goes by which number `since`: the
    /// person had the number until then, if it is nobody else's.
    fn earlier_holder(
        &mut self,
        person: Option<Someone>,
        user: &ContactId,
        phone: &ContactId,
        since: Time,
        joins_at: Time,
    ) -> Result<Someone, MissingRecord> {
        let person = self.or_newcomer(person, user)?;
        self.left_before(person, phone, just_before(since), joins_at)
    }

    /// Somebody who left a number before its present holder came to it. What was said under the number alone may have been
    /// said by either, so every restriction of it counts for both.
    fn left_before(
        &mut self,
        mut person: Someone,
        phone: &ContactId,
        until: Time,
        joins_at: Time,
    ) -> Result<Someone, MissingRecord> {
        let to = person.ids.first().cloned().unwrap_or_else(|| phone.clone());
        // The contact's own place has to be known to be written.
        self.place(&to)?;
        let place = self.place(phone)?;
        if place.former.is_none() {
            place.former = Some(PreviousHolder { to, until });
            let said = match &place.now {
                IdState::Contact(contact) => contact.at_worst(),
                _ => Contact::default(),
            };
            let (contact, tightened) = join::join(&said, &person.contact, joins_at);
            person.contact = Contact { phone: person.contact.phone, ..contact };
            person.contact.leave(phone, until);
            self.tightened |= tightened;
            self.moved = true;
        }
        Ok(person)
    }

    /// Moves a person to other ids. Whoever is known at those is the same person.
    pub(super) fn relocate(
        &mut self,
        person: &Someone,
        from: &Ids,
        to: &Ids,
        at: Time,
        joins_at: Time,
    ) -> Result<Someone, MissingRecord> {
        let until = last_moment(at);
        if let (Some(phone), None) = (&to.phone, &to.user) {
            self.came_to(person, phone, at)?;
        }
        // Whoever had the new id within that second has left it.
        let mut there = self.identify(to, Some(until.next()), joins_at)?;
        if there.ids.first() == person.ids.first() {
            return Ok(there);
        }
        // Whoever was known at the new number before, under a user id of their own, has left it without a word. Only somebody
        // who has just come there from the old number is the one who moves.
        if let Some(phone) = &to.phone
            && to.user.is_none()
            && there.ids.phone.as_ref() == Some(phone)
            && there.ids.user.is_some()
            && there.linked_at.is_none_or(|since| since < at)
            && !there
                .contact
                .left
                .iter()
                .any(|left| from.iter().any(|id| left.id == *id) && at <= left.until.plus(NEWS))
        {
            there = self.evict(there, phone, at)?;
        }
        // Somebody who was known to have left the number, and now is known to have left it earlier: what was said in between
        // was somebody else's.
        let mut person = person.clone();
        let ids = person.ids.clone();
        for id in from.iter().filter(|id| ids.iter().all(|own| own != *id)) {
            let place = self.place(id)?;
            if let Some(former) = place.former.as_mut().filter(|former| former.until > until) {
                former.until = until;
                person.contact = person.contact.as_of(until);
                person.contact.leave(id, until);
            }
        }
        for id in from.iter().filter(|id| ids.iter().any(|own| own == *id)) {
            // Nobody is left at the id, and whoever was there last is there already.
            let last = self.holder(id, None)?.map(|last| last.someone.ids);
            if last.as_ref().and_then(Ids::first) == there.ids.first() {
                return Ok(there);
            }
        }
        if let (Some(phone), Some(_)) = (&person.ids.phone, &there.ids.phone)
            && person.linked_at.is_some_and(|since| since > until)
        {
            let phone = phone.clone();
            let there = Someone { linked_at: there.linked_at.or(Some(at)), ..there };
            return self.left_before(there, &phone, until, joins_at);
        }
        self.unite(&person, &there, at, until, joins_at)
    }

    /// Takes note that a person came to a number at a time. Whoever was known there before had left it by then, also where
    /// the only sign of that was a later message of the present holder.
    fn came_to(&mut self, person: &Someone, phone: &ContactId, at: Time) -> Result<(), MissingRecord> {
        let place = self.place(phone)?;
        let came_later = |contact: &Contact| contact.user_id.is_some() && contact.linked_at > Some(at);
        let (IdState::Contact(holder), Some(former)) = (&place.now, &mut place.former) else { return Ok(()) };
        if former.until < at || former.to.is_phone() || person.goes_by(&former.to) || !came_later(holder) {
            return Ok(());
        }
        former.until = just_before(at);
        let (to, until) = (former.to.clone(), former.until);
        if let IdState::Contact(contact) = &mut self.place(&to)?.now {
            contact.leave(phone, until);
        }
        Ok(())
    }

    /// Who holds an id, or held it at a time.
    fn holder(&mut self, id: &ContactId, at: Option<Time>) -> Result<Option<Holder>, MissingRecord> {
        let (mut id, mut at, mut left) = (id.clone(), at, None);
        let mut came_from: Option<ContactId> = None;
        for _ in 0..MAX_LINKS {
            let place = self.place(&id)?.clone();
            let contact = match &place.now {
                IdState::Contact(contact) => Some((**contact).clone()),
                IdState::Link(to) => match self.place(to)?.now.clone() {
                    IdState::Contact(contact) => Some(*contact),
                    _ => None,
                },
                _ => None,
            };
            // Whoever has left the id before is the one that is followed, whoever else was here once.
            if came_from.is_some_and(|from| contact.is_some_and(|there| there.left.iter().any(|left| left.id == from)))
            {
                break;
            }
            // Nobody but who was there last is meant where nobody is any more, by staff or by what was left for that person.
            let is_vacant = matches!(place.now, IdState::Vacant(_)) && (at.is_none() || left.is_some());
            let former = place.former.filter(|former| is_vacant || at.is_some_and(|at| at <= former.until));
            let Some(former) = former else { break };
            // The person came to the next id by then: who had that before is somebody else.
            at = at.max(Some(former.until.next()));
            left = left.or(Some(former.until));
            came_from = Some(id);
            id = former.to;
        }
        let someone = match self.place(&id)?.now.clone() {
            // The link is to the contact that stands there now, whoever was there before.
            IdState::Link(to) => match self.place(&to)?.now.clone() {
                IdState::Contact(contact) => Someone::at(&to, *contact),
                _ => return Ok(None),
            },
            IdState::Contact(contact) => Someone::at(&id, *contact),
            IdState::Erased(tombstone) => Someone::at(&id, *tombstone),
            IdState::Vacant(_) => return Ok(None),
        };
        Ok(Some(Holder { someone, until: left }))
    }

    /// The person with a user id, who may be nobody yet.
    fn or_newcomer(&mut self, person: Option<Someone>, user: &ContactId) -> Result<Someone, MissingRecord> {
        person.map_or_else(|| self.newcomer(&user.clone().into()), Ok)
    }

    /// Somebody of whom nothing is known but an id, and who starts from what the last holder left there.
    fn newcomer(&mut self, ids: &Ids) -> Result<Someone, MissingRecord> {
        let mut contact = Contact::default();
        for id in ids.iter() {
            if let IdState::Vacant(remains) = &self.place(id)?.now {
                contact = remains.inherited();
            }
        }
        Ok(Someone { ids: ids.clone(), linked_at: None, contact })
    }

    /// Takes a number from a person who was seen without it, and gives it to somebody new.
    fn evict(&mut self, mut person: Someone, phone: &ContactId, at: Time) -> Result<Someone, MissingRecord> {
        let newcomer = Someone { ids: phone.clone().into(), linked_at: None, contact: person.contact.inherited() };
        let until = just_before(at);
        if let Some(user) = person.ids.user {
            person.contact = Contact { phone: None, user_id: None, linked_at: None, ..person.contact.as_of(until) };
            person.contact.leave(phone, until);
            self.place(&user)?.now = IdState::Contact(Box::new(person.contact));
            let now = IdState::Vacant(Box::new(newcomer.contact.clone()));
            let place = self.place(phone)?;
            place.former = Some(PreviousHolder { to: user, until });
            place.now = now;
            self.moved = true;
        }
        Ok(newcomer)
    }

    /// Makes one person of two. Its ids are those of the second and, where that lacks one, of the first; what else the
    /// first went by, it has left.
    fn unite(
        &mut self,
        mover: &Someone,
        there: &Someone,
        at: Time,
        until: Time,
        joins_at: Time,
    ) -> Result<Someone, MissingRecord> {
        let ids = Ids {
            phone: there.ids.phone.clone().or_else(|| mover.ids.phone.clone()),
            user: there.ids.user.clone().or_else(|| mover.ids.user.clone()),
        };
        let keeps_phone = mover.ids.phone.is_none() || mover.ids.phone == ids.phone;
        // Somebody else may have come to the number since.
        let brought = if keeps_phone { mover.contact.clone() } else { mover.contact.as_of(until) };
        let (mut contact, tightened) = join::join(&brought, &there.contact, joins_at);
        contact.phone = there.contact.phone.clone().or_else(|| mover.contact.phone.clone().filter(|_| keeps_phone));
        let linked_at = match (there.ids == ids, mover.ids.phone == ids.phone) {
            (true, _) => there.linked_at.or(Some(at)),
            (false, true) => mover.linked_at.or(Some(at)),
            (false, false) => Some(at),
        };
        for id in ids.iter() {
            let place = self.place(id)?;
            // An id that the person had left and now has again was that person's all along.
            let left = contact.left.iter().find(|left| left.id == *id).map(|left| left.until);
            if place.former.as_ref().is_some_and(|former| {
                left == Some(former.until) || mover.goes_by(&former.to) || there.goes_by(&former.to)
            }) {
                place.former = None;
            }
            contact.left.retain(|left| left.id != *id);
        }
        let keeper = ids.first().cloned();
        for id in mover.ids.iter().filter(|id| ids.iter().all(|own| own != *id)) {
            let to = keeper.clone().unwrap_or_else(|| id.clone());
            let place = self.place(id)?;
            place.former = Some(PreviousHolder { to, until });
            place.now = IdState::Vacant(Box::new(mover.contact.remains()));
            contact.leave(id, until);
        }
        self.tightened |= tightened;
        self.moved = true;
        Ok(Someone { ids, linked_at, contact })
    }
}

impl Someone {
    /// The person whose contact stands at an id.
    fn at(id: &ContactId, contact: Contact) -> Self {
        let linked = contact.user_id.as_ref().map(ContactId::from).filter(|_| id.is_phone());
        let mut ids = Ids::from(id.clone());
        ids.user = ids.user.or(linked);
        Self { ids, linked_at: contact.linked_at, contact }
    }

    pub(super) fn goes_by(&self, id: &ContactId) -> bool {
        self.ids.iter().any(|own| own == id)
    }
}

/// Messages of this time belong to whoever is new.
fn just_before(at: Time) -> Time {
    Time::from_millis(at.millis() - 1)
}

/// The last moment of the second in which somebody left an id: what was said within it was still said by that person.
fn last_moment(at: Time) -> Time {
    Time::from_millis(at.seconds() * 1000 + 999)
}
