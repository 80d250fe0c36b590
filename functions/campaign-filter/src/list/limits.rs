//! The limits of lists.

/// The longest row, in bytes, the header row included. What is longer has a quote that is not closed, or is no list.
pub const LONGEST_ROW: usize = 64 << 10;

/// The most bytes that the rows of a batch may take as JSON. 256 KiB may pass from state to state in a state machine; the
/// names of lists and the like have the rest: <https://docs.aws.amazon.com/step-functions/latest/dg/service-quotas.html>.
pub const BATCH_JSON: u64 = 200 << 10;

/// The most batches of a list. A Distributed Map starts a child workflow for each, and their answers together have to fit
/// 256 KiB.
pub(crate) const MOST_BATCHES: usize = 20_000;
