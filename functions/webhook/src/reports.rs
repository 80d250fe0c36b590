//! Delivery reports: WhatsApp's statuses of the confirmations that this system sent.

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

/// Stores the reports whose channel the body's signature covers, tenants in parallel. One failure does not stop the others.
///
/// # Errors
/// At least one report is not in the table. Storing all of them again stores the missing ones and changes nothing else.
pub async fn store_reports(
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
    let each = tenants.into_iter().map(|(id, reports)| store_tenant_reports(store.tenant(id), reports, now));
    join_all(each).await.into_iter().collect()
}

async fn store_tenant_reports(
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
