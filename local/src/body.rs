//! Bodies that a person writes by hand for the local run: what is wrong is named, with what to do about it.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// A body that can't be used; answered as 422.
#[derive(Debug, PartialEq, Serialize)]
pub(crate) struct Refused {
    message: String,
}

impl Refused {
    /// The field, and what is to be done about it.
    pub fn new(field: &str, problem: &str) -> Self {
        Self { message: format!("{field}: {problem}") }
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        (StatusCode::UNPROCESSABLE_ENTITY, Json(self)).into_response()
    }
}

/// Reads a body.
///
/// # Errors
/// It is no JSON, or does not fit.
pub(crate) fn read<T: DeserializeOwned>(body: &str) -> Result<T, Refused> {
    let mut reader = serde_json::Deserializer::from_str(body);
    let read = serde_path_to_error::deserialize(&mut reader).map_err(|error| {
        let field = error.path().to_string();
        Refused::new(if field == "." { "body" } else { &field }, &error.into_inner().to_string())
    })?;
    reader.end().map_err(|error| Refused::new("body", &error.to_string()))?;
    Ok(read)
}
