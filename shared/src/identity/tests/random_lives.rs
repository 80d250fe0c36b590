//! Random lives of people and their ids, told to the system late and out of order.
//!
//! People hold numbers and user ids for a time, say things, and move. What is told of that is delivered in any order.
//! After every delivery the records must be sound and the suppression list must be what they imply; after all of them,
//! nobody whose newest own wish is to stop may be eligible under an id that is theirs, if telling the same in order
//! would have kept them out.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::table::event;
use crate::contact::Suppression;
use crate::decision::advance;
use crate::event::Kind;
use crate::id::ContactId;
use crate::identity::{IdRecord, IdRecords, IdState, Ids, MissingRecord, Sighting, identify};
use crate::time::Time;

/// An update that the system gets.
#[derive(Clone, Debug)]
struct Update {
    ids: Ids,
    to: Option<Ids>,
    second: i64,
    said: Option<Kind>,
}

#[derive(Clone, Default)]
struct World {
    records: IdRecords,
    listed: BTreeMap<ContactId, Suppression>,
}

fn listed<'a>(records: impl Iterator<Item = (&'a ContactId, &'a IdRecord)>) -> BTreeMap<ContactId, Suppression> {
    let mut listed = BTreeMap::new();
    for (id, record) in records {
        match &record.now {
            IdState::Vacant(left) => drop(listed.insert(id.clone(), left.suppression())),
            IdState::Erased(tombstone) => drop(listed.insert(id.clone(), tombstone.suppression())),
            IdState::Contact(contact) => {
                let linked = contact.user_id.as_ref().map(ContactId::from);
                listed.extend(linked.into_iter().chain([id.clone()]).map(|id| (id, contact.suppression())));
            }
            IdState::Link(_) => {}
        }
    }
    listed.retain(|_, suppression: &mut Suppression| !suppression.is_empty());
    listed
}

impl World {
    /// Applies an update, and writes what the store would.
    fn apply(&mut self, update: &Update) -> Result<(), String> {
        let at = Time::from_millis(update.second * 1000);
        let millis = |kind: Kind| update.second * 1000 + if kind.restricts() { 999 } else { 0 };
        let joins = match update.said {
            Some(Kind::OptIn) => update.second * 1000 - 1,
            _ => update.second * 1000 + 999,
        };
        let sighting = Sighting {
            ids: update.ids.clone(),
            moved_to: update.to.clone(),
            at: Some(at),
            joins_at: Time::from_millis(joins),
        };
        let person = loop {
            match identify(&sighting, &self.records) {
                Ok(person) => break person,
                Err(MissingRecord(id)) => drop(self.records.insert(id, IdRecord::default())),
            }
        };
        let said = update.said.map(|kind| event(kind, Time::from_millis(millis(kind))));
        let mut contact = person.contact.clone();
        if let Some(event) = &said {
            advance(&mut contact, event);
        }
        let after = person.records(&contact, said.as_ref());
        let before = listed(after.keys().filter_map(|id| self.records.get_key_value(id)));
        let now = listed(after.iter());
        for id in before.keys().chain(now.keys()) {
            if before.get(id) != now.get(id) {
                match now.get(id) {
                    Some(suppression) => drop(self.listed.insert(id.clone(), *suppression)),
                    None => drop(self.listed.remove(id)),
                }
            }
        }
        for (id, record) in after {
            // Nothing stands in the table of nobody who followed nobody.
            let gone = matches!(record.now, IdState::Vacant(_)) && record.former.is_none();
            self.records.insert(id, if gone { IdRecord::default() } else { record });
        }
        self.sound()
    }

    fn sound(&self) -> Result<(), String> {
        for (id, record) in &self.records {
            match &record.now {
                IdState::Link(to) => match self.records.get(to).map(|record| &record.now) {
                    Some(IdState::Contact(contact))
                        if contact.user_id.as_ref().map(ContactId::from).as_ref() == Some(id) => {}
                    there => return Err(format!("the link {id} dangles: {there:?}")),
                },
                IdState::Contact(contact) => {
                    if let Some(user) = contact.user_id.as_ref().map(ContactId::from) {
                        let there = self.records.get(&user).map(|record| &record.now);
                        if there != Some(&IdState::Link(id.clone())) {
                            return Err(format!("{id} goes by {user}, where stands {there:?}"));
                        }
                    }
                    let mut left: Vec<_> = contact.left.iter().map(|left| &left.id).collect();
                    left.sort();
                    left.dedup();
                    if left.len() < contact.left.len() || left.contains(&id) {
                        return Err(format!("{id} has left an id twice or is there again: {:?}", contact.left));
                    }
                }
                IdState::Vacant(_) | IdState::Erased(_) => {}
            }
        }
        let implied = listed(self.records.iter());
        if implied != self.listed {
            return Err(format!("the list says {:?}, the records {implied:?}", self.listed));
        }
        Ok(())
    }

    fn suppressed(&self, id: &ContactId) -> bool {
        self.listed.get(id).is_some_and(|suppression| suppression.opted_out)
    }
}

struct Person {
    ids: Ids,
    newest: Option<(i64, bool)>,
    /// Whether it was told that the ids are one person's.
    linked: bool,
    had: Vec<ContactId>,
}

/// Lives of a few people, in the order of time, and who they are in the end.
fn lives(random: &mut fastrand::Rng, length: usize, rules: Rules) -> (Vec<Update>, Vec<Person>) {
    let phone = |n: usize| -> ContactId { format!("+1415555010{n}").parse().unwrap() };
    let mut users = 0;
    let mut user = || -> ContactId {
        users += 1;
        format!("US.{users}").parse().unwrap()
    };
    let mut people: Vec<Person> = (0..2)
        .map(|n| Person {
            ids: Ids { phone: Some(phone(n)), user: Some(user()) },
            newest: None,
            linked: false,
            had: vec![phone(n)],
        })
        .collect();
    let mut updates = Vec::new();
    let mut second = 0;
    while updates.len() < length {
        second += 10;
        let who = random.usize(..people.len());
        let part = |person: &mut Person, random: &mut fastrand::Rng| match random.u8(..3) {
            0 => Ids { user: None, ..person.ids.clone() },
            1 => Ids { phone: None, ..person.ids.clone() },
            _ => {
                person.linked = true;
                person.ids.clone()
            }
        };
        match random.u8(..10) {
            // A new number, and perhaps a new user id with it.
            0..=1 => {
                let everybody: Vec<ContactId> = people.iter().flat_map(|person| person.had.clone()).collect();
                let free: Vec<ContactId> = (0..if rules.recycles { 4 } else { 9 })
                    .map(phone)
                    .filter(|phone| people.iter().all(|person| person.ids.phone.as_ref() != Some(phone)))
                    .filter(|phone| rules.recycles || people[who].had.contains(phone) || !everybody.contains(phone))
                    .filter(|phone| rules.returns || !people[who].had.contains(phone))
                    .collect();
                if free.is_empty() {
                    continue;
                }
                let old = people[who].ids.clone();
                people[who].ids.phone = Some(free[random.usize(..free.len())].clone());
                let new = people[who].ids.phone.clone();
                people[who].had.extend(new);
                let news = |from: Option<ContactId>, to: Option<ContactId>| Update {
                    ids: from.unwrap().into(),
                    to: Some(to.unwrap().into()),
                    second,
                    said: None,
                };
                let renamed = rules.renames && random.bool();
                if renamed {
                    people[who].ids.user = Some(user());
                }
                if renamed || !rules.silent || !people[who].linked || random.bool() {
                    updates.push(news(old.phone, people[who].ids.phone.clone()));
                }
                if renamed {
                    updates.push(news(old.user, people[who].ids.user.clone()));
                }
                // Whoever comes to a number writes at once, so that nobody has to guess who had it in between.
                updates.push(Update { ids: people[who].ids.clone(), to: None, second: second + 1, said: None });
                people[who].linked = true;
            }
            2 if rules.renames => {
                let old = people[who].ids.user.replace(user()).unwrap();
                let to = people[who].ids.user.clone().unwrap().into();
                updates.push(Update { ids: old.into(), to: Some(to), second, said: None });
            }
            3..=4 => updates.push(Update { ids: part(&mut people[who], random), to: None, second, said: None }),
            n => {
                let stops = n % 2 == 0;
                people[who].newest = Some((second, stops));
                let said = Some(if stops { Kind::OptOut } else { Kind::OptIn });
                updates.push(Update { ids: part(&mut people[who], random), to: None, second, said });
            }
        }
    }
    (updates, people)
}

#[expect(clippy::struct_excessive_bools, reason = "each is a rule of its own")]
#[derive(Clone, Copy, Debug)]
struct Rules {
    /// User ids change.
    renames: bool,
    /// Some numbers change without news.
    silent: bool,
    /// People come back to numbers that they left.
    returns: bool,
    /// Numbers that somebody left go to somebody else.
    recycles: bool,
}

fn try_one(seed: u64, length: usize, rules: Rules) -> Result<(), String> {
    let mut random = fastrand::Rng::with_seed(seed);
    let (updates, people) = lives(&mut random, length, rules);
    let mut order: Vec<usize> = (0..updates.len()).collect();
    random.shuffle(&mut order);
    let (mut straight, mut mixed) = (World::default(), World::default());
    let mut story = String::new();
    let show = |update: &Update| {
        let ids = |ids: &Ids| ids.iter().map(|id| id.as_str()[id.as_str().len() - 1..].to_owned()).collect::<Vec<_>>();
        let named = |one: &Ids| {
            let names = one.iter().zip(ids(one)).map(|(id, n)| match id {
                ContactId::Phone(_) => format!("P{n}"),
                ContactId::User(_) => format!("U{n}"),
            });
            names.collect::<Vec<_>>().join("+")
        };
        let to = update.to.as_ref().map_or(String::new(), |to| format!(" -> {}", named(to)));
        format!("{}{to} {:?} @{}; ", named(&update.ids), update.said, update.second)
    };
    for update in &updates {
        write!(story, "{}", show(update)).unwrap();
        straight.apply(update).map_err(|error| format!("in order: {story}\n  {error}"))?;
    }
    story.clear();
    for index in order {
        write!(story, "{}", show(&updates[index])).unwrap();
        mixed.apply(&updates[index]).map_err(|error| format!("{story}\n  {error}"))?;
    }
    for person in &people {
        // A late message from a number that somebody left and has again takes the person back to the one in between, until the
        // next message: that takes a time of the newest sighting, which nobody pays a write for.
        if !rules.returns && person.newest.is_some_and(|(_, stops)| stops) {
            for id in person.ids.iter() {
                if straight.suppressed(id) && !mixed.suppressed(id) {
                    return Err(format!("{story}\n  lost: {id} of {:?}", person.ids));
                }
            }
            if person.ids.iter().all(|id| !straight.suppressed(id)) {
                return Err(format!("lost even in order: {story}\n  lost even in order: {:?}", person.ids));
            }
        }
    }
    Ok(())
}

/// What goes wrong, by kind: how often, and its shortest story.
fn failures(recycles: bool, returns: bool, tries: u64) -> String {
    let mut failures: BTreeMap<&str, (usize, String)> = BTreeMap::new();
    for bits in 0..4 {
        let rules = Rules { renames: bits & 1 > 0, silent: bits & 2 > 0, returns, recycles };
        for length in 2..=9 {
            for seed in 0..tries {
                let Err(error) = try_one(seed, length, rules) else { continue };
                let kinds = ["the list says", "dangles", "goes by", "twice or is there", "even in order", "lost:"];
                let kind = kinds.into_iter().find(|kind| error.contains(kind)).unwrap();
                let (count, shortest) = failures.entry(kind).or_insert_with(|| (0, error.clone()));
                *count += 1;
                if error.len() < shortest.len() {
                    *shortest = error;
                }
            }
        }
    }
    let shown: Vec<String> = failures.iter().map(|(kind, (count, one))| format!("{kind} ({count}): {one}")).collect();
    shown.join("\n\n")
}

#[test]
fn records_are_sound_and_the_list_agrees_whatever_people_do() {
    assert_eq!(failures(true, true, 400), "");
}

#[test]
fn whoever_stopped_stays_out_in_whatever_order_it_is_told() {
    assert_eq!(failures(false, false, 1000), "");
}
