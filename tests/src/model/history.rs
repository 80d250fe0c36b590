//! Histories: what customers, WhatsApp and staff do, step after step, drawn from a seed.
//!
//! Each step has its time, and each update refers to nothing but itself. So a history from which steps were taken out is
//! still a history, in which everything else happens as before: that is how a failing one gets short.

use std::fmt;

use fastrand::Rng;

/// Numbers that the people of a history have, one after the other. Like the user ids, each is in a shard of its own: so the
/// campaign filter looks each up, in one call.
const PHONES: [&str; 4] = ["14155550100", "14155550101", "14155550102", "14155550104"];

/// User ids that they have; four of them at the same time.
const USERS: [&str; 6] = ["US.001", "US.004", "US.005", "US.006", "US.009", "US.010"];

/// A number or a user id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Id {
    /// A phone number.
    Phone(usize),
    /// A BSUID.
    User(usize),
}

impl Id {
    /// All of them, the numbers first.
    pub fn all() -> impl Iterator<Item = Self> {
        (0..PHONES.len()).map(Self::Phone).chain((0..USERS.len()).map(Self::User))
    }

    /// Returns true for a number.
    pub fn is_phone(self) -> bool {
        matches!(self, Self::Phone(_))
    }

    /// The id as WhatsApp writes it.
    pub fn on_the_wire(self) -> &'static str {
        match self {
            Self::Phone(n) => PHONES[n],
            Self::User(n) => USERS[n],
        }
    }

    /// The id as the API shows it.
    pub fn shown(self) -> String {
        if self.is_phone() { format!("+{}", self.on_the_wire()) } else { self.on_the_wire().to_owned() }
    }
}

/// The content of an update.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Says {
    /// The customer writes `STOP`.
    Stop,
    /// The customer writes `START`.
    Start,
    /// The customer writes something else.
    Hello,
    /// The customer uses WhatsApp's own control to stop marketing.
    ProviderStop,
    /// The customer uses WhatsApp's own control to resume marketing.
    ProviderResume,
    /// A marketing message fails since its recipient stopped marketing with WhatsApp's own control.
    FailedSend,
    /// The customer has another number, or another user id, from now on.
    MovedTo(Id),
}

/// Something that WhatsApp tells, under an id that tells it from all else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Update {
    /// The number in its id.
    pub number: usize,
    /// The ids that it names: a number, a user id, or both.
    pub ids: Vec<Id>,
    /// The second in which it happened, counted from the beginning of the history; none if it does not say.
    pub second: Option<i64>,
    /// The content.
    pub says: Says,
}

/// One change of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The id of the contact.
    pub id: Id,
    /// True for an opt-in, false for an opt-out.
    pub opts_in: bool,
    /// The time of the evidence, in seconds from the beginning of the history. None without evidence.
    pub obtained: Option<i64>,
}

/// An act in a history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Act {
    /// WhatsApp posts a body of updates.
    Deliver(Vec<Update>),
    /// WhatsApp posts the body of an earlier step again.
    DeliverAgain(usize),
    /// WhatsApp posts every body so far again.
    DeliverAllAgain,
    /// Staff opts a contact in (`true`) or out.
    Switch(Id, bool),
    /// Staff blocks a contact (`true`), or lifts the block.
    Block(Id, bool),
    /// Staff uploads many changes.
    Batch(Vec<Change>),
    /// Staff erases a contact.
    Erase(Id),
}

impl Act {
    /// Returns true if the act may free an id of a restriction. A repeat never does.
    pub fn may_free(&self) -> bool {
        match self {
            Self::Deliver(updates) => {
                updates.iter().any(|update| matches!(update.says, Says::Start | Says::ProviderResume))
            }
            Self::Switch(_, opts_in) => *opts_in,
            Self::Block(_, blocks) => !blocks,
            Self::Batch(changes) => changes.iter().any(|change| change.opts_in && change.obtained.is_some()),
            Self::DeliverAgain(_) | Self::DeliverAllAgain | Self::Erase(_) => false,
        }
    }
}

/// A step of a history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// Its number in the history as it was drawn.
    pub number: usize,
    /// The time of the act, in seconds from the beginning of the history.
    pub second: i64,
    /// The act.
    pub act: Act,
}

/// A history of so many steps, which is the same for the same seed.
pub fn history(seed: u64, steps: usize) -> Vec<Step> {
    let mut author = Author::new(seed);
    let mut acts: Vec<(i64, Act)> = Vec::new();
    while acts.len() < steps {
        author.go_on(&mut acts);
    }
    acts.truncate(steps);
    acts.sort_by_key(|(second, _)| *second);
    let mut delivered = vec![0];
    let mut step = |(number, (second, mut act))| {
        match &mut act {
            Act::Deliver(_) => delivered.push(number),
            Act::DeliverAgain(which) => *which = delivered[*which % delivered.len()],
            _ => {}
        }
        Step { number, second, act }
    };
    acts.into_iter().enumerate().map(&mut step).collect()
}

/// A person with a number and a user id that no other person has at the time.
struct Human {
    phone: Option<usize>,
    user: usize,
}

/// The author of a history: the lives of a few people in the order of time, delivered with delay.
struct Author {
    random: Rng,
    second: i64,
    updates: usize,
    people: Vec<Human>,
    /// Number of user ids given so far. No user id is given twice.
    users: usize,
    /// The second in which it was last told who goes by which ids.
    taught: i64,
}

impl Author {
    fn new(seed: u64) -> Self {
        let people = [Some(0), Some(1), Some(2), None].into_iter().zip(0..);
        let people: Vec<Human> = people.map(|(phone, user)| Human { phone, user }).collect();
        Self { random: Rng::with_seed(seed), second: 0, updates: 0, users: 4, taught: -1, people }
    }

    /// Writes what happens next, each act with the second at which it reaches the system.
    fn go_on(&mut self, acts: &mut Vec<(i64, Act)>) {
        self.second += match self.random.u8(..20) {
            0..=6 => 0,
            7..=12 => self.random.i64(1..10),
            13..=16 => self.random.i64(10..600),
            17..=18 => self.random.i64(600..20_000),
            _ => self.random.i64(20_000..200_000),
        };
        let now = self.second;
        match self.random.u8(..100) {
            0..=46 => {
                let update = self.message();
                self.deliver(update, acts);
            }
            47..=55 => self.change_ids(acts),
            56..=67 => acts.push((now, Act::DeliverAgain(self.random.usize(..1000)))),
            68..=69 => acts.push((now, Act::DeliverAllAgain)),
            70..=78 => acts.push((now, Act::Switch(self.id(), self.random.u8(..3) > 0))),
            79..=83 => acts.push((now, Act::Block(self.id(), self.random.bool()))),
            84..=93 => {
                let changes = self.random.usize(1..4);
                acts.push((now, Act::Batch((0..changes).map(|_| self.change()).collect())));
            }
            _ => acts.push((now, Act::Erase(self.id()))),
        }
    }

    /// Has an update delivered some time after it happened, now and then together with the one before.
    fn deliver(&mut self, update: Update, acts: &mut Vec<(i64, Act)>) {
        if let Some((second, Act::Deliver(updates))) = acts.last_mut()
            && *second >= self.second
            && updates.len() < 3
            && self.random.bool()
        {
            updates.insert(self.random.usize(..=updates.len()), update);
            return;
        }
        let late = match self.random.u8(..30) {
            0..=15 => 0,
            16..=20 => self.random.i64(1..10),
            21..=24 => self.random.i64(10..600),
            25..=27 => self.random.i64(600..20_000),
            _ => self.random.i64(20_000..500_000),
        };
        acts.push((self.second + late, Act::Deliver(vec![update])));
    }

    /// The update of a person who writes, or uses WhatsApp's own marketing control.
    fn message(&mut self) -> Update {
        let says = match self.random.u8(..82) {
            0..=29 => Says::Stop,
            30..=54 => Says::Start,
            55..=65 => Says::Hello,
            66..=71 => Says::ProviderStop,
            72..=77 => Says::ProviderResume,
            _ => Says::FailedSend,
        };
        let Human { phone, user } = self.people[self.random.usize(..self.people.len())];
        let (phone, user) = (phone.map(Id::Phone), Id::User(user));
        let ids = match (self.random.u8(..3), phone) {
            (0, Some(phone)) if says != Says::Hello => vec![phone],
            (1, Some(phone)) => vec![phone, user],
            (2, Some(phone)) if says == Says::Hello => vec![phone, user],
            _ => vec![user],
        };
        if ids.len() > 1 {
            self.teach();
        }
        let second = match self.random.u8(..30) {
            0 if says == Says::Stop => None,
            1 if ids.len() == 1 => Some(self.second + self.random.i64(301..5000)),
            2 if ids.len() == 1 => Some(self.second + self.random.i64(1..290)),
            _ => Some(self.second),
        };
        self.update(ids, second, says)
    }

    fn update(&mut self, ids: Vec<Id>, second: Option<i64>, says: Says) -> Update {
        self.updates += 1;
        Update { number: self.updates, ids, second, says }
    }

    /// Gives a person another number, another user id, or both. WhatsApp does not always send an update for that.
    fn change_ids(&mut self, acts: &mut Vec<(i64, Act)>) {
        self.teach();
        let who = self.random.usize(..self.people.len());
        let Human { phone, user } = self.people[who];
        let is_free = |phone: &usize| self.people.iter().all(|human| human.phone != Some(*phone));
        let free: Vec<usize> = (0..PHONES.len()).filter(is_free).collect();
        let renames = self.users < USERS.len() && self.random.u8(..3) == 0;
        if renames {
            self.people[who].user = self.users;
            self.users += 1;
        }
        if !renames || self.random.bool() {
            self.people[who].phone = self.random.choice(free).filter(|_| phone.is_none() || self.random.u8(..4) > 0);
        }
        let Human { phone: new_phone, user: new_user } = self.people[who];
        let is_told = self.random.u8(..4) > 0;
        if let (Some(old), Some(new)) = (phone, new_phone)
            && old != new
            && is_told
        {
            let update = self.update(vec![Id::Phone(old)], Some(self.second), Says::MovedTo(Id::Phone(new)));
            self.deliver(update, acts);
        }
        if user != new_user && is_told {
            let update = self.update(vec![Id::User(user)], Some(self.second), Says::MovedTo(Id::User(new_user)));
            self.deliver(update, acts);
        }
        self.second += 1;
    }

    /// Makes sure that nothing else was told in this second of who goes by which ids: what happens in one second has no
    /// order.
    fn teach(&mut self) {
        self.second = self.second.max(self.taught + 1);
        self.taught = self.second;
    }

    fn id(&mut self) -> Id {
        let ids: Vec<Id> = Id::all().collect();
        ids[self.random.usize(..ids.len())]
    }

    fn change(&mut self) -> Change {
        let ago = *self.random.choice(&[0, 1, 60, 3_600, 86_400]).unwrap_or(&0);
        let obtained = self.random.bool().then_some(self.second - ago);
        Change { id: self.id(), opts_in: self.random.u8(..3) > 0, obtained }
    }
}

/// The shortest history that fails as `history` does, as far as leaving out steps and parts of steps can find it.
pub fn shortest(mut history: Vec<Step>, mut fails: impl FnMut(&[Step]) -> bool) -> Vec<Step> {
    let mut size = history.len().div_ceil(2);
    loop {
        let before = history.len();
        let mut from = 0;
        while from < history.len() {
            let shorter: Vec<Step> =
                history.iter().take(from).chain(history.iter().skip(from + size)).cloned().collect();
            if fails(&shorter) { history = shorter } else { from += size }
        }
        if size > 1 {
            size = size.div_ceil(2);
        } else if history.len() == before {
            break;
        }
    }
    for place in 0..history.len() {
        for simpler in simpler(&history[place].act) {
            let mut tried = history.clone();
            tried[place].act = simpler;
            if fails(&tried) {
                history = tried;
                break;
            }
        }
    }
    history
}

/// The same with one part less.
fn simpler(act: &Act) -> Vec<Act> {
    fn one_each<T: Clone>(parts: &[T]) -> impl Iterator<Item = Vec<T>> {
        parts.iter().filter(|_| parts.len() > 1).map(|part| vec![part.clone()])
    }
    match act {
        Act::Deliver(updates) => one_each(updates).map(Act::Deliver).collect(),
        Act::Batch(changes) => one_each(changes).map(Act::Batch).collect(),
        _ => Vec::new(),
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Phone(n) => write!(f, "P{n}"),
            Self::User(n) => write!(f, "U{n}"),
        }
    }
}

impl fmt::Display for Update {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ids: Vec<String> = self.ids.iter().map(Id::to_string).collect();
        write!(f, "#{} {} ", self.number, ids.join("+"))?;
        match self.says {
            Says::MovedTo(id) => write!(f, "moved to {id}")?,
            says => write!(f, "{says:?}")?,
        }
        match self.second {
            Some(second) => write!(f, " @{second}"),
            None => write!(f, " without a timestamp"),
        }
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.id, if self.opts_in { "in" } else { "out" })?;
        match self.obtained {
            Some(second) => write!(f, " by evidence of @{second}"),
            None => write!(f, " without evidence"),
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fn joined<T: fmt::Display>(parts: &[T]) -> String {
            parts.iter().map(T::to_string).collect::<Vec<_>>().join("; ")
        }
        write!(f, "step {} at {}: ", self.number, self.second)?;
        match &self.act {
            Act::Deliver(updates) => write!(f, "webhook [{}]", joined(updates)),
            Act::DeliverAgain(step) => write!(f, "webhook of step {step} again"),
            Act::DeliverAllAgain => write!(f, "all webhooks so far again"),
            Act::Switch(id, opts_in) => write!(f, "staff switches {id} {}", if *opts_in { "in" } else { "out" }),
            Act::Block(id, blocks) => write!(f, "staff {} {id}", if *blocks { "blocks" } else { "unblocks" }),
            Act::Batch(changes) => write!(f, "batch [{}]", joined(changes)),
            Act::Erase(id) => write!(f, "staff erases {id}"),
        }
    }
}
