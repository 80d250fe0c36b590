//! Refusals as problem documents (RFC 9457).

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use crate::count;
use crate::log::Metric;
use crate::settings::FieldError;
use crate::store::StoreError;

/// A refusal: why, and what to do about it. What goes wrong inside is logged and not told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    status: StatusCode,
    detail: String,
    errors: Vec<FieldError>,
}

#[derive(Serialize)]
struct Document<'a> {
    r#type: &'static str,
    title: &'a str,
    status: u16,
    detail: &'a str,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    errors: &'a [FieldError],
}

impl Problem {
    /// A refusal with this status, for this reason.
    pub fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self { status, detail: detail.into(), errors: Vec::new() }
    }

    /// 422: these fields do not hold.
    #[must_use]
    pub fn fields(errors: Vec<FieldError>) -> Self {
        let named: Vec<&str> = errors.iter().map(|error| error.field.as_str()).collect();
        let detail = format!("These fields do not hold: {}", named.join(", "));
        Self { status: StatusCode::UNPROCESSABLE_ENTITY, detail, errors }
    }

    /// 422: this one field does not hold.
    pub fn field(field: impl Into<String>, detail: impl Into<String>) -> Self {
        Self::fields(vec![FieldError::new(field, detail)])
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let document = Document {
            r#type: "about:blank",
            title: self.status.canonical_reason().unwrap_or("Error"),
            status: self.status.as_u16(),
            detail: &self.detail,
            errors: &self.errors,
        };
        let mut response = (self.status, Json(document)).into_response();
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        response
    }
}

/// The caller learns whether to try again, the log what happened.
impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        count!(error, Metric::StoreUnavailable, %error, "the store failed a request");
        match error {
            StoreError::Unavailable(_) | StoreError::Contended => Self::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "The request was not carried out, or not all of it. Send it again.",
            ),
            StoreError::Unreadable { .. } | StoreError::Unwritable { .. } => {
                Self::new(StatusCode::INTERNAL_SERVER_ERROR, "The request was not carried out.")
            }
        }
    }
}

/// The answer to paths that nothing stands behind.
pub async fn not_found() -> Problem {
    Problem::new(StatusCode::NOT_FOUND, "There is nothing at this path.")
}

/// The answer to methods that a path does not have.
pub async fn method_not_allowed() -> Problem {
    Problem::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "This path does not have this method; the header `Allow` names those that it has.",
    )
}
