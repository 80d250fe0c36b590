//! The user id's person has come to another number since, and no other user id is known at the number of the message.

use crate::identity::MissingRecord;
use crate::identity::draft::Draft;
use crate::identity::known_person::{Handover, KnownPerson};
use crate::identity::merge::Merge;
use crate::time::Time;

/// The number's holder is that person, who went on to the other number.
///
/// `P STOP @1`, `Q+U hello @10`, then `P+U hello @5`: U is the one who stopped, and goes by Q.
pub(super) struct WentOn {
    /// The person known at the number of the message.
    pub(super) holder: KnownPerson,
    /// The person with the user id.
    pub(super) person: KnownPerson,
    /// The time from which the person is known at the other number.
    pub(super) since: Time,
}

impl WentOn {
    pub(super) fn apply(self, draft: &mut Draft<'_>) -> Result<KnownPerson, MissingRecord> {
        let Self { holder, person, since } = self;
        Merge { from: holder, into: person, handover: Handover::at(since) }.apply(draft)
    }
}
