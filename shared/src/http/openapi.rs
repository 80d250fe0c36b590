//! The API's document (OpenAPI 3.1), made from the table of routes, the kinds of problems, and the types of bodies and answers.
//!
//! Each function describes its operations to an [`ApiDocument`]. Nothing of this is part of a deployed function: it takes the
//! feature `openapi`.

mod components;
mod operation;
mod schema;

use schemars::generate::{SchemaGenerator, SchemaSettings};
use serde_json::{Map, Value, json};

use super::{Operation, ROUTES, Route};
pub use operation::{OperationEntry, Parameter, ParameterLocation};

/// The API's document in the making.
#[derive(Debug)]
pub struct ApiDocument {
    bodies: SchemaGenerator,
    answers: SchemaGenerator,
    operations: Vec<(Operation, Value)>,
}

impl ApiDocument {
    /// A document without operations.
    #[must_use]
    pub fn new() -> Self {
        let settings =
            || SchemaSettings::draft2020_12().with(|settings| settings.definitions_path = "/components/schemas".into());
        Self {
            bodies: settings().for_deserialize().into_generator(),
            answers: settings().for_serialize().into_generator(),
            operations: Vec::new(),
        }
    }

    /// Describes an operation.
    pub fn operation(&mut self, operation: Operation) -> OperationEntry<'_> {
        OperationEntry::new(self, Route::of(operation))
    }

    /// The document as JSON, without operations that were not described.
    #[must_use]
    pub fn finish(mut self) -> Value {
        let mut paths = Map::new();
        for route in &ROUTES {
            let described = self.operations.iter().position(|(operation, _)| *operation == route.operation);
            let Some(described) = described.map(|index| self.operations.swap_remove(index).1) else { continue };
            let path = paths.entry(route.path).or_insert_with(|| json!({}));
            path[route.method.as_str().to_ascii_lowercase()] = described;
        }
        let mut schemas = components::schemas();
        schemas.extend(self.answers.take_definitions(true));
        schemas.extend(self.bodies.take_definitions(true).into_iter().map(closed));
        schemas.values_mut().for_each(drop_foreign_formats);
        components::document(&paths, &schemas)
    }
}

impl Default for ApiDocument {
    fn default() -> Self {
        Self::new()
    }
}

/// Takes away the formats `uint` and `uint64`, which are no formats of OpenAPI. `minimum` says the same.
fn drop_foreign_formats(schema: &mut Value) {
    match schema {
        Value::Object(fields) => {
            if fields.get("format").and_then(Value::as_str).is_some_and(|format| format.starts_with("uint")) {
                fields.remove("format");
            }
            fields.values_mut().for_each(drop_foreign_formats);
        }
        Value::Array(list) => list.iter_mut().for_each(drop_foreign_formats),
        _ => {}
    }
}

/// A body's schema without room for fields that it does not name: they are refused.
fn closed((name, mut schema): (String, Value)) -> (String, Value) {
    if schema["type"] == "object" {
        schema["additionalProperties"] = false.into();
    }
    (name, schema)
}
