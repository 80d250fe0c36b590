//! The ids that an update names.

use crate::id::ContactId;
use crate::time::Time;

/// The ids of one person: a phone number, a user id, or both.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Ids {
    /// The phone number.
    pub phone: Option<ContactId>,
    /// WhatsApp's user id.
    pub user: Option<ContactId>,
}

impl Ids {
    /// The ids one by one, the number first.
    pub fn iter(&self) -> impl Iterator<Item = &ContactId> {
        self.phone.iter().chain(&self.user)
    }

    /// The id under which an update goes into the history. That is the user id where the update names one, since numbers
    /// change hands and user ids hardly ever do.
    #[must_use]
    pub fn home(&self) -> Option<&ContactId> {
        self.user.as_ref().or(self.phone.as_ref())
    }

    /// The id under which the contact is kept: the number or, without one, the user id.
    #[must_use]
    pub fn first(&self) -> Option<&ContactId> {
        self.iter().next()
    }

    /// Whether the id is one of these.
    pub(super) fn contain(&self, id: &ContactId) -> bool {
        self.iter().any(|own| own == id)
    }
}

impl From<ContactId> for Ids {
    fn from(id: ContactId) -> Self {
        match id {
            ContactId::Phone(_) => Self { phone: Some(id), user: None },
            ContactId::User(_) => Self { phone: None, user: Some(id) },
        }
    }
}

/// The ids that an update names, with its time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sighting {
    /// The ids of the person whom the update is about.
    pub ids: Ids,
    /// The ids that the person has from then on, where the update is the news of a change.
    pub moved_to: Option<Ids>,
    /// The time of the update. None for a change by staff, which is about the present holder of the id.
    pub at: Option<Time>,
    /// The time at which a restriction counts that follows from merging two contacts.
    pub joins_at: Time,
}

impl Sighting {
    /// The sighting of the present holder of an id.
    #[must_use]
    pub fn of(id: ContactId) -> Self {
        Self { ids: id.into(), ..Self::default() }
    }

    /// The sighting of the person who held an id at a time.
    #[must_use]
    pub fn then(id: ContactId, at: Time) -> Self {
        Self { at: Some(at), ..Self::of(id) }
    }

    /// All ids that the update names, those after a change included.
    pub fn named(&self) -> impl Iterator<Item = &ContactId> {
        self.ids.iter().chain(self.moved_to.iter().flat_map(Ids::iter))
    }
}
