//! The campaign filter: takes a campaign's recipients and gives those who may get it, and says why the others may not.
//!
//! It fails closed. Where any part of the suppression list can't be read, the answer is an error, never a part of an
//! answer. Its reads are strongly consistent: an opt-out that was acknowledged before the call is in the answer.

mod campaign;
mod campaign_report;
pub mod list;
mod report;

use std::collections::{HashMap, HashSet};

use consent::contact::{Category, Status, Suppression};
use consent::id::ContactId;
use consent::log::METRICS;
use consent::store::{Store, StoreError};
use lambda_runtime::Diagnostic;
use serde::Serialize;
use serde_json::value::RawValue;

use campaign::{Campaign, Recipient};
pub use campaign_report::CampaignReport;
use campaign_report::Sent;
pub use report::{Counts, Reason, Report, Skipped};

/// What filters campaigns.
#[derive(Clone, Debug)]
pub struct CampaignFilter {
    store: Store,
}

/// What became of a campaign.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum Answer {
    /// Of one whose recipients were given: they are in it.
    Given(Report),
    /// Of one that was sent.
    Sent(CampaignReport),
}

/// A campaign could not be filtered. Nobody may be written to on the strength of it.
#[derive(Debug, thiserror::Error)]
pub enum FilterError {
    /// The input is not a campaign. Trying again does not help.
    #[error("{0}")]
    InvalidCampaign(String),
    /// The table did not answer. Trying again does.
    #[error(transparent)]
    StoreUnavailable(#[from] StoreError),
}

/// Gives the errors the names that a state machine's `Retry` and `Catch` know them by.
impl From<FilterError> for Diagnostic {
    fn from(error: FilterError) -> Self {
        let error_type = match error {
            FilterError::InvalidCampaign(_) => "InvalidCampaign",
            FilterError::StoreUnavailable(_) => "StoreUnavailable",
        };
        Self { error_type: error_type.to_owned(), error_message: error.to_string() }
    }
}

impl CampaignFilter {
    /// A filter on this store.
    #[must_use]
    pub fn new(store: Store) -> Self {
        Self { store }
    }

    /// Filters a campaign, given as JSON, or adds up what became of one that was sent.
    ///
    /// # Errors
    /// The input is not a campaign, or the suppression list could not be read in full.
    pub async fn handle(&self, event: Box<RawValue>) -> Result<Answer, FilterError> {
        let outcome = self.answer(event.get()).await;
        match &outcome {
            Ok(Answer::Given(report)) => tracing::info!(
                target: METRICS,
                metric = "campaign_filtered",
                total = report.total,
                eligible = report.counts.eligible,
                "a campaign was filtered"
            ),
            Ok(Answer::Sent(report)) => tracing::info!(
                target: METRICS,
                metric = "campaign_sent",
                total = report.total,
                sent = report.sent,
                failed = report.failed,
                late_skips = report.late_skips,
                "a campaign was sent"
            ),
            Err(FilterError::InvalidCampaign(_)) => {
                tracing::warn!(target: METRICS, metric = "campaign_invalid", "not a campaign");
            }
            Err(FilterError::StoreUnavailable(error)) => {
                tracing::error!(target: METRICS, metric = "store_unavailable", %error, "a campaign could not be filtered");
            }
        }
        outcome
    }

    async fn answer(&self, json: &str) -> Result<Answer, FilterError> {
        match Sent::parse(json)? {
            Some(sent) => sent.report().map(Answer::Sent),
            None => self.filter(json).await.map(Answer::Given),
        }
    }

    async fn filter(&self, json: &str) -> Result<Report, FilterError> {
        let campaign = Campaign::parse(json)?;
        let tenant = self.store.tenant(&campaign.tenant);
        let settings = tenant
            .settings()
            .await?
            .ok_or_else(|| FilterError::InvalidCampaign("tenant_id: this tenant has no settings yet".to_owned()))?;
        let ids: Vec<ContactId> = campaign.recipients.iter().flat_map(|recipient| recipient.ids.clone()).collect();
        let list = tenant.suppressions(&ids).await?;
        let explicit = campaign.category == Category::Marketing && settings.settings.require_opt_in();
        let statuses = if explicit { tenant.statuses(&ids).await? } else { HashMap::new() };

        let mut report = Report::new(campaign.id);
        let mut before: HashSet<ContactId> = HashSet::new();
        for recipient in campaign.recipients {
            let suppression = suppression(&recipient, &list);
            let opted_in = recipient.ids.iter().any(|id| statuses.get(id) == Some(&Status::OptedIn));
            // Not `any`: every id of a recipient is one that nobody further down may have.
            let repeated = recipient.ids.iter().filter(|id| !before.insert((*id).clone())).count() > 0;
            let skipped = if recipient.ids.is_empty() {
                Some(Reason::Invalid)
            } else if repeated {
                Some(Reason::Duplicate)
            } else {
                reason(campaign.category, suppression).or((explicit && !opted_in).then_some(Reason::NotOptedIn))
            };
            report.add(recipient.json, recipient.contact, skipped);
        }
        Ok(report.finished())
    }
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
