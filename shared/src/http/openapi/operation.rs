//! One operation of the API's document.

use axum::http::StatusCode;
use schemars::JsonSchema;
use serde_json::{Map, Value, json};

use super::{ApiDocument, components};
use crate::http::{ProblemKind, Route};

/// Refusals of every JSON body.
const BODY_PROBLEMS: [ProblemKind; 4] = [
    ProblemKind::MalformedBody,
    ProblemKind::BodyTooLarge,
    ProblemKind::UnsupportedMediaType,
    ProblemKind::InvalidFields,
];

/// An operation on its way into the document. [`OperationEntry::finish`] puts it there.
#[derive(Debug)]
#[must_use]
pub struct OperationEntry<'a> {
    document: &'a mut ApiDocument,
    route: &'static Route,
    description: String,
    parameters: Vec<Value>,
    body: Option<Value>,
    responses: Map<String, Value>,
    problems: Vec<ProblemKind>,
}

/// A parameter of an operation.
#[derive(Debug)]
pub struct Parameter {
    /// The parameter's name.
    pub name: &'static str,
    /// The part of the request that holds the parameter.
    pub location: ParameterLocation,
    /// The parameter's purpose, in Markdown.
    pub description: &'static str,
    /// The JSON schema of the parameter's value.
    pub schema: Value,
    /// A value that fits.
    pub example: Value,
}

/// A part of a request that holds parameters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ParameterLocation {
    /// A segment of the path. The parameter has to be there.
    Path,
    /// The query. The parameter may be missing.
    Query,
    /// The headers. The parameter may be missing.
    Header,
}

impl<'a> OperationEntry<'a> {
    pub(super) fn new(document: &'a mut ApiDocument, route: &'static Route) -> Self {
        Self {
            document,
            route,
            description: String::new(),
            parameters: Vec::new(),
            body: None,
            responses: Map::new(),
            problems: Vec::new(),
        }
    }

    /// Says in Markdown what the operation does.
    pub fn description(mut self, text: &str) -> Self {
        text.clone_into(&mut self.description);
        self
    }

    /// Adds a parameter.
    pub fn parameter(mut self, parameter: Parameter) -> Self {
        let Parameter { name, location, description, schema, example } = parameter;
        let (location, required) = match location {
            ParameterLocation::Path => ("path", true),
            ParameterLocation::Query => ("query", false),
            ParameterLocation::Header => ("header", false),
        };
        self.parameters.push(json!({
            "name": name, "in": location, "required": required, "description": description, "schema": schema,
            "example": example
        }));
        self
    }

    /// Sets the body that the request has to have.
    pub fn body<T: JsonSchema>(mut self, example: &Value) -> Self {
        let schema = self.document.bodies.subschema_for::<T>();
        self.body = Some(json!({"required": true, "content": json_content(schema.as_value(), example)}));
        self.problems.push(ProblemKind::MissingBody);
        self.problems.extend(BODY_PROBLEMS);
        self
    }

    /// Sets the body that the request may have.
    pub fn optional_body<T: JsonSchema>(mut self, example: &Value) -> Self {
        let schema = self.document.bodies.subschema_for::<T>();
        self.body = Some(json!({"required": false, "content": json_content(schema.as_value(), example)}));
        self.problems.extend(BODY_PROBLEMS);
        self
    }

    /// Sets a body that has to be there, whose schema is not one of our types.
    pub fn foreign_body(mut self, schema: &Value, example: &Value) -> Self {
        self.body = Some(json!({"required": true, "content": json_content(schema, example)}));
        self
    }

    /// Adds the answer 200 with a body.
    pub fn answer<T: JsonSchema>(self, description: &str, example: &Value) -> Self {
        let schema = self.document.answers.subschema_for::<T>();
        let answer = json!({"description": description, "content": json_content(schema.as_value(), example)});
        self.raw_answer(StatusCode::OK, answer)
    }

    /// Adds an answer as the document has it.
    pub fn raw_answer(mut self, status: StatusCode, answer: Value) -> Self {
        self.responses.insert(status.as_str().to_owned(), answer);
        self
    }

    /// Gives the answer 200 an entity tag.
    pub fn etag(mut self, description: &str) -> Self {
        let tag =
            json!({"description": description, "required": true, "schema": {"type": "string"}, "example": "\"3\""});
        if let Some(answer) = self.responses.get_mut(StatusCode::OK.as_str()) {
            answer["headers"] = json!({"ETag": tag});
        }
        self
    }

    /// Adds kinds of problems. Those that follow from the scope, the path and the body need not be named.
    pub fn problems(mut self, kinds: &[ProblemKind]) -> Self {
        self.problems.extend(kinds);
        self
    }

    /// Writes the operation into the document.
    pub fn finish(mut self) {
        if self.route.path.contains('{') {
            self.problems.extend([ProblemKind::UnknownPath, ProblemKind::InvalidFields]);
        }
        self.responses.extend(components::refusals(&self.problems));
        if self.route.scope.is_some() {
            self.responses.extend(components::refusals_of_protected_routes());
        }
        let security: Vec<Value> = self.route.scope.iter().map(|scope| json!({"token": [scope.as_str()]})).collect();
        let mut entry = json!({
            "operationId": self.route.operation.to_string(), "summary": self.route.summary,
            "description": self.description, "tags": [components::tag(self.route.function)], "security": security,
            "responses": self.responses
        });
        if !self.parameters.is_empty() {
            entry["parameters"] = self.parameters.into();
        }
        if let Some(body) = self.body {
            entry["requestBody"] = body;
        }
        self.document.operations.push((self.route.operation, entry));
    }
}

fn json_content(schema: &Value, example: &Value) -> Value {
    json!({"application/json": {"schema": schema, "example": example}})
}
