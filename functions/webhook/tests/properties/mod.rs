//! The properties of reading any bytes, and the bodies to start from. Shared with the fuzz target.

use std::fs;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

/// An unknown field with content that is hard to parse: lone surrogates, a number out of range, an escaped quote.
const UNKNOWN_FIELD: &[u8] = br#""\ud83dunknown":[{"\udd91":1e999},"\\\"",[[]]],"#;

/// Checks that bytes are read without a panic, the same way twice, and the same way with an unknown field added.
pub fn hold(body: &[u8]) {
    let read = webhook::reading(body);
    assert_eq!(webhook::reading(body), read, "read again");
    if read.is_some()
        && let Some(extended) = extended(body)
    {
        assert_eq!(webhook::reading(&extended), read, "read with a field that nobody knows");
    }
}

/// The object with one more field before its others. None if it is no object, or has no fields.
fn extended(body: &[u8]) -> Option<Vec<u8>> {
    let is_space = |byte: &u8| b" \t\n\r".contains(byte);
    let (start, rest) = body.split_at(body.iter().position(|byte| !is_space(byte))? + 1);
    let has_fields = start.ends_with(b"{") && *rest.iter().find(|byte| !is_space(byte))? == b'"';
    has_fields.then(|| [start, UNKNOWN_FIELD, rest].concat())
}

/// The bodies of the webhook events in `events/`, each with its name.
pub fn bodies() -> Vec<(String, Vec<u8>)> {
    let events = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().map(|folder| folder.join("events"));
    let events = events.into_iter().find(|folder| folder.is_dir()).expect("events/ is above");
    let files = fs::read_dir(events).expect("events/ can be read").map(|file| file.expect("it has a name").path());
    let mut bodies: Vec<_> = files.filter_map(|file| body(&file)).collect();
    bodies.sort();
    bodies
}

fn body(file: &Path) -> Option<(String, Vec<u8>)> {
    let case = file.file_stem()?.to_str()?.strip_prefix("webhook-")?.to_owned();
    let event: Value = serde_json::from_slice(&fs::read(file).ok()?).ok()?;
    let body = event["body"].as_str()?;
    let bytes = if event["isBase64Encoded"] == true { STANDARD.decode(body).ok()? } else { body.as_bytes().to_vec() };
    Some((case, bytes)).filter(|(_, bytes)| !bytes.is_empty())
}
