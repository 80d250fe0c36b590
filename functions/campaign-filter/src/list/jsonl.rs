//! Rows of JSON Lines: each a JSON text or object.
//!
//! A row that has the shape of one before is read by that. Any other is left to `serde_json`, so that a row is valid
//! exactly if it is for the filter's other form.

use std::borrow::Cow;
use std::ops::Range;

use memchr::memchr;

use super::number;
use super::recipient::Recipient;
use super::shape::Ids;
use super::window::{Whose, Window};

/// JSON Lines whose objects have their id in a field of this name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct JsonLines {
    /// The field of the id. In the field `user_id` there may be another.
    pub(super) field: String,
}

impl JsonLines {
    /// Reads all rows into the window that the bytes have. `end` says that nothing follows them. Answers how many bytes
    /// were read: whole rows only.
    pub(super) fn read(&self, bytes: &[u8], end: bool, window: &mut Window) -> usize {
        let mut start = 0;
        while start < bytes.len() {
            let text = text(&bytes[start..]).map(|(whose, length)| (whose, start + length));
            let read = text.or_else(|| shaped(bytes, start, window));
            let Some((whose, next)) = read else {
                match self.unusual(bytes, start, end, window) {
                    Some(next) => start = next,
                    None => break,
                }
                continue;
            };
            window.add(next, whose);
            start = next;
        }
        start
    }

    /// Adds a row of any kind, and answers where the next one begins; none if it does not end within the bytes.
    pub(super) fn row(&self, bytes: &[u8], start: usize, end: bool, window: &mut Window) -> Option<usize> {
        let next = match memchr(b'\n', &bytes[start..]) {
            Some(length) => start + length + 1,
            None if end => bytes.len(),
            None => return None,
        };
        let whose = self.closer_look(&bytes[start..next], window);
        window.add(next, whose);
        Some(next)
    }

    /// What a row gives as its id, or else all of it.
    pub(super) fn contact<'a>(&self, row: &'a [u8]) -> Cow<'a, [u8]> {
        match str::from_utf8(row).ok().and_then(|row| Recipient::parse(row, &self.field)) {
            Some(recipient) => Cow::Owned(recipient.id.into_bytes()),
            None => Cow::Borrowed(row.trim_ascii()),
        }
    }

    /// Adds a row whose shape was not known, and learns it.
    #[cold]
    fn unusual(&self, bytes: &[u8], start: usize, end: bool, window: &mut Window) -> Option<usize> {
        let next = self.row(bytes, start, end, window)?;
        let row = &bytes[start..next];
        if window.whose.last() != Some(&Whose::NOBODY) {
            window.shapes.learn(row, &self.field);
        }
        Some(next)
    }

    #[cold]
    fn closer_look(&self, row: &[u8], window: &mut Window) -> Whose {
        if row.iter().all(|byte| b" \t\r\n".contains(byte)) {
            return Whose::BLANK;
        }
        let recipient = str::from_utf8(row).ok().and_then(|row| Recipient::parse(row, &self.field));
        recipient.map_or(Whose::NOBODY, |recipient| window.whose([Some(&recipient.id), recipient.user_id.as_deref()]))
    }
}

/// Whose the row is that begins at `start`, and where the next one begins, if it has the shape of one before.
#[inline]
fn shaped(bytes: &[u8], start: usize, window: &mut Window) -> Option<(Whose, usize)> {
    let (Ids { id, user_id }, next) = window.shapes.ids(bytes, start)?;
    if user_id.is_none()
        && let Some((number, length)) = number::leading(&bytes[id.start..])
        && length == id.len()
    {
        return Some((Whose::number(number), next));
    }
    let text = |range: Range<usize>| str::from_utf8(&bytes[range]).ok();
    let user_id = if let Some(user_id) = user_id { Some(text(user_id)?) } else { None };
    Some((window.whose([Some(text(id)?), user_id]), next))
}

/// Whose the row is that begins with a text of plain digits and has nothing else, and where the next one begins.
#[inline]
fn text(bytes: &[u8]) -> Option<(Whose, usize)> {
    let (number, length) = number::leading(bytes.strip_prefix(b"\"")?)?;
    let line_break = match bytes[1 + length..] {
        [b'"', b'\n', ..] => 1,
        [b'"', b'\r', b'\n', ..] => 2,
        _ => return None,
    };
    Some((Whose::number(number), length + 2 + line_break))
}
