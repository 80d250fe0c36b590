//! The formats of lists, and where in their rows the ids stand.

use std::borrow::Cow;

use serde::Deserialize;

use super::csv::{self, Csv};
use super::jsonl::JsonLines;
use super::kind::{NoColumn, TELLING, not_a_list};
use super::recipient::USER_ID;
use super::window::Window;
use super::{LONGEST_ROW, ListError};

/// What a list is written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// RFC 4180 with a header row.
    Csv,
    /// A JSON text or object a line.
    Jsonl,
}

/// Where the ids stand in the rows of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout(Kind);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Kind {
    Csv(Csv),
    JsonLines(JsonLines),
}

const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

impl Layout {
    /// Reads the beginning of a list: its layout, and how many bytes come before the first row. None if these bytes are
    /// too few to tell; `end` says that nothing follows them.
    ///
    /// # Errors
    /// The bytes are the beginning of another kind of file, or a CSV list has no header row with this column, or has it or
    /// the column `user_id` twice.
    pub fn read(format: Format, column: &str, bytes: &[u8], end: bool) -> Result<Option<(Self, usize)>, ListError> {
        if !end && bytes.len() < TELLING {
            return Ok(None);
        }
        if let Some(kind) = not_a_list(format, bytes) {
            return Err(kind.into());
        }
        let text = bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(bytes);
        let mark = bytes.len() - text.len();
        if format == Format::Jsonl {
            return Ok(Some((Self(Kind::JsonLines(JsonLines { field: column.to_owned() })), mark)));
        }
        let Some(header) = csv::header(text, end) else {
            return if text.len() > LONGEST_ROW { Err(ListError::LongRow(1)) } else { Ok(None) };
        };
        if header.is_open {
            return Err(ListError::OpenQuote(1));
        }
        if header.has_return {
            return Err(ListError::CarriageReturn);
        }
        if header.length > LONGEST_ROW {
            return Err(ListError::LongRow(1));
        }
        let only = |wanted: &str| {
            let is_it = |name: &[u8]| name.trim_ascii() == wanted.as_bytes();
            let mut columns = (0..).zip(&header.names).filter(|(_, name)| is_it(name)).map(|(column, _)| column);
            (columns.next(), columns.next().is_some())
        };
        let column = column.trim();
        let id = match only(column) {
            (Some(id), false) => id,
            (None, _) => {
                let found = NoColumn::of(&text[..header.length], &header.names);
                return Err(ListError::NoColumn { column: column.to_owned(), found });
            }
            (Some(_), true) => return Err(ListError::SeveralColumns(column.to_owned())),
        };
        // Where the id itself is a user id, there is no second one.
        let user_id = match only(USER_ID) {
            (Some(_), true) => return Err(ListError::SeveralUserIds),
            (user_id, _) => user_id.filter(|&user_id| user_id != id),
        };
        Ok(Some((Self(Kind::Csv(Csv { column: id, user_id })), mark + header.length)))
    }

    /// What the list is written in.
    pub(super) fn format(&self) -> Format {
        match &self.0 {
            Kind::Csv(_) => Format::Csv,
            Kind::JsonLines(_) => Format::Jsonl,
        }
    }

    /// Reads all rows into the window that the bytes have. `end` says that nothing follows them. Answers how many bytes
    /// were read: whole rows only.
    pub(super) fn rows(&self, bytes: &[u8], end: bool, window: &mut Window) -> usize {
        match &self.0 {
            Kind::Csv(csv) => csv.read(bytes, end, window),
            Kind::JsonLines(lines) => lines.read(bytes, end, window),
        }
    }

    /// The same of one row.
    pub(super) fn row(&self, bytes: &[u8], end: bool, window: &mut Window) -> usize {
        let read = match &self.0 {
            Kind::Csv(csv) => csv.row(bytes, 0, end, window),
            Kind::JsonLines(lines) => lines.row(bytes, 0, end, window),
        };
        read.unwrap_or(0)
    }

    /// How reports name the recipient of a row: as the row does, or where it has no id, by all of it or nothing.
    #[must_use]
    pub fn contact<'a>(&self, row: &'a [u8]) -> Cow<'a, [u8]> {
        match &self.0 {
            Kind::Csv(csv) => csv.contact(row),
            Kind::JsonLines(lines) => lines.contact(row),
        }
    }
}
