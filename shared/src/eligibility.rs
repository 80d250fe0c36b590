//! Eligibility: the one place that decides whether a message may go to a contact, and names the reason where it may not.
//!
//! [`may_receive`] is the rule. The contact view of the HTTP API, the campaign filter for recipients in an event, the
//! campaign filter for lists in S3, and the summaries of both derive from it and from the order of [`Reason::ALL`].
//!
//! | | marketing | utility, authentication, service |
//! |---|---|---|
//! | blocked | no | no |
//! | stopped at the provider | no | yes |
//! | opted out | no | yes |
//! | not opted in, where the tenant requires an opt-in | no | yes |
//! | anything else | yes | yes |
//!
//! A new reason is a variant of [`Reason`], a place in [`Reason::ALL`] and an arm of [`may_receive`]; the compiler and the
//! tests name most of what has to follow. They can't tell that [`Reason::ALL`] lacks a variant.

use serde::{Deserialize, Serialize};

use crate::contact::{Category, Status, Suppression};

/// The reason for which a recipient gets no message. Of several reasons that apply, the first in the order of the variants
/// is given.
///
/// ```
/// use consent::eligibility::Reason;
///
/// assert!(Reason::Blocked < Reason::OptedOut, "a contact that is both is skipped as blocked");
/// assert_eq!(Reason::ProviderStopped.as_str(), "provider_stopped");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// The recipient has no valid id.
    Invalid,
    /// The same person stands further up among the recipients.
    Duplicate,
    /// Staff blocked the contact.
    Blocked,
    /// The contact used WhatsApp's own control to stop marketing.
    ProviderStopped,
    /// The contact opted out.
    OptedOut,
    /// The contact never opted in, and the tenant requires an explicit opt-in.
    NotOptedIn,
}

impl Reason {
    /// All reasons, in the order in which they are given.
    pub const ALL: [Self; 6] =
        [Self::Invalid, Self::Duplicate, Self::Blocked, Self::ProviderStopped, Self::OptedOut, Self::NotOptedIn];

    /// The name in answers and lists: the variant in snake case.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Invalid => "invalid",
            Self::Duplicate => "duplicate",
            Self::Blocked => "blocked",
            Self::ProviderStopped => "provider_stopped",
            Self::OptedOut => "opted_out",
            Self::NotOptedIn => "not_opted_in",
        }
    }
}

/// The standing of a contact towards the tenant's setting `require_opt_in`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OptIn {
    /// The tenant does not require an explicit opt-in.
    NotRequired,
    /// The tenant requires one, and the contact gave it.
    Given,
    /// The tenant requires one, and the contact has not given it.
    Missing,
}

impl OptIn {
    /// The standing of a contact with this status, where the tenant requires an explicit opt-in.
    #[must_use]
    pub fn required_of(status: Status) -> Self {
        if status == Status::OptedIn { Self::Given } else { Self::Missing }
    }
}

/// Decides whether a message of a category may go to a contact.
///
/// ```
/// use consent::contact::{Category, Suppression};
/// use consent::eligibility::{OptIn, Reason, may_receive};
///
/// let opted_out = Suppression { opted_out: true, ..Suppression::default() };
/// assert_eq!(may_receive(Category::Marketing, opted_out, OptIn::NotRequired), Err(Reason::OptedOut));
/// assert_eq!(may_receive(Category::Utility, opted_out, OptIn::NotRequired), Ok(()));
/// ```
///
/// # Errors
/// The message may not go, for this reason: the first that applies. [`Reason::Invalid`] and [`Reason::Duplicate`] are never
/// among them: they are about a list of recipients, not about a contact.
pub fn may_receive(category: Category, suppression: Suppression, opt_in: OptIn) -> Result<(), Reason> {
    let is_marketing = match category {
        Category::Marketing => true,
        Category::Utility | Category::Authentication | Category::Service => false,
    };
    let applies = |reason: &Reason| match reason {
        Reason::Invalid | Reason::Duplicate => false,
        Reason::Blocked => suppression.blocked,
        Reason::ProviderStopped => is_marketing && suppression.provider_stopped,
        Reason::OptedOut => is_marketing && suppression.opted_out,
        Reason::NotOptedIn => is_marketing && opt_in == OptIn::Missing,
    };
    Reason::ALL.into_iter().find(applies).map_or(Ok(()), Err)
}

/// True if an explicit opt-in can make a difference to messages of a category. Elsewhere it need not be read.
#[must_use]
pub fn depends_on_opt_in(category: Category) -> bool {
    may_receive(category, Suppression::default(), OptIn::Missing).is_err()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contact::Contact;
    use crate::time::Time;

    const OTHERS: [Category; 3] = [Category::Utility, Category::Authentication, Category::Service];

    fn at(millis: i64) -> Time {
        Time::from_millis(millis)
    }

    fn of(contact: &Contact, category: Category, opt_in: OptIn) -> Result<(), Reason> {
        may_receive(category, contact.suppression(), opt_in)
    }

    type Ruling = Result<(), Reason>;

    /// The rule once more, as a table of the letters of the suppression list: what marketing says where no opt-in is
    /// missing, and what all other categories say.
    const TABLE: [(&str, Ruling, Ruling); 8] = [
        ("", Ok(()), Ok(())),
        ("O", Err(Reason::OptedOut), Ok(())),
        ("P", Err(Reason::ProviderStopped), Ok(())),
        ("OP", Err(Reason::ProviderStopped), Ok(())),
        ("B", Err(Reason::Blocked), Err(Reason::Blocked)),
        ("OB", Err(Reason::Blocked), Err(Reason::Blocked)),
        ("BP", Err(Reason::Blocked), Err(Reason::Blocked)),
        ("OBP", Err(Reason::Blocked), Err(Reason::Blocked)),
    ];

    #[test]
    fn every_combination_is_as_the_table_says() {
        for (letters, marketing, others) in TABLE {
            let listed = Suppression::from_letters(letters);
            let suppression = if letters.is_empty() { Suppression::default() } else { listed };
            for opt_in in [OptIn::NotRequired, OptIn::Given, OptIn::Missing] {
                let missing = if opt_in == OptIn::Missing { Err(Reason::NotOptedIn) } else { Ok(()) };
                assert_eq!(
                    may_receive(Category::Marketing, suppression, opt_in),
                    marketing.and(missing),
                    "{letters} {opt_in:?}"
                );
                for category in OTHERS {
                    assert_eq!(may_receive(category, suppression, opt_in), others, "{letters} {category:?}");
                }
            }
        }
    }

    #[test]
    fn reasons_are_in_the_order_of_the_variants_and_named_after_them() {
        assert!(Reason::ALL.is_sorted());
        for reason in Reason::ALL {
            assert_eq!(serde_json::to_value(reason).unwrap(), reason.as_str());
        }
    }

    #[test]
    fn only_marketing_depends_on_an_opt_in() {
        assert!(depends_on_opt_in(Category::Marketing));
        assert!(!OTHERS.into_iter().any(depends_on_opt_in));
    }

    #[test]
    fn opted_out_is_not_blocked() {
        let mut contact = Contact::default();
        contact.opt_out.set_at(at(1));
        assert!(of(&contact, Category::Marketing, OptIn::NotRequired).is_err());
        assert!(of(&contact, Category::Utility, OptIn::NotRequired).is_ok());
        contact.block.set_at(at(2));
        for category in [Category::Marketing].into_iter().chain(OTHERS) {
            assert!(of(&contact, category, OptIn::NotRequired).is_err());
        }
    }

    #[test]
    fn silence_is_consent_only_where_the_tenant_says_so() {
        let silent = Contact::default();
        assert!(of(&silent, Category::Marketing, OptIn::NotRequired).is_ok());
        assert!(of(&silent, Category::Marketing, OptIn::required_of(silent.status())).is_err());
    }
}
