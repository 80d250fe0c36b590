//! Request bodies of the local run's own routes. People write them by hand, so an error names the field and the remedy.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// An invalid body, answered with 422.
#[derive(Debug, PartialEq, Serialize)]
pub(crate) struct Refused {
    message: String,
}

impl Refused {
    /// The error of a field. `problem` says what is wrong and what to give instead.
    pub fn new(Field(field): Field, problem: &str) -> Self {
        Self { message: format!("{field}: {problem}") }
    }
}

/// The name of a body's field.
#[derive(Clone, Copy)]
pub(crate) struct Field<'a>(pub &'a str);

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        (StatusCode::UNPROCESSABLE_ENTITY, Json(self)).into_response()
    }
}

/// Parses a body.
///
/// # Errors
/// The body is not JSON, or does not fit `T`.
pub(crate) fn read<T: DeserializeOwned>(body: &str) -> Result<T, Refused> {
    let mut reader = serde_json::Deserializer::from_str(body);
    let read = serde_path_to_error::deserialize(&mut reader).map_err(|error| {
        let field = error.path().to_string();
        Refused::new(Field(if field == "." { "body" } else { &field }), &error.into_inner().to_string())
    })?;
    reader.end().map_err(|error| Refused::new(Field("body"), &error.to_string()))?;
    Ok(read)
}
