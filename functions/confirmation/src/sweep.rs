//! The sweep: sends the items of the outbox that are due, until none is left or its time is over.

use std::time::Duration;

use consent::count;
use consent::id::Shard;
use consent::limits;
use consent::log::Metric;
use consent::store::{Pending, StoreError};
use consent::time::Time;
use futures::stream::{FuturesUnordered, select_all};
use futures::{StreamExt, TryStreamExt};
use tokio::time::{Instant, timeout_at};

use crate::delivery::Sign;
use crate::turns::Turns;
use crate::{ConfirmationError, ConfirmationSender, log_failure};

/// Maximum number of confirmations that are sent in parallel.
pub(crate) const AT_ONCE: usize = 32;

/// The result of a look at the whole outbox.
#[derive(Debug, Default)]
struct Seen {
    /// Number of items that are due, including those that can't be read.
    due: usize,
    /// The due time of the most overdue item.
    oldest: Option<Time>,
    /// Errors of items that can't be read.
    unreadable: Vec<StoreError>,
    unread: Option<StoreError>,
}

impl ConfirmationSender {
    /// Sends the due items of every shard. A shard or an item that can't be read does not stop the others.
    ///
    /// # Errors
    /// A shard of the outbox can't be read.
    pub(crate) async fn sweep(&self) -> Result<(), ConfirmationError> {
        let graph = &self.graph.connections();
        let deliver = |pending: Pending| async move {
            let sign = self.deliver(graph, &pending).await.unwrap_or_else(|error| {
                log_failure(&error);
                Sign::Good
            });
            (pending, sign)
        };
        let (found, left) = run(|turns| self.look(turns), deliver).await;
        for error in &left.unreadable {
            log_failure(error);
        }
        if let Some(error) = left.unread {
            return Err(error.into());
        }
        let age = left.oldest.map_or(Duration::ZERO, |oldest| self.clock.now().since(oldest));
        let (due, oldest_seconds) = (left.due, age.as_secs());
        count!(info, Metric::Sweep, found, due, oldest_seconds, "outbox swept");
        Ok(())
    }

    /// Reads the due items of all shards in parallel.
    async fn look(&self, mut turns: Turns) -> (Turns, Seen) {
        let now = self.clock.now();
        let mut seen = Seen::default();
        let shards = Shard::all().map(|shard| self.store.due(shard, now).map_err(Some).boxed());
        let mut pages = select_all(shards);
        while let Some(page) = pages.next().await {
            match page {
                Ok(items) => items.into_iter().for_each(|item| seen.take_note(item, &mut turns)),
                Err(error) => seen.unread = error,
            }
        }
        (turns, seen)
    }
}

impl Seen {
    fn take_note(&mut self, item: Result<Pending, StoreError>, turns: &mut Turns) {
        self.due += 1;
        match item {
            Ok(pending) => {
                self.oldest = Some(self.oldest.map_or(pending.due, |oldest| oldest.min(pending.due)));
                turns.add(pending);
            }
            Err(error) => self.unreadable.push(error),
        }
    }
}

/// Reads the outbox and delivers the due items, again and again, until every item had its turn or the time is over. Returns
/// the number of items due at first, and the result of the last look.
///
/// `look` and `deliver` take their arguments by value and return them, since futures that borrow them would not be `Send`.
async fn run<Look, Deliver>(look: impl Fn(Turns) -> Look, deliver: impl Fn(Pending) -> Deliver) -> (usize, Seen)
where
    Look: Future<Output = (Turns, Seen)>,
    Deliver: Future<Output = (Pending, Sign)>,
{
    let end = Instant::now() + limits::SWEEP;
    let mut turns = Turns::default();
    let mut found = None;
    loop {
        turns.forget_due();
        let seen;
        (turns, seen) = look(turns).await;
        let found = *found.get_or_insert(seen.due);
        if Instant::now() >= end || !turns.are_left() {
            return (found, seen);
        }
        work(&mut turns, end, &deliver).await;
    }
}

/// Delivers the items in their turns, [`AT_ONCE`] in parallel.
async fn work<Deliver>(turns: &mut Turns, end: Instant, deliver: &impl Fn(Pending) -> Deliver)
where
    Deliver: Future<Output = (Pending, Sign)>,
{
    let mut under_way = FuturesUnordered::new();
    loop {
        while under_way.len() < AT_ONCE
            && Instant::now() < end
            && let Some(pending) = turns.next()
        {
            under_way.push(deliver(pending));
        }
        match timeout_at(end + limits::SWEEP_END, under_way.next()).await {
            Ok(Some((pending, sign))) => turns.ended(&pending, sign),
            Ok(None) => return,
            // The leases of these items run out, as after a crash.
            Err(_) => {
                tracing::warn!(unfinished = under_way.len(), "sweep ran out of time");
                return;
            }
        }
    }
}

#[cfg(test)]
pub(crate) mod testing {
    //! Items of the outbox for tests.

    use aws_lambda_events::dynamodb::EventRecord;
    use serde_json::json;

    use super::*;

    /// An item that is due at so many milliseconds since 1970.
    pub(crate) fn pending(tenant: &str, channel: &str, due: usize) -> Pending {
        let item = json!({"pk": {"S": "OUTBOX#0"}, "sk": {"S": format!("{due:013}#wamid.{tenant}.{channel}.{due}")},
            "tenant": {"S": tenant}, "contact": {"S": "+14155550123"}, "entry": {"N": "5"}, "channel": {"S": channel},
            "to": {"S": "+14155550123"}, "attempt": {"N": "0"}});
        let record: EventRecord =
            serde_json::from_value(json!({"awsRegion": "us-east-1", "eventID": "1", "eventName": "INSERT",
            "dynamodb": {"ApproximateCreationDateTime": 1, "Keys": {}, "NewImage": item, "SizeBytes": 1}}))
            .unwrap();
        Pending::from_image(record.change.new_image.into()).unwrap()
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::collections::BTreeMap;

    use super::testing::pending;
    use super::*;

    /// The time that a message takes where WhatsApp is well.
    const SEND: Duration = Duration::from_millis(300);

    /// The time between two sweeps.
    const MINUTE: Duration = Duration::from_mins(1);

    /// The fate of a tenant's messages.
    #[derive(Clone, Copy)]
    enum Fate {
        Sent,
        /// The token is dead.
        Refused,
        /// No answer comes.
        Hangs,
    }

    /// An outbox, and when each message was sent.
    #[derive(Default)]
    struct FakeOutbox {
        due: RefCell<BTreeMap<usize, Pending>>,
        fates: BTreeMap<String, Fate>,
        sent: RefCell<BTreeMap<String, Vec<Instant>>>,
        attempts: RefCell<BTreeMap<String, usize>>,
    }

    impl FakeOutbox {
        fn with(tenants: &[(&str, usize, Fate)]) -> Self {
            let mut world = Self::default();
            for &(tenant, count, fate) in tenants {
                world.fates.insert(tenant.to_owned(), fate);
                let mut due = world.due.borrow_mut();
                let first = due.len();
                due.extend((first..first + count).map(|index| (index, pending(tenant, "1", index))));
            }
            world
        }

        fn look(&self, mut turns: Turns) -> (Turns, Seen) {
            let mut seen = Seen::default();
            for pending in self.due.borrow().values() {
                seen.take_note(Ok(pending.clone()), &mut turns);
            }
            (turns, seen)
        }

        async fn deliver(&self, pending: Pending) -> (Pending, Sign) {
            let tenant = pending.item.tenant.to_string();
            let index = usize::try_from(pending.due.millis()).unwrap();
            // Claimed, it is due later: not within the test.
            self.due.borrow_mut().remove(&index);
            *self.attempts.borrow_mut().entry(tenant.clone()).or_default() += 1;
            let fate = self.fates[&tenant];
            tokio::time::sleep(if matches!(fate, Fate::Hangs) { limits::GRAPH } else { SEND }).await;
            let sign = match fate {
                Fate::Sent => {
                    self.sent.borrow_mut().entry(tenant).or_default().push(Instant::now());
                    Sign::Good
                }
                Fate::Refused => Sign::Dead,
                Fate::Hangs => Sign::Trouble,
            };
            (pending, sign)
        }

        async fn sweep(&self) -> (usize, Seen) {
            run(async |turns| self.look(turns), |pending| self.deliver(pending)).await
        }

        /// The time after the beginning at which the last message of a tenant was sent.
        fn last(&self, tenant: &str, begun: Instant) -> Duration {
            self.sent.borrow()[tenant].iter().max().unwrap().duration_since(begun)
        }

        fn sent(&self, tenant: &str) -> usize {
            self.sent.borrow().get(tenant).map_or(0, Vec::len)
        }
    }

    #[tokio::test(start_paused = true)]
    async fn ten_thousand_confirmations_go_out_within_three_minutes_of_sweeps() {
        let names: Vec<String> = (0..10).map(|index| format!("t{index}")).collect();
        let many: Vec<_> = names.iter().map(|name| (name.as_str(), 1_000, Fate::Sent)).collect();
        for tenants in [&many[..], &[("one", 10_000, Fate::Sent)]] {
            let (world, begun) = (FakeOutbox::with(tenants), Instant::now());
            let mut sweeps = 0;
            while !world.due.borrow().is_empty() {
                tokio::time::sleep_until(begun + MINUTE * sweeps).await;
                sweeps += 1;
                world.sweep().await;
            }
            let took = begun.elapsed();
            assert_eq!(tenants.iter().map(|(tenant, ..)| world.sent(tenant)).sum::<usize>(), 10_000);
            assert!(took <= 3 * MINUTE, "{took:?}");
            // Rounds of 32 that take 300 ms each, with some to open the windows and some that are not full: 94 seconds and a
            // little.
            assert!(took <= SEND * (10_000_u32.div_ceil(32) + 20), "{took:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_tenant_with_a_dead_token_delays_nobody_else_by_more_than_a_round() {
        let others = [("b", 1_000, Fate::Sent), ("c", 1_000, Fate::Sent), ("d", 1, Fate::Sent)];
        let (alone, begun) = (FakeOutbox::with(&others), Instant::now());
        alone.sweep().await;
        let undisturbed = ["b", "c", "d"].map(|tenant| alone.last(tenant, begun));
        for fate in [Fate::Refused, Fate::Hangs] {
            // The channel with the dead token has tens of thousands, all due before those of other tenants.
            let tenants: Vec<_> = [("a", 20_000, fate)].into_iter().chain(others).collect();
            let (world, begun) = (FakeOutbox::with(&tenants), Instant::now());
            let (found, left) = world.sweep().await;
            for (tenant, undisturbed) in ["b", "c", "d"].into_iter().zip(undisturbed) {
                let took = world.last(tenant, begun);
                assert!(took <= undisturbed + SEND, "{tenant}: {took:?} instead of {undisturbed:?}");
            }
            let attempts = world.attempts.borrow()["a"];
            assert!(attempts <= 2, "{attempts} attempts are spent on a tenant whose messages don't go out");
            assert_eq!((found, left.due), (22_001, 20_000 - attempts));
            assert_eq!(left.oldest.map(Time::millis), Some(i64::try_from(attempts).unwrap()));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_sweep_ends_in_time_whatever_hangs() {
        let names: Vec<String> = (0..200).map(|index| format!("t{index}")).collect();
        let tenants: Vec<_> = names.iter().map(|name| (name.as_str(), 100, Fate::Hangs)).collect();
        let (world, begun) = (FakeOutbox::with(&tenants), Instant::now());
        world.sweep().await;
        assert!(begun.elapsed() <= limits::SWEEP + limits::SWEEP_END, "{:?}", begun.elapsed());
        let stuck = run(
            async |mut turns: Turns| {
                turns.add(pending("a", "1", 1));
                (turns, Seen { due: 1, ..Seen::default() })
            },
            async |_: Pending| std::future::pending().await,
        );
        let begun = Instant::now();
        assert_eq!(stuck.await.1.due, 1);
        assert!(begun.elapsed() <= limits::SWEEP + limits::SWEEP_END + SEND, "{:?}", begun.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn what_becomes_due_during_a_sweep_is_sent_by_it() {
        let world = FakeOutbox::with(&[("a", 10, Fate::Sent)]);
        let later = async {
            tokio::time::sleep(SEND).await;
            world.due.borrow_mut().insert(1_000, pending("a", "1", 1_000));
        };
        tokio::join!(world.sweep(), later);
        assert_eq!(world.sent("a"), 11);
    }
}
