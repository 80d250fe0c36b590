//! The formats of lists, and the blocks that lists are read in.

use serde::Deserialize;

/// The format of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// CSV by [RFC 4180](https://www.rfc-editor.org/rfc/rfc4180), with a header row.
    Csv,
    /// [JSON Lines](https://jsonlines.org): a JSON text or object in each line.
    Jsonl,
}

/// The UTF-8 encoding of U+FEFF, which some programs write at the beginning of a text file.
pub(crate) const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// Some bytes of a list, in their order.
#[derive(Clone, Copy, Debug)]
pub struct Block<'a> {
    /// The bytes. A row may begin before them or end behind them.
    pub bytes: &'a [u8],
    /// No bytes of the list follow these.
    pub is_last: bool,
}

impl<'a> Block<'a> {
    /// The rest of the block from this byte on.
    #[inline]
    pub(crate) fn from(self, start: usize) -> Self {
        Self { bytes: &self.bytes[start..], is_last: self.is_last }
    }

    /// The first bytes of the block, or all if it is shorter.
    pub(crate) fn up_to(self, length: usize) -> Block<'a> {
        let bytes = &self.bytes[..self.bytes.len().min(length)];
        Block { bytes, is_last: self.is_last && bytes.len() == self.bytes.len() }
    }
}
