//! The suppression list, as campaigns read it: by whichever way costs fewer read units.
//!
//! Looking recipients up costs a unit each. Reading the list costs a unit for every 4 KiB of it, which is well over a
//! hundred entries. So a batch is looked up where the list is long for it, and the list is read where the batch is large.
//! How long the list is, one small query tells: its first entries within the range that the batch spans.

use std::collections::{BTreeMap, HashMap, HashSet};

use aws_sdk_dynamodb::types::ReturnConsumedCapacity;
use futures::{Stream, StreamExt, TryStreamExt, stream};

use super::key::{self, Item, ItemKey};
use super::query::SortKeys;
use super::request::{unavailable, unreadable};
use super::{StoreError, TenantStore};
use crate::contact::{Status, Suppression};
use crate::id::{ContactId, Shard};
use crate::identity::Sighting;
use crate::time::Time;

/// Entries of the list that were read together.
pub type Entries = Vec<(ContactId, Suppression)>;

/// Shards that are read at a time for a batch.
const AT_ONCE: usize = 16;

/// Shards that are read at a time for the whole list: the memory of a page is twenty times its size while it is parsed.
const WHOLE_AT_ONCE: usize = 2;

/// The largest part of what looking a batch up costs that may be spent on finding out whether something else costs less.
const PROBE_SHARE: f64 = 0.04;

/// Bytes that a strongly consistent read unit pays for:
/// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/read-write-operations.html>.
const UNIT_BYTES: f64 = 4096.0;

/// Bytes of a long entry of a phone number, and of a user id.
const ENTRY_BYTES: [f64; 2] = [100.0, 250.0];

impl TenantStore {
    /// The entries of the suppression list for these ids: complete or an error, never a part.
    ///
    /// # Errors
    /// Some of the list could not be read.
    pub async fn suppressions(&self, ids: &[ContactId]) -> Result<HashMap<ContactId, Suppression>, StoreError> {
        let batch = LookupBatch::new(ids);
        let Some(probe) = batch.probe() else { return self.look_up(batch).await };
        let first = self.page(&probe.range, None, Some(probe.limit)).await?;
        if batch.lookup_units() <= batch.list_units(&probe.range, &first) {
            return self.look_up(batch).await;
        }
        let rest = batch.ranges.iter().map(|(shard, range)| {
            let begun = *shard == probe.range.shard;
            let from = if begun { first.next.clone().map(Some) } else { Some(None) };
            (range.clone(), from)
        });
        // Of the shard that was probed, reading goes on where the probe ended, if it did not read all of it.
        let rest: Vec<_> = rest.filter_map(|(range, from)| Some(self.pages(range, from?))).collect();
        let mut listed: HashMap<ContactId, Suppression> = HashMap::new();
        let mut keep = |entries: Entries| listed.extend(entries.into_iter().filter(|(id, _)| batch.ids.contains(id)));
        keep(first.entries);
        let mut rest = stream::iter(rest).flatten_unordered(AT_ONCE);
        while let Some(entries) = rest.try_next().await? {
            keep(entries);
        }
        Ok(listed)
    }

    /// The whole list, in no order. The stream is complete only if no error came before its end.
    pub fn suppression_list(&self) -> impl Stream<Item = Result<Entries, StoreError>> + Send + '_ {
        let shards = Shard::all().map(|shard| self.pages(Range { shard, span: None }, None));
        stream::iter(shards).flatten_unordered(WHOLE_AT_ONCE)
    }

    /// The status of each of these contacts.
    ///
    /// # Errors
    /// Some of the contacts could not be read.
    pub async fn statuses(&self, ids: &[ContactId]) -> Result<HashMap<ContactId, Status>, StoreError> {
        // Of an id that was left, only the present holder's consent is known.
        let now = Time::from_millis(i64::MAX);
        let sightings: Vec<Sighting> = ids.iter().map(|id| Sighting::then(id.clone(), now)).collect();
        let snapshot = self.people(&sightings.iter().collect::<Vec<_>>()).await?;
        let status = |sighting| Ok(snapshot.person(sighting)?.contact.status());
        ids.iter().zip(&sightings).map(|(id, sighting)| Ok((id.clone(), status(sighting)?))).collect()
    }

    async fn look_up(&self, batch: LookupBatch<'_>) -> Result<HashMap<ContactId, Suppression>, StoreError> {
        let items = self.store.batch_get(batch.ids.iter().map(|id| ItemKey::suppression(&self.id, id))).await?;
        items.values().map(entry).collect()
    }

    /// The pages of a range, one after the other.
    fn pages(
        &self,
        range: Range,
        from: Option<Item>,
    ) -> impl Stream<Item = Result<Entries, StoreError>> + Send + use<> {
        let tenant = self.clone();
        let start = Some((range, from));
        let pages = stream::try_unfold(start, move |at| {
            let tenant = tenant.clone();
            async move {
                let Some((range, from)) = at else { return Ok(None) };
                let page = tenant.page(&range, from, None).await?;
                Ok(Some((page.entries, page.next.map(|next| (range, Some(next))))))
            }
        });
        pages.boxed()
    }

    /// One page of a range; without a limit as much as DynamoDB reads at once, a mebibyte.
    async fn page(&self, range: &Range, from: Option<Item>, limit: Option<i32>) -> Result<ListPage, StoreError> {
        let ids = match &range.span {
            None => SortKeys::All,
            Some((first, last)) => SortKeys::Between { first: first.to_string(), last: last.to_string() },
        };
        let answer = self
            .store
            .query(key::suppressions(&self.id, range.shard), ids)
            .projection_expression("sk, r")
            .set_limit(limit)
            .set_exclusive_start_key(from)
            .return_consumed_capacity(ReturnConsumedCapacity::Total)
            .send()
            .await
            .map_err(unavailable)?;
        let units = answer.consumed_capacity.and_then(|consumed| consumed.capacity_units).unwrap_or_default();
        let entries = answer.items.unwrap_or_default().iter().map(entry).collect::<Result<_, _>>()?;
        Ok(ListPage { entries, next: answer.last_evaluated_key, units })
    }
}

/// A part of the list: a shard, or what of it lies between two ids, both included.
#[derive(Clone, Debug)]
struct Range {
    shard: Shard,
    span: Option<(ContactId, ContactId)>,
}

/// A page of the list.
struct ListPage {
    entries: Entries,
    next: Option<Item>,
    units: f64,
}

/// A look at the list that is small for the batch.
struct Probe {
    range: Range,
    limit: i32,
}

/// The recipients of a batch, each once, and the parts of the list in which they would stand.
struct LookupBatch<'a> {
    ids: HashSet<&'a ContactId>,
    ranges: BTreeMap<Shard, Range>,
    in_shard: BTreeMap<Shard, Vec<&'a ContactId>>,
}

impl<'a> LookupBatch<'a> {
    fn new(ids: &'a [ContactId]) -> Self {
        let ids: HashSet<&ContactId> = ids.iter().collect();
        let mut in_shard: BTreeMap<Shard, Vec<&ContactId>> = BTreeMap::new();
        for id in &ids {
            in_shard.entry(id.shard()).or_default().push(id);
        }
        let range = |(shard, ids): (&Shard, &Vec<&ContactId>)| {
            let (first, last) = (ids.iter().min()?, ids.iter().max()?);
            Some((*shard, Range { shard: *shard, span: Some(((*first).clone(), (*last).clone())) }))
        };
        let ranges = in_shard.iter().filter_map(range).collect();
        Self { ids, ranges, in_shard }
    }

    /// The cost of looking all of them up, in read units.
    fn lookup_units(&self) -> f64 {
        units(self.ids.len())
    }

    /// The probe that estimates the cost of reading the list; none where that cannot be less: it is a unit a shard at
    /// least.
    fn probe(&self) -> Option<Probe> {
        if self.ids.len() <= self.ranges.len() {
            return None;
        }
        let (shard, ids) = self.in_shard.iter().max_by_key(|(_, ids)| ids.len())?;
        let entry = ENTRY_BYTES[usize::from(ids.iter().any(|id| matches!(id, ContactId::User(_))))];
        let most = (self.lookup_units() * PROBE_SHARE).max(1.0);
        #[expect(clippy::cast_possible_truncation, reason = "a few hundred thousand at most, and cut off anyway")]
        let limit = (most * UNIT_BYTES / entry) as i32;
        Some(Probe { range: self.ranges.get(shard)?.clone(), limit })
    }

    /// The estimated cost of reading the list, in read units, judging by its first entries in one range: as much as there
    /// for each recipient whom they reach or, if they are all there are, for each shard.
    fn list_units(&self, range: &Range, first: &ListPage) -> f64 {
        let last = first.entries.last().filter(|_| first.next.is_some());
        match last {
            None => first.units * units(self.ranges.len()),
            Some((last, _)) => {
                let reached = self.in_shard[&range.shard].iter().filter(|id| **id <= last).count();
                first.units / units(reached.max(1)) * self.lookup_units()
            }
        }
    }
}

/// The cost of so many items at a unit each, in read units.
#[expect(clippy::cast_precision_loss, reason = "batches are far smaller than what a f64 counts exactly")]
fn units(items: usize) -> f64 {
    items as f64
}

/// Reads an entry.
fn entry(item: &Item) -> Result<(ContactId, Suppression), StoreError> {
    let text = |name| item.get(name).and_then(|value| value.as_s().ok());
    let id = text("sk").and_then(|id| ContactId::received(id).ok()).ok_or_else(|| unreadable("suppression"))?;
    Ok((id, Suppression::from_letters(text("r").map_or("", String::as_str))))
}
