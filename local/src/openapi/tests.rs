//! `openapi.yaml` is the document that the code makes.

use std::path::Path;
use std::{env, fs};

use consent::http::ROUTES;
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use serde_json::Map;

use super::*;

const BEGINNING: &str = "\
# The HTTP API, made from the code. After a change of it: OPENAPI_UPDATE=always cargo test -p local openapi
";

/// The names of fields in the order in which people read them. All others follow in the order of the alphabet.
const READING_ORDER: [&str; 28] = [
    "openapi",
    "title",
    "name",
    "in",
    "url",
    "operationId",
    "version",
    "type",
    "const",
    "format",
    "summary",
    "description",
    "info",
    "servers",
    "tags",
    "required",
    "security",
    "parameters",
    "requestBody",
    "get",
    "put",
    "post",
    "delete",
    "responses",
    "schema",
    "properties",
    "paths",
    "components",
];

/// A JSON value whose fields are written in the order in which people read them.
enum Ordered<'a> {
    /// A value in the order of [`READING_ORDER`].
    Value(&'a Value),
    /// The properties of a schema: the required ones first, in their own order.
    Properties { properties: &'a Map<String, Value>, required: &'a Value },
}

impl Serialize for Ordered<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Properties { properties, required } => {
                let required: Vec<&str> = required.as_array().into_iter().flatten().filter_map(Value::as_str).collect();
                write_fields(serializer, properties, &required)
            }
            Self::Value(Value::Object(object)) => write_fields(serializer, object, &READING_ORDER),
            Self::Value(Value::Array(list)) => serializer.collect_seq(list.iter().map(Ordered::Value)),
            Self::Value(plain) => plain.serialize(serializer),
        }
    }
}

fn write_fields<S: Serializer>(serializer: S, object: &Map<String, Value>, order: &[&str]) -> Result<S::Ok, S::Error> {
    let mut fields: Vec<_> = object.iter().collect();
    fields.sort_by_key(|(name, _)| order.iter().position(|other| other == name).unwrap_or(usize::MAX));
    let mut map = serializer.serialize_map(Some(fields.len()))?;
    for (name, value) in fields {
        match value.as_object() {
            Some(properties) if name == "properties" => {
                let required = object.get("required").unwrap_or(&Value::Null);
                map.serialize_entry(name, &Ordered::Properties { properties, required })?;
            }
            _ => map.serialize_entry(name, &Ordered::Value(value))?,
        }
    }
    map.end()
}

#[test]
fn the_file_is_what_the_code_says() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../openapi.yaml");
    let made = format!("{BEGINNING}{}", serde_saphyr::to_string(&Ordered::Value(&document())).unwrap());
    if env::var("OPENAPI_UPDATE").is_ok_and(|update| update == "always") {
        fs::write(&file, &made).unwrap();
    }
    let kept = fs::read_to_string(&file).unwrap_or_default();
    let differs = kept.lines().zip(made.lines()).enumerate().find(|(_, (kept, made))| kept != made);
    assert!(
        kept == made,
        "openapi.yaml differs from the code, first at {differs:?}: see its first line, then read the difference"
    );
}

#[test]
fn every_route_is_described() {
    let document = document();
    for route in &ROUTES {
        let operation = &document["paths"][route.path][route.method.as_str().to_ascii_lowercase()];
        assert_eq!(operation["operationId"], route.operation.to_string());
        assert_eq!(operation["security"].as_array().map(Vec::len), Some(usize::from(route.scope.is_some())));
    }
}
