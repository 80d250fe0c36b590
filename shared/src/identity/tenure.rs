//! The tenures of a number: the times at which one person after the other held it.

use super::draft::Draft;
use super::join::Pair;
use super::known_person::{KnownPerson, just_before};
use super::{IdState, MissingRecord, PreviousHolder};
use crate::contact::{Contact, LeftId};
use crate::id::ContactId;
use crate::time::Time;

/// The tenure of a person who held a number before its present holder, and until when.
pub(super) struct EarlierTenure<'a> {
    pub(super) person: KnownPerson,
    pub(super) phone: &'a ContactId,
    pub(super) until: Time,
}

impl EarlierTenure<'_> {
    /// Writes the tenure into the number's record, unless another is there already. An event under the number alone may be
    /// of either person, so every restriction of the number counts for both.
    pub(super) fn add(self, draft: &mut Draft<'_>) -> Result<KnownPerson, MissingRecord> {
        let Self { mut person, phone, until } = self;
        let to = person.ids.first().unwrap_or(phone).clone();
        // The record of the person's contact has to be looked at to be written.
        draft.record(&to)?;
        let record = draft.record(phone)?;
        if record.former.is_some() {
            return Ok(person);
        }
        record.former = Some(PreviousHolder { to, until });
        let at_number = match &record.now {
            IdState::Contact(contact) => contact.at_worst(),
            _ => Contact::default(),
        };
        let joined = Pair { from: &at_number, into: &person.contact }.join(draft.joins_at);
        person.contact = Contact { phone: person.contact.phone, ..joined.contact };
        person.contact.leave(phone, until);
        draft.tightened |= joined.tightened;
        draft.moved = true;
        Ok(person)
    }
}

/// The reassignment of a number: its holder has left it unnoticed, and another person has it from a time on.
pub(super) struct Reassignment<'a> {
    pub(super) holder: KnownPerson,
    pub(super) phone: &'a ContactId,
    pub(super) since: Time,
}

impl Reassignment<'_> {
    /// Writes into the records that the holder goes by the user id alone, and returns the number's new holder. That one
    /// starts from the number's restrictions.
    pub(super) fn apply(self, draft: &mut Draft<'_>) -> Result<KnownPerson, MissingRecord> {
        let Self { holder, phone, since } = self;
        let contact = holder.contact.inherited();
        if let Some(user) = holder.ids.user {
            let until = just_before(since);
            let left = holder.contact.as_of(until);
            let mut left = Contact { phone: None, user_id: None, linked_at: None, ..left };
            draft.forward(&left, &user)?;
            left.leave(phone, until);
            draft.record(&user)?.now = IdState::Contact(Box::new(left));
            let record = draft.record(phone)?;
            record.former = Some(PreviousHolder { to: user, until });
            record.now = IdState::Vacant(Box::new(contact.clone()));
            draft.moved = true;
        }
        Ok(KnownPerson { ids: phone.clone().into(), linked_at: None, contact })
    }
}

/// The separation of a user id from the number to which only the news of a change led it. The news was about another
/// person, who had come to the old number before.
pub(super) struct Separation<'a> {
    /// The two, as the one person whom they were taken for.
    pub(super) person: KnownPerson,
    /// The old number.
    pub(super) phone: &'a ContactId,
    /// The time at which the other person came to it.
    pub(super) since: Time,
}

impl Separation<'_> {
    /// Writes two contacts into the records. Each keeps every restriction; a release from after the separation may be of
    /// either person and is taken back from both.
    pub(super) fn apply(self, draft: &mut Draft<'_>) -> Result<(), MissingRecord> {
        let Self { person, phone, since } = self;
        let (Some(present), Some(user)) = (&person.ids.phone, &person.ids.user) else { return Ok(()) };
        let until = just_before(since);
        let contact = person.contact.as_of(until);
        let is_later = |left: &LeftId| matches!(left.id, ContactId::Phone(_)) && left.until >= since;
        let (later, earlier): (Vec<LeftId>, Vec<LeftId>) = contact.left.iter().cloned().partition(is_later);
        // The user id was never known at the numbers of the other person.
        let later: Vec<LeftId> = later.into_iter().map(|left| LeftId { since: None, ..left }).collect();
        let inherited = contact.inherited();
        let at_number = Contact { phone: contact.phone.clone(), linked_at: person.linked_at, left: later, ..inherited };
        let mut own = Contact { phone: None, user_id: None, linked_at: None, left: earlier, ..contact };
        draft.forward(&own, user)?;
        own.leave(phone, until);
        draft.record(present)?.now = IdState::Contact(Box::new(at_number));
        draft.record(user)?.now = IdState::Contact(Box::new(own));
        draft.moved = true;
        Ok(())
    }
}
