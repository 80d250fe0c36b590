//! The holders of each id over time, derived from all updates so far in the order of their own times.
//!
//! A person has one number and one user id at a time. Each id has its runs, one after the other, each of one person:
//! - A message with both ids is of a person who goes by both from then on, and has left other numbers.
//! - News of a change ends the run of the old id; the person goes by the new one from then on.
//! - By either, a number at which another user id is known gets a new holder: the run ends, and a new one begins.
//! - Any other person known at an id to which a person comes is the same person.
//!
//! An example: `P0+U0 @10`, `P0 moved to P1 @20`, `P0+U1 @30`. U0's person has P0 until 20, and P1 from then on. U1's person has
//! P0 from 20 on. So a message from P0 at 15 is of U0's person and one at 25 of U1's, whenever they are delivered.

use std::collections::BTreeSet;

use super::history::Id;

/// Something that was told of who goes by which ids.
#[derive(Clone, Debug)]
pub(super) struct Lesson {
    /// The second at which it was true.
    pub(super) second: i64,
    /// The content.
    pub(super) teaches: Teaches,
    /// True if a person concerned was erased, so that the system may not know it.
    pub(super) is_forgotten: bool,
    /// True if a newer update of the same people was delivered before.
    pub(super) is_late: bool,
}

/// The content of an update about a person's ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Teaches {
    /// A person has both ids: the number and the user id.
    Both(Id, Id),
    /// A person has the second id in place of the first.
    Moved(Id, Id),
}

impl Teaches {
    /// The two ids that are named.
    pub(super) fn ids(self) -> [Id; 2] {
        let (Self::Both(one, other) | Self::Moved(one, other)) = self;
        [one, other]
    }
}

/// The runs of all ids.
pub(super) struct Holders(Vec<Run>);

/// A time for which one person held an id.
struct Run {
    id: Id,
    /// Its first second, which it shares with the run before.
    from: i64,
    /// Its last second, which it shares with the run after.
    until: i64,
    person: Person,
    /// True if a person is known to have come to the id.
    is_held: bool,
}

/// A number that tells a person from all others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Person(usize);

impl Holders {
    /// Puts what was told into the order of time.
    pub(super) fn of<'a>(lessons: impl Iterator<Item = &'a Lesson>) -> Self {
        let mut holders = Self(Vec::new());
        for id in Id::all() {
            holders.begin(id, i64::MIN);
        }
        let mut lessons: Vec<&Lesson> = lessons.collect();
        lessons.sort_by_key(|lesson| lesson.second);
        for Lesson { second, teaches, .. } in lessons {
            match *teaches {
                Teaches::Both(phone, user) => {
                    holders.last(user).is_held = true;
                    let person = holders.last(user).person;
                    holders.come_to(person, phone, *second);
                }
                Teaches::Moved(from, to) => {
                    let person = holders.last(from).person;
                    holders.leave(from, *second);
                    holders.come_to(person, to, *second);
                }
            }
        }
        holders
    }

    /// The persons who may hold an id in a second. In the second of a change it may be either.
    ///
    /// An id named by staff is of its holder. If no person is known to have come to an id that was left, it may also be of the
    /// person who had it last.
    pub(super) fn people(&self, id: Id, second: i64, by_staff: bool) -> BTreeSet<Person> {
        let (mut people, mut before) = (BTreeSet::new(), None);
        for run in self.0.iter().filter(|run| run.id == id) {
            if (run.from..=run.until).contains(&second) {
                people.insert(run.person);
                people.extend(before.filter(|_| by_staff && !run.is_held));
            }
            before = Some(run.person);
        }
        people
    }

    /// The ids by which these people go in a second or later.
    pub(super) fn ids_since(&self, people: &BTreeSet<Person>, second: i64) -> BTreeSet<Id> {
        let theirs = self.0.iter().filter(|run| people.contains(&run.person) && run.until >= second);
        theirs.map(|run| run.id).collect()
    }

    /// Every id by which anybody ever went who ever had one of these.
    pub(super) fn circle(&self, ids: [Id; 2]) -> BTreeSet<Id> {
        let people = self.0.iter().filter(|run| ids.contains(&run.id)).map(|run| run.person).collect();
        self.ids_since(&people, i64::MIN)
    }

    /// The ids by which a person goes now.
    pub(super) fn ids_now(&self, person: Person) -> BTreeSet<Id> {
        self.ids_since(&[person].into(), i64::MAX)
    }

    /// The number of persons who held an id, one after the other.
    pub(super) fn count(&self, id: Id) -> usize {
        self.0.iter().filter(|run| run.id == id).count()
    }

    /// A person comes to an id.
    fn come_to(&mut self, person: Person, id: Id, second: i64) {
        let there = self.last(id).person;
        let is_known_by_user_id = self.ids_now(there).iter().any(|id| !id.is_phone());
        if there != person && id.is_phone() && is_known_by_user_id {
            self.leave(id, second);
        }
        let other = self.last(id).person;
        for run in self.0.iter_mut().filter(|run| run.person == other) {
            run.person = person;
        }
        self.last(id).is_held = true;
        for left in self.ids_now(person) {
            if left != id && left.is_phone() == id.is_phone() {
                self.leave(left, second);
            }
        }
    }

    /// The holder of an id leaves it.
    fn leave(&mut self, id: Id, second: i64) {
        self.last(id).until = second;
        self.begin(id, second);
    }

    /// Begins a run of an unknown person.
    fn begin(&mut self, id: Id, second: i64) {
        let person = Person(self.0.len());
        self.0.push(Run { id, from: second, until: i64::MAX, person, is_held: false });
    }

    fn last(&mut self, id: Id) -> &mut Run {
        self.0.iter_mut().rfind(|run| run.id == id).expect("every id has a run")
    }
}
