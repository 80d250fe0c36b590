//! Stands in for Lambda's event source mapping: reads all shards of the table's stream and invokes the function with the
//! records that pass its filter.
//!
//! The position is kept in memory only, so each run reads the stream from its beginning. The function may get a record
//! twice, as in the cloud, where delivery is at least once.
//! <https://docs.aws.amazon.com/lambda/latest/dg/with-ddb.html>

mod delivery;
mod record;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;
use std::time::Duration;

use aws_sdk_dynamodbstreams::Client;
use aws_sdk_dynamodbstreams::error::{DisplayErrorContext, ProvideErrorMetadata};
use aws_sdk_dynamodbstreams::operation::get_records::GetRecordsOutput;
use aws_sdk_dynamodbstreams::types::{Record, Shard, ShardIteratorType};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tracing::{info, warn};

use crate::invoke::EventFunctions;
use crate::template::StreamSource;
use delivery::Delivery;

/// The intervals at which the stream is read. The embedded engine is read often, so that a confirmation is sent as soon as in
/// the cloud. DynamoDB allows five reads a second for each shard:
/// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/ServiceQuotas.html>
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    /// The interval between two reads of a shard that brought no records.
    pub records: Duration,
    /// The interval between two lists of the shards.
    pub shards: Duration,
}

impl Pace {
    pub const EMBEDDED: Self = Self { records: Duration::from_millis(20), shards: Duration::from_secs(10) };
    pub const REMOTE: Self = Self { records: Duration::from_millis(250), shards: Duration::from_secs(10) };
}

/// The pause after a call that failed.
const PAUSE: Duration = Duration::from_millis(500);

/// A table's stream, and the function that gets its records.
#[derive(Clone)]
pub(crate) struct Feed {
    pub client: Client,
    pub arn: String,
    pub source: StreamSource,
    pub functions: EventFunctions,
    pub pace: Pace,
    /// Number of reads that brought no records. Callers can wait for it to grow.
    pub empty_reads: watch::Sender<u64>,
}

impl Feed {
    /// Invokes the function with the records, and never returns. A shard is read after its parent, so that the records of an
    /// item stay in order.
    pub async fn run(self) {
        let mut progress = Progress::default();
        let mut readers = JoinSet::new();
        let mut trouble = Trouble::default();
        loop {
            match self.shards().await {
                Ok(shards) => {
                    trouble.over("the stream's shards can be listed again");
                    for id in progress.ready(&shards) {
                        progress.begun.insert(id.clone());
                        let feed = self.clone();
                        readers.spawn(async move {
                            feed.read(&id).await;
                            id
                        });
                    }
                }
                Err(error) => trouble.begins("the stream's shards cannot be listed", &error),
            }
            let pause = if trouble.lasts { PAUSE } else { self.pace.shards };
            tokio::select! {
                Some(Ok(id)) = readers.join_next() => { progress.done.insert(id); }
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    async fn shards(&self) -> Result<BTreeMap<String, Option<String>>, String> {
        let mut shards = BTreeMap::new();
        let mut after = None;
        loop {
            let page = self.client.describe_stream().stream_arn(&self.arn).set_exclusive_start_shard_id(after);
            let page = page.send().await.map_err(|error| DisplayErrorContext(error).to_string())?;
            let Some(description) = page.stream_description else { return Ok(shards) };
            after = description.last_evaluated_shard_id;
            shards.extend(description.shards.unwrap_or_default().into_iter().filter_map(named));
            if after.is_none() {
                return Ok(shards);
            }
        }
    }

    /// Reads one shard to its end.
    async fn read(&self, shard: &str) {
        let delivery = Delivery { source: &self.source, functions: &self.functions, stream_arn: &self.arn };
        let mut last: Option<String> = None;
        let mut iterator = None;
        let mut trouble = Trouble::default();
        loop {
            let read = match iterator.take() {
                None => self.iterator(shard, last.as_deref()).await.map(|next| (Vec::new(), next)),
                Some(position) => self.records(position).await,
            };
            let (records, next) = match read {
                Ok(read) => read,
                Err(Failed::Gone) => return,
                Err(Failed::Trimmed) => {
                    last = None;
                    continue;
                }
                Err(Failed::Other(error)) => {
                    trouble.begins("the stream cannot be read", &error);
                    tokio::time::sleep(PAUSE).await;
                    continue;
                }
            };
            trouble.over("the stream can be read again");
            let empty = records.is_empty();
            if let Some(record) = records.last() {
                last = record.dynamodb.as_ref().and_then(|change| change.sequence_number.clone()).or(last);
            }
            delivery.deliver(records).await;
            match next {
                Some(next) => iterator = Some(next),
                None => return,
            }
            if empty {
                self.empty_reads.send_modify(|reads| *reads += 1);
                tokio::time::sleep(self.pace.records).await;
            }
        }
    }

    async fn iterator(&self, shard: &str, last: Option<&str>) -> Result<Option<String>, Failed> {
        let kind = match last {
            Some(_) => ShardIteratorType::AfterSequenceNumber,
            None => ShardIteratorType::TrimHorizon,
        };
        let call = self.client.get_shard_iterator().stream_arn(&self.arn).shard_id(shard).shard_iterator_type(kind);
        let answer = call.set_sequence_number(last.map(str::to_owned)).send().await;
        answer.map(|answer| answer.shard_iterator).map_err(Failed::from)
    }

    async fn records(&self, iterator: String) -> Result<(Vec<Record>, Option<String>), Failed> {
        let answer = self.client.get_records().shard_iterator(iterator).send().await.map_err(Failed::from)?;
        let GetRecordsOutput { records, next_shard_iterator, .. } = answer;
        Ok((records.unwrap_or_default(), next_shard_iterator))
    }
}

/// The error of a read.
#[derive(Debug)]
enum Failed {
    /// The shard was deleted.
    Gone,
    /// The records after the last one read were deleted.
    Trimmed,
    /// Any other error. A new iterator and another attempt may succeed.
    Other(String),
}

impl<E> From<E> for Failed
where
    E: ProvideErrorMetadata + std::error::Error,
{
    fn from(error: E) -> Self {
        match error.code() {
            Some("ResourceNotFoundException") => Self::Gone,
            Some("TrimmedDataAccessException") => Self::Trimmed,
            _ => Self::Other(DisplayErrorContext(error).to_string()),
        }
    }
}

fn named(shard: Shard) -> Option<(String, Option<String>)> {
    Some((shard.shard_id?, shard.parent_shard_id))
}

/// The shards that are being read or were read.
#[derive(Debug, Default)]
struct Progress {
    /// The shards whose reading has begun.
    begun: BTreeSet<String>,
    /// The shards that were read to their end.
    done: BTreeSet<String>,
}

impl Progress {
    /// The shards to begin with: those whose parent was read to its end, or was deleted. `shards` has the parent of each.
    fn ready(&self, shards: &BTreeMap<String, Option<String>>) -> Vec<String> {
        let waits = |parent: &String| shards.contains_key(parent) && !self.done.contains(parent);
        shards
            .iter()
            .filter(|(id, parent)| !self.begun.contains(*id) && !parent.as_ref().is_some_and(waits))
            .map(|(id, _)| id.clone())
            .collect()
    }
}

/// A failure, logged when it begins and when it ends.
#[derive(Default)]
struct Trouble {
    lasts: bool,
}

impl Trouble {
    fn begins(&mut self, what: &str, error: &dyn Display) {
        if !self.lasts {
            warn!(%error, "{what}");
        }
        self.lasts = true;
    }

    fn over(&mut self, what: &str) {
        if self.lasts {
            info!("{what}");
        }
        self.lasts = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(list: &[&str]) -> BTreeSet<String> {
        list.iter().map(|&id| id.to_owned()).collect()
    }

    #[test]
    fn a_shard_waits_for_the_one_it_came_from() {
        let shards = BTreeMap::from([
            ("a".to_owned(), Some("forgotten".to_owned())),
            ("b".to_owned(), Some("a".to_owned())),
            ("c".to_owned(), None),
        ]);
        let ready = |begun: &[&str], done: &[&str]| Progress { begun: ids(begun), done: ids(done) }.ready(&shards);
        assert_eq!(ready(&[], &[]), ["a", "c"]);
        assert_eq!(ready(&["a", "c"], &["c"]), [""; 0]);
        assert_eq!(ready(&["a", "c"], &["a"]), ["b"]);
    }
}
