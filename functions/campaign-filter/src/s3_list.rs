//! Campaigns whose recipients are a list in S3. The list is read, filtered and written at the same time, block by block.

use std::collections::HashMap;
use std::ops::Range;

use bytes::Bytes;
use consent::contact::{Status, Suppression};
use consent::id::ContactId;
use consent::store::TenantStore;
use futures::{Stream, StreamExt, TryStreamExt, stream};
use serde::Serialize;
use tokio::time::{Instant, timeout_at};

use crate::counts::RecipientCounts;
use crate::error::{FieldPath, FilterError};
use crate::list::{
    BATCH_JSON, BatchSize, Block, Duplicates, Format, Index, IndexBuilder, LONGEST_ROW, Layout, ListError, Output,
    Pass, PassOutcome, People, Rows, TYPE_BYTES, column_names,
};
use crate::objects::{Location, Object, ObjectError, Objects, Upload, WrittenObject};
use crate::recipient::CampaignRecipient;
use crate::request::{Destination, ListSource, RowRange};
use crate::rules::CampaignRules;

/// The longest list whose recipients are looked up one by one, in bytes. For a longer one the whole suppression list is
/// read, as the number of its recipients is unknown until all of it was read.
const SHORT: u64 = 4 * 1024 * 1024;

/// The longest beginning of a list up to its first row, in bytes: a byte order mark and a header row.
const LONGEST_BEGINNING: u64 = 3 + LONGEST_ROW as u64;

/// The largest batch: one call of the sender gets as many recipients.
const BATCHES: BatchSize = BatchSize { rows: 500, json: BATCH_JSON };

/// The lists that a list of recipients was split into.
#[derive(Debug, Serialize)]
pub struct ListReport {
    /// The caller's name for the campaign.
    pub campaign_id: Option<String>,
    /// The number of all recipients.
    pub total: u64,
    /// The number of recipients of each kind.
    pub counts: RecipientCounts,
    /// The counts of the skipped in words: `50 contacts skipped (opted-out)`.
    pub summary: String,
    /// The list of the eligible: their rows byte for byte.
    pub eligible: Location,
    /// The version of that list. A state machine merges it into a source, so that rows are read of no other version.
    pub version: Version,
    /// The list of the skipped: CSV of line, contact and reason.
    pub skipped: Location,
    /// The batches of the eligible.
    pub batches: BatchList,
}

/// The version of an object.
#[derive(Debug, Serialize)]
pub struct Version {
    /// The entity tag, as S3 gives it.
    pub e_tag: String,
}

/// The list of batches.
#[derive(Debug, Serialize)]
pub struct BatchList {
    /// The location of the list. It is a JSON array of batches.
    #[serde(flatten)]
    pub location: Location,
    /// The number of batches.
    pub count: usize,
}

/// A list in S3, and all that is needed to filter it.
pub(crate) struct S3List<'a> {
    pub(crate) objects: &'a Objects,
    pub(crate) tenant: &'a TenantStore,
    pub(crate) source: &'a ListSource,
    pub(crate) rules: CampaignRules,
    /// The time by which filtering has to end.
    pub(crate) deadline: Option<Instant>,
}

/// The contacts that a list may name, as far as the table knows them.
struct PeopleIndexes {
    suppressed: Index,
    /// The contacts that opted in. None where no opt-in is needed.
    opted_in: Option<Index>,
}

impl S3List<'_> {
    /// Filters the whole list, and writes the eligible, the skipped and the batches to the destination.
    ///
    /// # Errors
    /// A list could not be read or written, or is invalid, or the table could not be read in full. The destination keeps
    /// the lists it had.
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
            let problem = "the list itself would be replaced, and could not be filtered again";
            return Err(FieldPath("destination.prefix").invalid(problem));
        }
        let [eligible, skipped, batches] = targets.map(|target| self.objects.upload(target));
        let mut uploads = Uploads { eligible, skipped, batches };
        let object = self.object().await?;
        // A short list is read once, for its ids and for its rows.
        let list = if object.length <= SHORT { Some(self.read(&object, 0..object.length).await?) } else { None };
        let people = self.people(list.as_deref()).await?;
        let blocks = match list {
            Some(list) => stream::iter([Ok(list.into())]).boxed(),
            None => self.objects.blocks(&object, 0..object.length).boxed(),
        };
        let written = self.in_time(Box::pin(async {
            let outcome = self.pass(blocks, &people, &mut uploads).await?;
            let lists = uploads.finish(&outcome).await.map_err(write_error)?;
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

    /// The recipients of some rows of the list.
    ///
    /// # Errors
    /// The list could not be read or is invalid, its version is another one, or the range does not hold whole rows.
    pub(crate) async fn rows(&self, range: RowRange) -> Result<Vec<CampaignRecipient>, FilterError> {
        let object = self.object().await?;
        if range.last_byte >= object.length {
            return Err(FieldPath("source.last_byte").invalid("lies behind the end of the list"));
        }
        // Some tools leave out the quotes that belong to a tag.
        let bare = |tag: &str| tag.trim_matches('"').to_owned();
        if self.source.e_tag.as_ref().is_some_and(|tag| bare(tag) != bare(&object.tag)) {
            return Err(FieldPath("source.e_tag").invalid("the list is another one by now"));
        }
        let beginning = self.beginning(&object).await?;
        let layout = Layout::read(self.source.format, &self.source.column, beginning.block())
            .map_err(list_error)?
            .ok_or_else(|| FieldPath("source").invalid("the header row has no end"))?;
        let names = column_names(self.source.format, &beginning.bytes[..layout.rows_start()]);
        // The byte before is read as well: it tells whether a row begins behind it.
        let rows_start = layout.rows_start() as u64;
        let first = if range.first_byte == 0 { rows_start } else { range.first_byte };
        let bytes = self.read(&object, first.saturating_sub(1)..range.last_byte + 1).await?;
        let (before, rows) = bytes.split_at(usize::from(first > 0).min(bytes.len()));
        let is_whole = (first == rows_start || first > rows_start && before == b"\n")
            && (range.last_byte + 1 == object.length || rows.last() == Some(&b'\n'));
        if !is_whole {
            return Err(FieldPath("source.first_byte").invalid("there and behind last_byte, rows have to begin"));
        }
        Ok(Rows::read(&layout, rows).recipients(&names))
    }

    /// The beginning of the list, long enough to read its layout.
    async fn beginning(&self, object: &Object) -> Result<Beginning, FilterError> {
        let longest = match self.source.format {
            Format::Csv => LONGEST_BEGINNING,
            Format::Jsonl => TYPE_BYTES as u64,
        };
        let length = longest.min(object.length);
        Ok(Beginning { bytes: self.read(object, 0..length).await?, is_all: length == object.length })
    }

    /// Reads, filters and writes, block by block.
    async fn pass(
        &self,
        blocks: impl Stream<Item = Result<Bytes, ObjectError>>,
        people: &PeopleIndexes,
        uploads: &mut Uploads,
    ) -> Result<PassOutcome, FilterError> {
        let people = People { suppressed: &people.suppressed, opted_in: people.opted_in.as_ref() };
        let mut pass = Pass::new(self.source.format, &self.source.column, self.rules.category, BATCHES)
            .without_duplicates(Duplicates::new(std::env::temp_dir()));
        let mut output = Output::default();
        let mut blocks = std::pin::pin!(blocks);
        while let Some(block) = blocks.next().await {
            pass.feed(&block.map_err(read_error)?, &people, &mut output).map_err(list_error)?;
            uploads.write(&mut output).await?;
        }
        let outcome = pass.finish(&people, &mut output).map_err(list_error)?;
        uploads.write(&mut output).await?;
        Ok(outcome)
    }

    /// The contacts that the list may name: of a short list, which is given whole, those it names; else all of the tenant.
    async fn people(&self, short: Option<&[u8]>) -> Result<PeopleIndexes, FilterError> {
        match short {
            Some(list) => self.named_people(list).await,
            None => self.in_time(self.all_people()).await,
        }
    }

    async fn named_people(&self, list: &[u8]) -> Result<PeopleIndexes, FilterError> {
        let block = Block { bytes: list, is_last: true };
        let layout = Layout::read(self.source.format, &self.source.column, block).map_err(list_error)?;
        let ids = layout.map_or_else(Vec::new, |layout| Rows::read(&layout, &list[layout.rows_start()..]).ids());
        let suppressed = self.in_time(async { Ok(self.tenant.suppressions(&ids).await?) }).await?;
        let opted_in = if self.rules.needs_opt_in {
            let statuses = self.in_time(async { Ok(self.tenant.statuses(&ids).await?) }).await?;
            Some(opted_in(&statuses))
        } else {
            None
        };
        let suppressed = suppressed.iter().map(|(id, suppression)| (id, *suppression)).collect();
        Ok(PeopleIndexes { suppressed, opted_in })
    }

    async fn all_people(&self) -> Result<PeopleIndexes, FilterError> {
        let mut suppressed = IndexBuilder::default();
        let mut pages = self.tenant.suppression_list();
        while let Some(page) = pages.try_next().await? {
            for (id, suppression) in page {
                suppressed.add(&id, suppression);
            }
        }
        if !self.rules.needs_opt_in {
            return Ok(PeopleIndexes { suppressed: suppressed.build(), opted_in: None });
        }
        let mut opted_in = IndexBuilder::default();
        let mut pages = self.tenant.opted_in();
        while let Some(page) = pages.try_next().await? {
            for id in page {
                opted_in.add(&id, Suppression::default());
            }
        }
        Ok(PeopleIndexes { suppressed: suppressed.build(), opted_in: Some(opted_in.build()) })
    }

    async fn object(&self) -> Result<Object, FilterError> {
        self.in_time(async { self.objects.object(&self.source.location).await.map_err(read_error) }).await
    }

    async fn read(&self, object: &Object, range: Range<u64>) -> Result<Vec<u8>, FilterError> {
        let blocks = self.objects.blocks(object, range).map_err(read_error);
        self.in_time(blocks.try_fold(Vec::new(), async |mut bytes, block| {
            bytes.extend(block);
            Ok(bytes)
        }))
        .await
    }

    /// The result of some work, or [`FilterError::OutOfTime`] at the deadline.
    async fn in_time<T>(&self, work: impl Future<Output = Result<T, FilterError>>) -> Result<T, FilterError> {
        match self.deadline {
            Some(deadline) => timeout_at(deadline, work).await.unwrap_or(Err(FilterError::OutOfTime)),
            None => work.await,
        }
    }
}

/// The first bytes of a list.
struct Beginning {
    bytes: Vec<u8>,
    /// The list has no more bytes.
    is_all: bool,
}

impl Beginning {
    fn block(&self) -> Block<'_> {
        Block { bytes: &self.bytes, is_last: self.is_all }
    }
}

/// The lists that are being written.
struct Uploads {
    eligible: Upload,
    skipped: Upload,
    batches: Upload,
}

impl Uploads {
    /// Writes the output of a block.
    async fn write(&mut self, output: &mut Output) -> Result<(), FilterError> {
        self.eligible.write(&mut output.eligible).await.map_err(write_error)?;
        self.skipped.write(&mut output.skipped).await.map_err(write_error)
    }

    /// Puts the lists under their keys, the eligible last: a reader that finds it finds the others as well. They are in
    /// the order of the fields.
    async fn finish(&mut self, outcome: &PassOutcome) -> Result<[WrittenObject; 3], ObjectError> {
        let batches = serde_json::to_vec(&outcome.batches);
        self.batches.write(&mut batches.map_err(|_| ObjectError::Unavailable("no JSON".to_owned()))?).await?;
        let (skipped, batches) = (self.skipped.finish().await?, self.batches.finish().await?);
        Ok([self.eligible.finish().await?, skipped, batches])
    }

    /// Removes the lists that were not put under their keys.
    async fn abort(mut self) {
        self.eligible.abort().await;
        self.skipped.abort().await;
        self.batches.abort().await;
    }
}

/// The index of the contacts that opted in.
fn opted_in(statuses: &HashMap<ContactId, Status>) -> Index {
    let opted_in = statuses.iter().filter(|(_, status)| **status == Status::OptedIn);
    opted_in.map(|(id, _)| (id, Suppression::default())).collect()
}

/// The error of a list that could not be read from S3.
#[expect(clippy::needless_pass_by_value, reason = "goes into map_err")]
fn read_error(error: ObjectError) -> FilterError {
    match error {
        ObjectError::NoBucket => FieldPath("source.bucket").invalid("there is no such bucket"),
        ObjectError::Missing => FieldPath("source.key").invalid("there is no such object in the bucket"),
        ObjectError::Forbidden => {
            FieldPath("source").invalid("the filter may not read from this bucket; is its name right?")
        }
        ObjectError::Refused(_) => FieldPath("source").invalid(&error.to_string()),
        ObjectError::Replaced | ObjectError::Unavailable(_) => FilterError::ObjectUnavailable(error.to_string()),
    }
}

/// The error of a list that could not be written to S3.
#[expect(clippy::needless_pass_by_value, reason = "goes into map_err")]
fn write_error(error: ObjectError) -> FilterError {
    match error {
        ObjectError::NoBucket | ObjectError::Missing => {
            FieldPath("destination.bucket").invalid("there is no such bucket")
        }
        ObjectError::Forbidden => {
            FieldPath("destination").invalid("the filter may not write to this bucket; is its name right?")
        }
        ObjectError::Refused(_) => FieldPath("destination").invalid(&error.to_string()),
        ObjectError::Replaced | ObjectError::Unavailable(_) => FilterError::ObjectUnavailable(error.to_string()),
    }
}

/// The error of a list that was read, and can't be filtered.
#[expect(clippy::needless_pass_by_value, reason = "goes into map_err")]
fn list_error(error: ListError) -> FilterError {
    match error {
        ListError::Disk(_) => FilterError::ObjectUnavailable(error.to_string()),
        _ => FilterError::InvalidCampaign(error.to_string()),
    }
}
