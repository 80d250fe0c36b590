//! What stands against a row, as bits: of several, the highest is the reason that is told.

use consent::contact::{Category, Suppression};

use crate::Reason;

/// Nobody of the row opted in.
pub(super) const NOT_OPTED_IN: u8 = 1 << 0;
const OPTED_OUT: u8 = 1 << 1;
const PROVIDER_STOPPED: u8 = 1 << 2;
const BLOCKED: u8 = 1 << 3;
/// Somebody of the row stands further up.
pub(super) const DUPLICATE: u8 = 1 << 4;
/// The row has no valid id.
pub(super) const INVALID: u8 = 1 << 5;
/// The row is none, only an empty line.
pub(super) const BLANK: u8 = 1 << 6;

/// What the suppression list says.
pub(super) fn of(suppression: Suppression) -> u8 {
    let Suppression { opted_out, provider_stopped, blocked } = suppression;
    let bit = |applies, bit| u8::from(applies) * bit;
    bit(opted_out, OPTED_OUT) | bit(provider_stopped, PROVIDER_STOPPED) | bit(blocked, BLOCKED)
}

/// What the suppression list said.
pub(super) fn suppression(verdict: u8) -> Suppression {
    Suppression {
        opted_out: verdict & OPTED_OUT != 0,
        blocked: verdict & BLOCKED != 0,
        provider_stopped: verdict & PROVIDER_STOPPED != 0,
    }
}

/// What of the suppression list stands against messages of a category.
pub(super) fn against(category: Category) -> u8 {
    match category {
        Category::Marketing => OPTED_OUT | PROVIDER_STOPPED | BLOCKED,
        Category::Utility | Category::Authentication | Category::Service => BLOCKED,
    }
}

/// The reason that is told, if there is any.
pub(super) fn reason(verdict: u8) -> Option<Reason> {
    Some(match 1 << verdict.checked_ilog2()? {
        INVALID => Reason::Invalid,
        DUPLICATE => Reason::Duplicate,
        BLOCKED => Reason::Blocked,
        PROVIDER_STOPPED => Reason::ProviderStopped,
        OPTED_OUT => Reason::OptedOut,
        NOT_OPTED_IN => Reason::NotOptedIn,
        _ => return None,
    })
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
