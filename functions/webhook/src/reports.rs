//! Delivery reports of the confirmations that were sent.

use std::collections::BTreeMap;

use consent::callback::Callback;
use consent::count;
use consent::event::{ConfirmationState, DeliveryReport};
use consent::id::{ChannelId, TenantId};
use consent::log::Metric;
use consent::store::{Reported, Store, StoreError, TenantStore};
use consent::time::Time;
use futures::future::join_all;

use crate::meta::sent_at;
use crate::signed_body::{Channels, Owner};

/// Records the reports on the channels that the body speaks for, those of all tenants side by side. One that fails holds up
/// no other.
///
/// # Errors
/// A report is not in the table. Recording all of them again does what is missing and nothing else.
pub async fn take_note(
    store: &Store,
    reports: Vec<(ChannelId, Callback, DeliveryReport)>,
    channels: &Channels<'_>,
    now: Time,
) -> Result<(), StoreError> {
    let mut tenants: BTreeMap<&TenantId, Vec<(Callback, DeliveryReport)>> = BTreeMap::new();
    for (channel, callback, report) in reports {
        if let Owner::Tenant(tenant, _) = channels.owner(&channel, sent_at(&callback, now)) {
            tenants.entry(tenant).or_default().push((callback, report));
        }
    }
    let each = tenants.into_iter().map(|(id, reports)| take_note_for(store.tenant(id), reports, now));
    join_all(each).await.into_iter().collect()
}

async fn take_note_for(
    tenant: TenantStore,
    reports: Vec<(Callback, DeliveryReport)>,
    now: Time,
) -> Result<(), StoreError> {
    let mut outcome = Ok(());
    for Reported { event, outcome: reported } in tenant.report_confirmations(reports, now).await? {
        match reported {
            Ok(None) => {}
            Ok(Some(state)) => {
                let metric = match state {
                    ConfirmationState::Failed => Metric::ConfirmationFailed,
                    _ => Metric::ConfirmationReported,
                };
                let (tenant, event) = (tenant.id(), event.log_name());
                count!(info, metric, %tenant, event, "confirmation status reported");
            }
            Err(error) => outcome = Err(error),
        }
    }
    outcome
}
