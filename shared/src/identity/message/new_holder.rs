//! The number's holder goes by another user id: the number has a new holder.

use crate::id::ContactId;
use crate::identity::MissingRecord;
use crate::identity::draft::Draft;
use crate::identity::known_person::{Handover, KnownPerson};
use crate::identity::merge::Merge;
use crate::identity::tenure::Reassignment;
use crate::time::Time;

/// The holder has left the number unnoticed. The person with the user id has it from this message on, and starts from its
/// restrictions.
///
/// `P+U STOP @1`, then `P+V hello @10`: V has P, which stays out. U goes by the user id alone and stays out, too.
pub(super) struct NewHolder<'a> {
    /// The holder so far.
    pub(super) holder: KnownPerson,
    /// The person with the user id.
    pub(super) person: KnownPerson,
    pub(super) phone: &'a ContactId,
    /// The time of the message.
    pub(super) at: Time,
}

impl NewHolder<'_> {
    pub(super) fn apply(self, draft: &mut Draft<'_>) -> Result<KnownPerson, MissingRecord> {
        let Self { holder, person, phone, at } = self;
        let newcomer = Reassignment { holder, phone, since: at }.apply(draft)?;
        if person.linked_after(at).is_some() {
            // The person has come to another number since.
            return Ok(person);
        }
        Merge { from: person, into: newcomer, handover: Handover::at(at) }.apply_proven(draft)
    }
}
