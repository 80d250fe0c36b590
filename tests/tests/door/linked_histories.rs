//! Random histories over a number, a user id and both: before the two ids are linked, each has a state of its own, and
//! afterwards they have one.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, Ordering};

use axum::http::StatusCode;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::Value;
use tests::{World, webhook};
use tokio::runtime::Runtime;

use crate::identity::{skipped, text};

/// A message, sent before or after the two ids are seen together.
#[derive(Clone, Debug)]
struct MessageText {
    stop: bool,
    second: i64,
    ids: By,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum By {
    Phone,
    User,
    Both,
}

fn message(ids: impl Strategy<Value = By>) -> impl Strategy<Value = MessageText> {
    (any::<bool>(), 0i64..30, ids).prop_map(|(stop, second, ids)| MessageText { stop, second, ids })
}

/// The times of the newest stop and start.
#[derive(Clone, Copy, Default)]
struct Newest {
    stop: Option<i64>,
    start: Option<i64>,
}

impl Newest {
    fn advance(&mut self, sent: &MessageText) {
        if sent.stop {
            self.stop = self.stop.max(Some(sent.second * 1000 + 999));
        } else {
            self.start = self.start.max(Some(sent.second * 1000));
        }
    }

    fn is_out(self) -> bool {
        self.stop.is_some() && self.stop >= self.start
    }
}

async fn play(
    world: &World,
    number: u32,
    apart: &[MessageText],
    link: i64,
    together: &[MessageText],
    order: &[usize],
) -> Result<(), TestCaseError> {
    let (phone, user) = (format!("1415556{number:04}"), format!("US.9{number}"));
    let ids = |by: By| ((by != By::User).then_some(&*phone), (by != By::Phone).then_some(&*user));
    let begun = 1_795_000_000;
    let body = |kind: &str, index: usize, sent: &MessageText| {
        let words = if sent.stop { "STOP" } else { "START" };
        text(&format!("wamid.{number}.{kind}.{index}"), ids(sent.ids), begun + sent.second, words)
    };
    let post = async |message: Value| world.post_webhook(&webhook(&[message])).await;

    let [mut by_phone, mut by_user] = [Newest::default(); 2];
    for (index, sent) in apart.iter().enumerate() {
        prop_assert_eq!(post(body("apart", index, sent)).await, StatusCode::OK);
        if sent.ids == By::Phone { by_phone.advance(sent) } else { by_user.advance(sent) }
    }
    let before = skipped(world, [&phone, &user]).await;
    prop_assert_eq!(before.clone().map(|reason| !reason.is_empty()), [by_phone.is_out(), by_user.is_out()]);
    let hello = text(&format!("wamid.{number}.link"), ids(By::Both), begun + link, "hello");
    prop_assert_eq!(post(hello).await, StatusCode::OK);
    let after = skipped(world, [&phone, &user]).await;
    prop_assert_eq!(&after[0], &after[1]);
    for before in &before {
        prop_assert!(before.is_empty() || after[0] == *before, "joining loosened what an id had");
    }

    let mut both = Newest { stop: by_phone.stop.max(by_user.stop), start: by_phone.start.max(by_user.start) };
    let met = by_phone.stop.is_some() && by_user.stop.is_some();
    if by_phone.is_out() != by_user.is_out() && (met || !both.is_out()) {
        both.stop = both.stop.max(both.start).max(Some(link * 1000 + 999));
    }
    prop_assert_eq!(!after[0].is_empty(), both.is_out());
    let mut delivered = vec![false; together.len()];
    for index in order {
        // Every other delivery is of a message from before the link was learnt: a repeat, which changes nothing.
        if let Some(sent) = apart.get(*index % (apart.len() + 1)) {
            prop_assert_eq!(post(body("apart", index % (apart.len() + 1), sent)).await, StatusCode::OK);
        }
        if together.is_empty() {
            continue;
        }
        let index = index % together.len();
        prop_assert_eq!(post(body("together", index, &together[index])).await, StatusCode::OK);
        if !std::mem::replace(&mut delivered[index], true) {
            both.advance(&together[index]);
        }
        let now = skipped(world, [&phone, &user]).await;
        prop_assert_eq!(now.map(|reason| !reason.is_empty()), [both.is_out(); 2]);
    }
    prop_assert_eq!(world.history(&phone).await, world.history(&user).await);
    Ok(())
}

#[test]
fn any_history_over_both_ids_is_one_once_they_are_linked_and_joining_never_loosens() {
    static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Runtime::new().unwrap());
    static NUMBERS: AtomicU32 = AtomicU32::new(0);
    let world = RUNTIME.block_on(World::start());
    let mut runner = TestRunner::new(Config { cases: 150, failure_persistence: None, ..Config::default() });
    let apart = prop::collection::vec(message(prop_oneof![Just(By::Phone), Just(By::User)]), 0..5);
    let together = prop::collection::vec(message(prop_oneof![Just(By::Phone), Just(By::User), Just(By::Both)]), 0..5);
    let histories = (apart, 0i64..30, together, prop::collection::vec(any::<usize>(), 0..8));
    let outcome = runner.run(&histories, |(apart, link, together, order)| {
        let number = NUMBERS.fetch_add(1, Ordering::Relaxed);
        RUNTIME.block_on(play(&world, number, &apart, link, &together, &order))
    });
    if let Err(failure) = outcome {
        panic!("{failure}");
    }
}
