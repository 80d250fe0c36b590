//! Campaigns whose recipients are a list in S3: filtered while they are read, and written while they are filtered.

use std::collections::HashMap;

use bytes::Bytes;
use consent::contact::{Category, Status, Suppression};
use consent::id::ContactId;
use consent::store::TenantStore;
use futures::{Stream, StreamExt, TryStreamExt, stream};
use serde::Serialize;
use tokio::time::{Instant, timeout_at};

use crate::campaign::{Destination, Recipient, Source};
use crate::list::{
    BATCH_JSON, BatchSize, Duplicates, Format, Index, IndexBuilder, LONGEST_ROW, Layout, ListError, Outcome, Output,
    Pass, People, Rows, TELLING, names,
};
use crate::objects::{Location, Object, ObjectError, Objects, Upload, Written};
use crate::{Counts, FilterError};

/// Bytes of a list whose recipients are looked up like those of any batch. Against a longer one the whole suppression list
/// is read: how many recipients it has is known only once it was gone through.
const SHORT: u64 = 4 * 1024 * 1024;

/// Bytes of a list's beginning in which its header row has to end, behind a byte order mark.
const LONGEST_HEAD: u64 = 3 + LONGEST_ROW as u64;

/// As many recipients as one call of a sender gets.
const BATCHES: BatchSize = BatchSize { rows: 500, json: BATCH_JSON };

/// What became of a list of recipients.
#[derive(Debug, Serialize)]
pub struct ListReport {
    /// What the caller calls the campaign.
    pub campaign_id: Option<String>,
    /// All recipients.
    pub total: u64,
    /// How many of each kind.
    pub counts: Counts,
    /// The same for people to read.
    pub summary: String,
    /// The list of those who may get it: their rows as they were given.
    pub eligible: Location,
    /// Which version of it: what is merged into a source, so that its rows are read of no other.
    pub version: Version,
    /// The list of those who may not: line, contact, reason.
    pub skipped: Location,
    /// The stretches of the eligible that are sent together.
    pub batches: BatchList,
}

/// A version of an object.
#[derive(Debug, Serialize)]
pub struct Version {
    /// Its entity tag, as S3 gives it.
    pub e_tag: String,
}

/// Where the batches are listed.
#[derive(Debug, Serialize)]
pub struct BatchList {
    /// The list: JSON, an array of batches.
    #[serde(flatten)]
    pub location: Location,
    /// How many there are.
    pub count: usize,
}

/// A list in S3 that is to be filtered.
pub(crate) struct ObjectList<'a> {
    pub objects: &'a Objects,
    pub tenant: &'a TenantStore,
    pub source: &'a Source,
    /// Whether only those get it who opted in.
    pub explicit: bool,
    pub category: Category,
    /// When this has to have ended.
    pub deadline: Option<Instant>,
}

/// What is known of a list's people.
struct Known {
    suppressed: Index,
    opted_in: Option<Index>,
}

impl ObjectList<'_> {
    /// Filters all of it, for a campaign that the caller calls so.
    pub(crate) async fn filter(
        &self,
        campaign_id: Option<String>,
        to: &Destination,
    ) -> Result<ListReport, FilterError> {
        let extension = match self.source.format {
            Format::Csv => "csv",
            Format::Jsonl => "jsonl",
        };
        let names = [&format!("eligible.{extension}"), "skipped.csv", "batches.json"];
        let targets = names.map(|name| to.location(name));
        if targets.contains(&self.source.location) {
            let what = "destination.prefix: the list itself would be replaced, and could not be filtered again";
            return Err(FilterError::InvalidCampaign(what.to_owned()));
        }
        let [eligible, skipped, batches] = targets.map(|target| self.objects.upload(target));
        let mut uploads = Uploads { eligible, skipped, batches };
        let object = self.object().await?;
        // A short list is read once, for its ids and for its rows.
        let list = if object.length <= SHORT { Some(self.read(&object, 0, object.length).await?) } else { None };
        let known = self.known(list.as_deref()).await?;
        let blocks = match list {
            Some(list) => stream::iter([Ok(list.into())]).boxed(),
            None => self.objects.blocks(&object, 0, object.length).boxed(),
        };
        let written = self.in_time(Box::pin(async {
            let outcome = self.pass(blocks, &known, &mut uploads).await?;
            let lists = uploads.finish(&outcome).await.map_err(written)?;
            Ok((outcome, lists))
        }));
        let (outcome, [eligible, skipped, batches]) = match written.await {
            Ok(written) => written,
            Err(error) => {
                uploads.abort().await;
                return Err(error);
            }
        };
        Ok(ListReport {
            campaign_id,
            total: outcome.counts.total(),
            summary: outcome.counts.summary(),
            counts: outcome.counts,
            eligible: eligible.location,
            version: Version { e_tag: eligible.e_tag },
            skipped: skipped.location,
            batches: BatchList { location: batches.location, count: outcome.batches.len() },
        })
    }

    /// The recipients of some of its rows, from one byte to another.
    pub(crate) async fn rows(&self, first: u64, last: u64) -> Result<Vec<Recipient>, FilterError> {
        let object = self.object().await?;
        if last >= object.length {
            return Err(FilterError::InvalidCampaign("source.last_byte: lies behind the end of the list".to_owned()));
        }
        // Some tools leave out the quotes that belong to a tag.
        let bare = |tag: &str| tag.trim_matches('"').to_owned();
        if self.source.e_tag.as_ref().is_some_and(|tag| bare(tag) != bare(&object.tag)) {
            return Err(FilterError::InvalidCampaign("source.e_tag: the list is another one by now".to_owned()));
        }
        let head = match self.source.format {
            Format::Csv => LONGEST_HEAD.min(object.length),
            Format::Jsonl => (TELLING as u64).min(object.length),
        };
        let beginning = self.read(&object, 0, head).await?;
        let (layout, head) = Layout::read(self.source.format, &self.source.column, &beginning, head == object.length)
            .map_err(invalid)?
            .ok_or_else(|| FilterError::InvalidCampaign("source: the header row has no end".to_owned()))?;
        let names = names(self.source.format, &beginning[..head]);
        // With the byte before, which tells whether a row begins there.
        let head = head as u64;
        let first = if first == 0 { head } else { first };
        let bytes = self.read(&object, first.saturating_sub(1), last + 1).await?;
        let (before, rows) = bytes.split_at(usize::from(first > 0).min(bytes.len()));
        let is_whole = (first == head || first > head && before == b"\n")
            && (last + 1 == object.length || rows.last() == Some(&b'\n'));
        if !is_whole {
            let what = "source.first_byte: there and behind last_byte, rows have to begin";
            return Err(FilterError::InvalidCampaign(what.to_owned()));
        }
        Ok(Rows::read(&layout, rows).recipients(&names))
    }

    /// Reads, filters and writes, block by block.
    async fn pass(
        &self,
        blocks: impl Stream<Item = Result<Bytes, ObjectError>>,
        known: &Known,
        uploads: &mut Uploads,
    ) -> Result<Outcome, FilterError> {
        let people = People { suppressed: &known.suppressed, opted_in: known.opted_in.as_ref() };
        let mut pass = Pass::new(self.source.format, &self.source.column, self.category, BATCHES)
            .without_duplicates(Duplicates::new(std::env::temp_dir()));
        let mut output = Output::default();
        let mut blocks = std::pin::pin!(blocks);
        while let Some(block) = blocks.next().await {
            pass.feed(&block.map_err(unread)?, &people, &mut output).map_err(invalid)?;
            uploads.write(&mut output).await?;
        }
        let outcome = pass.finish(&people, &mut output).map_err(invalid)?;
        uploads.write(&mut output).await?;
        Ok(outcome)
    }

    /// Reads what is known of the people of a list: of a short one by its ids, else of everybody.
    async fn known(&self, list: Option<&[u8]>) -> Result<Known, FilterError> {
        if let Some(list) = list {
            let layout = Layout::read(self.source.format, &self.source.column, list, true).map_err(invalid)?;
            let ids = layout.map_or_else(Vec::new, |(layout, head)| Rows::read(&layout, &list[head..]).ids());
            let suppressed = self.in_time(async { Ok(self.tenant.suppressions(&ids).await?) }).await?;
            let opted_in = if self.explicit {
                let statuses = self.in_time(async { Ok(self.tenant.statuses(&ids).await?) }).await?;
                Some(opted_in(&statuses))
            } else {
                None
            };
            return Ok(Known { suppressed: suppressed.iter().map(|(id, reasons)| (id, *reasons)).collect(), opted_in });
        }
        self.in_time(async {
            let mut suppressed = IndexBuilder::default();
            let mut entries = self.tenant.suppression_list();
            while let Some(entries) = entries.try_next().await? {
                for (id, reasons) in entries {
                    suppressed.add(&id, reasons);
                }
            }
            if !self.explicit {
                return Ok(Known { suppressed: suppressed.build(), opted_in: None });
            }
            let mut opted_in = IndexBuilder::default();
            let mut people = self.tenant.opted_in();
            while let Some(ids) = people.try_next().await? {
                for id in ids {
                    opted_in.add(&id, Suppression::default());
                }
            }
            Ok(Known { suppressed: suppressed.build(), opted_in: Some(opted_in.build()) })
        })
        .await
    }

    async fn object(&self) -> Result<Object, FilterError> {
        self.in_time(async { self.objects.object(&self.source.location).await.map_err(unread) }).await
    }

    async fn read(&self, object: &Object, first: u64, end: u64) -> Result<Vec<u8>, FilterError> {
        let blocks = self.objects.blocks(object, first, end).map_err(unread);
        self.in_time(blocks.try_fold(Vec::new(), async |mut bytes, block| {
            bytes.extend(block);
            Ok(bytes)
        }))
        .await
    }

    /// Does something while there is time for it.
    async fn in_time<T>(&self, work: impl Future<Output = Result<T, FilterError>>) -> Result<T, FilterError> {
        match self.deadline {
            Some(deadline) => timeout_at(deadline, work).await.unwrap_or(Err(FilterError::OutOfTime)),
            None => work.await,
        }
    }
}

/// The lists that come of a list.
struct Uploads {
    eligible: Upload,
    skipped: Upload,
    batches: Upload,
}

impl Uploads {
    async fn write(&mut self, output: &mut Output) -> Result<(), FilterError> {
        self.eligible.write(&mut output.eligible).await.map_err(written)?;
        self.skipped.write(&mut output.skipped).await.map_err(written)
    }

    /// Puts all of them under their names, the eligible last: whoever finds them finds the others as well.
    async fn finish(&mut self, outcome: &Outcome) -> Result<[Written; 3], ObjectError> {
        let batches = serde_json::to_vec(&outcome.batches);
        self.batches.write(&mut batches.map_err(|_| ObjectError::Unavailable("no JSON".to_owned()))?).await?;
        let (skipped, batches) = (self.skipped.finish().await?, self.batches.finish().await?);
        Ok([self.eligible.finish().await?, skipped, batches])
    }

    /// Throws away what is not under its name.
    async fn abort(mut self) {
        self.eligible.abort().await;
        self.skipped.abort().await;
        self.batches.abort().await;
    }
}

fn opted_in(statuses: &HashMap<ContactId, Status>) -> Index {
    let opted_in = statuses.iter().filter(|(_, status)| **status == Status::OptedIn);
    opted_in.map(|(id, _)| (id, Suppression::default())).collect()
}

/// Why a list can't be read.
#[expect(clippy::needless_pass_by_value, reason = "goes into map_err")]
fn unread(error: ObjectError) -> FilterError {
    match error {
        ObjectError::NoBucket => invalid_field("source.bucket", "there is no such bucket"),
        ObjectError::Missing => invalid_field("source.key", "there is no such object in the bucket"),
        ObjectError::Forbidden => {
            invalid_field("source", "the filter may not read from this bucket; is its name right?")
        }
        ObjectError::Refused(_) => invalid_field("source", &error.to_string()),
        ObjectError::Replaced | ObjectError::Unavailable(_) => FilterError::ObjectUnavailable(error.to_string()),
    }
}

/// Why lists can't be written.
#[expect(clippy::needless_pass_by_value, reason = "goes into map_err")]
fn written(error: ObjectError) -> FilterError {
    match error {
        ObjectError::NoBucket | ObjectError::Missing => invalid_field("destination.bucket", "there is no such bucket"),
        ObjectError::Forbidden => {
            invalid_field("destination", "the filter may not write to this bucket; is its name right?")
        }
        ObjectError::Refused(_) => invalid_field("destination", &error.to_string()),
        ObjectError::Replaced | ObjectError::Unavailable(_) => FilterError::ObjectUnavailable(error.to_string()),
    }
}

fn invalid_field(field: &str, why: &str) -> FilterError {
    FilterError::InvalidCampaign(format!("{field}: {why}"))
}

/// Why a list can't be filtered.
#[expect(clippy::needless_pass_by_value, reason = "goes into map_err")]
fn invalid(error: ListError) -> FilterError {
    match error {
        ListError::Disk(_) => FilterError::ObjectUnavailable(error.to_string()),
        _ => FilterError::InvalidCampaign(error.to_string()),
    }
}
