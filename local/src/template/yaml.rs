//! YAML with the short tags of templates. They become the long JSON form, so that `!Ref X` can't be read as the text `X`.
//! <https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/intrinsic-function-reference.html>

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value, json};
use serde_saphyr::Tagged;

/// Parses a YAML document. `!Name value` becomes `{"Fn::Name": value}`, and `!Ref` and `!Condition` lose only their mark.
pub(super) fn read(text: &str) -> Result<Value, serde_saphyr::Error> {
    serde_saphyr::from_str::<Node>(text).map(|node| node.0)
}

/// A value together with the tag in front of it.
struct Node(Value);

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Tagged(Untagged(value), tag) = Tagged::deserialize(deserializer)?;
        Ok(Self(match tag.as_deref().and_then(|tag| tag.strip_prefix('!')) {
            Some(name) => long_form(name, value),
            None => value,
        }))
    }
}

fn long_form(name: &str, value: Value) -> Value {
    match (name, value) {
        ("Ref" | "Condition", value) => json!({ name: value }),
        ("GetAtt", Value::String(path)) => match path.split_once('.') {
            Some((resource, attribute)) => json!({ "Fn::GetAtt": [resource, attribute] }),
            None => json!({ "Fn::GetAtt": [path] }),
        },
        (name, value) => Value::Object(Map::from_iter([(format!("Fn::{name}"), value)])),
    }
}

/// A value without its own tag. The values inside it still have theirs.
struct Untagged(Value);

impl<'de> Deserialize<'de> for Untagged {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Untag).map(Self)
    }
}

struct Untag;

impl<'de> Visitor<'de> for Untag {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a YAML value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value).map(Value::Number).ok_or_else(|| E::custom("a number JSON does not have"))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(Node(element)) = elements.next_element()? {
            list.push(element);
        }
        Ok(list.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        while let Some((key, Node(value))) = entries.next_entry::<String, Node>()? {
            map.insert(key, value);
        }
        Ok(map.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_tags_become_the_long_form() {
        let read = read(concat!(
            "scalar: !Ref Table\n",
            "attribute: !GetAtt Table.StreamArn\n",
            "nested: !GetAtt Queue.Outputs.Arn\n",
            "list: !Join [\"\", [a, !Ref B]]\n",
            "map: !If\n  - Cond\n  - {Name: !Sub \"${A}-b\"}\n  - !Ref AWS::NoValue\n",
            "plain: \"!Ref Table\"\n",
        ));
        assert_eq!(
            read.unwrap(),
            json!({
                "scalar": {"Ref": "Table"},
                "attribute": {"Fn::GetAtt": ["Table", "StreamArn"]},
                "nested": {"Fn::GetAtt": ["Queue", "Outputs.Arn"]},
                "list": {"Fn::Join": ["", ["a", {"Ref": "B"}]]},
                "map": {"Fn::If": ["Cond", {"Name": {"Fn::Sub": "${A}-b"}}, {"Ref": "AWS::NoValue"}]},
                "plain": "!Ref Table",
            })
        );
    }

    #[test]
    fn scalars_are_of_the_kind_that_cloudformation_sees() {
        let read = read("a: 1\nb: true\nc: 2010-09-09\nd:\ne: 1.5\nf: 'true'\ng: >-\n  folded\n  text\nh: on\n");
        assert_eq!(
            read.unwrap(),
            json!({"a": 1, "b": true, "c": "2010-09-09", "d": null, "e": 1.5, "f": "true", "g": "folded text", "h": true})
        );
    }

    #[test]
    fn a_repeated_key_is_an_error() {
        assert!(read("a: 1\na: 2\n").is_err());
    }
}
