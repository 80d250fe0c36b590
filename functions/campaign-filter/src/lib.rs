//! The campaign filter: splits the recipients of a campaign into the eligible and the skipped, with a reason for each
//! skipped one.
//!
//! The filter fails closed. If any part of the suppression list can't be read, the answer is an error, never a part of an
//! answer. Its reads are strongly consistent: an opt-out that was acknowledged before the call is in the answer.
//!
//! An event becomes a request (`request`), which `inline` answers from memory, `s3_list` from a list in S3, and
//! `campaign_report` from earlier answers. [`list`] is the pure part of filtering a list. It knows recipients and reasons,
//! but neither events nor S3.

mod campaign_report;
mod counts;
mod error;
mod inline;
mod keys;
pub mod list;
pub mod objects;
mod recipient;
mod request;
mod rules;
mod s3_list;
mod skipped;

use consent::count;
pub use consent::eligibility::Reason;
use consent::log::Metric;
use consent::store::{Store, TenantStore};
use serde::Serialize;
use serde_json::value::RawValue;
use tokio::time::{Instant, timeout_at};

pub use campaign_report::CampaignReport;
pub use counts::RecipientCounts;
pub use error::FilterError;
pub use inline::InlineReport;
use objects::Objects;
use recipient::CampaignRecipient;
use request::{Campaign, FilterRequest, ListSource};
use rules::CampaignRules;
use s3_list::S3List;
pub use s3_list::{BatchList, ListReport};
pub use skipped::SkippedRecipient;

/// The function: filters campaigns by one table, with lists in one account's S3.
#[derive(Clone, Debug)]
pub struct CampaignFilter {
    store: Store,
    objects: Objects,
}

/// The answer to an event. Its JSON is that of the report in it.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum FilterAnswer {
    /// The eligible and skipped recipients of an event, or of some rows of a list.
    Inline(InlineReport),
    /// The lists that a whole list was split into.
    List(ListReport),
    /// The sums of a campaign that was sent in batches.
    Report(CampaignReport),
}

impl CampaignFilter {
    /// A filter on this store, with lists among these objects.
    #[must_use]
    pub fn new(store: Store, objects: Objects) -> Self {
        Self { store, objects }
    }

    /// Answers an event: filters a campaign or some rows of its list, or adds up a campaign that was sent. It ends before
    /// `deadline`, with [`FilterError::OutOfTime`] if it must.
    ///
    /// # Errors
    /// The event is invalid, or the suppression list or the list of recipients could not be read in full.
    pub async fn handle(&self, event: Box<RawValue>, deadline: Option<Instant>) -> Result<FilterAnswer, FilterError> {
        let answer = Box::pin(self.answer(event.get(), deadline)).await;
        match &answer {
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
        answer
    }

    async fn answer(&self, event: &str, deadline: Option<Instant>) -> Result<FilterAnswer, FilterError> {
        match FilterRequest::parse(event)? {
            FilterRequest::Inline(campaign, recipients) => {
                let context = self.context(&campaign, deadline).await?;
                context.filter(campaign.id, recipients).await
            }
            FilterRequest::List(campaign, source, destination) => {
                let context = self.context(&campaign, deadline).await?;
                let list = context.list(&self.objects, &source);
                Box::pin(list.filter(campaign.id, &destination)).await.map(FilterAnswer::List)
            }
            FilterRequest::Rows(campaign, source, range) => {
                let context = self.context(&campaign, deadline).await?;
                let recipients = context.list(&self.objects, &source).rows(range).await?;
                context.filter(campaign.id, recipients).await
            }
            FilterRequest::Report(sent) => sent.report().map(FilterAnswer::Report),
        }
    }

    /// The tenant's store and the rules of a campaign.
    async fn context(&self, campaign: &Campaign, deadline: Option<Instant>) -> Result<CampaignContext, FilterError> {
        let tenant = self.store.tenant(&campaign.tenant);
        let settings = tenant
            .settings()
            .await?
            .ok_or_else(|| FilterError::invalid("tenant_id: this tenant has no settings yet"))?;
        let rules = CampaignRules::new(campaign.category, settings.settings.require_opt_in());
        Ok(CampaignContext { tenant, rules, deadline })
    }
}

/// The surroundings that every way to filter needs.
struct CampaignContext {
    tenant: TenantStore,
    rules: CampaignRules,
    deadline: Option<Instant>,
}

impl CampaignContext {
    /// Filters recipients in memory.
    async fn filter(
        &self,
        campaign_id: Option<String>,
        recipients: Vec<CampaignRecipient>,
    ) -> Result<FilterAnswer, FilterError> {
        let filtering = inline::filter(&self.tenant, self.rules, campaign_id, recipients);
        let report = match self.deadline {
            Some(deadline) => timeout_at(deadline, filtering).await.unwrap_or(Err(FilterError::OutOfTime)),
            None => filtering.await,
        };
        report.map(FilterAnswer::Inline)
    }

    fn list<'a>(&'a self, objects: &'a Objects, source: &'a ListSource) -> S3List<'a> {
        S3List { objects, tenant: &self.tenant, source, rules: self.rules, deadline: self.deadline }
    }
}

impl FilterAnswer {
    fn log(&self) {
        let (total, counts) = match self {
            Self::Inline(report) => (report.total, report.counts),
            Self::List(report) => (report.total, report.counts),
            Self::Report(CampaignReport { total, sent, failed, late_skips, .. }) => {
                count!(info, Metric::CampaignSent, total, sent, failed, late_skips, "a campaign was sent");
                return;
            }
        };
        count!(info, Metric::CampaignFiltered, total, eligible = counts.eligible, "a campaign was filtered");
    }
}
