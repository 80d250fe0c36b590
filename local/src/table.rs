//! The one table: what the template says of it, and making it where it is missing.

use std::time::Duration;

use aws_sdk_dynamodb::error::ProvideErrorMetadata;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType, StreamSpecification,
    StreamViewType, TableDescription, TableStatus, TimeToLiveSpecification, TimeToLiveStatus,
};
use aws_sdk_dynamodb::{Client, Error};

/// A table as the template declares it, in the words of the calls that make it.
#[derive(Clone, Debug, PartialEq)]
pub struct TableDefinition {
    /// The attributes that are part of a key.
    pub attributes: Vec<AttributeDefinition>,
    /// Partition and sort key.
    pub keys: Vec<KeySchemaElement>,
    /// What the stream's records show, where there is a stream.
    pub stream: Option<StreamViewType>,
    /// The attribute that holds the time of expiry.
    pub expiry: Option<String>,
}

/// A table that is ready for use.
#[derive(Clone, Debug)]
pub struct Table {
    /// Its stream.
    pub stream_arn: Option<String>,
}

/// Why there is no table to work with.
#[derive(Debug, thiserror::Error)]
pub enum TableError {
    /// The endpoint refused or did not answer.
    #[error("cannot make the table `{table}`: {}", reason(.source))]
    Call {
        /// The table.
        table: String,
        /// What the endpoint said.
        source: Box<Error>,
    },
    /// A table of the name is there, but not this one.
    #[error("there is a table `{table}` already, and it {problem}: delete it, or use another endpoint or data file")]
    Other {
        /// The table.
        table: String,
        /// How it differs.
        problem: &'static str,
    },
}

/// How often a new table is asked whether it is ready. The cloud takes seconds, the embedded engine none.
const POLL: Duration = Duration::from_millis(500);

impl TableDefinition {
    /// Makes the table where it is missing, or completes it, and waits until it can be used.
    ///
    /// # Errors
    /// When the endpoint fails, or has another table of that name.
    pub async fn ensure(&self, client: &Client, name: &str) -> Result<Table, TableError> {
        let failed = |source: Error| TableError::Call { table: name.to_owned(), source: Box::new(source) };
        match self.create(client, name).await {
            Ok(()) => {}
            Err(error) if error.code() == Some("ResourceInUseException") => {}
            Err(error) => return Err(failed(error)),
        }
        let table = active(client, name).await?;
        if table.key_schema() != self.keys {
            return Err(TableError::Other { table: name.to_owned(), problem: "has other keys" });
        }
        if self.stream.is_some() && table.latest_stream_arn().is_none() {
            return Err(TableError::Other { table: name.to_owned(), problem: "has no stream" });
        }
        if let Some(attribute) = &self.expiry {
            expire(client, name, attribute).await.map_err(failed)?;
        }
        Ok(Table { stream_arn: table.latest_stream_arn().map(str::to_owned) })
    }

    async fn create(&self, client: &Client, name: &str) -> Result<(), Error> {
        let stream = match &self.stream {
            Some(view) => {
                Some(StreamSpecification::builder().stream_enabled(true).stream_view_type(view.clone()).build()?)
            }
            None => None,
        };
        client
            .create_table()
            .table_name(name)
            .set_attribute_definitions(Some(self.attributes.clone()))
            .set_key_schema(Some(self.keys.clone()))
            .billing_mode(BillingMode::PayPerRequest)
            .set_stream_specification(stream)
            .send()
            .await?;
        Ok(())
    }
}

/// Has items go when the time is over that is in this attribute, where they don't already.
async fn expire(client: &Client, name: &str, attribute: &str) -> Result<(), Error> {
    let described = client.describe_time_to_live().table_name(name).send().await?;
    let status = described.time_to_live_description.and_then(|expiry| expiry.time_to_live_status);
    if matches!(status, Some(TimeToLiveStatus::Enabled | TimeToLiveStatus::Enabling)) {
        return Ok(());
    }
    let expiry = TimeToLiveSpecification::builder().enabled(true).attribute_name(attribute).build()?;
    client.update_time_to_live().table_name(name).time_to_live_specification(expiry).send().await?;
    Ok(())
}

async fn active(client: &Client, name: &str) -> Result<TableDescription, TableError> {
    loop {
        let answer = client.describe_table().table_name(name).send().await;
        let answer =
            answer.map_err(|error| TableError::Call { table: name.to_owned(), source: Box::new(error.into()) })?;
        match answer.table {
            Some(table) if table.table_status() == Some(&TableStatus::Active) => return Ok(table),
            _ => tokio::time::sleep(POLL).await,
        }
    }
}

/// What the endpoint said, or what kept it from being asked.
fn reason(error: &Error) -> String {
    if let Some(message) = error.message() {
        return message.to_owned();
    }
    let mut innermost: &dyn std::error::Error = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    let reason = innermost.to_string();
    if reason.contains("invalid peer certificate") {
        return format!("{reason}; name a file with the certificate of its authority in SSL_CERT_FILE");
    }
    reason
}

/// A key attribute, of type `S`, `N` or `B`.
pub(crate) fn attribute(name: &str, kind: &str) -> Option<AttributeDefinition> {
    let kind = ScalarAttributeType::try_parse(kind).ok()?;
    AttributeDefinition::builder().attribute_name(name).attribute_type(kind).build().ok()
}

/// A key element, `HASH` or `RANGE`.
pub(crate) fn key(name: &str, kind: &str) -> Option<KeySchemaElement> {
    let kind = KeyType::try_parse(kind).ok()?;
    KeySchemaElement::builder().attribute_name(name).key_type(kind).build().ok()
}

/// A view type, `NEW_IMAGE` and the like.
pub(crate) fn view(kind: &str) -> Option<StreamViewType> {
    StreamViewType::try_parse(kind).ok()
}
