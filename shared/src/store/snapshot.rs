//! All that decisions on a batch of updates need to know, read in as few calls as can be.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use super::key::Key;
use super::place::ReadSet;
use super::request::unreadable;
use super::{StoreError, TenantStore};
use crate::event::HistoryKey;
use crate::id::ContactId;
use crate::identity::{self, IdState, MissingRecord, Person, Sighting};
use crate::settings::SavedSettings;

/// The store as a batch of updates needs to know it.
#[derive(Debug)]
pub struct Snapshot {
    /// The tenant's settings, where it has any.
    pub settings: Option<SavedSettings>,
    known: ReadSet,
    seen: HashSet<(ContactId, HistoryKey)>,
}

/// Calls that follow links, at most: as many as there are links to follow.
const MAX_CALLS: usize = 10;

impl Snapshot {
    /// Somebody who was asked about.
    ///
    /// # Errors
    /// What is stored can't be read. That concerns nobody else.
    pub fn person(&self, sighting: &Sighting) -> Result<Person, StoreError> {
        identity::identify(sighting, &self.known.places).map_err(|MissingRecord(_)| unreadable("contact"))
    }

    /// All that was read, to start a change from.
    #[must_use]
    pub fn known(&self) -> ReadSet {
        self.known.clone()
    }

    /// Whether an event is in the history under an id already.
    #[must_use]
    pub fn has_seen(&self, id: &ContactId, key: &HistoryKey) -> bool {
        self.seen.contains(&(id.clone(), key.clone()))
    }

    /// Parts things that concern people so that no two parts concern the same person, whatever ids it goes by. Within a
    /// part the order stays. Each comes with what was read of its person, to start changes from.
    #[must_use]
    pub fn by_person<T>(&self, things: Vec<T>, sighting: impl Fn(&T) -> &Sighting) -> Vec<(ReadSet, Vec<T>)> {
        let mut joined = Joined::default();
        for (id, place) in &self.known.places {
            let leads_to = match &place.now {
                IdState::Link(to) => Some(to.clone()),
                IdState::Contact(contact) => contact.user_id.as_ref().map(ContactId::from),
                IdState::Vacant(_) | IdState::Erased(_) => None,
            };
            for to in leads_to.iter().chain(place.former.as_ref().map(|former| &former.to)) {
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
        for id in self.known.places.keys() {
            if let Some((known, _)) = parts.get_mut(&joined.part(id)) {
                known.copy(id, &self.known);
            }
        }
        parts.into_values().collect()
    }
}

impl TenantStore {
    /// Reads, in one call per hundred keys, the settings, what stands in the places of these people's ids, and which of
    /// these events happened before. Links are not followed yet.
    ///
    /// # Errors
    /// Something could not be read.
    pub async fn snapshot(&self, about: &[(&Sighting, Option<&HistoryKey>)]) -> Result<Snapshot, StoreError> {
        let ids: BTreeSet<&ContactId> = about.iter().flat_map(|(sighting, _)| sighting.named()).collect();
        let events: Vec<(&ContactId, &HistoryKey)> =
            about.iter().filter_map(|(sighting, event)| Some((sighting.ids.home()?, (*event)?))).collect();
        let settings = Key::settings(&self.id);
        let places = ids.iter().map(|id| Key::contact(&self.id, id));
        let entries = events.iter().map(|(id, event)| Key::history(&self.id, id, event));
        let mut items = self.store.batch_get([settings.clone()].into_iter().chain(places).chain(entries)).await?;
        let mut known = ReadSet::default();
        for id in ids {
            // What can't be read stays unknown, and whoever needs it is told.
            known.insert(id.clone(), items.remove(&Key::contact(&self.id, id))).ok();
        }
        let seen = events.into_iter().filter(|(id, event)| items.contains_key(&Key::history(&self.id, id, event)));
        let seen = seen.map(|(id, event)| (id.clone(), event.clone())).collect();
        let settings = items.remove(&settings).map(super::settings::saved).transpose()?;
        Ok(Snapshot { settings, known, seen })
    }

    /// Reads where the links lead that concern these people, for all of them in one call at a time.
    ///
    /// # Errors
    /// Something could not be read.
    pub async fn follow(&self, snapshot: &mut Snapshot, sightings: &[&Sighting]) -> Result<(), StoreError> {
        let mut tried = HashSet::new();
        for _ in 0..MAX_CALLS {
            let missing = |sighting: &&Sighting| identity::identify(sighting, &snapshot.known.places).err();
            let unread: HashSet<ContactId> = sightings.iter().filter_map(missing).map(|MissingRecord(id)| id).collect();
            let unread: Vec<ContactId> = unread.into_iter().filter(|id| tried.insert(id.clone())).collect();
            if unread.is_empty() {
                break;
            }
            snapshot.known.extend(self.places(unread).await?.0);
        }
        Ok(())
    }

    /// Reads the settings and who these people are.
    ///
    /// # Errors
    /// Something could not be read.
    pub async fn people(&self, sightings: &[&Sighting]) -> Result<Snapshot, StoreError> {
        let about: Vec<_> = sightings.iter().map(|sighting| (*sighting, None)).collect();
        let mut snapshot = self.snapshot(&about).await?;
        self.follow(&mut snapshot, sightings).await?;
        Ok(snapshot)
    }

    /// Reads the places of some ids, and says which of these can't be read.
    pub(super) async fn places(&self, ids: Vec<ContactId>) -> Result<(ReadSet, Vec<ContactId>), StoreError> {
        let mut items = self.store.batch_get(ids.iter().map(|id| Key::contact(&self.id, id))).await?;
        let (mut known, mut unreadable) = (ReadSet::default(), Vec::new());
        for id in ids {
            let item = items.remove(&Key::contact(&self.id, &id));
            if known.insert(id.clone(), item).is_err() {
                unreadable.push(id);
            }
        }
        Ok((known, unreadable))
    }
}

/// Ids that belong together, directly or by others.
#[derive(Default)]
struct Joined {
    parts: HashMap<ContactId, usize>,
    /// Which part each was found to be a part of; the last of such a chain stands for all.
    within: Vec<usize>,
}

impl Joined {
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
        let mut joined = Joined::default();
        joined.join(&id("+14155550100"), &id("US.1"));
        joined.join(&id("+14155550101"), &id("US.2"));
        assert_ne!(joined.part(&id("US.1")), joined.part(&id("US.2")));
        joined.join(&id("US.1"), &id("+14155550101"));
        assert_eq!(joined.part(&id("+14155550100")), joined.part(&id("US.2")));
        assert_ne!(joined.part(&id("+14155550102")), joined.part(&id("US.2")));
    }
}
