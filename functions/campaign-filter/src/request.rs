//! The events of the function. Their JSON tells three requests apart by its fields: a campaign to filter, some rows of a
//! list to filter again, and a campaign that was sent and is to be reported on. Here each is a variant of one type.

use consent::contact::Category;
use consent::id::TenantId;
use serde::Deserialize;
use serde_json::Value as Json;
use serde_json::value::RawValue;

use crate::campaign_report::SentCampaign;
use crate::error::{FieldPath, FilterError};
use crate::keys::{KeyPrefix, check_bucket, check_key, check_prefix};
use crate::list::Format;
use crate::objects::Location;
use crate::recipient::CampaignRecipient;

/// A request to the function.
#[derive(Debug)]
pub(crate) enum FilterRequest {
    /// Filters recipients that stand in the event, in the caller's order.
    Inline(Campaign, Vec<CampaignRecipient>),
    /// Filters a whole list in S3, and writes the eligible and the skipped to lists at the destination.
    List(Campaign, ListSource, Destination),
    /// Filters some rows of a list in S3. They are in the answer.
    Rows(Campaign, ListSource, RowRange),
    /// Adds up the answers for a list and for each of its batches.
    Report(SentCampaign),
}

/// A campaign, without its recipients.
#[derive(Debug)]
pub(crate) struct Campaign {
    /// The tenant that sends it.
    pub(crate) tenant: TenantId,
    /// The caller's name for it.
    pub(crate) id: Option<String>,
    /// The category of its messages.
    pub(crate) category: Category,
}

/// A list of recipients in S3.
#[derive(Debug, Deserialize)]
pub(crate) struct ListSource {
    /// The bucket and key of the list.
    #[serde(flatten)]
    pub(crate) location: Location,
    /// The format of the list.
    pub(crate) format: Format,
    /// The name of the column, or field, with the ids.
    #[serde(default = "default_column")]
    pub(crate) column: String,
    /// The version of the list that rows are to be read of, as S3 tags it. Any version if there is none.
    pub(crate) e_tag: Option<String>,
}

/// The rows between two bytes of a list, both included and counted from 0, as HTTP counts ranges.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RowRange {
    /// The first byte of the first row.
    pub(crate) first_byte: u64,
    /// The last byte of the last row, its line break included.
    pub(crate) last_byte: u64,
}

/// The place below the tenant's id that lists are written to.
#[derive(Debug, Deserialize)]
pub(crate) struct Destination {
    bucket: String,
    /// The beginning of the keys, with or without a slash at its end.
    prefix: String,
}

impl Destination {
    /// The location of the list with this name.
    pub(crate) fn location(&self, name: &str) -> Location {
        Location { bucket: self.bucket.clone(), key: KeyPrefix(&self.prefix).key(name) }
    }
}

/// The largest event that names a list, in bytes. A state machine carries the event along, some of it twice, beside the
/// answers of 20,000 batches. Those take up to 240,000 of the 262,144 bytes that may pass between two states:
/// <https://docs.aws.amazon.com/step-functions/latest/dg/service-quotas.html>.
const LARGEST_EVENT: usize = 8 * 1024;

/// The largest range of rows, in bytes. The answer has to hold them.
const LARGEST_RANGE: u64 = 1024 * 1024;

/// The longest name of a list that is written.
const LONGEST_NAME: &str = "eligible.jsonl";

/// The column, or field, with the ids where the source names none.
fn default_column() -> String {
    "id".to_owned()
}

#[derive(Deserialize)]
struct CampaignEvent<'a> {
    tenant_id: Option<Json>,
    campaign_id: Option<Json>,
    category: Option<Json>,
    #[serde(borrow)]
    contacts: Option<&'a RawValue>,
    source: Option<Json>,
    destination: Option<Json>,
}

/// A source as the event has it.
#[derive(Deserialize)]
struct SourceInput {
    #[serde(flatten)]
    list: ListSource,
    first_byte: Option<u64>,
    last_byte: Option<u64>,
}

impl FilterRequest {
    /// Reads an event. A recipient that is invalid is no error: it is skipped.
    ///
    /// # Errors
    /// A field is missing or wrong. The text names the field and quotes nothing, as it may end up in logs.
    pub(crate) fn parse(json: &str) -> Result<Self, FilterError> {
        if let Some(sent) = SentCampaign::parse(json)? {
            return Ok(Self::Report(sent));
        }
        let event: CampaignEvent = serde_json::from_str(json)
            .map_err(|_| FilterError::invalid("the input is not a JSON object that describes a campaign"))?;
        let campaign = event.campaign()?;
        match (event.contacts, event.source) {
            (Some(_), Some(_)) => Err(FieldPath("source").invalid("give either contacts or a source")),
            (_, Some(_)) if json.len() > LARGEST_EVENT => Err(FilterError::invalid(
                "the input has more than 8 KiB; with a source, leave out all that the filter does not read",
            )),
            (_, Some(source)) => Self::listed(campaign, source, event.destination),
            (contacts, None) => {
                let contacts = contacts.and_then(|contacts| serde_json::from_str(contacts.get()).ok());
                let contacts: Vec<Box<RawValue>> =
                    contacts.ok_or_else(|| FieldPath("contacts").invalid("give a list of recipients, or a source"))?;
                Ok(Self::Inline(campaign, contacts.into_iter().map(CampaignRecipient::from_json).collect()))
            }
        }
    }

    /// The request for a list, or for rows of it.
    fn listed(campaign: Campaign, source: Json, destination: Option<Json>) -> Result<Self, FilterError> {
        let SourceInput { list, first_byte, last_byte } = serde_json::from_value(source).map_err(|_| {
            FieldPath("source").invalid("give bucket, key, format (csv or jsonl) and, but for the field id, column")
        })?;
        let destination: Option<Destination> = destination
            .map(serde_json::from_value)
            .transpose()
            .map_err(|_| FieldPath("destination").invalid("give bucket and prefix"))?;
        check_bucket(FieldPath("source.bucket"), &list.location.bucket)?;
        check_key(FieldPath("source.key"), &list.location.key, &campaign.tenant)?;
        if let Some(Destination { bucket, prefix }) = &destination {
            check_bucket(FieldPath("destination.bucket"), bucket)?;
            check_prefix(FieldPath("destination.prefix"), KeyPrefix(prefix), LONGEST_NAME, &campaign.tenant)?;
        }
        match (first_byte, last_byte, destination) {
            (None, None, Some(destination)) => Ok(Self::List(campaign, list, destination)),
            (Some(first_byte), Some(last_byte), None)
                if first_byte <= last_byte && last_byte - first_byte < LARGEST_RANGE =>
            {
                Ok(Self::Rows(campaign, list, RowRange { first_byte, last_byte }))
            }
            (Some(_), Some(_), None) => {
                Err(FieldPath("source.last_byte").invalid("not before first_byte, and less than 1 MiB behind it"))
            }
            (None, None, None) => {
                Err(FieldPath("destination").invalid("give bucket and prefix, or a source with byte range"))
            }
            (Some(_), Some(_), Some(_)) => {
                Err(FieldPath("destination").invalid("leave it out, rows of a byte range are in the answer"))
            }
            _ => Err(FieldPath("source").invalid("give both first_byte and last_byte, or neither")),
        }
    }
}

impl CampaignEvent<'_> {
    fn campaign(&self) -> Result<Campaign, FilterError> {
        let tenant = self.tenant_id.as_ref().and_then(Json::as_str).and_then(|id| id.parse().ok());
        let tenant = tenant.ok_or_else(|| FieldPath("tenant_id").invalid("give the id of a tenant"))?;
        let category = self.category.as_ref().and_then(|category| Category::deserialize(category).ok());
        let category = category
            .ok_or_else(|| FieldPath("category").invalid("give marketing, utility, authentication or service"))?;
        let id = match &self.campaign_id {
            None | Some(Json::Null) => None,
            Some(Json::String(id)) => Some(id.clone()),
            Some(_) => return Err(FieldPath("campaign_id").invalid("give a text")),
        };
        Ok(Campaign { tenant, id, category })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
            let error = FilterRequest::parse(json).unwrap_err().to_string();
            assert!(error.starts_with(field) && !error.contains("+1415"), "{json}: {error}");
        }
        assert!(FilterRequest::parse("[]").is_err());
    }
}
