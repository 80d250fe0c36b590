//! Who an update is about, as WhatsApp names customers: by number, by user id, or by both.

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
    /// What it is found under.
    pub ids: Ids,
    /// The id as received, in the form the Graph API takes.
    pub recipient: String,
    /// What else is told of the person.
    pub profile: Profile,
}

/// Whose an update is: what its fields for number and user id tell; where neither does, the only customer that is named
/// beside it.
pub fn sender<'a>(update: &Value, [number, user_id]: [&str; 2], people: &'a [Value]) -> Option<Sender> {
    let phone = update.get(number).and_then(phone);
    let user = update.get(user_id).and_then(user);
    if phone.is_some() || user.is_some() {
        let is_sender = |person: &&Value| {
            let same_phone = person.get("wa_id").and_then(self::phone).map(|phone| ContactId::from(&phone));
            (phone.is_some() && same_phone == phone.as_ref().map(ContactId::from))
                || (user.is_some() && person.get("user_id").and_then(self::user) == user)
        };
        // An entry without any id can only be the sender's if it is the only one.
        let only = |people: &'a [Value]| people.first().filter(|person| people.len() == 1 && is_nobody(person));
        return named(phone.clone(), user.clone(), people.iter().find(is_sender).or_else(|| only(people)));
    }
    match people {
        [person] => named(None, None, Some(person)),
        _ => None,
    }
}

/// Whether a person is named by no id.
fn is_nobody(person: &Value) -> bool {
    person.get("wa_id").is_none() && person.get("user_id").is_none()
}

/// A customer by number and user id, as far as these are told or stand beside the name.
pub fn named(phone: Option<Phone>, user: Option<UserId>, person: Option<&Value>) -> Option<Sender> {
    let phone = phone.or_else(|| self::phone(person?.get("wa_id")?));
    let user = user.or_else(|| self::user(person?.get("user_id")?));
    let ids = Ids { phone: phone.as_ref().map(ContactId::from), user: user.as_ref().map(ContactId::from) };
    let recipient = phone.as_ref().map(Phone::to_string).or_else(|| user.map(String::from))?;
    let name = person.and_then(|person| person.pointer("/profile/name")?.as_str());
    let profile = Profile {
        phone: phone.map(|phone| phone.digits().to_owned()),
        name: name.filter(|name| !name.is_empty()).map(|name| cut(name, NAME_BYTES).to_owned()),
    };
    Some(Sender { ids, recipient, profile })
}

/// The number that a channel shows: what comes from it is written by the business itself. It may be written as people write
/// numbers.
pub fn own_number(metadata: &Value) -> Option<ContactId> {
    let shown = text(metadata.get("display_phone_number")?)?;
    let digits: String = shown.chars().filter(char::is_ascii_digit).collect();
    Some(ContactId::from(&digits.parse::<Phone>().ok()?))
}

/// A phone number, if it is one.
pub fn phone(value: &Value) -> Option<Phone> {
    text(value)?.parse().ok()
}

/// A user id, if it is one.
pub fn user(value: &Value) -> Option<UserId> {
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
