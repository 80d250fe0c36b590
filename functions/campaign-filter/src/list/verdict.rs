//! The verdict on a row: all reasons against it as a bit set.
//!
//! With a bit set, an `or` joins the reasons of a row's ids, and the highest bit is the reason that is told (a priority
//! encoder: the index of the highest set bit, Warren, *Hacker's Delight*, section 5-3). The bits follow the order of
//! [`Reason`], and their meaning is that of [`consent::eligibility`]. An example: a contact that opted out and is blocked has
//! `0b00_1010`, and the highest bit is that of [`Reason::Blocked`].

use consent::contact::{Category, Suppression};
use consent::eligibility::{OptIn, Reason, may_receive};

/// The reasons against a row.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct RowVerdict(u8);

impl RowVerdict {
    /// No reason.
    pub(super) const ELIGIBLE: Self = Self(0);
    pub(super) const NOT_OPTED_IN: Self = Self::of(Reason::NotOptedIn);
    pub(super) const DUPLICATE: Self = Self::of(Reason::Duplicate);
    pub(super) const INVALID: Self = Self::of(Reason::Invalid);
    /// The row is an empty line: neither eligible nor skipped.
    pub(super) const BLANK: Self = Self(1 << Reason::ALL.len());

    /// The verdict of one reason.
    const fn of(reason: Reason) -> Self {
        Self(1 << (Reason::ALL.len() - 1 - reason as usize))
    }

    /// The verdict of a suppression, for messages of any category.
    pub(super) fn of_suppression(suppression: Suppression) -> Self {
        let Suppression { opted_out, provider_stopped, blocked } = suppression;
        let verdict = |applies, reason| Self(u8::from(applies) * Self::of(reason).0);
        verdict(opted_out, Reason::OptedOut)
            .with(verdict(provider_stopped, Reason::ProviderStopped))
            .with(verdict(blocked, Reason::Blocked))
    }

    /// The suppression with this verdict.
    pub(super) fn suppression(self) -> Suppression {
        let applies = |reason| self.only(Self::of(reason)) != Self::ELIGIBLE;
        Suppression {
            opted_out: applies(Reason::OptedOut),
            blocked: applies(Reason::Blocked),
            provider_stopped: applies(Reason::ProviderStopped),
        }
    }

    /// The reasons of a suppression that apply to messages of a category.
    pub(super) fn applying_to(category: Category) -> Self {
        let reasons = [Reason::Blocked, Reason::ProviderStopped, Reason::OptedOut].map(Self::of);
        let applies = |reason: &Self| may_receive(category, reason.suppression(), OptIn::NotRequired).is_err();
        reasons.into_iter().filter(applies).fold(Self::ELIGIBLE, Self::with)
    }

    /// The first reason in the order of [`Reason`]. `None` for an eligible row and for an empty line.
    pub(super) fn reason(self) -> Option<Reason> {
        let highest = self.0.checked_ilog2()? as usize;
        let last = Reason::ALL.len() - 1;
        last.checked_sub(highest).map(|place| Reason::ALL[place])
    }

    /// The reasons of both verdicts.
    #[inline]
    pub(super) const fn with(self, reasons: Self) -> Self {
        Self(self.0 | reasons.0)
    }

    /// The reasons that are in both verdicts.
    #[inline]
    pub(super) const fn only(self, reasons: Self) -> Self {
        Self(self.0 & reasons.0)
    }

    /// Adds the reasons of another verdict.
    #[inline]
    pub(super) const fn add(&mut self, reasons: Self) {
        self.0 |= reasons.0;
    }

    /// The verdict without some reasons.
    pub(super) fn without(self, reasons: Self) -> Self {
        Self(self.0 & !reasons.0)
    }

    /// The verdict with these bits.
    pub(super) const fn from_bits(bits: u8) -> Self {
        Self(bits)
    }

    /// The bits, the highest reason last.
    pub(super) const fn bits(self) -> u8 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_several_reasons_the_first_in_their_order_is_told() {
        let told: Vec<_> = (0..1 << 6).filter_map(|bits| RowVerdict(bits).reason()).collect();
        assert!(told.is_sorted_by(|a, b| a >= b));
        assert_eq!((told.first(), told.last()), (Some(&Reason::NotOptedIn), Some(&Reason::Invalid)));
        assert_eq!(RowVerdict::BLANK.reason(), None);
        let all = Suppression { opted_out: true, blocked: true, provider_stopped: true };
        let reason = |suppression| RowVerdict::of_suppression(suppression).reason();
        assert_eq!(reason(all), Some(Reason::Blocked));
        let not_blocked = Suppression { blocked: false, ..all };
        assert_eq!(reason(not_blocked), Some(Reason::ProviderStopped));
        let utility = RowVerdict::applying_to(Category::Utility);
        assert_eq!(RowVerdict::of_suppression(not_blocked).only(utility).reason(), None);
    }
}
