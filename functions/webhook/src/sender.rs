//! The customer of an update. WhatsApp names customers by number, by user id, or by both.
//!
//! A number stands in `from`, `wa_id` or `recipient_id`, a user id (business-scoped, such as `US.1349…`) in
//! `from_user_id`, `user_id` or `recipient_user_id`:
//! <https://developers.facebook.com/documentation/business-messaging/whatsapp/business-scoped-user-ids>

use consent::decision::Profile;
use consent::id::{ContactId, UserId, cut};
use consent::identity::Ids;
use consent::phone::Phone;
use serde_json::Value;

/// Maximum length of a customer's profile name, in bytes. The rest is cut off.
const NAME_BYTES: usize = 256;

/// A customer as an update names it.
#[derive(Clone, Debug)]
pub struct Sender {
    /// The customer's ids in this system.
    pub ids: Ids,
    /// The id as received, in the form that the Graph API takes: `+` and digits, or a user id.
    pub recipient: String,
    /// The number as received and the name.
    pub profile: Profile,
}

/// The two JSON fields that may name a customer.
#[derive(Clone, Copy, Debug)]
pub struct IdFields<'a> {
    /// The field for a number, such as `wa_id`.
    pub number: Option<&'a Value>,
    /// The field for a user id, such as `user_id`.
    pub user_id: Option<&'a Value>,
}

/// The number and the user id in two fields. WhatsApp may write either id in either field.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NamedIds {
    /// The phone number.
    pub phone: Option<Phone>,
    /// The user id.
    pub user: Option<UserId>,
}

impl NamedIds {
    /// Reads two fields. Where both hold an id of the same kind, the one in its own field counts.
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

    /// The ids. None if both are missing.
    pub fn ids(&self) -> Option<Ids> {
        let ids =
            Ids { phone: self.phone.as_ref().map(ContactId::from), user: self.user.as_ref().map(ContactId::from) };
        ids.first().is_some().then_some(ids)
    }

    /// The number alone, or the user id where there is no number. For updates whose two ids may be of different times.
    #[must_use]
    pub fn number_or_user(self) -> Self {
        let user = self.user.filter(|_| self.phone.is_none());
        Self { user, ..self }
    }

    /// The customer with these ids. `person` is the customer's entry in `contacts` and adds missing ids and the name.
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

    /// Returns true if an entry of `contacts` names the same person.
    fn is_one_of(&self, listed: &Self) -> bool {
        let id = |phone: &Option<Phone>| phone.as_ref().map(ContactId::from);
        (self.phone.is_some() && id(&self.phone) == id(&listed.phone))
            || (self.user.is_some() && self.user == listed.user)
    }
}

impl From<ContactId> for Sender {
    /// The customer with an id of this system.
    fn from(id: ContactId) -> Self {
        Self { recipient: id.to_string(), ids: id.into(), profile: Profile::default() }
    }
}

/// The customer of an update. `fields` are the names of its fields for the number and the user id. Where both are missing,
/// the customer is the only entry in `contacts`.
pub fn sender<'a>(update: &Value, fields: [&str; 2], people: &'a [Value]) -> Option<Sender> {
    let named = NamedIds::of(update, fields);
    if named.ids().is_some() {
        let own = people.iter().find(|person| named.is_one_of(&listed(person)));
        // An entry without any id can only be the sender's if it is the only one.
        let only = |people: &'a [Value]| people.first().filter(|person| people.len() == 1 && has_no_id(person));
        return named.clone().sender(own.or_else(|| only(people)));
    }
    match people {
        [person] => named.sender(Some(person)),
        _ => None,
    }
}

/// The ids in an entry of `contacts`.
fn listed(person: &Value) -> NamedIds {
    NamedIds::of(person, ["wa_id", "user_id"])
}

/// Returns true for an entry of `contacts` without an id.
fn has_no_id(person: &Value) -> bool {
    person.get("wa_id").is_none() && person.get("user_id").is_none()
}

/// The channel's own number, from `display_phone_number`. It may have spaces, dashes and brackets in it.
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

/// A string, or a whole number as a string.
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
