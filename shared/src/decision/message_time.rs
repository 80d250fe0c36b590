//! The time at which a message counts.

use std::time::Duration;

use crate::event::HistoryKey;
use crate::id::EventId;
use crate::settings::Intent;
use crate::time::Time;

/// A message that claims to be from further ahead than this counts when it is processed instead.
const MAX_AHEAD: Duration = Duration::from_mins(5);

/// The time of a message as its timestamp gives it, judged when it is processed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MessageTime {
    /// A usable timestamp: whole seconds since 1970, more than none.
    Own(i64),
    /// A timestamp (whole seconds since 1970) that lies too far ahead to be true.
    Ahead(i64),
    /// No timestamp, or one that cannot be read.
    Missing,
}

impl MessageTime {
    /// Judges a timestamp, in whole seconds since 1970.
    #[must_use]
    pub fn judge(seconds: Option<i64>, now: Time) -> Self {
        match seconds {
            Some(seconds @ 1..) if Time::from_millis(seconds.saturating_mul(1000)) > now.plus(MAX_AHEAD) => {
                Self::Ahead(seconds)
            }
            Some(seconds @ 1..) => Self::Own(seconds),
            _ => Self::Missing,
        }
    }

    /// The time that counts for a wish. Within a second the opt-out comes last, so that it wins. An opt-in never counts in
    /// the future, where it would stand over an opt-out that is sent before. None for an opt-in without a time of its own,
    /// which would be a guess in the customer's disfavour.
    #[must_use]
    pub fn at(self, intent: Intent, now: Time) -> Option<Time> {
        match (self, intent) {
            (Self::Own(seconds), Intent::OptOut) => Some(Time::from_millis(seconds * 1000 + 999)),
            (Self::Own(seconds), Intent::OptIn) => Some(Time::from_millis(seconds * 1000).min(now)),
            (Self::Ahead(_), _) | (Self::Missing, Intent::OptOut) => Some(now),
            (Self::Missing, Intent::OptIn) => None,
        }
    }

    /// The time from which the message links its sender's ids.
    #[must_use]
    pub fn taught(self, now: Time) -> Time {
        match self {
            Self::Own(seconds) => Time::from_millis(seconds * 1000),
            Self::Ahead(_) | Self::Missing => now,
        }
    }

    /// The time at which a message that makes one contact of two does so: last within its second, as an opt-out counts. A
    /// wish to be back comes after that.
    #[must_use]
    pub fn joins(self, intent: Option<Intent>, now: Time) -> Time {
        match (self, intent) {
            (_, Some(Intent::OptIn)) => Time::from_millis(self.taught(now).min(now).millis() - 1),
            (Self::Own(seconds), _) => Time::from_millis(seconds * 1000 + 999),
            (Self::Ahead(_) | Self::Missing, _) => now,
        }
    }

    /// The key of the message in the history. It does not depend on what the message asks for.
    #[must_use]
    pub fn key(self, id: &EventId) -> HistoryKey {
        let time = match self {
            Self::Own(seconds) => Time::from_millis(seconds * 1000),
            Self::Ahead(_) | Self::Missing => Time::default(),
        };
        HistoryKey { time, id: id.clone() }
    }

    /// The key of the same message if it had been, or were to be, judged at another time; none if that is the same.
    #[must_use]
    pub fn sibling(self, id: &EventId) -> Option<HistoryKey> {
        let time = match self {
            Self::Own(_) => Time::default(),
            Self::Ahead(seconds) => Time::from_millis(seconds.saturating_mul(1000)),
            Self::Missing => return None,
        };
        Some(HistoryKey { time, id: id.clone() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: i64) -> Time {
        Time::from_millis(millis)
    }

    #[test]
    fn timestamps_are_judged_at_the_time_of_processing() {
        let now = at(1_000_000_000);
        assert_eq!(MessageTime::judge(Some(1_000_300), now), MessageTime::Own(1_000_300));
        assert_eq!(MessageTime::judge(Some(1_000_301), now), MessageTime::Ahead(1_000_301));
        assert_eq!(MessageTime::judge(Some(i64::MAX), now), MessageTime::Ahead(i64::MAX));
        assert_eq!(MessageTime::judge(Some(-1), now), MessageTime::Missing);
        assert_eq!(MessageTime::judge(Some(0), now), MessageTime::Missing);
        assert_eq!(MessageTime::Own(7).at(Intent::OptOut, now), Some(at(7_999)));
        assert_eq!(MessageTime::Own(7).at(Intent::OptIn, now), Some(at(7_000)));
        assert_eq!(MessageTime::Own(1_000_300).at(Intent::OptIn, now), Some(now));
        assert_eq!(MessageTime::Own(1_000_300).at(Intent::OptOut, now), Some(at(1_000_300_999)));
        assert_eq!(MessageTime::Missing.at(Intent::OptOut, now), Some(now));
        assert_eq!(MessageTime::Missing.at(Intent::OptIn, now), None);
    }

    #[test]
    fn a_message_judged_early_and_late_finds_its_own_entry() {
        let id = EventId::unique();
        let (early, late) = (MessageTime::Ahead(50), MessageTime::Own(50));
        assert_eq!(late.sibling(&id), Some(early.key(&id)));
        assert_eq!(early.sibling(&id), Some(late.key(&id)));
    }
}
