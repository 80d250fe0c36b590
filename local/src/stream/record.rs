//! A stream's record in the JSON of Lambda's events.

use std::collections::HashMap;
use std::time::SystemTime;

use aws_sdk_dynamodbstreams::types::{AttributeValue, Record};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Serialize, Serializer};
use serde_json::{Map, Number, Value, json};

/// A Lambda event with records of `aws:dynamodb`.
#[derive(Serialize)]
pub(super) struct Event<'a> {
    #[serde(rename = "Records", serialize_with = "values")]
    pub records: &'a [Change],
}

/// A record as JSON, with its sequence number and the time at which it was written.
pub(super) struct Change {
    pub json: Value,
    pub sequence_number: String,
    pub written: Option<SystemTime>,
}

fn values<S: Serializer>(records: &&[Change], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(records.iter().map(|record| &record.json))
}

impl Change {
    /// The record in Lambda's form. None without a sequence number.
    pub fn new(record: Record, stream_arn: &str) -> Option<Self> {
        let change = record.dynamodb?;
        let sequence_number = change.sequence_number?;
        let written = change.approximate_creation_date_time.and_then(|time| SystemTime::try_from(time).ok());
        let mut dynamodb = Map::new();
        if let Some(time) = change.approximate_creation_date_time {
            let time = Number::from_f64(time.as_secs_f64()).map_or(Value::Null, Value::Number);
            dynamodb.insert("ApproximateCreationDateTime".to_owned(), time);
        }
        for (name, image) in [("Keys", change.keys), ("NewImage", change.new_image), ("OldImage", change.old_image)] {
            if let Some(image) = image {
                dynamodb.insert(name.to_owned(), attributes(&image));
            }
        }
        dynamodb.insert("SequenceNumber".to_owned(), sequence_number.clone().into());
        dynamodb.insert("SizeBytes".to_owned(), change.size_bytes.into());
        dynamodb
            .insert("StreamViewType".to_owned(), change.stream_view_type.map(|view| view.as_str().to_owned()).into());
        let json = json!({
            "eventID": record.event_id,
            "eventName": record.event_name.map(|name| name.as_str().to_owned()),
            "eventVersion": record.event_version,
            "eventSource": "aws:dynamodb",
            "awsRegion": record.aws_region,
            "dynamodb": dynamodb,
            "eventSourceARN": stream_arn,
        });
        Some(Self { json, sequence_number, written })
    }
}

fn attributes(item: &HashMap<String, AttributeValue>) -> Value {
    item.iter().map(|(name, value)| (name.clone(), attribute(value))).collect::<Map<_, _>>().into()
}

fn attribute(value: &AttributeValue) -> Value {
    match value {
        AttributeValue::S(text) => json!({"S": text}),
        AttributeValue::N(number) => json!({"N": number}),
        AttributeValue::B(bytes) => json!({"B": STANDARD.encode(bytes)}),
        AttributeValue::Bool(truth) => json!({"BOOL": truth}),
        AttributeValue::Null(is_null) => json!({"NULL": is_null}),
        AttributeValue::Ss(texts) => json!({"SS": texts}),
        AttributeValue::Ns(numbers) => json!({"NS": numbers}),
        AttributeValue::Bs(list) => json!({"BS": list.iter().map(|bytes| STANDARD.encode(bytes)).collect::<Vec<_>>()}),
        AttributeValue::L(list) => json!({"L": list.iter().map(attribute).collect::<Vec<_>>()}),
        AttributeValue::M(map) => json!({"M": attributes(map)}),
        // A type of value that this version of the SDK does not know.
        _ => Value::Null,
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_dynamodbstreams::primitives::{Blob, DateTime};
    use aws_sdk_dynamodbstreams::types::{OperationType, StreamRecord, StreamViewType};

    use super::*;

    #[test]
    fn a_record_reads_as_lambda_writes_it() {
        let item = HashMap::from([
            ("pk".to_owned(), AttributeValue::S("OUTBOX#1".to_owned())),
            ("list".to_owned(), AttributeValue::L(vec![AttributeValue::N("1".to_owned()), AttributeValue::Bool(true)])),
            (
                "map".to_owned(),
                AttributeValue::M(HashMap::from([("b".to_owned(), AttributeValue::B(Blob::new([1, 2])))])),
            ),
        ]);
        let change = StreamRecord::builder()
            .keys("pk", AttributeValue::S("OUTBOX#1".to_owned()))
            .set_new_image(Some(item))
            .sequence_number("100000000000000000001")
            .stream_view_type(StreamViewType::NewImage)
            .approximate_creation_date_time(DateTime::from_secs(1_795_341_600))
            .build();
        let record = Record::builder()
            .event_id("e1")
            .event_name(OperationType::Insert)
            .aws_region("us-east-1")
            .dynamodb(change)
            .build();
        let change = Change::new(record, "arn:stream").unwrap();
        assert_eq!(change.sequence_number, "100000000000000000001");
        assert_eq!(change.json["eventName"], "INSERT");
        assert_eq!(change.json["eventSourceARN"], "arn:stream");
        let dynamodb = &change.json["dynamodb"];
        assert_eq!(dynamodb["Keys"], json!({"pk": {"S": "OUTBOX#1"}}));
        assert_eq!(dynamodb["NewImage"]["list"], json!({"L": [{"N": "1"}, {"BOOL": true}]}));
        assert_eq!(dynamodb["NewImage"]["map"], json!({"M": {"b": {"B": "AQI="}}}));
        assert_eq!(dynamodb["StreamViewType"], "NEW_IMAGE");
        assert_eq!(dynamodb["ApproximateCreationDateTime"], json!(1_795_341_600.0));
    }
}
