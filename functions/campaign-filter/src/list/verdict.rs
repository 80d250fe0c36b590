//! The reasons that stand against a row of a list, as a set of bits.
//!
//! Bit flags in the order of priority: the reason that is given first, [`Reason::Invalid`], has the highest bit. So the one
//! to give is the highest bit that is set, which `ilog2` finds in one instruction. For example, `0b01010` is blocked
//! (`0b01000`) and opted out (`0b00010`), and blocked is given. Bits, order and meaning come from [`consent::eligibility`].

use consent::contact::{Category, Suppression};
use consent::eligibility::{OptIn, Reason, may_receive};

/// Nobody of the row opted in.
pub(super) const NOT_OPTED_IN: u8 = bit(Reason::NotOptedIn);
const OPTED_OUT: u8 = bit(Reason::OptedOut);
const PROVIDER_STOPPED: u8 = bit(Reason::ProviderStopped);
const BLOCKED: u8 = bit(Reason::Blocked);
/// Somebody of the row stands further up.
pub(super) const DUPLICATE: u8 = bit(Reason::Duplicate);
/// The row has no valid id.
pub(super) const INVALID: u8 = bit(Reason::Invalid);
/// The row is an empty line, and no recipient. Its bit is above those of all reasons.
pub(super) const BLANK: u8 = 1 << Reason::ALL.len();

/// The bit of a reason: the later it stands in the order of the reasons, the lower.
const fn bit(reason: Reason) -> u8 {
    1 << (LAST - reason as usize)
}

/// The place of the last reason in their order.
const LAST: usize = Reason::ALL.len() - 1;

/// The bits of an entry of the suppression list.
pub(super) fn of(suppression: Suppression) -> u8 {
    let Suppression { opted_out, provider_stopped, blocked } = suppression;
    let bit = |applies, bit| u8::from(applies) * bit;
    bit(opted_out, OPTED_OUT) | bit(provider_stopped, PROVIDER_STOPPED) | bit(blocked, BLOCKED)
}

/// The entry of the suppression list with these bits: the inverse of [`of`].
pub(super) fn suppression(verdict: u8) -> Suppression {
    Suppression {
        opted_out: verdict & OPTED_OUT != 0,
        blocked: verdict & BLOCKED != 0,
        provider_stopped: verdict & PROVIDER_STOPPED != 0,
    }
}

/// The bits of the suppression list that stand against messages of a category.
pub(super) fn against(category: Category) -> u8 {
    let stands = |bit: &u8| may_receive(category, suppression(*bit), OptIn::NotRequired).is_err();
    [OPTED_OUT, PROVIDER_STOPPED, BLOCKED].into_iter().filter(stands).sum()
}

/// The reason to give, if there is any.
pub(super) fn reason(verdict: u8) -> Option<Reason> {
    let highest = verdict.checked_ilog2()? as usize;
    Reason::ALL.get(LAST.checked_sub(highest)?).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_several_reasons_the_first_in_their_order_is_told() {
        let told: Vec<_> = (0..1 << 6).filter_map(reason).collect();
        assert!(told.is_sorted_by(|a, b| a >= b));
        assert_eq!((told.first(), told.last()), (Some(&Reason::NotOptedIn), Some(&Reason::Invalid)));
        let all = Suppression { opted_out: true, blocked: true, provider_stopped: true };
        assert_eq!(reason(of(all)), Some(Reason::Blocked));
        assert_eq!(reason(of(Suppression { blocked: false, ..all })), Some(Reason::ProviderStopped));
        assert_eq!(reason(of(Suppression { blocked: false, ..all }) & against(Category::Utility)), None);
    }
}
