//! Recipient lists too large for an event: filtered in one pass over their bytes, whatever their length.
//!
//! This is the pure part. It is fed with blocks of a file and appends to the eligible and the skipped; where they come
//! from and go to is the caller's. Rows come out byte for byte as they went in. Memory depends on the suppression list,
//! not on the recipients.

mod batches;
mod csv;
mod duplicates;
mod filter;
mod index;
mod json_size;
mod jsonl;
mod judge;
mod key;
mod kind;
mod layout;
mod number;
mod pass;
mod recipient;
mod rows;
mod scan;
mod seen;
mod shape;
mod skipped;
mod spill;
mod verdict;
mod window;

use std::fmt;

pub use batches::{Batch, BatchSize};
pub use duplicates::Duplicates;
pub use index::{Index, IndexBuilder};
pub(crate) use kind::TELLING;
pub use kind::{Columns, NoColumn, NotAList, Separator};
pub use layout::{Format, Layout};
pub use pass::{Outcome, Pass};
pub(crate) use rows::{Rows, names};

/// The longest row, in bytes, that of the header included: what is longer is an unclosed quote or no list.
pub const LONGEST_ROW: usize = 64 << 10;

/// The most bytes that the rows of a batch may take as JSON. A state machine carries 256 KiB from state to state; what it
/// carries besides, such as the names of lists, has the rest.
pub const BATCH_JSON: u64 = 200 << 10;

/// What is known of the people whom a list may name.
#[derive(Clone, Copy, Debug)]
pub struct People<'a> {
    /// The suppression list, or what of it concerns the block at hand.
    pub suppressed: &'a Index,
    /// Where explicit opt-in is demanded, everybody who gave it; the rest of their entries does not matter.
    pub opted_in: Option<&'a Index>,
}

/// What a pass writes, for its caller to take away between blocks.
pub struct Output {
    /// The rows of the eligible as they were given, and first what comes before all rows: byte order mark and header
    /// row.
    pub eligible: Vec<u8>,
    /// CSV with a header row: the line, the contact as given, and the reason.
    pub skipped: Vec<u8>,
}

impl Default for Output {
    fn default() -> Self {
        Self { eligible: Vec::new(), skipped: skipped::HEADER.to_vec() }
    }
}

// What is printed ends up in logs, where nobody's number may stand.
impl fmt::Debug for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Output({} bytes eligible, {} bytes skipped)", self.eligible.len(), self.skipped.len())
    }
}

/// A list could not be filtered.
#[derive(Debug, thiserror::Error)]
pub enum ListError {
    /// It is another kind of file.
    #[error("source: {0}")]
    NotAList(#[from] NotAList),
    /// The header row lacks the column.
    #[error("{}", no_column(.column, .found))]
    NoColumn {
        /// The column.
        column: String,
        /// What there is in its place.
        found: NoColumn,
    },
    /// The header row has this column more than once.
    #[error("source.column: the list has several columns {:?}; keep one of them", kind::shortened(.0))]
    SeveralColumns(String),
    /// The header row has the column of second ids more than once.
    #[error("source: the list has several columns {user_id:?}; keep one of them", user_id = recipient::USER_ID)]
    SeveralUserIds,
    /// A row has no end.
    #[error("line {0}: the row has more than 64 KiB; is a quote not closed?")]
    LongRow(u64),
    /// A row takes more as JSON than a batch may.
    #[error("line {0}: the row takes more than {limit} KiB as JSON, more than a batch may have; shorten it", limit = BATCH_JSON >> 10)]
    WideRow(u64),
    /// A quote is not closed until the list ends: people may stand behind it.
    #[error("line {0}: a quote is opened and never closed")]
    OpenQuote(u64),
    /// The header row has a carriage return that ends no line.
    #[error("source: lines end with a carriage return alone; save the list with LF or CRLF")]
    CarriageReturn,
    /// The list has too many rows, or too long ones.
    #[error("source: the list makes more than 20,000 batches; split it")]
    TooManyBatches,
    /// The file for what does not fit memory failed.
    #[error("the temporary file failed: {0}")]
    Disk(#[from] std::io::Error),
}

fn no_column(column: &str, found: &NoColumn) -> String {
    let column = kind::shortened(column);
    match found {
        NoColumn::Others(columns) => format!("source.column: the list has no column {column:?}; it has {columns}"),
        NoColumn::Separated(separator, columns) => {
            format!(
                "source: the columns of the list are separated by {separator}; save it with commas (it has {columns})"
            )
        }
        NoColumn::Directive => {
            "source: the list begins with `sep=`, which only spreadsheets understand; remove that line".to_owned()
        }
        NoColumn::NoHeader => format!(
            "source.column: the list has no column {column:?}, and its first row does not look like a header row; put one above it"
        ),
    }
}
