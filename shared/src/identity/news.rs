//! The person after the news of a change: WhatsApp says that the holder of one id has another from a time on.
//!
//! The table of the cases stands at the head of [`super`]. The news first corrects what is known of the two ids
//! ([`arrival`], [`departure`]). Then it falls into one of the cases, of which each has a file of its own.

mod arrival;
mod came_later;
mod departure;
mod moved;

use super::draft::Draft;
use super::known_person::{Handover, KnownPerson};
use super::{Ids, MissingRecord, message};
use crate::time::Time;
use came_later::CameLater;
use moved::Moved;

/// The news of a change.
#[derive(Clone, Copy)]
pub(super) struct News<'a> {
    /// The ids before.
    pub(super) from: &'a Ids,
    /// The ids from then on.
    pub(super) to: &'a Ids,
    /// The time of the change, in whole seconds.
    pub(super) at: Time,
}

/// The cases of news, each with all that it needs.
#[expect(clippy::large_enum_variant, reason = "only one exists at a time")]
enum Case {
    AlreadyMoved(KnownPerson),
    CameLater(CameLater),
    Moved(Moved),
}

/// The person under the new ids. `mover` is the person who held the old ones at the time of the change.
pub(super) fn apply(draft: &mut Draft<'_>, mover: KnownPerson, news: News<'_>) -> Result<KnownPerson, MissingRecord> {
    let mover =
        if arrival::separate(draft, news)? { message::identify(draft, news.from, Some(news.at))? } else { mover };
    arrival::end_former_tenure(draft, &mover, news)?;
    // The holder after the second of the change. A holder within that second has left.
    let holder = message::identify(draft, news.to, Some(news.handover().until.next()))?;
    if holder.is(&mover) {
        return Ok(holder);
    }
    let holder = arrival::end_present_tenure(draft, holder, news)?;
    let mover = departure::correct(draft, mover, news)?;
    let latest = Moved { mover, holder, handover: news.handover() };
    match classify(draft, latest, news)? {
        Case::AlreadyMoved(person) => Ok(person),
        Case::CameLater(case) => case.apply(draft),
        Case::Moved(case) => case.apply(draft),
    }
}

/// The case of the news, once both ids are corrected: `latest`, the newest news of both ids, unless the records say otherwise.
/// Looks records up and changes none.
fn classify(draft: &mut Draft<'_>, latest: Moved, news: News<'_>) -> Result<Case, MissingRecord> {
    let Moved { mover, holder, handover } = &latest;
    for id in news.from.iter().filter(|id| mover.goes_by(id)) {
        let last = draft.holder(id, None)?;
        if last.is_some_and(|last| last.person.is(holder)) {
            return Ok(Case::AlreadyMoved(latest.holder));
        }
    }
    let came_later = mover.linked_after(handover.until).and(mover.ids.phone.clone());
    Ok(match came_later.filter(|_| holder.ids.phone.is_some()) {
        Some(phone) => Case::CameLater(CameLater { handover: *handover, holder: latest.holder, phone }),
        None => Case::Moved(latest),
    })
}

impl News<'_> {
    fn handover(self) -> Handover {
        Handover::told_at(self.at)
    }
}
