//! A recipient that gets no message of a campaign.

use consent::eligibility::Reason;
use serde::Serialize;

/// A skipped recipient in the answer to an event.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct SkippedRecipient {
    /// The recipient's id as the caller wrote it.
    pub contact: String,
    /// The first reason that applies.
    pub reason: Reason,
}
