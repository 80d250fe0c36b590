//! Rows that were read and wait to be judged together: many at a time, so that each step is one short loop.

use super::number;
use super::scan::LineBreaks;
use super::shape::Shapes;

/// Rows that stand one behind the other in a block of bytes.
#[derive(Debug, Default)]
pub(super) struct Window {
    /// Where each row ends, its line break included. It begins where the one before ends.
    pub(super) ends: Vec<u32>,
    /// Whose each row is.
    pub(super) whose: Vec<Whose>,
    /// The rows that have line breaks inside, and how many.
    pub(super) tall: Vec<(usize, u64)>,
    /// The ids of all rows that have more than a phone number, in order, each with its row.
    pub(super) others: Vec<(usize, Id)>,
    /// The texts of ids that are no numbers, one behind the other.
    pub(super) texts: Vec<u8>,
    /// Whether the last row has a quote that is not closed.
    pub(super) is_open: bool,
    /// Room for the line breaks of CSV.
    pub(super) line_breaks: LineBreaks,
    /// The shapes of JSON Lines, kept from window to window.
    pub(super) shapes: Shapes,
}

/// Whose a row is: mostly one phone number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Whose(u64);

impl Whose {
    /// Nobody's: it is no valid recipient.
    pub(super) const NOBODY: Self = Self(u64::MAX);
    /// It is no row, only an empty line.
    pub(super) const BLANK: Self = Self(u64::MAX - 1);
    /// That of the ids in [`Window::others`].
    pub(super) const OTHER: Self = Self(u64::MAX - 2);

    /// The row of a canonical phone number.
    pub(super) const fn number(number: u64) -> Self {
        Self(number)
    }

    /// The phone number, if that is all there is.
    pub(super) const fn as_number(self) -> Option<u64> {
        if self.0 < Self::OTHER.0 { Some(self.0) } else { None }
    }
}

/// One of a row's ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Id {
    /// A canonical phone number.
    Number(u64),
    /// Another id: where it begins and ends in [`Window::texts`].
    Text(u32, u32),
}

impl Window {
    /// How many rows there are, empty lines included.
    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    /// Forgets all rows, and keeps the room they had.
    pub(super) fn clear(&mut self) {
        let Self { ends, whose, tall, others, texts, is_open, line_breaks: _, shapes: _ } = self;
        ends.clear();
        whose.clear();
        tall.clear();
        others.clear();
        texts.clear();
        *is_open = false;
    }

    /// Adds a row that begins where the one before ends.
    #[inline]
    pub(super) fn add(&mut self, end: usize, whose: Whose) {
        self.ends.push(u32::try_from(end).expect("a window is small"));
        self.whose.push(whose);
    }

    /// Takes in the ids of the row that is added next. Whose it is, as far as one word can say.
    pub(super) fn whose(&mut self, ids: [Option<&str>; 2]) -> Whose {
        let row = self.len();
        let before = (self.others.len(), self.texts.len());
        for text in ids.into_iter().flatten() {
            let Some(id) = self.id(text) else {
                self.others.truncate(before.0);
                self.texts.truncate(before.1);
                return Whose::NOBODY;
            };
            // Who is named twice is one person.
            if !self.others[before.0..].iter().any(|(_, other)| self.is_same(*other, id)) {
                self.others.push((row, id));
            }
        }
        match self.others[before.0..] {
            [] => Whose::NOBODY,
            [(_, Id::Number(number))] => {
                self.others.truncate(before.0);
                Whose::number(number)
            }
            _ => Whose::OTHER,
        }
    }

    fn is_same(&self, one: Id, other: Id) -> bool {
        match (one, other) {
            (Id::Text(start, end), Id::Text(other_start, other_end)) => {
                self.text(start, end) == self.text(other_start, other_end)
            }
            _ => one == other,
        }
    }

    /// The text of an id that is no number.
    pub(super) fn text(&self, start: u32, end: u32) -> &[u8] {
        &self.texts[start as usize..end as usize]
    }

    fn id(&mut self, text: &str) -> Option<Id> {
        match number::id(text)? {
            number::Read::Number(number) => Some(Id::Number(number)),
            number::Read::Text(text) => {
                let place = |len| u32::try_from(len).expect("texts are shorter than their rows");
                let start = place(self.texts.len());
                self.texts.extend(text.as_str().as_bytes());
                Some(Id::Text(start, place(self.texts.len())))
            }
        }
    }
}
