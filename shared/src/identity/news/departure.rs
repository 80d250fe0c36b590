//! The old ids: the mover left them at the time of the news.

use super::News;
use crate::identity::MissingRecord;
use crate::identity::draft::Draft;
use crate::identity::known_person::KnownPerson;

/// The mover, who may be known to have left an old id later than the news says. Events after the news are then another
/// person's: what they released is taken back, what they restricted stays.
pub(super) fn correct(
    draft: &mut Draft<'_>,
    mut mover: KnownPerson,
    news: News<'_>,
) -> Result<KnownPerson, MissingRecord> {
    let until = news.handover().until;
    for id in news.from.iter().filter(|id| !mover.ids.contain(id)) {
        if let Some(former) = draft.record(id)?.former.as_mut().filter(|former| former.until > until) {
            former.until = until;
            mover.contact = mover.contact.as_of(until);
            mover.contact.leave(id, until);
        }
    }
    Ok(mover)
}
