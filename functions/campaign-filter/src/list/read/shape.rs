//! The shapes of rows of JSON Lines: all of a row but the values of its texts and numbers.
//!
//! A list is mostly written by one program, so that nearly all rows have one of a few shapes. A row with the shape of a valid
//! one is valid, its ids stand between the same bytes, and it has each field once, as that one. This is speculation on
//! structure (Mison: Li and others, *A Fast JSON Parser for Data Analytics*, 2017,
//! <https://doi.org/10.14778/3115404.3115416>), except that a wrong guess only sends the row to the parser.
//!
//! An example: the row `{"id":"+14155550123","n":-1.50}` has the shape `{"id":"`, id, `","n":`, number, `}` and a line break.
//! `{"id":"US.1","n":7}` has it too. `{"id":"US.1","n":1e3}` has not: numbers with exponents fit no shape.

use std::ops::Range;

use memchr::memchr;

use super::scan::{WORD, Word};
use crate::recipient::{IdField, USER_ID};

/// The shape of a row.
#[derive(Debug)]
struct RowShape {
    steps: Vec<ShapeStep>,
    has_user_id: bool,
}

/// Some bytes that all rows of a shape have, and the value behind them.
#[derive(Debug)]
struct ShapeStep {
    /// The bytes, up to a word of them.
    piece: Word,
    /// The number of the bytes.
    length: usize,
    /// One bit for each of the bytes.
    bits: u32,
    value: ValueKind,
}

impl ShapeStep {
    /// The steps over bytes of any number, the last with the value behind them.
    fn over(piece: &[u8], value: ValueKind) -> impl Iterator<Item = Self> {
        let words = piece.chunks(WORD);
        let last = words.len() - 1;
        words.enumerate().map(move |(at, word)| Self {
            piece: Word::first(word),
            length: word.len(),
            bits: (1 << word.len()) - 1,
            value: if at == last { value } else { ValueKind::None },
        })
    }
}

/// The kind of a value, which may differ from row to row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ValueKind {
    /// The text of the id. Its quotes belong to the bytes around it.
    Id,
    /// The text of the second id.
    UserId,
    /// Another text.
    Text,
    /// A number without an exponent.
    Number,
    /// No value: more bytes follow, or the row ends.
    None,
}

/// A row that has a known shape.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ShapedRow {
    /// The bytes of the id, without quotes.
    pub(super) id: Range<usize>,
    /// The bytes of the second id, if the shape has one.
    pub(super) user_id: Option<Range<usize>>,
    /// The index of the first byte of the next row.
    pub(super) next: usize,
}

/// The shapes that were seen last.
#[derive(Debug, Default)]
pub(super) struct Shapes {
    /// The shapes, the one that was used last first (move to front).
    shapes: Vec<RowShape>,
}

/// The number of shapes that are kept: as many as three fields give that may each be missing.
const MOST_SHAPES: usize = 8;

impl Shapes {
    /// Keeps the shape of a valid row, if it has one. `field` is that of the id.
    pub(super) fn learn(&mut self, row: &[u8], field: IdField) {
        if let Some(shape) = RowShape::of(row, field) {
            self.shapes.truncate(MOST_SHAPES - 1);
            self.shapes.insert(0, shape);
        }
    }

    /// The row that begins at `start`, if it has one of the shapes.
    #[inline]
    pub(super) fn read(&mut self, bytes: &[u8], start: usize) -> Option<ShapedRow> {
        let mut shapes = self.shapes.iter().enumerate();
        let (place, row) = shapes.find_map(|(place, shape)| Some((place, shape.read(bytes, start)?)))?;
        if place > 0 {
            self.shapes[..=place].rotate_right(1);
        }
        Some(row)
    }
}

impl RowShape {
    /// The shape of a row that is a valid text or object. `None` if the row has no line break, or another row of this shape
    /// might be no valid object with an id in this field.
    fn of(row: &[u8], field: IdField) -> Option<Self> {
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
                            1 if key == field.0.as_bytes() => ValueKind::Id,
                            1 if key == USER_ID.as_bytes() => ValueKind::UserId,
                            _ => ValueKind::Text,
                        };
                        steps.extend(ShapeStep::over(&row[piece..text.start], value));
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
                    steps.extend(ShapeStep::over(&row[piece..at], ValueKind::Number));
                    piece = at + length;
                }
                b'{' | b'[' => depth += 1,
                b'}' | b']' => depth -= 1,
                _ => {}
            }
            colon = byte == b':' || colon && byte == b' ';
            at += length;
        }
        steps.extend(ShapeStep::over(&row[piece..], ValueKind::None));
        let has = |value| steps.iter().any(|step| step.value == value);
        let has_user_id = has(ValueKind::UserId);
        has(ValueKind::Id).then_some(Self { steps, has_user_id })
    }

    /// The row that begins at `start`, if it has this shape: it differs from the model only in texts without escapes, and
    /// in numbers.
    #[inline]
    fn read(&self, bytes: &[u8], start: usize) -> Option<ShapedRow> {
        let mut rest = &bytes[start..];
        let (mut id, mut user_id) = (0..0, 0..0);
        for step in &self.steps {
            if Word::first(rest).same(step.piece) & step.bits != step.bits {
                return None;
            }
            rest = rest.get(step.length..)?;
            let length = match step.value {
                // A text that does not end with a quote does not fit the next bytes, which begin with one.
                ValueKind::Text => text_length(rest)?,
                ValueKind::Id | ValueKind::UserId => {
                    let (start, length) = (bytes.len() - rest.len(), text_length(rest)?);
                    let range = if step.value == ValueKind::Id { &mut id } else { &mut user_id };
                    *range = start..start + length;
                    length
                }
                ValueKind::Number => number_length(rest)?,
                ValueKind::None => continue,
            };
            rest = &rest[length..];
        }
        let user_id = self.has_user_id.then_some(user_id);
        Some(ShapedRow { id, user_id, next: bytes.len() - rest.len() })
    }
}

/// The length of the text without escapes that the bytes begin with, up to a byte that no text can have. `None` if it is no
/// UTF-8.
///
/// The mask of the bits up to the lowest one of `ends` is `ends ^ (ends - 1)` (Warren, *Hacker's Delight*, section 2-1): for
/// `0b101000` it is `0b001111`. In ASCII, as nearly always, these bytes need no check for UTF-8.
#[inline]
fn text_length(bytes: &[u8]) -> Option<usize> {
    let word = Word::first(bytes);
    let ends = word.text_ends();
    if ends == 0 || word.beyond_ascii() & (ends ^ (ends - 1)) != 0 {
        return long_text_length(bytes);
    }
    Some(ends.trailing_zeros() as usize)
}

/// The same for a text of any length.
#[cold]
fn long_text_length(bytes: &[u8]) -> Option<usize> {
    let words = bytes.chunks(WORD).map(|word| Word::first(word).text_ends());
    let (start, ends) = (0..).step_by(WORD).zip(words).find(|(_, ends)| *ends != 0)?;
    let length = start + ends.trailing_zeros() as usize;
    str::from_utf8(bytes.get(..length)?).is_ok().then_some(length)
}

/// The length of the number without an exponent that the bytes begin with.
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
        let ShapedRow { id, user_id, next } =
            RowShape::of(format!("{model}\n").as_bytes(), IdField("id"))?.read(row.as_bytes(), 0)?;
        assert_eq!(next, row.len());
        Some((&row[id], user_id.map(|user_id| &row[user_id])))
    }

    #[test]
    fn a_number_with_an_exponent_fits_no_shape() {
        let model = r#"{"id":"+14155550123","n":-1.50}"#;
        assert_eq!(ids(model, "{\"id\":\"US.1\",\"n\":7}\n"), Some(("US.1", None)));
        assert_eq!(ids(model, "{\"id\":\"US.1\",\"n\":1e3}\n"), None);
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
