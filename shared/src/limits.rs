//! How long anything waits for anything, all in one place.
//!
//! A function that runs out of its own time is cut off wherever it is, so what it waits for has to end well before.

use std::time::Duration;

/// For a connection.
pub const CONNECT: Duration = Duration::from_secs(1);

/// Before the second attempt of a call, at most; twice as long before each further one.
pub const FIRST_PAUSE: Duration = Duration::from_millis(50);

/// Before any further attempt.
pub const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// For a call of AWS.
#[derive(Clone, Copy, Debug)]
pub struct Call {
    /// For the answer to one attempt.
    pub attempt: Duration,
    /// For all attempts together.
    pub all: Duration,
    /// How many attempts there are.
    pub attempts: u32,
}

/// For a call of AWS where the function has ten seconds.
pub const CALL: Call = Call { attempt: Duration::from_secs(1), all: Duration::from_secs(5), attempts: 4 };

/// For the same in the campaign filter, which has fifteen minutes: a campaign had better wait than fail. An answer may carry a
/// mebibyte of the table, and as one of sixteen at once, or five of S3.
pub const CAMPAIGN_CALL: Call = Call { attempt: Duration::from_secs(20), all: Duration::from_mins(1), attempts: 8 };

/// What the campaign filter keeps of its time to end well: an upload that is broken off has to be thrown away.
pub const CAMPAIGN_RESERVE: Duration = Duration::from_secs(5);

/// For the Graph API's answer.
pub const GRAPH: Duration = Duration::from_secs(4);

/// For a sweep of the outbox: after this time it begins nothing new.
pub const SWEEP: Duration = Duration::from_mins(1);

/// For what a sweep has begun, after that. Sweep and end together leave the function, which has 75 seconds, some time.
pub const SWEEP_END: Duration = Duration::from_secs(8);
