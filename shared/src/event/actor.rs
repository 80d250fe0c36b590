//! Actors: who made an event happen.

use serde::{Deserialize, Serialize};

use crate::contact::Source;
use crate::id::cut;

/// The most bytes of a user's name that are kept.
const NAME_BYTES: usize = 128;

/// The actor of an event: the customer, the system itself, or a user of the dashboard.
///
/// ```
/// use consent::event::Actor;
///
/// let user = Actor::user("customer", Some("Sheena"));
/// assert_ne!(user, Actor::Customer, "a user may be called anything");
/// assert_eq!(user.as_str(), "customer");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "StoredActor", from = "StoredActor")]
pub enum Actor {
    /// The customer, by a message or by WhatsApp's own control.
    Customer,
    /// The system, for example when it joins two contacts.
    System,
    /// A user of the dashboard, or a program that uses its API.
    User {
        /// The subject of the user's token (claim `sub`).
        subject: String,
        /// The user's name, where the token has one (claim `name`): at most 128 bytes.
        name: Option<String>,
    },
}

impl Actor {
    /// The user of this subject and name. A longer name is cut.
    #[must_use]
    pub fn user(subject: &str, name: Option<&str>) -> Self {
        let name = name.filter(|name| !name.is_empty()).map(|name| cut(name, NAME_BYTES).to_owned());
        Self::User { subject: subject.to_owned(), name }
    }

    /// The actor as the API's field `by` shows it: `customer`, `system`, or the user's subject.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Customer => CUSTOMER,
            Self::System => SYSTEM,
            Self::User { subject, .. } => subject,
        }
    }

    /// The actor of an event with this source. An item of a version that wrote no marker says `customer` also of a user
    /// whose subject is that word; its source tells the two apart.
    pub(super) fn of_source(self, source: Source) -> Self {
        match self {
            Self::Customer | Self::System if matches!(source, Source::Manual | Source::Batch) => {
                Self::user(self.as_str(), None)
            }
            actor => actor,
        }
    }
}

const CUSTOMER: &str = "customer";
const SYSTEM: &str = "system";

/// The actor as a history entry stores it. Versions before the marker `actor` wrote and read `by` alone.
#[derive(Serialize, Deserialize)]
struct StoredActor {
    by: String,
    /// The marker of a user: without it, `customer` and `system` are no user's subject.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    actor: Option<Marker>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    by_name: Option<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Marker {
    User,
    /// A kind of a later version.
    #[serde(other)]
    Other,
}

impl From<Actor> for StoredActor {
    fn from(actor: Actor) -> Self {
        let by = actor.as_str().to_owned();
        match actor {
            Actor::Customer | Actor::System => Self { by, actor: None, by_name: None },
            Actor::User { name, .. } => Self { by, actor: Some(Marker::User), by_name: name },
        }
    }
}

impl From<StoredActor> for Actor {
    fn from(StoredActor { by, actor, by_name }: StoredActor) -> Self {
        match (actor, by.as_str()) {
            (None, CUSTOMER) => Self::Customer,
            (None, SYSTEM) => Self::System,
            (Some(Marker::User | Marker::Other) | None, _) => Self::User { subject: by, name: by_name },
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn stored(actor: &Actor) -> Value {
        serde_json::to_value(actor).unwrap()
    }

    #[test]
    fn a_user_called_customer_is_no_customer() {
        let user = Actor::user("customer", None);
        assert_eq!(stored(&user), json!({"by": "customer", "actor": "user"}));
        assert_eq!(stored(&Actor::Customer), json!({"by": "customer"}));
        for actor in [user, Actor::Customer, Actor::System, Actor::user("ann", Some("Ann"))] {
            assert_eq!(serde_json::from_value::<Actor>(stored(&actor)).unwrap(), actor);
        }
    }

    #[test]
    fn items_without_a_marker_are_read_with_the_help_of_their_source() {
        let read = |by: &str, source| serde_json::from_value::<Actor>(json!({"by": by})).unwrap().of_source(source);
        assert_eq!(read("customer", Source::Keyword), Actor::Customer);
        assert_eq!(read("system", Source::Merge), Actor::System);
        assert_eq!(read("customer", Source::Manual), Actor::user("customer", None));
        assert_eq!(read("5f1c", Source::Batch), Actor::user("5f1c", None));
    }

    #[test]
    fn a_long_name_is_cut() {
        let Actor::User { name, .. } = Actor::user("ann", Some(&"é".repeat(100))) else { panic!() };
        assert_eq!(name.unwrap().len(), 128);
        assert_eq!(Actor::user("ann", Some("")), Actor::user("ann", None));
    }
}
