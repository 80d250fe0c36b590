//! Lambda's event filter patterns, as far as the table's stream needs them.
//! <https://docs.aws.amazon.com/lambda/latest/dg/invocation-eventfiltering.html>
//!
//! An unknown operator is an error when the template is read. To ignore it would send the function other records than in the
//! cloud.

use serde_json::{Map, Value};

/// The filters of an event source. A record passes if one of them matches, or if there are none.
#[derive(Clone, Debug, Default)]
pub struct Filters(Vec<Pattern>);

/// The error of a malformed pattern, or of one with an unknown operator.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("the filter pattern at `{at}` cannot be used: {problem}")]
pub struct InvalidPattern {
    at: String,
    problem: String,
}

/// The fields of a pattern. Each of them has to match.
#[derive(Clone, Debug)]
struct Pattern(Vec<(String, Field)>);

#[derive(Clone, Debug)]
enum Field {
    Nested(Pattern),
    /// The tests of a field, one of which has to pass.
    Leaf(Vec<Test>),
}

#[derive(Clone, Debug)]
enum Test {
    Exactly(Value),
    Prefix(String),
    Suffix(String),
    AnythingBut(Vec<Value>),
    Exists(bool),
}

impl Filters {
    /// Parses the patterns, each of which is JSON.
    ///
    /// # Errors
    /// A pattern is malformed, or has an unknown operator.
    pub fn parse<'a>(patterns: impl IntoIterator<Item = &'a str>) -> Result<Self, InvalidPattern> {
        let parsed = patterns.into_iter().map(|text| match serde_json::from_str(text) {
            Ok(Value::Object(fields)) => Pattern::parse(&fields, &Location::default()),
            Ok(_) => Err(Location::default().error("it is not an object")),
            Err(error) => Err(Location::default().error(format!("it is not JSON: {error}"))),
        });
        parsed.collect::<Result<_, _>>().map(Self)
    }

    /// Returns true if the function gets the record.
    #[must_use]
    pub fn pass(&self, record: &Value) -> bool {
        self.0.is_empty() || self.0.iter().any(|pattern| pattern.matches(Some(record)))
    }
}

impl Pattern {
    fn parse(fields: &Map<String, Value>, at: &Location) -> Result<Self, InvalidPattern> {
        if fields.is_empty() {
            return Err(at.error("an empty object"));
        }
        let parsed = fields.iter().map(|(name, value)| {
            let at = at.field(name);
            if name.starts_with('$') {
                return Err(at.error("operators on fields are not known here"));
            }
            let field = match value {
                Value::Object(inner) => Field::Nested(Self::parse(inner, &at)?),
                Value::Array(tests) if tests.is_empty() => return Err(at.error("an empty list matches nothing")),
                Value::Array(tests) => {
                    Field::Leaf(tests.iter().map(|test| Test::parse(test, &at)).collect::<Result<_, _>>()?)
                }
                _ => return Err(at.error("a value has to stand in a list")),
            };
            Ok((name.clone(), field))
        });
        parsed.collect::<Result<_, _>>().map(Self)
    }

    fn matches(&self, value: Option<&Value>) -> bool {
        self.0.iter().all(|(name, field)| {
            let value = value.and_then(|value| value.get(name));
            match field {
                Field::Nested(pattern) => pattern.matches(value),
                Field::Leaf(tests) => tests.iter().any(|test| test.passes(value)),
            }
        })
    }
}

impl Test {
    fn parse(written: &Value, at: &Location) -> Result<Self, InvalidPattern> {
        let operator = match written {
            Value::Object(operator) => operator,
            Value::Array(_) => return Err(at.error("a list in a list")),
            literal => return Ok(Self::Exactly(literal.clone())),
        };
        let mut entries = operator.iter();
        let (Some((name, operand)), None) = (entries.next(), entries.next()) else {
            return Err(at.error("a test has one operator"));
        };
        match (name.as_str(), operand) {
            ("prefix", Value::String(text)) => Ok(Self::Prefix(text.clone())),
            ("suffix", Value::String(text)) => Ok(Self::Suffix(text.clone())),
            ("exists", Value::Bool(wanted)) => Ok(Self::Exists(*wanted)),
            ("anything-but", Value::Array(values)) if values.iter().all(is_literal) => {
                Ok(Self::AnythingBut(values.clone()))
            }
            ("anything-but", value) if is_literal(value) => Ok(Self::AnythingBut(vec![value.clone()])),
            ("numeric", _) => {
                Err(at.error("the numbers of a stream's records are text, which `numeric` never matches"))
            }
            _ => Err(at.error(format!("`{name}` is not known here, or not with this operand"))),
        }
    }

    /// Returns true if the value passes the test. A list passes if one of its elements does.
    fn passes(&self, value: Option<&Value>) -> bool {
        match (self, value) {
            (Self::Exists(wanted), value) => value.is_some_and(|value| !value.is_object()) == *wanted,
            (_, None) => false,
            (_, Some(Value::Array(elements))) => elements.iter().any(|element| self.passes(Some(element))),
            (Self::Exactly(literal), Some(value)) => value == literal,
            (Self::Prefix(prefix), Some(value)) => value.as_str().is_some_and(|text| text.starts_with(prefix)),
            (Self::Suffix(suffix), Some(value)) => value.as_str().is_some_and(|text| text.ends_with(suffix)),
            (Self::AnythingBut(values), Some(value)) => is_literal(value) && !values.contains(value),
        }
    }
}

fn is_literal(value: &Value) -> bool {
    value.is_string() || value.is_number()
}

/// A location in a pattern: the names of the fields from its root, joined by dots. Empty for the root.
#[derive(Clone, Debug, Default)]
struct Location(String);

impl Location {
    fn field(&self, name: &str) -> Self {
        Self(if self.0.is_empty() { name.to_owned() } else { format!("{}.{name}", self.0) })
    }

    fn error(&self, problem: impl Into<String>) -> InvalidPattern {
        let at = if self.0.is_empty() { ".".to_owned() } else { self.0.clone() };
        InvalidPattern { at, problem: problem.into() }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn filter(pattern: &Value) -> Filters {
        Filters::parse([pattern.to_string().as_str()]).unwrap()
    }

    fn refused(pattern: &Value) -> String {
        Filters::parse([pattern.to_string().as_str()]).unwrap_err().to_string()
    }

    fn record(pk: &str, attempt: &str) -> Value {
        json!({"eventName": "INSERT", "dynamodb": {
            "Keys": {"pk": {"S": pk}},
            "NewImage": {"pk": {"S": pk}, "attempt": {"N": attempt}}
        }})
    }

    #[test]
    fn the_outbox_filter_brings_only_first_attempts() {
        let filter = filter(&json!({"dynamodb": {
            "Keys": {"pk": {"S": [{"prefix": "OUTBOX#"}]}},
            "NewImage": {"attempt": {"N": ["0"]}}
        }}));
        assert!(filter.pass(&record("OUTBOX#a", "0")));
        assert!(!filter.pass(&record("OUTBOX#a", "1")));
        assert!(!filter.pass(&record("T#demo", "0")));
        assert!(!filter.pass(&json!({"dynamodb": {"Keys": {"pk": {"S": "OUTBOX#a"}}}})), "a removal has no new image");
    }

    #[test]
    fn any_of_a_list_and_any_of_the_filters_will_do() {
        let (one, two) = (json!({"a": ["x", 1, null]}).to_string(), json!({"b": [true]}).to_string());
        let filters = Filters::parse([one.as_str(), two.as_str()]).unwrap();
        for passing in
            [json!({"a": "x"}), json!({"a": 1}), json!({"a": null}), json!({"b": true}), json!({"a": ["y", "x"]})]
        {
            assert!(filters.pass(&passing), "{passing}");
        }
        for failing in [json!({"a": "y"}), json!({"a": "1"}), json!({"b": false}), json!({})] {
            assert!(!filters.pass(&failing), "{failing}");
        }
        assert!(Filters::default().pass(&json!({})), "without filters everything passes");
    }

    #[test]
    fn exists_looks_at_leaves() {
        let there = filter(&json!({"a": {"b": [{"exists": true}]}}));
        assert!(there.pass(&json!({"a": {"b": "x"}})));
        assert!(!there.pass(&json!({"a": {}})));
        assert!(!there.pass(&json!({"a": {"b": {}}})));
        let gone = filter(&json!({"a": [{"exists": false}]}));
        assert!(gone.pass(&json!({"b": 1})));
        assert!(!gone.pass(&json!({"a": 1})));
    }

    #[test]
    fn suffix_and_anything_but() {
        let filter = filter(&json!({"a": [{"suffix": "z"}], "b": [{"anything-but": ["x", "y"]}]}));
        assert!(filter.pass(&json!({"a": "yz", "b": "z"})));
        assert!(!filter.pass(&json!({"a": "yz", "b": "y"})));
        assert!(!filter.pass(&json!({"a": "yz"})), "a value has to be there");
        assert!(!filter.pass(&json!({"a": "zy", "b": "z"})));
    }

    #[test]
    fn what_is_not_known_is_refused_by_name() {
        assert!(refused(&json!({"a": {"b": [{"cidr": "10.0.0.0/24"}]}})).contains("`a.b`"));
        assert!(refused(&json!({"a": [{"equals-ignore-case": "x"}]})).contains("`equals-ignore-case`"));
        assert!(refused(&json!({"a": {"N": [{"numeric": ["=", 0]}]}})).contains("never matches"));
        assert!(refused(&json!({"$or": [{"a": [1]}]})).contains("`$or`"));
        for pattern in [json!({"a": "x"}), json!({"a": []}), json!({"a": [["x"]]}), json!({}), json!([1])] {
            assert!(!refused(&pattern).is_empty());
        }
        assert!(Filters::parse(["{"]).unwrap_err().to_string().contains("not JSON"));
    }
}
