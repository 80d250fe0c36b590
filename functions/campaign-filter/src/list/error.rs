//! The error of a list that can't be filtered.

use super::file_type::NotAList;
use super::header::{MissingColumn, shortened};
use super::limits::BATCH_JSON;
use crate::recipient::USER_ID;

/// A list could not be filtered. All but [`Self::Disk`] are faults of the list, and its author can mend them.
#[derive(Debug, thiserror::Error)]
pub enum ListError {
    /// The file is no list.
    #[error("source: {0}")]
    NotAList(#[from] NotAList),
    /// The header row lacks the column of the ids.
    #[error("{}", missing_column(.column, .found))]
    NoColumn {
        /// The name of the column.
        column: String,
        /// The header row, as far as an error may show it.
        found: MissingColumn,
    },
    /// The header row has the column of the ids more than once.
    #[error("source.column: the list has several columns {:?}; keep one of them", shortened(.0))]
    SeveralColumns(String),
    /// The header row has the column of second ids more than once.
    #[error("source: the list has several columns {USER_ID:?}; keep one of them")]
    SeveralUserIds,
    /// The row that begins in this line is longer than [`LONGEST_ROW`](super::LONGEST_ROW).
    #[error("line {0}: the row has more than 64 KiB; is a quote not closed?")]
    LongRow(u64),
    /// The row that begins in this line takes more as JSON than a batch may.
    #[error("line {0}: the row takes more than {limit} KiB as JSON, more than a batch may have; shorten it", limit = BATCH_JSON >> 10)]
    WideRow(u64),
    /// The row that begins in this line has a quote that is not closed until the list ends. Recipients may stand behind it.
    #[error("line {0}: a quote is opened and never closed")]
    OpenQuote(u64),
    /// The header row has a carriage return that ends no line.
    #[error("source: lines end with a carriage return alone; save the list with LF or CRLF")]
    CarriageReturn,
    /// The list has too many rows, or too long ones.
    #[error("source: the list makes more than 20,000 batches; split it")]
    TooManyBatches,
    /// The temporary file that finds duplicates failed.
    #[error("the temporary file failed: {0}")]
    Disk(#[from] std::io::Error),
}

fn missing_column(column: &str, found: &MissingColumn) -> String {
    let column = shortened(column);
    match found {
        MissingColumn::Others(columns) => {
            format!("source.column: the list has no column {column:?}; it has {columns}")
        }
        MissingColumn::Separated(separator, columns) => {
            format!(
                "source: the columns of the list are separated by {separator}; save it with commas (it has {columns})"
            )
        }
        MissingColumn::Directive => {
            "source: the list begins with `sep=`, which only spreadsheets understand; remove that line".to_owned()
        }
        MissingColumn::NoHeader => format!(
            "source.column: the list has no column {column:?}, and its first row does not look like a header row; put one above it"
        ),
    }
}
