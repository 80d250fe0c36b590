//! Keeps what is asked of the table: which actions on which partition keys, as IAM sees them.

use std::sync::{Arc, Mutex};

use aws_sdk_dynamodb::config::interceptors::BeforeTransmitInterceptorContextRef;
use aws_sdk_dynamodb::config::{ConfigBag, Intercept, RuntimeComponents, SharedInterceptor};
use aws_sdk_dynamodb::error::BoxError;
use serde_json::Value;

/// The requests to the table since the last [`Requests::take`]. Before the first, none are kept.
#[derive(Clone, Debug, Default)]
pub struct Requests(Arc<Mutex<Option<Vec<TableRequest>>>>);

/// One request to the table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableRequest {
    /// The actions that it takes permission for, each with the partition keys it works on.
    pub parts: Vec<(String, Vec<String>)>,
}

impl Requests {
    /// The requests since this was asked last.
    pub fn take(&self) -> Vec<TableRequest> {
        self.0.lock().unwrap().replace(Vec::new()).unwrap_or_default()
    }

    /// The interceptor for the SDK.
    pub(crate) fn interceptor(&self) -> SharedInterceptor {
        SharedInterceptor::new(self.clone())
    }
}

impl Intercept for Requests {
    fn name(&self) -> &'static str {
        "Requests"
    }

    fn read_before_transmit(
        &self,
        context: &BeforeTransmitInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let mut kept = self.0.lock().unwrap();
        let Some(kept) = kept.as_mut() else { return Ok(()) };
        let request = context.request();
        let operation =
            request.headers().get("x-amz-target").unwrap_or_default().rsplit('.').next().unwrap_or_default();
        let body: Value = serde_json::from_slice(request.body().bytes().unwrap_or_default())?;
        kept.push(TableRequest { parts: parts(operation, &body) });
        Ok(())
    }
}

fn parts(operation: &str, body: &Value) -> Vec<(String, Vec<String>)> {
    let pk = |key: &Value| key["pk"]["S"].as_str().unwrap_or_default().to_owned();
    let tables = |body: &Value| {
        body["RequestItems"].as_object().into_iter().flat_map(|tables| tables.values().cloned()).collect::<Vec<_>>()
    };
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let one = |keys: Vec<String>| vec![(operation.to_owned(), keys)];
    match operation {
        "TransactWriteItems" => list(&body["TransactItems"])
            .iter()
            .flat_map(|item| item.as_object().cloned().unwrap_or_default())
            .map(|(kind, item)| {
                let action =
                    if kind == "ConditionCheck" { "ConditionCheckItem".to_owned() } else { format!("{kind}Item") };
                (action, vec![pk(if kind == "Put" { &item["Item"] } else { &item["Key"] })])
            })
            .collect(),
        "BatchGetItem" => one(tables(body).iter().flat_map(|table| list(&table["Keys"])).map(|key| pk(&key)).collect()),
        "BatchWriteItem" => {
            let writes = tables(body).iter().flat_map(list).collect::<Vec<_>>();
            let key = |write: &Value| {
                pk(write.get("DeleteRequest").map_or(&write["PutRequest"]["Item"], |delete| &delete["Key"]))
            };
            one(writes.iter().map(key).collect())
        }
        "Query" => one(vec![body["ExpressionAttributeValues"][":pk"]["S"].as_str().unwrap_or_default().to_owned()]),
        "PutItem" => one(vec![pk(&body["Item"])]),
        "Scan" => one(vec!["any".to_owned()]),
        _ => one(vec![pk(&body["Key"])]),
    }
}
