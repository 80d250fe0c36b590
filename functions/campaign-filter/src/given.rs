//! Campaigns whose recipients are all in memory: given in the event, or a few rows of a list.

use std::collections::{HashMap, HashSet};

use consent::contact::{Category, Status, Suppression};
use consent::id::ContactId;
use consent::store::TenantStore;

use crate::campaign::Recipient;
use crate::{FilterError, Reason, Report};

/// Filters recipients, and adds them to a report. `explicit` says whether only those get it who opted in.
pub(crate) async fn filter(
    tenant: &TenantStore,
    category: Category,
    explicit: bool,
    mut report: Report,
    recipients: Vec<Recipient>,
) -> Result<Report, FilterError> {
    let ids: Vec<ContactId> = recipients.iter().flat_map(|recipient| recipient.ids.clone()).collect();
    let list = tenant.suppressions(&ids).await?;
    let statuses = if explicit { tenant.statuses(&ids).await? } else { HashMap::new() };
    let mut before: HashSet<ContactId> = HashSet::new();
    for recipient in recipients {
        let suppression = suppression(&recipient, &list);
        let opted_in = recipient.ids.iter().any(|id| statuses.get(id) == Some(&Status::OptedIn));
        // Not `any`: every id of a recipient is one that nobody further down may have.
        let repeated = recipient.ids.iter().filter(|id| !before.insert((*id).clone())).count() > 0;
        let skipped = if recipient.ids.is_empty() {
            Some(Reason::Invalid)
        } else if repeated {
            Some(Reason::Duplicate)
        } else {
            reason(category, suppression).or((explicit && !opted_in).then_some(Reason::NotOptedIn))
        };
        report.add(recipient.json, recipient.contact, skipped);
    }
    Ok(report.finished())
}

/// All that is on the list under any of a recipient's ids.
fn suppression(recipient: &Recipient, list: &HashMap<ContactId, Suppression>) -> Suppression {
    let listed = recipient.ids.iter().filter_map(|id| list.get(id));
    listed.fold(Suppression::default(), |all, one| Suppression {
        opted_out: all.opted_out || one.opted_out,
        blocked: all.blocked || one.blocked,
        provider_stopped: all.provider_stopped || one.provider_stopped,
    })
}

/// The first reason for which a message of this category may not go.
fn reason(category: Category, suppression: Suppression) -> Option<Reason> {
    let marketing = category == Category::Marketing;
    if suppression.blocked {
        Some(Reason::Blocked)
    } else if marketing && suppression.provider_stopped {
        Some(Reason::ProviderStopped)
    } else if marketing && suppression.opted_out {
        Some(Reason::OptedOut)
    } else {
        None
    }
}
