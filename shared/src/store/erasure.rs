//! The end of what is known of somebody.

use std::collections::BTreeMap;

use super::key::Key;
use super::place::Known;
use super::request::{ATTEMPTS, Written, pause, unreadable};
use super::{StoreError, Tenant};
use crate::id::ContactId;
use crate::identity::{Person, Place, Sighting, Standing, Stretch};
use crate::time::Time;

impl Tenant {
    /// Forgets someone: contact, links and history go, under every id. Of someone suppressed, the suppression items and
    /// tombstones with the reasons stay. Doing it again finishes what an earlier attempt left.
    ///
    /// # Errors
    /// Something could not be read or written; the erasure can be asked for again.
    pub async fn erase(&self, id: &ContactId, now: Time) -> Result<(), StoreError> {
        for attempt in 1..=ATTEMPTS {
            let mut known = Known::default();
            let person = self.find(&Sighting::of(id.clone()), &mut known).await?;
            let stretches = person.stretches();
            let others = stretches.iter().map(|stretch| stretch.id.clone()).filter(|id| !known.has(id)).collect();
            let (places, bad) = self.places(others).await?;
            if !bad.is_empty() {
                return Err(unreadable("contact"));
            }
            known.extend(places);
            // Listed before the contact goes: what comes in later belongs to whoever writes after the erasure.
            let entries = self.entries(&stretches).await?;
            let counted = (!entries.is_empty()).then_some(person.id());
            let rewrite = self.rewrite(&known, &erased(&person, &stretches, &known, now), counted, now)?;
            if rewrite.items.is_empty() || self.store.transact(rewrite.items).await? == Written::Yes {
                return self.delete_all(&entries).await;
            }
            pause(attempt).await;
        }
        Err(StoreError::Contended)
    }

    async fn entries(&self, stretches: &[Stretch]) -> Result<Vec<Key>, StoreError> {
        let mut keys = Vec::new();
        for stretch in stretches {
            keys.extend(self.history_keys(stretch).await?);
        }
        Ok(keys)
    }
}

/// The places of somebody's ids once that is erased.
fn erased(person: &Person, stretches: &[Stretch], known: &Known, now: Time) -> BTreeMap<ContactId, Place> {
    let at = now.max(person.contact.newest().unwrap_or(now));
    let mut after = BTreeMap::new();
    for Stretch { id, until, .. } in stretches {
        let mut place = known.places.get(id).cloned().unwrap_or_default();
        let stood = match (&place.now, until) {
            (Standing::Contact(_) | Standing::Link(_), None) => Some(person.contact.suppression()),
            (Standing::Vacant(remains), Some(_)) => Some(remains.suppression()),
            // Nothing is there, or somebody else.
            _ => None,
        };
        if until.is_some() && place.former.as_ref().map(|former| former.until) == *until {
            place.former = None;
        }
        if let Some(suppression) = stood {
            place.now = if suppression.is_empty() { Standing::default() } else { Standing::Erased { suppression, at } };
        }
        after.insert(id.clone(), place);
    }
    after
}
