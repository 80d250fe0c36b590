//! Evaluates `!If` and `!Split` in a part of the template.
//! <https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/intrinsic-function-reference.html>

use serde_json::{Map, Value, json};

use super::resolved;

/// The template's conditions, with the values of its parameters.
pub(super) struct Conditions<'a> {
    pub document: &'a Value,
    pub parameters: &'a Map<String, Value>,
}

impl Conditions<'_> {
    /// The value with all functions in it evaluated. None if it evaluates to `AWS::NoValue`.
    pub fn applied(&self, value: &Value) -> Result<Option<Value>, String> {
        match value {
            Value::Object(map) => match map.iter().next() {
                Some((name, arguments)) if map.len() == 1 && (name == "Ref" || name.starts_with("Fn::")) => {
                    self.function(name, arguments)
                }
                _ => {
                    let mut applied = Map::new();
                    for (name, value) in map {
                        if let Some(value) = self.applied(value)? {
                            applied.insert(name.clone(), value);
                        }
                    }
                    Ok(Some(applied.into()))
                }
            },
            Value::Array(list) => {
                let applied: Result<Vec<_>, _> = list.iter().map(|value| self.applied(value)).collect();
                Ok(Some(applied?.into_iter().flatten().collect()))
            }
            plain => Ok(Some(plain.clone())),
        }
    }

    fn function(&self, name: &str, arguments: &Value) -> Result<Option<Value>, String> {
        match (name, arguments.as_array().map(Vec::as_slice)) {
            ("Ref", _) if *arguments == "AWS::NoValue" => Ok(None),
            ("Fn::If", Some([condition, then, otherwise])) => {
                self.applied(if self.holds(&json!({"Condition": condition}))? { then } else { otherwise })
            }
            ("Fn::Split", Some([Value::String(mark), text])) => match self.applied(text)? {
                Some(Value::String(text)) => Ok(Some(text.split(mark.as_str()).collect())),
                _ => Err("Fn::Split is of a text".to_owned()),
            },
            _ => Err(format!("{name} is not played here")),
        }
    }

    fn holds(&self, condition: &Value) -> Result<bool, String> {
        let (function, arguments) =
            condition.as_object().and_then(|map| map.iter().next()).ok_or("a condition is a function")?;
        let list = arguments.as_array().map(Vec::as_slice);
        match (function.as_str(), list, arguments) {
            ("Condition", _, Value::String(name)) => {
                let condition = self.document.get("Conditions").and_then(|all| all.get(name));
                self.holds(condition.ok_or_else(|| format!("there is no condition `{name}`"))?)
            }
            ("Fn::Not", Some([condition]), _) => Ok(!self.holds(condition)?),
            ("Fn::Equals", Some([one, other]), _) => {
                let text = |value: &Value| match resolved(value.clone(), self.parameters) {
                    Value::String(text) => text,
                    value => value.to_string(),
                };
                Ok(text(one) == text(other))
            }
            _ => Err(format!("{function} is not played here")),
        }
    }
}
