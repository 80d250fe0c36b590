//! Calls of DynamoDB: batches that are read whole, and transactions whose refusal means a race.

use std::collections::{BTreeSet, HashMap};
use std::ops::ControlFlow;
use std::time::Duration;

use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::types::{
    AttributeValue, ConditionCheck, Delete, KeysAndAttributes, Put, ReturnConsumedCapacity, TransactWriteItem, Update,
};
use futures::{StreamExt, TryStreamExt, stream};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::key::{Item, ItemKey};
use super::{Store, StoreError};

/// The most keys that DynamoDB takes in one call:
/// <https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchGetItem.html>.
const BATCH: usize = 100;

/// Batches that are asked for at a time.
const AT_ONCE: usize = 16;

/// Attempts at something that others get in the way of: a second and a half with the pauses of [`pause`].
pub(super) const ATTEMPTS: u32 = 8;

/// The end of a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum WriteOutcome {
    /// The transaction is written.
    Written,
    /// Nothing of the transaction is written: something that it was conditional on has changed.
    Raced,
}

impl WriteOutcome {
    /// The end of an attempt whose only result is that this is written: see [`until_written`].
    pub(super) fn or_again(self) -> ControlFlow<()> {
        match self {
            Self::Written => ControlFlow::Break(()),
            Self::Raced => ControlFlow::Continue(()),
        }
    }
}

impl Store {
    /// Reads items by key, strongly consistent, as they are: absent ones are missing in the answer. Keys repeat freely.
    pub(super) async fn batch_get(
        &self,
        keys: impl IntoIterator<Item = ItemKey>,
    ) -> Result<HashMap<ItemKey, Item>, StoreError> {
        let distinct: BTreeSet<ItemKey> = keys.into_iter().collect();
        let distinct: Vec<ItemKey> = distinct.into_iter().collect();
        let chunks: Vec<Vec<ItemKey>> = distinct.chunks(BATCH).map(<[ItemKey]>::to_vec).collect();
        let calls = stream::iter(chunks).map(|chunk| self.batch_get_chunk(chunk));
        let found: Vec<Vec<(ItemKey, Item)>> = calls.buffered(AT_ONCE).try_collect().await?;
        Ok(found.into_iter().flatten().collect())
    }

    /// Up to [`BATCH`] keys; what DynamoDB left out is asked for again until nothing is left.
    async fn batch_get_chunk(&self, keys: Vec<ItemKey>) -> Result<Vec<(ItemKey, Item)>, StoreError> {
        let mut found = Vec::new();
        let mut left: Vec<Item> = keys.into_iter().map(ItemKey::into_item).collect();
        // Calls in a row that processed nothing at all.
        let mut idle = 0;
        while idle < ATTEMPTS {
            if left.is_empty() {
                return Ok(found);
            }
            if idle > 0 {
                pause(idle).await;
            }
            let asked = left.len();
            let request =
                KeysAndAttributes::builder().set_keys(Some(left)).consistent_read(true).build().expect("keys are set");
            let answer = self
                .client
                .batch_get_item()
                .request_items(&*self.table, request)
                .return_consumed_capacity(ReturnConsumedCapacity::Total)
                .send()
                .await
                .map_err(unavailable)?;
            for item in answer.responses.unwrap_or_default().into_values().flatten() {
                found.push((ItemKey::of(&item).ok_or_else(|| unreadable("item without a key"))?, item));
            }
            left = answer
                .unprocessed_keys
                .unwrap_or_default()
                .into_values()
                .flat_map(|unprocessed| unprocessed.keys)
                .collect();
            idle = if left.len() < asked { u32::from(!left.is_empty()) } else { idle + 1 };
        }
        Err(StoreError::Unavailable("keys stay unprocessed".to_owned()))
    }

    /// Writes all or nothing. While others write there, or too much is asked of the table, it is tried again.
    pub(super) async fn transact(&self, items: Vec<TransactWriteItem>) -> Result<WriteOutcome, StoreError> {
        // One token for all attempts: one that was written although its answer was lost is not written again.
        let token = uuid::Uuid::now_v7().to_string();
        for attempt in 1..=ATTEMPTS {
            let write = self.client.transact_write_items().set_transact_items(Some(items.clone()));
            match write.client_request_token(&token).send().await {
                Ok(_) => return Ok(WriteOutcome::Written),
                Err(error) => match cancellation(&error) {
                    Some(Cancellation::Condition) => return Ok(WriteOutcome::Raced),
                    Some(Cancellation::Busy) => pause(attempt).await,
                    None => return Err(unavailable(error)),
                },
            }
        }
        Err(StoreError::Contended)
    }

    /// A write of a whole item.
    pub(super) fn put(&self, key: ItemKey, item: Item, condition: Condition) -> TransactWriteItem {
        let (expression, values) = condition.expression();
        let put = Put::builder()
            .table_name(&*self.table)
            .set_item(Some(key.into_item().into_iter().chain(item).collect()))
            .set_condition_expression(expression)
            .set_expression_attribute_values(values)
            .build()
            .expect("table and item are set");
        TransactWriteItem::builder().put(put).build()
    }

    /// A deletion of an item.
    pub(super) fn delete(&self, key: ItemKey, condition: Condition) -> TransactWriteItem {
        let (expression, values) = condition.expression();
        let delete = Delete::builder()
            .table_name(&*self.table)
            .set_key(Some(key.into_item()))
            .set_condition_expression(expression)
            .set_expression_attribute_values(values)
            .build()
            .expect("table and key are set");
        TransactWriteItem::builder().delete(delete).build()
    }

    /// A write of some attributes of an item, which leaves the others.
    pub(super) fn update(
        &self,
        key: ItemKey,
        expression: &str,
        values: impl IntoIterator<Item = (String, AttributeValue)>,
        condition: Condition,
    ) -> TransactWriteItem {
        self.update_named(key, expression, [], values, condition)
    }

    /// An update whose expression has placeholders for names of attributes as well.
    pub(super) fn update_named(
        &self,
        key: ItemKey,
        expression: &str,
        names: impl IntoIterator<Item = (String, String)>,
        values: impl IntoIterator<Item = (String, AttributeValue)>,
        condition: Condition,
    ) -> TransactWriteItem {
        let (condition, expected) = condition.expression();
        let names: HashMap<String, String> = names.into_iter().collect();
        let update = Update::builder()
            .table_name(&*self.table)
            .set_key(Some(key.into_item()))
            .update_expression(expression)
            .set_expression_attribute_names((!names.is_empty()).then_some(names))
            .set_expression_attribute_values(Some(values.into_iter().chain(expected.unwrap_or_default()).collect()))
            .set_condition_expression(condition)
            .build()
            .expect("table, key and expression are set");
        TransactWriteItem::builder().update(update).build()
    }

    /// A condition on an item that the transaction does not write.
    pub(super) fn require(&self, key: ItemKey, condition: Condition) -> TransactWriteItem {
        let (expression, values) = condition.expression();
        let check = ConditionCheck::builder()
            .table_name(&*self.table)
            .set_key(Some(key.into_item()))
            .set_condition_expression(expression)
            .set_expression_attribute_values(values)
            .build()
            .expect("table, key and condition are set");
        TransactWriteItem::builder().condition_check(check).build()
    }
}

/// The condition on an item under which a write happens.
#[derive(Clone, Debug)]
pub(super) enum Condition {
    /// Always.
    Always,
    /// The item is absent.
    Absent,
    /// The item is present.
    Present,
    /// The item is present and has no attribute `version`: a release that counted no versions of such items wrote it.
    Unversioned,
    /// The item has this number in this attribute.
    Equals(&'static str, i64),
}

impl Condition {
    fn expression(self) -> (Option<String>, Option<HashMap<String, AttributeValue>>) {
        match self {
            Self::Always => (None, None),
            Self::Absent => (Some("attribute_not_exists(pk)".to_owned()), None),
            Self::Present => (Some("attribute_exists(pk)".to_owned()), None),
            Self::Unversioned => (Some("attribute_exists(pk) AND attribute_not_exists(version)".to_owned()), None),
            Self::Equals(name, number) => {
                let values = HashMap::from([(":expected".to_owned(), AttributeValue::N(number.to_string()))]);
                (Some(format!("{name} = :expected")), Some(values))
            }
        }
    }
}

/// Decides and writes until the writing wins its race. An `attempt` decides on what it reads and writes on the condition
/// that this still stands. It breaks with its result once that is written, or once there is nothing to write; it continues
/// where something has changed meanwhile. It is handed its number, from 1 on, and the state that the one before continued
/// with.
///
/// # Errors
/// An attempt failed, or all [`ATTEMPTS`] lost their race ([`StoreError::Contended`]).
pub(super) async fn until_written<S, T, E, F>(first: S, attempt: impl Fn(u32, S) -> F) -> Result<T, E>
where
    F: Future<Output = Result<ControlFlow<T, S>, E>>,
    E: From<StoreError>,
{
    let mut state = first;
    for number in 1..=ATTEMPTS {
        match attempt(number, state).await? {
            ControlFlow::Break(result) => return Ok(result),
            ControlFlow::Continue(next) => state = next,
        }
        if number < ATTEMPTS {
            pause(number).await;
        }
    }
    Err(StoreError::Contended.into())
}

/// Waits before the next attempt: up to 20, 40, 80 … 500 ms, drawn by chance so that those who raced do not race again.
/// Exponential backoff with full jitter: <https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/>.
pub(super) async fn pause(attempt: u32) {
    let most = 500.min(10 << attempt.min(10));
    tokio::time::sleep(Duration::from_millis(fastrand::u64(1..=most))).await;
}

/// The error of the store for a failed call: its kind and code alone, since messages can quote keys, and keys are phone
/// numbers.
#[expect(clippy::needless_pass_by_value, reason = "goes into map_err")]
pub(super) fn unavailable<E: ProvideErrorMetadata>(error: SdkError<E>) -> StoreError {
    let code = match &error {
        SdkError::ConstructionFailure(_) => "the request could not be built",
        SdkError::TimeoutError(_) => "no answer in time",
        SdkError::DispatchFailure(_) => "no connection",
        SdkError::ResponseError(_) => "an answer that cannot be read",
        _ => error.code().unwrap_or("an error without a code"),
    };
    StoreError::Unavailable(code.to_owned())
}

/// The error for an item of this kind that lacks what every version of this system writes.
pub(super) fn unreadable(kind: &'static str) -> StoreError {
    StoreError::Unreadable { kind, source: serde::de::Error::custom("not as this version writes it") }
}

/// Turns a value into an item of this kind.
pub(super) fn to_item(kind: &'static str, value: impl Serialize) -> Result<Item, StoreError> {
    serde_dynamo::to_item(value).map_err(|source| StoreError::Unwritable { kind, source })
}

/// Turns a value into an attribute of an item of this kind.
pub(super) fn to_attribute(kind: &'static str, value: impl Serialize) -> Result<AttributeValue, StoreError> {
    serde_dynamo::to_attribute_value(value).map_err(|source| StoreError::Unwritable { kind, source })
}

/// Turns an item of this kind into a value.
pub(super) fn from_item<T: DeserializeOwned>(kind: &'static str, item: Item) -> Result<T, StoreError> {
    serde_dynamo::from_item(item).map_err(|source| StoreError::Unreadable { kind, source })
}

/// The cause for which DynamoDB cancelled a transaction, of which nothing is written.
enum Cancellation {
    /// A condition does not hold.
    Condition,
    /// Another transaction was at the same items, or they are asked for too often.
    Busy,
}

fn cancellation(error: &SdkError<TransactWriteItemsError>) -> Option<Cancellation> {
    match error.as_service_error()? {
        TransactWriteItemsError::TransactionCanceledException(canceled) => {
            let codes = || canceled.cancellation_reasons().iter().filter_map(|reason| reason.code());
            let is_busy =
                |code| matches!(code, "TransactionConflict" | "ThrottlingError" | "ProvisionedThroughputExceeded");
            if codes().any(|code| code == "ConditionalCheckFailed") {
                Some(Cancellation::Condition)
            } else {
                codes().any(is_busy).then_some(Cancellation::Busy)
            }
        }
        TransactWriteItemsError::TransactionInProgressException(_) => Some(Cancellation::Busy),
        _ => None,
    }
}
