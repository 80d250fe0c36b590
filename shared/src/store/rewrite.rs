//! The writing of records, and of the suppression list that follows from them.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_dynamodb::types::{AttributeValue, TransactWriteItem};

use super::key::ItemKey;
use super::read_set::ReadSet;
use super::record_item;
use super::request::Condition;
use super::{StoreError, TenantStore};
use crate::id::ContactId;
use crate::identity::{IdRecord, IdState};
use crate::time::Time;

/// The writes of a change to records and the suppression list.
pub(super) struct Rewrite {
    /// The parts of the transaction.
    pub(super) items: Vec<TransactWriteItem>,
    /// The read set once the transaction is written.
    pub(super) after: ReadSet,
}

impl TenantStore {
    /// Writes records as they are to be, each on the condition that it still is what was read. `counted` are contacts whose
    /// versions count up in any case; where there is nothing to write and none of those, there are no conditions either.
    pub(super) fn rewrite(
        &self,
        read_set: &ReadSet,
        records: &BTreeMap<ContactId, IdRecord>,
        counted: &BTreeSet<ContactId>,
        now: Time,
    ) -> Result<Rewrite, StoreError> {
        let mut rewrite = Rewrite { items: Vec::new(), after: read_set.clone() };
        let mut unwritten = Vec::new();
        for (id, record) in records {
            let counts = counted.contains(id) && matches!(record.now, IdState::Contact(_) | IdState::Erased(_));
            if read_set.records.get(id) == Some(record) && !counts {
                unwritten.push(id);
                continue;
            }
            let version = read_set.next_version(id, now.millis());
            let key = ItemKey::contact(&self.id, id);
            let (item, version) = record_item::written(record, version, now)?;
            rewrite.items.push(match item {
                Some(item) => self.store.put(key, item, read_set.unchanged(id)),
                None => self.store.delete(key, read_set.unchanged(id)),
            });
            rewrite.after.insert(id.clone(), record.clone(), version);
        }
        if rewrite.items.is_empty() && counted.is_empty() {
            return Ok(rewrite);
        }
        for id in unwritten {
            rewrite.items.push(self.store.require(ItemKey::contact(&self.id, id), read_set.unchanged(id)));
        }
        let before = suppressed(records.keys().filter_map(|id| read_set.records.get_key_value(id)));
        let after = suppressed(records.iter());
        let either: BTreeSet<&ContactId> = before.keys().chain(after.keys()).collect();
        for id in either.into_iter().filter(|id| before.get(id) != after.get(id)) {
            rewrite.items.push(self.suppress(id, after.get(id)));
        }
        Ok(rewrite)
    }

    /// Puts an id on the suppression list with these letters, or takes it off. Other fields of an entry stay.
    fn suppress(&self, id: &ContactId, letters: Option<&String>) -> TransactWriteItem {
        let key = ItemKey::suppression(&self.id, id);
        match letters {
            None => self.store.delete(key, Condition::Always),
            Some(letters) => {
                let values = [(":r".to_owned(), AttributeValue::S(letters.clone()))];
                self.store.update(key, "SET r = :r", values, Condition::Always)
            }
        }
    }
}

/// The letters of each id that is on the suppression list by these records: their own ids, and the user ids by which
/// their contacts go as well.
fn suppressed<'a>(records: impl Iterator<Item = (&'a ContactId, &'a IdRecord)>) -> BTreeMap<ContactId, String> {
    let mut suppressed = BTreeMap::new();
    for (id, record) in records {
        match &record.now {
            IdState::Vacant(remains) => {
                suppressed.insert(id.clone(), remains.reasons());
            }
            IdState::Erased(tombstone) => {
                suppressed.insert(id.clone(), tombstone.reasons());
            }
            IdState::Contact(contact) => {
                let linked = contact.user_id.as_ref().map(ContactId::from);
                suppressed.extend(linked.into_iter().chain([id.clone()]).map(|id| (id, contact.reasons())));
            }
            // The record of the contact that the link leads to has its letters.
            IdState::Link(_) => {}
        }
    }
    suppressed.retain(|_, letters| !letters.is_empty());
    suppressed
}
