//! A person while it is being worked out which ids are that person's.

use super::Ids;
use crate::contact::Contact;
use crate::id::ContactId;
use crate::time::Time;

/// A person under the ids that are known so far.
#[derive(Clone, Debug, Default)]
pub(super) struct KnownPerson {
    /// The ids that the person goes by.
    pub(super) ids: Ids,
    /// The time from which the person is known at the number: a message with both ids, or the news of a change.
    pub(super) linked_at: Option<Time>,
    /// The person's contact.
    pub(super) contact: Contact,
}

impl KnownPerson {
    /// The person whose contact is kept under an id.
    pub(super) fn kept_under(id: &ContactId, contact: Contact) -> Self {
        let mut ids = Ids::from(id.clone());
        if ids.user.is_none() {
            ids.user = contact.user_id.as_ref().map(ContactId::from);
        }
        Self { ids, linked_at: contact.linked_at, contact }
    }

    /// Whether both are one person: their contacts are kept under one id.
    pub(super) fn is(&self, other: &Self) -> bool {
        self.ids.first() == other.ids.first()
    }

    /// Whether the person goes by an id now.
    pub(super) fn goes_by(&self, id: &ContactId) -> bool {
        self.ids.contain(id)
    }

    /// The time from which the person is known at a number, where that is after `at`.
    pub(super) fn linked_after(&self, at: Time) -> Option<Time> {
        self.linked_at.filter(|since| at < *since)
    }
}

/// The person who held an id at a time.
pub(super) struct Holder {
    pub(super) person: KnownPerson,
    /// The last moment at which the id was that person's. None if it still is.
    pub(super) until: Option<Time>,
}

/// The moment at which an id passes from one holder to the next.
#[derive(Clone, Copy)]
pub(super) struct Handover {
    /// The last moment of the one.
    pub(super) until: Time,
    /// The time from which the other is known.
    pub(super) since: Time,
}

impl Handover {
    /// A handover that a message shows: it is the first thing that is known of the new holder.
    pub(super) fn at(since: Time) -> Self {
        Self { until: just_before(since), since }
    }

    /// A handover right after the last moment of a holder.
    pub(super) fn after(until: Time) -> Self {
        Self { until, since: until.next() }
    }

    /// A handover that the news of a change tells. Its time is in whole seconds, and messages of that second are still the
    /// old holder's.
    pub(super) fn told_at(since: Time) -> Self {
        Self { until: Time::from_millis(since.seconds() * 1000 + 999), since }
    }
}

/// The last moment before a time.
pub(super) fn just_before(at: Time) -> Time {
    Time::from_millis(at.millis() - 1)
}
