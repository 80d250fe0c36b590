//! The person whom a message is about, by the ids that it names.
//!
//! The table of the cases stands at the head of [`super`]. Each case of two ids has a file of its own here.

mod earlier_holder;
mod link;
mod new_holder;
mod phone_left;
mod same_person;
mod went_on;

use super::draft::Draft;
use super::known_person::{Holder, KnownPerson};
use super::{IdState, Ids, MissingRecord};
use crate::time::Time;
use earlier_holder::EarlierHolder;
use link::Link;
use new_holder::NewHolder;
use phone_left::PhoneLeft;
use same_person::SamePerson;
use went_on::WentOn;

/// The cases of a message, each with all that it needs.
enum Case<'a> {
    OneId(KnownPerson),
    SamePerson(SamePerson),
    PhoneOfAnother(KnownPerson),
    PhoneLeft(PhoneLeft),
    EarlierHolder(EarlierHolder<'a>),
    NewHolder(NewHolder<'a>),
    WentOn(WentOn),
    Link(Link),
}

/// The person whom a message at a time is about. What the message teaches about ids goes into the draft.
pub(super) fn identify(draft: &mut Draft<'_>, ids: &Ids, at: Option<Time>) -> Result<KnownPerson, MissingRecord> {
    match classify(draft, ids, at)? {
        Case::OneId(person) | Case::PhoneOfAnother(person) => Ok(person),
        Case::SamePerson(case) => Ok(case.apply(draft)),
        Case::PhoneLeft(case) => case.apply(draft),
        Case::EarlierHolder(case) => case.apply(draft),
        Case::NewHolder(case) => case.apply(draft),
        Case::WentOn(case) => case.apply(draft),
        Case::Link(case) => case.apply(draft),
    }
}

/// The case of a message. Looks records up and changes none.
fn classify<'a>(draft: &mut Draft<'_>, ids: &'a Ids, at: Option<Time>) -> Result<Case<'a>, MissingRecord> {
    let by_phone = ids.phone.as_ref().map(|id| draft.holder(id, at)).transpose()?.flatten();
    let by_user = ids.user.as_ref().map(|id| draft.holder(id, at)).transpose()?.flatten();
    let (Some(phone), Some(user)) = (&ids.phone, &ids.user) else {
        let holder = by_phone.or(by_user).map(|holder| holder.person);
        return Ok(Case::OneId(holder.map_or_else(|| draft.newcomer(ids), Ok)?));
    };
    if let (Some(holder), Some(person)) = (&by_phone, &by_user)
        && holder.person.is(&person.person)
    {
        return Ok(Case::SamePerson(SamePerson { person: person.person.clone(), at: at.unwrap_or(draft.joins_at) }));
    }
    let person = by_user.map(|holder| holder.person);
    let person = person.map_or_else(|| draft.newcomer(&user.clone().into()), Ok)?;
    let at = at.unwrap_or(draft.joins_at);
    let elsewhere_since = person.linked_after(at);
    let (holder, until) = match by_phone {
        Some(Holder { person, until }) => (person, until),
        None => match elsewhere_since {
            Some(since) => return Ok(Case::EarlierHolder(EarlierHolder { person, phone, since })),
            None => (draft.newcomer(&phone.clone().into())?, None),
        },
    };
    if let Some(until) = until {
        return Ok(match holder.ids.user {
            Some(_) => Case::PhoneOfAnother(person),
            None => Case::PhoneLeft(PhoneLeft { holder, until, person }),
        });
    }
    // A user id that has changed since is compared by what it has become.
    let own = person.ids.user.as_ref().unwrap_or(user);
    let is_of_another = holder.ids.user.as_ref().is_some_and(|other| other != own);
    let is_contact = matches!(draft.record(phone)?.now, IdState::Contact(_));
    Ok(match (holder.linked_after(at), elsewhere_since) {
        (Some(since), _) => Case::EarlierHolder(EarlierHolder { person, phone, since }),
        _ if is_of_another => Case::NewHolder(NewHolder { holder, person, phone, at }),
        (None, Some(since)) if is_contact && holder.ids.user.is_none() => {
            Case::WentOn(WentOn { holder, person, since })
        }
        (None, Some(since)) => Case::EarlierHolder(EarlierHolder { person, phone, since }),
        (None, None) => Case::Link(Link { holder, person, at }),
    })
}
