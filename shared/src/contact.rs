//! The state of a contact: consent, block, provider stop, and the person's ids. What it may receive decides
//! [`crate::eligibility`].

use serde::{Deserialize, Serialize};

use crate::id::{ContactId, UserId};
use crate::time::Time;

/// A question that events of two kinds answer in opposite ways. The newest answer stands; where both have the same
/// time, the one that restricts does.
///
/// Times only ever grow, so the order in which events arrive makes no difference to the result.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Latch {
    /// The newest event that restricts: an opt-out, a block, a stop.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub set: Option<Time>,
    /// The newest event that frees: an opt-in, the end of a block, a resume.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lifted: Option<Time>,
}

impl Latch {
    /// True if the restriction stands.
    #[must_use]
    pub fn holds(self) -> bool {
        self.set.is_some() && self.set >= self.lifted
    }

    /// True if no event ever asked for anything.
    #[must_use]
    pub fn is_untouched(&self) -> bool {
        *self == Self::default()
    }

    /// Takes note of an event that restricts.
    pub fn set_at(&mut self, at: Time) {
        self.set = self.set.max(Some(at));
    }

    /// Takes note of an event that frees.
    pub fn lift_at(&mut self, at: Time) {
        self.lifted = self.lifted.max(Some(at));
    }

    /// The restriction as far as it stands, without what else there was.
    fn standing(self) -> Self {
        if self.holds() { Self { set: self.set, lifted: None } } else { Self::default() }
    }

    /// The latch as it is sure to have stood at a time. Newer events that free are left out, newer ones that restrict stay.
    fn as_of(self, time: Time) -> Self {
        Self { set: self.set, lifted: self.lifted.filter(|lifted| *lifted <= time) }
    }
}

/// The consent of a contact to marketing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// The contact never said anything.
    Unknown,
    /// The contact opted in explicitly.
    OptedIn,
    /// The contact opted out.
    OptedOut,
}

/// WhatsApp's categories of business messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Category {
    /// Promotions: what this system is about.
    Marketing,
    /// Orders, shipping, delivery and the like.
    Utility,
    /// One-time passwords.
    Authentication,
    /// Answers to what the customer wrote.
    Service,
}

/// The source of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// The customer typed a keyword.
    Keyword,
    /// The customer pressed a button or picked from a list.
    Button,
    /// Staff switched the contact by hand.
    Manual,
    /// Staff uploaded many changes at once.
    Batch,
    /// The customer used WhatsApp's own control.
    Provider,
    /// Two contacts turned out to be one person.
    Merge,
    /// The contact was erased.
    Erased,
    /// A source of a later version.
    #[serde(other)]
    Other,
}

impl Source {
    /// True if the customer spoke, rather than staff or the provider.
    #[must_use]
    pub fn is_customer_message(self) -> bool {
        matches!(self, Self::Keyword | Self::Button)
    }
}

/// The reasons for which a contact gets no marketing; what the suppression list holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Suppression {
    /// The contact opted out.
    pub opted_out: bool,
    /// Staff blocked the contact.
    pub blocked: bool,
    /// The contact used WhatsApp's own stop control.
    pub provider_stopped: bool,
}

impl Suppression {
    /// True if no reason applies.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self == Self::default()
    }

    /// All reasons of both: of a person under several ids, those of each id apply.
    #[must_use]
    pub fn union(self, other: Self) -> Self {
        Self {
            opted_out: self.opted_out || other.opted_out,
            blocked: self.blocked || other.blocked,
            provider_stopped: self.provider_stopped || other.provider_stopped,
        }
    }

    /// The reasons as letters: `O` opted out, `B` blocked, `P` stopped at the provider.
    #[must_use]
    pub fn letters(self) -> String {
        [(self.opted_out, 'O'), (self.blocked, 'B'), (self.provider_stopped, 'P')]
            .into_iter()
            .filter_map(|(applies, letter)| applies.then_some(letter))
            .collect()
    }

    /// Reads the letters of a suppression item. Being on the list is reason enough: a letter of a later version, or none at
    /// all, counts as an opt-out.
    #[must_use]
    pub fn from_letters(letters: &str) -> Self {
        Self {
            opted_out: letters.is_empty() || letters.contains(|letter| !matches!(letter, 'B' | 'P')),
            blocked: letters.contains('B'),
            provider_stopped: letters.contains('P'),
        }
    }
}

/// A customer of one tenant: the state of consent, block and provider stop, and the person's ids and name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contact {
    /// Opt-outs against opt-ins, those without effect included.
    #[serde(default)]
    pub opt_out: Latch,
    /// True if an explicit opt-in ever took effect.
    #[serde(default)]
    pub opted_in_explicitly: bool,
    /// True if the newest opt-in was made by staff, so that an older opt-out that arrives late is worth a look.
    #[serde(default)]
    pub opted_in_by_staff: bool,
    /// Blocks against their ends.
    #[serde(default)]
    pub block: Latch,
    /// WhatsApp's own stop control: stops against resumes.
    #[serde(default)]
    pub provider_stop: Latch,
    /// A customer's opt-out that arrived after staff had opted the contact in at a later time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unheeded_opt_out_at: Option<Time>,
    /// The time of the event that last changed the status.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status_changed_at: Option<Time>,
    /// The source of the event that last changed the status.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<Source>,
    /// The phone number as received: digits, for showing and for sending.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phone: Option<String>,
    /// WhatsApp's id for the person, where the contact is kept under the phone number. A link to here stands in its place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_id: Option<UserId>,
    /// The time from which the person is known at the number: of the first message with both ids, or of the move there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub linked_at: Option<Time>,
    /// Ids that the person has left, each with the last time at which it held it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left: Vec<LeftId>,
    /// The name the person shows on WhatsApp.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Reasons of a later version for which the person gets no marketing, as their letters. They stand until that version
    /// lifts them.
    #[serde(rename = "r", default, skip_serializing_if = "String::is_empty")]
    pub other_reasons: String,
    /// Fields of a later version, which this one leaves as they are.
    #[serde(flatten)]
    pub other: serde_json::Map<String, serde_json::Value>,
}

/// An id that a person once had.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeftId {
    /// The id.
    pub id: ContactId,
    /// The last moment at which it was the person's.
    pub until: Time,
    /// The time from which the user id was known at the number, as long as only the news of a change says that the user id
    /// went on from there. A message with the user id and a later number removes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Time>,
}

impl Contact {
    /// The tombstone of a contact that is erased: the times of what restricts and frees, and the time of the erasure.
    #[must_use]
    pub fn erased(&self, at: Time) -> Self {
        Self { status_changed_at: Some(at), source: Some(Source::Erased), ..self.consent_state() }
    }

    /// The state of consent, block and provider stop, without anything of the person. It stays at an id that the person
    /// leaves.
    #[must_use]
    pub fn consent_state(&self) -> Self {
        Self {
            opt_out: self.opt_out,
            block: self.block,
            provider_stop: self.provider_stop,
            other_reasons: self.other_reasons.clone(),
            ..Self::default()
        }
    }

    /// The contact that a new holder of an id starts from: the restrictions that stand there. Consent is never handed on.
    #[must_use]
    pub fn inherited(&self) -> Self {
        Self {
            opt_out: self.opt_out.standing(),
            block: self.block.standing(),
            provider_stop: self.provider_stop.standing(),
            ..self.consent_state()
        }
    }

    /// The contact if every event that frees was another person's: every restriction that ever was.
    #[must_use]
    pub fn at_worst(&self) -> Self {
        let worst = |latch: Latch| Latch { lifted: None, ..latch };
        Self {
            opt_out: worst(self.opt_out),
            block: worst(self.block),
            provider_stop: worst(self.provider_stop),
            ..self.consent_state()
        }
    }

    /// The contact without what may be the doing of another person, who came to its number after this time: it is not opted
    /// in by that, but it stays opted out.
    #[must_use]
    pub fn as_of(&self, time: Time) -> Self {
        let opt_out = self.opt_out.as_of(time);
        Self {
            opt_out,
            opted_in_explicitly: self.opted_in_explicitly && opt_out == self.opt_out,
            block: self.block.as_of(time),
            provider_stop: self.provider_stop.as_of(time),
            ..self.clone()
        }
    }

    /// True if the person has left an id.
    #[must_use]
    pub fn has_left(&self, id: &ContactId) -> bool {
        self.left.iter().any(|left| left.id == *id)
    }

    /// Notes that the person has left an id, which it may have left before.
    pub fn leave(&mut self, id: &ContactId, until: Time) {
        self.left.retain(|left| left.id != *id);
        self.left.push(LeftId { id: id.clone(), until, since: None });
    }

    /// The consent of the contact to marketing. An opt-in from before an erasure can't be proved any more and does not
    /// count.
    ///
    /// ```
    /// use consent::contact::{Contact, Status};
    /// use consent::time::Time;
    ///
    /// let mut contact = Contact::default();
    /// assert_eq!(contact.status(), Status::Unknown);
    /// contact.opt_out.set_at(Time::from_millis(2_000));
    /// assert_eq!(contact.status(), Status::OptedOut);
    /// contact.opt_out.lift_at(Time::from_millis(1_000));
    /// assert_eq!(contact.status(), Status::OptedOut, "the newer event wins, whichever arrives last");
    /// ```
    #[must_use]
    pub fn status(&self) -> Status {
        match (self.opt_out.set, self.opt_out.holds()) {
            (Some(_), true) => Status::OptedOut,
            _ if self.is_erased() => Status::Unknown,
            (Some(_), false) => Status::OptedIn,
            (None, _) if self.opted_in_explicitly => Status::OptedIn,
            (None, _) => Status::Unknown,
        }
    }

    /// The reasons for which the contact gets no marketing.
    #[must_use]
    pub fn suppression(&self) -> Suppression {
        let other = !self.other_reasons.is_empty();
        Suppression { opted_out: self.opt_out.holds() || other, ..self.latched() }
    }

    /// The same reasons as the letters of the suppression list, those of a later version included.
    #[must_use]
    pub fn reasons(&self) -> String {
        self.latched().letters() + &self.other_reasons
    }

    fn latched(&self) -> Suppression {
        Suppression {
            opted_out: self.opt_out.holds(),
            blocked: self.block.holds(),
            provider_stopped: self.provider_stop.holds(),
        }
    }

    /// True if there is anything to show: a restriction that ever was, or an explicit opt-in. Words that had nothing to
    /// change leave only their times, and a contact of nothing but such times is in no list; nor is one that was erased,
    /// once nothing suppresses it any more.
    #[must_use]
    pub fn is_known(&self) -> bool {
        let forgotten = self.is_erased() && self.suppression().is_empty();
        let ever = self.opted_in_explicitly
            || !self.other_reasons.is_empty()
            || [self.opt_out, self.block, self.provider_stop].iter().any(|latch| latch.set.is_some());
        ever && !forgotten
    }

    /// True if the person was erased and its status has not changed since, so that nothing of it may be shown or kept but
    /// its status.
    #[must_use]
    pub fn is_erased(&self) -> bool {
        self.source == Some(Source::Erased)
    }

    /// The time of the erasure, while [`Contact::is_erased`]. Older events that free have no effect.
    #[must_use]
    pub fn erased_at(&self) -> Option<Time> {
        self.status_changed_at.filter(|_| self.is_erased())
    }

    /// The tombstone that the contact is, if it is nothing else.
    #[must_use]
    pub fn tombstone(&self) -> Option<Self> {
        Some(self.erased(self.erased_at()?)).filter(|tombstone| tombstone == self)
    }

    /// The newest time that stands in the contact.
    #[must_use]
    pub fn newest(&self) -> Option<Time> {
        let latches = [self.opt_out, self.block, self.provider_stop];
        latches.iter().flat_map(|latch| [latch.set, latch.lifted]).max().flatten().max(self.erased_at())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: i64) -> Time {
        Time::from_millis(millis)
    }

    #[test]
    fn the_restriction_wins_a_tie() {
        let mut latch = Latch::default();
        latch.lift_at(at(5));
        assert!(!latch.holds());
        latch.set_at(at(5));
        assert!(latch.holds());
        latch.lift_at(at(6));
        assert!(!latch.holds());
    }

    #[test]
    fn late_events_do_not_turn_a_latch_back() {
        let mut latch = Latch::default();
        latch.lift_at(at(7));
        latch.set_at(at(3));
        assert!(!latch.holds());
    }

    #[test]
    fn opting_in_clears_neither_block_nor_provider_stop() {
        let mut contact = Contact::default();
        contact.block.set_at(at(1));
        contact.provider_stop.set_at(at(1));
        contact.opt_out.lift_at(at(2));
        assert_eq!(contact.suppression().letters(), "BP");
    }

    #[test]
    fn letters_survive_their_text() {
        for letters in ["O", "B", "P", "OB", "OP", "BP", "OBP"] {
            assert_eq!(Suppression::from_letters(letters).letters(), letters);
        }
    }

    #[test]
    fn being_on_the_list_for_a_reason_that_is_not_known_counts_as_an_opt_out() {
        for (letters, counts_as) in [("", "O"), ("H", "O"), ("BH", "OB"), ("PH", "OP"), ("ö", "O")] {
            assert_eq!(Suppression::from_letters(letters).letters(), counts_as, "{letters}");
        }
    }

    #[test]
    fn a_word_that_changed_nothing_leaves_a_contact_that_is_not_shown() {
        let mut contact = Contact::default();
        contact.opt_out.lift_at(at(1));
        assert!(!contact.is_known());
        assert_eq!(contact.status(), Status::Unknown);
    }
}
