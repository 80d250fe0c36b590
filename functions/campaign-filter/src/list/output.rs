//! The two lists that a pass writes.

use std::fmt;
use std::io::Write;

use consent::eligibility::Reason;

/// The header row of the list of the skipped.
const HEADER: &[u8] = b"line,contact,reason\n";

/// The output of a pass. The caller takes it away between blocks.
pub struct Output {
    /// The bytes before the first row (byte order mark and header row), then the rows of the eligible as they were read.
    pub eligible: Vec<u8>,
    /// CSV with a header row: the line that the row begins in, counted from 1, the contact as the row has it, and the
    /// reason.
    pub skipped: Vec<u8>,
}

impl Default for Output {
    fn default() -> Self {
        Self { eligible: Vec::new(), skipped: HEADER.to_vec() }
    }
}

// Debug texts end up in logs, which may hold no phone number.
impl fmt::Debug for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Output({} bytes eligible, {} bytes skipped)", self.eligible.len(), self.skipped.len())
    }
}

impl Output {
    /// Adds a row to the list of the skipped. Its contact is quoted where
    /// [RFC 4180](https://www.rfc-editor.org/rfc/rfc4180) demands that.
    pub(super) fn skip(&mut self, line: u64, contact: &[u8], reason: Reason) {
        let list = &mut self.skipped;
        write!(list, "{line},").expect("a vector takes all");
        if contact.iter().any(|byte| b",\"\r\n".contains(byte)) {
            list.push(b'"');
            for part in contact.split_inclusive(|&byte| byte == b'"') {
                list.extend(part);
                if part.ends_with(b"\"") {
                    list.push(b'"');
                }
            }
            list.push(b'"');
        } else {
            list.extend(contact);
        }
        list.push(b',');
        list.extend(reason.as_str().as_bytes());
        list.push(b'\n');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_contact_is_quoted_where_it_must_be() {
        let mut output = Output::default();
        output.skip(2, b"+14155550123", Reason::OptedOut);
        output.skip(7, b"say \"no\", please\n", Reason::Invalid);
        output.skip(8, b"", Reason::Invalid);
        assert_eq!(
            String::from_utf8(output.skipped).unwrap(),
            "line,contact,reason\n2,+14155550123,opted_out\n7,\"say \"\"no\"\", please\n\",invalid\n8,,invalid\n"
        );
    }
}
