//! The envelope around WhatsApp's updates: entries and changes.
//!
//! The body is parsed layer by layer, and each update stays raw JSON until it is read. So a broken character, a number out
//! of range or endless nesting in one update leaves the others readable.
//!
//! The shape: <https://developers.facebook.com/docs/whatsapp/cloud-api/webhooks/components>

use std::borrow::Cow;
use std::collections::HashMap;

use serde_json::Value;
use serde_json::value::RawValue;

/// The text of a body, with broken characters replaced.
pub struct BodyText<'a>(Cow<'a, str>);

/// The changes of a body.
#[derive(Debug, Default)]
pub struct EnvelopeChanges<'a> {
    /// The changes that are JSON objects.
    pub opened: Vec<EnvelopeChange<'a>>,
    /// The number of entries, changes and values that are no JSON objects.
    pub unread: usize,
}

/// One change of a body. Its value is still raw JSON.
#[derive(Debug)]
pub struct EnvelopeChange<'a> {
    /// The kind of updates in the value, such as `messages`.
    pub field: String,
    /// The object with the updates.
    pub value: Layer<'a>,
}

/// A JSON object whose fields are still raw JSON. Of a repeated field, the last one counts.
#[derive(Debug, Default)]
pub struct Layer<'a>(HashMap<String, &'a RawValue>);

impl<'a> BodyText<'a> {
    /// Takes the bytes of a body. Bytes that are not UTF-8, and escapes of half a surrogate pair, become U+FFFD.
    pub fn new(bytes: &'a [u8]) -> Self {
        match String::from_utf8_lossy(bytes) {
            Cow::Borrowed(text) if !text.contains("\\u") => Self(Cow::Borrowed(text)),
            text => Self(Cow::Owned(mended(&text))),
        }
    }

    /// Reads the changes of the body.
    ///
    /// # Errors
    /// The body is not JSON.
    pub fn open(&self) -> Result<EnvelopeChanges<'_>, serde_json::Error> {
        let body: &RawValue = serde_json::from_str(&self.0)?;
        let mut changes = EnvelopeChanges::default();
        let Some(envelope) = Layer::open(body) else { return Ok(changes) };
        for entry in envelope.closed("entry") {
            let Some(entry) = changes.layer(entry) else { continue };
            for change in entry.closed("changes") {
                let Some(change) = changes.layer(change) else { continue };
                let field = change.field("field").and_then(|field| read(field)?.as_str().map(str::to_owned));
                let value = change.field("value").and_then(|value| changes.layer(value));
                changes
                    .opened
                    .push(EnvelopeChange { field: field.unwrap_or_default(), value: value.unwrap_or_default() });
            }
        }
        Ok(changes)
    }
}

impl<'a> EnvelopeChanges<'a> {
    fn layer(&mut self, closed: &'a RawValue) -> Option<Layer<'a>> {
        let layer = Layer::open(closed);
        self.unread += usize::from(layer.is_none());
        layer
    }
}

impl EnvelopeChange<'_> {
    /// The value's `metadata`, which names the channel. Null if it is missing.
    pub fn metadata(&self) -> Value {
        self.value.field("metadata").and_then(read).unwrap_or_default()
    }

    /// The value's `contacts`. An entry that can't be read is null, so that the number of entries stays right.
    pub fn contacts(&self) -> Vec<Value> {
        self.value.closed("contacts").into_iter().map(|contact| read(contact).unwrap_or_default()).collect()
    }
}

impl<'a> Layer<'a> {
    /// Reads one object. None for any other JSON.
    pub fn open(closed: &'a RawValue) -> Option<Self> {
        serde_json::from_str(closed.get()).ok().map(Self)
    }

    /// The elements of a list, such as `messages`. JSON that is no list counts as a list of one element.
    pub fn closed(&self, list: &str) -> Vec<&'a RawValue> {
        match self.field(list) {
            None => Vec::new(),
            Some(null) if null.get() == "null" => Vec::new(),
            Some(list) => serde_json::from_str(list.get()).unwrap_or_else(|_| vec![list]),
        }
    }

    fn field(&self, name: &str) -> Option<&'a RawValue> {
        self.0.get(name).copied()
    }
}

/// Parses raw JSON. A field of an object that can't be parsed becomes null.
pub fn read(closed: &RawValue) -> Option<Value> {
    let whole = |json: &str| serde_json::from_str(json).ok();
    whole(closed.get()).or_else(|| {
        let fields = Layer::open(closed)?.0.into_iter();
        Some(Value::Object(fields.map(|(name, field)| (name, whole(field.get()).unwrap_or_default())).collect()))
    })
}

/// JSON text in which each escape of a lone surrogate (half of a UTF-16 pair) is U+FFFD instead.
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
            // Two characters are enough of any escape, and an escaped backslash must not begin another.
            _ => rest.char_indices().nth(2).map_or(rest.len(), |(end, _)| end),
        };
        mended.push_str(&rest[..length]);
        rest = &rest[length..];
    }
    mended + rest
}

/// The UTF-16 code unit of the `\uXXXX` escape at the start of a text. None if it starts with anything else.
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
        let body =
            BodyText::new(br#"{"entry": {"changes": {"field": "messages", "value": {"messages": {"id": "1"}}}}}"#);
        let changes = body.open().unwrap();
        assert_eq!(
            (changes.opened[0].field.as_str(), changes.opened[0].value.closed("messages").len()),
            ("messages", 1)
        );
    }

    #[test]
    fn what_cannot_be_opened_is_counted_and_what_is_no_json_an_error() {
        for (body, unread) in [
            ("[]", 0),
            ("null", 0),
            (r#"{"entry": null}"#, 0),
            (r#"{"entry": 7}"#, 1),
            (r#"{"entry": [{"changes": [null, 1, {"field": 2, "value": "x"}]}]}"#, 3),
        ] {
            assert_eq!(BodyText::new(body.as_bytes()).open().unwrap().unread, unread, "{body}");
        }
        assert!(BodyText::new(b"{").open().is_err());
    }

    #[test]
    fn a_field_that_cannot_be_read_leaves_the_others() {
        let deep = format!("{}{}", "[".repeat(300), "]".repeat(300));
        let json = format!(r#"{{"timestamp": 1e999, "context": {deep}, "text": {{"body": "STOP"}}}}"#);
        let read = read(&RawValue::from_string(json).unwrap()).unwrap();
        assert_eq!(
            (&read["timestamp"], &read["context"], &read["text"]["body"]),
            (&Value::Null, &Value::Null, &"STOP".into())
        );
    }

    #[test]
    fn odd_names_of_fields_and_repeated_ones_hide_nothing() {
        let body = br#"{"entry": [{"changes": [{"field": "messages", "value": {"\ud800x": 1, "messages": 1, "messages": [{}, {}]}}]}]}"#;
        let body = BodyText::new(body);
        assert_eq!(body.open().unwrap().opened[0].value.closed("messages").len(), 2);
    }
}
