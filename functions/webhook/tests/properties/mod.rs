//! Properties of the reading of any bytes at all, and bodies to begin with. The fuzz target has the same.

use std::fs;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

/// A field that nobody knows, with what is hard to read: half a character, a number that is none, an escaped quote.
const UNKNOWN_FIELD: &[u8] = br#""\ud83dunknown":[{"\udd91":1e999},"\\\"",[[]]],"#;

/// Makes sure that bytes are read without a panic, the same way twice, and not otherwise for a field that nobody knows.
pub fn hold(body: &[u8]) {
    let read = webhook::reading(body);
    assert_eq!(webhook::reading(body), read, "read again");
    if read.is_some()
        && let Some(extended) = extended(body)
    {
        assert_eq!(webhook::reading(&extended), read, "read with a field that nobody knows");
    }
}

/// The object with one more field before its others; none if it is no object, or has no others.
fn extended(body: &[u8]) -> Option<Vec<u8>> {
    let is_space = |byte: &u8| b" \t\n\r".contains(byte);
    let (start, rest) = body.split_at(body.iter().position(|byte| !is_space(byte))? + 1);
    let has_fields = start.ends_with(b"{") && *rest.iter().find(|byte| !is_space(byte))? == b'"';
    has_fields.then(|| [start, UNKNOWN_FIELD, rest].concat())
}

/// The bodies of the events in `events/`, each with its case.
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
