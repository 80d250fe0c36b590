//! The suppression list, as campaigns read it.

use std::collections::HashMap;

use super::key::{Item, Key};
use super::{StoreError, Tenant};
use crate::contact::{Status, Suppression};
use crate::id::ContactId;
use crate::identity::Sighting;
use crate::time::Time;

impl Tenant {
    /// Who of these is suppressed, and why. Complete or an error, never a part.
    ///
    /// # Errors
    /// Some of it could not be read.
    pub async fn suppressions(&self, ids: &[ContactId]) -> Result<HashMap<ContactId, Suppression>, StoreError> {
        let keys = ids.iter().map(|id| Key::suppression(&self.id, id));
        let items = self.store.batch_get(keys).await?;
        let listed =
            ids.iter().filter_map(|id| Some((id.clone(), reasons(items.get(&Key::suppression(&self.id, id))?))));
        Ok(listed.collect())
    }

    /// What each of these said about marketing.
    ///
    /// # Errors
    /// Some of it could not be read.
    pub async fn statuses(&self, ids: &[ContactId]) -> Result<HashMap<ContactId, Status>, StoreError> {
        // Of an id that was left, nobody's consent is known but its present holder's.
        let now = Time::from_millis(i64::MAX);
        let sightings: Vec<Sighting> = ids.iter().map(|id| Sighting::then(id.clone(), now)).collect();
        let briefing = self.people(&sightings.iter().collect::<Vec<_>>()).await?;
        let status = |sighting| Ok(briefing.person(sighting)?.contact.status());
        ids.iter().zip(&sightings).map(|(id, sighting)| Ok((id.clone(), status(sighting)?))).collect()
    }
}

/// Why an item is on the list. Being on it is reason enough: letters that this version does not know count as an opt-out.
fn reasons(item: &Item) -> Suppression {
    let letters = item.get("r").and_then(|letters| letters.as_s().ok()).map_or("", String::as_str);
    let known = Suppression::from_letters(letters);
    if known.is_empty() { Suppression { opted_out: true, ..known } } else { known }
}
