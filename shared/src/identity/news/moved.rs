//! The news is the newest that is known of both ids.

use crate::identity::MissingRecord;
use crate::identity::draft::Draft;
use crate::identity::known_person::{Handover, KnownPerson};
use crate::identity::merge::Merge;

/// The mover goes by the new ids, and a person known there is the same. The old id keeps its restrictions and the time of
/// the change.
///
/// `P STOP @1`, then `P moved to Q @10`: one contact under Q, opted out, and P stays out for its next holder.
pub(super) struct Moved {
    /// The holder of the old ids.
    pub(super) mover: KnownPerson,
    /// The holder of the new ids, who may be new.
    pub(super) holder: KnownPerson,
    pub(super) handover: Handover,
}

impl Moved {
    pub(super) fn apply(self, draft: &mut Draft<'_>) -> Result<KnownPerson, MissingRecord> {
        let Self { mover, holder, handover } = self;
        let (old_phone, known_since) = (mover.ids.phone.clone(), mover.linked_at.filter(|_| mover.ids.user.is_some()));
        let mut person = Merge { from: mover, into: holder, handover }.apply(draft)?;
        if let Some(left) = person.contact.left.iter_mut().find(|left| Some(&left.id) == old_phone.as_ref()) {
            left.since = known_since;
        }
        Ok(person)
    }
}
