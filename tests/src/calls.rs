//! Looks over the SDK's shoulder: counts the calls of the table and what they read, and makes some of them fail in ways
//! that the embedded engine knows nothing of.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex, OnceLock};

use aws_sdk_dynamodb::config::interceptors::{
    AfterDeserializationInterceptorContextRef, BeforeTransmitInterceptorContextMut,
};
use aws_sdk_dynamodb::config::{ConfigBag, Intercept, RuntimeComponents, SharedInterceptor};
use aws_sdk_dynamodb::error::BoxError;
use aws_sdk_dynamodb::operation::batch_get_item::BatchGetItemOutput;
use aws_sdk_dynamodb::operation::query::QueryOutput;
use aws_sdk_dynamodb::types::ConsumedCapacity;
use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::response::IntoResponse;
use dynoxide::Database;
use serde_json::{Value, json};
use tokio::sync::Notify;

/// The operation that only tests use.
const OF_TESTS: &str = "Scan";

/// The calls of the table since the last [`Calls::reset`].
#[derive(Clone, Debug, Default)]
pub struct Calls(Arc<Mutex<Seen>>, Arc<Faulty>);

#[derive(Debug, Default)]
struct Seen {
    counts: BTreeMap<String, usize>,
    read_units: f64,
    faults: VecDeque<(String, Fault)>,
    /// A fault, and how many calls there are to be before it.
    placed: Option<(usize, Fault)>,
    faulty: Option<String>,
}

/// The server that answers the calls that are to fail.
#[derive(Default)]
struct Faulty {
    hanging: Notify,
    /// Processes what is to be processed after all.
    engine: OnceLock<Database>,
}

impl fmt::Debug for Faulty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Faulty")
    }
}

/// A way to fail that DynamoDB has and the embedded engine has not.
#[derive(Clone, Copy, Debug)]
pub enum Fault {
    /// None: the call goes through, and the next fault is for the one after it.
    Pass,
    /// A transaction that met another one.
    Conflict,
    /// Too many requests; the SDK tries again by itself.
    Throttled,
    /// Something that trying again does not mend.
    Denied,
    /// So many percent of a batch's keys are not processed, rounded down.
    Unprocessed(usize),
    /// No answer at all.
    Hanging,
    /// The call is carried out, but its answer is lost, and the SDK's further attempts are of no use.
    Lost,
    /// The call is carried out, but its answer is lost; the SDK tries again by itself.
    LostOnce,
}

impl Calls {
    /// Forgets what was counted.
    pub fn reset(&self) {
        let mut seen = self.0.lock().unwrap();
        seen.counts.clear();
        seen.read_units = 0.0;
    }

    /// The number of calls of each operation, including attempts that failed: `[("BatchGetItem", 1), …]`.
    pub fn counts(&self) -> Vec<(String, usize)> {
        self.0.lock().unwrap().counts.clone().into_iter().collect()
    }

    /// The number of calls of an operation.
    pub fn count(&self, operation: &str) -> usize {
        self.0.lock().unwrap().counts.get(operation).copied().unwrap_or_default()
    }

    /// The number of all calls.
    pub fn total(&self) -> usize {
        self.0.lock().unwrap().counts.values().sum()
    }

    /// The read units that batches and queries consumed, where they ask to be told.
    pub fn read_units(&self) -> f64 {
        self.0.lock().unwrap().read_units
    }

    /// Makes the next calls of an operation fail, one for each fault.
    pub fn fail(&self, operation: &str, faults: impl IntoIterator<Item = Fault>) {
        let mut seen = self.0.lock().unwrap();
        seen.faults.extend(faults.into_iter().map(|fault| (operation.to_owned(), fault)));
    }

    /// Makes one call fail, of whatever operation: that with so many others before it, counted from now on. The scans of
    /// tests do not count.
    pub fn fail_after(&self, calls: usize, fault: Fault) {
        self.0.lock().unwrap().placed = Some((calls, fault));
    }

    /// Returns true if every fault has met its call.
    pub fn all_failed(&self) -> bool {
        let seen = self.0.lock().unwrap();
        seen.faults.is_empty() && seen.placed.is_none()
    }

    /// Lets all calls through from now on.
    pub fn forgive(&self) {
        let mut seen = self.0.lock().unwrap();
        seen.faults.clear();
        seen.placed = None;
    }

    /// Waits until a call hangs that was made to.
    pub async fn hanging(&self) {
        self.1.hanging.notified().await;
    }

    /// Takes the engine that stands behind the table.
    pub(crate) fn engine(&self, engine: &Database) {
        assert!(self.1.engine.set(engine.clone()).is_ok(), "a table has one engine");
    }

    /// The interceptor for the SDK. It sends the calls that are to fail to a server of their own.
    pub(crate) async fn interceptor(&self) -> SharedInterceptor {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        self.0.lock().unwrap().faulty = Some(format!("http://{}", listener.local_addr().unwrap()));
        let router = Router::new().fallback(fail).with_state(Arc::clone(&self.1));
        tokio::spawn(async move { axum::serve(listener, router).await });
        SharedInterceptor::new(self.clone())
    }
}

impl Intercept for Calls {
    fn name(&self) -> &'static str {
        "Calls"
    }

    fn modify_before_transmit(
        &self,
        context: &mut BeforeTransmitInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let target = context.request().headers().get("x-amz-target").unwrap_or_default();
        let operation = target.rsplit('.').next().unwrap_or_default().to_owned();
        let mut seen = self.0.lock().unwrap();
        *seen.counts.entry(operation.clone()).or_default() += 1;
        let Some(fault) = seen.fault(&operation) else { return Ok(()) };
        let faulty = seen.faulty.as_deref().unwrap_or_default();
        let uri = match fault {
            Fault::Pass => return Ok(()),
            Fault::Unprocessed(percent) => format!("{faulty}/Unprocessed/{percent}"),
            Fault::Conflict | Fault::Throttled | Fault::Denied | Fault::Hanging | Fault::Lost | Fault::LostOnce => {
                format!("{faulty}/{fault:?}")
            }
        };
        context.request_mut().set_uri(uri)?;
        Ok(())
    }

    fn read_after_deserialization(
        &self,
        context: &AfterDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let Ok(output) = context.output_or_error() else { return Ok(()) };
        let consumed: Vec<&ConsumedCapacity> = if let Some(batch) = output.downcast_ref::<BatchGetItemOutput>() {
            batch.consumed_capacity().iter().collect()
        } else if let Some(query) = output.downcast_ref::<QueryOutput>() {
            query.consumed_capacity().into_iter().collect()
        } else {
            Vec::new()
        };
        let units = consumed.into_iter().filter_map(ConsumedCapacity::capacity_units).sum::<f64>();
        self.0.lock().unwrap().read_units += units;
        Ok(())
    }
}

impl Seen {
    /// The fault that a call of this operation meets, if it meets one.
    fn fault(&mut self, operation: &str) -> Option<Fault> {
        if let Some((before, fault)) = self.placed.filter(|_| operation != OF_TESTS) {
            self.placed = before.checked_sub(1).map(|before| (before, fault));
            if before == 0 {
                return Some(fault);
            }
        }
        let index = self.faults.iter().position(|(faulty, _)| faulty == operation)?;
        self.faults.remove(index).map(|(_, fault)| fault)
    }
}

/// The prefix of the names of DynamoDB's errors.
const NAMES: &str = "com.amazonaws.dynamodb.v20120810#";

async fn fail(State(faulty): State<Arc<Faulty>>, uri: Uri, headers: HeaderMap, body: String) -> impl IntoResponse {
    let (status, answer) = match uri.path() {
        "/Conflict" => {
            let reasons = r#"[{"Code":"TransactionConflict"},{"Code":"None"}]"#;
            let name = format!("{NAMES}TransactionCanceledException");
            (400, format!(r#"{{"__type":"{name}","Message":"canceled","CancellationReasons":{reasons}}}"#))
        }
        "/Throttled" => (400, format!(r#"{{"__type":"{NAMES}ThrottlingException","message":"slow down"}}"#)),
        "/Lost" => {
            faulty.carry_out(&headers, &body);
            (400, format!(r#"{{"__type":"{NAMES}AccessDeniedException","Message":"lost"}}"#))
        }
        "/LostOnce" => {
            faulty.carry_out(&headers, &body);
            (500, format!(r#"{{"__type":"{NAMES}InternalServerError","message":"lost"}}"#))
        }
        "/Hanging" => {
            faulty.hanging.notify_one();
            std::future::pending().await
        }
        path => match path.strip_prefix("/Unprocessed/") {
            Some(percent) => (200, processed(&faulty, &body, percent.parse().unwrap())),
            None => (400, format!(r#"{{"__type":"{NAMES}AccessDeniedException","Message":"no"}}"#)),
        },
    };
    let status = StatusCode::from_u16(status).unwrap();
    (status, [(header::CONTENT_TYPE, "application/x-amz-json-1.0")], answer)
}

impl Faulty {
    /// Has the engine carry out a call, and drops its answer.
    fn carry_out(&self, headers: &HeaderMap, call: &str) {
        let engine = self.engine.get().unwrap();
        let target = headers["x-amz-target"].to_str().unwrap();
        let done = match target.rsplit('.').next().unwrap() {
            "TransactWriteItems" => engine.transact_write_items(serde_json::from_str(call).unwrap()).map(drop),
            "BatchWriteItem" => engine.batch_write_item(serde_json::from_str(call).unwrap()).map(drop),
            "PutItem" => engine.put_item(serde_json::from_str(call).unwrap()).map(drop),
            "UpdateItem" => engine.update_item(serde_json::from_str(call).unwrap()).map(drop),
            "DeleteItem" => engine.delete_item(serde_json::from_str(call).unwrap()).map(drop),
            _ => Ok(()),
        };
        // A call whose condition fails has no effect to lose.
        drop(done);
    }
}

/// Has the engine process all of a batch but so many percent, and answers as DynamoDB does.
fn processed(faulty: &Faulty, batch: &str, percent: usize) -> String {
    let mut asked: Value = serde_json::from_str(batch).unwrap();
    let tables = asked["RequestItems"].as_object_mut().unwrap();
    let mut left = tables.clone();
    for (table, left) in &mut left {
        let keys = tables[table]["Keys"].as_array_mut().unwrap();
        let rest = keys.split_off(keys.len() - keys.len() * percent / 100);
        left["Keys"] = rest.into();
    }
    let has_keys = |_: &String, of: &mut Value| of["Keys"] != json!([]);
    tables.retain(has_keys);
    left.retain(has_keys);
    if tables.is_empty() {
        return json!({"Responses": {}, "UnprocessedKeys": left}).to_string();
    }
    let request = serde_json::from_value(asked).unwrap();
    let answer = faulty.engine.get().unwrap().batch_get_item(request).unwrap();
    let mut answer = serde_json::to_value(answer).unwrap();
    answer["UnprocessedKeys"] = left.into();
    answer.to_string()
}
