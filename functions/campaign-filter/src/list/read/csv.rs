//! The rows of CSV: [RFC 4180](https://www.rfc-editor.org/rfc/rfc4180), and the deviations of spreadsheets.
//!
//! A quote opens a field only as its first character, and two quotes inside stand for one. The bytes between the closing
//! quote and the next comma belong to the field. A row ends with LF or CRLF, or with the file. Outside of quotes, CR may
//! stand nowhere else: some readers take it for the end of a row, and would read recipients that were never looked up.

use std::borrow::Cow;

use memchr::{memchr, memchr_iter, memchr2};

use super::window::{MultilineRow, RowOwner, Window};
use crate::list::format::Block;
use crate::list::number::{self, LeadingNumber};

/// The columns with the ids, counted from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Csv {
    /// The column of the id.
    pub(super) column: usize,
    /// The column of a second id, if there is one. Its cells may be empty.
    pub(super) user_id: Option<usize>,
}

/// The number of bytes without a quote from which it pays to look for all line breaks at once.
const PLAIN_BYTES: usize = 256;

/// A field of a row.
struct CsvField<'a> {
    /// The bytes of the field, quotes included.
    raw: &'a [u8],
    /// The index of the first byte of the next field or row.
    next: usize,
    is_last: bool,
    /// A CR stands outside of quotes, and ends no line.
    has_return: bool,
    /// The quote is not closed within the file.
    is_open: bool,
}

/// A header row.
pub(super) struct CsvHeader<'a> {
    pub(super) names: Vec<Cow<'a, [u8]>>,
    /// The number of bytes up to the next row.
    pub(super) length: usize,
    /// A CR stands outside of quotes, and ends no line.
    pub(super) has_return: bool,
    /// A quote is not closed within the file.
    pub(super) is_open: bool,
}

/// A row, as far as its ids matter.
struct CsvRow<'a> {
    /// The field of the id, quotes included.
    id: Option<&'a [u8]>,
    /// The field of the second id, quotes included.
    user_id: Option<&'a [u8]>,
    /// The index of the first byte of the next row.
    next: usize,
    has_return: bool,
    is_open: bool,
}

impl Csv {
    /// See [`Layout::rows`](super::Layout::rows).
    pub(super) fn rows(self, block: Block, window: &mut Window) -> usize {
        let bytes = block.bytes;
        let mut start = 0;
        let mut line_breaks = std::mem::take(&mut window.line_breaks);
        while start < bytes.len() {
            // Up to the next quote, every row is a line.
            let plain = memchr(b'"', &bytes[start..]).map_or(bytes.len(), |length| start + length);
            if plain - start > PLAIN_BYTES {
                let lines = &bytes[start..plain];
                let has_returns = line_breaks.find(lines);
                let mut line = 0;
                while let Some(line_break) = line_breaks.next(line) {
                    let owner = self.line_owner(&bytes[start + line..], line_break - line, has_returns, window);
                    window.add(start + line_break + 1, owner);
                    line = line_break + 1;
                }
                start += line;
            }
            if start == bytes.len() {
                break;
            }
            match self.row(block, start, window) {
                Some(next) => start = next,
                None => break,
            }
        }
        window.line_breaks = line_breaks;
        start
    }

    /// Reads any row, and returns the index of the next one. `None` if the block breaks the row off.
    pub(super) fn row(self, block: Block, start: usize, window: &mut Window) -> Option<usize> {
        let CsvRow { id, user_id, next, has_return, is_open } = self.read_row(block, start)?;
        window.has_open_quote |= is_open;
        let row = &block.bytes[start..next];
        let owner = if without_line_break(row).is_empty() {
            RowOwner::BLANK
        } else if has_return {
            RowOwner::INVALID
        } else {
            let (id, user_id) = (id.map(unquoted), user_id.map(unquoted));
            owner(window, id.as_deref().unwrap_or_default(), user_id.as_deref())
        };
        let more_lines = memchr_iter(b'\n', &row[..row.len() - 1]).count() as u64;
        if more_lines > 0 {
            window.multiline.push(MultilineRow { row: window.len(), more_lines });
        }
        window.add(next, owner);
        Some(next)
    }

    /// The text of a row's id. Empty if the row is too short.
    pub(super) fn contact(self, row: &[u8]) -> Cow<'_, [u8]> {
        let row = self.read_row(Block { bytes: row, is_last: true }, 0);
        row.and_then(|row| row.id).map_or(Cow::Borrowed(b""), unquoted)
    }

    /// The owner of a row without quotes: the first `length` bytes, behind which its line break stands.
    #[inline]
    fn line_owner(self, bytes: &[u8], length: usize, has_returns: bool, window: &mut Window) -> RowOwner {
        let row = without_line_break(&bytes[..length]);
        if row.is_empty() {
            return RowOwner::BLANK;
        }
        if has_returns && memchr(b'\r', row).is_some() {
            return RowOwner::INVALID;
        }
        let Some(start) = field_start(row, self.column) else { return RowOwner::INVALID };
        let user_id = self.user_id.and_then(|column| Some(plain_field(&row[field_start(row, column)?..])));
        // The number may be read from bytes behind the row, as digits do not reach over a line break.
        if user_id.is_none_or(<[u8]>::is_empty)
            && let Some(LeadingNumber { number, length }) = number::leading(&bytes[start..])
            && row.get(start + length).is_none_or(|&byte| byte == b',')
        {
            return RowOwner::number(number);
        }
        owner(window, plain_field(&row[start..]), user_id)
    }

    /// The row that begins at `start`. `None` if the block breaks it off.
    fn read_row(self, block: Block<'_>, start: usize) -> Option<CsvRow<'_>> {
        let mut row = CsvRow { id: None, user_id: None, next: start, has_return: false, is_open: false };
        for column in 0.. {
            let field = field(block, row.next)?;
            if column == self.column {
                row.id = Some(field.raw);
            } else if Some(column) == self.user_id {
                row.user_id = Some(field.raw);
            }
            row.next = field.next;
            row.has_return |= field.has_return;
            row.is_open |= field.is_open;
            if field.is_last {
                break;
            }
        }
        Some(row)
    }
}

/// The owner of a row with these cells. A second id of spaces only is none.
fn owner(window: &mut Window, id: &[u8], user_id: Option<&[u8]>) -> RowOwner {
    let user_id = user_id.filter(|text| !text.trim_ascii().is_empty());
    match (str::from_utf8(id), user_id.map(str::from_utf8).transpose()) {
        (Ok(id), Ok(user_id)) => window.owner(id, user_id),
        _ => RowOwner::INVALID,
    }
}

/// The index of the first byte of a column in a row without quotes. `None` if the row is too short.
#[inline]
fn field_start(row: &[u8], column: usize) -> Option<usize> {
    let mut start = 0;
    for _ in 0..column {
        start += memchr(b',', &row[start..])? + 1;
    }
    Some(start)
}

/// The field without quotes that the bytes begin with.
#[inline]
fn plain_field(bytes: &[u8]) -> &[u8] {
    &bytes[..memchr(b',', bytes).unwrap_or(bytes.len())]
}

/// The header row that the block begins with. `None` if the block breaks it off.
pub(super) fn header(block: Block<'_>) -> Option<CsvHeader<'_>> {
    let mut header = CsvHeader { names: Vec::new(), length: 0, has_return: false, is_open: false };
    loop {
        let field = field(block, header.length)?;
        header.names.push(unquoted(field.raw));
        header.length = field.next;
        header.has_return |= field.has_return;
        header.is_open |= field.is_open;
        if field.is_last {
            return Some(header);
        }
    }
}

/// The field that begins at `start`. `None` if the block breaks it off.
fn field(block: Block<'_>, start: usize) -> Option<CsvField<'_>> {
    let Block { bytes, is_last: is_end } = block;
    let mut at = start;
    if bytes.get(at) == Some(&b'"') {
        at += 1;
        loop {
            let Some(length) = memchr(b'"', &bytes[at..]) else {
                // The quote is never closed, so that all the rest is the field.
                let raw = &bytes[start..];
                let field = CsvField { raw, next: bytes.len(), is_last: true, has_return: false, is_open: true };
                return is_end.then_some(field);
            };
            at += length + 1;
            match bytes.get(at) {
                Some(b'"') => at += 1,
                None if !is_end => return None,
                _ => break,
            }
        }
    }
    let (raw, next, is_last) = match memchr2(b',', b'\n', &bytes[at..]) {
        Some(length) if bytes[at + length] == b',' => (&bytes[start..at + length], at + length + 1, false),
        Some(length) => {
            let next = at + length + 1;
            let raw = if length > 0 { without_line_break(&bytes[start..next]) } else { &bytes[start..at] };
            (raw, next, true)
        }
        None if !is_end => return None,
        None => (without_line_break(&bytes[start..]), bytes.len(), true),
    };
    let has_return = raw.get(at - start..).is_some_and(|unquoted| memchr(b'\r', unquoted).is_some());
    Some(CsvField { raw, next, is_last, has_return, is_open: false })
}

/// A row or last field without its line break.
fn without_line_break(row: &[u8]) -> &[u8] {
    let row = row.strip_suffix(b"\n").unwrap_or(row);
    row.strip_suffix(b"\r").unwrap_or(row)
}

/// The text of a field.
fn unquoted(raw: &[u8]) -> Cow<'_, [u8]> {
    let Some(quoted) = raw.strip_prefix(b"\"") else { return Cow::Borrowed(raw) };
    if let Some(length) = memchr(b'"', quoted)
        && length + 1 == quoted.len()
    {
        return Cow::Borrowed(&quoted[..length]);
    }
    let mut text = Vec::with_capacity(quoted.len());
    let mut rest = quoted;
    while let Some(length) = memchr(b'"', rest) {
        text.extend(&rest[..length]);
        rest = &rest[length + 1..];
        match rest.strip_prefix(b"\"") {
            Some(behind) => {
                text.push(b'"');
                rest = behind;
            }
            None => break,
        }
    }
    text.extend(rest);
    Cow::Owned(text)
}
