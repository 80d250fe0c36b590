//! The layout of a list: its format, and where its rows have their ids.

use std::borrow::Cow;

use super::csv::{self, Csv};
use super::jsonl::JsonLines;
use super::window::Window;
use crate::list::error::ListError;
use crate::list::file_type::{TYPE_BYTES, not_a_list};
use crate::list::format::{BYTE_ORDER_MARK, Block, Format};
use crate::list::header::MissingColumn;
use crate::list::limits::LONGEST_ROW;
use crate::recipient::USER_ID;

/// The layout of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    ids: IdPlace,
    rows_start: usize,
}

/// The place of the ids in a row.
#[derive(Clone, Debug, PartialEq, Eq)]
enum IdPlace {
    Csv(Csv),
    JsonLines(JsonLines),
}

impl Layout {
    /// Reads the layout from the beginning of a list, which has its ids in the column, or field, of this name. `None` if
    /// more bytes are needed.
    ///
    /// # Errors
    /// The file is no list; or its header row is too long, is not closed, lacks the column, or has it or the column
    /// `user_id` twice.
    pub fn read(format: Format, column: &str, beginning: Block) -> Result<Option<Self>, ListError> {
        let Block { bytes, is_last } = beginning;
        if !is_last && bytes.len() < TYPE_BYTES {
            return Ok(None);
        }
        if let Some(file_type) = not_a_list(format, bytes) {
            return Err(file_type.into());
        }
        let text = bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(bytes);
        let mark = bytes.len() - text.len();
        match format {
            Format::Jsonl => {
                let ids = IdPlace::JsonLines(JsonLines { field: column.to_owned() });
                Ok(Some(Self { ids, rows_start: mark }))
            }
            Format::Csv => {
                let Some((csv, header)) = csv_columns(column, beginning.from(mark))? else { return Ok(None) };
                Ok(Some(Self { ids: IdPlace::Csv(csv), rows_start: mark + header }))
            }
        }
    }

    /// The number of bytes before the first row: those of a byte order mark and a header row.
    #[must_use]
    pub fn rows_start(&self) -> usize {
        self.rows_start
    }

    /// The format of the list.
    pub(super) fn format(&self) -> Format {
        match &self.ids {
            IdPlace::Csv(_) => Format::Csv,
            IdPlace::JsonLines(_) => Format::Jsonl,
        }
    }

    /// Reads the rows of a block into an empty window, and returns the number of their bytes. A row that the block breaks
    /// off is not read.
    pub(crate) fn rows(&self, block: Block, window: &mut Window) -> usize {
        match &self.ids {
            IdPlace::Csv(csv) => csv.rows(block, window),
            IdPlace::JsonLines(lines) => lines.rows(block, window),
        }
    }

    /// Reads the first row of a block into an empty window, and returns the number of its bytes: 0 if the block breaks it
    /// off.
    pub(crate) fn row(&self, block: Block, window: &mut Window) -> usize {
        let length = match &self.ids {
            IdPlace::Csv(csv) => csv.row(block, 0, window),
            IdPlace::JsonLines(lines) => lines.row(block, 0, window),
        };
        length.unwrap_or(0)
    }

    /// The name of a row's recipient in reports: the id as the row has it. A row of JSON Lines without one is named by all
    /// of it, and a row of CSV by nothing.
    #[must_use]
    pub fn contact<'a>(&self, row: &'a [u8]) -> Cow<'a, [u8]> {
        match &self.ids {
            IdPlace::Csv(csv) => csv.contact(row),
            IdPlace::JsonLines(lines) => lines.contact(row),
        }
    }
}

/// The columns of the ids, and the length of the header row that begins the block. `None` if more bytes are needed.
fn csv_columns(column: &str, block: Block) -> Result<Option<(Csv, usize)>, ListError> {
    let Some(header) = csv::header(block) else {
        return if block.bytes.len() > LONGEST_ROW { Err(ListError::LongRow(1)) } else { Ok(None) };
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
    let columns = |wanted: &str| {
        let is_it = |name: &[u8]| name.trim_ascii() == wanted.as_bytes();
        let mut columns = (0..).zip(&header.names).filter(|(_, name)| is_it(name)).map(|(column, _)| column);
        [columns.next(), columns.next()]
    };
    let column = column.trim();
    let id = match columns(column) {
        [Some(id), None] => id,
        [None, _] => {
            let found = MissingColumn::of(&block.bytes[..header.length], &header.names);
            return Err(ListError::NoColumn { column: column.to_owned(), found });
        }
        [Some(_), Some(_)] => return Err(ListError::SeveralColumns(column.to_owned())),
    };
    // Where the user id is the first id, there is no second one.
    let user_id = match columns(USER_ID) {
        [_, Some(_)] => return Err(ListError::SeveralUserIds),
        [user_id, None] => user_id.filter(|&user_id| user_id != id),
    };
    Ok(Some((Csv { column: id, user_id }, header.length)))
}
