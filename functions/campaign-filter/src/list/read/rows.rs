//! A few rows of a list as recipients, one by one.

use std::collections::BTreeMap;

use consent::id::ContactId;
use serde_json::value::{RawValue, to_raw_value};

use super::csv;
use super::layout::Layout;
use super::window::{RowId, RowOwner, Window};
use crate::list::format::{BYTE_ORDER_MARK, Block, Format};
use crate::recipient::CampaignRecipient;

/// Rows that were read together.
pub(crate) struct Rows<'a> {
    layout: &'a Layout,
    bytes: &'a [u8],
    window: Window,
}

impl<'a> Rows<'a> {
    /// Reads these bytes, which are whole rows.
    pub(crate) fn read(layout: &'a Layout, bytes: &'a [u8]) -> Self {
        let mut window = Window::default();
        layout.rows(Block { bytes, is_last: true }, &mut window);
        Self { layout, bytes, window }
    }

    /// The ids of all rows. An id may be there several times.
    pub(crate) fn ids(&self) -> Vec<ContactId> {
        (0..self.window.len()).flat_map(|row| self.ids_of(row)).collect()
    }

    /// The rows as recipients. The JSON of a row of JSON Lines is the row; that of a row of CSV is an object, in which
    /// `names` are the names of the columns.
    pub(crate) fn recipients(&self, names: &[String]) -> Vec<CampaignRecipient> {
        let rows = (0..self.window.len()).filter(|row| self.window.owners[*row] != RowOwner::BLANK);
        let recipient = |row: usize| {
            let start = row.checked_sub(1).map_or(0, |before| self.window.ends[before]);
            let bytes = &self.bytes[start as usize..self.window.ends[row] as usize];
            let contact = String::from_utf8_lossy(&self.layout.contact(bytes)).into_owned();
            CampaignRecipient { json: self.json(bytes, names), contact, ids: self.ids_of(row) }
        };
        rows.map(recipient).collect()
    }

    /// The ids of a row. They are canonical already, so they are read as those that WhatsApp sends.
    fn ids_of(&self, row: usize) -> Vec<ContactId> {
        let window = &self.window;
        let parse = |text: &str| ContactId::received(text).ok();
        let number = |number: u64| parse(&format!("+{number}"));
        if let Some(only) = window.owners[row].as_number() {
            return number(only).into_iter().collect();
        }
        let first = window.ids.partition_point(|listed| listed.row < row);
        let listed = window.ids[first..].iter().take_while(|listed| listed.row == row);
        let ids = listed.filter_map(|listed| match listed.id {
            RowId::Number(other) => number(other),
            RowId::Text(span) => str::from_utf8(window.text(span)).ok().and_then(parse),
        });
        ids.collect()
    }

    fn json(&self, row: &[u8], names: &[String]) -> Box<RawValue> {
        let text = || String::from_utf8_lossy(row.trim_ascii()).into_owned();
        let json = match self.layout.format() {
            Format::Jsonl => RawValue::from_string(text()).ok(),
            Format::Csv => csv::header(Block { bytes: row, is_last: true }).and_then(|row| {
                let fields = row.names.iter().map(|field| String::from_utf8_lossy(field));
                to_raw_value(&names.iter().zip(fields).collect::<BTreeMap<_, _>>()).ok()
            }),
        };
        json.or_else(|| to_raw_value(&text()).ok()).unwrap_or_else(|| RawValue::NULL.to_owned())
    }
}

/// The names of a list's columns, from the bytes before its first row. Empty for JSON Lines.
pub(crate) fn column_names(format: Format, head: &[u8]) -> Vec<String> {
    let bytes = head.strip_prefix(BYTE_ORDER_MARK).unwrap_or(head);
    let header = if format == Format::Csv { csv::header(Block { bytes, is_last: true }) } else { None };
    let names = header.map(|header| header.names).unwrap_or_default();
    names.iter().map(|name| String::from_utf8_lossy(name).into_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_csv_are_objects_by_the_names_of_the_header() {
        let list = b"\xEF\xBB\xBFname,phone\r\n\"A, B\",1 415 555 0123\r\n\r\nC,nobody\r\n";
        let layout = Layout::read(Format::Csv, "phone", Block { bytes: list, is_last: true }).unwrap().unwrap();
        let rows = Rows::read(&layout, &list[layout.rows_start()..]);
        let recipients = rows.recipients(&column_names(Format::Csv, &list[..layout.rows_start()]));
        let shown = |recipient: &CampaignRecipient| {
            (recipient.json.get().to_owned(), recipient.contact.clone(), recipient.ids.len())
        };
        let expected = [
            (r#"{"name":"A, B","phone":"1 415 555 0123"}"#.to_owned(), "1 415 555 0123".to_owned(), 1),
            (r#"{"name":"C","phone":"nobody"}"#.to_owned(), "nobody".to_owned(), 0),
        ];
        assert_eq!(recipients.iter().map(shown).collect::<Vec<_>>(), expected);
        assert_eq!(rows.ids(), ["+14155550123".parse().unwrap()]);
    }

    #[test]
    fn rows_of_json_lines_are_the_callers_own_json() {
        let list = b"{\"phone\": \"+14155550123\", \"user_id\": \"US.1\"}\n\n\"+14155550124\"\n";
        let layout = Layout::read(Format::Jsonl, "phone", Block { bytes: list, is_last: true }).unwrap().unwrap();
        let rows = Rows::read(&layout, &list[layout.rows_start()..]);
        let recipients = rows.recipients(&[]);
        assert_eq!(recipients[0].json.get(), r#"{"phone": "+14155550123", "user_id": "US.1"}"#);
        assert_eq!(recipients[1].json.get(), r#""+14155550124""#);
        assert_eq!(rows.ids().len(), 3);
    }
}
