//! The detection of files that are no lists, by their first bytes, so that the error can say what to do with them.

use memchr::memchr_iter;

use super::format::{BYTE_ORDER_MARK, Format};

/// The number of bytes at the beginning of a file that tell its type.
pub(crate) const TYPE_BYTES: usize = 64;

/// A file that is no list. The texts say what to do with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAList {
    /// A file of blanks only.
    #[error("the list is empty")]
    Empty,
    /// Text in UTF-16, which some programs call Unicode.
    #[error("the list is in UTF-16; save it as UTF-8")]
    Utf16,
    /// A zip archive, as newer spreadsheet files are.
    #[error("this is a spreadsheet file such as xlsx, or a zip archive; save the list as CSV and do not compress it")]
    Zip,
    /// A spreadsheet file of the older format.
    #[error("this is a spreadsheet file such as xls; save the list as CSV")]
    OldSpreadsheet,
    /// A file compressed by the program that is named.
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

/// The magic numbers of files that are no text: the bytes that each kind begins with. They are those of the database of
/// `file`: <https://github.com/file/file/tree/master/magic/Magdir>.
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

/// The kind of a file that is no list, by its first [`TYPE_BYTES`] bytes, or by all if it has fewer. `None` if it may be a
/// list.
pub(super) fn not_a_list(format: Format, beginning: &[u8]) -> Option<NotAList> {
    if let Some((_, kind)) = BEGINNINGS.iter().find(|(magic, _)| beginning.starts_with(magic)) {
        return Some(*kind);
    }
    // A header row may begin with the letters `BZh`, so more of the magic number has to fit.
    if let [b'B', b'Z', b'h', b'1'..=b'9', 0x31, 0x41, 0x59, 0x26, 0x53, 0x59, ..] = beginning {
        return Some(NotAList::Compressed("bzip2"));
    }
    let bytes = &beginning[..beginning.len().min(TYPE_BYTES)];
    // In UTF-16, each Latin letter and digit has a zero beside it.
    let zeros = memchr_iter(0, bytes).count();
    if bytes.len() >= 2 && zeros * 4 >= bytes.len() {
        return Some(NotAList::Utf16);
    }
    let text = bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(bytes).trim_ascii_start();
    match (format, text.first()) {
        (_, None) if beginning.len() < TYPE_BYTES => Some(NotAList::Empty),
        (Format::Jsonl, Some(b'[')) => Some(NotAList::JsonArray),
        (Format::Csv, Some(b'[' | b'{')) => Some(NotAList::Json),
        _ => None,
    }
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
        let blank = [b'\n'; TYPE_BYTES];
        assert_eq!(not_a_list(Format::Jsonl, &blank), None, "it may go on");
        assert_eq!(not_a_list(Format::Jsonl, &blank[1..]), Some(NotAList::Empty));
    }
}
