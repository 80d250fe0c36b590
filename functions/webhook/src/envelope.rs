//! The envelope of WhatsApp's updates, opened layer by layer, so that nothing inside of one update keeps the others from
//! being read: no broken character, no number out of range, no nesting without end.

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

/// What one change of a body brings, still closed.
#[derive(Debug, Default)]
pub struct Change<'a> {
    /// What kind of updates it brings.
    pub field: String,
    /// The channel it is about.
    pub metadata: Value,
    /// The customers it names.
    pub contacts: Vec<Value>,
    /// Its messages.
    pub messages: Vec<&'a RawValue>,
    /// What became of messages that were sent.
    pub statuses: Vec<&'a RawValue>,
    /// What customers said with WhatsApp's own control.
    pub user_preferences: Vec<&'a RawValue>,
}

/// Opens a body.
///
/// # Errors
/// It is no JSON.
pub fn open(body: &str) -> Result<Vec<Change<'_>>, serde_json::Error> {
    let body: &RawValue = serde_json::from_str(body)?;
    let envelope: Envelope = layer(body).unwrap_or_default();
    let entries = members(envelope.entry).into_iter().filter_map(layer::<Entry>);
    let changes = entries.flat_map(|entry| members(entry.changes)).filter_map(layer::<ClosedChange>);
    Ok(changes.map(ClosedChange::open).collect())
}

/// Reads what is in an update. Halves of characters, as an emoji that was cut leaves them, are replaced.
pub fn read(closed: &RawValue) -> Option<Value> {
    serde_json::from_str(closed.get()).or_else(|_| serde_json::from_str(&mended(closed.get()))).ok()
}

#[derive(Default, Deserialize)]
struct Envelope<'a> {
    #[serde(borrow)]
    entry: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Entry<'a> {
    #[serde(borrow)]
    changes: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct ClosedChange<'a> {
    #[serde(borrow)]
    field: Option<&'a RawValue>,
    #[serde(borrow)]
    value: Option<&'a RawValue>,
}

#[derive(Default, Deserialize)]
struct Contents<'a> {
    #[serde(borrow)]
    metadata: Option<&'a RawValue>,
    #[serde(borrow)]
    contacts: Option<&'a RawValue>,
    #[serde(borrow)]
    messages: Option<&'a RawValue>,
    #[serde(borrow)]
    statuses: Option<&'a RawValue>,
    #[serde(borrow)]
    user_preferences: Option<&'a RawValue>,
}

impl<'a> ClosedChange<'a> {
    fn open(self) -> Change<'a> {
        let contents: Contents = self.value.and_then(layer).unwrap_or_default();
        let field = self.field.and_then(read);
        Change {
            field: field.as_ref().and_then(Value::as_str).unwrap_or_default().to_owned(),
            metadata: contents.metadata.and_then(read).unwrap_or_default(),
            contacts: members(contents.contacts).into_iter().filter_map(read).collect(),
            messages: members(contents.messages),
            statuses: members(contents.statuses),
            user_preferences: members(contents.user_preferences),
        }
    }
}

/// Opens one layer.
fn layer<'a, T: Deserialize<'a>>(closed: &'a RawValue) -> Option<T> {
    serde_json::from_str(closed.get()).ok()
}

/// The members of a list; something else stands for a list of just that.
fn members(list: Option<&RawValue>) -> Vec<&RawValue> {
    list.map(|list| layer(list).unwrap_or_else(|| vec![list])).unwrap_or_default()
}

/// JSON text in which each escape that is half a character (a surrogate without its other half) is U+FFFD instead.
fn mended(json: &str) -> String {
    let mut mended = String::with_capacity(json.len());
    let mut rest = json;
    while let Some(start) = rest.find('\\') {
        mended.push_str(&rest[..start]);
        rest = &rest[start..];
        let length = match (unit(rest), unit(rest.get(6..).unwrap_or_default())) {
            (Some(0xD800..=0xDBFF), Some(0xDC00..=0xDFFF)) => 12,
            (Some(0xD800..=0xDFFF), _) => {
                mended.push_str("\\ufffd");
                rest = &rest[6..];
                continue;
            }
            // Two bytes are enough of any escape, and an escaped backslash must not begin another.
            _ => rest.char_indices().nth(2).map_or(rest.len(), |(end, _)| end),
        };
        mended.push_str(&rest[..length]);
        rest = &rest[length..];
    }
    mended + rest
}

/// The UTF-16 code unit that a text begins with as an escape.
fn unit(text: &str) -> Option<u16> {
    u16::from_str_radix(text.strip_prefix("\\u")?.get(..4)?, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_halves_of_characters_are_replaced() {
        for (json, same) in [
            (r"plain", r"plain"),
            (r"\ud83d\ude00", r"\ud83d\ude00"),
            (r"STOP \ud83d", r"STOP \ufffd"),
            (r"\ude00\ud83d", r"\ufffd\ufffd"),
            (r"\ud83d\ud83d\ude00", r"\ufffd\ud83d\ude00"),
            (r"\\ud83d", r"\\ud83d"),
            (r"\\\ud83d", r"\\\ufffd"),
            (r"\u00e9\n\", r"\u00e9\n\"),
            (r"\é", r"\é"),
        ] {
            assert_eq!(mended(json), same, "{json}");
        }
    }

    #[test]
    fn one_entry_and_one_change_need_no_list() {
        let body = r#"{"entry": {"changes": {"field": "messages", "value": {"messages": {"id": "1"}}}}}"#;
        let changes = open(body).unwrap();
        assert_eq!((changes[0].field.as_str(), changes[0].messages.len()), ("messages", 1));
    }

    #[test]
    fn what_is_no_envelope_is_empty_and_what_is_no_json_an_error() {
        for body in ["[]", "1", "null", r#"{"entry": 7}"#, r#"{"entry": [{"changes": [null, 1, {"field": 2}]}]}"#] {
            assert!(open(body).unwrap().iter().all(|change| change.messages.is_empty()), "{body}");
        }
        assert!(open("{").is_err());
    }
}
