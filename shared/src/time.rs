//! Points in time, in whole milliseconds.
//!
//! Order decides who may be written to, so times are numbers everywhere: in memory, in keys and in the table.
//! RFC 3339 text, whose order is not the order of time, exists only at the edge of the API ([`Rfc3339`]).

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize, Serializer};

/// A point in time: milliseconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Time(i64);

impl Time {
    /// The time that lies so many milliseconds after 1970-01-01T00:00:00Z.
    #[must_use]
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    /// Milliseconds since 1970-01-01T00:00:00Z.
    #[must_use]
    pub const fn millis(self) -> i64 {
        self.0
    }

    /// Whole seconds since 1970-01-01T00:00:00Z, rounded down.
    #[must_use]
    pub const fn seconds(self) -> i64 {
        self.0.div_euclid(1000)
    }

    /// The next moment that can be told apart from this one.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }

    /// The time that lies this duration later.
    #[must_use]
    pub fn plus(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)))
    }

    /// The duration from an earlier time to this one; zero if that is later.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or_default())
    }
}

/// RFC 3339 in UTC, always with three digits of a second: `2026-11-22T10:00:00.000Z`. A time that lies beyond the years that
/// RFC 3339 can write shows as the nearest one that it can.
impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let timestamp =
            Timestamp::from_millisecond(self.0).unwrap_or(if self.0 < 0 { Timestamp::MIN } else { Timestamp::MAX });
        write!(f, "{timestamp:.3}")
    }
}

/// The text is no RFC 3339 time.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("is not a time: write it as RFC 3339, for example 2026-11-22T10:00:00Z")]
pub struct InvalidTime;

impl FromStr for Time {
    type Err = InvalidTime;

    fn from_str(text: &str) -> Result<Self, InvalidTime> {
        text.parse::<Timestamp>().map(|timestamp| Self(timestamp.as_millisecond())).map_err(|_| InvalidTime)
    }
}

/// A time that is written as RFC 3339 text, for the API's answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rfc3339(pub Time);

impl Serialize for Rfc3339 {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_survives_its_text() {
        for millis in [0, 1_795_341_600_000, 1_795_341_600_001, 1_795_341_600_999] {
            let time = Time::from_millis(millis);
            assert_eq!(time.to_string().parse(), Ok(time));
        }
    }

    #[test]
    fn a_time_is_written_with_three_digits_of_a_second() {
        for (millis, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (1_795_341_600_000, "2026-11-22T10:00:00.000Z"),
            (1_795_341_600_050, "2026-11-22T10:00:00.050Z"),
            (1_795_341_600_999, "2026-11-22T10:00:00.999Z"),
        ] {
            assert_eq!(Time::from_millis(millis).to_string(), text);
        }
    }

    #[test]
    fn an_offset_is_taken_into_account() {
        assert_eq!("2026-11-22T12:00:00+02:00".parse::<Time>(), "2026-11-22T10:00:00Z".parse());
    }

    #[test]
    fn text_without_an_offset_is_refused() {
        assert_eq!("2026-11-22T12:00:00".parse::<Time>(), Err(InvalidTime));
    }

    #[test]
    fn times_out_of_range_still_show() {
        assert!(Time::from_millis(i64::MAX).to_string().starts_with("9999-"));
        assert!(Time::from_millis(i64::MIN).to_string().starts_with('-'));
    }
}
