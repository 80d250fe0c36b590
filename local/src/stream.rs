//! Plays Lambda's event source mapping: reads the table's stream, all shards of it, and brings the function the records
//! that its filter lets pass. The position is kept in memory only: a new run reads the stream from its beginning, as far
//! back as it goes, which a function that may see a record twice has to bear anyway.

mod delivery;
mod record;

use std::collections::{BTreeMap, BTreeSet};
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

/// How often the stream is read. The embedded engine is asked often, so that a confirmation goes out as soon as in the
/// cloud; other endpoints allow five reads a second.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    pub records: Duration,
    pub shards: Duration,
}

impl Pace {
    pub const EMBEDDED: Self = Self { records: Duration::from_millis(20), shards: Duration::from_secs(10) };
    pub const REMOTE: Self = Self { records: Duration::from_millis(250), shards: Duration::from_secs(10) };
}

/// How long to leave an endpoint alone that has failed.
const PAUSE: Duration = Duration::from_millis(500);

/// A table's stream, and who is fed from it.
#[derive(Clone)]
pub(crate) struct Feed {
    pub client: Client,
    pub arn: String,
    pub source: StreamSource,
    pub functions: EventFunctions,
    pub pace: Pace,
    /// How often a read has brought nothing, which a caller can wait for.
    pub empty_reads: watch::Sender<u64>,
}

impl Feed {
    /// Feeds the function, for ever. A shard is begun when the one it came from is done, so that the records of one item
    /// stay in order.
    pub async fn run(self) {
        let mut begun = BTreeSet::new();
        let mut done = BTreeSet::new();
        let mut readers = JoinSet::new();
        let mut trouble = Trouble::default();
        loop {
            match self.shards().await {
                Ok(shards) => {
                    trouble.over("the stream's shards can be listed again");
                    for id in ready(&shards, &begun, &done) {
                        begun.insert(id.clone());
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
                Some(Ok(id)) = readers.join_next() => { done.insert(id); }
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

/// Why a read brought nothing.
#[derive(Debug)]
enum Failed {
    /// The shard has been deleted, with everything in it.
    Gone,
    /// The records after the last one read have been deleted.
    Trimmed,
    /// Everything that a new iterator and another try may mend.
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

/// The shards to begin with now: those whose parent is read to its end, or is no longer there.
fn ready(shards: &BTreeMap<String, Option<String>>, begun: &BTreeSet<String>, done: &BTreeSet<String>) -> Vec<String> {
    let waits = |parent: &String| shards.contains_key(parent) && !done.contains(parent);
    shards
        .iter()
        .filter(|(id, parent)| !begun.contains(*id) && !parent.as_ref().is_some_and(waits))
        .map(|(id, _)| id.clone())
        .collect()
}

/// A failure that lasts is told once, and its end too.
#[derive(Default)]
struct Trouble {
    lasts: bool,
}

impl Trouble {
    fn begins(&mut self, what: &str, error: &str) {
        if !self.lasts {
            warn!(error, "{what}");
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
        assert_eq!(ready(&shards, &ids(&[]), &ids(&[])), ["a", "c"]);
        assert_eq!(ready(&shards, &ids(&["a", "c"]), &ids(&["c"])), [""; 0]);
        assert_eq!(ready(&shards, &ids(&["a", "c"]), &ids(&["a"])), ["b"]);
    }
}
