//! The list of the skipped: a CSV of line, contact and reason.

use std::io::Write;

use crate::Reason;

/// Its header row.
pub(super) const HEADER: &[u8] = b"line,contact,reason\n";

/// Adds a recipient who is skipped: by the line the row begins in, and its id as given.
pub(super) fn add(list: &mut Vec<u8>, line: u64, contact: &[u8], reason: Reason) {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_contact_is_quoted_where_it_must_be() {
        let mut list = Vec::new();
        add(&mut list, 2, b"+14155550123", Reason::OptedOut);
        add(&mut list, 7, b"say \"no\", please\n", Reason::Invalid);
        add(&mut list, 8, b"", Reason::Invalid);
        assert_eq!(
            String::from_utf8(list).unwrap(),
            "2,+14155550123,opted_out\n7,\"say \"\"no\"\", please\n\",invalid\n8,,invalid\n"
        );
    }
}
