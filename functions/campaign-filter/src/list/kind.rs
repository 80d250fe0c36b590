//! Files that are no lists: told by how they begin, so that the error can say what to do with them. And what an error may
//! say of a header row: columns have names that anybody may read, but where the header row is missing, the first row is a
//! recipient's.

use std::borrow::Cow;
use std::fmt;

use consent::id::ContactId;
use memchr::memchr_iter;

use super::layout::Format;

/// Bytes of a beginning that tell what a file is.
pub(crate) const TELLING: usize = 64;

/// A file that is no list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAList {
    /// It has nothing but blanks.
    #[error("the list is empty")]
    Empty,
    /// Two bytes a character, as some programs write what they call Unicode.
    #[error("the list is in UTF-16; save it as UTF-8")]
    Utf16,
    /// What spreadsheets keep their own files in is a zip archive.
    #[error("this is a spreadsheet file such as xlsx, or a zip archive; save the list as CSV and do not compress it")]
    Zip,
    /// The older format of spreadsheets.
    #[error("this is a spreadsheet file such as xls; save the list as CSV")]
    OldSpreadsheet,
    /// What this program writes.
    #[error("the list is compressed with {0}; decompress it")]
    Compressed(&'static str),
    /// A table in a format for databases.
    #[error("this is a Parquet file; save the list as CSV or JSON Lines")]
    Parquet,
    /// One array with all recipients.
    #[error(
        "the list is a JSON array; write JSON Lines, one recipient a line, without the brackets and commas around them"
    )]
    JsonArray,
    /// JSON, said to be CSV.
    #[error("the list looks like JSON and not like CSV; give it the format jsonl")]
    Json,
}

/// How files begin that are no text.
const BEGINNINGS: [(&[u8], NotAList); 11] = [
    (b"PK\x03\x04", NotAList::Zip),
    (b"PK\x05\x06", NotAList::Zip),
    (b"\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1", NotAList::OldSpreadsheet),
    (b"\x1F\x8B", NotAList::Compressed("gzip")),
    (b"\x28\xB5\x2F\xFD", NotAList::Compressed("Zstandard")),
    (b"\xFD7zXZ\0", NotAList::Compressed("xz")),
    (b"7z\xBC\xAF\x27\x1C", NotAList::Compressed("7-Zip")),
    (b"PAR1\x15", NotAList::Parquet),
    (b"\xFF\xFE", NotAList::Utf16),
    (b"\xFE\xFF", NotAList::Utf16),
    (b"\0\0\xFE\xFF", NotAList::Utf16),
];

/// What a file is that is no list, by its first [`TELLING`] bytes, or by all where it has fewer.
pub(super) fn not_a_list(format: Format, beginning: &[u8]) -> Option<NotAList> {
    if let Some((_, kind)) = BEGINNINGS.iter().find(|(magic, _)| beginning.starts_with(magic)) {
        return Some(*kind);
    }
    // A header may begin with the three letters alone.
    if let [b'B', b'Z', b'h', b'1'..=b'9', 0x31, 0x41, 0x59, 0x26, 0x53, 0x59, ..] = beginning {
        return Some(NotAList::Compressed("bzip2"));
    }
    let bytes = &beginning[..beginning.len().min(TELLING)];
    // Latin letters and digits have a zero beside each.
    let zeros = memchr_iter(0, bytes).count();
    if bytes.len() >= 2 && zeros * 4 >= bytes.len() {
        return Some(NotAList::Utf16);
    }
    let text = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes).trim_ascii_start();
    match (format, text.first()) {
        (_, None) if beginning.len() < TELLING => Some(NotAList::Empty),
        (Format::Jsonl, Some(b'[')) => Some(NotAList::JsonArray),
        (Format::Csv, Some(b'[' | b'{')) => Some(NotAList::Json),
        _ => None,
    }
}

/// What stands between the columns of a list in place of commas.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Separator {
    /// `;`, where commas are in decimal numbers.
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

/// What was found in place of a column: why the header row lacks it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoColumn {
    /// The row has these columns only.
    Others(Columns),
    /// The row has columns, but no commas between them.
    Separated(Separator, Columns),
    /// The row tells spreadsheets what separates the columns of the others.
    Directive,
    /// The row looks like a recipient's.
    NoHeader,
}

/// The names of columns, for an error text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Columns(Vec<String>);

/// Names that are told, and characters of each.
const MOST_NAMES: usize = 20;
const LONGEST_NAME: usize = 40;

/// Digits in a field that make it no name of a column, as numbers and dates have them.
const DIGITS: usize = 5;

impl NoColumn {
    /// What a first row shows in which a column is missing. `row` is all of it, `fields` are what the commas make of it.
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
                Columns::of(fields).map_or(Self::NoHeader, |columns| Self::Separated(separator, columns))
            }
            None => Columns::of(fields.iter().map(AsRef::as_ref)).map_or(Self::NoHeader, Self::Others),
        }
    }
}

impl Columns {
    /// The names in a header row; none where the row may be a recipient's, and nobody else may read it.
    fn of<'a>(fields: impl Iterator<Item = &'a [u8]>) -> Option<Self> {
        let text = |field: &[u8]| String::from_utf8_lossy(field).trim().trim_matches('"').trim().to_owned();
        let fields: Vec<String> = fields.map(text).collect();
        fields.iter().all(|field| is_name(field)).then_some(Self(fields))
    }
}

/// Whether a field may be the name of a column: it has letters, and is no id, address or date.
fn is_name(field: &str) -> bool {
    let digits = field.chars().filter(|sign| sign.is_numeric()).count();
    field.is_empty()
        || field.chars().any(char::is_alphabetic)
            && digits < DIGITS
            && !field.contains('@')
            && field.parse::<ContactId>().is_err()
}

impl fmt::Display for Columns {
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

/// A name for an error text, cut where it is long.
pub(super) fn shortened(name: &str) -> &str {
    name.char_indices().nth(LONGEST_NAME).map_or(name, |(end, _)| &name[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_taken_for_no_other_file() {
        for list in [
            "phone,name\n+14155550110,Anna\n",
            "BZh9 is a column,phone\n",
            "PK,phone\n",
            "7z,PAR1\n",
            "\u{feff}Имя,phone\n",
            "氏名,phone\n",
            "x",
        ] {
            assert_eq!(not_a_list(Format::Csv, list.as_bytes()), None, "{list}");
        }
        for list in ["\"+14155550110\"\n", " {\"id\": 1}\n", "\n\n5\n", "nonsense"] {
            assert_eq!(not_a_list(Format::Jsonl, list.as_bytes()), None, "{list}");
        }
        let blank = [b'\n'; TELLING];
        assert_eq!(not_a_list(Format::Jsonl, &blank), None, "it may go on");
        assert_eq!(not_a_list(Format::Jsonl, &blank[1..]), Some(NotAList::Empty));
    }

    #[test]
    fn many_and_long_names_are_cut() {
        let fields: Vec<String> = (0..30).map(|number| format!("{}{number}", "x".repeat(90))).collect();
        let columns = Columns::of(fields.iter().map(String::as_bytes)).unwrap().to_string();
        assert!(columns.len() < 1_000 && columns.ends_with(" and 10 more"), "{columns}");
        assert_eq!(Columns::of([&b""[..], b" "].into_iter()).unwrap().to_string(), "no names");
    }
}
