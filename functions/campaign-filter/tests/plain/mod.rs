//! Lists read the plain way: a byte at a time, all in memory.

use campaign_filter::list::{Format, NotAList};
use consent::id::ContactId;
use serde::Deserialize;

/// A row of a list.
#[derive(Debug)]
pub struct PlainRow {
    pub line: u64,
    pub bytes: Vec<u8>,
    pub contact: Vec<u8>,
    /// Empty if the row is no valid recipient.
    pub ids: Vec<ContactId>,
}

/// The kind of a file of these tests that is no list. `None` for a list.
pub fn not_a_list(format: Format, file: &[u8]) -> Option<NotAList> {
    let beginning: Vec<u8> = file.iter().copied().take(64).collect();
    let zeros = beginning.split(|byte| *byte == 0).count() - 1;
    let text: Vec<u8> =
        if beginning.starts_with("\u{feff}".as_bytes()) { beginning[3..].to_vec() } else { beginning.clone() };
    let first = text.iter().find(|byte| !byte.is_ascii_whitespace());
    if [[0xFF, 0xFE], [0xFE, 0xFF]].iter().any(|mark| beginning.starts_with(mark)) {
        Some(NotAList::Utf16)
    } else if beginning.starts_with(&[0x1F, 0x8B]) {
        Some(NotAList::Compressed("gzip"))
    } else if beginning.len() > 1 && zeros * 4 >= beginning.len() {
        Some(NotAList::Utf16)
    } else if first.is_none() && file.len() < 64 {
        Some(NotAList::Empty)
    } else if first == Some(&b'[') && format == Format::Jsonl {
        Some(NotAList::JsonArray)
    } else {
        None
    }
}

/// True for a CSV file of which a quote is never closed.
pub fn is_open(file: &[u8]) -> bool {
    records(file).last().is_some_and(|record| record.is_open)
}

/// The bytes before the rows of a CSV file, and its rows.
pub fn csv(file: &[u8], column: &str) -> (Vec<u8>, Vec<PlainRow>) {
    let mark = if file.starts_with("\u{feff}".as_bytes()) { 3 } else { 0 };
    let mut records = records(&file[mark..]).into_iter();
    let header = records.next().unwrap();
    let named = |wanted: &str| header.fields.iter().position(|name| name.trim_ascii() == wanted.as_bytes());
    let user_id = named("user_id").filter(|_| column != "user_id");
    let column = named(column).unwrap();
    let mut line = 1 + lines(&header.bytes);
    let mut rows = vec![];
    for record in records {
        let contact = record.fields.get(column).cloned().unwrap_or_default();
        let user_id = user_id.and_then(|column| record.fields.get(column)).filter(|cell| !cell.trim_ascii().is_empty());
        let cells = [Some(&contact), user_id].into_iter().flatten();
        let id = |cell: &Vec<u8>| str::from_utf8(cell).ok()?.parse().ok();
        let ids: Option<Vec<ContactId>> = cells.map(id).collect();
        let mut ids = ids.filter(|_| !record.has_return).unwrap_or_default();
        ids.dedup();
        let next = line + lines(&record.bytes);
        if !matches!(&record.bytes[..], b"\n" | b"\r\n" | b"\r") {
            rows.push(PlainRow { line, bytes: record.bytes, contact, ids });
        }
        line = next;
    }
    ([&file[..mark], &header.bytes].concat(), rows)
}

struct Record {
    bytes: Vec<u8>,
    fields: Vec<Vec<u8>>,
    has_return: bool,
    is_open: bool,
}

fn records(file: &[u8]) -> Vec<Record> {
    let mut records = vec![];
    let empty = || Record { bytes: vec![], fields: vec![vec![]], has_return: false, is_open: false };
    let mut record = empty();
    // Whether the field has begun, and whether what comes stands in quotes.
    let (mut begun, mut quoted) = (false, false);
    let mut at = 0;
    while at < file.len() {
        let byte = file[at];
        record.bytes.push(byte);
        at += 1;
        let rest = &file[at..];
        let field = record.fields.last_mut().unwrap();
        if quoted && byte == b'"' && rest.starts_with(b"\"") {
            field.push(b'"');
            record.bytes.push(b'"');
            at += 1;
        } else if quoted && byte == b'"' {
            quoted = false;
        } else if quoted {
            field.push(byte);
        } else if byte == b'"' && !begun {
            quoted = true;
        } else if byte == b',' {
            record.fields.push(vec![]);
            begun = false;
            continue;
        } else if byte == b'\n' {
            records.push(std::mem::replace(&mut record, empty()));
            begun = false;
            continue;
        } else if byte != b'\r' || !(rest.is_empty() || rest.starts_with(b"\n")) {
            field.push(byte);
            record.has_return |= byte == b'\r';
        }
        begun = true;
    }
    if !record.bytes.is_empty() {
        record.is_open = quoted;
        records.push(record);
    }
    records
}

fn lines(bytes: &[u8]) -> u64 {
    bytes.split(|byte| *byte == b'\n').count() as u64 - 1
}

#[derive(Deserialize)]
struct PlainFields {
    id: PlainId,
    user_id: Option<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum PlainId {
    Text(String),
    Number(u64),
}

impl PlainId {
    fn text(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Number(number) => number.to_string(),
        }
    }
}

/// The bytes before the rows of a JSON Lines file, and its rows.
pub fn jsonl(file: &[u8]) -> (Vec<u8>, Vec<PlainRow>) {
    let mark = if file.starts_with("\u{feff}".as_bytes()) { 3 } else { 0 };
    let lines = file[mark..].split_inclusive(|byte| *byte == b'\n');
    let rows = lines.zip(1..).filter(|(bytes, _)| bytes.iter().any(|byte| !b" \t\r\n".contains(byte)));
    let rows = rows.map(|(bytes, line)| {
        let fields = str::from_utf8(bytes).ok().and_then(fields);
        let ids = fields.as_ref().and_then(|PlainFields { id, user_id }| {
            let ids = [Some(id.text()), user_id.clone()].into_iter().flatten();
            let mut ids: Vec<ContactId> = ids.map(|id| id.parse().ok()).collect::<Option<_>>()?;
            ids.dedup();
            Some(ids)
        });
        let contact =
            fields.as_ref().map_or_else(|| bytes.trim_ascii().to_vec(), |fields| fields.id.text().into_bytes());
        PlainRow { line, bytes: bytes.to_vec(), contact, ids: ids.unwrap_or_default() }
    });
    (file[..mark].to_vec(), rows.collect())
}

fn fields(row: &str) -> Option<PlainFields> {
    match row.trim_start().chars().next()? {
        '"' => serde_json::from_str(row).ok().map(|id| PlainFields { id: PlainId::Text(id), user_id: None }),
        '{' => serde_json::from_str(row).ok(),
        _ => None,
    }
}

/// The rows of a list of the skipped: line, contact and reason.
pub fn skipped(file: &[u8]) -> Vec<(u64, Vec<u8>, serde_json::Value)> {
    let mut records = records(file).into_iter();
    assert_eq!(records.next().unwrap().bytes, b"line,contact,reason\n");
    let rows = records.map(|record| {
        let [line, contact, reason] = record.fields.try_into().unwrap();
        let text = |field| String::from_utf8(field).unwrap();
        (text(line).parse().unwrap(), contact, text(reason).into())
    });
    rows.collect()
}
