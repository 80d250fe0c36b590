//! Turns: shares the capacity of a sweep among tenants and channels. Pure: no input, no output, no clock.
//!
//! The next tenant is the one with the fewest messages under way. Of several such tenants, it is the one whose last turn is
//! the longest ago (round robin). The next of its channels is found in the same way.
//!
//! A channel has a window: the number of its messages that may be under way at a time. The window starts at one and grows by
//! one with each success, so it doubles each round, as in the slow start of TCP:
//! <https://www.rfc-editor.org/rfc/rfc5681#section-3.1>. The first trouble closes it to one again, the second in a row closes
//! it for the rest of the sweep, and a refused access token closes it at once. So a channel whose messages all hang spends two
//! attempts, one at a time, and its other items wait in the outbox for the next sweep.
//!
//! Example: a channel with 100 items and no trouble has 1, 2, 4 and 8 messages under way in its first rounds. One trouble in
//! the next round sets the window to 1, and each success opens it by one again.

use std::collections::{BTreeMap, HashSet};

use consent::id::{ChannelId, EventId, TenantId};
use consent::store::Pending;
use consent::time::Time;

use crate::delivery::Sign;

/// Maximum number of items of one channel in memory, the most overdue ones. When they are sent, the outbox is read again.
const REMEMBERED: usize = 1_000;

/// Number of troubles in a row after which a channel is closed for the rest of the sweep.
const TROUBLES: u32 = 2;

/// Confirmations that are due, and the order in which they are sent.
#[derive(Debug, Default)]
pub(crate) struct Turns {
    tenants: BTreeMap<TenantId, TenantTurns>,
    /// Items that had their turn. Each has one turn in a sweep, since an item that can't be claimed would come round for ever.
    had: HashSet<DueKey>,
    /// Number of turns so far.
    turn: u64,
}

/// The sort key of an item in the outbox: its due time, and its event.
type DueKey = (Time, EventId);

#[derive(Debug, Default)]
struct TenantTurns {
    channels: BTreeMap<ChannelId, ChannelTurns>,
    under_way: usize,
    last_turn: u64,
}

#[derive(Debug)]
struct ChannelTurns {
    due: BTreeMap<DueKey, Pending>,
    under_way: usize,
    last_turn: u64,
    /// Maximum number of messages under way. 0 for a channel that is closed.
    window: usize,
    /// Number of troubles in a row.
    troubles: u32,
}

impl Turns {
    /// Removes all items, before the outbox is read again. The windows of the channels stay.
    pub(crate) fn forget_due(&mut self) {
        for channel in self.tenants.values_mut().flat_map(|tenant| tenant.channels.values_mut()) {
            channel.due.clear();
        }
    }

    /// Adds an item that is due.
    pub(crate) fn add(&mut self, pending: Pending) {
        let key = key(&pending);
        if self.had.contains(&key) {
            return;
        }
        let tenant = self.tenants.entry(pending.item.tenant.clone()).or_default();
        let channel = tenant.channels.entry(pending.item.channel.clone()).or_default();
        channel.due.insert(key, pending);
        if channel.due.len() > REMEMBERED {
            channel.due.pop_last();
        }
    }

    /// Returns true if a tenant may send an item.
    pub(crate) fn are_left(&self) -> bool {
        self.tenants.values().any(TenantTurns::is_ready)
    }

    /// The next item to send. None while every channel with items has a full window.
    pub(crate) fn next(&mut self) -> Option<Pending> {
        let ready = self.tenants.values_mut().filter(|tenant| tenant.is_ready());
        let tenant = ready.min_by_key(|tenant| (tenant.under_way, tenant.last_turn))?;
        let ready = tenant.channels.values_mut().filter(|channel| channel.is_ready());
        let channel = ready.min_by_key(|channel| (channel.under_way, channel.last_turn))?;
        let (key, pending) = channel.due.pop_first()?;
        self.turn += 1;
        (tenant.last_turn, channel.last_turn) = (self.turn, self.turn);
        tenant.under_way += 1;
        channel.under_way += 1;
        self.had.insert(key);
        Some(pending)
    }

    /// Records the result of delivering an item from [`next`](Self::next).
    pub(crate) fn ended(&mut self, pending: &Pending, sign: Sign) {
        let Some(tenant) = self.tenants.get_mut(&pending.item.tenant) else { return };
        let Some(channel) = tenant.channels.get_mut(&pending.item.channel) else { return };
        tenant.under_way = tenant.under_way.saturating_sub(1);
        channel.under_way = channel.under_way.saturating_sub(1);
        (channel.window, channel.troubles) = match sign {
            // A success after the channel was closed: this message was under way before.
            Sign::Good if channel.window == 0 => (0, channel.troubles),
            Sign::Good => (channel.window + 1, 0),
            Sign::Trouble if channel.troubles + 1 < TROUBLES => (channel.window.min(1), channel.troubles + 1),
            Sign::Trouble | Sign::Dead => (0, TROUBLES),
        };
    }
}

impl TenantTurns {
    fn is_ready(&self) -> bool {
        self.channels.values().any(ChannelTurns::is_ready)
    }
}

impl Default for ChannelTurns {
    fn default() -> Self {
        Self { due: BTreeMap::new(), under_way: 0, last_turn: 0, window: 1, troubles: 0 }
    }
}

impl ChannelTurns {
    fn is_ready(&self) -> bool {
        self.under_way < self.window && !self.due.is_empty()
    }
}

fn key(pending: &Pending) -> DueKey {
    (pending.due, pending.event.clone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sweep::testing::pending;

    /// The tenants whose turn it is, one after the other, as long as there is one.
    fn next(turns: &mut Turns, count: usize) -> Vec<Pending> {
        (0..count).map_while(|_| turns.next()).collect()
    }

    fn ended(turns: &mut Turns, all: &[Pending], sign: Sign) {
        for pending in all {
            turns.ended(pending, sign);
        }
    }

    fn names(pending: &[Pending]) -> Vec<&str> {
        pending.iter().map(|pending| pending.item.tenant.as_str()).collect()
    }

    #[test]
    fn it_goes_round_among_tenants_however_much_one_has_to_send() {
        let mut turns = Turns::default();
        for index in 0..10 {
            turns.add(pending("a", "1", index));
        }
        turns.add(pending("b", "2", 100));
        turns.add(pending("b", "2", 101));
        turns.add(pending("c", "3", 102));
        let mut order = Vec::new();
        while let Some(pending) = turns.next() {
            turns.ended(&pending, Sign::Good);
            order.push(pending.item.tenant.to_string());
        }
        assert_eq!(order.join(""), "abcabaaaaaaaa");
    }

    #[test]
    fn the_most_overdue_is_first_whatever_the_order_of_reading() {
        let mut turns = Turns::default();
        for index in [5, 1, 3] {
            turns.add(pending("a", "1", index));
        }
        let mut order = Vec::new();
        while let Some(pending) = turns.next() {
            turns.ended(&pending, Sign::Good);
            order.push(pending.due.millis());
        }
        assert_eq!(order, [1, 3, 5]);
    }

    #[test]
    fn a_window_opens_as_messages_go_well_and_closes_with_trouble() {
        let mut turns = Turns::default();
        for index in 0..100 {
            turns.add(pending("a", "1", index));
        }
        for window in [1, 2, 4, 8] {
            let under_way = next(&mut turns, 100);
            assert_eq!(under_way.len(), window);
            ended(&mut turns, &under_way, Sign::Good);
        }
        let under_way = next(&mut turns, 100);
        turns.ended(&under_way[0], Sign::Trouble);
        assert!(turns.next().is_none(), "15 are under way, and the window is one wide");
        ended(&mut turns, &under_way[1..], Sign::Good);
        let under_way = next(&mut turns, 100);
        assert_eq!(under_way.len(), 16, "one trouble among many");
        ended(&mut turns, &under_way[..2], Sign::Trouble);
        ended(&mut turns, &under_way[2..], Sign::Good);
        assert!(!turns.are_left(), "two in a row");
    }

    #[test]
    fn a_refused_token_closes_its_channel_and_no_other_of_the_tenant() {
        let mut turns = Turns::default();
        for index in 0..10 {
            turns.add(pending("a", if index < 5 { "1" } else { "2" }, index));
        }
        let under_way = next(&mut turns, 10);
        assert_eq!(under_way.len(), 2);
        for pending in &under_way {
            let sign = if pending.item.channel.to_string() == "1" { Sign::Dead } else { Sign::Good };
            turns.ended(pending, sign);
        }
        let under_way = next(&mut turns, 10);
        assert!(!under_way.is_empty());
        assert!(under_way.iter().all(|pending| pending.item.channel.to_string() == "2"));
        assert_eq!(names(&under_way), vec!["a"; under_way.len()]);
    }

    #[test]
    fn no_item_has_two_turns_and_only_so_many_are_remembered() {
        let mut turns = Turns::default();
        turns.add(pending("a", "1", 1));
        let first = turns.next().unwrap();
        turns.ended(&first, Sign::Good);
        turns.forget_due();
        turns.add(first);
        assert!(!turns.are_left());
        for index in (2..3_000).rev() {
            turns.add(pending("a", "1", index));
        }
        assert_eq!(turns.next().unwrap().due.millis(), 2, "the most overdue stay");
        let channel = turns.tenants.values().flat_map(|tenant| tenant.channels.values()).next().unwrap();
        assert_eq!(channel.due.len(), REMEMBERED - 1);
    }
}
