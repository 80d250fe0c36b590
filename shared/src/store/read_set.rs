//! The read set of a change: the records that it was decided on, each with its version.

use std::collections::{BTreeMap, HashMap};

use super::StoreError;
use super::key::Item;
use super::record_item::{self, ItemVersion};
use super::request::Condition;
use crate::id::ContactId;
use crate::identity::{IdRecord, IdRecords};

/// The records read so far, each with the version it had when it was read.
#[derive(Clone, Debug, Default)]
pub struct ReadSet {
    pub(super) records: IdRecords,
    versions: HashMap<ContactId, ItemVersion>,
}

impl ReadSet {
    /// True if the record of an id was read.
    pub(super) fn has(&self, id: &ContactId) -> bool {
        self.records.contains_key(id)
    }

    /// Adds the record of an id as its item has it; without an item it is empty.
    pub(super) fn read(&mut self, id: ContactId, item: Option<Item>) -> Result<(), StoreError> {
        let (record, version) = match item {
            None => (IdRecord::default(), ItemVersion::Absent),
            Some(item) => record_item::read(item)?,
        };
        self.insert(id, record, version);
        Ok(())
    }

    /// Adds or replaces a record.
    pub(super) fn insert(&mut self, id: ContactId, record: IdRecord, version: ItemVersion) {
        self.records.insert(id.clone(), record);
        self.versions.insert(id, version);
    }

    /// Adds all records of another read set, which replace those of the same ids.
    pub(super) fn extend(&mut self, other: Self) {
        self.records.extend(other.records);
        self.versions.extend(other.versions);
    }

    /// Adds the records of another read set whose ids are not in this one.
    pub(super) fn add_missing(&mut self, other: &Self) {
        let missing: Vec<&ContactId> = other.records.keys().filter(|id| !self.has(id)).collect();
        for id in missing {
            self.copy(id, other);
        }
    }

    /// Replaces records by what a decision makes of them, though it is not written yet. Their versions stay.
    pub(super) fn assume(&mut self, after: &BTreeMap<ContactId, IdRecord>) {
        self.records.extend(after.iter().map(|(id, record)| (id.clone(), record.clone())));
    }

    /// Copies one record from another read set, where that has it.
    pub(super) fn copy(&mut self, id: &ContactId, from: &Self) {
        if let (Some(record), Some(version)) = (from.records.get(id), from.versions.get(id)) {
            self.insert(id.clone(), record.clone(), *version);
        }
    }

    /// The version that a record's next item gets. A record without one does not start at 1: a writer that still holds a
    /// version from before an erasure must not find it again. `first` is larger than any of those.
    pub(super) fn next_version(&self, id: &ContactId, first: i64) -> i64 {
        match self.versions.get(id) {
            Some(ItemVersion::Version(version)) => version + 1,
            Some(ItemVersion::Absent | ItemVersion::ErasedAt(_)) | None => first,
        }
    }

    /// The condition that a record still is what was read.
    pub(super) fn unchanged(&self, id: &ContactId) -> Condition {
        match self.versions.get(id) {
            None | Some(ItemVersion::Absent) => Condition::Absent,
            Some(ItemVersion::Version(version)) => Condition::Equals("version", *version),
            Some(ItemVersion::ErasedAt(at)) => Condition::Equals("erased_at", *at),
        }
    }
}
