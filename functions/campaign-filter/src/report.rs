//! Who may get a campaign, who may not, and why: with totals that add up.

use consent::eligibility::Reason;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// What became of a campaign's recipients.
#[derive(Debug, Serialize)]
pub struct Report {
    /// What the caller calls the campaign.
    pub campaign_id: Option<String>,
    /// All recipients.
    pub total: u64,
    /// Those who may get it, as they were given.
    pub eligible: Vec<Box<RawValue>>,
    /// Those who may not.
    pub skipped: Vec<Skipped>,
    /// How many of each.
    pub counts: Counts,
    /// The same for people to read.
    pub summary: String,
}

/// A recipient who is skipped.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Skipped {
    /// The recipient's id as given.
    pub contact: String,
    /// Why.
    pub reason: Reason,
}

/// How many recipients there are of each kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// May get it.
    pub eligible: u64,
    /// See [`Reason::OptedOut`].
    pub opted_out: u64,
    /// See [`Reason::Blocked`].
    pub blocked: u64,
    /// See [`Reason::ProviderStopped`].
    pub provider_stopped: u64,
    /// See [`Reason::NotOptedIn`].
    pub not_opted_in: u64,
    /// See [`Reason::Duplicate`].
    pub duplicate: u64,
    /// See [`Reason::Invalid`].
    pub invalid: u64,
}

impl Report {
    /// A report without recipients yet.
    pub(crate) fn new(campaign_id: Option<String>) -> Self {
        let (eligible, skipped) = (Vec::new(), Vec::new());
        Self { campaign_id, total: 0, eligible, skipped, counts: Counts::default(), summary: String::new() }
    }

    /// Adds a recipient, skipped for a reason or eligible without.
    pub(crate) fn add(&mut self, json: Box<RawValue>, contact: String, skipped: Option<Reason>) {
        self.total += 1;
        match skipped {
            None => {
                self.counts.eligible += 1;
                self.eligible.push(json);
            }
            Some(reason) => {
                *self.counts.of(reason) += 1;
                self.skipped.push(Skipped { contact, reason });
            }
        }
    }

    /// The report with its summary.
    pub(crate) fn finished(mut self) -> Self {
        self.summary = self.counts.summary();
        self
    }
}

impl Counts {
    /// How many are skipped for this reason.
    pub(crate) fn of(&mut self, reason: Reason) -> &mut u64 {
        match reason {
            Reason::Invalid => &mut self.invalid,
            Reason::Duplicate => &mut self.duplicate,
            Reason::Blocked => &mut self.blocked,
            Reason::ProviderStopped => &mut self.provider_stopped,
            Reason::OptedOut => &mut self.opted_out,
            Reason::NotOptedIn => &mut self.not_opted_in,
        }
    }

    /// How many there are of all kinds.
    pub(crate) fn total(&self) -> u64 {
        let Self { eligible, opted_out, blocked, provider_stopped, not_opted_in, duplicate, invalid } = self;
        eligible + opted_out + blocked + provider_stopped + not_opted_in + duplicate + invalid
    }

    /// Every reason that occurs, the most frequent first, in words.
    pub(crate) fn summary(&self) -> String {
        let mut counts = *self;
        let mut reasons = Reason::ALL.map(|reason| (*counts.of(reason), reason.as_str().replace('_', "-")));
        // Stable, so that ties stay in the order of the reasons.
        reasons.sort_by_key(|(count, _)| std::cmp::Reverse(*count));
        let told: Vec<String> = reasons
            .into_iter()
            .filter(|(count, _)| *count > 0)
            .map(|(count, reason)| {
                let contacts = if count == 1 { "contact" } else { "contacts" };
                format!("{count} {contacts} skipped ({reason})")
            })
            .collect();
        if told.is_empty() { "0 contacts skipped".to_owned() } else { told.join(", ") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_summary_names_what_occurs_most_first_and_ties_in_order() {
        let counts = |opted_out, blocked, invalid| Counts { opted_out, blocked, invalid, ..Counts::default() };
        assert_eq!(counts(0, 0, 0).summary(), "0 contacts skipped");
        assert_eq!(counts(50, 0, 0).summary(), "50 contacts skipped (opted-out)");
        assert_eq!(counts(1, 0, 0).summary(), "1 contact skipped (opted-out)");
        assert_eq!(
            counts(3, 1, 1).summary(),
            "3 contacts skipped (opted-out), 1 contact skipped (invalid), 1 contact skipped (blocked)"
        );
    }
}
