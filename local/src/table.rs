//! The one table: what the template says of it, and making it where it is missing.

use std::time::Duration;

use aws_sdk_dynamodb::error::ProvideErrorMetadata;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType, StreamSpecification,
    StreamViewType, TableDescription, TableStatus, TimeToLiveSpecification,
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
    /// Whether it was made just now.
    pub new: bool,
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
    /// The endpoint took too long.
    #[error("the table `{0}` did not become active in time")]
    Slow(String),
}

/// How often and how long a new table is asked whether it is ready. The cloud takes seconds, the embedded engine none.
const POLL: Duration = Duration::from_millis(500);
const POLLS: u32 = 120;

impl TableDefinition {
    /// Makes the table where it is missing, and waits until it can be used.
    ///
    /// # Errors
    /// When the endpoint fails, or has another table of that name.
    pub async fn ensure(&self, client: &Client, name: &str) -> Result<Table, TableError> {
        let failed = |source: Error| TableError::Call { table: name.to_owned(), source: Box::new(source) };
        let new = match self.create(client, name).await {
            Ok(()) => true,
            Err(error) if error.code() == Some("ResourceInUseException") => false,
            Err(error) => return Err(failed(error)),
        };
        let table = active(client, name).await?;
        if table.key_schema() != self.keys {
            return Err(TableError::Other { table: name.to_owned(), problem: "has other keys" });
        }
        if self.stream.is_some() && table.latest_stream_arn().is_none() {
            return Err(TableError::Other { table: name.to_owned(), problem: "has no stream" });
        }
        if new && let Some(attribute) = &self.expiry {
            let expiry = TimeToLiveSpecification::builder().enabled(true).attribute_name(attribute).build();
            let expiry = expiry.map_err(|error| failed(error.into()))?;
            let update = client.update_time_to_live().table_name(name).time_to_live_specification(expiry);
            update.send().await.map_err(|error| failed(error.into()))?;
        }
        Ok(Table { new, stream_arn: table.latest_stream_arn().map(str::to_owned) })
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

async fn active(client: &Client, name: &str) -> Result<TableDescription, TableError> {
    for _ in 0..POLLS {
        let answer = client.describe_table().table_name(name).send().await;
        let answer =
            answer.map_err(|error| TableError::Call { table: name.to_owned(), source: Box::new(error.into()) })?;
        match answer.table {
            Some(table) if table.table_status() == Some(&TableStatus::Active) => return Ok(table),
            _ => tokio::time::sleep(POLL).await,
        }
    }
    Err(TableError::Slow(name.to_owned()))
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
    innermost.to_string()
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
