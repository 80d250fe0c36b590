//! Confirmations: tells customers that their wish was granted, once.
//!
//! The table's stream brings each new item of the outbox at once. Every minute a schedule has the outbox swept for what is
//! due: what was put off, what a crash left, and what the stream could not deliver. A retry is never made by the stream,
//! which it would hold up.

mod delivery;
mod graph;

use std::time::{Duration, Instant};

use aws_lambda_events::dynamodb::{Event, EventRecord};
use aws_lambda_events::streams::{DynamoDbBatchItemFailure, DynamoDbEventResponse};
use consent::clock::Clock;
use consent::count;
use consent::id::Shard;
use consent::log::Metric;
use consent::secrets::Secrets;
use consent::store::{Pending, Store, StoreError};
use futures::{StreamExt, stream};
use lambda_runtime::Diagnostic;
use serde_json::value::RawValue;

pub use graph::Graph;

/// Confirmations that are sent at a time.
const AT_ONCE: usize = 8;

/// Items that one sweep takes from each shard, at most; the next sweep is a minute away.
const SWEPT: u16 = 100;

/// How long a sweep begins new deliveries, so that those under way end before the function's time does. One that does not
/// is tried again when its lease is over.
const SWEEPING: Duration = Duration::from_secs(4);

/// What sends confirmations.
#[derive(Clone, Debug)]
pub struct Confirmation {
    store: Store,
    secrets: Secrets,
    graph: Graph,
    clock: Clock,
}

/// An invocation failed.
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

impl Confirmation {
    /// A sender of confirmations.
    #[must_use]
    pub fn new(store: Store, secrets: Secrets, graph: Graph, clock: Clock) -> Self {
        Self { store, secrets, graph, clock }
    }

    /// Handles an invocation: a batch of the stream's records, or anything without records, which asks for a sweep.
    ///
    /// # Errors
    /// The records can't be read, or the outbox could not be swept. A record that could not be handled is no error but
    /// named in the answer, so that the stream brings it again.
    pub async fn handle(&self, event: Box<RawValue>) -> Result<DynamoDbEventResponse, ConfirmationError> {
        #[derive(serde::Deserialize)]
        struct Shape<'a> {
            #[serde(rename = "Records", borrow)]
            records: Option<&'a RawValue>,
        }
        let shape: Shape = serde_json::from_str(event.get()).map_err(|_| ConfirmationError::InvalidEvent)?;
        if shape.records.is_none() {
            return self.sweep().await.map(|()| DynamoDbEventResponse::default());
        }
        let event: Event = serde_json::from_str(event.get()).map_err(|_| ConfirmationError::InvalidEvent)?;
        Ok(self.deliver_records(event.records).await)
    }

    /// Sends what is due, of every shard. A shard or an item that can't be read holds up no other.
    async fn sweep(&self) -> Result<(), ConfirmationError> {
        let begun = Instant::now();
        let now = self.clock.now();
        let shards: Vec<_> = stream::iter(Shard::all())
            .map(|shard| self.store.due(shard, now, SWEPT))
            .buffer_unordered(AT_ONCE)
            .collect()
            .await;
        let (mut due, mut unread) = (Vec::new(), None);
        for shard in shards {
            match shard {
                Ok(items) => due.extend(items),
                Err(error) => unread = Some(error),
            }
        }
        stream::iter(due)
            .for_each_concurrent(AT_ONCE, async |pending| {
                let outcome = match pending {
                    Ok(pending) if begun.elapsed() < SWEEPING => self.deliver(&pending).await,
                    Ok(_) => Ok(()),
                    Err(error) => Err(error),
                };
                if let Err(error) = outcome {
                    log_failure(&error);
                }
            })
            .await;
        unread.map_or(Ok(()), |error| Err(error.into()))
    }

    async fn deliver_records(&self, records: Vec<EventRecord>) -> DynamoDbEventResponse {
        let mut response = DynamoDbEventResponse::default();
        response.batch_item_failures = stream::iter(records)
            .map(|record| self.deliver_record(record))
            .buffer_unordered(AT_ONCE)
            .filter_map(async |failure| failure)
            .collect()
            .await;
        response
    }

    /// Delivers what a record brings; the record's number in the stream if that failed.
    async fn deliver_record(&self, record: EventRecord) -> Option<DynamoDbBatchItemFailure> {
        let delivered = match Pending::from_image(record.change.new_image.into()) {
            Ok(pending) => self.deliver(&pending).await,
            Err(error) => Err(error),
        };
        log_failure(&delivered.err()?);
        let mut failure = DynamoDbBatchItemFailure::default();
        failure.item_identifier = record.change.sequence_number;
        Some(failure)
    }
}

fn log_failure(error: &StoreError) {
    count!(error, Metric::StoreUnavailable, %error, "a confirmation has to wait");
}
