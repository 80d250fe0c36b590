//! Random histories of a few people and all that can happen to them, played through the door and compared with the reference
//! model (`tests::model`).
//!
//! `MODEL_HISTORIES` says how many there are (500 unless it says otherwise), `MODEL_SEED` which is the first, `MODEL_STEPS`
//! how long each is (60).

use std::env;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use tests::World;
use tests::model::history::{Step, history, shortest};
use tests::model::play::{Violation, play};
use tokio::runtime::{Builder, Runtime};

fn from_environment(name: &str, default: u64) -> u64 {
    env::var(name).map_or(default, |value| value.parse().unwrap_or_else(|_| panic!("{name}: give a whole number")))
}

/// A world in which one history after the other is played, each for a tenant of its own.
struct Stage {
    runtime: Runtime,
    world: World,
    tenants: usize,
}

impl Stage {
    fn new() -> Self {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        let world = runtime.block_on(World::start());
        Self { runtime, world, tenants: 0 }
    }

    fn play(&mut self, history: &[Step]) -> Result<(), Violation> {
        self.tenants += 1;
        self.runtime.block_on(play(&self.world, self.tenants, history))
    }
}

/// What fails in a history, made as short as it gets.
fn told(stage: &mut Stage, seed: u64, whole: Vec<Step>, violation: Violation) -> String {
    let upto: Vec<Step> = whole.into_iter().filter(|step| step.number <= violation.step).collect();
    let mut last = violation;
    let steps = shortest(upto, |history| match stage.play(history) {
        Ok(()) => false,
        Err(violation) => {
            last = violation;
            true
        }
    });
    let mut told = format!("{} (step {})\n", last.what, last.step);
    for step in &steps {
        writeln!(told, "  {step}").unwrap();
    }
    writeln!(told, "  MODEL_HISTORIES=1 MODEL_SEED={seed} cargo test -p tests --test model").unwrap();
    told
}

#[test]
fn nobody_who_stopped_gets_marketing_without_a_newer_wish() {
    let (first, count) = (from_environment("MODEL_SEED", 1), from_environment("MODEL_HISTORIES", 500));
    let steps = usize::try_from(from_environment("MODEL_STEPS", 60)).unwrap();
    let most = usize::try_from(from_environment("MODEL_FAILURES", 3)).unwrap();
    let next = AtomicU64::new(first);
    let workers = thread::available_parallelism().map_or(1, usize::from);
    let failures: Vec<String> = thread::scope(|scope| {
        let work = || {
            let mut stage = Stage::new();
            let mut failures = Vec::new();
            while failures.len() < most {
                let seed = next.fetch_add(1, Ordering::Relaxed);
                if seed >= first + count {
                    break;
                }
                if stage.tenants > 200 {
                    stage = Stage::new();
                }
                let history = history(seed, steps);
                if let Err(violation) = stage.play(&history) {
                    failures.push(told(&mut stage, seed, history, violation));
                }
            }
            failures
        };
        let workers: Vec<_> = (0..workers).map(|_| scope.spawn(work)).collect();
        workers.into_iter().flat_map(|worker| worker.join().unwrap()).collect()
    });
    assert!(failures.is_empty(), "\n{}", failures.join("\n"));
}

#[test]
fn scratch() {
    use tests::model::history::{Act, Id::*, Says, Update};
    let deliver = |n: usize, ids: &[tests::model::history::Id], second: i64, says: Says| Step {
        number: n,
        second,
        act: Act::Deliver(vec![Update { number: n, ids: ids.to_vec(), second: Some(second), says }]),
    };
    let history = [
        deliver(1, &[Phone(2), User(2)], 1, Says::Hello),
        deliver(2, &[Phone(0)], 10, Says::Stop),
        deliver(3, &[Phone(2), User(5)], 30, Says::Hello),
        deliver(4, &[Phone(0)], 20, Says::MovedTo(Phone(2))),
    ];
    println!("{:?}", Stage::new().play(&history));
}
