//! The contact that two contacts of one person become.

use crate::contact::{Contact, Latch, LeftId, Source};
use crate::time::Time;

/// Two contacts that turn out to be one person's.
#[derive(Clone, Copy)]
pub(super) struct Pair<'a> {
    pub(super) from: &'a Contact,
    /// The one whose name is shown.
    pub(super) into: &'a Contact,
}

/// The contact that two have become.
pub(super) struct Joined {
    pub(super) contact: Contact,
    /// Whether one of the two was known and is restricted further than before.
    pub(super) tightened: bool,
}

impl<'a> Pair<'a> {
    /// Takes the stricter state of each field. A restriction that only one of two known contacts had counts as an event of
    /// the time `at`, when it was learnt that they are one person's.
    pub(super) fn join(self, at: Time) -> Joined {
        let Self { from, into } = self;
        let differs = |latch: fn(&Contact) -> Latch| self.both_known() && latch(from).holds() != latch(into).holds();
        let opted_out_anew = differs(|contact| contact.opt_out);
        let tightened = opted_out_anew || differs(|contact| contact.block) || differs(|contact| contact.provider_stop);
        let newest_opt_in = if from.opt_out.lifted >= into.opt_out.lifted { from } else { into };
        let shown = self.status_source();
        let mut contact = Contact {
            opt_out: self.stricter(|contact| contact.opt_out, at),
            block: self.stricter(|contact| contact.block, at),
            provider_stop: self.stricter(|contact| contact.provider_stop, at),
            opted_in_explicitly: from.opted_in_explicitly || into.opted_in_explicitly,
            opted_in_by_staff: newest_opt_in.opted_in_by_staff,
            unheeded_opt_out_at: from.unheeded_opt_out_at.max(into.unheeded_opt_out_at),
            status_changed_at: shown.status_changed_at,
            source: shown.source,
            left: self.left(),
            name: into.name.clone().or_else(|| from.name.clone()),
            other_reasons: self.other_reasons(),
            other: from.other.clone().into_iter().chain(into.other.clone()).collect(),
            ..Contact::default()
        };
        if opted_out_anew {
            contact.status_changed_at = Some(at);
            contact.source = Some(Source::Merge);
            contact.unheeded_opt_out_at = None;
        }
        Joined { contact, tightened }
    }

    fn both_known(self) -> bool {
        self.from.is_known() && self.into.is_known()
    }

    /// The latch that holds where either contact's does, whichever is newer.
    fn stricter(self, latch: fn(&Contact) -> Latch, at: Time) -> Latch {
        let (from, into) = (latch(self.from), latch(self.into));
        let mut joined = Latch { set: from.set.max(into.set), lifted: from.lifted.max(into.lifted) };
        if from.holds() != into.holds() && (self.both_known() || !joined.holds()) {
            joined.set_at(at.max(joined.lifted.unwrap_or(at)));
        }
        joined
    }

    /// The contact that tells when and why the status last changed: the one that is opted out where only one is, else the
    /// newer. An erased contact tells it only where nothing else is known.
    fn status_source(self) -> &'a Contact {
        let rank = |contact: &Contact| {
            (contact.is_known(), !contact.is_erased(), contact.opt_out.holds(), contact.status_changed_at)
        };
        if rank(self.from) >= rank(self.into) { self.from } else { self.into }
    }

    /// The reasons of a later version that either contact has, each once.
    fn other_reasons(self) -> String {
        let into = &self.into.other_reasons;
        into.chars().chain(self.from.other_reasons.chars().filter(|letter| !into.contains(*letter))).collect()
    }

    /// The ids that either person has left, each until the later of two times.
    fn left(self) -> Vec<LeftId> {
        let mut left = self.from.left.clone();
        for other in &self.into.left {
            match left.iter_mut().find(|known| known.id == other.id) {
                Some(known) => known.until = known.until.max(other.until),
                None => left.push(other.clone()),
            }
        }
        left
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contact::Status;

    fn at(millis: i64) -> Time {
        Time::from_millis(millis)
    }

    fn join(from: &Contact, into: &Contact, when: Time) -> (Contact, bool) {
        let Joined { contact, tightened } = Pair { from, into }.join(when);
        (contact, tightened)
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
