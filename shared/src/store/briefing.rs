//! All that decisions on a batch of updates need to know, read in as few calls as can be.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use super::key::Key;
use super::place::Known;
use super::request::unreadable;
use super::{StoreError, Tenant};
use crate::event::HistoryKey;
use crate::id::ContactId;
use crate::identity::{self, Person, Sighting, Standing, Unread};
use crate::settings::SavedSettings;

/// The store as a batch of updates needs to know it.
#[derive(Debug)]
pub struct Briefing {
    /// The tenant's settings, where it has any.
    pub settings: Option<SavedSettings>,
    known: Known,
    seen: HashSet<(ContactId, HistoryKey)>,
}

/// Calls that follow links, at most: as many as there are links to follow.
const MAX_CALLS: usize = 10;

impl Briefing {
    /// Somebody who was asked about.
    ///
    /// # Errors
    /// What is stored can't be read. That concerns nobody else.
    pub fn person(&self, sighting: &Sighting) -> Result<Person, StoreError> {
        identity::identify(sighting, &self.known.places).map_err(|Unread(_)| unreadable("contact"))
    }

    /// All that was read, to start a change from.
    #[must_use]
    pub fn known(&self) -> Known {
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
    pub fn by_person<T>(&self, things: Vec<T>, sighting: impl Fn(&T) -> &Sighting) -> Vec<(Known, Vec<T>)> {
        let mut joined = Joined::default();
        for (id, place) in &self.known.places {
            let leads_to = match &place.now {
                Standing::Link(to) => Some(to.clone()),
                Standing::Contact(contact) => contact.user_id.as_ref().map(ContactId::from),
                Standing::Vacant(_) | Standing::Erased(_) => None,
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
        let mut parts: BTreeMap<usize, (Known, Vec<T>)> = BTreeMap::new();
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

impl Tenant {
    /// Reads, in one call per hundred keys, the settings, what stands in the places of these people's ids, and which of
    /// these events happened before. Links are not followed yet.
    ///
    /// # Errors
    /// Something could not be read.
    pub async fn briefing(&self, about: &[(&Sighting, Option<&HistoryKey>)]) -> Result<Briefing, StoreError> {
        let ids: BTreeSet<&ContactId> = about.iter().flat_map(|(sighting, _)| sighting.named()).collect();
        let events: Vec<(&ContactId, &HistoryKey)> =
            about.iter().filter_map(|(sighting, event)| Some((sighting.ids.home()?, (*event)?))).collect();
        let settings = Key::settings(&self.id);
        let places = ids.iter().map(|id| Key::contact(&self.id, id));
        let entries = events.iter().map(|(id, event)| Key::history(&self.id, id, event));
        let mut items = self.store.batch_get([settings.clone()].into_iter().chain(places).chain(entries)).await?;
        let mut known = Known::default();
        for id in ids {
            // What can't be read stays unknown, and whoever needs it is told.
            known.insert(id.clone(), items.remove(&Key::contact(&self.id, id))).ok();
        }
        let seen = events.into_iter().filter(|(id, event)| items.contains_key(&Key::history(&self.id, id, event)));
        let seen = seen.map(|(id, event)| (id.clone(), event.clone())).collect();
        let settings = items.remove(&settings).map(super::settings::saved).transpose()?;
        Ok(Briefing { settings, known, seen })
    }

    /// Reads where the links lead that concern these people, for all of them in one call at a time.
    ///
    /// # Errors
    /// Something could not be read.
    pub async fn follow(&self, briefing: &mut Briefing, sightings: &[&Sighting]) -> Result<(), StoreError> {
        let mut tried = HashSet::new();
        for _ in 0..MAX_CALLS {
            let missing = |sighting: &&Sighting| identity::identify(sighting, &briefing.known.places).err();
            let unread: HashSet<ContactId> = sightings.iter().filter_map(missing).map(|Unread(id)| id).collect();
            let unread: Vec<ContactId> = unread.into_iter().filter(|id| tried.insert(id.clone())).collect();
            if unread.is_empty() {
                break;
            }
            briefing.known.extend(self.places(unread).await?.0);
        }
        Ok(())
    }

    /// Reads the settings and who these people are.
    ///
    /// # Errors
    /// Something could not be read.
    pub async fn people(&self, sightings: &[&Sighting]) -> Result<Briefing, StoreError> {
        let about: Vec<_> = sightings.iter().map(|sighting| (*sighting, None)).collect();
        let mut briefing = self.briefing(&about).await?;
        self.follow(&mut briefing, sightings).await?;
        Ok(briefing)
    }

    /// Reads the places of some ids, and says which of these can't be read.
    pub(super) async fn places(&self, ids: Vec<ContactId>) -> Result<(Known, Vec<ContactId>), StoreError> {
        let mut items = self.store.batch_get(ids.iter().map(|id| Key::contact(&self.id, id))).await?;
        let (mut known, mut unreadable) = (Known::default(), Vec::new());
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
