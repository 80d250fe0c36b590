//! The table in memory: the records of ids, as updates change them.

use crate::contact::Source;
use crate::decision::advance;
use crate::event::{Actor, Event, HistoryKey, Kind};
use crate::id::{ContactId, EventId};
use crate::identity::{IdRecord, IdRecords, IdState, Ids, MissingRecord, Person, Sighting, identify};
use crate::time::Time;

#[derive(Default)]
pub(super) struct Table {
    pub(super) records: IdRecords,
    /// Ids that were looked up one after the other, besides those that updates named.
    pub(super) followed: usize,
    pub(super) tightened: bool,
}

impl Table {
    /// An update at a second: `said` is `STOP`, `START` or anything else.
    pub(super) fn says(&mut self, ids: &[&str], second: i64, said: &str) -> ContactId {
        let (kind, millis) = match said {
            "STOP" => (Some(Kind::OptOut), second * 1000 + 999),
            "START" => (Some(Kind::OptIn), second * 1000),
            _ => (None, second * 1000 + 999),
        };
        let joins_at = time(if said == "START" { millis - 1 } else { millis });
        let sighting = Sighting { ids: ids_of(ids), moved_to: None, at: Some(time(second * 1000)), joins_at };
        self.play(&sighting, kind.map(|kind| event(kind, time(millis))).as_ref())
    }

    /// The news, at a second, that whoever had an id has others now.
    pub(super) fn moves(&mut self, from: &[&str], to: &[&str], second: i64) -> ContactId {
        let sighting = Sighting {
            ids: ids_of(from),
            moved_to: Some(ids_of(to)),
            at: Some(time(second * 1000)),
            joins_at: time(second * 1000 + 999),
        };
        self.play(&sighting, None)
    }

    pub(super) fn play(&mut self, sighting: &Sighting, event: Option<&Event>) -> ContactId {
        for id in sighting.named() {
            self.records.entry(id.clone()).or_default();
        }
        let person = self.find(sighting);
        self.tightened = person.tightened;
        let mut contact = person.contact.clone();
        if let Some(event) = event {
            advance(&mut contact, event);
        }
        let after = person.records(&contact, event);
        self.records.extend(after);
        person.id().clone()
    }

    pub(super) fn find(&mut self, sighting: &Sighting) -> Person {
        loop {
            match identify(sighting, &self.records) {
                Ok(person) => return person,
                Err(MissingRecord(id)) => {
                    self.followed += 1;
                    self.records.insert(id, IdRecord::default());
                }
            }
        }
    }

    /// Erases the person at an id, of which the tombstone stays.
    pub(super) fn erase(&mut self, id: &str, second: i64) {
        let erased_until = time(second * 1000 + 999);
        let tombstone = self.person(id).contact.erased(erased_until);
        let now = IdState::Erased(Box::new(tombstone));
        self.records.insert(id_of(id), IdRecord { erased_until: Some(erased_until), now, ..IdRecord::default() });
    }

    pub(super) fn person(&mut self, id: &str) -> Person {
        self.records.entry(id_of(id)).or_default();
        self.find(&Sighting::of(id_of(id)))
    }

    /// Where the contact is that an id leads to, and why it is suppressed.
    pub(super) fn shows(&mut self, id: &str) -> (String, String) {
        let person = self.person(id);
        (person.id().to_string(), person.contact.suppression().letters())
    }

    /// What the suppression list has to say of an id.
    pub(super) fn listed(&self, id: &str) -> String {
        let suppression = match &self.records[&id_of(id)].now {
            IdState::Vacant(left) => left.suppression(),
            IdState::Contact(contact) => contact.suppression(),
            IdState::Erased(tombstone) => tombstone.suppression(),
            IdState::Link(to) => match &self.records[to].now {
                IdState::Contact(contact) => contact.suppression(),
                _ => panic!("a link that leads to no contact"),
            },
        };
        suppression.letters()
    }
}

pub(super) fn id_of(text: &str) -> ContactId {
    text.parse().unwrap()
}

pub(super) fn ids_of(texts: &[&str]) -> Ids {
    let ids = texts.iter().map(|text| Ids::from(id_of(text)));
    ids.fold(Ids::default(), |all, one| Ids { phone: all.phone.or(one.phone), user: all.user.or(one.user) })
}

pub(super) fn time(millis: i64) -> Time {
    Time::from_millis(millis)
}

pub(super) fn event(kind: Kind, at: Time) -> Event {
    Event::new(kind, Source::Keyword, Actor::Customer, HistoryKey { time: at, id: EventId::unique() }, at)
}
