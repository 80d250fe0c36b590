//! The present holder of the old number came to it after the change.

use crate::id::ContactId;
use crate::identity::MissingRecord;
use crate::identity::draft::Draft;
use crate::identity::known_person::{Handover, KnownPerson};
use crate::identity::tenure::EarlierTenure;

/// The person who moved had the number before that holder, and is the holder of the new one.
///
/// `P STOP @1`, `P+V hello @20`, then `P moved to Q @10`: V keeps P. The person at Q had P until 10 and stays out.
pub(super) struct CameLater {
    /// The holder of the new ids.
    pub(super) holder: KnownPerson,
    /// The old number.
    pub(super) phone: ContactId,
    pub(super) handover: Handover,
}

impl CameLater {
    pub(super) fn apply(self, draft: &mut Draft<'_>) -> Result<KnownPerson, MissingRecord> {
        let Self { holder, phone, handover } = self;
        let person = KnownPerson { linked_at: holder.linked_at.or(Some(handover.since)), ..holder };
        EarlierTenure { person, phone: &phone, until: handover.until }.add(draft)
    }
}
