//! The new number: a holder with another user id has left it by the time of the news.

use std::time::Duration;

use super::News;
use crate::contact::{Contact, LeftId};
use crate::id::ContactId;
use crate::identity::draft::Draft;
use crate::identity::known_person::{Holder, KnownPerson, just_before};
use crate::identity::tenure::{Reassignment, Separation};
use crate::identity::{IdState, MissingRecord};

/// The longest time for which the news of a move may lag behind the first message from the new number.
const MAX_LAG: Duration = Duration::from_hours(1);

/// Ends the tenure of a previous holder at the time of the news, if it ended only with a later message of the present one.
pub(super) fn end_former_tenure(
    draft: &mut Draft<'_>,
    mover: &KnownPerson,
    news: News<'_>,
) -> Result<(), MissingRecord> {
    let (Some(phone), None) = (&news.to.phone, &news.to.user) else { return Ok(()) };
    let record = draft.record(phone)?;
    let (IdState::Contact(holder), Some(former)) = (&record.now, &mut record.former) else { return Ok(()) };
    let came_later = |contact: &Contact| contact.user_id.is_some() && contact.linked_at > Some(news.at);
    let left_unnoticed = matches!(former.to, ContactId::User(_)) && !mover.goes_by(&former.to);
    if former.until < news.at || !left_unnoticed || !came_later(holder) {
        return Ok(());
    }
    former.until = just_before(news.at);
    let (to, until) = (former.to.clone(), former.until);
    if let IdState::Contact(contact) = &mut draft.record(&to)?.now {
        contact.leave(phone, until);
    }
    Ok(())
}

/// The holder of the new ids, once a present holder with another user id has left the number to the mover. A holder who
/// came from the old number just before is the mover.
pub(super) fn end_present_tenure(
    draft: &mut Draft<'_>,
    holder: KnownPerson,
    news: News<'_>,
) -> Result<KnownPerson, MissingRecord> {
    let (Some(phone), None) = (&news.to.phone, &news.to.user) else { return Ok(holder) };
    let is_known_there = holder.goes_by(phone) && holder.ids.user.is_some();
    let came_before = holder.linked_at.is_none_or(|since| since < news.at);
    let mut left = holder.contact.left.iter();
    let is_mover = left.any(|left| news.from.contain(&left.id) && news.at <= left.until.plus(MAX_LAG));
    if is_known_there && came_before && !is_mover {
        return Reassignment { holder, phone, since: news.at }.apply(draft);
    }
    Ok(holder)
}

/// Separates a user id from the number to which later news led it, if it was known at the new number from before the news:
/// the later news was about the mover. Returns whether it did.
pub(super) fn separate(draft: &mut Draft<'_>, news: News<'_>) -> Result<bool, MissingRecord> {
    let (Some(phone), None) = (&news.to.phone, &news.to.user) else { return Ok(false) };
    let Some(Holder { person, until: Some(until) }) = draft.holder(phone, Some(news.handover().until.next()))? else {
        return Ok(false);
    };
    let came_before =
        |left: &LeftId| left.id == *phone && left.until == until && left.since.is_some_and(|since| since < news.at);
    let separates = person.contact.left.iter().any(came_before);
    if separates {
        Separation { person, phone, since: news.at }.apply(draft)?;
    }
    Ok(separates)
}
