//! Rows of CSV: RFC 4180, and what spreadsheets make of it.
//!
//! A quote opens a field only as its first character, and two within stand for one. What follows the closing quote up
//! to the next comma still belongs to the field. A row ends with LF or CRLF, or with the file. Outside of quotes, CR stands
//! nowhere else: some readers take it for the end of a row, and would find people there who were never looked up.

use std::borrow::Cow;

use memchr::{memchr, memchr_iter, memchr2};

use super::number;
use super::window::{Whose, Window};

/// The columns of a CSV list that hold ids, counted from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Csv {
    /// The column of the id.
    pub(super) column: usize,
    /// The column of a second id, where the list has one. Its cells may be empty.
    pub(super) user_id: Option<usize>,
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
    /// Whether there is a CR outside of quotes.
    has_return: bool,
    /// Whether its quote is not closed within the file.
    is_open: bool,
}

/// A header row.
pub(super) struct Header<'a> {
    pub(super) names: Vec<Cow<'a, [u8]>>,
    /// Where the next row begins.
    pub(super) length: usize,
    /// See [`Field::has_return`].
    pub(super) has_return: bool,
    /// See [`Field::is_open`].
    pub(super) is_open: bool,
}

/// A row of any kind.
struct Row<'a> {
    /// The field in the column of the id, as it stands.
    id: Option<&'a [u8]>,
    /// The field in the column of the second id, as it stands.
    user_id: Option<&'a [u8]>,
    /// Where the next row begins.
    next: usize,
    has_return: bool,
    is_open: bool,
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
                let has_returns = line_breaks.note(lines);
                let mut line = 0;
                while let Some(line_break) = line_breaks.next(line) {
                    let whose = self.line(&bytes[start + line..], line_break - line, has_returns, window);
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
        let Row { id, user_id, next, has_return, is_open } = self.read_row(bytes, start, end)?;
        window.is_open |= is_open;
        let row = &bytes[start..next];
        let whose = if content(row).is_empty() {
            Whose::BLANK
        } else if has_return {
            Whose::NOBODY
        } else {
            let (id, user_id) = (id.map(unquoted), user_id.map(unquoted));
            whose(window, id.as_deref().unwrap_or_default(), user_id.as_deref())
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
        self.read_row(row, 0, true).and_then(|row| row.id).map_or(Cow::Borrowed(b""), unquoted)
    }

    /// Whose a row without quotes is. It has so many of the bytes before its line break.
    #[inline]
    fn line(self, bytes: &[u8], length: usize, has_returns: bool, window: &mut Window) -> Whose {
        let row = content(&bytes[..length]);
        if row.is_empty() {
            return Whose::BLANK;
        }
        if has_returns && memchr(b'\r', row).is_some() {
            return Whose::NOBODY;
        }
        let Some(start) = field_start(row, self.column) else { return Whose::NOBODY };
        let user_id = self.user_id.and_then(|column| Some(plain_field(&row[field_start(row, column)?..])));
        if user_id.is_none_or(<[u8]>::is_empty)
            && let Some((number, length)) = number::leading(&bytes[start..])
            // Digits do not reach beyond the row.
            && row.get(start + length).is_none_or(|&byte| byte == b',')
        {
            return Whose::number(number);
        }
        whose(window, plain_field(&row[start..]), user_id)
    }

    /// The row that begins at `start`; none if it does not end within the bytes.
    fn read_row(self, bytes: &[u8], start: usize, end: bool) -> Option<Row<'_>> {
        let mut row = Row { id: None, user_id: None, next: start, has_return: false, is_open: false };
        for column in 0.. {
            let field = field(bytes, row.next, end)?;
            if column == self.column {
                row.id = Some(field.raw);
            } else if Some(column) == self.user_id {
                row.user_id = Some(field.raw);
            }
            row.next = field.next;
            row.has_return |= field.has_return;
            row.is_open |= field.is_open;
            if field.last {
                break;
            }
        }
        Some(row)
    }
}

/// Whose a row is, by what its cells say. A second id that is only spaces is none.
fn whose(window: &mut Window, id: &[u8], user_id: Option<&[u8]>) -> Whose {
    let user_id = user_id.filter(|text| !text.trim_ascii().is_empty());
    match (str::from_utf8(id), user_id.map(str::from_utf8).transpose()) {
        (Ok(id), Ok(user_id)) => window.whose([Some(id), user_id]),
        _ => Whose::NOBODY,
    }
}

/// Where a column begins in a row without quotes; none if the row is too short.
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

/// The header row that the bytes begin with; none if it does not end within them.
pub(super) fn header(bytes: &[u8], end: bool) -> Option<Header<'_>> {
    let mut header = Header { names: Vec::new(), length: 0, has_return: false, is_open: false };
    loop {
        let field = field(bytes, header.length, end)?;
        header.names.push(unquoted(field.raw));
        header.length = field.next;
        header.has_return |= field.has_return;
        header.is_open |= field.is_open;
        if field.last {
            return Some(header);
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
                return end.then(|| Field {
                    raw: &bytes[start..],
                    next: bytes.len(),
                    last: true,
                    has_return: false,
                    is_open: true,
                });
            };
            at += length + 1;
            match bytes.get(at) {
                Some(b'"') => at += 1,
                None if !end => return None,
                _ => break,
            }
        }
    }
    let (raw, next, last) = match memchr2(b',', b'\n', &bytes[at..]) {
        Some(length) if bytes[at + length] == b',' => (&bytes[start..at + length], at + length + 1, false),
        Some(length) => {
            let next = at + length + 1;
            let raw = if length > 0 { content(&bytes[start..next]) } else { &bytes[start..at] };
            (raw, next, true)
        }
        None if !end => return None,
        None => (content(&bytes[start..]), bytes.len(), true),
    };
    let has_return = raw.get(at - start..).is_some_and(|unquoted| memchr(b'\r', unquoted).is_some());
    Some(Field { raw, next, last, has_return, is_open: false })
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
