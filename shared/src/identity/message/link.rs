//! The message is the newest that is known of number and user id.

use crate::identity::MissingRecord;
use crate::identity::draft::Draft;
use crate::identity::known_person::{Handover, KnownPerson};
use crate::identity::merge::Merge;
use crate::time::Time;

/// The number's holder and the person with the user id are one from this message on. A number that the user id had before
/// is left.
///
/// `U STOP @1`, then `P+U hello @2`: one contact under P, opted out.
pub(super) struct Link {
    /// The person known at the number, who may be new.
    pub(super) holder: KnownPerson,
    /// The person with the user id, who may be new.
    pub(super) person: KnownPerson,
    /// The time of the message.
    pub(super) at: Time,
}

impl Link {
    pub(super) fn apply(self, draft: &mut Draft<'_>) -> Result<KnownPerson, MissingRecord> {
        let Self { holder, person, at } = self;
        Merge { from: person, into: holder, handover: Handover::at(at) }.apply_proven(draft)
    }
}
