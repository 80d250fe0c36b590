//! Campaigns whose recipients are all in memory: given in the event, or a few rows of a list.

use std::collections::{HashMap, HashSet};

use consent::contact::{Category, Status, Suppression};
use consent::eligibility::{OptIn, may_receive};
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
        let opt_in = match (explicit, opted_in) {
            (false, _) => OptIn::NotRequired,
            (true, true) => OptIn::Given,
            (true, false) => OptIn::Missing,
        };
        // Not `any`: every id of a recipient is one that nobody further down may have.
        let repeated = recipient.ids.iter().filter(|id| !before.insert((*id).clone())).count() > 0;
        let reasons = [
            recipient.ids.is_empty().then_some(Reason::Invalid),
            repeated.then_some(Reason::Duplicate),
            may_receive(category, suppression, opt_in).err(),
        ];
        report.add(recipient.json, recipient.contact, reasons.into_iter().flatten().min());
    }
    Ok(report.finished())
}

/// All that is on the list under any of a recipient's ids.
fn suppression(recipient: &Recipient, list: &HashMap<ContactId, Suppression>) -> Suppression {
    let listed = recipient.ids.iter().filter_map(|id| list.get(id));
    listed.copied().fold(Suppression::default(), Suppression::union)
}
