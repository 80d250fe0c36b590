//! Senders, as WhatsApp names customers: by number, by user id, or by both.

use consent::decision::Profile;
use consent::id::{ContactId, UserId, cut};
use consent::identity::Ids;
use consent::phone::Phone;
use serde_json::Value;

/// Bytes of a shown name that are kept, at most.
const NAME_BYTES: usize = 256;

/// A customer as an update names it.
#[derive(Clone, Debug)]
pub struct Sender {
    /// The ids.
    pub ids: Ids,
    /// The id as received, in the form the Graph API takes.
    pub recipient: String,
    /// The profile that the update shows.
    pub profile: Profile,
}

/// The two fields that name a customer.
#[derive(Clone, Copy, Debug)]
pub struct IdFields<'a> {
    /// The field for a phone number.
    pub number: Option<&'a Value>,
    /// The field for a user id.
    pub user_id: Option<&'a Value>,
}

/// The number and the user id that two fields hold. Each field is read for what it is: either id may stand in the field of
/// the other kind.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NamedIds {
    /// The phone number.
    pub phone: Option<Phone>,
    /// The user id.
    pub user: Option<UserId>,
}

impl NamedIds {
    /// Reads a field for numbers and one for user ids. Where both hold an id of one kind, that in its own field counts.
    pub fn read(IdFields { number, user_id }: IdFields) -> Self {
        Self {
            phone: number.and_then(phone).or_else(|| phone(user_id?)),
            user: user_id.and_then(user).or_else(|| user(number?)),
        }
    }

    /// Reads the two fields of an object.
    pub fn of(object: &Value, [number, user_id]: [&str; 2]) -> Self {
        Self::read(IdFields { number: object.get(number), user_id: object.get(user_id) })
    }

    /// The ids, unless there are none.
    pub fn ids(&self) -> Option<Ids> {
        let ids =
            Ids { phone: self.phone.as_ref().map(ContactId::from), user: self.user.as_ref().map(ContactId::from) };
        ids.first().is_some().then_some(ids)
    }

    /// One of the ids alone, the number where it is told: where the other may be an older or a newer one than this.
    #[must_use]
    pub fn number_or_user(self) -> Self {
        let user = self.user.filter(|_| self.phone.is_none());
        Self { user, ..self }
    }

    /// The customer of these ids, with what an entry of the list beside the updates tells of the person.
    pub fn sender(self, person: Option<&Value>) -> Option<Sender> {
        let beside = person.map(listed).unwrap_or_default();
        let named = Self { phone: self.phone.or(beside.phone), user: self.user.or(beside.user) };
        let ids = named.ids()?;
        let Self { phone, user } = named;
        let recipient = phone.as_ref().map(Phone::to_string).or_else(|| user.map(String::from))?;
        let name = person.and_then(|person| person.pointer("/profile/name")?.as_str());
        let profile = Profile {
            phone: phone.map(|phone| phone.digits().to_owned()),
            name: name.filter(|name| !name.is_empty()).map(|name| cut(name, NAME_BYTES).to_owned()),
        };
        Some(Sender { ids, recipient, profile })
    }

    /// True if an entry of the list is about the same person.
    fn is_one_of(&self, listed: &Self) -> bool {
        let id = |phone: &Option<Phone>| phone.as_ref().map(ContactId::from);
        (self.phone.is_some() && id(&self.phone) == id(&listed.phone))
            || (self.user.is_some() && self.user == listed.user)
    }
}

impl From<ContactId> for Sender {
    /// A customer whom the system knows already, under this id.
    fn from(id: ContactId) -> Self {
        Self { recipient: id.to_string(), ids: id.into(), profile: Profile::default() }
    }
}

/// The sender of an update, by its fields for number and user id or, where neither has one, the only customer that is named
/// beside it.
pub fn sender<'a>(update: &Value, fields: [&str; 2], people: &'a [Value]) -> Option<Sender> {
    let named = NamedIds::of(update, fields);
    if named.ids().is_some() {
        let own = people.iter().find(|person| named.is_one_of(&listed(person)));
        // An entry without any id can only be the sender's if it is the only one.
        let only = |people: &'a [Value]| people.first().filter(|person| people.len() == 1 && is_nobody(person));
        return named.clone().sender(own.or_else(|| only(people)));
    }
    match people {
        [person] => named.sender(Some(person)),
        _ => None,
    }
}

/// The ids of an entry of the list beside the updates.
fn listed(person: &Value) -> NamedIds {
    NamedIds::of(person, ["wa_id", "user_id"])
}

/// True if a person is named by no id.
fn is_nobody(person: &Value) -> bool {
    person.get("wa_id").is_none() && person.get("user_id").is_none()
}

/// The number that a channel shows: what comes from it is written by the business itself. It may be written as people write
/// numbers.
pub fn own_number(metadata: &Value) -> Option<ContactId> {
    let shown = text(metadata.get("display_phone_number")?)?;
    let digits: String = shown.chars().filter(char::is_ascii_digit).collect();
    Some(ContactId::from(&Phone::received(&digits).ok()?))
}

fn phone(value: &Value) -> Option<Phone> {
    Phone::received(&text(value)?).ok()
}

fn user(value: &Value) -> Option<UserId> {
    value.as_str()?.parse().ok()
}

/// A text, or a whole number as text.
pub fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) if number.is_u64() => Some(number.to_string()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_id_in_its_own_field_goes_before_one_in_the_other() {
        let named = |number: &str, user_id: &str| {
            NamedIds::of(&json!({"number": number, "user_id": user_id}), ["number", "user_id"])
        };
        let read = |named: NamedIds| (named.phone.map(|phone| phone.to_string()), named.user.map(String::from));
        let (phone, user) = (Some("+14155550101".to_owned()), Some("US.1".to_owned()));
        assert_eq!(read(named("14155550101", "US.1")), (phone.clone(), user.clone()));
        assert_eq!(read(named("US.1", "14155550101")), (phone.clone(), user.clone()));
        assert_eq!(read(named("14155550101", "14155550102")), (phone, None));
        assert_eq!(read(named("US.2", "US.1")), (None, user));
        assert_eq!(read(named("me", "you")), (None, None));
    }
}
