//! What an event does to a contact. Pure: no input, no output, no clock.
//!
//! Webhooks arrive late, twice and out of order. What stands in the end must not depend on that, so an event only ever
//! advances the newest times of a [`Contact`], and everything else follows from those.

use std::time::Duration;

use crate::contact::{Contact, Status};
use crate::event::{Confirmation, Effect, Event, HistoryEntry, HistoryKey, Kind, UnappliedReason};
use crate::id::EventId;
use crate::settings::{Intent, Settings};
use crate::time::Time;

/// A message that claims to be from further ahead than this counts when it is processed instead.
const MAX_AHEAD: Duration = Duration::from_mins(5);

/// What an event makes of a contact.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// The contact afterwards.
    pub contact: Contact,
    /// What goes into its history. A switch that switched nothing leaves no entry.
    pub entry: Option<HistoryEntry>,
    /// That the contact was joined with another and got stricter by it, where that is so.
    pub merge: Option<HistoryEntry>,
    /// What counts for an id that it came by and that the person has left as well.
    pub heeded: Option<Event>,
}

impl Decision {
    /// The decision to leave a contact as it is.
    #[must_use]
    pub fn nothing(contact: &Contact) -> Self {
        Self { contact: contact.clone(), entry: None, merge: None, heeded: None }
    }

    /// The decision to let the history say what happened, and to change nothing else.
    #[must_use]
    pub fn note(contact: &Contact, event: Event) -> Self {
        Self { entry: Some(HistoryEntry::changed(event)), ..Self::nothing(contact) }
    }

    /// The opt-out that it leaves for staff to look at, as they opted the contact in without knowing of it.
    #[must_use]
    pub fn unheeded(&self) -> Option<&HistoryEntry> {
        let is_left = |entry: &&HistoryEntry| {
            entry.event.kind == Kind::OptOut
                && entry.effect == Effect::Superseded
                && self.contact.unheeded_opt_out_at == Some(entry.event.counts_at())
        };
        self.entry.as_ref().filter(is_left)
    }

    /// The same decision, with the history saying that the contact was joined with another before.
    #[must_use]
    pub fn after_merge(self, merge: Option<Event>) -> Self {
        Self { merge: merge.map(HistoryEntry::changed), ..self }
    }

    /// The same decision on an event that is not newer than the erasure of its person: it leaves no history, no words and no
    /// confirmation. None where nothing is left to do, because the event restricts nothing.
    #[must_use]
    pub fn after_erasure(self, before: &Contact) -> Option<Self> {
        let restricts = self.heeded.as_ref().is_some_and(|event| event.kind.restricts());
        let shown = Contact { phone: before.phone.clone(), name: before.name.clone(), ..self.contact };
        restricts.then_some(Self { contact: shown, entry: None, merge: None, heeded: self.heeded })
    }

    /// What the event did.
    #[must_use]
    pub fn effect(&self) -> Effect {
        self.entry.as_ref().map_or(Effect::None, |entry| entry.effect)
    }

    /// Why the event was not heeded, where it was not.
    #[must_use]
    pub fn reason(&self) -> Option<UnappliedReason> {
        self.entry.as_ref().and_then(|entry| entry.reason)
    }

    /// Whether the customer is to be told.
    #[must_use]
    pub fn confirms(&self) -> bool {
        self.entry.as_ref().is_some_and(|entry| entry.confirmation.is_some())
    }
}

/// What an update shows of the person it is about.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Profile {
    /// The phone number as received: digits.
    pub phone: Option<String>,
    /// The name shown on WhatsApp.
    pub name: Option<String>,
}

/// The time of a message as its timestamp gives it, judged when it is processed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MessageTime {
    /// A usable timestamp: whole seconds since 1970, more than none.
    Own(i64),
    /// A timestamp (whole seconds since 1970) that lies too far ahead to be true.
    Ahead(i64),
    /// No timestamp, or one that cannot be read.
    Missing,
}

impl MessageTime {
    /// Judges a timestamp, in whole seconds since 1970.
    #[must_use]
    pub fn judge(seconds: Option<i64>, now: Time) -> Self {
        match seconds {
            Some(seconds @ 1..) if Time::from_millis(seconds.saturating_mul(1000)) > now.plus(MAX_AHEAD) => {
                Self::Ahead(seconds)
            }
            Some(seconds @ 1..) => Self::Own(seconds),
            _ => Self::Missing,
        }
    }

    /// The time that counts for a wish. Within a second the opt-out comes last, so that it wins. An opt-in never counts in
    /// the future, where it would stand over an opt-out that is sent before. None for an opt-in without a time of its own,
    /// which would be a guess in the customer's disfavour.
    #[must_use]
    pub fn at(self, intent: Intent, now: Time) -> Option<Time> {
        match (self, intent) {
            (Self::Own(seconds), Intent::OptOut) => Some(Time::from_millis(seconds * 1000 + 999)),
            (Self::Own(seconds), Intent::OptIn) => Some(Time::from_millis(seconds * 1000).min(now)),
            (Self::Ahead(_), _) | (Self::Missing, Intent::OptOut) => Some(now),
            (Self::Missing, Intent::OptIn) => None,
        }
    }

    /// When a message counts from for who goes by which ids.
    #[must_use]
    pub fn taught(self, now: Time) -> Time {
        match self {
            Self::Own(seconds) => Time::from_millis(seconds * 1000),
            Self::Ahead(_) | Self::Missing => now,
        }
    }

    /// When it counts from that a message made one contact of two: last within its second, as an opt-out does. A wish to be
    /// back comes after that.
    #[must_use]
    pub fn joins(self, intent: Option<Intent>, now: Time) -> Time {
        match (self, intent) {
            (_, Some(Intent::OptIn)) => Time::from_millis(self.taught(now).min(now).millis() - 1),
            (Self::Own(seconds), _) => Time::from_millis(seconds * 1000 + 999),
            (Self::Ahead(_) | Self::Missing, _) => now,
        }
    }

    /// Where the message stands in the history: known before it is known what the message asks for.
    #[must_use]
    pub fn key(self, id: &EventId) -> HistoryKey {
        let time = match self {
            Self::Own(seconds) => Time::from_millis(seconds * 1000),
            Self::Ahead(_) | Self::Missing => Time::default(),
        };
        HistoryKey { time, id: id.clone() }
    }

    /// Where the same message would stand if it had been, or were to be, judged at another time.
    #[must_use]
    pub fn sibling(self, id: &EventId) -> Option<HistoryKey> {
        let time = match self {
            Self::Own(_) => Time::default(),
            Self::Ahead(seconds) => Time::from_millis(seconds.saturating_mul(1000)),
            Self::Missing => return None,
        };
        Some(HistoryKey { time, id: id.clone() })
    }
}

/// Decides on a customer's own wish: a message that matched a keyword, or the use of WhatsApp's own control, in which a
/// tenant has no say.
#[must_use]
pub fn decide_intent(settings: &Settings, contact: &Contact, event: Event, profile: &Profile) -> Decision {
    if !event.source.is_customer_message() {
        let (after, effect) = apply(contact, &event, true, profile);
        let heeded = Some(event.clone());
        let entry = HistoryEntry { event, effect, reason: None, confirmation: None };
        return Decision { contact: after, entry: Some(entry), merge: None, heeded };
    }
    if !settings.enabled() {
        let entry =
            HistoryEntry { event, effect: Effect::None, reason: Some(UnappliedReason::Disabled), confirmation: None };
        return Decision { entry: Some(entry), ..Decision::nothing(contact) };
    }
    let (after, effect) = apply(contact, &event, settings.require_opt_in(), profile);
    let intent = if event.kind == Kind::OptOut { Intent::OptOut } else { Intent::OptIn };
    // While WhatsApp's own stop holds, no campaign reaches the customer: to confirm an opt-in would be untrue.
    let is_stopped = intent == Intent::OptIn && effect == Effect::Changed && after.provider_stop.holds();
    let confirmation = settings
        .confirmation(intent)
        .filter(|_| effect == Effect::Changed && !after.block.holds() && !is_stopped)
        .map(Confirmation::pending);
    let heeded = Some(event.clone());
    let reason = is_stopped.then_some(UnappliedReason::ProviderStopped);
    let entry = HistoryEntry { event, effect, reason, confirmation };
    Decision { contact: after, entry: Some(entry), merge: None, heeded }
}

/// Decides on a change that staff made. It takes effect on the state it was made on, whatever the clocks say; see
/// [`switch_time`].
#[must_use]
pub fn decide_switch(contact: &Contact, event: Event, profile: &Profile) -> Decision {
    let (after, effect) = apply(contact, &event, true, profile);
    // What has nothing to change for the person may still have for an id that the person has left.
    let heeded = Some(event.clone()).filter(|event| effect != Effect::None || event.kind.restricts());
    let entry = (effect != Effect::None).then_some(HistoryEntry { event, effect, reason: None, confirmation: None });
    Decision { contact: after, entry, merge: None, heeded }
}

/// The time of a change that staff makes now: behind everything that stands, so that it takes effect.
#[must_use]
pub fn switch_time(contact: &Contact, now: Time) -> Time {
    contact.newest().map_or(now, |newest| now.max(newest.next()))
}

/// Why one change of a batch is not made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RefusedOptIn {
    /// The contact opted out, and nothing says that it consented since.
    #[error("opted out: an opt-in needs `evidence` of a consent that was given after the opt-out")]
    NoEvidence,
    /// The contact opted out after the consent was given.
    #[error("opted out after the consent that `evidence.obtained_at` names")]
    OlderThanOptOut,
    /// The contact was erased, and nothing says that it consented since.
    #[error("erased: an opt-in needs `evidence` of a consent that was given after the erasure")]
    Erased,
}

/// The time at which an opt-in counts that is one of many which staff uploads. Nobody looks at each of those, so they
/// never undo an opt-out without a newer consent. Without evidence, the consent may be older than any message that is
/// still on its way, so it counts from the beginning of time and every opt-out stands over it.
///
/// # Errors
/// The contact opted out and there is no such consent.
pub fn batch_opt_in_time(contact: &Contact, obtained_at: Option<Time>) -> Result<Time, RefusedOptIn> {
    match (contact.status(), obtained_at) {
        (_, time) if contact.is_erased() && time <= contact.erased_at() => Err(RefusedOptIn::Erased),
        (Status::OptedOut, None) => Err(RefusedOptIn::NoEvidence),
        (Status::OptedOut, Some(time)) if Some(time) <= contact.opt_out.set => Err(RefusedOptIn::OlderThanOptOut),
        (_, time) => Ok(time.unwrap_or_default()),
    }
}

/// Advances what stands by an event that is about somebody else's contact as well.
pub(crate) fn advance(contact: &mut Contact, event: &Event) {
    *contact = apply(contact, event, true, &Profile::default()).0;
}

/// Advances the contact by an event. What frees and is not newer than the erasure of the person has no effect. `explicit` says whether an opt-in of someone who never said anything counts.
fn apply(contact: &Contact, event: &Event, explicit: bool, profile: &Profile) -> (Contact, Effect) {
    let mut after = contact.clone();
    let before = contact.status();
    let at = event.counts_at();
    if !event.kind.restricts() && contact.is_erased() && Some(at) <= contact.erased_at() {
        let held = match event.kind {
            Kind::OptIn => contact.opt_out.holds(),
            Kind::Unblock => contact.block.holds(),
            Kind::ProviderResume => contact.provider_stop.holds(),
            _ => false,
        };
        return (after, if held { Effect::Superseded } else { Effect::None });
    }
    let (was_so, is_so) = match event.kind {
        Kind::OptOut => {
            after.opt_out.set_at(at);
            (before == Status::OptedOut, after.status() == Status::OptedOut)
        }
        Kind::OptIn => {
            if after.opt_out.lifted < Some(at) {
                after.opted_in_by_staff = !event.source.is_customer_message();
            }
            after.opt_out.lift_at(at);
            let nothing_to_do = before == Status::OptedIn || (before == Status::Unknown && !explicit);
            let opts_in = !nothing_to_do && !after.opt_out.holds();
            after.opted_in_explicitly |= opts_in;
            if opts_in {
                // Someone erased is somebody known again.
                after.source = Some(event.source);
            }
            (nothing_to_do, opts_in)
        }
        Kind::Block => {
            after.block.set_at(at);
            (contact.block.holds(), after.block.holds())
        }
        Kind::Unblock => {
            after.block.lift_at(at);
            (!contact.block.holds(), !after.block.holds())
        }
        Kind::ProviderStop => {
            after.provider_stop.set_at(at);
            (contact.provider_stop.holds(), after.provider_stop.holds())
        }
        Kind::ProviderResume => {
            after.provider_stop.lift_at(at);
            (!contact.provider_stop.holds(), !after.provider_stop.holds())
        }
        // These change which ids a person has; what follows for consent comes as events of the other kinds.
        Kind::Merge | Kind::IdChange | Kind::Other => (true, true),
    };
    let effect = match (was_so, is_so) {
        (true, _) => Effect::None,
        (false, true) => Effect::Changed,
        (false, false) => Effect::Superseded,
    };
    let is_older_than_erasure = contact.is_erased() && Some(event.at) <= contact.erased_at();
    if after.status() != before && !is_older_than_erasure {
        after.status_changed_at = Some(event.at);
        after.source = Some(event.source);
        after.unheeded_opt_out_at = None;
    }
    if is_unheeded(contact, &after, event, effect) {
        after.unheeded_opt_out_at = after.unheeded_opt_out_at.max(Some(at));
    }
    if after.is_known() && !after.is_erased() {
        show(&mut after, profile);
    }
    (after, effect)
}

/// Whether staff should look at an opt-out because they opted the contact in at a later time without knowing of it. One of
/// the same second as an opt-out that they knew of is another message, and may have been written after that one.
fn is_unheeded(before: &Contact, after: &Contact, event: &Event, effect: Effect) -> bool {
    event.kind == Kind::OptOut
        && effect == Effect::Superseded
        && after.opted_in_by_staff
        && Some(event.counts_at()) >= before.opt_out.set
}

/// Keeps what is newest to show of a person.
fn show(contact: &mut Contact, profile: &Profile) {
    let Profile { phone, name } = profile;
    contact.phone = phone.clone().or(contact.phone.take());
    contact.name = name.clone().or(contact.name.take());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contact::Source;
    use crate::event::Actor;
    use crate::settings::SettingsDraft;

    fn at(millis: i64) -> Time {
        Time::from_millis(millis)
    }

    fn event(kind: Kind, source: Source, time: Time) -> Event {
        Event::new(kind, source, Actor::Customer, HistoryKey { time, id: EventId::unique() }, time)
    }

    /// Plays events, `S`top and `s`tart by keyword, `o`ut and `i`n by hand, at the given times.
    fn play(settings: &Settings, events: &[(char, i64)]) -> (Contact, Vec<Effect>) {
        let mut contact = Contact::default();
        let mut effects = Vec::new();
        for &(what, time) in events {
            let (kind, source) = match what {
                'S' => (Kind::OptOut, Source::Keyword),
                's' => (Kind::OptIn, Source::Keyword),
                'o' => (Kind::OptOut, Source::Manual),
                _ => (Kind::OptIn, Source::Manual),
            };
            let event = event(kind, source, at(time));
            let decision = if source == Source::Keyword {
                decide_intent(settings, &contact, event, &Profile::default())
            } else {
                decide_switch(&contact, event, &Profile::default())
            };
            effects.push(decision.effect());
            contact = decision.contact;
        }
        (contact, effects)
    }

    fn demanding() -> Settings {
        Settings::new(SettingsDraft {
            enabled: true,
            opt_out_keywords: vec!["STOP".into()],
            opt_in_keywords: vec!["START".into()],
            require_opt_in: true,
            ..SettingsDraft::default()
        })
        .unwrap()
    }

    #[test]
    fn effects_of_events_in_order_and_out_of_order() {
        use Effect::{Changed, None, Superseded};
        use Status::{OptedIn, OptedOut, Unknown};
        type Case<'a> = (&'a [(char, i64)], Status, &'a [Effect]);
        let cases: &[Case] = &[
            (&[('S', 1)], OptedOut, &[Changed]),
            (&[('S', 1), ('S', 2)], OptedOut, &[Changed, None]),
            (&[('S', 1), ('s', 2)], OptedIn, &[Changed, Changed]),
            (&[('s', 1)], Unknown, &[None]),
            (&[('s', 1), ('S', 2), ('s', 3)], OptedIn, &[None, Changed, Changed]),
            (&[('S', 3), ('s', 2)], OptedOut, &[Changed, Superseded]),
            (&[('s', 5), ('S', 3)], OptedIn, &[None, Superseded]),
            (&[('S', 4), ('s', 4)], OptedOut, &[Changed, Superseded]),
            (&[('s', 4), ('S', 4)], OptedOut, &[None, Changed]),
            (&[('i', 1)], OptedIn, &[Changed]),
            (&[('i', 5), ('S', 3)], OptedIn, &[Changed, Superseded]),
            (&[('o', 1), ('o', 2), ('i', 3), ('i', 4)], OptedIn, &[Changed, None, Changed, None]),
        ];
        for (events, status, effects) in cases {
            let (contact, seen) = play(&Settings::default(), events);
            assert_eq!((contact.status(), seen.as_slice()), (*status, *effects), "{events:?}");
        }
    }

    #[test]
    fn an_opt_in_keyword_opts_in_the_unknown_where_that_is_demanded() {
        let (contact, effects) = play(&demanding(), &[('s', 1), ('s', 2)]);
        assert_eq!(contact.status(), Status::OptedIn);
        assert_eq!(effects, [Effect::Changed, Effect::None]);
    }

    #[test]
    fn late_stop_does_not_undo_a_manual_opt_in_but_is_shown_until_the_next_change() {
        let (contact, _) = play(&Settings::default(), &[('S', 1), ('i', 5), ('S', 3)]);
        assert_eq!(contact.status(), Status::OptedIn);
        assert_eq!(contact.unheeded_opt_out_at, Some(at(3)));
        let (contact, _) = play(&Settings::default(), &[('S', 1), ('i', 5), ('S', 3), ('S', 6)]);
        assert_eq!(contact.unheeded_opt_out_at, None);
    }

    #[test]
    fn late_stop_that_the_customers_own_start_overtook_needs_no_look() {
        let (contact, _) = play(&Settings::default(), &[('S', 1), ('s', 5), ('S', 3)]);
        assert_eq!(contact.unheeded_opt_out_at, None);
    }

    #[test]
    fn a_late_stop_of_the_same_second_as_one_that_staff_knew_of_is_shown() {
        let (contact, _) = play(&Settings::default(), &[('S', 1), ('i', 5), ('S', 1)]);
        assert_eq!((contact.status(), contact.unheeded_opt_out_at), (Status::OptedIn, Some(at(1))));
    }

    #[test]
    fn a_late_stop_that_staff_had_already_overruled_needs_no_look() {
        let (contact, _) = play(&Settings::default(), &[('S', 4), ('i', 5), ('S', 3)]);
        assert_eq!(contact.unheeded_opt_out_at, None);
    }

    #[test]
    fn only_a_change_is_confirmed() {
        let settings = Settings::default();
        let stop = |time| event(Kind::OptOut, Source::Keyword, at(time));
        let first = decide_intent(&settings, &Contact::default(), stop(1), &Profile::default());
        assert!(first.confirms());
        assert!(!decide_intent(&settings, &first.contact, stop(2), &Profile::default()).confirms());
    }

    #[test]
    fn a_blocked_contact_is_told_nothing() {
        let mut blocked = Contact::default();
        blocked.block.set_at(at(1));
        let stop = event(Kind::OptOut, Source::Keyword, at(2));
        let decision = decide_intent(&Settings::default(), &blocked, stop, &Profile::default());
        assert_eq!(decision.effect(), Effect::Changed);
        assert!(!decision.confirms());
    }

    #[test]
    fn while_keywords_are_switched_off_an_opt_out_is_recorded_but_changes_nothing() {
        let off = Settings::new(SettingsDraft {
            opt_out_keywords: vec!["STOP".into()],
            opt_in_keywords: vec!["START".into()],
            ..SettingsDraft::default()
        })
        .unwrap();
        let stop = event(Kind::OptOut, Source::Keyword, at(2));
        let decision = decide_intent(&off, &Contact::default(), stop, &Profile::default());
        assert_eq!(decision.contact, Contact::default());
        assert_eq!(decision.entry.unwrap().reason, Some(UnappliedReason::Disabled));
    }

    #[test]
    fn a_switch_counts_after_everything_that_stands() {
        let mut contact = Contact::default();
        assert_eq!(switch_time(&contact, at(10)), at(10));
        contact.opt_out.set_at(at(99));
        assert_eq!(switch_time(&contact, at(10)), at(100));
    }

    #[test]
    fn an_erased_opt_out_is_loosened_by_newer_words_only() {
        let erased = play(&Settings::default(), &[('S', 1)]).0.erased(at(10));
        let start = |time| event(Kind::OptIn, Source::Keyword, at(time));
        let named = Profile { name: Some("Sheena".into()), ..Profile::default() };
        let older = decide_intent(&Settings::default(), &erased, start(9), &named);
        assert_eq!((older.effect(), older.contact.name.as_deref()), (Effect::Superseded, None));
        let newer = decide_intent(&Settings::default(), &erased, start(11), &named);
        assert_eq!((newer.contact.status(), newer.contact.name.as_deref()), (Status::OptedIn, Some("Sheena")));
    }

    #[test]
    fn a_batch_opts_in_the_opted_out_by_a_newer_consent_only() {
        let (contact, _) = play(&Settings::default(), &[('S', 5)]);
        assert_eq!(batch_opt_in_time(&contact, None), Err(RefusedOptIn::NoEvidence));
        assert_eq!(batch_opt_in_time(&contact, Some(at(5))), Err(RefusedOptIn::OlderThanOptOut));
        assert_eq!(batch_opt_in_time(&contact, Some(at(6))), Ok(at(6)));
        assert_eq!(batch_opt_in_time(&Contact::default(), None), Ok(Time::default()));
    }

    #[test]
    fn timestamps_are_judged_at_the_time_of_processing() {
        let now = at(1_000_000_000);
        assert_eq!(MessageTime::judge(Some(1_000_300), now), MessageTime::Own(1_000_300));
        assert_eq!(MessageTime::judge(Some(1_000_301), now), MessageTime::Ahead(1_000_301));
        assert_eq!(MessageTime::judge(Some(i64::MAX), now), MessageTime::Ahead(i64::MAX));
        assert_eq!(MessageTime::judge(Some(-1), now), MessageTime::Missing);
        assert_eq!(MessageTime::judge(Some(0), now), MessageTime::Missing);
        assert_eq!(MessageTime::Own(7).at(Intent::OptOut, now), Some(at(7_999)));
        assert_eq!(MessageTime::Own(7).at(Intent::OptIn, now), Some(at(7_000)));
        assert_eq!(MessageTime::Own(1_000_300).at(Intent::OptIn, now), Some(now));
        assert_eq!(MessageTime::Own(1_000_300).at(Intent::OptOut, now), Some(at(1_000_300_999)));
        assert_eq!(MessageTime::Missing.at(Intent::OptOut, now), Some(now));
        assert_eq!(MessageTime::Missing.at(Intent::OptIn, now), None);
    }

    #[test]
    fn a_message_judged_early_and_late_finds_its_own_entry() {
        let id = EventId::unique();
        let (early, late) = (MessageTime::Ahead(50), MessageTime::Own(50));
        assert_eq!(late.sibling(&id), Some(early.key(&id)));
        assert_eq!(early.sibling(&id), Some(late.key(&id)));
    }
}
