//! Rows of JSON Lines: each a JSON text or object.
//!
//! The usual row, a flat object without escapes, is checked and read in one go. Any other is left to `serde_json`, so that a row is
//! valid exactly if it is for the filter's other form.

use std::borrow::Cow;
use std::ops::Range;

use memchr::memchr;

use super::number;
use super::recipient::{Recipient, USER_ID};
use super::scan::{self, Marks};
use super::window::{Whose, Window};

/// JSON Lines whose objects have their id in a field of this name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct JsonLines {
    /// The field of the id. In the field `user_id` there may be another.
    pub(super) field: String,
}

impl JsonLines {
    /// Reads all rows into the window that the bytes have. `end` says that nothing follows them. Answers how many bytes were read: whole
    /// rows only.
    pub(super) fn read(&self, bytes: &[u8], end: bool, window: &mut Window) -> usize {
        let mut marks = std::mem::take(&mut window.marks);
        marks.clear();
        let (chunks, rest) = bytes.as_chunks();
        marks.extend(chunks.iter().map(scan::marks));
        let mut chunk = [b' '; scan::CHUNK];
        chunk[..rest.len()].copy_from_slice(rest);
        marks.push(scan::marks(&chunk));

        let mut start = 0;
        for (chunk, place) in (0..).step_by(scan::CHUNK).zip(&marks) {
            for line_break in scan::places(place.line_breaks) {
                let next = chunk + line_break + 1;
                self.line(bytes, start, next, &marks, window);
                start = next;
            }
        }
        if end && start < bytes.len() {
            self.line(bytes, start, bytes.len(), &marks, window);
            start = bytes.len();
        }
        window.marks = marks;
        start
    }

    /// Adds a row of any kind, and answers where the next one begins; none if it does not end within the bytes.
    pub(super) fn row(&self, bytes: &[u8], end: bool, window: &mut Window) -> Option<usize> {
        let next = match memchr(b'\n', bytes) {
            Some(length) => length + 1,
            None if end => bytes.len(),
            None => return None,
        };
        let whose = self.closer_look(&bytes[..next], window);
        window.add(0, next, whose);
        Some(next)
    }

    /// What a row gives as its id, or else all of it.
    pub(super) fn contact<'a>(&self, row: &'a [u8]) -> Cow<'a, [u8]> {
        match str::from_utf8(row).ok().and_then(|row| Recipient::parse(row, &self.field)) {
            Some(recipient) => Cow::Owned(recipient.id.into_bytes()),
            None => Cow::Borrowed(row.trim_ascii()),
        }
    }

    /// Adds the row that is this line.
    #[inline]
    fn line(&self, bytes: &[u8], start: usize, end: usize, marks: &[Marks], window: &mut Window) {
        let row = &bytes[start..end];
        let read = match row[0] {
            b'{' => self.object(&bytes[..end], start, marks, window),
            b'"' => text(&bytes[start..]),
            _ => None,
        };
        let whose = read.unwrap_or_else(|| self.closer_look(row, window));
        window.add(start, end, whose);
    }

    #[cold]
    fn closer_look(&self, row: &[u8], window: &mut Window) -> Whose {
        if row.iter().all(|byte| b" \t\r\n".contains(byte)) {
            return Whose::BLANK;
        }
        let recipient = str::from_utf8(row).ok().and_then(|row| Recipient::parse(row, &self.field));
        recipient.map_or(Whose::NOBODY, |recipient| window.whose([Some(&recipient.id), recipient.user_id.as_deref()]))
    }

    /// Whose the row is that begins at `start`, if it is an object of texts, numbers and the like without escapes; none if it takes a
    /// closer look.
    #[inline]
    fn object(&self, bytes: &[u8], start: usize, marks: &[Marks], window: &mut Window) -> Option<Whose> {
        let row = &bytes[start..];
        let chunks = &marks[start / scan::CHUNK..=(bytes.len() - 1) / scan::CHUNK];
        // What is told of a chunk may be in the rows before or behind.
        if chunks.iter().any(|chunk| chunk.odd) && !is_plain(row)
            || chunks.iter().any(|chunk| chunk.beyond_ascii) && str::from_utf8(row).is_err()
        {
            return None;
        }
        // Without escapes, every other quote closes a string.
        let mut quotes = Quotes::new(marks, start);
        let (mut id, mut user_id): (Option<Range<usize>>, Option<Range<usize>>) = (None, None);
        let mut at = if bytes.get(start + 1)? == &b'"' { start + 1 } else { skip_spaces(bytes, start + 1) };
        loop {
            if bytes.get(at) != Some(&b'"') {
                return None;
            }
            let key = at + 1..quotes.string_end()?;
            at = match bytes.get(key.end + 1..key.end + 3)? {
                b":\"" => key.end + 2,
                [b':', _] => skip_spaces(bytes, key.end + 2),
                _ => return None,
            };
            let key = &bytes[key];
            let wanted = if key == self.field.as_bytes() {
                Some(&mut id)
            } else if key == USER_ID.as_bytes() {
                Some(&mut user_id)
            } else {
                None
            };
            if bytes.get(at) == Some(&b'"') {
                let value = at + 1..quotes.string_end()?;
                at = value.end + 1;
                // One that says the same twice takes a closer look.
                if wanted.is_some_and(|wanted| wanted.replace(value).is_some()) {
                    return None;
                }
            } else if wanted.is_none() {
                at = skip_value(bytes, at)?;
            } else {
                return None;
            }
            at = match bytes.get(at..at + 2)? {
                b",\"" => at + 1,
                b"}\n" => break,
                _ => {
                    at = skip_spaces(bytes, at);
                    match bytes[at..] {
                        [b',', ..] => skip_spaces(bytes, at + 1),
                        [b'}'] | [b'}', b'\n'] | [b'}', b'\r', b'\n'] => break,
                        _ => return None,
                    }
                }
            };
        }
        let id = id?;
        if user_id.is_none()
            && let Some((number, length)) = number::leading(&bytes[id.start..])
            && length == id.len()
        {
            return Some(Whose::number(number));
        }
        let text = |range: Range<usize>| str::from_utf8(&bytes[range]).ok();
        let user_id = if let Some(user_id) = user_id { Some(text(user_id)?) } else { None };
        Some(window.whose([Some(text(id)?), user_id]))
    }
}

/// The quotes of a row, one after the other.
struct Quotes<'a> {
    marks: &'a [Marks],
    chunk: usize,
    /// Those left of the chunk.
    left: u64,
}

impl<'a> Quotes<'a> {
    /// The quotes from this place on.
    #[inline]
    fn new(marks: &'a [Marks], start: usize) -> Self {
        let chunk = start / scan::CHUNK;
        Self { marks, chunk, left: marks[chunk].quotes & !0 << (start % scan::CHUNK) }
    }

    /// Where the string ends that begins with the next quote.
    #[inline]
    fn string_end(&mut self) -> Option<usize> {
        self.next()?;
        self.next()
    }

    #[inline]
    fn next(&mut self) -> Option<usize> {
        while self.left == 0 {
            self.chunk += 1;
            self.left = self.marks.get(self.chunk)?.quotes;
        }
        let place = self.left.trailing_zeros() as usize;
        self.left &= self.left - 1;
        Some(self.chunk * scan::CHUNK + place)
    }
}

/// Whether the row has neither an escape nor a control character before its line break.
fn is_plain(row: &[u8]) -> bool {
    let row = row.strip_suffix(b"\n").unwrap_or(row);
    let row = row.strip_suffix(b"\r").unwrap_or(row);
    !row.iter().any(|&byte| byte == b'\\' || byte < b' ')
}

/// Whose the row is that begins with a text of plain digits and has nothing else.
#[inline]
fn text(bytes: &[u8]) -> Option<Whose> {
    let (number, length) = number::leading(&bytes[1..])?;
    matches!(bytes[1 + length..], [b'"'] | [b'"', b'\n', ..] | [b'"', b'\r', b'\n', ..])
        .then_some(Whose::number(number))
}

/// Where the value ends that begins at `start`, if it is a number or a word.
#[inline]
fn skip_value(row: &[u8], start: usize) -> Option<usize> {
    let rest = &row[start..];
    let length = match rest.first()? {
        b'-' | b'0'..=b'9' => number_length(rest)?,
        b't' if rest.starts_with(b"true") => 4,
        b'n' if rest.starts_with(b"null") => 4,
        b'f' if rest.starts_with(b"false") => 5,
        _ => return None,
    };
    Some(start + length)
}

/// How long the number is, without an exponent, that the bytes begin with.
fn number_length(bytes: &[u8]) -> Option<usize> {
    let digits = |from: usize| bytes[from..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    let sign = usize::from(bytes[0] == b'-');
    let whole = digits(sign);
    if whole == 0 || whole > 1 && bytes[sign] == b'0' {
        return None;
    }
    let end = sign + whole;
    if bytes.get(end) != Some(&b'.') {
        return Some(end);
    }
    let fraction = digits(end + 1);
    (fraction > 0).then_some(end + 1 + fraction)
}

fn skip_spaces(row: &[u8], at: usize) -> usize {
    at + row[at..].iter().take_while(|&&byte| byte == b' ').count()
}
