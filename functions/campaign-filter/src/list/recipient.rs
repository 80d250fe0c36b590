//! A recipient in JSON, read to the letter: a text, or an object with an id and perhaps another.

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, Visitor};

use crate::campaign::GivenId;

/// A recipient's ids as given.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Recipient {
    pub(super) id: String,
    pub(super) user_id: Option<String>,
}

/// The field of a second id.
pub(super) const USER_ID: &str = "user_id";

impl Recipient {
    /// Reads a recipient whose id, if it is an object, stands in this field.
    pub(super) fn parse(json: &str, field: &str) -> Option<Self> {
        if !json.trim_ascii_start().starts_with('{') {
            return serde_json::from_str(json).map(|id| Self { id, user_id: None }).ok();
        }
        let mut json = serde_json::Deserializer::from_str(json);
        let recipient = Fields(field).deserialize(&mut json).ok()?;
        json.end().ok().map(|()| recipient)
    }
}

/// Reads an object whose id stands in this field.
struct Fields<'a>(&'a str);

impl<'de> DeserializeSeed<'de> for Fields<'_> {
    type Value = Recipient;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Recipient, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Fields<'_> {
    type Value = Recipient;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with an id")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Recipient, A::Error> {
        let (mut id, mut user_id): (Option<GivenId>, Option<Option<String>>) = (None, None);
        while let Some(field) = fields.next_key::<Cow<'_, str>>()? {
            // One that says the same field twice is no recipient: whoever reads it next may see the other.
            if field == self.0 {
                if id.replace(fields.next_value()?).is_some() {
                    return Err(A::Error::duplicate_field("id"));
                }
            } else if field == USER_ID {
                if user_id.replace(fields.next_value()?).is_some() {
                    return Err(A::Error::duplicate_field(USER_ID));
                }
            } else {
                fields.next_value::<IgnoredAny>()?;
            }
        }
        let id = id.ok_or_else(|| A::Error::missing_field("id"))?;
        Ok(Recipient { id: id.0, user_id: user_id.flatten() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recipient_is_a_text_or_an_object_that_says_each_field_once() {
        let recipient = |id: &str, user_id: Option<&str>| {
            Some(Recipient { id: id.to_owned(), user_id: user_id.map(str::to_owned) })
        };
        for (json, expected) in [
            (r#""1415""#, recipient("1415", None)),
            (r#" {"phone": "1415", "name": {"a": [1, null]}} "#, recipient("1415", None)),
            (r#"{"user_id": "US.1", "ph\u006fne": "1415"}"#, recipient("1415", Some("US.1"))),
            (r#"{"phone": "1415", "user_id": null}"#, recipient("1415", None)),
            (r#"{"id": "1415"}"#, None),
            (r#"{"phone": 1415}"#, recipient("1415", None)),
            (r#"{"phone": 1415.0}"#, None),
            (r#"{"phone": -1415}"#, None),
            (r#"{"phone": "1415", "user_id": 1}"#, None),
            (r#"{"phone": "1415", "phone": "1415"}"#, None),
            (r#"{"phone": "1415", "user_id": null, "user_id": null}"#, None),
            (r#"{"phone": "1415"} {}"#, None),
            (r#"{"phone": "1415", "name": tru}"#, None),
            (r#"["1415", null]"#, None),
            ("1415", None),
        ] {
            assert_eq!(Recipient::parse(json, "phone"), expected, "{json}");
        }
    }
}
