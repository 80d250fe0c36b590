//! Histories: entries are written with the change itself, read newest first, and erased with the contact.

use std::cmp::Reverse;

use aws_sdk_dynamodb::types::{AttributeValue, DeleteRequest, WriteRequest};
use futures::StreamExt;
use futures::stream::FuturesUnordered;

use super::key::{self, Item, ItemKey};
use super::query::SortKeys;
use super::read_set::ReadSet;
use super::request::{ATTEMPTS, from_item, pause, unavailable};
use super::{StoreError, TenantStore};
use crate::event::{HistoryEntry, HistoryKey};
use crate::id::ContactId;
use crate::identity::{HistorySpan, IdRecord, IdState, Person, Sighting};
use crate::time::Time;

/// Some entries of a history, and where to go on.
#[derive(Debug)]
pub struct HistoryPage {
    /// The entries, newest first.
    pub entries: Vec<HistoryEntry>,
    /// The key of the last entry, unless there are no more.
    pub next: Option<HistoryKey>,
}

impl TenantStore {
    /// Up to `limit` entries of a person that are older than `before`, newest first, under all ids that the person goes by
    /// or went by. The page may be shorter and still not be the last one.
    ///
    /// # Errors
    /// The entries could not be read.
    pub async fn history(
        &self,
        id: &ContactId,
        before: Option<&HistoryKey>,
        limit: u16,
    ) -> Result<HistoryPage, StoreError> {
        let mut read_set = ReadSet::default();
        let person = self.find(&Sighting::of(id.clone()), &mut read_set).await?;
        let history_spans = self.history_spans(&person, &mut read_set).await?;
        let older = before.map_or(SortKeys::All, |key| SortKeys::Before(key::timed(key.time, &key.id)));
        let (mut entries, mut is_last) = (Vec::new(), true);
        for span in &history_spans {
            let query = self.store.query(key::history(&self.id, &span.id), older.clone());
            let query = query.scan_index_forward(false).limit(limit.into());
            let answer = query.send().await.map_err(unavailable)?;
            is_last &= answer.last_evaluated_key.is_none();
            for item in answer.items.unwrap_or_default() {
                entries.push((span, entry(item)?));
            }
        }
        let sort_key = |entry: &HistoryEntry| key::timed(entry.event.key.time, &entry.event.key.id);
        entries.sort_by_cached_key(|(_, entry)| Reverse(sort_key(entry)));
        is_last &= entries.len() <= usize::from(limit);
        entries.truncate(limit.into());
        let next = entries.last().filter(|_| !is_last).map(|(_, entry)| entry.event.key.clone());
        let own = entries.into_iter().filter(|(span, entry)| span.holds(entry.event.at));
        Ok(HistoryPage { entries: own.map(|(_, entry)| entry).collect(), next })
    }

    /// The spans of histories that are a person's. Where no other person came to an id that the person has left, later entries under
    /// it are the person's as well: they were decided on that contact, before the news of the move arrived.
    ///
    /// # Errors
    /// A record could not be read.
    pub(super) async fn history_spans(
        &self,
        person: &Person,
        read_set: &mut ReadSet,
    ) -> Result<Vec<HistorySpan>, StoreError> {
        let mut history_spans = person.history_spans();
        let others = history_spans.iter().map(|span| span.id.clone()).filter(|id| !read_set.has(id)).collect();
        read_set.extend(self.records(others).await?);
        for span in &mut history_spans {
            if let Some(IdRecord { former: Some(former), now: IdState::Vacant(_), .. }) = read_set.records.get(&span.id)
                && Some(former.until) == span.until
            {
                span.until = None;
            }
        }
        Ok(history_spans)
    }

    /// One entry, if it is there.
    ///
    /// # Errors
    /// The entry could not be read.
    pub async fn history_entry(&self, id: &ContactId, key: &HistoryKey) -> Result<Option<HistoryEntry>, StoreError> {
        let key = ItemKey::history(&self.id, id, key);
        self.store.batch_get([key]).await?.into_values().next().map(entry).transpose()
    }

    /// True if a person has made a newer wish than that of an entry: by keyword or button, with effect `changed`, under any
    /// id that the person goes by or went by.
    ///
    /// # Errors
    /// The histories could not be read.
    pub async fn has_newer_wish(&self, person: &Person, entry: &HistoryEntry) -> Result<bool, StoreError> {
        let at = entry.event.at;
        let history_spans = person.history_spans().into_iter();
        let history_spans: Vec<HistorySpan> =
            history_spans.filter(|span| span.until.is_none_or(|until| until > at)).collect();
        // An entry stands at its own time, and counts at most 999 ms later; or it stands at 0 and counts when it was
        // processed.
        let own_time = format!("{:013}", at.millis() - 999);
        let ranges = [SortKeys::After(own_time), SortKeys::Before("0000000000001".to_owned())];
        let queries = history_spans.iter().flat_map(|span| ranges.clone().map(|range| self.has_wish(span, range, at)));
        let mut found = queries.collect::<FuturesUnordered<_>>();
        while let Some(found) = found.next().await {
            if found? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// True if there is a wish with effect in a range of a span, newer than this time.
    async fn has_wish(&self, span: &HistorySpan, range: SortKeys, newer_than: Time) -> Result<bool, StoreError> {
        let text = |text: &str| AttributeValue::S(text.to_owned());
        let mut start = None;
        loop {
            let answer = self
                .store
                .query(key::history(&self.id, &span.id), range.clone())
                .filter_expression("#effect = :changed AND #source IN (:keyword, :button) AND #at > :at")
                .projection_expression("#at")
                .expression_attribute_names("#effect", "effect")
                .expression_attribute_names("#source", "source")
                .expression_attribute_names("#at", "at")
                .expression_attribute_values(":changed", text("changed"))
                .expression_attribute_values(":keyword", text("keyword"))
                .expression_attribute_values(":button", text("button"))
                .expression_attribute_values(":at", AttributeValue::N(newer_than.millis().to_string()))
                .limit(LOOKED_AT)
                .set_exclusive_start_key(start)
                .send()
                .await
                .map_err(unavailable)?;
            if answer.items().iter().any(|item| at(item).is_none_or(|at| span.holds(at))) {
                return Ok(true);
            }
            start = answer.last_evaluated_key;
            if start.is_none() {
                return Ok(false);
            }
        }
    }

    /// Deletes the entries of a span, page by page, and returns the newest time that one of them had, by its own clock or
    /// by ours.
    pub(super) async fn delete_history(&self, span: &HistorySpan) -> Result<Option<Time>, StoreError> {
        let (mut newest, mut start) = (None, None);
        loop {
            let answer = self
                .store
                .query(key::history(&self.id, &span.id), SortKeys::All)
                .projection_expression("pk, sk, #at")
                .expression_attribute_names("#at", "at")
                .set_exclusive_start_key(start)
                .send()
                .await
                .map_err(unavailable)?;
            let items = answer.items.unwrap_or_default();
            let own: Vec<&Item> = items.iter().filter(|item| at(item).is_none_or(|at| span.holds(at))).collect();
            newest = newest
                .max(own.iter().flat_map(|item| [at(item), history_key(item).map(|key| key.time)]).max().flatten());
            for keys in own.into_iter().filter_map(ItemKey::of).collect::<Vec<_>>().chunks(DELETES) {
                self.delete_chunk(keys).await?;
            }
            start = answer.last_evaluated_key;
            if start.is_none() {
                return Ok(newest);
            }
        }
    }

    /// Deletes up to [`DELETES`] items; those that DynamoDB left are deleted again until none is.
    async fn delete_chunk(&self, keys: &[ItemKey]) -> Result<(), StoreError> {
        let delete = |key: ItemKey| {
            let request = DeleteRequest::builder().set_key(Some(key.into_item())).build().expect("the key is set");
            WriteRequest::builder().delete_request(request).build()
        };
        let mut left: Vec<WriteRequest> = keys.iter().cloned().map(delete).collect();
        for attempt in 1..=ATTEMPTS {
            let answer = self
                .store
                .client
                .batch_write_item()
                .request_items(&*self.store.table, left)
                .send()
                .await
                .map_err(unavailable)?;
            left = answer.unprocessed_items.unwrap_or_default().into_values().flatten().collect();
            if left.is_empty() {
                return Ok(());
            }
            pause(attempt).await;
        }
        Err(StoreError::Unavailable("deletions stay unprocessed".to_owned()))
    }
}

/// Entries that one call looks at for a newer wish. Where there is one, it is mostly among the next few.
const LOOKED_AT: i32 = 100;

/// The most items that DynamoDB deletes in one call:
/// <https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchWriteItem.html>.
const DELETES: usize = 25;

/// The time of an entry's event.
fn at(item: &Item) -> Option<Time> {
    item.get("at")?.as_n().ok()?.parse().ok().map(Time::from_millis)
}

/// The key of an item in its history.
fn history_key(item: &Item) -> Option<HistoryKey> {
    key::from_timed(&ItemKey::of(item)?.sk)
}

/// Reads an entry.
pub(super) fn entry(item: Item) -> Result<HistoryEntry, StoreError> {
    let key = history_key(&item);
    let mut entry: HistoryEntry = from_item("history", item)?;
    if let Some(key) = key {
        entry.event.key = key;
    }
    Ok(entry)
}
