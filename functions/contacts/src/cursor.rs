//! Cursors: the position at which a list continues. A cursor is opaque to callers and valid only for its own list.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use consent::http::Problem;
use serde_json::Value;
use sha2::{Digest, Sha256};

/// The version of cursors. A cursor of another version is refused, and the caller begins anew.
const VERSION: &str = "1";

/// The identity of a list, to which its cursors are bound.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct List(String);

impl List {
    /// The list with these properties: its kind, its tenant and its filters, in this order.
    pub fn of(texts: &[&str]) -> Self {
        let mut hash = Sha256::new();
        for text in texts {
            hash.update(text.len().to_be_bytes());
            hash.update(text);
        }
        Self(hex::encode(&hash.finalize()[..8]))
    }

    /// The cursor for a position in this list.
    pub fn cursor<const N: usize>(&self, position: [&str; N]) -> String {
        let content: Value = [VERSION, &self.0].into_iter().chain(position).collect();
        URL_SAFE_NO_PAD.encode(content.to_string())
    }

    /// The position that a cursor of this list stands for. `None` for any other text.
    pub fn position<const N: usize>(&self, cursor: &str) -> Option<[String; N]> {
        let content: Vec<String> = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(cursor).ok()?).ok()?;
        let mut texts = content.into_iter();
        let ours = texts.next()? == VERSION && texts.next()? == self.0;
        texts.collect::<Vec<_>>().try_into().ok().filter(|_| ours)
    }
}

/// 422: the cursor is none of this list.
pub fn invalid() -> Problem {
    Problem::field("cursor", "is of another list or damaged: leave it out to begin anew")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_leads_back_to_its_position() {
        let list = List::of(&["contacts", "demo", ""]);
        let cursor = list.cursor(["3", "+14155550123"]);
        assert!(cursor.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_'));
        assert_eq!(list.position(&cursor), Some(["3".to_owned(), "+14155550123".to_owned()]));
    }

    #[test]
    fn a_cursor_is_good_for_its_list_only() {
        let cursor = List::of(&["contacts", "demo", "ab", "c"]).cursor(["3"]);
        for other in [["contacts", "other", "ab", "c"], ["contacts", "demo", "a", "bc"], ["history", "demo", "ab", "c"]]
        {
            assert_eq!(List::of(&other).position::<1>(&cursor), None, "{other:?}");
        }
    }

    #[test]
    fn what_is_no_cursor_is_refused() {
        let list = List::of(&["contacts"]);
        let cursor = list.cursor(["3"]);
        for text in ["", "x", "%%%", &cursor[1..], &format!("{cursor}A"), &URL_SAFE_NO_PAD.encode("{}")] {
            assert_eq!(list.position::<1>(text), None, "{text}");
        }
        assert_eq!(list.position::<2>(&cursor), None);
    }
}
