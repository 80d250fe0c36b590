//! How long anything waits for anything, all in one place.
//!
//! A function that runs out of its own time is cut off wherever it is, so what it waits for has to end well before.

use std::time::Duration;

/// For a connection.
pub const CONNECT: Duration = Duration::from_secs(1);

/// For AWS's answer to one attempt.
pub const ATTEMPT: Duration = Duration::from_secs(1);

/// For a call of AWS with all its attempts, where the function has ten seconds.
pub const CALL: Duration = Duration::from_secs(5);

/// For the same in the campaign filter, which has fifteen minutes: a campaign had better wait than fail.
pub const CAMPAIGN_CALL: Duration = Duration::from_mins(1);

/// For the answer of S3 to one attempt, which may carry eight mebibytes.
pub const OBJECT_ATTEMPT: Duration = Duration::from_secs(20);

/// What the campaign filter keeps of its time to end well: an upload that is broken off has to be thrown away.
pub const CAMPAIGN_RESERVE: Duration = Duration::from_secs(5);

/// For the Graph API's answer.
pub const GRAPH: Duration = Duration::from_secs(4);
