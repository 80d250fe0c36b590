//! What rows of JSON Lines have in common: all but the values of their texts and numbers.
//!
//! A list is mostly written by one program, so a row says the same between its values as one before. Where it does, it
//! is valid JSON because that one was, and its ids stand in the same places. Names of fields are among what it says the
//! same, so it has each as often as that one: once.

use std::ops::Range;

use memchr::memchr;

use super::recipient::USER_ID;
use super::scan::{WORD, Word};

/// All of a row but its values, in steps.
#[derive(Debug)]
struct Shape {
    steps: Vec<Step>,
    has_user_id: bool,
}

/// What is the same in all rows, and what comes behind it.
#[derive(Debug)]
struct Step {
    /// Up to a word of bytes.
    piece: Word,
    length: usize,
    /// The bits of so many bytes.
    bits: u32,
    value: Value,
}

impl Step {
    /// The steps over a piece of any length up to a value.
    fn over(piece: &[u8], value: Value) -> impl Iterator<Item = Self> {
        let words = piece.chunks(WORD);
        let last = words.len() - 1;
        words.enumerate().map(move |(at, word)| Self {
            piece: Word::first(word),
            length: word.len(),
            bits: (1 << word.len()) - 1,
            value: if at == last { value } else { Value::None },
        })
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
    /// None: the row goes on with another piece, or ends.
    None,
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
    /// Keeps the shape of a valid row, if it has one: see [`Shape::of`].
    pub(super) fn learn(&mut self, row: &[u8], field: &str) {
        if let Some(shape) = Shape::of(row, field) {
            self.shapes.truncate(MOST - 1);
            self.shapes.insert(0, shape);
        }
    }

    /// Where a row has its ids, and where the next one begins, if it has one of the shapes: see [`Shape::ids`].
    #[inline]
    pub(super) fn ids(&mut self, bytes: &[u8], start: usize) -> Option<(Ids, usize)> {
        let mut shapes = self.shapes.iter().enumerate();
        let (place, ids) = shapes.find_map(|(place, shape)| Some((place, shape.ids(bytes, start)?)))?;
        if place > 0 {
            self.shapes[..=place].rotate_right(1);
        }
        Some(ids)
    }
}

impl Shape {
    /// The shape of a row that is a valid text or object. None if it has no line break, or another row of the shape might
    /// be no valid object with an id in this field.
    fn of(row: &[u8], field: &str) -> Option<Self> {
        let content = row.strip_suffix(b"\n")?;
        let content = content.strip_suffix(b"\r").unwrap_or(content);
        if content.first() != Some(&b'{') || content.iter().any(|&byte| byte == b'\\' || byte < b' ') {
            return None;
        }
        let mut steps = Vec::new();
        let (mut at, mut piece, mut depth, mut key, mut colon) = (0, 0, 0, &row[..0], false);
        while let Some(&byte) = content.get(at) {
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
                        steps.extend(Step::over(&row[piece..text.start], value));
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
                    steps.extend(Step::over(&row[piece..at], Value::Number));
                    piece = at + length;
                }
                b'{' | b'[' => depth += 1,
                b'}' | b']' => depth -= 1,
                _ => {}
            }
            colon = byte == b':' || colon && byte == b' ';
            at += length;
        }
        steps.extend(Step::over(&row[piece..], Value::None));
        let has = |value| steps.iter().any(|step| step.value == value);
        let has_user_id = has(Value::UserId);
        has(Value::Id).then_some(Self { steps, has_user_id })
    }

    /// Where the row that begins at `start` has its ids, and where the next one begins, if it has this shape. All that
    /// differs from the first row of the shape is then texts without escapes, and numbers.
    #[inline]
    fn ids(&self, bytes: &[u8], start: usize) -> Option<(Ids, usize)> {
        let mut rest = &bytes[start..];
        let (mut id, mut user_id) = (0..0, 0..0);
        for step in &self.steps {
            if Word::first(rest).same(step.piece) & step.bits != step.bits {
                return None;
            }
            rest = rest.get(step.length..)?;
            let length = match step.value {
                // If it does not end with a quote, the next piece does not fit: it begins with one.
                Value::Text => text_length(rest)?,
                Value::Id | Value::UserId => {
                    let (start, length) = (bytes.len() - rest.len(), text_length(rest)?);
                    let ids = if step.value == Value::Id { &mut id } else { &mut user_id };
                    *ids = start..start + length;
                    length
                }
                Value::Number => number_length(rest)?,
                Value::None => continue,
            };
            rest = &rest[length..];
        }
        let user_id = self.has_user_id.then_some(user_id);
        Some((Ids { id, user_id }, bytes.len() - rest.len()))
    }
}

/// How long the text without escapes is that the bytes go on with, if it is one.
#[inline]
fn text_length(bytes: &[u8]) -> Option<usize> {
    let word = Word::first(bytes);
    let ends = word.text_ends();
    // The bits up to the first end, or all of them.
    if ends == 0 || word.beyond_ascii() & (ends ^ (ends - 1)) != 0 {
        return long_text_length(bytes);
    }
    Some(ends.trailing_zeros() as usize)
}

/// The same, whatever it has.
#[cold]
fn long_text_length(bytes: &[u8]) -> Option<usize> {
    let words = bytes.chunks(WORD).map(|word| Word::first(word).text_ends());
    let (start, ends) = (0..).step_by(WORD).zip(words).find(|(_, ends)| *ends != 0)?;
    let length = start + ends.trailing_zeros() as usize;
    str::from_utf8(bytes.get(..length)?).is_ok().then_some(length)
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

#[cfg(test)]
mod tests {
    use super::*;

    /// The ids of a row, if it has the shape of another.
    fn ids<'a>(model: &str, row: &'a str) -> Option<(&'a str, Option<&'a str>)> {
        let (ids, next) = Shape::of(format!("{model}\n").as_bytes(), "id")?.ids(row.as_bytes(), 0)?;
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
            (with("Anna", "An\na"), None),
            (with("Anna", r"An\na"), None),
            (with("Anna", r#"An\"a"#), None),
            (with("Anna", "An\u{1}a"), None),
            (with("true}", "true}\r"), None),
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
