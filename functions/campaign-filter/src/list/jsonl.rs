//! Rows of JSON Lines: each a JSON text or object.
//!
//! The usual row, a flat object without escapes, is checked and read in one go. Any other is left to `serde_json`, so that a row is
//! valid exactly if it is for the filter's other form.

use std::borrow::Cow;
use std::ops::Range;

use memchr::memchr;

use super::number;
use super::recipient::{Recipient, USER_ID};
use super::window::{Whose, Window};

/// JSON Lines whose objects have their id in a field of this name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct JsonLines {
    /// The field of the id. In the field `user_id` there may be another.
    pub(super) field: String,
}

impl JsonLines {
    /// Reads so many rows into the window, or as many as the bytes have. `end` says that nothing follows them. Answers how many bytes
    /// were read: whole rows only.
    pub(super) fn read(&self, bytes: &[u8], end: bool, most: usize, window: &mut Window) -> usize {
        let mut start = 0;
        while start < bytes.len() && window.len() < most {
            let next = match memchr(b'\n', &bytes[start..]) {
                Some(length) => start + length + 1,
                None if end => bytes.len(),
                None => break,
            };
            let whose = self.whose(&bytes[start..], next - start, window);
            window.add(start, next, whose);
            start = next;
        }
        start
    }

    /// What a row gives as its id, or else all of it.
    pub(super) fn contact<'a>(&self, row: &'a [u8]) -> Cow<'a, [u8]> {
        match str::from_utf8(row).ok().and_then(|row| Recipient::parse(row, &self.field)) {
            Some(recipient) => Cow::Owned(recipient.id.into_bytes()),
            None => Cow::Borrowed(row.trim_ascii()),
        }
    }

    /// Whose the row is that has so many of the bytes.
    #[inline]
    fn whose(&self, bytes: &[u8], length: usize, window: &mut Window) -> Whose {
        let row = &bytes[..length];
        let read = match row.first() {
            Some(b'"') => plain_text(bytes),
            Some(b'{') => self.plain_object(bytes, length, window),
            _ => None,
        };
        read.unwrap_or_else(|| self.closer_look(row, window))
    }

    #[cold]
    fn closer_look(&self, row: &[u8], window: &mut Window) -> Whose {
        if row.iter().all(|byte| b" \t\r\n".contains(byte)) {
            return Whose::BLANK;
        }
        let recipient = str::from_utf8(row).ok().and_then(|row| Recipient::parse(row, &self.field));
        recipient.map_or(Whose::NOBODY, |recipient| window.whose([Some(&recipient.id), recipient.user_id.as_deref()]))
    }

    /// Whose a row is that is an object of texts, small whole numbers and the like, without an escape; none if it takes a
    /// closer look.
    #[inline]
    fn plain_object(&self, bytes: &[u8], length: usize, window: &mut Window) -> Option<Whose> {
        let row = &bytes[..length];
        let (mut id, mut user_id): (Option<Range<usize>>, Option<Range<usize>>) = (None, None);
        let (mut at, mut all_bits) = (1, 0);
        loop {
            let key = plain_string(row, at, &mut all_bits)?;
            at = skip_space(row, key.end + 1);
            if row.get(at) != Some(&b':') {
                return None;
            }
            at = skip_space(row, at + 1);
            let key = &row[key];
            let found = if key == self.field.as_bytes() {
                Some(&mut id)
            } else if key == USER_ID.as_bytes() {
                Some(&mut user_id)
            } else {
                None
            };
            match found {
                // Said twice, or said to be no text.
                Some(Some(_)) => return None,
                Some(none) => {
                    let value = plain_string(row, at, &mut all_bits)?;
                    at = value.end + 1;
                    *none = Some(value);
                }
                None => at = skip_value(row, at, &mut all_bits)?,
            }
            at = skip_space(row, at);
            match row.get(at)? {
                b',' => at = skip_space(row, at + 1),
                b'}' => break,
                _ => return None,
            }
        }
        let rest = &row[at + 1..];
        if !matches!(rest, b"\n" | b"\r\n" | b"") {
            return None;
        }
        if all_bits & HIGH != 0 {
            str::from_utf8(row).ok()?;
        }
        let id = id?;
        if user_id.is_none()
            && let Some((number, read)) = number::leading(&bytes[id.start..])
            && read == id.len()
        {
            return Some(Whose::number(number));
        }
        let text = |range: Range<usize>| str::from_utf8(&row[range]).ok();
        let user_id = if let Some(user_id) = user_id { Some(text(user_id)?) } else { None };
        Some(window.whose([Some(text(id)?), user_id]))
    }
}

/// Whose the row is that begins with a text of plain digits and has nothing else.
#[inline]
fn plain_text(bytes: &[u8]) -> Option<Whose> {
    let (number, length) = number::leading(&bytes[1..])?;
    matches!(bytes[1 + length..], [b'"'] | [b'"', b'\n', ..] | [b'"', b'\r', b'\n', ..])
        .then_some(Whose::number(number))
}

/// One of each byte's highest bit.
const HIGH: u64 = 0x8080_8080_8080_8080;

/// The inside of the string that begins at `start`, if it has no escape and nothing that a string may not have. Notes the
/// bits of its bytes, and perhaps of some behind it.
#[inline]
fn plain_string(row: &[u8], start: usize, all_bits: &mut u64) -> Option<Range<usize>> {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const QUOTE: u64 = 0x22;
    const ESCAPE: u64 = 0x5C;
    if row.get(start) != Some(&b'"') {
        return None;
    }
    let start = start + 1;
    let mut at = start;
    while let Some(word) = row.get(at..at + 8) {
        let word = u64::from_le_bytes(word.try_into().expect("eight bytes"));
        *all_bits |= word;
        // Each finds its first byte; a borrow disturbs only what comes later.
        let quote = word ^ (ONES * QUOTE);
        let quote = quote.wrapping_sub(ONES) & !quote;
        let escape = word ^ (ONES * ESCAPE);
        let escape = escape.wrapping_sub(ONES) & !escape;
        let control = word.wrapping_sub(ONES * 0x20) & !word;
        let found = (quote | escape | control) & HIGH;
        if found != 0 {
            at += found.trailing_zeros() as usize / 8;
            return (row[at] == b'"').then_some(start..at);
        }
        at += 8;
    }
    loop {
        let byte = *row.get(at)?;
        *all_bits |= u64::from(byte);
        match byte {
            b'"' => return Some(start..at),
            b'\\' | ..0x20 => return None,
            _ => at += 1,
        }
    }
}

/// Where the value ends that begins at `start`, if it is a plain one.
#[inline]
fn skip_value(row: &[u8], start: usize, all_bits: &mut u64) -> Option<usize> {
    let rest = &row[start..];
    let length = match rest.first()? {
        b'"' => return plain_string(row, start, all_bits).map(|string| string.end + 1),
        b'1'..=b'9' => rest.iter().position(|byte| !byte.is_ascii_digit())?,
        b'0' => 1,
        b't' if rest.starts_with(b"true") => 4,
        b'n' if rest.starts_with(b"null") => 4,
        b'f' if rest.starts_with(b"false") => 5,
        _ => return None,
    };
    Some(start + length)
}

#[inline]
fn skip_space(row: &[u8], at: usize) -> usize {
    at + usize::from(row.get(at) == Some(&b' '))
}
