//! A recipient of a campaign, and the one parser of its JSON form. Events and lists in JSON Lines both use it, so that a
//! recipient is valid in one exactly if it is in the other.

use std::borrow::Cow;
use std::fmt;

use consent::id::ContactId;
use serde::de::{Deserializer, Error, IgnoredAny, MapAccess, Visitor};
use serde_json::Value as Json;
use serde_json::value::RawValue;

/// The field, or column, of a recipient's second id.
pub(crate) const USER_ID: &str = "user_id";

/// A recipient with its ids checked.
#[derive(Debug)]
pub(crate) struct CampaignRecipient {
    /// The recipient as the caller wrote it, byte for byte. A row of CSV becomes an object.
    pub(crate) json: Box<RawValue>,
    /// The recipient's name in reports: the text of its id, or all of its JSON if it has none.
    pub(crate) contact: String,
    /// The ids in canonical form, each once, the first one first. None if the recipient is invalid.
    pub(crate) ids: Vec<ContactId>,
}

impl CampaignRecipient {
    /// A recipient of an event. One that is no recipient has no ids, and reports count it as invalid.
    pub(crate) fn from_json(json: Box<RawValue>) -> Self {
        match IdField("id").parse(json.get()) {
            Some(texts) => Self { ids: texts.ids().unwrap_or_default(), contact: texts.id, json },
            None => Self { contact: json.get().to_owned(), ids: Vec::new(), json },
        }
    }
}

/// The ids of a recipient as its JSON gives them: not checked and not canonical.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct IdTexts {
    pub(crate) id: String,
    pub(crate) user_id: Option<String>,
}

impl IdTexts {
    /// The ids in canonical form, each once. `None` if one of the texts is no id.
    fn ids(&self) -> Option<Vec<ContactId>> {
        let ids = [Some(&self.id), self.user_id.as_ref()].into_iter().flatten();
        let mut ids: Vec<ContactId> = ids.map(|id| id.parse().ok()).collect::<Option<_>>()?;
        ids.dedup();
        Some(ids)
    }
}

/// The name of the field that holds the id of a recipient written as an object.
#[derive(Clone, Copy, Debug)]
pub(crate) struct IdField<'a>(pub(crate) &'a str);

impl IdField<'_> {
    /// Reads a recipient: a JSON text, which is the id, or an object with the id in this field and perhaps a second one in
    /// [`USER_ID`]. `None` for any other JSON, and for what is no JSON.
    pub(crate) fn parse(self, json: &str) -> Option<IdTexts> {
        let mut json = serde_json::Deserializer::from_str(json);
        let texts = json.deserialize_any(self).ok()?;
        json.end().ok().map(|()| texts)
    }
}

impl<'de> Visitor<'de> for IdField<'_> {
    type Value = IdTexts;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text, or an object with an id")
    }

    fn visit_str<E: Error>(self, id: &str) -> Result<IdTexts, E> {
        Ok(IdTexts { id: id.to_owned(), user_id: None })
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<IdTexts, A::Error> {
        let (mut id, mut user_id): (Option<Json>, Option<Option<String>>) = (None, None);
        while let Some(field) = fields.next_key::<Cow<'_, str>>()? {
            // An object that has a field twice is no recipient: the next program to read it may take the other one.
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
        let id = match id {
            Some(Json::String(id)) => id,
            // A phone number that lost its quotes.
            Some(Json::Number(id)) if id.is_u64() => id.to_string(),
            _ => return Err(A::Error::missing_field("id")),
        };
        Ok(IdTexts { id, user_id: user_id.flatten() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recipient(json: &str) -> CampaignRecipient {
        CampaignRecipient::from_json(RawValue::from_string(json.to_owned()).unwrap())
    }

    #[test]
    fn a_recipient_is_a_text_or_an_object_with_an_id() {
        for good in [
            r#""+14155550100""#,
            r#"{"id": "14155550100", "name": "kept"}"#,
            r#"{"id": 14155550100}"#,
            r#"{"id": "US.1"}"#,
        ] {
            assert_eq!(recipient(good).ids.len(), 1, "{good}");
        }
        assert_eq!(recipient(r#"{"id": "+14155550100", "user_id": "US.1"}"#).ids.len(), 2);
        assert_eq!(recipient(r#"{"id": "US.1", "user_id": "US.1"}"#).ids.len(), 1);
        for bad in [
            "14155550100",
            "null",
            "[]",
            r#"["+14155550100", null]"#,
            "{}",
            r#""hello""#,
            r#"{"id": 1}"#,
            r#"{"id": 14155550100.0}"#,
            r#"{"id": -14155550100}"#,
            r#"{"id": "14155550100.0"}"#,
            r#"{"id": null}"#,
            r#"{"id": "+14155550100", "user_id": 5}"#,
        ] {
            assert!(recipient(bad).ids.is_empty(), "{bad}");
        }
    }

    #[test]
    fn a_recipient_is_a_text_or_an_object_that_says_each_field_once() {
        let recipient =
            |id: &str, user_id: Option<&str>| Some(IdTexts { id: id.to_owned(), user_id: user_id.map(str::to_owned) });
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
            assert_eq!(IdField("phone").parse(json), expected, "{json}");
        }
    }
}
