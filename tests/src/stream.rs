//! The table's stream: its records in the JSON that Lambda makes of them.

use serde_json::{Map, Value, json};

/// The event of new items.
pub(crate) fn inserted<'a>(items: impl Iterator<Item = &'a Value>) -> Value {
    let records: Vec<Value> = items.enumerate().map(|(index, item)| record(index, item)).collect();
    json!({"Records": records})
}

fn record(index: usize, item: &Value) -> Value {
    let keys = json!({"pk": attribute(&item["pk"]), "sk": attribute(&item["sk"])});
    json!({"eventID": index.to_string(), "eventName": "INSERT", "eventVersion": "1.1", "eventSource": "aws:dynamodb",
        "awsRegion": "us-east-1", "dynamodb": {"ApproximateCreationDateTime": 1_795_341_600, "Keys": keys,
            "NewImage": attributes(item), "SequenceNumber": format!("{index:021}"), "SizeBytes": 1,
            "StreamViewType": "NEW_IMAGE"}})
}

/// An item as DynamoDB's JSON has it.
pub fn attributes(item: &Value) -> Value {
    let fields = item.as_object().into_iter().flatten();
    fields.map(|(name, value)| (name.clone(), attribute(value))).collect::<Map<_, _>>().into()
}

fn attribute(value: &Value) -> Value {
    match value {
        Value::String(text) => json!({"S": text}),
        Value::Number(number) => json!({"N": number.to_string()}),
        Value::Bool(truth) => json!({"BOOL": truth}),
        Value::Array(list) => json!({"L": list.iter().map(attribute).collect::<Vec<_>>()}),
        Value::Object(_) => json!({"M": attributes(value)}),
        Value::Null => json!({"NULL": true}),
    }
}
