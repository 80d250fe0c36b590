//! A few rows of a list, one by one: whose they are, and what they say as JSON.

use std::collections::BTreeMap;

use consent::id::ContactId;
use serde_json::value::{RawValue, to_raw_value};

use super::csv;
use super::layout::{Format, Layout};
use super::window::{Id, Whose, Window};
use crate::campaign::Recipient;

/// Rows that were read together.
pub(crate) struct Rows<'a> {
    layout: &'a Layout,
    bytes: &'a [u8],
    window: Window,
}

impl<'a> Rows<'a> {
    /// The rows that these bytes are.
    pub(crate) fn read(layout: &'a Layout, bytes: &'a [u8]) -> Self {
        let mut window = Window::default();
        layout.rows(bytes, true, &mut window);
        Self { layout, bytes, window }
    }

    /// Everybody whom they name, some perhaps several times.
    pub(crate) fn ids(&self) -> Vec<ContactId> {
        (0..self.window.len()).flat_map(|row| self.ids_of(row)).collect()
    }

    /// Rows as recipients. A row of JSON Lines is the caller's own JSON, one of CSV an object by the names of the header.
    pub(crate) fn recipients(&self, names: &[String]) -> Vec<Recipient> {
        let rows = (0..self.window.len()).filter(|row| self.window.whose[*row] != Whose::BLANK);
        let recipient = |row: usize| {
            let start = row.checked_sub(1).map_or(0, |before| self.window.ends[before]);
            let bytes = &self.bytes[start as usize..self.window.ends[row] as usize];
            let contact = String::from_utf8_lossy(&self.layout.contact(bytes)).into_owned();
            Recipient { json: self.json(bytes, names), contact, ids: self.ids_of(row) }
        };
        rows.map(recipient).collect()
    }

    fn ids_of(&self, row: usize) -> Vec<ContactId> {
        let window = &self.window;
        // They were read already, and are in their canonical form.
        let parse = |text: &str| ContactId::received(text).ok();
        let number = |number: u64| parse(&format!("+{number}"));
        let whose = window.whose[row];
        if let Some(only) = whose.as_number() {
            return number(only).into_iter().collect();
        }
        let first = window.others.partition_point(|(of, _)| *of < row);
        let others = window.others[first..].iter().take_while(|(of, _)| *of == row);
        let ids = others.filter(|_| whose == Whose::OTHER).filter_map(|(_, id)| match *id {
            Id::Number(other) => number(other),
            Id::Text(start, end) => str::from_utf8(window.text(start, end)).ok().and_then(parse),
        });
        ids.collect()
    }

    fn json(&self, row: &[u8], names: &[String]) -> Box<RawValue> {
        let text = || String::from_utf8_lossy(row.trim_ascii()).into_owned();
        let json = match self.layout.format() {
            Format::Jsonl => RawValue::from_string(text()).ok(),
            Format::Csv => csv::header(row, true).and_then(|row| {
                let fields = row.names.iter().map(|field| String::from_utf8_lossy(field));
                to_raw_value(&names.iter().zip(fields).collect::<BTreeMap<_, _>>()).ok()
            }),
        };
        json.or_else(|| to_raw_value(&text()).ok()).unwrap_or_else(|| RawValue::NULL.to_owned())
    }
}

/// The names of a list's columns; none where it is no CSV. `head` is what comes before its rows.
pub(crate) fn names(format: Format, head: &[u8]) -> Vec<String> {
    let head = head.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(head);
    let header = if format == Format::Csv { csv::header(head, true) } else { None };
    let names = header.map(|header| header.names).unwrap_or_default();
    names.iter().map(|name| String::from_utf8_lossy(name).into_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_csv_are_objects_by_the_names_of_the_header() {
        let list = b"\xEF\xBB\xBFname,phone\r\n\"A, B\",1 415 555 0123\r\n\r\nC,nobody\r\n";
        let (layout, head) = Layout::read(Format::Csv, "phone", list, true).unwrap().unwrap();
        let rows = Rows::read(&layout, &list[head..]);
        let recipients = rows.recipients(&names(Format::Csv, &list[..head]));
        let shown =
            |recipient: &Recipient| (recipient.json.get().to_owned(), recipient.contact.clone(), recipient.ids.len());
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
        let (layout, head) = Layout::read(Format::Jsonl, "phone", list, true).unwrap().unwrap();
        let rows = Rows::read(&layout, &list[head..]);
        let recipients = rows.recipients(&[]);
        assert_eq!(recipients[0].json.get(), r#"{"phone": "+14155550123", "user_id": "US.1"}"#);
        assert_eq!(recipients[1].json.get(), r#""+14155550124""#);
        assert_eq!(rows.ids().len(), 3);
    }
}
