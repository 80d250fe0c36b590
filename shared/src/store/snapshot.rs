//! Snapshots: settings, records and history of a batch of updates, read in as few calls as possible.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use super::key::ItemKey;
use super::read_set::ReadSet;
use super::request::unreadable;
use super::{StoreError, TenantStore};
use crate::event::HistoryKey;
use crate::id::ContactId;
use crate::identity::{self, IdState, MissingRecord, Person, Sighting};
use crate::settings::SavedSettings;

/// The part of a tenant's table that decisions on a batch of updates need.
#[derive(Debug)]
pub struct Snapshot {
    /// The tenant's settings, where it has any.
    pub settings: Option<SavedSettings>,
    read_set: ReadSet,
    seen: HashSet<(ContactId, HistoryKey)>,
}

/// The most calls that follow links. Each reads one more record of a person: up to eight changes of ids that are followed, and
/// as many ids that were left.
const MAX_CALLS: usize = 20;

impl Snapshot {
    /// The person that the ids of a sighting lead to.
    ///
    /// # Errors
    /// A record of the person can't be read. That concerns nobody else.
    pub fn person(&self, sighting: &Sighting) -> Result<Person, StoreError> {
        identity::identify(sighting, &self.read_set.records).map_err(|MissingRecord(_)| unreadable("contact"))
    }

    /// All records that were read, to start a change from.
    #[must_use]
    pub fn read_set(&self) -> ReadSet {
        self.read_set.clone()
    }

    /// True if an event is in the history under an id already.
    #[must_use]
    pub fn has_seen(&self, id: &ContactId, key: &HistoryKey) -> bool {
        self.seen.contains(&(id.clone(), key.clone()))
    }

    /// Groups things that concern people so that no two groups concern the same person, whatever ids it goes by. Within a
    /// group the order stays. Each comes with the read set of its person, to start changes from.
    #[must_use]
    pub fn by_person<T>(&self, things: Vec<T>, sighting: impl Fn(&T) -> &Sighting) -> Vec<(ReadSet, Vec<T>)> {
        let mut joined = JoinedIds::default();
        for (id, record) in &self.read_set.records {
            let leads_to = match &record.now {
                IdState::Link(to) => Some(to.clone()),
                IdState::Contact(contact) => contact.user_id.as_ref().map(ContactId::from),
                IdState::Vacant(_) | IdState::Erased(_) => None,
            };
            for to in leads_to.iter().chain(record.former.as_ref().map(|former| &former.to)) {
                joined.join(id, to);
            }
        }
        for thing in &things {
            let mut named = sighting(thing).named();
            let Some(first) = named.next() else { continue };
            named.for_each(|id| joined.join(first, id));
        }
        let mut parts: BTreeMap<usize, (ReadSet, Vec<T>)> = BTreeMap::new();
        for thing in things {
            let part = sighting(&thing).named().next().map(|id| joined.part(id));
            if let Some(part) = part {
                parts.entry(part).or_default().1.push(thing);
            }
        }
        for id in self.read_set.records.keys() {
            if let Some((read_set, _)) = parts.get_mut(&joined.part(id)) {
                read_set.copy(id, &self.read_set);
            }
        }
        parts.into_values().collect()
    }
}

impl TenantStore {
    /// Reads, in one call per hundred keys, the settings, the records of all ids that these sightings name, and which of
    /// these events are in the history. Links are not followed yet.
    ///
    /// # Errors
    /// The table or the settings could not be read. A record that can't be read is an error of [`Snapshot::person`].
    pub async fn snapshot(&self, about: &[(&Sighting, Option<&HistoryKey>)]) -> Result<Snapshot, StoreError> {
        let ids: BTreeSet<&ContactId> = about.iter().flat_map(|(sighting, _)| sighting.named()).collect();
        let events: Vec<(&ContactId, &HistoryKey)> =
            about.iter().filter_map(|(sighting, event)| Some((sighting.ids.home()?, (*event)?))).collect();
        let settings = ItemKey::settings(&self.id);
        let records = ids.iter().map(|id| ItemKey::contact(&self.id, id));
        let entries = events.iter().map(|(id, event)| ItemKey::history(&self.id, id, event));
        let mut items = self.store.batch_get([settings.clone()].into_iter().chain(records).chain(entries)).await?;
        let mut read_set = ReadSet::default();
        for id in ids {
            // A record that can't be read stays missing, and a caller that needs it gets an error.
            read_set.read(id.clone(), items.remove(&ItemKey::contact(&self.id, id))).ok();
        }
        let seen = events.into_iter().filter(|(id, event)| items.contains_key(&ItemKey::history(&self.id, id, event)));
        let seen = seen.map(|(id, event)| (id.clone(), event.clone())).collect();
        let settings = items.remove(&settings).map(super::settings::saved).transpose()?;
        Ok(Snapshot { settings, read_set, seen })
    }

    /// Reads the records that links lead to from these sightings, for all of them in one call at a time.
    ///
    /// # Errors
    /// The table could not be read.
    pub async fn follow(&self, snapshot: &mut Snapshot, sightings: &[&Sighting]) -> Result<(), StoreError> {
        let mut tried = HashSet::new();
        for _ in 0..MAX_CALLS {
            let missing = |sighting: &&Sighting| identity::identify(sighting, &snapshot.read_set.records).err();
            let unread: HashSet<ContactId> = sightings.iter().filter_map(missing).map(|MissingRecord(id)| id).collect();
            let unread: Vec<ContactId> = unread.into_iter().filter(|id| tried.insert(id.clone())).collect();
            if unread.is_empty() {
                break;
            }
            snapshot.read_set.extend(self.readable_records(unread).await?.0);
        }
        Ok(())
    }

    /// Reads the settings and the people that these sightings lead to.
    ///
    /// # Errors
    /// The table or the settings could not be read. A record that can't be read is an error of [`Snapshot::person`].
    pub async fn people(&self, sightings: &[&Sighting]) -> Result<Snapshot, StoreError> {
        let about: Vec<_> = sightings.iter().map(|sighting| (*sighting, None)).collect();
        let mut snapshot = self.snapshot(&about).await?;
        self.follow(&mut snapshot, sightings).await?;
        Ok(snapshot)
    }

    /// Reads the records of these ids. One that can't be read is an error.
    pub(super) async fn records(&self, ids: Vec<ContactId>) -> Result<ReadSet, StoreError> {
        match self.readable_records(ids).await? {
            (read_set, None) => Ok(read_set),
            (_, Some(error)) => Err(error),
        }
    }

    /// Reads those records of these ids that can be read, and returns an error of the others, if there are any.
    async fn readable_records(&self, ids: Vec<ContactId>) -> Result<(ReadSet, Option<StoreError>), StoreError> {
        let mut items = self.store.batch_get(ids.iter().map(|id| ItemKey::contact(&self.id, id))).await?;
        let (mut read_set, mut unreadable) = (ReadSet::default(), None);
        for id in ids {
            let item = items.remove(&ItemKey::contact(&self.id, &id));
            unreadable = read_set.read(id, item).err().or(unreadable);
        }
        Ok((read_set, unreadable))
    }
}

/// Ids that belong together, directly or by others: a disjoint-set forest
/// (<https://en.wikipedia.org/wiki/Disjoint-set_data_structure>). For example, after joining 1 with 2 and 2 with 3, all
/// three are in the same part.
#[derive(Default)]
struct JoinedIds {
    parts: HashMap<ContactId, usize>,
    /// The parent of each part; a root is its own parent and stands for all below it.
    within: Vec<usize>,
}

impl JoinedIds {
    fn part(&mut self, id: &ContactId) -> usize {
        let next = self.within.len();
        let mut part = *self.parts.entry(id.clone()).or_insert(next);
        if part == next {
            self.within.push(next);
        }
        while self.within[part] != part {
            part = self.within[part];
        }
        part
    }

    fn join(&mut self, one: &ContactId, other: &ContactId) {
        let (one, other) = (self.part(one), self.part(other));
        self.within[one] = other;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_joined_by_others_is_one_part() {
        let id = |text: &str| text.parse::<ContactId>().unwrap();
        let mut joined = JoinedIds::default();
        joined.join(&id("+14155550100"), &id("US.1"));
        joined.join(&id("+14155550101"), &id("US.2"));
        assert_ne!(joined.part(&id("US.1")), joined.part(&id("US.2")));
        joined.join(&id("US.1"), &id("+14155550101"));
        assert_eq!(joined.part(&id("+14155550100")), joined.part(&id("US.2")));
        assert_ne!(joined.part(&id("+14155550102")), joined.part(&id("US.2")));
    }
}
