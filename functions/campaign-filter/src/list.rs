//! Lists of recipients that are too large for an event. They are filtered in one pass over their bytes, whatever their
//! length.
//!
//! This is the pure part: it takes blocks of a file, and appends to the lists of the eligible and the skipped. The caller
//! reads and writes the files. Rows come out byte for byte as they went in. The memory it takes depends on the suppression
//! list, not on the number of recipients.
//!
//! The way of a row: [`Pass`] collects blocks, `read` turns their rows into ids, `judge` looks those up in an [`Index`],
//! [`Duplicates`] finds ids that came before, and `batches` cuts the eligible into batches.

mod batches;
mod duplicates;
mod error;
mod file_type;
mod format;
mod header;
mod index;
mod json_size;
mod judge;
mod key;
mod limits;
mod number;
mod output;
mod pass;
mod read;
mod verdict;

pub use batches::{BatchSize, CampaignBatch};
pub use duplicates::Duplicates;
pub use error::ListError;
pub use file_type::NotAList;
pub(crate) use file_type::TYPE_BYTES;
pub use format::{Block, Format};
pub use header::{ColumnNames, MissingColumn, Separator};
pub use index::{Index, IndexBuilder, People};
pub use judge::PassOutcome;
pub use limits::{BATCH_JSON, LONGEST_ROW};
pub use output::Output;
pub use pass::Pass;
pub use read::Layout;
pub(crate) use read::{Rows, column_names};
