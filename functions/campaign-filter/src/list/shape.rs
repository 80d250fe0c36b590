//! What rows of JSON Lines have in common: all but the values of their texts and numbers.
//!
//! A list is mostly written by one program, so a row says the same between its values as one before. Where it does, it
//! is valid JSON because that one was, and its ids stand in the same places.

use std::ops::Range;

use memchr::memchr;

use super::recipient::USER_ID;
use super::scan::Marks;

/// All of a row but its values.
#[derive(Debug)]
struct Shape {
    /// What stands before each value, and what the value is.
    values: Vec<(Piece, Value)>,
    /// What stands behind the last.
    end: Box<[u8]>,
}

/// What does not differ from row to row.
#[derive(Debug)]
struct Piece {
    all: Box<[u8]>,
    /// Its first sixteen bytes, and ones where they are, so that two instructions compare them.
    first: u128,
    mask: u128,
}

impl Piece {
    fn new(all: &[u8]) -> Self {
        let (mut first, mut mask) = ([0; 16], [0; 16]);
        for ((byte, first), mask) in all.iter().zip(&mut first).zip(&mut mask) {
            (*first, *mask) = (*byte, 0xFF);
        }
        Self { all: all.into(), first: u128::from_le_bytes(first), mask: u128::from_le_bytes(mask) }
    }

    /// Whether the bytes have it at this place.
    #[inline]
    fn stands(&self, bytes: &[u8], at: usize) -> bool {
        match bytes.get(at..at + 16) {
            Some(first) if self.all.len() <= 16 => {
                let first = u128::from_le_bytes(first.try_into().expect("sixteen bytes"));
                (first ^ self.first) & self.mask == 0
            }
            _ => bytes.get(at..).is_some_and(|bytes| bytes.starts_with(&self.all)),
        }
    }
}

/// The kinds of values that differ from row to row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Value {
    /// The text of the id; what stands before it ends with its quote.
    Id,
    /// The text of the other id.
    UserId,
    /// Another text.
    Text,
    /// A number without an exponent.
    Number,
}

/// Where a row has its ids.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Ids {
    pub(super) id: Range<usize>,
    pub(super) user_id: Option<Range<usize>>,
}

/// The shapes that came last.
#[derive(Debug, Default)]
pub(super) struct Shapes {
    /// The first is that of the last row.
    shapes: Vec<Shape>,
}

/// How many shapes are kept: as three fields give that may each be missing.
const MOST: usize = 8;

impl Shapes {
    /// Keeps the shape of a row: see [`Shape::of`].
    pub(super) fn learn(&mut self, row: &[u8], field: &str) {
        if let Some(shape) = Shape::of(row, field) {
            self.shapes.truncate(MOST - 1);
            self.shapes.insert(0, shape);
        }
    }

    /// Where a row has its ids, and where the next one begins, if it has one of the shapes: see [`Shape::ids`].
    #[inline]
    pub(super) fn ids(&mut self, bytes: &[u8], start: usize, marks: &Marks) -> Option<(Ids, usize)> {
        let (place, ids) =
            self.shapes.iter().enumerate().find_map(|(place, shape)| Some((place, shape.ids(bytes, start, marks)?)))?;
        self.shapes[..=place].rotate_right(1);
        Some(ids)
    }
}

impl Shape {
    /// The shape of a row, which is a valid object without escapes and has an id in this field. None if another row of
    /// the shape might be no valid object.
    fn of(row: &[u8], field: &str) -> Option<Self> {
        let row = content(row);
        let mut values = Vec::new();
        let (mut at, mut piece, mut depth, mut key, mut colon) = (0, 0, 0, &row[..0], false);
        while let Some(&byte) = row.get(at) {
            let mut length = 1;
            match byte {
                b'"' => {
                    let text = at + 1..at + 1 + memchr(b'"', &row[at + 1..])?;
                    length = text.len() + 2;
                    if colon {
                        let value = match depth {
                            1 if key == field.as_bytes() => Value::Id,
                            1 if key == USER_ID.as_bytes() => Value::UserId,
                            _ => Value::Text,
                        };
                        values.push((Piece::new(&row[piece..text.start]), value));
                        piece = text.end;
                    } else {
                        key = &row[text];
                    }
                }
                b'-' | b'0'..=b'9' => {
                    length = number_length(&row[at..])?;
                    if matches!(row.get(at + length), Some(b'e' | b'E')) {
                        return None;
                    }
                    values.push((Piece::new(&row[piece..at]), Value::Number));
                    piece = at + length;
                }
                b'{' | b'[' => depth += 1,
                b'}' | b']' => depth -= 1,
                _ => {}
            }
            colon = byte == b':' || colon && byte == b' ';
            at += length;
        }
        Some(Self { values, end: row[piece..].into() })
    }

    /// Where the row that begins at `start` has its ids, and where the next one begins, if it has this shape and a line
    /// break behind. It has it only if it has no escapes.
    #[inline]
    fn ids(&self, bytes: &[u8], start: usize, marks: &Marks) -> Option<(Ids, usize)> {
        let (mut id, mut user_id) = (None, None);
        let mut at = start;
        for (before, value) in &self.values {
            if !before.stands(bytes, at) {
                return None;
            }
            let value_start = at + before.all.len();
            at = if *value == Value::Number {
                value_start + number_length(&bytes[value_start..])?
            } else {
                // At a line break, what stands before the next value does not fit: it begins with a quote.
                marks.next_stop(value_start)?
            };
            match value {
                Value::Id => id = Some(value_start..at),
                Value::UserId => user_id = Some(value_start..at),
                Value::Text | Value::Number => {}
            }
        }
        let rest = bytes.get(at..)?.strip_prefix(&*self.end)?;
        let rest = rest.strip_prefix(b"\r").unwrap_or(rest).strip_prefix(b"\n")?;
        Some((Ids { id: id?, user_id }, bytes.len() - rest.len()))
    }
}

/// How long the number is, without an exponent, that the bytes begin with.
#[inline]
fn number_length(bytes: &[u8]) -> Option<usize> {
    let digits = |from: usize| bytes[from..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    let sign = usize::from(*bytes.first()? == b'-');
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

/// A row without its line break.
#[inline]
pub(super) fn content(row: &[u8]) -> &[u8] {
    let row = row.strip_suffix(b"\n").unwrap_or(row);
    row.strip_suffix(b"\r").unwrap_or(row)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The ids of a row, if it has the shape of another.
    fn ids<'a>(model: &str, row: &'a str) -> Option<(&'a str, Option<&'a str>)> {
        let mut marks = Marks::default();
        marks.note(row.as_bytes());
        let (ids, next) = Shape::of(model.as_bytes(), "id")?.ids(row.as_bytes(), 0, &marks)?;
        assert_eq!(next, row.len());
        Some((&row[ids.id], ids.user_id.map(|user_id| &row[user_id])))
    }

    #[test]
    fn rows_of_one_shape_differ_in_texts_and_numbers_alone() {
        let model =
            r#"{"name": "Anna", "id": "1", "tags": ["a", {"id": "2"}], "sum": -1.50, "user_id": "US.1", "ok": true}"#;
        let with = |from: &str, to: &str| format!("{}\n", model.replace(from, to));
        for (row, expected) in [
            (with("-", "-"), Some(("1", Some("US.1")))),
            (with("Anna", ""), Some(("1", Some("US.1")))),
            (with(r#""1""#, r#""+1 415""#), Some(("+1 415", Some("US.1")))),
            (with(r#""2""#, r#""3""#), Some(("1", Some("US.1")))),
            (with("US.1", ""), Some(("1", Some("")))),
            (with("-1.50", "0"), Some(("1", Some("US.1")))),
            (with("true}", "true}\r"), Some(("1", Some("US.1")))),
            (with("Anna", "An\na"), None),
            (with(r#""a""#, r#""b""#), None),
            (with("-1.50", "01"), None),
            (with("-1.50", "1e5"), None),
            (with("-1.50", "1."), None),
            (with("true", "false"), None),
            (with("true}", "true} "), None),
            (with("user_id", "id"), None),
            (model.to_owned(), None),
            (String::new(), None),
        ] {
            assert_eq!(ids(model, &row), expected, "{row}");
        }
        assert_eq!(ids(r#"{"id":"1","a":1e5}"#, "{\"id\":\"1\",\"a\":1e5}\n"), None);
    }
}
