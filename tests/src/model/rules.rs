//! The reference model: the ids that must not get marketing, derived only from the updates and requests that were answered
//! with success.
//!
//! It knows nothing of the implementation. It keeps every *restriction* (opt-out, block, stop at the provider) with the ids
//! that it names and the time at which it counts, and every *release* (opt-in, end of a block, resume) with the ids that it
//! may free. A restriction stands at an id until a release that counts later frees that id. It stands at each id that it
//! names, and at each by which its person goes.
//!
//! **The time** at which an event counts (design 4.4). A message counts at its own second: a restriction at its end, a release
//! at its beginning, and no release later than its first processing. A message whose time is missing or far ahead counts at
//! its first processing. A change by staff counts when it is made, and behind everything that stands. A change of a batch
//! counts at the time of its evidence; an opt-in without evidence releases no id, an opt-out without evidence counts when it
//! is sent.
//!
//! **The persons** whom an event concerns (design 4.1). `Holders` has the holders of each id at the time of an event. A
//! release frees the ids that its person has then or later.
//!
//! **After an erasure** (design 4.8) everything stands as before, and no message of the customer that is not newer than the
//! erasure frees the erased id.
//!
//! The model is looser than the design, so that it never calls wrong what is right, where
//! - two contacts turn out to be one person: the stricter state should stand. Here, a release of either frees both if it is
//!   newer than the restriction;
//! - a person comes to an id where a restriction of an earlier holder stands: an earlier release of that person may free it
//!   if it is newer than the restriction;
//! - something was not known yet: what a release freed, as far as was known at any moment since it was processed, need not be
//!   restricted again;
//! - staff names an id that was left: it may mean the person who left it;
//! - an update about a person's ids comes late, after a newer one of the same people: then a restriction stands at the ids
//!   that it names, and need not stand at the others of its person, and a release may free the ids that it would free without
//!   that update, and all that the person's own restriction names;
//! - a person was erased: the links of ids are forgotten, and so are the messages that were processed. A release of one of
//!   the person's ids may free all, a release may be processed again, and only the ids that a restriction names must stay
//!   restricted;
//! - staff restricts: that may count later than the model says, which makes no difference but to releases of the future.

use std::collections::{BTreeMap, BTreeSet};

use super::history::{Change, Id, Says, Update};
use super::holders::{Holders, Lesson, Person, Teaches};

/// The reasons for which a contact gets no marketing, in the order in which campaigns name them. They are independent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reason {
    /// Blocked by staff.
    Blocked,
    /// Stopped with WhatsApp's own control.
    ProviderStopped,
    /// Opted out.
    OptedOut,
}

/// All that was acknowledged so far.
#[derive(Clone, Debug, Default)]
pub struct Model {
    lessons: Vec<Lesson>,
    restrictions: Vec<Event>,
    releases: Vec<Event>,
    erasures: Vec<Erasure>,
    /// The numbers of the updates that were processed.
    processed: BTreeSet<usize>,
    /// The newest time that anything counts at: milliseconds.
    newest: i64,
    turn: usize,
}

/// A restriction or a release.
#[derive(Clone, Debug)]
struct Event {
    reason: Reason,
    named: Vec<Id>,
    by_staff: bool,
    /// The time at which it counts, in milliseconds.
    at: i64,
    /// The second that tells who went by its ids.
    second: i64,
    /// The turn in which it was processed.
    turn: usize,
    /// The ids that it frees, if it is a release.
    frees: BTreeSet<Id>,
    /// The event in words.
    told: String,
}

/// The erasure of a contact.
#[derive(Clone, Debug)]
struct Erasure {
    /// The id that was named.
    id: Id,
    second: i64,
    turn: usize,
    /// Every id by which the person ever went.
    ids: BTreeSet<Id>,
}

impl Model {
    /// Takes note of an update that the webhook has answered with 200 in the second `now`.
    pub fn hear(&mut self, update: &Update, now: i64) {
        let own = update.second.filter(|second| *second <= now + 300);
        let second = own.unwrap_or(now);
        let is_new = self.processed.insert(update.number);
        let is_forgotten = self.erasures.iter().any(|erasure| update.ids.iter().any(|id| erasure.ids.contains(id)));
        // An update in the history is known as a repeat, until it is erased.
        if !is_new && !is_forgotten && update.says != Says::Hello {
            return;
        }
        if let [phone, user] = update.ids[..] {
            self.learn(second, Teaches::Both(phone, user), !is_new && is_forgotten);
        }
        let (reason, restricts) = match update.says {
            Says::Hello => return,
            Says::MovedTo(id) => return self.learn(second, Teaches::Moved(update.ids[0], id), false),
            Says::Stop => (Reason::OptedOut, true),
            Says::Start => (Reason::OptedOut, false),
            Says::ProviderStop | Says::FailedSend => (Reason::ProviderStopped, true),
            Says::ProviderResume => (Reason::ProviderStopped, false),
        };
        let at = match own {
            Some(second) if restricts => second * 1000 + 999,
            Some(second) => second.min(now) * 1000,
            None => now * 1000,
        };
        // An update that was erased may free again, and need not restrict again.
        if is_new || !restricts {
            let event = Event { at, second, ..self.event(reason, &update.ids, now, update.to_string()) };
            self.add(restricts, Event { by_staff: false, ..event });
        }
    }

    /// Takes note of a switch that staff made.
    pub fn switch(&mut self, id: Id, opts_in: bool, now: i64) {
        self.staff(Reason::OptedOut, id, !opts_in, now);
    }

    /// Takes note of a block that staff set or lifted.
    pub fn block(&mut self, id: Id, blocks: bool, now: i64) {
        self.staff(Reason::Blocked, id, blocks, now);
    }

    fn staff(&mut self, reason: Reason, id: Id, restricts: bool, now: i64) {
        let event = self.event(reason, &[id], now, format!("{id} by staff at {now}"));
        // A release takes effect, whatever stands; for a restriction the earliest time is what is sure.
        let at = if restricts { event.at } else { event.at.max(self.newest + 1) };
        self.newest = self.newest.max(event.at.max(self.newest + 1));
        self.add(restricts, Event { at, ..event });
    }

    /// Takes note of a change of a batch that was not refused.
    pub fn batch(&mut self, change: &Change, now: i64) {
        let at = match change.obtained {
            Some(obtained) => obtained.min(now) * 1000,
            None if change.opts_in => return,
            None => now * 1000,
        };
        let event = self.event(Reason::OptedOut, &[change.id], now, format!("{change} by a batch at {now}"));
        self.add(!change.opts_in, Event { at, ..event });
    }

    /// Takes note of an erasure.
    pub fn erase(&mut self, id: Id, now: i64) {
        self.turn += 1;
        let holders = Holders::of(self.lessons.iter());
        let ids = holders.ids_since(&holders.people(id, now, true), i64::MIN);
        for lesson in &mut self.lessons {
            lesson.is_forgotten |= lesson.teaches.ids().iter().any(|id| ids.contains(id));
        }
        self.erasures.push(Erasure { id, second: now, turn: self.turn, ids });
    }

    /// The ids that must not get marketing, each with a reason and the event from which it follows.
    pub fn restricted(&self) -> BTreeMap<(Id, Reason), &str> {
        let holders = Holders::of(self.lessons.iter());
        let mut restricted = BTreeMap::new();
        for restriction in &self.restrictions {
            let person = self.surely(&holders, restriction);
            let prompt = person.filter(|person| self.came_in_order(&holders, *person));
            let own = prompt.map(|person| holders.ids_now(person)).unwrap_or_default();
            for id in own.into_iter().chain(restriction.named.iter().copied()) {
                let mut newer = self.releases.iter().filter(|release| self.is_newer(release, restriction, id));
                let is_freed = newer.any(|release| {
                    let is_own = !release.people(&holders).is_disjoint(&restriction.people(&holders));
                    let may_have_left = prompt.is_some() && restriction.named.contains(&id);
                    release.frees.contains(&id) || (is_own && !may_have_left)
                });
                if !is_freed {
                    restricted.insert((id, restriction.reason), &*restriction.told);
                }
            }
        }
        restricted
    }

    /// Returns true if only one person is known to have come to an id or left it.
    pub fn is_of_one_person(&self, id: Id) -> bool {
        Holders::of(self.lessons.iter()).count(id) == 1
    }

    /// The person whom a restriction concerns. None if there may be several.
    fn surely(&self, holders: &Holders, restriction: &Event) -> Option<Person> {
        let mut people = restriction.people(holders).into_iter();
        let person = people.next().filter(|_| people.next().is_none())?;
        let ever = holders.ids_since(&[person].into(), i64::MIN);
        self.erasures.iter().all(|erasure| erasure.ids.is_disjoint(&ever)).then_some(person)
    }

    /// Returns true if all updates about a person's ids came in the order of their own times.
    fn came_in_order(&self, holders: &Holders, person: Person) -> bool {
        let ever = holders.ids_since(&[person].into(), i64::MIN);
        let mut late = self.lessons.iter().filter(|lesson| lesson.is_late);
        !late.any(|lesson| lesson.teaches.ids().iter().any(|id| ever.contains(id)))
    }

    /// Returns true if a release counts later than a restriction at an id.
    fn is_newer(&self, release: &Event, restriction: &Event, id: Id) -> bool {
        let was_erased_between = |erasure: &Erasure| {
            let is_between = restriction.turn < erasure.turn && erasure.turn < release.turn;
            erasure.id == id && is_between && release.at <= erasure.second * 1000
        };
        release.reason == restriction.reason
            && release.at > restriction.at
            && (release.by_staff || !self.erasures.iter().any(was_erased_between))
    }

    /// An event of staff's that counts when it is done.
    fn event(&self, reason: Reason, named: &[Id], now: i64, told: String) -> Event {
        let (at, turn, named) = (now * 1000, self.turn + 1, named.to_vec());
        Event { reason, named, by_staff: true, at, second: now, turn, frees: BTreeSet::new(), told }
    }

    fn add(&mut self, restricts: bool, event: Event) {
        self.turn = event.turn;
        self.newest = self.newest.max(event.at);
        if restricts {
            self.restrictions.push(event);
        } else {
            self.releases.push(event);
            self.free();
        }
    }

    fn learn(&mut self, second: i64, teaches: Teaches, is_forgotten: bool) {
        self.newest = self.newest.max(second * 1000 + 999);
        if !self.lessons.iter().any(|lesson| (lesson.second, lesson.teaches) == (second, teaches)) {
            self.lessons.push(Lesson { second, teaches, is_forgotten, is_late: false });
            let circle = Holders::of(self.lessons.iter()).circle(teaches.ids());
            let is_newer =
                |lesson: &Lesson| lesson.second > second && lesson.teaches.ids().iter().any(|id| circle.contains(id));
            let is_late = self.lessons.iter().any(is_newer);
            self.lessons.last_mut().expect("it was pushed").is_late = is_late;
            self.free();
        }
    }

    /// Adds to what each release frees, as far as is known now.
    fn free(&mut self) {
        let all = Holders::of(self.lessons.iter());
        let remembered = Holders::of(self.lessons.iter().filter(|lesson| !lesson.is_forgotten));
        let prompt = Holders::of(self.lessons.iter().filter(|lesson| !lesson.is_late));
        for release in &mut self.releases {
            release.frees.extend(release.named.clone());
            for holders in [&all, &remembered, &prompt] {
                release.frees.extend(holders.ids_since(&release.people(holders), release.second));
            }
            for erasure in self.erasures.iter().filter(|erasure| erasure.turn < release.turn) {
                if !erasure.ids.is_disjoint(&release.frees) {
                    release.frees.extend(&erasure.ids);
                }
            }
        }
    }
}

impl Event {
    /// The persons whom the event may concern. For an event with both ids, the user id decides, even in the second of a
    /// change.
    fn people(&self, holders: &Holders) -> BTreeSet<Person> {
        let tells = self.named.iter().max();
        tells.map(|id| holders.people(*id, self.second, self.by_staff)).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PHONE: Id = Id::Phone(0);
    const NEW_PHONE: Id = Id::Phone(1);
    const USER: Id = Id::User(0);
    const NEW_USER: Id = Id::User(1);

    /// A model that processed these updates in this order, each at its own second.
    fn model(told: &[(&[Id], i64, Says)]) -> Model {
        let mut model = Model::default();
        for (number, (ids, second, says)) in told.iter().enumerate() {
            model.hear(&Update { number, ids: ids.to_vec(), second: Some(*second), says: *says }, 1000);
        }
        model
    }

    fn opted_out(model: &Model) -> Vec<Id> {
        model.restricted().into_keys().filter(|(_, reason)| *reason == Reason::OptedOut).map(|(id, _)| id).collect()
    }

    #[test]
    fn a_newer_start_frees_and_an_older_one_or_one_of_the_same_second_does_not() {
        for (second, left) in [(9, vec![PHONE]), (10, vec![PHONE]), (11, vec![])] {
            let told = model(&[(&[PHONE], 10, Says::Stop), (&[PHONE], second, Says::Start)]);
            assert_eq!(opted_out(&told), left, "{second}");
        }
    }

    #[test]
    fn a_stop_stands_at_every_id_of_its_person_and_a_start_frees_them_all() {
        let mut told = model(&[(&[PHONE, USER], 1, Says::Hello), (&[USER], 10, Says::Stop)]);
        assert_eq!(opted_out(&told), [PHONE, USER]);
        told.hear(&Update { number: 9, ids: vec![PHONE], second: Some(11), says: Says::Start }, 1000);
        assert_eq!(opted_out(&told), []);
    }

    #[test]
    fn who_moved_takes_the_stop_along_and_the_number_keeps_it() {
        let moved = (&[PHONE][..], 20, Says::MovedTo(NEW_PHONE));
        let (stop, start) = ((&[PHONE][..], 10, Says::Stop), (&[NEW_PHONE][..], 30, Says::Start));
        assert_eq!(opted_out(&model(&[stop, moved])), [PHONE, NEW_PHONE]);
        assert_eq!(opted_out(&model(&[stop, moved, start])), [PHONE]);
        assert_eq!(opted_out(&model(&[moved, stop])), [PHONE, NEW_PHONE]);
    }

    #[test]
    fn a_new_holder_of_a_number_frees_the_number_and_nobody_else() {
        let stop = (&[PHONE, USER][..], 10, Says::Stop);
        let news = (&[NEW_PHONE][..], 20, Says::MovedTo(PHONE));
        assert_eq!(opted_out(&model(&[stop, (&[PHONE, NEW_USER], 20, Says::Start)])), [USER]);
        assert_eq!(opted_out(&model(&[stop, news, (&[PHONE], 30, Says::Start)])), [USER]);
        assert_eq!(opted_out(&model(&[stop, news, (&[USER], 30, Says::Start)])), [PHONE]);
    }

    #[test]
    fn what_a_number_said_before_it_was_left_is_the_leavers_whenever_it_comes() {
        let stop = (&[PHONE][..], 10, Says::Stop);
        let told = model(&[(&[PHONE, USER], 1, Says::Hello), (&[PHONE, NEW_USER], 20, Says::Start), stop]);
        assert_eq!(opted_out(&told), [USER]);
    }

    #[test]
    fn a_batch_frees_by_newer_evidence_only_and_staff_always() {
        let stop = (&[PHONE][..], 10, Says::Stop);
        for (obtained, left) in [(None, 1), (Some(10), 1), (Some(11), 0)] {
            let mut told = model(&[stop]);
            told.batch(&Change { id: PHONE, opts_in: true, obtained }, 1000);
            assert_eq!(opted_out(&told).len(), left, "{obtained:?}");
        }
        let mut told = model(&[(&[PHONE], 1200, Says::Stop)]);
        told.switch(PHONE, true, 1000);
        assert_eq!(opted_out(&told), []);
    }

    #[test]
    fn after_an_erasure_nothing_older_frees() {
        let mut told = model(&[(&[PHONE], 10, Says::Stop)]);
        told.erase(PHONE, 1000);
        let start = |number, second| Update { number, ids: vec![PHONE], second: Some(second), says: Says::Start };
        told.hear(&start(8, 999), 1001);
        assert_eq!(opted_out(&told), [PHONE]);
        told.hear(&start(9, 1001), 1001);
        assert_eq!(opted_out(&told), []);
    }

    #[test]
    fn block_stop_and_opt_out_are_each_ended_by_their_own_release() {
        let mut told = model(&[(&[PHONE], 10, Says::ProviderStop), (&[PHONE], 11, Says::Start)]);
        told.block(PHONE, true, 1000);
        told.switch(PHONE, true, 1001);
        let reasons: Vec<Reason> = told.restricted().into_keys().map(|(_, reason)| reason).collect();
        assert_eq!(reasons, [Reason::Blocked, Reason::ProviderStopped]);
    }
}
