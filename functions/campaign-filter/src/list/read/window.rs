//! Rows that were read and wait to be judged: many at a time, so that each step of judging is one short loop.

use super::scan::LineBreaks;
use super::shape::Shapes;
use crate::list::number::{self, ParsedId};

/// Rows that stand one behind the other in a block of bytes.
#[derive(Debug, Default)]
pub(crate) struct Window {
    /// The index behind the last byte of each row, its line break included. The next row begins there.
    pub(crate) ends: Vec<u32>,
    /// The owner of each row.
    pub(crate) owners: Vec<RowOwner>,
    /// The rows that have line breaks inside, in order.
    pub(crate) multiline: Vec<MultilineRow>,
    /// The ids of all rows whose owner is [`RowOwner::LISTED`], in order.
    pub(crate) ids: Vec<ListedId>,
    /// The texts of ids that are no numbers, one behind the other.
    texts: Vec<u8>,
    /// The last row has a quote that is not closed.
    pub(crate) has_open_quote: bool,
    /// The line breaks of CSV that was looked at last. Kept here for its memory alone.
    pub(super) line_breaks: LineBreaks,
    /// The shapes of rows of JSON Lines. They stay from window to window.
    pub(super) shapes: Shapes,
}

/// The owner of a row: nearly always one phone number. One word holds it, so that a window is small and quick to go over.
/// Phone numbers have at most 15 digits, so the greatest integers are free to mean something else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RowOwner(u64);

impl RowOwner {
    /// The row is no valid recipient.
    pub(crate) const INVALID: Self = Self(u64::MAX);
    /// The row is an empty line.
    pub(crate) const BLANK: Self = Self(u64::MAX - 1);
    /// The row has an id that is no number, or two ids. They are in [`Window::ids`].
    pub(crate) const LISTED: Self = Self(u64::MAX - 2);

    /// The owner with this canonical phone number, given without its `+`.
    pub(crate) const fn number(number: u64) -> Self {
        Self(number)
    }

    /// The phone number, if it is the only id.
    pub(crate) const fn as_number(self) -> Option<u64> {
        if self.0 < Self::LISTED.0 { Some(self.0) } else { None }
    }
}

/// A row with line breaks inside.
#[derive(Clone, Copy, Debug)]
pub(crate) struct MultilineRow {
    pub(crate) row: usize,
    /// The number of lines besides the first.
    pub(crate) more_lines: u64,
}

/// An id of a row.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ListedId {
    pub(crate) row: usize,
    pub(crate) id: RowId,
}

/// An id in a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RowId {
    /// A canonical phone number without its `+`.
    Number(u64),
    /// Another id, by its place among the texts of the window.
    Text(TextSpan),
}

/// The place of a text in a window: the index of its first byte, and the index behind its last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct TextSpan {
    start: u32,
    end: u32,
}

impl Window {
    /// The number of rows, empty lines included.
    pub(crate) fn len(&self) -> usize {
        self.ends.len()
    }

    /// Removes all rows, and keeps the memory they took.
    pub(crate) fn clear(&mut self) {
        let Self { ends, owners, multiline, ids, texts, has_open_quote, line_breaks: _, shapes: _ } = self;
        ends.clear();
        owners.clear();
        multiline.clear();
        ids.clear();
        texts.clear();
        *has_open_quote = false;
    }

    /// Adds a row, which begins where the one before ends.
    #[inline]
    pub(crate) fn add(&mut self, end: usize, owner: RowOwner) {
        self.ends.push(u32::try_from(end).expect("a window is small"));
        self.owners.push(owner);
    }

    /// The owner with one id or two, for the row that is added next. Ids that the owner can't hold are listed.
    pub(crate) fn owner(&mut self, id: &str, user_id: Option<&str>) -> RowOwner {
        let row = self.len();
        let (ids_before, texts_before) = (self.ids.len(), self.texts.len());
        for text in std::iter::once(id).chain(user_id) {
            let Some(id) = self.parse(text) else {
                self.ids.truncate(ids_before);
                self.texts.truncate(texts_before);
                return RowOwner::INVALID;
            };
            // The same id twice is one id.
            if !self.ids[ids_before..].iter().any(|listed| self.is_same([listed.id, id])) {
                self.ids.push(ListedId { row, id });
            }
        }
        match self.ids[ids_before..] {
            [ListedId { id: RowId::Number(number), .. }] => {
                self.ids.truncate(ids_before);
                RowOwner::number(number)
            }
            _ => RowOwner::LISTED,
        }
    }

    fn is_same(&self, ids: [RowId; 2]) -> bool {
        match ids {
            [RowId::Text(one), RowId::Text(other)] => self.text(one) == self.text(other),
            [one, other] => one == other,
        }
    }

    /// The text of an id that is no number.
    pub(crate) fn text(&self, span: TextSpan) -> &[u8] {
        &self.texts[span.start as usize..span.end as usize]
    }

    fn parse(&mut self, text: &str) -> Option<RowId> {
        match number::id(text)? {
            ParsedId::Number(number) => Some(RowId::Number(number)),
            ParsedId::Other(id) => {
                let place = |length| u32::try_from(length).expect("texts are shorter than their rows");
                let start = place(self.texts.len());
                self.texts.extend(id.as_str().as_bytes());
                Some(RowId::Text(TextSpan { start, end: place(self.texts.len()) }))
            }
        }
    }
}
