//! Rows of CSV: RFC 4180, and what spreadsheets make of it.
//!
//! A quote opens a field only as its first character, and two within stand for one. What follows the closing quote up
//! to the next comma still belongs to the field. A row ends with LF or CRLF, or with the file.

use std::borrow::Cow;

use memchr::{memchr, memchr_iter, memchr2};

use super::number;
use super::window::{Whose, Window};

/// CSV whose ids are in one column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Csv {
    /// Which column, counted from 0.
    pub(super) column: usize,
}

/// How many bytes without a quote are worth to be looked at together.
const WORTH_IT: usize = 256;

/// A field of a row.
struct Field<'a> {
    /// As it stands, quotes included.
    raw: &'a [u8],
    /// Where the next field or row begins.
    next: usize,
    /// Whether it is the last of its row.
    last: bool,
}

impl Csv {
    /// Reads all rows into the window that the bytes have. `end` says that nothing follows them. Answers how many bytes
    /// were read: whole rows only.
    pub(super) fn read(self, bytes: &[u8], end: bool, window: &mut Window) -> usize {
        let mut start = 0;
        let mut line_breaks = std::mem::take(&mut window.line_breaks);
        while start < bytes.len() {
            // Up to the next quote, a row is simply a line.
            let plain = memchr(b'"', &bytes[start..]).map_or(bytes.len(), |length| start + length);
            if plain - start > WORTH_IT {
                let lines = &bytes[start..plain];
                line_breaks.note(lines);
                let mut line = 0;
                while let Some(line_break) = line_breaks.next(line) {
                    let whose = self.line(&bytes[start + line..], line_break - line, window);
                    window.add(start + line_break + 1, whose);
                    line = line_break + 1;
                }
                start += line;
            }
            if start == bytes.len() {
                break;
            }
            match self.row(bytes, start, end, window) {
                Some(next) => start = next,
                None => break,
            }
        }
        window.line_breaks = line_breaks;
        start
    }

    /// Adds a row of any kind, and answers where the next one begins; none if it does not end within the bytes.
    pub(super) fn row(self, bytes: &[u8], start: usize, end: bool, window: &mut Window) -> Option<usize> {
        let (field, next) = self.field(bytes, start, end)?;
        let row = &bytes[start..next];
        let whose = if content(row).is_empty() {
            Whose::BLANK
        } else {
            let text = field.map(unquoted);
            window.whose([text.as_deref().and_then(|text| str::from_utf8(text).ok()), None])
        };
        let more_lines = memchr_iter(b'\n', &row[..row.len() - 1]).count() as u64;
        if more_lines > 0 {
            window.tall.push((window.len(), more_lines));
        }
        window.add(next, whose);
        Some(next)
    }

    /// The text in the column of a row.
    pub(super) fn contact(self, row: &[u8]) -> Cow<'_, [u8]> {
        self.field(row, 0, true).and_then(|(field, _)| field).map_or(Cow::Borrowed(b""), unquoted)
    }

    /// Whose a row without quotes is. It has so many of the bytes before its line break.
    #[inline]
    fn line(self, bytes: &[u8], length: usize, window: &mut Window) -> Whose {
        let row = content(&bytes[..length]);
        if row.is_empty() {
            return Whose::BLANK;
        }
        let mut start = 0;
        for _ in 0..self.column {
            match memchr(b',', &row[start..]) {
                Some(length) => start += length + 1,
                None => return Whose::NOBODY,
            }
        }
        if let Some((number, length)) = number::leading(&bytes[start..]) {
            // Digits do not reach beyond the row.
            if row.get(start + length).is_none_or(|&byte| byte == b',') {
                return Whose::number(number);
            }
        }
        let field = &row[start..];
        let field = &field[..memchr(b',', field).unwrap_or(field.len())];
        window.whose([str::from_utf8(field).ok(), None])
    }

    /// The field of the column in the row that begins at `start`, and where the next row begins.
    fn field(self, bytes: &[u8], start: usize, end: bool) -> Option<(Option<&[u8]>, usize)> {
        let (mut wanted, mut next) = (None, start);
        for column in 0.. {
            let field = field(bytes, next, end)?;
            if column == self.column {
                wanted = Some(field.raw);
            }
            next = field.next;
            if field.last {
                break;
            }
        }
        Some((wanted, next))
    }
}

/// The names in a header row, and where the next row begins; none if it does not end within the bytes.
pub(super) fn header(bytes: &[u8], end: bool) -> Option<(Vec<Cow<'_, [u8]>>, usize)> {
    let (mut names, mut next) = (Vec::new(), 0);
    loop {
        let field = field(bytes, next, end)?;
        names.push(unquoted(field.raw));
        next = field.next;
        if field.last {
            return Some((names, next));
        }
    }
}

/// The field that begins at `start`.
fn field(bytes: &[u8], start: usize, end: bool) -> Option<Field<'_>> {
    let mut at = start;
    if bytes.get(at) == Some(&b'"') {
        at += 1;
        loop {
            let Some(length) = memchr(b'"', &bytes[at..]) else {
                // Never closed: all the rest is the field.
                return end.then(|| Field { raw: &bytes[start..], next: bytes.len(), last: true });
            };
            at += length + 1;
            match bytes.get(at) {
                Some(b'"') => at += 1,
                None if !end => return None,
                _ => break,
            }
        }
    }
    match memchr2(b',', b'\n', &bytes[at..]) {
        Some(length) if bytes[at + length] == b',' => {
            Some(Field { raw: &bytes[start..at + length], next: at + length + 1, last: false })
        }
        Some(length) => {
            let next = at + length + 1;
            let raw = if length > 0 { content(&bytes[start..next]) } else { &bytes[start..at] };
            Some(Field { raw, next, last: true })
        }
        None if !end => None,
        None => Some(Field { raw: content(&bytes[start..]), next: bytes.len(), last: true }),
    }
}

/// A row or last field without its line break.
fn content(row: &[u8]) -> &[u8] {
    let row = row.strip_suffix(b"\n").unwrap_or(row);
    row.strip_suffix(b"\r").unwrap_or(row)
}

/// What a field says.
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
