//! The rows of [JSON Lines](https://jsonlines.org): each a JSON text or object.
//!
//! A row is read by the shape of an earlier row if it has it. Any other row goes to the parser of recipients that events use
//! as well, so that a row is valid exactly if it is in an event.

use std::borrow::Cow;
use std::ops::Range;

use memchr::memchr;

use super::shape::ShapedRow;
use super::window::{RowOwner, Window};
use crate::list::format::Block;
use crate::list::number::{self, LeadingNumber};
use crate::recipient::{IdField, IdTexts};

/// JSON Lines whose objects have their id in this field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct JsonLines {
    pub(super) field: String,
}

/// A row that was read without a parser.
struct QuickRow {
    owner: RowOwner,
    /// The index of the first byte of the next row.
    next: usize,
}

impl JsonLines {
    /// See [`Layout::rows`](super::Layout::rows).
    pub(super) fn rows(&self, block: Block, window: &mut Window) -> usize {
        let bytes = block.bytes;
        let mut start = 0;
        while start < bytes.len() {
            let Some(QuickRow { owner, next }) = text(bytes, start).or_else(|| shaped(bytes, start, window)) else {
                match self.unknown(block, start, window) {
                    Some(next) => start = next,
                    None => break,
                }
                continue;
            };
            window.add(next, owner);
            start = next;
        }
        start
    }

    /// Reads any row, and returns the index of the next one. `None` if the block breaks the row off.
    pub(super) fn row(&self, block: Block, start: usize, window: &mut Window) -> Option<usize> {
        let next = match memchr(b'\n', &block.bytes[start..]) {
            Some(length) => start + length + 1,
            None if block.is_last => block.bytes.len(),
            None => return None,
        };
        let owner = self.parsed_owner(&block.bytes[start..next], window);
        window.add(next, owner);
        Some(next)
    }

    /// The text of a row's id, or all of the row if it has none.
    pub(super) fn contact<'a>(&self, row: &'a [u8]) -> Cow<'a, [u8]> {
        match self.parse(row) {
            Some(recipient) => Cow::Owned(recipient.id.into_bytes()),
            None => Cow::Borrowed(row.trim_ascii()),
        }
    }

    /// Reads a row whose shape is unknown, and learns its shape.
    #[cold]
    fn unknown(&self, block: Block, start: usize, window: &mut Window) -> Option<usize> {
        let next = self.row(block, start, window)?;
        if window.owners.last() != Some(&RowOwner::INVALID) {
            window.shapes.learn(&block.bytes[start..next], IdField(&self.field));
        }
        Some(next)
    }

    #[cold]
    fn parsed_owner(&self, row: &[u8], window: &mut Window) -> RowOwner {
        if row.iter().all(|byte| b" \t\r\n".contains(byte)) {
            return RowOwner::BLANK;
        }
        let recipient = self.parse(row);
        recipient.map_or(RowOwner::INVALID, |IdTexts { id, user_id }| window.owner(&id, user_id.as_deref()))
    }

    fn parse(&self, row: &[u8]) -> Option<IdTexts> {
        IdField(&self.field).parse(str::from_utf8(row).ok()?)
    }
}

/// The row that begins at `start`, if it has the shape of an earlier one.
#[inline]
fn shaped(bytes: &[u8], start: usize, window: &mut Window) -> Option<QuickRow> {
    let ShapedRow { id, user_id, next } = window.shapes.read(bytes, start)?;
    if user_id.is_none()
        && let Some(LeadingNumber { number, length }) = number::leading(&bytes[id.start..])
        && length == id.len()
    {
        return Some(QuickRow { owner: RowOwner::number(number), next });
    }
    let text = |range: Range<usize>| str::from_utf8(&bytes[range]).ok();
    let user_id = if let Some(user_id) = user_id { Some(text(user_id)?) } else { None };
    Some(QuickRow { owner: window.owner(text(id)?, user_id), next })
}

/// The row that begins at `start`, if it is a JSON text of plain digits.
#[inline]
fn text(bytes: &[u8], start: usize) -> Option<QuickRow> {
    let bytes = &bytes[start..];
    let LeadingNumber { number, length } = number::leading(bytes.strip_prefix(b"\"")?)?;
    let line_break = match bytes[1 + length..] {
        [b'"', b'\n', ..] => 1,
        [b'"', b'\r', b'\n', ..] => 2,
        _ => return None,
    };
    Some(QuickRow { owner: RowOwner::number(number), next: start + length + 2 + line_break })
}
