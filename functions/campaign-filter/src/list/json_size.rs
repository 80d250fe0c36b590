//! The size of rows as JSON, by which batches are cut: a state machine hands batches on as JSON, and carries at most 256 KiB
//! from state to state.
//!
//! A recipient stands in the answer for a batch in one of two forms: as the row, or as a skipped recipient. The sender may
//! answer with something like the second form for each. The larger of the two counts, and is never underestimated. That
//! holds for JSON in ASCII too, with `\u00e9` for `é`: some programs write it so.
//!
//! A row of CSV becomes an object: the names of the columns and the escapes of JSON are added to the text of its fields. An
//! example: with the column `phone`, the row `"say ""no"""` and its line break have 13 bytes. As an object,
//! `{"phone":"say \"no\""}`, it takes 23 with its comma, and 53 as a skipped recipient. 84 are counted: 64 for a row of few
//! and short names, its 13, and one more for each of its six quotes and the line break.

use memchr::memchr2_iter;

use super::format::Format;
use super::read::column_names;

/// The bytes of a skipped recipient besides the contact, which is a part of the row:
/// `{"contact":"","reason":"provider_stopped"},` and the sender's own reason for a failure.
const AS_SKIPPED: u64 = 64;

/// The most bytes that an escape takes besides the byte that it stands for: `\u0001`. A byte that is no UTF-8 takes as many:
/// it becomes U+FFFD.
const ESCAPE: u64 = 5;

/// The most bytes that an escape takes besides each of the bytes of a character that it stands for: `\u00e9` for two,
/// `\u4e2d` for three, `\ud83d\ude00` for four.
const ESCAPE_OF_SEVERAL: u64 = 2;

/// The size that the rows of a list have as JSON.
#[derive(Clone, Copy, Debug)]
pub(super) struct JsonSize {
    /// The bytes that each row takes besides its own.
    fixed: u64,
    /// The rows are JSON already.
    is_json: bool,
}

impl JsonSize {
    /// The size of the rows behind this beginning of their list.
    pub(super) fn new(format: Format, head: &[u8]) -> Self {
        let names = column_names(format, head);
        // A name comes with a colon, the quotes of its field, and a comma; the row with braces and a comma.
        let name = |name: &String| serde_json::to_string(name).map_or(0, |name| in_ascii(&name)) + 4;
        let names = names.iter().map(name).sum::<u64>() + 3;
        Self { fixed: names.max(AS_SKIPPED), is_json: format == Format::Jsonl }
    }

    /// The most bytes that some rows may take. Never less than [`Self::exact`], and quicker.
    pub(super) fn estimate(self, bytes: &[u8], rows: u64) -> u64 {
        let escapes = if self.is_json {
            unusual(bytes) * ESCAPE_OF_SEVERAL
        } else {
            (unusual(bytes) + memchr2_iter(b'"', b'\\', bytes).count() as u64) * ESCAPE
        };
        self.unescaped(bytes, rows) + escapes
    }

    /// The most bytes that some rows take, by each of their bytes.
    pub(super) fn exact(self, bytes: &[u8], rows: u64) -> u64 {
        let beyond_ascii = if str::from_utf8(bytes).is_ok() { ESCAPE_OF_SEVERAL } else { ESCAPE };
        let more = bytes.iter().map(|byte| match byte {
            0x80.. => beyond_ascii,
            // JSON has its escapes already.
            _ if self.is_json => 0,
            b'"' | b'\\' | b'\n' | b'\r' | b'\t' | 8 | 12 => 1,
            0..0x20 => ESCAPE,
            _ => 0,
        });
        self.unescaped(bytes, rows) + more.sum::<u64>()
    }

    /// The bytes that some rows take without escapes.
    fn unescaped(self, bytes: &[u8], rows: u64) -> u64 {
        rows * self.fixed + bytes.len() as u64
    }
}

/// The number of control characters, line breaks among them, and of bytes that are not ASCII. Both are less than a space if
/// a byte is taken as a signed number: `é` is 0xC3 0xA9, or -61 and -87.
fn unusual(bytes: &[u8]) -> u64 {
    // The count of 240 bytes fits one byte, so that the compiler makes vector instructions of this.
    let chunks = bytes.chunks(240).map(|chunk| {
        let count = chunk.iter().fold(0, |count: u8, byte| count + u8::from(byte.cast_signed() < 0x20));
        u64::from(count)
    });
    chunks.sum()
}

/// The length of a JSON text in ASCII, in bytes.
fn in_ascii(json: &str) -> u64 {
    json.chars().map(|sign| if sign.is_ascii() { 1 } else { 6 * sign.len_utf16() as u64 }).sum()
}

#[cfg(test)]
mod tests {
    use consent::eligibility::Reason;
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;
    use crate::list::format::Block;
    use crate::list::read::{Layout, Rows};
    use crate::skipped::SkippedRecipient;

    /// The bytes that the rows of a list take: as eligible, as skipped, by the exact count, and by the estimate.
    fn taken(format: Format, list: &[u8]) -> Option<(u64, u64, u64, u64)> {
        let layout = Layout::read(format, "phone", Block { bytes: list, is_last: true }).ok()??;
        let (head, rows) = list.split_at(layout.rows_start());
        let recipients = Rows::read(&layout, rows).recipients(&column_names(format, head));
        let count = recipients.len() as u64;
        let eligible = recipients.iter().map(|recipient| in_ascii(recipient.json.get()) + 1).sum();
        let skipped = recipients.iter().map(|recipient| {
            let skipped = SkippedRecipient { contact: recipient.contact.clone(), reason: Reason::ProviderStopped };
            in_ascii(&serde_json::to_string(&skipped).unwrap()) + 1
        });
        let size = JsonSize::new(format, head);
        Some((eligible, skipped.sum(), size.exact(rows, count), size.estimate(rows, count)))
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn no_rows_of_csv_take_more_than_is_counted(
            header in "(phone|\"pho\"\"ne\",phone|x\u{e9}\u{1f600},phone,\"a\nb\",\\\\,y)\n",
            rows in vec(prop_oneof![any::<u8>(), (0u8..32), Just(b','), Just(b'"'), Just(b'\n'), Just(b'\\'), Just(0xE9), Just(0xC3), Just(0xA9)], 0..80),
        ) {
            let list = [header.as_bytes(), &rows].concat();
            if let Some((eligible, skipped, exact, quick)) = taken(Format::Csv, &list) {
                prop_assert!(eligible <= exact && skipped <= exact, "{} {} {}", eligible, skipped, exact);
                prop_assert!(exact <= quick, "{} {}", exact, quick);
            }
        }

        #[test]
        fn no_rows_of_json_lines_take_more_than_is_counted(
            rows in vec(("[+]1415555010[0-9]", "[a-z\u{e9}\u{4e2d}\u{1f600}]{0,9}|(\\\\u0001|\\\\\"){0,5}"), 1..9),
        ) {
            let row = |(phone, name): &(String, String)| format!("{{\"phone\":\"{phone}\",\"name\":\"{name}\"}}\n");
            let list: String = rows.iter().map(row).collect();
            let (eligible, skipped, exact, quick) = taken(Format::Jsonl, list.as_bytes()).unwrap();
            prop_assert!(eligible <= exact && skipped <= exact && exact <= quick);
        }
    }

    #[test]
    fn escapes_are_counted() {
        let (eligible, skipped, exact, _) = taken(Format::Csv, b"phone\n\"say \"\"no\"\"\"\n").unwrap();
        assert_eq!((eligible, skipped, exact), (23, 53, 84));
    }

    #[test]
    fn a_plain_row_takes_little_less_than_is_counted() {
        let list = "phone,name,language,amount\n".to_owned() + &"+4915112345678,Anna,en,12.50\n".repeat(100);
        let (eligible, _, exact, quick) = taken(Format::Csv, list.as_bytes()).unwrap();
        assert_eq!(
            eligible,
            100 * r#"{"amount":"12.50","language":"en","name":"Anna","phone":"+4915112345678"},"#.len() as u64
        );
        assert!(quick < eligible * 3 / 2, "{eligible} {exact} {quick}");
    }
}
