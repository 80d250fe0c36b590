//! Whatever the order of delivery and however often: what stands is what the same events give in order of their own time.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, Ordering};

use axum::http::StatusCode;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Value, json};
use tests::{Message, World};
use tokio::runtime::Runtime;

/// Sequences in each of the two tests below.
const SEQUENCES: u32 = 500;

/// A keyword message that WhatsApp delivers, perhaps several times.
#[derive(Clone, Debug)]
struct Intent {
    opt_out: bool,
    /// With WhatsApp's own control instead of a keyword.
    control: bool,
    sent: Sent,
}

/// The timestamp of a message.
#[derive(Clone, Copy, Debug)]
enum Sent {
    /// So many seconds after the sequence begins.
    At(i64),
    /// No timestamp.
    Unknown,
}

/// One step of a sequence.
#[derive(Clone, Debug)]
enum Step {
    /// WhatsApp delivers the wish of this index (modulo their number).
    Deliver(usize),
    /// Staff switches the contact on or off.
    Switch { opted_out: bool },
    /// Staff blocks the contact or lifts the block.
    Block(bool),
    /// Time passes.
    Wait(u64),
}

fn wish() -> impl Strategy<Value = Intent> {
    // Few distinct seconds, so that ties are frequent; some so far ahead that they count when they are processed.
    let sent = prop_oneof![8 => (-5i64..5).prop_map(Sent::At), 2 => (-600i64..700).prop_map(Sent::At), 1 => Just(Sent::Unknown)];
    (any::<bool>(), prop::bool::weighted(0.25), sent).prop_map(|(opt_out, control, sent)| Intent {
        opt_out,
        control,
        sent,
    })
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => any::<usize>().prop_map(Step::Deliver),
        2 => any::<bool>().prop_map(|opted_out| Step::Switch { opted_out }),
        1 => any::<bool>().prop_map(Step::Block),
        1 => (1u64..200).prop_map(Step::Wait),
    ]
}

/// All that happened to the contact, as a list of events that is sorted and played from the start for every question.
#[derive(Default)]
struct Model {
    require_opt_in: bool,
    /// The events: each with its time in milliseconds, its kind, and true if it opts in a contact that was unknown before.
    events: Vec<(i64, What, bool)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    OptIn,
    OptOut,
    Unblock,
    Block,
    Resume,
    Stop,
}

impl Model {
    fn sorted(&self) -> Vec<(i64, What, bool)> {
        let mut events = self.events.clone();
        events.sort_by_key(|(time, what, _)| (*time, matches!(what, What::OptOut | What::Block | What::Stop)));
        events
    }

    fn status(&self) -> &'static str {
        self.sorted().iter().fold("unknown", |status, (_, what, explicit)| match what {
            What::OptOut => "opted_out",
            What::OptIn if status == "opted_out" || *explicit => "opted_in",
            _ => status,
        })
    }

    fn blocked(&self) -> bool {
        self.holds(What::Block, What::Unblock)
    }

    fn stopped(&self) -> bool {
        self.holds(What::Stop, What::Resume)
    }

    /// Returns true if the last of two opposite events is the setting one.
    fn holds(&self, set: What, lifted: What) -> bool {
        self.sorted().iter().rfind(|(_, what, _)| [set, lifted].contains(what)).is_some_and(|(_, what, _)| *what == set)
    }

    /// The time of a change by staff: behind everything that stands.
    fn switch_time(&self, now: i64) -> i64 {
        self.events.iter().map(|(time, ..)| time + 1).fold(now, i64::max)
    }

    /// Adds a wish and says what it did.
    fn advance(&mut self, wish: &Intent, time: i64) -> &'static str {
        if wish.control {
            let before = self.stopped();
            self.events.push((time, if wish.opt_out { What::Stop } else { What::Resume }, false));
            return match (before == wish.opt_out, self.stopped() == wish.opt_out) {
                (true, _) => "none",
                (false, true) => "changed",
                (false, false) => "superseded",
            };
        }
        let before = self.status();
        let (what, explicit) = if wish.opt_out { (What::OptOut, false) } else { (What::OptIn, self.require_opt_in) };
        self.events.push((time, what, explicit));
        let wanted = if wish.opt_out { "opted_out" } else { "opted_in" };
        let nothing_to_do = before == wanted || (!wish.opt_out && before == "unknown" && !explicit);
        match (nothing_to_do, self.status() == wanted) {
            (true, _) => "none",
            (false, true) => "changed",
            (false, false) => "superseded",
        }
    }
}

/// The message that brings a wish; WhatsApp's own control in its older form, which has an id.
fn message(number: &str, wish: &Intent) -> Message {
    match (wish.control, wish.opt_out) {
        (false, true) => Message::text(number, "STOP"),
        (false, false) => Message::text(number, "START"),
        (true, stop) => {
            let marketing = if stop { "stop" } else { "resume" };
            Message::of(
                number,
                json!({"type": "system", "system": {"type": "user_preference_changed", "marketing": marketing}}),
            )
        }
    }
}

/// Plays a sequence on a contact of its own and compares.
async fn play(
    world: &World,
    number: &str,
    require_opt_in: bool,
    wishes: &[Intent],
    steps: &[Step],
) -> Result<(), TestCaseError> {
    let begun = world.seconds();
    let mut model = Model { require_opt_in, ..Model::default() };
    let mut expected: Vec<(String, &str, bool)> = Vec::new();
    for step in steps {
        let now = world.clock.now().millis();
        match step {
            Step::Wait(seconds) => world.wait(*seconds),
            Step::Switch { opted_out } => {
                let what = if *opted_out { What::OptOut } else { What::OptIn };
                model.events.push((model.switch_time(now), what, true));
                let status = if *opted_out { "opted_out" } else { "opted_in" };
                prop_assert_eq!(&world.switch(number, status).await["status"], status);
            }
            Step::Block(blocked) => {
                let answer = world.block(number, *blocked).await;
                if *blocked || answer.status == StatusCode::OK {
                    model.events.push((
                        model.switch_time(now),
                        if *blocked { What::Block } else { What::Unblock },
                        false,
                    ));
                    prop_assert_eq!(&answer.body["blocked"], *blocked);
                }
            }
            Step::Deliver(index) => {
                let index = index % wishes.len();
                let wish = &wishes[index];
                let id = format!("wamid.{number}.{index}");
                let message = message(number, wish).with_id(&id);
                let (message, time) = match wish.sent {
                    Sent::Unknown => (message, wish.opt_out.then_some(now)),
                    Sent::At(offset) => {
                        let sent = begun + offset;
                        let own = if wish.opt_out { sent * 1000 + 999 } else { now.min(sent * 1000) };
                        (message.at(sent), Some(if sent * 1000 > now + 300_000 { now } else { own }))
                    }
                };
                world.delivers(&message).await;
                let known = expected.iter().any(|(known, ..)| *known == id);
                if let (Some(time), false) = (time, known) {
                    let effect = model.advance(wish, time);
                    // That marketing is back would be untrue while WhatsApp's own stop holds.
                    let is_true = wish.opt_out || !model.stopped();
                    let confirmed = effect == "changed" && !wish.control && !model.blocked() && is_true;
                    expected.push((id, effect, confirmed));
                }
            }
        }
    }

    let contact = world.contact(number).await;
    let shown = |field: &str| contact.as_ref().map(|contact| contact[field].clone());
    prop_assert_eq!(shown("status").unwrap_or("unknown".into()), model.status());
    prop_assert_eq!(shown("blocked").unwrap_or(false.into()), model.blocked());
    prop_assert_eq!(shown("provider_stopped").unwrap_or(false.into()), model.stopped());
    let by_customer: Vec<Value> =
        world.history(number).await.into_iter().filter(|event| event["by"] == "customer").collect();
    prop_assert_eq!(by_customer.len(), expected.len());
    for event in by_customer {
        let found = expected.iter().find(|(id, ..)| event["id"] == **id);
        let Some((_, effect, confirmed)) = found else {
            return Err(TestCaseError::fail(format!("unexpected {event}")));
        };
        prop_assert_eq!(&event["effect"], *effect);
        prop_assert_eq!(event["confirmation"].is_object(), *confirmed);
    }
    let campaign = json!({"tenant_id": "demo", "category": "marketing", "contacts": [number]});
    let report = world.filter(&campaign).await.unwrap();
    let gets_it = !model.blocked()
        && !model.stopped()
        && model.status() != "opted_out"
        && (!require_opt_in || model.status() == "opted_in");
    prop_assert_eq!(&report["counts"]["eligible"], u32::from(gets_it));
    Ok(())
}

fn any_sequence_gives_what_its_order_of_time_gives(require_opt_in: bool) {
    static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Runtime::new().unwrap());
    static NUMBERS: AtomicU32 = AtomicU32::new(0);
    let world = RUNTIME.block_on(async {
        let world = World::start().await;
        world.change_settings(|settings| settings["require_opt_in"] = require_opt_in.into()).await;
        world
    });
    let mut runner = TestRunner::new(Config { cases: SEQUENCES, failure_persistence: None, ..Config::default() });
    let sequences = (prop::collection::vec(wish(), 1..6), prop::collection::vec(step(), 1..16));
    let outcome = runner.run(&sequences, |(wishes, steps)| {
        let number = format!("141555{:05}", NUMBERS.fetch_add(1, Ordering::Relaxed));
        RUNTIME.block_on(play(&world, &number, require_opt_in, &wishes, &steps))
    });
    if let Err(failure) = outcome {
        panic!("{failure}");
    }
}

#[test]
fn any_sequence_gives_what_its_order_of_time_gives_where_silence_is_consent() {
    any_sequence_gives_what_its_order_of_time_gives(false);
}

#[test]
fn any_sequence_gives_what_its_order_of_time_gives_where_silence_is_no_consent() {
    any_sequence_gives_what_its_order_of_time_gives(true);
}
