//! Confirmations: tells customers once that their opt-out or opt-in was applied.
//!
//! The table's stream delivers each new item of the outbox at once. Every minute, a schedule starts a sweep of the outbox for
//! the items that are due: postponed ones, those left by a crash, and those that the stream could not deliver. Retries are
//! left to the sweep, because a retry would block the stream's shard.

mod delivery;
mod graph;
mod sweep;
mod turns;

use aws_lambda_events::dynamodb::{Event, EventRecord};
use aws_lambda_events::streams::{DynamoDbBatchItemFailure, DynamoDbEventResponse};
use consent::clock::Clock;
use consent::count;
use consent::log::Metric;
use consent::secrets::Secrets;
use consent::store::{Pending, Store, StoreError};
use futures::{StreamExt, stream};
use lambda_runtime::Diagnostic;
use serde_json::value::RawValue;

use graph::Connections;
pub use graph::{Graph, GraphAddress};

/// The sender of confirmations.
#[derive(Clone, Debug)]
pub struct ConfirmationSender {
    store: Store,
    secrets: Secrets,
    graph: Graph,
    clock: Clock,
}

/// The error of an invocation that failed.
#[derive(Debug, thiserror::Error)]
pub enum ConfirmationError {
    /// The event is neither from the table's stream nor from the schedule.
    #[error("the event is not a stream's batch of records")]
    InvalidEvent,
    /// The outbox could not be read.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<ConfirmationError> for Diagnostic {
    fn from(error: ConfirmationError) -> Self {
        let error_type = match error {
            ConfirmationError::InvalidEvent => "InvalidEvent",
            ConfirmationError::Store(_) => "StoreUnavailable",
        };
        Self { error_type: error_type.to_owned(), error_message: error.to_string() }
    }
}

impl ConfirmationSender {
    /// A sender of confirmations. It makes no connection before its first invocation.
    #[must_use]
    pub fn new(store: Store, secrets: Secrets, graph: Graph, clock: Clock) -> Self {
        Self { store, secrets, graph, clock }
    }

    /// Handles an invocation: a batch of the stream's records, or an event without `Records`, which starts a sweep.
    ///
    /// # Errors
    /// The records can't be read, or the outbox can't be read. A record that fails is no error: the answer names it in
    /// `batchItemFailures`, and the stream delivers it again.
    /// <https://docs.aws.amazon.com/lambda/latest/dg/services-ddb-batchfailurereporting.html>
    pub async fn handle(&self, event: Box<RawValue>) -> Result<DynamoDbEventResponse, ConfirmationError> {
        #[derive(serde::Deserialize)]
        struct InvocationShape<'a> {
            #[serde(rename = "Records", borrow)]
            records: Option<&'a RawValue>,
        }
        let shape: InvocationShape = serde_json::from_str(event.get()).map_err(|_| ConfirmationError::InvalidEvent)?;
        if shape.records.is_none() {
            return self.sweep().await.map(|()| DynamoDbEventResponse::default());
        }
        let event: Event = serde_json::from_str(event.get()).map_err(|_| ConfirmationError::InvalidEvent)?;
        Ok(self.deliver_records(event.records).await)
    }

    async fn deliver_records(&self, records: Vec<EventRecord>) -> DynamoDbEventResponse {
        let graph = self.graph.connections();
        let mut response = DynamoDbEventResponse::default();
        response.batch_item_failures = stream::iter(records)
            .map(|record| self.deliver_record(&graph, record))
            .buffer_unordered(sweep::AT_ONCE)
            .filter_map(async |failure| failure)
            .collect()
            .await;
        response
    }

    /// Delivers the confirmation in a record. Returns the record's sequence number if that failed.
    async fn deliver_record(&self, graph: &Connections, record: EventRecord) -> Option<DynamoDbBatchItemFailure> {
        let delivered = match Pending::from_image(record.change.new_image.into()) {
            Ok(pending) => self.deliver(graph, &pending).await,
            Err(error) => Err(error),
        };
        log_failure(&delivered.err()?);
        let mut failure = DynamoDbBatchItemFailure::default();
        failure.item_identifier = record.change.sequence_number;
        Some(failure)
    }
}

fn log_failure(error: &StoreError) {
    count!(error, Metric::StoreUnavailable, %error, "confirmation postponed: table unavailable");
}
