//! Invokes the function with the records of a shard, and retries failed batches as the template configures it.
//! <https://docs.aws.amazon.com/lambda/latest/dg/services-ddb-errors.html>

use std::time::{Duration, SystemTime};

use aws_sdk_dynamodbstreams::types::Record;
use serde::Deserialize;
use serde_json::value::RawValue;
use tracing::error;

use super::record::{Change, Event};
use crate::invoke::EventFunctions;
use crate::template::StreamSource;

/// The gap before the first retry of a batch. Each further gap is twice as long, up to [`LONGEST_GAP`].
const GAP: Duration = Duration::from_millis(200);
/// The longest gap between two attempts.
const LONGEST_GAP: Duration = Duration::from_secs(5);

/// The delivery of a stream's records to one function.
pub(super) struct Delivery<'a> {
    pub source: &'a StreamSource,
    pub functions: &'a EventFunctions,
    pub stream_arn: &'a str,
}

/// Records that are delivered together, and the number of failed attempts.
struct Batch {
    records: Vec<Change>,
    failures: u32,
}

/// A function's answer that names the records that failed (`ReportBatchItemFailures`).
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Partial {
    #[serde(default)]
    batch_item_failures: Option<Vec<Failure>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Failure {
    item_identifier: String,
}

impl Delivery<'_> {
    /// Delivers the records that pass the filter, in order. Returns when each of them was handled or given up.
    pub async fn deliver(&self, records: Vec<Record>) {
        let records = records.into_iter().filter_map(|record| Change::new(record, self.stream_arn));
        let wanted = records.filter(|record| self.source.filters.pass(&record.json) && !self.too_old(record));
        let mut wanted = wanted.peekable();
        while wanted.peek().is_some() {
            let records = wanted.by_ref().take(self.source.batch).collect();
            self.see_through(Batch { records, failures: 0 }).await;
        }
    }

    fn too_old(&self, record: &Change) -> bool {
        let age = record.written.and_then(|written| SystemTime::now().duration_since(written).ok());
        self.source.age.is_some_and(|limit| age.is_some_and(|age| age > limit))
    }

    async fn see_through(&self, batch: Batch) {
        // A stack: the last batch is delivered next.
        let mut waiting = vec![batch];
        while let Some(mut batch) = waiting.pop() {
            let Some(failed) = self.first_failure(&batch.records).await else { continue };
            batch.records.drain(..failed.at);
            batch.failures += 1;
            if self.source.retries.is_some_and(|retries| batch.failures > retries) {
                self.give_up(&batch.records, &failed.error);
                continue;
            }
            tokio::time::sleep(gap(batch.failures)).await;
            if self.source.bisect && batch.records.len() > 1 {
                let second = batch.records.split_off(batch.records.len() / 2);
                waiting.push(Batch { records: second, failures: batch.failures });
            }
            waiting.push(batch);
        }
    }

    /// The first record that has to be delivered again, with all after it. None if the function handled all of them.
    async fn first_failure(&self, records: &[Change]) -> Option<FirstFailure> {
        let event =
            serde_json::to_string(&Event { records }).ok().and_then(|event| RawValue::from_string(event).ok())?;
        match self.functions.invoke(&self.source.function, event).await? {
            Err(failed) => Some(FirstFailure { at: 0, error: failed.error_type }),
            Ok(_) if !self.source.partial => None,
            Ok(answer) => match serde_json::from_str::<Option<Partial>>(&answer) {
                Ok(partial) => first_of(partial.unwrap_or_default(), records),
                Err(problem) => Some(FirstFailure { at: 0, error: problem.to_string() }),
            },
        }
    }

    /// Logs records that are given up. In the cloud, their position in the stream goes to the dead-letter queue.
    fn give_up(&self, records: &[Change], error: &str) {
        let number = |record: Option<&Change>| record.map(|record| record.sequence_number.clone()).unwrap_or_default();
        error!(
            function = self.source.function,
            error,
            records = records.len(),
            first = number(records.first()),
            last = number(records.last()),
            "records given up"
        );
    }
}

struct FirstFailure {
    at: usize,
    error: String,
}

/// The earliest failure that the answer names. An unknown sequence number means that all records failed, as with Lambda.
fn first_of(partial: Partial, records: &[Change]) -> Option<FirstFailure> {
    let failures = partial.batch_item_failures.unwrap_or_default();
    let positions = failures.iter().map(|failure| {
        records.iter().position(|record| record.sequence_number == failure.item_identifier).unwrap_or_default()
    });
    positions.min().map(|at| FirstFailure { at, error: "batchItemFailures".to_owned() })
}

fn gap(failures: u32) -> Duration {
    GAP.saturating_mul(1 << failures.saturating_sub(1).min(10)).min(LONGEST_GAP)
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use aws_sdk_dynamodbstreams::types::{AttributeValue, StreamRecord};
    use serde_json::{Value, json};

    use super::*;
    use crate::filter::Filters;

    /// A function's answer to the records of one call, by their keys.
    type Answer = fn(&[String]) -> Result<Value, lambda_runtime::Error>;

    /// Delivers the records `1` to `5` and tells which records came in each call.
    async fn calls(change: fn(&mut StreamSource), answer: Answer) -> Vec<Vec<String>> {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&seen);
        let functions = EventFunctions::default().with("f", move |event: Box<RawValue>| {
            let event: Value = serde_json::from_str(event.get()).unwrap();
            let keys: Vec<String> = event["Records"].as_array().unwrap().iter().map(key).collect();
            let answer = answer(&keys);
            kept.lock().unwrap().push(keys);
            async move { answer }
        });
        let pattern = json!({"dynamodb": {"Keys": {"pk": {"S": [{"anything-but": "4"}]}}}}).to_string();
        let mut source = StreamSource {
            function: "f".to_owned(),
            filters: Filters::parse([pattern.as_str()]).unwrap(),
            batch: 10,
            retries: Some(2),
            age: None,
            bisect: false,
            partial: true,
        };
        change(&mut source);
        let delivery = Delivery { source: &source, functions: &functions, stream_arn: "arn" };
        delivery.deliver((1..=5).map(record).collect()).await;
        let seen = seen.lock().unwrap();
        seen.clone()
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_too_old_is_left_to_the_sweep() {
        let seen = calls(|source| source.age = Some(Duration::from_mins(5)), |_| Ok(Value::Null)).await;
        assert_eq!(seen, [vec!["1", "2", "3"]]);
    }

    /// The fifth is an hour old.
    fn record(number: u32) -> Record {
        let written = SystemTime::now() - Duration::from_secs(if number == 5 { 3600 } else { 0 });
        let change = StreamRecord::builder()
            .keys("pk", AttributeValue::S(number.to_string()))
            .sequence_number(format!("s{number}"))
            .approximate_creation_date_time(written.into())
            .build();
        Record::builder().dynamodb(change).build()
    }

    fn key(record: &Value) -> String {
        record["dynamodb"]["Keys"]["pk"]["S"].as_str().unwrap().to_owned()
    }

    fn failures(places: &[&str]) -> Value {
        json!({"batchItemFailures": places.iter().map(|place| json!({"itemIdentifier": place})).collect::<Vec<_>>()})
    }

    #[tokio::test(start_paused = true)]
    async fn what_passes_the_filter_comes_in_batches() {
        assert_eq!(calls(|_| {}, |_| Ok(failures(&[]))).await, [vec!["1", "2", "3", "5"]]);
        assert_eq!(calls(|source| source.batch = 3, |_| Ok(Value::Null)).await, [vec!["1", "2", "3"], vec!["5"]]);
    }

    #[tokio::test(start_paused = true)]
    async fn the_rest_comes_again_from_the_first_failure_on() {
        let answer: Answer = |keys| Ok(failures(if keys.len() > 2 { &["s5", "s3"] } else { &[] }));
        assert_eq!(calls(|_| {}, answer).await, [vec!["1", "2", "3", "5"], vec!["3", "5"]]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_batch_that_keeps_failing_is_given_up() {
        let all = vec!["1", "2", "3", "5"];
        assert_eq!(calls(|_| {}, |_| Err("no".into())).await, [all.clone(), all.clone(), all.clone()]);
        assert_eq!(calls(|_| {}, |_| Ok(failures(&["unknown"]))).await, [all.clone(), all.clone(), all]);
    }

    #[tokio::test(start_paused = true)]
    async fn one_bad_record_is_found_by_halves() {
        let answer: Answer =
            |keys| if keys.iter().any(|key| key == "2") { Err("no".into()) } else { Ok(failures(&[])) };
        let seen = calls(|source| source.bisect = true, answer).await;
        assert_eq!(seen, [vec!["1", "2", "3", "5"], vec!["1", "2"], vec!["1"], vec!["2"], vec!["3", "5"]]);
    }

    #[tokio::test(start_paused = true)]
    async fn failures_count_only_where_the_template_says_so() {
        assert_eq!(calls(|source| source.partial = false, |_| Ok(failures(&["s1"]))).await.len(), 1);
    }
}
