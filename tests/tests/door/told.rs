//! Whatever happens, every change that a customer made is told once or has a reason not to be: random histories.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::http::{Method, StatusCode};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::Value;
use tests::{Fault, World, webhook};
use tokio::runtime::Runtime;

/// Histories in each of the tests below.
const HISTORIES: u32 = 20;

/// The customers: number and user id.
const PEOPLE: [(&str, &str); 2] =
    [("14155550123", "US.10000000000000000001"), ("14155550124", "US.10000000000000000002")];

/// The ids that a message shows.
#[derive(Clone, Copy, Debug)]
enum Shown {
    Phone,
    Both,
    /// The user id alone; both where the two have not been seen together yet.
    User,
}

/// One step of a history.
#[derive(Clone, Debug)]
enum Step {
    /// A customer sends a keyword, so many seconds ago.
    Say { who: usize, opt_out: bool, shown: Shown, ago: i64 },
    /// The outbox is swept, by so many sweeps at a time.
    Sweep(usize),
    /// Time passes.
    Wait(u64),
    /// WhatsApp does not take the next messages as it should.
    Trouble(Trouble),
    /// A call of the table fails, the next of its kind but so many.
    Fault { operation: &'static str, after: usize, fault: Fault },
    /// WhatsApp reports on the last message.
    Report(&'static str),
    /// Staff blocks a customer or lifts the block.
    Block(usize, bool),
    /// Staff erases a customer.
    Erase(usize),
}

#[derive(Clone, Copy, Debug)]
enum Trouble {
    Refused(u32),
    Page(u16),
    AnswerLost,
}

fn calm() -> impl Strategy<Value = Step> {
    let shown = prop_oneof![Just(Shown::Phone), Just(Shown::Both), Just(Shown::User)];
    let ago = prop_oneof![3 => Just(0), 1 => 0..120i64];
    prop_oneof![
        20 => (0..PEOPLE.len(), any::<bool>(), shown, ago)
            .prop_map(|(who, opt_out, shown, ago)| Step::Say { who, opt_out, shown, ago }),
        2 => (1..3usize).prop_map(Step::Sweep),
        1 => (1..200u64).prop_map(Step::Wait),
    ]
}

fn troubled() -> impl Strategy<Value = Step> {
    let codes = prop::sample::select(vec![130_429, 131_056, 2, 131_000, 131_026, 190]).prop_map(Trouble::Refused);
    let pages = prop::sample::select(vec![502, 503, 504]).prop_map(Trouble::Page);
    let trouble = prop_oneof![2 => codes, 1 => pages, 1 => Just(Trouble::AnswerLost)];
    let operations = prop::sample::select(vec!["TransactWriteItems", "BatchGetItem", "Query"]);
    let faults = prop::sample::select(vec![Fault::Denied, Fault::Lost]);
    prop_oneof![
        10 => calm(),
        3 => trouble.prop_map(Step::Trouble),
        2 => (operations, 0..6usize, faults).prop_map(|(operation, after, fault)| Step::Fault { operation, after, fault }),
        2 => prop::sample::select(vec!["sent", "delivered", "failed"]).prop_map(Step::Report),
        1 => (0..PEOPLE.len(), any::<bool>()).prop_map(|(who, blocked)| Step::Block(who, blocked)),
        1 => (0..PEOPLE.len()).prop_map(Step::Erase),
        1 => (200..4000u64).prop_map(Step::Wait),
    ]
}

/// The events of a run after which a message may be sent twice, or not at all.
#[derive(Default)]
struct Seen {
    linked: [bool; PEOPLE.len()],
    /// Number of attempts whose outcome the system may not know.
    unheard: usize,
}

async fn play(world: &World, steps: &[Step]) -> Seen {
    let mut seen = Seen::default();
    for step in steps {
        match *step {
            Step::Say { who, opt_out, shown, ago } => say(world, &mut seen, who, opt_out, shown, ago).await,
            Step::Sweep(count) => {
                let sweeps = (0..count).map(|_| world.system.run_schedules());
                futures::future::join_all(sweeps).await;
                world.calls.forgive();
            }
            Step::Wait(seconds) => world.wait(seconds),
            Step::Trouble(trouble) => {
                let graph = world.system.graph();
                match trouble {
                    Trouble::Refused(code) => graph.refuse([code]),
                    Trouble::Page(status) => graph.answer_with_pages([status]),
                    Trouble::AnswerLost => {
                        seen.unheard += 1;
                        graph.lose_answers(1);
                    }
                }
            }
            Step::Fault { operation, after, fault } => {
                seen.unheard += 1;
                let passes = std::iter::repeat_n(Fault::Pass, after);
                world.calls.fail(operation, passes.chain([fault]));
            }
            Step::Report(state) => {
                if !world.system.graph().outbox().is_empty() {
                    world.post_webhook(&world.status_of_the_last(state)).await;
                }
            }
            Step::Block(who, blocked) => drop(world.block(PEOPLE[who].0, blocked).await),
            Step::Erase(who) => {
                drop(world.ask(Method::DELETE, &format!("/contacts/{}", PEOPLE[who].0), None).await);
                world.calls.forgive();
            }
        }
    }
    world.calls.forgive();
    seen
}

async fn say(world: &World, seen: &mut Seen, who: usize, opt_out: bool, shown: Shown, ago: i64) {
    world.wait(1);
    let (phone, user) = PEOPLE[who];
    let message = world.message(phone, if opt_out { "STOP" } else { "START" }).at(world.seconds() - ago);
    let mut message = message.json();
    match shown {
        Shown::Phone => {}
        Shown::User if seen.linked[who] => drop(message.as_object_mut().unwrap().remove("from")),
        Shown::Both | Shown::User => seen.linked[who] = true,
    }
    if !matches!(shown, Shown::Phone) {
        message["from_user_id"] = user.into();
    }
    let body = webhook(&[message]);
    // A body that meets a fault is delivered again.
    while world.post_webhook(&body).await != StatusCode::OK {
        world.calls.forgive();
    }
}

/// Sweeps until nothing is on its way any more.
async fn drain(world: &World) {
    for _ in 0..40 {
        world.sweep().await;
        if world.outbox().await == 0 {
            return;
        }
        world.wait(60 * 60);
    }
    panic!("something stays in the outbox");
}

/// The number of messages sent for each event.
fn messages(world: &World) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for message in world.system.graph().outbox() {
        let callback = message["biz_opaque_callback_data"].as_str().unwrap();
        *counts.entry(callback.splitn(4, ' ').nth(3).unwrap().to_owned()).or_default() += 1;
    }
    counts
}

/// The wishes of a person that changed something, by the time that counts.
async fn changes(world: &World, who: usize) -> Vec<Value> {
    let mut entries = world.history(PEOPLE[who].0).await;
    for entry in &entries {
        let is_change = entry["effect"] == "changed" && entry["source"] == "keyword";
        assert!(is_change || entry["confirmation"].is_null(), "{entry}");
    }
    entries.retain(|entry| entry["effect"] == "changed" && entry["source"] == "keyword");
    entries.sort_by_key(|entry| entry["at"].as_str().unwrap().to_owned());
    entries
}

fn state(entry: &Value) -> &str {
    entry["confirmation"]["state"].as_str().unwrap_or_default()
}

fn for_histories(step: impl Strategy<Value = Step>, check: &impl AsyncFn(&World, &[Step])) {
    let runtime = Runtime::new().unwrap();
    let steps = prop::collection::vec(step, 1..40);
    let mut runner = TestRunner::new(Config { cases: HISTORIES, failure_persistence: None, ..Config::default() });
    let run = runner.run(&steps, |steps| {
        runtime.block_on(async {
            let world = World::start().await;
            check(&world, &steps).await;
        });
        Ok(())
    });
    run.unwrap();
}

#[test]
fn in_calm_the_newest_change_is_told_and_no_other_twice() {
    let told = AtomicUsize::new(0);
    for_histories(calm(), &async |world: &World, steps: &[Step]| {
        play(world, steps).await;
        drain(world).await;
        let messages = messages(world);
        let sweeps = 1 + steps.iter().filter(|step| matches!(step, Step::Sweep(_))).count();
        for who in 0..PEOPLE.len() {
            let changes = changes(world, who).await;
            let sent = changes.iter().filter(|entry| state(entry) == "sent").count();
            assert!(sent <= sweeps, "{sent} messages to one person in {sweeps} sweeps: {changes:#?}");
            for (index, entry) in changes.iter().enumerate() {
                let is_newest = index + 1 == changes.len();
                let expected: &[&str] = if is_newest { &["sent"] } else { &["sent", "superseded"] };
                assert!(expected.contains(&state(entry)), "{changes:#?}");
                let count = messages.get(entry["id"].as_str().unwrap()).copied().unwrap_or_default();
                assert_eq!(count, usize::from(state(entry) == "sent"), "{entry}");
                told.fetch_add(count, Ordering::Relaxed);
            }
        }
    });
    assert!(told.into_inner() > 15, "nearly nothing was told");
}

#[test]
fn in_trouble_nothing_stays_on_its_way_and_only_what_was_not_heard_of_is_sent_again() {
    let told = AtomicUsize::new(0);
    for_histories(troubled(), &async |world: &World, steps: &[Step]| {
        let seen = play(world, steps).await;
        drain(world).await;
        let messages = messages(world);
        let repeats: usize = messages.values().map(|count| count - 1).sum();
        assert!(
            repeats <= seen.unheard,
            "{repeats} repeats where {} attempts may not have been heard of",
            seen.unheard
        );
        assert!(messages.values().all(|count| *count <= 3), "{messages:?}");
        for who in 0..PEOPLE.len() {
            for entry in changes(world, who).await {
                let count = messages.get(entry["id"].as_str().unwrap()).copied().unwrap_or_default();
                let is_heard_of = seen.unheard == 0;
                match state(&entry) {
                    "sent" => assert!(count > 0, "{entry}"),
                    "superseded" | "expired" => assert!(count == 0 || !is_heard_of, "{entry}"),
                    "failed" => {}
                    // The contact was blocked.
                    "" => assert_eq!(count, 0, "{entry}"),
                    state => panic!("{state}: {entry}"),
                }
                told.fetch_add(count, Ordering::Relaxed);
            }
        }
    });
    assert!(told.into_inner() > 15, "nearly nothing was told");
}
