//! The message is from before the number's holder left it, and no user id was known of that holder.

use crate::identity::MissingRecord;
use crate::identity::draft::Draft;
use crate::identity::known_person::{Handover, KnownPerson};
use crate::identity::merge::Merge;
use crate::time::Time;

/// Nothing says that the holder of that time and the user id's person are two, so they are one.
///
/// `P STOP @1`, `P moved to Q @10`, then `P+U hello @5`: U is the one who stopped, and goes by Q now.
pub(super) struct PhoneLeft {
    /// The holder of the number at the time of the message, under the present ids.
    pub(super) holder: KnownPerson,
    /// The last moment at which the number was the holder's.
    pub(super) until: Time,
    /// The person with the user id.
    pub(super) person: KnownPerson,
}

impl PhoneLeft {
    pub(super) fn apply(self, draft: &mut Draft<'_>) -> Result<KnownPerson, MissingRecord> {
        let Self { holder, until, person } = self;
        let came_elsewhere_later = person.linked_after(until).filter(|_| person.ids.phone.is_some());
        let merge = match came_elsewhere_later {
            Some(since) => Merge { from: holder, into: person, handover: Handover::at(since) },
            None => Merge { from: person, into: holder, handover: Handover::after(until) },
        };
        merge.apply(draft)
    }
}
