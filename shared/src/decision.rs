//! Decisions: the effect of an event on a contact. Pure: no input, no output, no clock.
//!
//! Webhooks arrive late, twice and out of order. The result must not depend on that, so an event only ever
//! advances the newest times of a [`Contact`], and everything else follows from those.

mod message_time;

pub use message_time::MessageTime;

use crate::contact::{Contact, Status};
use crate::event::{Confirmation, Effect, Event, HistoryEntry, Kind, UnappliedReason};
use crate::settings::{Intent, Settings};
use crate::time::Time;

/// The decision on an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// The contact afterwards.
    pub contact: Contact,
    /// The entry for its history. A switch that switched nothing leaves none.
    pub entry: Option<HistoryEntry>,
    /// The entry that the contact was joined with another and got stricter by it, where that is so.
    pub merge: Option<HistoryEntry>,
    /// The event, where it counts as well for an id that it named and that the person has left.
    pub applied: Option<Event>,
}

impl Decision {
    /// The decision to leave a contact as it is.
    #[must_use]
    pub fn nothing(contact: &Contact) -> Self {
        Self { contact: contact.clone(), entry: None, merge: None, applied: None }
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

    /// The same decision on an event that is not newer than the erasure of its person: it leaves no history, no words and
    /// no confirmation. None where nothing is left to do, because the event restricts nothing.
    #[must_use]
    pub fn after_erasure(self, before: &Contact) -> Option<Self> {
        let restricts = self.applied.as_ref().is_some_and(|event| event.kind.restricts());
        let shown = Contact { phone: before.phone.clone(), name: before.name.clone(), ..self.contact };
        restricts.then_some(Self { contact: shown, entry: None, merge: None, applied: self.applied })
    }

    /// The effect of the event.
    #[must_use]
    pub fn effect(&self) -> Effect {
        self.entry.as_ref().map_or(Effect::None, |entry| entry.effect)
    }

    /// The reason for which the event was not applied, where it was not.
    #[must_use]
    pub fn reason(&self) -> Option<UnappliedReason> {
        self.entry.as_ref().and_then(|entry| entry.reason)
    }

    /// True if the customer is to be told.
    #[must_use]
    pub fn confirms(&self) -> bool {
        self.entry.as_ref().is_some_and(|entry| entry.confirmation.is_some())
    }
}

/// The profile of a person as an update shows it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Profile {
    /// The phone number as received: digits.
    pub phone: Option<String>,
    /// The name shown on WhatsApp.
    pub name: Option<String>,
}

/// Decides on a customer's own event: a message that matched a keyword, or the use of WhatsApp's own control, on which the
/// tenant's settings have no influence.
///
/// ```
/// use consent::contact::{Contact, Source, Status};
/// use consent::decision::{Profile, decide_intent};
/// use consent::event::{Actor, Effect, Event, HistoryKey, Kind};
/// use consent::id::EventId;
/// use consent::settings::Settings;
/// use consent::time::Time;
///
/// let at = Time::from_millis(1_795_341_600_999);
/// let key = HistoryKey { time: at, id: EventId::from("wamid.A".to_owned()) };
/// let stop = Event::new(Kind::OptOut, Source::Keyword, Actor::Customer, key, at);
/// let decision = decide_intent(&Settings::default(), &Contact::default(), stop, &Profile::default());
/// assert_eq!(decision.contact.status(), Status::OptedOut);
/// assert_eq!(decision.effect(), Effect::Changed);
/// assert!(decision.confirms());
/// ```
#[must_use]
pub fn decide_intent(settings: &Settings, contact: &Contact, event: Event, profile: &Profile) -> Decision {
    if !event.source.is_customer_message() {
        let (after, effect) = apply(contact, &event, true, profile);
        let applied = Some(event.clone());
        let entry = HistoryEntry { event, effect, reason: None, confirmation: None };
        return Decision { contact: after, entry: Some(entry), merge: None, applied };
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
    let applied = Some(event.clone());
    let reason = is_stopped.then_some(UnappliedReason::ProviderStopped);
    let entry = HistoryEntry { event, effect, reason, confirmation };
    Decision { contact: after, entry: Some(entry), merge: None, applied }
}

/// Decides on a change that staff made. It takes effect on the state it was made on, whatever the clocks say; see
/// [`switch_time`].
#[must_use]
pub fn decide_switch(contact: &Contact, event: Event, profile: &Profile) -> Decision {
    let (after, effect) = apply(contact, &event, true, profile);
    // What has nothing to change for the person may still have for an id that the person has left.
    let applied = Some(event.clone()).filter(|event| effect != Effect::None || event.kind.restricts());
    let entry = (effect != Effect::None).then_some(HistoryEntry { event, effect, reason: None, confirmation: None });
    Decision { contact: after, entry, merge: None, applied }
}

/// The time of a change that staff makes now: behind everything that stands, so that it takes effect.
#[must_use]
pub fn switch_time(contact: &Contact, now: Time) -> Time {
    contact.newest().map_or(now, |newest| now.max(newest.next()))
}

/// The reason for which an opt-in of a batch is refused. The texts are shown to users.
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

/// The time at which an opt-in counts that is one of many which staff uploads. Staff does not look at each of those, so they
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

/// Advances a contact by an event that counts for another contact as well.
pub(crate) fn advance(contact: &mut Contact, event: &Event) {
    *contact = apply(contact, event, true, &Profile::default()).0;
}

/// Advances the contact by an event. An event that frees and is not newer than the erasure of the person has no effect.
/// `explicit` says whether an opt-in of a contact of unknown status counts.
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
    let (was_so, is_so) = advance_latches(&mut after, contact, event, explicit);
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
    if is_unheeded(&after, contact.opt_out.set, event, effect) {
        after.unheeded_opt_out_at = after.unheeded_opt_out_at.max(Some(at));
    }
    if after.is_known() && !after.is_erased() {
        show(&mut after, profile);
    }
    (after, effect)
}

/// Advances the times of a contact by an event. Returns whether what the event asks for was so before, and is so now.
fn advance_latches(after: &mut Contact, before: &Contact, event: &Event, explicit: bool) -> (bool, bool) {
    let (status, at) = (before.status(), event.counts_at());
    match event.kind {
        Kind::OptOut => {
            after.opt_out.set_at(at);
            (status == Status::OptedOut, after.status() == Status::OptedOut)
        }
        Kind::OptIn => {
            if after.opt_out.lifted < Some(at) {
                after.opted_in_by_staff = !event.source.is_customer_message();
            }
            after.opt_out.lift_at(at);
            let nothing_to_do = status == Status::OptedIn || (status == Status::Unknown && !explicit);
            let opts_in = !nothing_to_do && !after.opt_out.holds();
            after.opted_in_explicitly |= opts_in;
            if opts_in {
                // A contact that was erased is known again.
                after.source = Some(event.source);
            }
            (nothing_to_do, opts_in)
        }
        Kind::Block => {
            after.block.set_at(at);
            (before.block.holds(), after.block.holds())
        }
        Kind::Unblock => {
            after.block.lift_at(at);
            (!before.block.holds(), !after.block.holds())
        }
        Kind::ProviderStop => {
            after.provider_stop.set_at(at);
            (before.provider_stop.holds(), after.provider_stop.holds())
        }
        Kind::ProviderResume => {
            after.provider_stop.lift_at(at);
            (!before.provider_stop.holds(), !after.provider_stop.holds())
        }
        // These change which ids a person has; what follows for consent comes as events of the other kinds.
        Kind::Merge | Kind::IdChange | Kind::Other => (true, true),
    }
}

/// True if staff should look at an opt-out because they opted the contact in at a later time without knowing of it. One of
/// the same second as an opt-out that they knew of is another message, and may have been written after that one.
fn is_unheeded(after: &Contact, known_opt_out: Option<Time>, event: &Event, effect: Effect) -> bool {
    event.kind == Kind::OptOut
        && effect == Effect::Superseded
        && after.opted_in_by_staff
        && Some(event.counts_at()) >= known_opt_out
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
    use crate::event::{Actor, HistoryKey};
    use crate::id::EventId;
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
        type Play<'a> = (&'a [(char, i64)], Status, &'a [Effect]);
        let cases: &[Play] = &[
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
}
