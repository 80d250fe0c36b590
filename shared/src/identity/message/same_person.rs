//! Number and user id lead to one contact.

use crate::identity::draft::Draft;
use crate::identity::known_person::KnownPerson;
use crate::time::Time;

/// The message is that person's. It also proves that the user id's person went along where the number changed before, which
/// only the news of the change said so far.
///
/// `P+U hello @1`, `P moved to Q @10`, then `Q+U hello @20`: U is at Q, whatever turns out about P.
pub(super) struct SamePerson {
    pub(super) person: KnownPerson,
    /// The time of the message.
    pub(super) at: Time,
}

impl SamePerson {
    pub(super) fn apply(self, draft: &mut Draft<'_>) -> KnownPerson {
        let Self { mut person, at } = self;
        if person.linked_at <= Some(at) {
            for left in person.contact.left.iter_mut().filter(|left| left.since.is_some()) {
                left.since = None;
                draft.moved = true;
            }
        }
        person
    }
}
