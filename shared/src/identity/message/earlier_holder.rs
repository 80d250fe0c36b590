//! The message is older than a link that is known: of the number to its holder, or of the user id to another number.

use crate::id::ContactId;
use crate::identity::MissingRecord;
use crate::identity::draft::Draft;
use crate::identity::known_person::{KnownPerson, just_before};
use crate::identity::tenure::EarlierTenure;
use crate::time::Time;

/// The person had the number until that link began. Nothing changes for the number's present holder but that the
/// restrictions of the number count for both.
///
/// `P+V hello @10`, then `P+U STOP @5`: U had P before V, and both stay out.
pub(super) struct EarlierHolder<'a> {
    /// The person with the user id.
    pub(super) person: KnownPerson,
    pub(super) phone: &'a ContactId,
    /// The time at which the link that is known begins.
    pub(super) since: Time,
}

impl EarlierHolder<'_> {
    pub(super) fn apply(self, draft: &mut Draft<'_>) -> Result<KnownPerson, MissingRecord> {
        let Self { person, phone, since } = self;
        EarlierTenure { person, phone, until: just_before(since) }.add(draft)
    }
}
