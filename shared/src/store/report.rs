//! What WhatsApp reports of confirmations, some time after they were sent.

use std::collections::BTreeMap;

use futures::{StreamExt, stream};

use super::history;
use super::key::{Item, Key};
use super::request::{ATTEMPTS, WriteOutcome, pause};
use super::{StoreError, TenantStore};
use crate::callback::Callback;
use crate::event::{ConfirmationState, DeliveryReport};
use crate::id::EventId;
use crate::time::Time;

/// Confirmations whose reports are written at a time.
const AT_ONCE: usize = 16;

/// What came of all reports of one confirmation.
#[derive(Debug)]
pub struct Reported {
    /// The event that is confirmed.
    pub event: EventId,
    /// The confirmation's fate by them; none if they are no news, or if the entry is gone.
    pub outcome: Result<Option<ConfirmationState>, StoreError>,
}

impl TenantStore {
    /// Takes note of reports of confirmations: reads them in one call per hundred, and writes them side by side. Those of
    /// one confirmation count in their order and are one write. One that fails holds up no other.
    ///
    /// # Errors
    /// Nothing could be read.
    pub async fn report_confirmations(
        &self,
        reports: Vec<(Callback, DeliveryReport)>,
        now: Time,
    ) -> Result<Vec<Reported>, StoreError> {
        let mut each: BTreeMap<Key, (EventId, Vec<DeliveryReport>)> = BTreeMap::new();
        for (Callback { contact, entry }, report) in reports {
            let key = Key::history(&self.id, &contact, &entry);
            each.entry(key).or_insert((entry.id, Vec::new())).1.push(report);
        }
        let mut items = self.store.batch_get(each.keys().cloned()).await?;
        let each = each.into_iter().map(|(key, (event, reports))| {
            let item = items.remove(&key);
            async move { Reported { event, outcome: self.report(key, item, &reports, now).await } }
        });
        Ok(stream::iter(each).buffer_unordered(AT_ONCE).collect().await)
    }

    /// Writes what the reports make of one confirmation, whose entry was read as `item`.
    async fn report(
        &self,
        key: Key,
        mut item: Option<Item>,
        reports: &[DeliveryReport],
        now: Time,
    ) -> Result<Option<ConfirmationState>, StoreError> {
        for attempt in 1..=ATTEMPTS {
            let entry = item.map(history::entry).transpose()?;
            let Some(before) = entry.and_then(|entry| entry.confirmation) else { return Ok(None) };
            let after =
                reports.iter().fold(before.clone(), |after, report| after.reported(report, now).unwrap_or(after));
            if after == before {
                return Ok(None);
            }
            let record = self.store.record_fate(key.clone(), before.state, &after)?;
            if self.store.transact(vec![record]).await? == WriteOutcome::Yes {
                return Ok(Some(after.state));
            }
            pause(attempt).await;
            item = self.store.batch_get([key.clone()]).await?.remove(&key);
        }
        Err(StoreError::Contended)
    }
}
