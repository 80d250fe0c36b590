//! Who an update is about. Pure: no input, no output, no clock.
//!
//! A person goes by a phone number, by WhatsApp's user id, or by both, and has one contact. The contact stands in the record
//! of the number where that is known, else in the record of the user id. The record of the other id is a link to it.
//! Numbers pass from one holder to the next, user ids hardly ever do. So where the two disagree, the user id is right.
//!
//! [`identify`] finds the [`Person`] in the records that were read, and [`Person::records`] gives the records to write.
//!
//! # The cases
//!
//! `P` and `Q` are numbers, `U` and `V` are user ids, `@5` is the fifth second. The number's holder and the user id's person
//! are those of the time of the update. A person *has come* to a number at the time from which the contact is known there
//! ([`Contact::linked_at`]). Updates are applied in any order: each example gives the order of arrival, the last one being
//! the update of the case.
//!
//! A message (module `message`):
//!
//! | case | ids | in the records | what follows | example |
//! |---|---|---|---|---|
//! | `OneId` | one | anything | the id's holder; without one, a new person with the restrictions left there | `P STOP @1` |
//! | `SamePerson` | both | both lead to one contact | that person; `LeftId::since` is removed | `P+U hello @1`, `P+U STOP @2` |
//! | `PhoneOfAnother` | both | the number's holder had another user id and has left since | the user id's person; nothing is learnt of the number | `P+U hello @1`, `P moved to Q @10`, `P+V STOP @5`: V's stop |
//! | `PhoneLeft` | both | the number's holder had no user id and has left since | both are one, under the newer ids | `P STOP @1`, `P moved to Q @10`, `P+U hello @5`: U goes by Q, opted out |
//! | `EarlierHolder` | both | the number's holder or the user id's person has come to a number later | the user id's person had the number until then; its restrictions hold for both | `P+V hello @10`, `P+U STOP @5`: V keeps P, all are opted out |
//! | `NewHolder` | both | the number's holder has another user id and came before | that holder has left, the user id's person starts from the number's restrictions | `P+U STOP @1`, `P+V hello @10`: P is V's, all are opted out |
//! | `WentOn` | both | the number's holder has no user id, the user id's person has come to another number later | both are one, under the other number | `P STOP @1`, `Q+U hello @10`, `P+U hello @5`: U goes by Q, opted out |
//! | `Link` | both | anything else | both are one, under this number | `U STOP @1`, `P+U hello @2`: one contact under P, opted out |
//!
//! Where two rows fit, `NewHolder` goes before `EarlierHolder` unless the number's holder came later. In `NewHolder`, a person
//! who has come to another number since stays there, and the number waits for its next holder.
//!
//! The news of a change (module `news`) is about the holder of the old id, the mover, who is found like the sender of a
//! message. It first ends other tenures at its own time:
//!
//! | correction | in the records | what follows | example |
//! |---|---|---|---|
//! | `arrival`, former | the new number was left unnoticed later than the news says | it was left just before the news | `Q+V hello @1`, `Q+U hello @30`, `P moved to Q @20`: V had Q until 20 |
//! | `arrival`, present | the new number's holder has another user id and came before | that holder has left, as in `NewHolder` | `Q+V STOP @5`, `P moved to Q @10`: Q is the mover's, opted out |
//! | `arrival`, separate | the new number's user id came before and left after the news, and only news led it to its present number | that later news was about the mover: the user id is separate again, and both keep all restrictions | `P+U STOP @1`, `P moved to Q @30`, `Q moved to P @20`: U is out, whatever Q says |
//! | `departure` | the old id was left later than the news says | it was left at the time of the news; later releases are taken back from the mover | `P+U STOP @1`, `P+V hello @20`, `P START @15`, `P moved to Q @10`: U stays out |
//!
//! Then it is one of these:
//!
//! | case | in the records | what follows | example |
//! |---|---|---|---|
//! | same person | both ids lead to one contact | that person | `P+U hello @1`, `Q+U hello @10`, `P moved to Q @12` |
//! | `AlreadyMoved` | the old id is vacant, and its last holder is at the new one | that person | `P moved to Q @10`, `P moved to Q @20` |
//! | `CameLater` | the old number's holder has come there later | the new number's holder had the old number until the news; its restrictions hold for both | `P STOP @1`, `P+V hello @20`, `P moved to Q @10`: V keeps P, Q is opted out |
//! | `Moved` | anything else | both are one, under the new id; the old one is vacant and keeps its restrictions | `P STOP @1`, `P moved to Q @10`: P and Q are opted out |
//!
//! Where two are one, each field takes the stricter state (`join`). A change goes through `Draft`, the working
//! copy of the records, by one of four operations: `Merge` makes one person of two, `Separation` two of one, `Reassignment`
//! takes a number from its holder, `EarlierTenure` adds a holder from before.
//!
//! # Examples
//!
//! ```
//! use consent::identity::{IdRecord, IdRecords, Ids, Sighting, identify};
//! use consent::time::Time;
//!
//! let (phone, user) = ("+14155550123".parse()?, "US.1349".parse()?);
//! let ids = Ids { phone: Some(phone), user: Some(user) };
//! let message = Sighting { ids: ids.clone(), at: Some(Time::from_millis(1000)), ..Sighting::default() };
//! let read: IdRecords = ids.iter().map(|id| (id.clone(), IdRecord::default())).collect();
//! let person = identify(&message, &read).unwrap();
//! assert_eq!(person.id().as_str(), "+14155550123");
//! assert_eq!(person.records(&person.contact, None).len(), 2);
//! # Ok::<(), consent::id::InvalidContactId>(())
//! ```

mod draft;
mod history_span;
mod ids;
mod join;
mod known_person;
mod merge;
mod message;
mod news;
mod person;
mod record;
mod tenure;

pub use history_span::HistorySpan;
pub use ids::{Ids, Sighting};
pub use person::Person;
pub use record::{IdRecord, IdRecords, IdState, MissingRecord, PreviousHolder};

#[cfg(doc)]
use crate::contact::Contact;
use draft::Draft;
use known_person::KnownPerson;
use news::News;

/// Finds the person whom an update is about in the records that were read, and applies what the update teaches about ids.
///
/// # Errors
/// The record of another id has to be read first.
pub fn identify(sighting: &Sighting, read: &IdRecords) -> Result<Person, MissingRecord> {
    let mut draft = Draft::new(read, sighting.joins_at);
    let mut known = message::identify(&mut draft, &sighting.ids, sighting.at)?;
    if let (Some(to), Some(at)) = (&sighting.moved_to, sighting.at) {
        known = news::apply(&mut draft, known, News { from: &sighting.ids, to, at })?;
    }
    let left_ids = sighting.ids.iter().filter(|id| !known.goes_by(id)).cloned().collect();
    let Draft { records, tightened, moved, .. } = draft;
    let KnownPerson { ids, linked_at, contact } = known;
    let erased_until = sighting.named().filter_map(|id| read.get(id)?.erased_until).max();
    let is_forgotten = sighting.at.is_some_and(|at| Some(at) <= erased_until);
    let mut person = Person { contact, tightened, moved, is_forgotten, ids, linked_at, records, left_ids };
    if person.tombstone(&person.contact).is_none() {
        person.contact = person.linked(&person.contact);
    }
    Ok(person)
}

#[cfg(test)]
mod tests;
