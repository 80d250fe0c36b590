//! Refusals as problem documents (RFC 9457).

use axum::Json;
use axum::extract::rejection::BytesRejection;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use super::ProblemKind;
use crate::count;
use crate::log::Metric;
use crate::settings::FieldError;
use crate::store::StoreError;

/// A refusal: its kind, and what the caller can do about it. What goes wrong inside is logged and not told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    kind: ProblemKind,
    detail: String,
    errors: Vec<FieldError>,
}

/// The body of a refusal.
#[derive(Serialize)]
struct ProblemDocument<'a> {
    r#type: &'a str,
    title: &'a str,
    status: u16,
    detail: &'a str,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    errors: &'a [FieldError],
}

impl Problem {
    /// A refusal of this kind. `detail` is a sentence for the person who reads the answer.
    pub fn new(kind: ProblemKind, detail: impl Into<String>) -> Self {
        Self { kind, detail: detail.into(), errors: Vec::new() }
    }

    /// 422: these fields do not hold.
    #[must_use]
    pub fn fields(errors: Vec<FieldError>) -> Self {
        let named: Vec<&str> = errors.iter().map(|error| error.field.as_str()).collect();
        let detail = format!("These fields do not hold: {}", named.join(", "));
        Self { kind: ProblemKind::InvalidFields, detail, errors }
    }

    /// 422: this one field does not hold.
    pub fn field(field: impl Into<String>, detail: impl Into<String>) -> Self {
        Self::fields(vec![FieldError::new(field, detail)])
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = self.kind.status();
        let document = ProblemDocument {
            r#type: &self.kind.uri(),
            title: status.canonical_reason().unwrap_or("Error"),
            status: status.as_u16(),
            detail: &self.detail,
            errors: &self.errors,
        };
        let mut response = (status, Json(document)).into_response();
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        response
    }
}

/// The caller learns whether to try again, the log what happened.
impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        count!(error, Metric::StoreUnavailable, %error, "the store failed a request");
        match error {
            StoreError::Unavailable(_) | StoreError::Contended => {
                Self::new(ProblemKind::Unavailable, "The request was not carried out, or not all of it. Send it again.")
            }
            StoreError::Unreadable { .. } | StoreError::Unwritable { .. } => {
                Self::new(ProblemKind::Internal, "The request was not carried out.")
            }
        }
    }
}

/// The kind of refusal for a body that did not arrive whole.
impl From<&BytesRejection> for ProblemKind {
    fn from(rejection: &BytesRejection) -> Self {
        match rejection.status() {
            StatusCode::PAYLOAD_TOO_LARGE => Self::BodyTooLarge,
            _ => Self::MalformedBody,
        }
    }
}
