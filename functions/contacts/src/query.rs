//! Query strings. All faults are reported together. An empty parameter counts as missing. An unknown or repeated one is a
//! fault, because a filter that is ignored would show more contacts than the caller asked for.

use std::collections::BTreeMap;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use consent::http::{Problem, ProblemKind};
use consent::settings::FieldError;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// Default number of entries of a page.
const DEFAULT_LIMIT: u16 = 50;

/// The parameters of a query, and the faults found so far.
#[derive(Debug)]
pub struct Query {
    parameters: BTreeMap<String, String>,
    errors: Vec<FieldError>,
}

/// The words that a parameter can be, as an error names them.
#[derive(Clone, Copy, Debug)]
pub struct Words(pub &'static str);

impl Query {
    /// Refuses parameters other than these.
    pub fn only(&mut self, names: &[&str]) {
        let unknown: Vec<String> =
            self.parameters.keys().filter(|name| !names.contains(&name.as_str())).cloned().collect();
        for name in unknown {
            self.refuse(&name, format!("is no parameter here: use {}", names.join(", ")));
        }
    }

    /// The value of a parameter. None if it is missing or empty.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.parameters.get(name).map(String::as_str).filter(|text| !text.is_empty())
    }

    /// A parameter that is one of a few words.
    pub fn word<T: DeserializeOwned>(&mut self, name: &str, Words(expected): Words) -> Option<T> {
        let text = self.text(name)?.to_owned();
        let word = serde_json::from_value(Value::String(text)).ok();
        if word.is_none() {
            self.refuse(name, format!("does not fit: give {expected}"));
        }
        word
    }

    /// The parameter `limit`: the entries that a page may have, 1 to `most`.
    pub fn limit(&mut self, most: u16) -> u16 {
        let Some(text) = self.text("limit") else { return DEFAULT_LIMIT };
        let limit = text.parse().ok().filter(|limit| (1..=most).contains(limit));
        if limit.is_none() {
            self.refuse("limit", format!("does not fit: give a number from 1 to {most}"));
        }
        limit.unwrap_or(DEFAULT_LIMIT)
    }

    /// Adds a fault of a parameter.
    pub fn refuse(&mut self, name: &str, detail: impl Into<String>) {
        self.errors.push(FieldError::new(name, detail));
    }

    /// Ends the reading of the query.
    ///
    /// # Errors
    /// All faults that were found.
    pub fn finish(self) -> Result<(), Vec<FieldError>> {
        if self.errors.is_empty() { Ok(()) } else { Err(self.errors) }
    }
}

impl From<Vec<(String, String)>> for Query {
    fn from(given: Vec<(String, String)>) -> Self {
        let mut query = Self { parameters: BTreeMap::new(), errors: Vec::new() };
        for (name, text) in given {
            if query.parameters.insert(name.clone(), text).is_some() {
                query.refuse(&name, "is there twice: give it once");
            }
        }
        query
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Query {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let query = axum::extract::Query::from_request_parts(parts, state).await;
        let axum::extract::Query(parameters): axum::extract::Query<Vec<(String, String)>> =
            query.map_err(|rejection| Problem::new(ProblemKind::MalformedQuery, rejection.body_text()))?;
        Ok(parameters.into())
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub fn query(parameters: &[(&str, &str)]) -> Query {
        let parameters = parameters.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        parameters.collect::<Vec<_>>().into()
    }

    #[test]
    fn parameters_that_are_unknown_or_repeated_are_refused_by_name() {
        let mut query = query(&[("limit", "1"), ("stauts", "opted_out"), ("limit", "2")]);
        query.only(&["status", "limit"]);
        let errors = query.finish().unwrap_err();
        let told: Vec<(&str, &str)> = errors.iter().map(|error| (&*error.field, &*error.detail)).collect();
        let unknown = ("stauts", "is no parameter here: use status, limit");
        assert_eq!(told, [("limit", "is there twice: give it once"), unknown]);
    }

    #[test]
    fn a_limit_is_a_number_from_1_to_its_most() {
        for (text, limit) in [("", 50), ("1", 1), ("100", 100)] {
            let mut query = query(&[("limit", text)]);
            assert_eq!(query.limit(100), limit, "{text}");
            assert_eq!(query.finish(), Ok(()));
        }
        for text in ["0", "101", "-1", "ten", "1.5", "99999999"] {
            let mut query = query(&[("limit", text)]);
            query.limit(100);
            assert_eq!(query.finish().unwrap_err()[0].field, "limit", "{text}");
        }
    }
}
