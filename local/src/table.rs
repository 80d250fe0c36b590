//! The one table: its definition in the template, and its creation where it is missing.

use std::time::Duration;

use aws_sdk_dynamodb::error::ProvideErrorMetadata;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType, StreamSpecification,
    StreamViewType, TableDescription, TableStatus, TimeToLiveSpecification, TimeToLiveStatus,
};
use aws_sdk_dynamodb::{Client, Error};

/// The definition of a table, in the types of DynamoDB's calls.
#[derive(Clone, Debug, PartialEq)]
pub struct TableDefinition {
    /// The attributes that are part of a key.
    pub attributes: Vec<AttributeDefinition>,
    /// The partition key and the sort key.
    pub keys: Vec<KeySchemaElement>,
    /// The view type of the stream. None for a table without one.
    pub stream: Option<StreamViewType>,
    /// The attribute with the time of expiry (TTL).
    pub expiry: Option<String>,
}

/// A table that is ready for use.
#[derive(Clone, Debug)]
pub struct Table {
    /// The stream of the table. None for a table without one.
    pub stream_arn: Option<String>,
}

/// The error of a table that can't be set up.
#[derive(Debug, thiserror::Error)]
pub enum TableError {
    /// The endpoint refused or did not answer.
    #[error("cannot make the table `{table}`: {}", reason(.source))]
    Call {
        /// The table.
        table: String,
        /// The error of the call.
        source: Box<Error>,
    },
    /// A table of this name exists and has another definition.
    #[error("there is a table `{table}` already, and it {problem}: delete it, or use another endpoint or data file")]
    Other {
        /// The table.
        table: String,
        /// The difference.
        problem: &'static str,
    },
}

/// The interval at which the status of a new table is read. A table in the cloud takes seconds to become active, one in the
/// embedded engine none.
const POLL: Duration = Duration::from_millis(500);

impl TableDefinition {
    /// Creates the table where it is missing, or completes it, and waits until it is active.
    ///
    /// # Errors
    /// The endpoint fails, or has a different table of this name.
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
            enable_expiry(client, TimeToLive { table: name, attribute }).await.map_err(failed)?;
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

/// The attribute of a table with the time of expiry of its items, in seconds since 1970.
struct TimeToLive<'a> {
    table: &'a str,
    attribute: &'a str,
}

/// Enables the expiry of items, unless it is enabled already.
/// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/TTL.html>
async fn enable_expiry(client: &Client, TimeToLive { table, attribute }: TimeToLive<'_>) -> Result<(), Error> {
    let described = client.describe_time_to_live().table_name(table).send().await?;
    let status = described.time_to_live_description.and_then(|expiry| expiry.time_to_live_status);
    if matches!(status, Some(TimeToLiveStatus::Enabled | TimeToLiveStatus::Enabling)) {
        return Ok(());
    }
    let expiry = TimeToLiveSpecification::builder().enabled(true).attribute_name(attribute).build()?;
    client.update_time_to_live().table_name(table).time_to_live_specification(expiry).send().await?;
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

/// The endpoint's error message, or the innermost cause of a call that did not reach it.
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

/// The definition of a key attribute. None for an empty name.
pub(crate) fn attribute(name: &str, kind: ScalarAttributeType) -> Option<AttributeDefinition> {
    AttributeDefinition::builder().attribute_name(name).attribute_type(kind).build().ok()
}

/// An element of a table's key.
pub(crate) fn key(name: &str, kind: KeyType) -> Option<KeySchemaElement> {
    KeySchemaElement::builder().attribute_name(name).key_type(kind).build().ok()
}

/// The type of a key attribute: `S`, `N` or `B`.
pub(crate) fn attribute_type(name: &str) -> Option<ScalarAttributeType> {
    ScalarAttributeType::try_parse(name).ok()
}

/// The type of a key element: `HASH` or `RANGE`.
pub(crate) fn key_type(name: &str) -> Option<KeyType> {
    KeyType::try_parse(name).ok()
}

/// A view type of a stream, such as `NEW_IMAGE`.
pub(crate) fn view(kind: &str) -> Option<StreamViewType> {
    StreamViewType::try_parse(kind).ok()
}
