//! What stands about two contacts that turn out to be one person.

use crate::contact::{Contact, Latch, LeftId, Source};
use crate::time::Time;

/// Joins two contacts: of each field the stricter state stands, and what that tightens counts as an event of the time
/// `at`, when it was learnt. Says whether anything was tightened for somebody of whom something was known.
pub(super) fn join(one: &Contact, other: &Contact, at: Time) -> (Contact, bool) {
    let met = one.is_known() && other.is_known();
    let opt_out = stricter(one.opt_out, other.opt_out, met, at);
    let block = stricter(one.block, other.block, met, at);
    let provider_stop = stricter(one.provider_stop, other.provider_stop, met, at);
    let differs = |latch: fn(&Contact) -> Latch| met && latch(one).holds() != latch(other).holds();
    let opted_out_anew = differs(|contact| contact.opt_out);
    let tightened = opted_out_anew || differs(|contact| contact.block) || differs(|contact| contact.provider_stop);

    let newest_opt_in = if one.opt_out.lifted >= other.opt_out.lifted { one } else { other };
    let shown = teller(one, other);
    let mut joined = Contact {
        opt_out,
        block,
        provider_stop,
        opted_in_explicitly: one.opted_in_explicitly || other.opted_in_explicitly,
        opted_in_by_staff: newest_opt_in.opted_in_by_staff,
        unheeded_opt_out_at: one.unheeded_opt_out_at.max(other.unheeded_opt_out_at),
        status_changed_at: shown.status_changed_at,
        source: shown.source,
        left: left(one, other),
        name: other.name.clone().or_else(|| one.name.clone()),
        other_reasons: other_reasons(one, other),
        other: one.other.clone().into_iter().chain(other.other.clone()).collect(),
        ..Contact::default()
    };
    if opted_out_anew {
        joined.status_changed_at = Some(at);
        joined.source = Some(Source::Merge);
        joined.unheeded_opt_out_at = None;
    }
    (joined, tightened)
}

/// The latch that holds where either does, whatever is newer.
fn stricter(one: Latch, other: Latch, met: bool, at: Time) -> Latch {
    let mut joined = Latch { set: one.set.max(other.set), lifted: one.lifted.max(other.lifted) };
    if one.holds() != other.holds() && (met || !joined.holds()) {
        joined.set_at(at.max(joined.lifted.unwrap_or(at)));
    }
    joined
}

/// The contact of the two that tells when and why the status became what it is: the one that was opted out where only one
/// was, else the newer. What was erased tells nothing where anything else is known.
fn teller<'a>(one: &'a Contact, other: &'a Contact) -> &'a Contact {
    let rank = |contact: &Contact| {
        (contact.is_known(), !contact.is_erased(), contact.opt_out.holds(), contact.status_changed_at)
    };
    if rank(one) >= rank(other) { one } else { other }
}

/// The reasons of a later version that either has, each once.
fn other_reasons(one: &Contact, other: &Contact) -> String {
    let more = one.other_reasons.chars().filter(|letter| !other.other_reasons.contains(*letter));
    other.other_reasons.chars().chain(more).collect()
}

fn left(one: &Contact, other: &Contact) -> Vec<LeftId> {
    let mut left = one.left.clone();
    for LeftId { id, until } in &other.left {
        match left.iter_mut().find(|there| there.id == *id) {
            Some(there) => there.until = there.until.max(*until),
            None => left.push(LeftId { id: id.clone(), until: *until }),
        }
    }
    left
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contact::Status;

    fn at(millis: i64) -> Time {
        Time::from_millis(millis)
    }

    fn contact(opted_out: Option<i64>, opted_in: Option<i64>) -> Contact {
        let mut contact = Contact::default();
        contact.opt_out.set = opted_out.map(at);
        contact.opt_out.lifted = opted_in.map(at);
        contact
    }

    #[test]
    fn joining_never_loosens_whatever_is_newer() {
        for opted_in in [1, 5, 9, 50] {
            for when in [3, 9, 60] {
                let (out, other) = (contact(Some(5), None), contact(Some(0), Some(opted_in)));
                for (one, other) in [(&out, &other), (&other, &out)] {
                    let (joined, tightened) = join(one, other, at(when));
                    assert_eq!((joined.status(), tightened), (Status::OptedOut, true), "{opted_in} {when}");
                    assert_eq!(joined.source, Some(Source::Merge));
                }
            }
        }
    }

    #[test]
    fn words_without_effect_loosen_nothing_either() {
        let (joined, _) = join(&contact(Some(5), None), &contact(None, Some(50)), at(9));
        assert_eq!(joined.status(), Status::OptedOut);
    }

    #[test]
    fn who_was_not_known_takes_over_what_the_other_said() {
        let mut opted_in = contact(None, Some(5));
        opted_in.opted_in_explicitly = true;
        for one in [&opted_in, &contact(Some(5), None), &contact(Some(5), Some(6))] {
            assert_eq!(join(one, &Contact::default(), at(9)), (one.clone(), false));
            assert_eq!(join(&Contact::default(), one, at(9)), (one.clone(), false));
        }
    }

    #[test]
    fn a_block_and_a_stop_are_each_kept() {
        let (mut blocked, mut stopped) = (Contact::default(), Contact::default());
        blocked.block.set_at(at(1));
        stopped.provider_stop.set_at(at(2));
        let (joined, tightened) = join(&blocked, &stopped, at(9));
        assert_eq!((joined.suppression().letters().as_str(), tightened), ("BP", true));
        assert_eq!(joined.status(), Status::Unknown);
    }

    #[test]
    fn joining_what_is_alike_tightens_nothing() {
        let (joined, tightened) = join(&contact(Some(5), None), &contact(Some(7), Some(6)), at(9));
        assert_eq!((joined.opt_out.set, joined.opt_out.lifted, tightened), (Some(at(7)), Some(at(6)), false));
    }
}
