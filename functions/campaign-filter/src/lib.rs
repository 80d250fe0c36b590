//! The campaign filter: takes a campaign's recipients and gives those who may get it, and says why the others may not.
//!
//! It fails closed. Where any part of the suppression list can't be read, the answer is an error, never a part of an
//! answer. Its reads are strongly consistent: an opt-out that was acknowledged before the call is in the answer.

mod campaign;
mod campaign_report;
mod given;
mod keys;
pub mod list;
mod object_list;
pub mod objects;
mod report;

use consent::count;
use consent::eligibility::depends_on_opt_in;
use consent::log::Metric;
use consent::store::{Store, StoreError};
use lambda_runtime::Diagnostic;
use serde::Serialize;
use serde_json::value::RawValue;
use tokio::time::{Instant, timeout_at};

use campaign::{Campaign, Recipients};
pub use campaign_report::CampaignReport;
use campaign_report::Sent;
pub use consent::eligibility::Reason;
use object_list::ObjectList;
pub use object_list::{BatchList, ListReport};
use objects::Objects;
pub use report::{Counts, Report, Skipped};

/// What filters campaigns.
#[derive(Clone, Debug)]
pub struct CampaignFilter {
    store: Store,
    objects: Objects,
}

/// What became of a campaign.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum Answer {
    /// Of one whose recipients were given, or of some rows of a list: they are in it.
    Given(Report),
    /// Of one whose recipients are a list: so are those who may get it.
    List(ListReport),
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
    StoreUnavailable(StoreError),
    /// An item of the table can't be read: what stands there is no such item, or a later version's. Trying again does not
    /// help, and the campaign is not at fault.
    #[error(transparent)]
    StoreUnreadable(StoreError),
    /// A list could not be read or written. Trying again does help.
    #[error("{0}")]
    ObjectUnavailable(String),
    /// The list is too long for the time that the function has. Trying again does not help; parts of it do.
    #[error("the time is too short for this list: split it")]
    OutOfTime,
}

impl From<StoreError> for FilterError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Unreadable { .. } => Self::StoreUnreadable(error),
            StoreError::Unavailable(_) | StoreError::Contended => Self::StoreUnavailable(error),
        }
    }
}

/// Gives the errors the names that a state machine's `Retry` and `Catch` know them by.
impl From<FilterError> for Diagnostic {
    fn from(error: FilterError) -> Self {
        let error_type = match error {
            FilterError::InvalidCampaign(_) => "InvalidCampaign",
            FilterError::StoreUnavailable(_) => "StoreUnavailable",
            FilterError::StoreUnreadable(_) => "StoreUnreadable",
            FilterError::ObjectUnavailable(_) => "ObjectUnavailable",
            FilterError::OutOfTime => "OutOfTime",
        };
        Self { error_type: error_type.to_owned(), error_message: error.to_string() }
    }
}

impl CampaignFilter {
    /// A filter on this store, of lists among these objects.
    #[must_use]
    pub fn new(store: Store, objects: Objects) -> Self {
        Self { store, objects }
    }

    /// Filters a campaign, given as JSON, or some rows of one, or adds up what became of one that was sent. It stops in time
    /// for a `deadline`.
    ///
    /// # Errors
    /// The input is not a campaign, or the suppression list, or the list of recipients, could not be read in full.
    pub async fn handle(&self, event: Box<RawValue>, deadline: Option<Instant>) -> Result<Answer, FilterError> {
        let outcome = Box::pin(self.answer(event.get(), deadline)).await;
        match &outcome {
            Ok(answer) => answer.log(),
            Err(FilterError::InvalidCampaign(_)) => {
                count!(warn, Metric::CampaignInvalid, "not a campaign");
            }
            Err(FilterError::StoreUnavailable(error)) => {
                count!(error, Metric::StoreUnavailable, %error, "a campaign could not be filtered");
            }
            Err(
                error @ (FilterError::StoreUnreadable(_) | FilterError::ObjectUnavailable(_) | FilterError::OutOfTime),
            ) => {
                count!(error, Metric::CampaignFailed, %error, "a campaign could not be filtered");
            }
        }
        outcome
    }

    async fn answer(&self, json: &str, deadline: Option<Instant>) -> Result<Answer, FilterError> {
        match Sent::parse(json)? {
            Some(sent) => sent.report().map(Answer::Sent),
            None => self.filter(Campaign::parse(json)?, deadline).await,
        }
    }

    async fn filter(&self, campaign: Campaign, deadline: Option<Instant>) -> Result<Answer, FilterError> {
        let Campaign { tenant, id, category, recipients } = campaign;
        let tenant = self.store.tenant(&tenant);
        let settings = tenant
            .settings()
            .await?
            .ok_or_else(|| FilterError::InvalidCampaign("tenant_id: this tenant has no settings yet".to_owned()))?;
        let explicit = settings.settings.require_opt_in() && depends_on_opt_in(category);
        let list =
            |source| ObjectList { objects: &self.objects, tenant: &tenant, source, explicit, category, deadline };
        let recipients = match recipients {
            Recipients::Listed(source, destination) => {
                return Box::pin(list(&source).filter(id, &destination)).await.map(Answer::List);
            }
            Recipients::Rows(source, begin, end) => list(&source).rows(begin, end).await?,
            Recipients::Given(recipients) => recipients,
        };
        let filtering = given::filter(&tenant, category, explicit, Report::new(id), recipients);
        let report = match deadline {
            Some(deadline) => timeout_at(deadline, filtering).await.unwrap_or(Err(FilterError::OutOfTime)),
            None => filtering.await,
        };
        report.map(Answer::Given)
    }
}

impl Answer {
    fn log(&self) {
        let (total, counts) = match self {
            Self::Given(report) => (report.total, report.counts),
            Self::List(report) => (report.total, report.counts),
            Self::Sent(CampaignReport { total, sent, failed, late_skips, .. }) => {
                count!(info, Metric::CampaignSent, total, sent, failed, late_skips, "a campaign was sent");
                return;
            }
        };
        count!(info, Metric::CampaignFiltered, total, eligible = counts.eligible, "a campaign was filtered");
    }
}
