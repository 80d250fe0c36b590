//! The reading of lists: bytes in, rows with their ids out.
//!
//! [`Layout`] tells where a list has its ids. By it, [`csv`] and [`jsonl`] read rows into a [`Window`]: nearly all by
//! [`scan`] and [`shape`], which look at many bytes at once, and the others by plain rules. [`Rows`] gives single rows as
//! recipients.

mod csv;
mod jsonl;
mod layout;
mod rows;
mod scan;
mod shape;
mod window;

pub use layout::Layout;
pub(crate) use rows::{Rows, column_names};
pub(crate) use window::{RowId, RowOwner, TextSpan, Window};
