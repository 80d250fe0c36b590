//! Random histories of a few people and all that can happen to them, played through the door and compared with the reference
//! model (`tests::model`).
//!
//! | variable | what it says |
//! |---|---|
//! | `MODEL_HISTORIES` | how many histories there are, 500 if it is not set |
//! | `MODEL_SEED` | which is the first, 1 if it is not set |
//! | `MODEL_STEPS` | how many steps each has, 60 if it is not set |
//! | `MODEL_FAILURES` | after how many failures a thread gives up, 2 if it is not set |
//!
//! A history that fails is printed in as few steps as can be found, with the line that plays it again.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says so by a panic")]

use std::env;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use tests::World;
use tests::model::history::{Step, history, shortest};
use tests::model::play::{Violation, play};
use tokio::runtime::{Builder, Runtime};

fn from_environment(name: &str, default: u64) -> u64 {
    env::var(name).map_or(default, |value| value.parse().unwrap_or_else(|_| panic!("{name}: give a whole number")))
}

/// Histories that are played in one world: each adds a few items to its table.
const PER_WORLD: usize = 200;

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
        // The engine removes what has expired by the machine's clock: that must not be ahead of this one.
        world.clock.advance(Duration::from_hours(20 * 365 * 24));
        Self { runtime, world, tenants: 0 }
    }

    fn play(&mut self, history: &[Step]) -> Result<(), Violation> {
        self.tenants += 1;
        self.runtime.block_on(play(&self.world, self.tenants, history))
    }
}

/// The violation in a history, with the fewest steps that still have it.
fn told(stage: &mut Stage, seed: u64, history: Vec<Step>, violation: Violation) -> String {
    let until: Vec<Step> = history.into_iter().filter(|step| step.number <= violation.step).collect();
    let mut last = violation;
    let steps = shortest(until, |history| match stage.play(history) {
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
    writeln!(told, "again: MODEL_HISTORIES=1 MODEL_SEED={seed} cargo test -p tests --test model").unwrap();
    told
}

#[test]
fn nobody_who_stopped_gets_marketing_without_a_newer_wish() {
    let (first, count) = (from_environment("MODEL_SEED", 1), from_environment("MODEL_HISTORIES", 500));
    let steps = usize::try_from(from_environment("MODEL_STEPS", 60)).unwrap();
    let most = usize::try_from(from_environment("MODEL_FAILURES", 2)).unwrap();
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
                if stage.tenants >= PER_WORLD {
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
