//! Delivery reports: what WhatsApp tells of confirmations some time after they were sent.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use futures::{StreamExt, stream};

use super::history;
use super::key::{Item, ItemKey};
use super::request::{WriteOutcome, until_written};
use super::{StoreError, TenantStore};
use crate::callback::Callback;
use crate::event::{ConfirmationState, DeliveryReport};
use crate::id::EventId;
use crate::time::Time;

/// Confirmations whose reports are written at a time.
const AT_ONCE: usize = 16;

/// The outcome of all reports of one confirmation.
#[derive(Debug)]
pub struct Reported {
    /// The event that is confirmed.
    pub event: EventId,
    /// The fate that the reports make of the confirmation; none if they are no news, or if the entry is gone.
    pub outcome: Result<Option<ConfirmationState>, StoreError>,
}

impl TenantStore {
    /// Records reports of confirmations: reads them in one call per hundred, and writes them side by side. Those of
    /// one confirmation count in their order and are one write. One that fails holds up no other.
    ///
    /// # Errors
    /// The entries could not be read.
    pub async fn report_confirmations(
        &self,
        reports: Vec<(Callback, DeliveryReport)>,
        now: Time,
    ) -> Result<Vec<Reported>, StoreError> {
        let mut each: BTreeMap<ItemKey, (EventId, Vec<DeliveryReport>)> = BTreeMap::new();
        for (Callback { contact, entry }, report) in reports {
            let key = ItemKey::history(&self.id, &contact, &entry);
            each.entry(key).or_insert((entry.id, Vec::new())).1.push(report);
        }
        let mut items = self.store.batch_get(each.keys().cloned()).await?;
        let each = each.into_iter().map(|(key, (event, reports))| {
            let item = items.remove(&key);
            async move { Reported { event, outcome: self.report(key, item, &reports, now).await } }
        });
        Ok(stream::iter(each).buffer_unordered(AT_ONCE).collect().await)
    }

    /// Writes the fate that reports make of one confirmation, whose entry was read as `item`.
    async fn report(
        &self,
        key: ItemKey,
        item: Option<Item>,
        reports: &[DeliveryReport],
        now: Time,
    ) -> Result<Option<ConfirmationState>, StoreError> {
        let key = &key;
        let attempt = |number, item| async move {
            let item = if number == 1 { item } else { self.store.batch_get([key.clone()]).await?.remove(key) };
            self.try_report(key, item, reports, now).await
        };
        until_written(item, attempt).await
    }

    /// One attempt at writing that fate. It continues without the entry, which has changed since it was read.
    async fn try_report(
        &self,
        key: &ItemKey,
        item: Option<Item>,
        reports: &[DeliveryReport],
        now: Time,
    ) -> Result<ControlFlow<Option<ConfirmationState>, Option<Item>>, StoreError> {
        let entry = item.map(history::entry).transpose()?;
        let Some(before) = entry.and_then(|entry| entry.confirmation) else { return Ok(ControlFlow::Break(None)) };
        let after = reports.iter().fold(before.clone(), |after, report| after.reported(report, now).unwrap_or(after));
        if after == before {
            return Ok(ControlFlow::Break(None));
        }
        let fate = self.store.record_fate(key.clone(), before.state, &after)?;
        Ok(match self.store.transact(vec![fate]).await? {
            WriteOutcome::Written => ControlFlow::Break(Some(after.state)),
            WriteOutcome::Raced => ControlFlow::Continue(None),
        })
    }
}
