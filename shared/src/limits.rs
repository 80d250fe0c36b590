//! Time limits, all in one place.
//!
//! A function that runs out of its own time is cut off wherever it is, so what it waits for has to end well before.

use std::time::Duration;

/// Time limit for opening a connection to AWS or to the Graph API.
pub const CONNECT: Duration = Duration::from_secs(1);

/// The longest pause before the second attempt of a call; twice as long before each further one.
pub const FIRST_PAUSE: Duration = Duration::from_millis(50);

/// The longest pause before any further attempt.
pub const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// Time limits of a call of AWS.
#[derive(Clone, Copy, Debug)]
pub struct Call {
    /// Time limit for the answer to one attempt.
    pub attempt: Duration,
    /// Time limit for all attempts together.
    pub all: Duration,
    /// The number of attempts.
    pub attempts: u32,
}

/// Time limits of a call of AWS where the function has ten seconds.
pub const CALL: Call = Call { attempt: Duration::from_secs(1), all: Duration::from_secs(5), attempts: 4 };

/// Time limits of a call of AWS in the campaign filter, which has fifteen minutes: it had better wait than fail. An answer
/// has a mebibyte of the table, and as one of sixteen at once, or five of S3.
pub const CAMPAIGN_CALL: Call = Call { attempt: Duration::from_secs(20), all: Duration::from_mins(1), attempts: 8 };

/// The time that the campaign filter keeps to end well: an upload that is broken off has to be thrown away.
pub const CAMPAIGN_RESERVE: Duration = Duration::from_secs(5);

/// Time limit for the Graph API's answer to a message.
pub const GRAPH: Duration = Duration::from_secs(4);

/// Time limit of a sweep of the outbox: after it, nothing new begins.
pub const SWEEP: Duration = Duration::from_mins(1);

/// Time limit after that for deliveries that are under way. Both together leave the function, which has 75 seconds, some
/// time.
pub const SWEEP_END: Duration = Duration::from_secs(8);
