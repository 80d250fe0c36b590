//! The rules that a campaign's recipients are filtered by.

use consent::contact::{Category, Suppression};
use consent::eligibility::{OptIn, Reason, depends_on_opt_in, may_receive};

/// The rules of one campaign.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CampaignRules {
    /// The category of the campaign's messages.
    pub(crate) category: Category,
    /// Only contacts that opted in may get a message. Never set for a category that needs no opt-in.
    pub(crate) needs_opt_in: bool,
}

impl CampaignRules {
    /// The rules for messages of a category. `require_opt_in` is the tenant's setting.
    pub(crate) fn new(category: Category, require_opt_in: bool) -> Self {
        Self { category, needs_opt_in: require_opt_in && depends_on_opt_in(category) }
    }

    /// The first reason to skip a contact of which this is known, or `None` for one that may get a message.
    pub(crate) fn reason(self, suppression: Suppression, opted_in: bool) -> Option<Reason> {
        let opt_in = match (self.needs_opt_in, opted_in) {
            (false, _) => OptIn::NotRequired,
            (true, true) => OptIn::Given,
            (true, false) => OptIn::Missing,
        };
        may_receive(self.category, suppression, opt_in).err()
    }
}
