//! The numbers of eligible and skipped recipients, and their summary for people.

use std::cmp::Reverse;

use consent::eligibility::Reason;
use serde::{Deserialize, Serialize};

/// The number of recipients of each kind. Every recipient is in exactly one of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecipientCounts {
    /// Recipients that may get a message.
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

impl RecipientCounts {
    /// The number of recipients that are skipped for a reason.
    pub(crate) fn skipped(&mut self, reason: Reason) -> &mut u64 {
        match reason {
            Reason::Invalid => &mut self.invalid,
            Reason::Duplicate => &mut self.duplicate,
            Reason::Blocked => &mut self.blocked,
            Reason::ProviderStopped => &mut self.provider_stopped,
            Reason::OptedOut => &mut self.opted_out,
            Reason::NotOptedIn => &mut self.not_opted_in,
        }
    }

    /// The number of all recipients.
    pub(crate) fn total(&self) -> u64 {
        let Self { eligible, opted_out, blocked, provider_stopped, not_opted_in, duplicate, invalid } = self;
        eligible + opted_out + blocked + provider_stopped + not_opted_in + duplicate + invalid
    }

    /// The reasons that occur in words, the most frequent first: `50 contacts skipped (opted-out)`.
    pub(crate) fn summary(mut self) -> String {
        let mut reasons = Reason::ALL.map(|reason| (*self.skipped(reason), reason));
        // The sort is stable, so that ties keep the order of the reasons.
        reasons.sort_by_key(|(count, _)| Reverse(*count));
        let told: Vec<String> = reasons
            .into_iter()
            .filter(|(count, _)| *count > 0)
            .map(|(count, reason)| {
                let contacts = if count == 1 { "contact" } else { "contacts" };
                format!("{count} {contacts} skipped ({})", reason.as_str().replace('_', "-"))
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
        let counts =
            |opted_out, blocked, invalid| RecipientCounts { opted_out, blocked, invalid, ..RecipientCounts::default() };
        assert_eq!(counts(0, 0, 0).summary(), "0 contacts skipped");
        assert_eq!(counts(50, 0, 0).summary(), "50 contacts skipped (opted-out)");
        assert_eq!(counts(1, 0, 0).summary(), "1 contact skipped (opted-out)");
        assert_eq!(
            counts(3, 1, 1).summary(),
            "3 contacts skipped (opted-out), 1 contact skipped (invalid), 1 contact skipped (blocked)"
        );
    }
}
