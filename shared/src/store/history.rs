//! What happened to a contact: written with the change itself, read newest first, erased with the contact.

use std::cmp::Reverse;

use aws_sdk_dynamodb::operation::query::builders::QueryFluentBuilder;
use aws_sdk_dynamodb::types::{AttributeValue, DeleteRequest, WriteRequest};
use futures::StreamExt;
use futures::stream::FuturesUnordered;

use super::key::{self, Item, Key};
use super::place::ReadSet;
use super::request::{ATTEMPTS, from_item, pause, unavailable, unreadable};
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
    /// The last entry's place, unless there are no more.
    pub next: Option<HistoryKey>,
}

impl TenantStore {
    /// Up to `limit` entries of somebody that are older than `before`, newest first, under all ids that the person goes by
    /// or went by. The page may be shorter and still not be the last one.
    ///
    /// # Errors
    /// They could not be read.
    pub async fn history(
        &self,
        id: &ContactId,
        before: Option<&HistoryKey>,
        limit: u16,
    ) -> Result<HistoryPage, StoreError> {
        let mut known = ReadSet::default();
        let person = self.find(&Sighting::of(id.clone()), &mut known).await?;
        let history_spans = self.history_spans(&person, &mut known).await?;
        let (mut entries, mut is_last) = (Vec::new(), true);
        for stretch in &history_spans {
            let query = self.history_query(&stretch.id, before).scan_index_forward(false).limit(limit.into());
            let answer = query.send().await.map_err(unavailable)?;
            is_last &= answer.last_evaluated_key.is_none();
            for item in answer.items.unwrap_or_default() {
                entries.push((stretch, entry(item)?));
            }
        }
        let sort_key = |entry: &HistoryEntry| key::timed(entry.event.key.time, &entry.event.key.id);
        entries.sort_by_cached_key(|(_, entry)| Reverse(sort_key(entry)));
        is_last &= entries.len() <= usize::from(limit);
        entries.truncate(limit.into());
        let next = entries.last().filter(|_| !is_last).map(|(_, entry)| entry.event.key.clone());
        let own = entries.into_iter().filter(|(stretch, entry)| stretch.holds(entry.event.at));
        Ok(HistoryPage { entries: own.map(|(_, entry)| entry).collect(), next })
    }

    /// The spans of histories that are a person's. Where nobody came to an id that the person has left, what was done
    /// under it since is the person's as well: it was decided on that contact, before the news of the move arrived.
    ///
    /// # Errors
    /// A place could not be read.
    pub(super) async fn history_spans(
        &self,
        person: &Person,
        known: &mut ReadSet,
    ) -> Result<Vec<HistorySpan>, StoreError> {
        let mut history_spans = person.history_spans();
        let others = history_spans.iter().map(|stretch| stretch.id.clone()).filter(|id| !known.has(id)).collect();
        let (places, bad) = self.places(others).await?;
        if !bad.is_empty() {
            return Err(unreadable("contact"));
        }
        known.extend(places);
        for stretch in &mut history_spans {
            if let Some(IdRecord { former: Some(former), now: IdState::Vacant(_), .. }) = known.places.get(&stretch.id)
                && Some(former.until) == stretch.until
            {
                stretch.until = None;
            }
        }
        Ok(history_spans)
    }

    /// One entry, if it is there.
    ///
    /// # Errors
    /// It could not be read.
    pub async fn history_entry(&self, id: &ContactId, key: &HistoryKey) -> Result<Option<HistoryEntry>, StoreError> {
        let key = Key::history(&self.id, id, key);
        self.store.batch_get([key]).await?.into_values().next().map(entry).transpose()
    }

    /// Whether a person has made a newer wish than that of an entry: by keyword or button, with effect `changed`, under any
    /// id that the person goes by or went by.
    ///
    /// # Errors
    /// It could not be read.
    pub async fn has_newer_wish(&self, person: &Person, entry: &HistoryEntry) -> Result<bool, StoreError> {
        let at = entry.event.at;
        let history_spans = person.history_spans().into_iter();
        let history_spans: Vec<HistorySpan> =
            history_spans.filter(|stretch| stretch.until.is_none_or(|until| until > at)).collect();
        // An entry stands at its own time, and counts at most 999 ms later; or it stands at 0 and counts when it was
        // processed.
        let own_time = format!("{:013}", at.millis() - 999);
        let ranges = [("pk = :pk AND sk > :bound", own_time.as_str()), ("pk = :pk AND sk < :bound", "0000000000001")];
        let queries = history_spans.iter().flat_map(|stretch| ranges.map(|range| self.has_wish(stretch, range, at)));
        let mut found = queries.collect::<FuturesUnordered<_>>();
        while let Some(found) = found.next().await {
            if found? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Whether there is a wish with effect in a range of a stretch, newer than this time.
    async fn has_wish(
        &self,
        stretch: &HistorySpan,
        (range, bound): (&str, &str),
        newer_than: Time,
    ) -> Result<bool, StoreError> {
        let text = |text: &str| AttributeValue::S(text.to_owned());
        let mut start = None;
        loop {
            let answer = self
                .store
                .client
                .query()
                .table_name(&*self.store.table)
                .consistent_read(true)
                .key_condition_expression(range)
                .filter_expression("#effect = :changed AND #source IN (:keyword, :button) AND #at > :at")
                .projection_expression("#at")
                .expression_attribute_names("#effect", "effect")
                .expression_attribute_names("#source", "source")
                .expression_attribute_names("#at", "at")
                .expression_attribute_values(":pk", AttributeValue::S(key::history(&self.id, &stretch.id)))
                .expression_attribute_values(":bound", text(bound))
                .expression_attribute_values(":changed", text("changed"))
                .expression_attribute_values(":keyword", text("keyword"))
                .expression_attribute_values(":button", text("button"))
                .expression_attribute_values(":at", AttributeValue::N(newer_than.millis().to_string()))
                .limit(LOOKED_AT)
                .set_exclusive_start_key(start)
                .send()
                .await
                .map_err(unavailable)?;
            if answer.items().iter().any(|item| at(item).is_none_or(|at| stretch.holds(at))) {
                return Ok(true);
            }
            start = answer.last_evaluated_key;
            if start.is_none() {
                return Ok(false);
            }
        }
    }

    /// Deletes the entries of a stretch, page by page. The newest time that one of them had, by its own clock or by ours.
    pub(super) async fn delete_history(&self, stretch: &HistorySpan) -> Result<Option<Time>, StoreError> {
        let (mut newest, mut start) = (None, None);
        loop {
            let answer = self
                .history_query(&stretch.id, None)
                .projection_expression("pk, sk, #at")
                .expression_attribute_names("#at", "at")
                .set_exclusive_start_key(start)
                .send()
                .await
                .map_err(unavailable)?;
            let items = answer.items.unwrap_or_default();
            let own: Vec<&Item> = items.iter().filter(|item| at(item).is_none_or(|at| stretch.holds(at))).collect();
            newest =
                newest.max(own.iter().flat_map(|item| [at(item), place(item).map(|key| key.time)]).max().flatten());
            for keys in own.into_iter().filter_map(Key::of).collect::<Vec<_>>().chunks(DELETES) {
                self.delete_chunk(keys).await?;
            }
            start = answer.last_evaluated_key;
            if start.is_none() {
                return Ok(newest);
            }
        }
    }

    /// The entries under an id, those that are older than `before` where that is given.
    fn history_query(&self, id: &ContactId, before: Option<&HistoryKey>) -> QueryFluentBuilder {
        let query = self.store.client.query().table_name(&*self.store.table).consistent_read(true);
        let query = query.expression_attribute_values(":pk", AttributeValue::S(key::history(&self.id, id)));
        match before {
            None => query.key_condition_expression("pk = :pk"),
            Some(HistoryKey { time, id }) => query
                .key_condition_expression("pk = :pk AND sk < :before")
                .expression_attribute_values(":before", AttributeValue::S(key::timed(*time, id))),
        }
    }

    /// Deletes up to [`DELETES`] items; those that DynamoDB left are deleted again until none is.
    async fn delete_chunk(&self, keys: &[Key]) -> Result<(), StoreError> {
        let delete = |key: Key| {
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

/// Entries that are looked at in one call for a newer wish. Where there is one, it is mostly among the next few.
const LOOKED_AT: i32 = 100;

/// Items that DynamoDB deletes in one `BatchWriteItem`.
const DELETES: usize = 25;

/// When an entry happened.
fn at(item: &Item) -> Option<Time> {
    item.get("at")?.as_n().ok()?.parse().ok().map(Time::from_millis)
}

/// Where an item stands in its history.
fn place(item: &Item) -> Option<HistoryKey> {
    key::from_timed(&Key::of(item)?.sk)
}

/// Reads an entry.
pub(super) fn entry(item: Item) -> Result<HistoryEntry, StoreError> {
    let place = place(&item);
    let mut entry: HistoryEntry = from_item("history", item)?;
    if let Some(place) = place {
        entry.event.key = place;
    }
    Ok(entry)
}
