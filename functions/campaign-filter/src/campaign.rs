//! What is to be filtered, as it comes in.

use std::fmt;

use consent::contact::Category;
use consent::id::{ContactId, TenantId};
use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::FilterError;
use crate::keys::{below, check_bucket, check_key, check_prefix};
use crate::list::Format;
use crate::objects::Location;

/// A campaign.
#[derive(Debug)]
pub struct Campaign {
    /// Whose it is.
    pub tenant: TenantId,
    /// What the caller calls it.
    pub id: Option<String>,
    /// What kind of messages it sends.
    pub category: Category,
    /// To whom.
    pub recipients: Recipients,
}

/// Those to whom a campaign is to go.
#[derive(Debug)]
pub enum Recipients {
    /// Here, in the caller's order.
    Given(Vec<Recipient>),
    /// All of a list in S3. The eligible and the skipped go to lists beside each other.
    Listed(Source, Destination),
    /// Some rows of a list in S3, from one byte to another, both included.
    Rows(Source, u64, u64),
}

/// A list in S3.
#[derive(Debug, Deserialize)]
pub struct Source {
    /// Where it is.
    #[serde(flatten)]
    pub location: Location,
    /// What it is written in.
    pub format: Format,
    /// The column, or field, with the ids.
    #[serde(default = "id")]
    pub column: String,
    /// Which version of it, where rows are to be read of no other.
    pub e_tag: Option<String>,
    first_byte: Option<u64>,
    last_byte: Option<u64>,
}

/// Where lists go: below the tenant's id.
#[derive(Debug, Deserialize)]
pub struct Destination {
    /// The bucket.
    pub bucket: String,
    /// The beginning of their keys, with or without a slash at its end.
    pub prefix: String,
}

impl Destination {
    /// The location of the list of this name.
    pub(crate) fn location(&self, name: &str) -> Location {
        Location { bucket: self.bucket.clone(), key: below(&self.prefix, name) }
    }
}

/// One recipient.
#[derive(Debug)]
pub struct Recipient {
    /// The caller's own JSON, byte for byte.
    pub json: Box<RawValue>,
    /// How reports name it: the text that was given as its id, or all of its JSON.
    pub contact: String,
    /// What it is found under, the id first; none if it is no valid recipient.
    pub ids: Vec<ContactId>,
}

#[derive(Deserialize)]
struct Input<'a> {
    tenant_id: Option<Value>,
    campaign_id: Option<Value>,
    category: Option<Value>,
    #[serde(borrow)]
    contacts: Option<&'a RawValue>,
    source: Option<Value>,
    destination: Option<Value>,
}

impl Campaign {
    /// Reads a campaign. A recipient that is none is no error: it is skipped as invalid.
    ///
    /// # Errors
    /// Tenant, category or the list of recipients is missing or not what it should be. The message names the field and
    /// quotes nothing, as it may end up in logs.
    pub fn parse(json: &str) -> Result<Self, FilterError> {
        let input: Input = serde_json::from_str(json)
            .map_err(|_| invalid("the input is not a JSON object that describes a campaign"))?;
        let tenant = input.tenant_id.as_ref().and_then(Value::as_str).and_then(|id| id.parse().ok());
        let tenant = tenant.ok_or_else(|| invalid("tenant_id: give the id of a tenant"))?;
        let category = input.category.and_then(|category| serde_json::from_value(category).ok());
        let category =
            category.ok_or_else(|| invalid("category: give marketing, utility, authentication or service"))?;
        let id = match input.campaign_id {
            None | Some(Value::Null) => None,
            Some(Value::String(id)) => Some(id),
            Some(_) => return Err(invalid("campaign_id: give a text")),
        };
        let recipients = match (input.contacts, input.source) {
            (Some(_), Some(_)) => return Err(invalid("source: give either contacts or a source")),
            (_, Some(_)) if json.len() > LONGEST_INPUT => {
                return Err(invalid(
                    "the input has more than 8 KiB; with a source, leave out all that the filter does not read",
                ));
            }
            (_, Some(source)) => Recipients::listed(&tenant, source, input.destination)?,
            (contacts, None) => {
                let contacts = contacts.and_then(|contacts| serde_json::from_str(contacts.get()).ok());
                let contacts: Vec<Box<RawValue>> =
                    contacts.ok_or_else(|| invalid("contacts: give a list of recipients, or a source"))?;
                Recipients::Given(contacts.into_iter().map(Recipient::new).collect())
            }
        };
        Ok(Self { tenant, id, category, recipients })
    }
}

impl Recipients {
    fn listed(tenant: &TenantId, source: Value, destination: Option<Value>) -> Result<Self, FilterError> {
        let source: Source = serde_json::from_value(source).map_err(|_| {
            invalid("source: give bucket, key, format (csv or jsonl) and, but for the field id, column")
        })?;
        let destination: Option<Destination> = destination
            .map(serde_json::from_value)
            .transpose()
            .map_err(|_| invalid("destination: give bucket and prefix"))?;
        check_bucket("source.bucket", &source.location.bucket)?;
        check_key("source.key", &source.location.key, tenant)?;
        if let Some(destination) = &destination {
            check_bucket("destination.bucket", &destination.bucket)?;
            check_prefix("destination.prefix", &destination.prefix, LONGEST_NAME, tenant)?;
        }
        match (source.first_byte, source.last_byte, destination) {
            (None, None, Some(destination)) => Ok(Self::Listed(source, destination)),
            (Some(first), Some(last), None) if first <= last && last - first < MAX_ROWS_BYTES => {
                Ok(Self::Rows(source, first, last))
            }
            (Some(_), Some(_), None) => {
                Err(invalid("source.last_byte: not before first_byte, and less than 1 MiB behind it"))
            }
            (None, None, None) => Err(invalid("destination: give bucket and prefix, or a source with byte range")),
            (Some(_), Some(_), Some(_)) => {
                Err(invalid("destination: leave it out, rows of a byte range are in the answer"))
            }
            _ => Err(invalid("source: give both first_byte and last_byte, or neither")),
        }
    }
}

/// Bytes of an input whose recipients are a list, at most. A state machine carries it along, some of it twice, beside the
/// answers of 20,000 batches: 240,000 of the 262,144 bytes that there may be between two states.
const LONGEST_INPUT: usize = 8 * 1024;

/// Bytes of a range, at most: its rows have to fit an answer.
const MAX_ROWS_BYTES: u64 = 1024 * 1024;

/// The longest name of a list that is written.
const LONGEST_NAME: &str = "eligible.jsonl";

/// The field with the id where nothing else is said.
fn id() -> String {
    "id".to_owned()
}

/// A recipient that is an object. One that says the same field twice is none: whoever reads it next may see the other.
#[derive(Deserialize)]
struct Fields {
    id: GivenId,
    user_id: Option<String>,
}

/// An id as JSON gives it: a text, or a phone number that lost its quotes.
pub(crate) struct GivenId(pub(crate) String);

impl<'de> Deserialize<'de> for GivenId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(GivenIdVisitor)
    }
}

struct GivenIdVisitor;

impl Visitor<'_> for GivenIdVisitor {
    type Value = GivenId;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text or an integer")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<GivenId, E> {
        Ok(GivenId(text.to_owned()))
    }

    fn visit_string<E: de::Error>(self, text: String) -> Result<GivenId, E> {
        Ok(GivenId(text))
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<GivenId, E> {
        Ok(GivenId(number.to_string()))
    }
}

impl Recipient {
    /// A recipient in the caller's JSON.
    fn new(json: Box<RawValue>) -> Self {
        let read = serde_json::from_str(json.get()).map(|id| Fields { id: GivenId(id), user_id: None });
        // A list would do as well for the reader of objects, field by field.
        let read = read
            .or_else(|error| if json.get().starts_with('{') { serde_json::from_str(json.get()) } else { Err(error) });
        match read {
            Ok(fields) => Self { ids: fields.ids().unwrap_or_default(), contact: fields.id.0, json },
            Err(_) => Self { contact: json.get().to_owned(), ids: Vec::new(), json },
        }
    }
}

impl Fields {
    /// What the recipient is found under, each id once; nothing if one of them is none.
    fn ids(&self) -> Option<Vec<ContactId>> {
        let ids = [Some(&self.id.0), self.user_id.as_ref()].into_iter().flatten();
        let mut ids: Vec<ContactId> = ids.map(|id| id.parse().ok()).collect::<Option<_>>()?;
        ids.dedup();
        Some(ids)
    }
}

fn invalid(why: &str) -> FilterError {
    FilterError::InvalidCampaign(why.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recipient(json: &str) -> Recipient {
        Recipient::new(RawValue::from_string(json.to_owned()).unwrap())
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
    fn what_is_not_a_campaign_is_told_by_its_field_and_quotes_nobody() {
        for (json, field) in [
            (r#"{"category": "marketing", "contacts": []}"#, "tenant_id"),
            (r#"{"tenant_id": "a b", "category": "marketing", "contacts": []}"#, "tenant_id"),
            (r#"{"tenant_id": "demo", "contacts": []}"#, "category"),
            (r#"{"tenant_id": "demo", "category": "promo", "contacts": []}"#, "category"),
            (r#"{"tenant_id": "demo", "category": "marketing"}"#, "contacts"),
            (r#"{"tenant_id": "demo", "category": "marketing", "contacts": "+14155550100"}"#, "contacts"),
            (r#"{"tenant_id": "demo", "category": "marketing", "contacts": [], "campaign_id": 7}"#, "campaign_id"),
        ] {
            let error = Campaign::parse(json).unwrap_err().to_string();
            assert!(error.starts_with(field) && !error.contains("+1415"), "{json}: {error}");
        }
        assert!(Campaign::parse("[]").is_err());
    }
}
