//! The parts of a header row that an error may show. Names of columns may be shown. Where the header row is missing, the
//! first row is a recipient, and may not.

use std::borrow::Cow;
use std::fmt;

use consent::id::ContactId;

/// A separator of columns that is no comma.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Separator {
    /// `;`, as spreadsheets write it where decimal numbers have commas.
    Semicolon,
    /// A tab.
    Tab,
    /// `|`
    Bar,
}

impl Separator {
    const ALL: [Self; 3] = [Self::Semicolon, Self::Tab, Self::Bar];

    const fn byte(self) -> u8 {
        match self {
            Self::Semicolon => b';',
            Self::Tab => b'\t',
            Self::Bar => b'|',
        }
    }
}

impl fmt::Display for Separator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Semicolon => "semicolons",
            Self::Tab => "tabs",
            Self::Bar => "vertical bars",
        })
    }
}

/// The reason for which a header row lacks a column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MissingColumn {
    /// The row has these columns instead.
    Others(ColumnNames),
    /// The row has columns, but no commas between them.
    Separated(Separator, ColumnNames),
    /// The row is a directive that names the separator to spreadsheets.
    Directive,
    /// The row looks like a recipient.
    NoHeader,
}

/// The names of columns, for an error text: at most 20, each cut to 40 characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ColumnNames(Vec<String>);

/// The most names in an error text.
const MOST_NAMES: usize = 20;

/// The most characters of a name in an error text.
const LONGEST_NAME: usize = 40;

/// The number of digits from which a field is no name of a column, but a number or a date.
const DIGITS: usize = 5;

impl MissingColumn {
    /// The reason for which a first row lacks a column. `fields` are the parts of `row` between commas.
    pub(super) fn of(row: &[u8], fields: &[Cow<'_, [u8]>]) -> Self {
        if row.trim_ascii_start().get(..4).is_some_and(|word| word.eq_ignore_ascii_case(b"sep=")) {
            return Self::Directive;
        }
        let separated =
            Separator::ALL.map(|separator| (separator, row.split(|&byte| byte == separator.byte()).count()));
        let most = separated.into_iter().max_by_key(|(_, parts)| *parts);
        match most.filter(|(_, parts)| *parts > fields.len()) {
            Some((separator, _)) => {
                let fields = row.split(|&byte| byte == separator.byte());
                ColumnNames::of(fields).map_or(Self::NoHeader, |columns| Self::Separated(separator, columns))
            }
            None => ColumnNames::of(fields.iter().map(AsRef::as_ref)).map_or(Self::NoHeader, Self::Others),
        }
    }
}

impl ColumnNames {
    /// The names in a header row. `None` if the row may be a recipient, whose data no error may show.
    fn of<'a>(fields: impl Iterator<Item = &'a [u8]>) -> Option<Self> {
        let text = |field: &[u8]| String::from_utf8_lossy(field).trim().trim_matches('"').trim().to_owned();
        let fields: Vec<String> = fields.map(text).collect();
        fields.iter().all(|field| is_name(field)).then_some(Self(fields))
    }
}

/// True for a field that may be the name of a column: it has letters, and is no id, address or date.
fn is_name(field: &str) -> bool {
    let digits = field.chars().filter(|sign| sign.is_numeric()).count();
    field.is_empty()
        || field.chars().any(char::is_alphabetic)
            && digits < DIGITS
            && !field.contains('@')
            && field.parse::<ContactId>().is_err()
}

impl fmt::Display for ColumnNames {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.0.iter().filter(|name| !name.is_empty());
        let count = names.clone().count();
        if count == 0 {
            return f.write_str("no names");
        }
        for (place, name) in names.take(MOST_NAMES).enumerate() {
            let comma = if place == 0 { "" } else { ", " };
            write!(f, "{comma}{:?}", shortened(name))?;
        }
        if count > MOST_NAMES { write!(f, " and {} more", count - MOST_NAMES) } else { Ok(()) }
    }
}

/// The first 40 characters of a name, for an error text.
pub(super) fn shortened(name: &str) -> &str {
    name.char_indices().nth(LONGEST_NAME).map_or(name, |(end, _)| &name[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_and_long_names_are_cut() {
        let fields: Vec<String> = (0..30).map(|number| format!("{}{number}", "x".repeat(90))).collect();
        let columns = ColumnNames::of(fields.iter().map(String::as_bytes)).unwrap().to_string();
        assert!(columns.len() < 1_000 && columns.ends_with(" and 10 more"), "{columns}");
        assert_eq!(ColumnNames::of([&b""[..], b" "].into_iter()).unwrap().to_string(), "no names");
    }
}
