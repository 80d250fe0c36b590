//! The merge of two persons who turn out to be one.

use super::draft::Draft;
use super::join::Pair;
use super::known_person::{Handover, KnownPerson};
use super::{IdState, Ids, MissingRecord, PreviousHolder};
use crate::contact::Contact;
use crate::time::Time;

/// Two persons who are one. The ids of the second win: where both have a number, or both a user id, the person has left
/// the first one's.
pub(super) struct Merge {
    /// The person under the ids from before.
    pub(super) from: KnownPerson,
    /// The person under the ids from then on.
    pub(super) into: KnownPerson,
    /// The moment at which the person left the one for the other.
    pub(super) handover: Handover,
}

impl Merge {
    /// Like [`Merge::apply`], where a message with both ids proves it. Nothing that turns out about earlier numbers can
    /// separate the user id from this one then.
    pub(super) fn apply_proven(self, draft: &mut Draft<'_>) -> Result<KnownPerson, MissingRecord> {
        let mut person = self.apply(draft)?;
        person.contact.left.iter_mut().for_each(|left| left.since = None);
        Ok(person)
    }

    /// Writes the merge into the records, and returns the one person.
    pub(super) fn apply(self, draft: &mut Draft<'_>) -> Result<KnownPerson, MissingRecord> {
        let Self { from, into, handover } = self;
        let ids = Ids {
            phone: into.ids.phone.clone().or_else(|| from.ids.phone.clone()),
            user: into.ids.user.clone().or_else(|| from.ids.user.clone()),
        };
        let keeps_phone = from.ids.phone.is_none() || from.ids.phone == ids.phone;
        // Another person may have come to the number since.
        let brought = if keeps_phone { from.contact.clone() } else { from.contact.as_of(handover.until) };
        let [brought, found] = if brought == into.contact {
            [brought, into.contact.clone()]
        } else {
            // A message from before an erasure may show that the erased person had the id of somebody else.
            [&brought, &into.contact].map(|contact| without_releases_of_erased(contact, handover.since))
        };
        let joined = Pair { from: &brought, into: &found }.join(draft.joins_at);
        draft.tightened |= joined.tightened;
        draft.moved = true;
        let phone = into.contact.phone.clone().or_else(|| from.contact.phone.clone().filter(|_| keeps_phone));
        let linked_at = match (into.ids == ids, from.ids.phone == ids.phone) {
            (true, _) => into.linked_at.or(Some(handover.since)),
            (false, true) => from.linked_at.or(Some(handover.since)),
            (false, false) => Some(handover.since),
        };
        let mut person = KnownPerson { ids, linked_at, contact: Contact { phone, ..joined.contact } };
        // Most messages move no contact, and need no other record read.
        if let Some(to) = person.ids.first() {
            for moved in [&from, &into].into_iter().filter(|side| !side.is(&person)) {
                draft.forward(&moved.contact, to)?;
            }
        }
        for id in person.ids.iter() {
            let former = &mut draft.record(id)?.former;
            // An id that the person had left and has again was that person's all along.
            let left = person.contact.left.iter().find(|left| left.id == *id).map(|left| left.until);
            let is_own = |former: &PreviousHolder| {
                left == Some(former.until) || from.goes_by(&former.to) || into.goes_by(&former.to)
            };
            *former = former.take().filter(|former| !is_own(former));
            person.contact.left.retain(|left| left.id != *id);
        }
        for id in from.ids.iter().filter(|id| !person.ids.contain(id)) {
            let to = person.ids.first().unwrap_or(id).clone();
            let record = draft.record(id)?;
            record.former = Some(PreviousHolder { to, until: handover.until });
            record.now = IdState::Vacant(Box::new(from.contact.consent_state()));
            person.contact.leave(id, handover.until);
        }
        Ok(person)
    }
}

/// The contact, without the releases of a person who was erased after `since`. They may not be those of the person whom it is
/// merged with.
fn without_releases_of_erased(contact: &Contact, since: Time) -> Contact {
    if contact.erased_at() < Some(since) {
        return contact.clone();
    }
    let Contact { opt_out, block, provider_stop, .. } = contact.inherited();
    Contact { opt_out, block, provider_stop, ..contact.clone() }
}
