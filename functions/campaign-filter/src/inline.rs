//! Campaigns whose recipients are all in memory: those of an event, or a few rows of a list.

use std::collections::{HashMap, HashSet};

use consent::contact::{Status, Suppression};
use consent::eligibility::Reason;
use consent::id::ContactId;
use consent::store::TenantStore;
use serde::Serialize;
use serde_json::value::RawValue;

use crate::counts::RecipientCounts;
use crate::error::FilterError;
use crate::recipient::CampaignRecipient;
use crate::rules::CampaignRules;
use crate::skipped::SkippedRecipient;

/// The eligible and the skipped recipients of an event, each in the caller's order.
#[derive(Debug, Serialize)]
pub struct InlineReport {
    /// The caller's name for the campaign.
    pub campaign_id: Option<String>,
    /// The number of all recipients.
    pub total: u64,
    /// The recipients that may get a message, as the caller wrote them.
    pub eligible: Vec<Box<RawValue>>,
    /// The recipients that may not.
    pub skipped: Vec<SkippedRecipient>,
    /// The number of recipients of each kind.
    pub counts: RecipientCounts,
    /// The counts of the skipped in words: `50 contacts skipped (opted-out)`.
    pub summary: String,
}

/// Filters the recipients of a campaign that the caller calls `campaign_id`.
///
/// # Errors
/// The table could not be read in full.
pub(crate) async fn filter(
    tenant: &TenantStore,
    rules: CampaignRules,
    campaign_id: Option<String>,
    recipients: Vec<CampaignRecipient>,
) -> Result<InlineReport, FilterError> {
    let ids: Vec<ContactId> = recipients.iter().flat_map(|recipient| recipient.ids.clone()).collect();
    let list = tenant.suppressions(&ids).await?;
    let statuses = if rules.needs_opt_in { tenant.statuses(&ids).await? } else { HashMap::new() };
    let mut report = InlineReport::new(campaign_id);
    let mut seen: HashSet<ContactId> = HashSet::new();
    for recipient in recipients {
        let opted_in = recipient.ids.iter().any(|id| statuses.get(id) == Some(&Status::OptedIn));
        // Not `any`, which stops at the first: every id counts as seen from here on.
        let repeated = recipient.ids.iter().filter(|id| !seen.insert((*id).clone())).count() > 0;
        let reasons = [
            recipient.ids.is_empty().then_some(Reason::Invalid),
            repeated.then_some(Reason::Duplicate),
            rules.reason(suppression(&recipient, &list), opted_in),
        ];
        report.add(recipient, reasons.into_iter().flatten().min());
    }
    report.summary = report.counts.summary();
    Ok(report)
}

/// The suppression of a recipient: every reason that the list has under any of its ids.
fn suppression(recipient: &CampaignRecipient, list: &HashMap<ContactId, Suppression>) -> Suppression {
    let listed = recipient.ids.iter().filter_map(|id| list.get(id));
    listed.copied().fold(Suppression::default(), Suppression::union)
}

impl InlineReport {
    /// A report without recipients.
    fn new(campaign_id: Option<String>) -> Self {
        let (eligible, skipped, counts) = (Vec::new(), Vec::new(), RecipientCounts::default());
        Self { campaign_id, total: 0, eligible, skipped, counts, summary: String::new() }
    }

    /// Adds a recipient: skipped for this reason, or eligible if there is none.
    fn add(&mut self, recipient: CampaignRecipient, reason: Option<Reason>) {
        self.total += 1;
        match reason {
            None => {
                self.counts.eligible += 1;
                self.eligible.push(recipient.json);
            }
            Some(reason) => {
                *self.counts.skipped(reason) += 1;
                self.skipped.push(SkippedRecipient { contact: recipient.contact, reason });
            }
        }
    }
}
