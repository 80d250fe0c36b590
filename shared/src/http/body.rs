//! Bodies: JSON objects. A refusal names every field that does not hold, not only the first.

use axum::body::Bytes;
use axum::extract::{FromRequest, Request};
use axum::http::header;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::{Problem, ProblemKind};
use crate::settings::FieldError;

/// A request's body: a JSON object, or nothing.
#[derive(Debug)]
pub struct Body(Option<Map<String, Value>>);

impl Body {
    /// The fields of a body that has to be there.
    ///
    /// # Errors
    /// The request has no body.
    pub fn required(self) -> Result<Fields, Problem> {
        self.0
            .map(Fields::new)
            .ok_or_else(|| Problem::new(ProblemKind::MissingBody, "The request has no body: send a JSON object."))
    }

    /// The fields of a body that may be missing.
    #[must_use]
    pub fn optional(self) -> Fields {
        Fields::new(self.0.unwrap_or_default())
    }
}

impl<S: Send + Sync> FromRequest<S> for Body {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let is_json = request.headers().get(header::CONTENT_TYPE).is_some_and(|kind| is_json(kind.as_bytes()));
        let bytes = Bytes::from_request(request, state)
            .await
            .map_err(|rejection| Problem::new(ProblemKind::from(&rejection), rejection.body_text()))?;
        if bytes.is_empty() {
            return Ok(Self(None));
        }
        if !is_json {
            let detail = "The body is not declared as JSON: send the header `Content-Type: application/json`.";
            return Err(Problem::new(ProblemKind::UnsupportedMediaType, detail));
        }
        match serde_json::from_slice(&bytes) {
            Ok(Value::Object(fields)) => Ok(Self(Some(fields))),
            Ok(_) => Err(Problem::new(ProblemKind::MalformedBody, "The body is JSON, but not an object.")),
            Err(error) => {
                let place = format!("line {}, column {}", error.line(), error.column());
                Err(Problem::new(ProblemKind::MalformedBody, format!("The body is not JSON: look at {place}.")))
            }
        }
    }
}

/// Whether a content type is `application/json` or has the suffix `+json`, with or without parameters.
fn is_json(content_type: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(content_type) else { return false };
    let essence = text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    essence == "application/json" || (essence.starts_with("application/") && essence.ends_with("+json"))
}

/// The fields of a JSON object, taken out one by one. Their faults are gathered until [`Fields::finish`].
#[derive(Debug)]
pub struct Fields {
    left: Map<String, Value>,
    errors: Vec<FieldError>,
}

impl Fields {
    /// The fields of an object.
    #[must_use]
    pub fn new(object: Map<String, Value>) -> Self {
        Self { left: object, errors: Vec::new() }
    }

    /// Takes a field that has to be there. `expected` completes the sentence "give …".
    pub fn required<T: DeserializeOwned>(&mut self, name: &str, expected: &str) -> Option<T> {
        if let Some(value) = self.left.remove(name) {
            return self.read(name, value, expected);
        }
        self.refuse(name, format!("is missing: give {expected}"));
        None
    }

    /// Takes a field that may be missing or null.
    pub fn optional<T: DeserializeOwned>(&mut self, name: &str, expected: &str) -> Option<T> {
        match self.left.remove(name) {
            None | Some(Value::Null) => None,
            Some(value) => self.read(name, value, expected),
        }
    }

    /// Takes a field that is a text of limited length and may be missing or null.
    pub fn optional_text(&mut self, name: &str, max_chars: usize) -> Option<String> {
        let text: String = self.optional(name, "a text")?;
        let length = text.chars().count();
        if length > max_chars {
            self.refuse(name, format!("has {length} characters: shorten it to at most {max_chars}"));
        }
        Some(text)
    }

    /// Takes a field that is an object and may be missing or null. Faults of the fields in it are named `name.field`.
    pub fn optional_object<T>(&mut self, name: &str, read: impl FnOnce(&mut Self) -> Option<T>) -> Option<T> {
        let object = Self::new(self.optional(name, "an object")?);
        let named = |error: FieldError| FieldError::new(format!("{name}.{}", error.field), error.detail);
        object.make(read).map_err(|errors| self.refuse_all(errors.into_iter().map(named))).ok()
    }

    /// Adds a fault of a field.
    pub fn refuse(&mut self, name: &str, detail: impl Into<String>) {
        self.errors.push(FieldError::new(name, detail));
    }

    /// Adds faults of several fields.
    pub fn refuse_all(&mut self, errors: impl IntoIterator<Item = FieldError>) {
        self.errors.extend(errors);
    }

    /// Makes something of the fields. `read` returns `None` only where it found a fault.
    ///
    /// # Errors
    /// All faults; a field that `read` did not take is one.
    pub fn make<T>(mut self, read: impl FnOnce(&mut Self) -> Option<T>) -> Result<T, Vec<FieldError>> {
        let made = read(&mut self);
        self.finish()?;
        made.ok_or_else(Vec::new)
    }

    /// Ends the reading.
    ///
    /// # Errors
    /// All faults; a field that was not taken is one.
    pub fn finish(mut self) -> Result<(), Vec<FieldError>> {
        let unknown = self.left.keys().map(|name| FieldError::new(name, "is not a field of this request: remove it"));
        self.errors.extend(unknown);
        if self.errors.is_empty() { Ok(()) } else { Err(self.errors) }
    }

    fn read<T: DeserializeOwned>(&mut self, name: &str, value: Value, expected: &str) -> Option<T> {
        let read = serde_json::from_value(value).ok();
        if read.is_none() {
            self.refuse(name, format!("does not fit: give {expected}"));
        }
        read
    }
}

impl From<Vec<FieldError>> for Problem {
    fn from(errors: Vec<FieldError>) -> Self {
        Self::fields(errors)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(json: &str) -> Fields {
        Fields::new(serde_json::from_str(json).unwrap())
    }

    #[test]
    fn all_faults_are_told_at_once_each_by_its_field() {
        let mut fields = fields(r#"{"enabled": "yes", "note": "too long", "extra": 1}"#);
        assert_eq!(fields.required::<bool>("enabled", "true or false"), None);
        assert_eq!(fields.required::<String>("status", "a status"), None);
        fields.optional_text("note", 3);
        let errors = fields.finish().unwrap_err();
        let named: Vec<&str> = errors.iter().map(|error| error.field.as_str()).collect();
        assert_eq!(named, ["enabled", "status", "note", "extra"]);
    }

    #[test]
    fn null_is_as_good_as_missing_where_a_field_is_optional() {
        let mut fields = fields(r#"{"note": null}"#);
        assert_eq!(fields.optional_text("note", 3), None);
        assert_eq!(fields.finish(), Ok(()));
    }

    #[test]
    fn faults_of_an_inner_object_are_told_with_its_name() {
        let mut outer = fields(r#"{"evidence": {"text": 5, "extra": 1}}"#);
        let read = |inner: &mut Fields| inner.required::<String>("text", "a text");
        assert_eq!(outer.optional_object("evidence", read), None);
        let errors = outer.finish().unwrap_err();
        let named: Vec<&str> = errors.iter().map(|error| error.field.as_str()).collect();
        assert_eq!(named, ["evidence.text", "evidence.extra"]);
    }

    #[test]
    fn json_is_told_by_its_media_type() {
        for good in ["application/json", "Application/JSON; charset=utf-8", "application/merge-patch+json"] {
            assert!(is_json(good.as_bytes()), "{good}");
        }
        for bad in ["text/plain", "application/jsonx", "text/json+x", ""] {
            assert!(!is_json(bad.as_bytes()), "{bad}");
        }
    }
}
