//! A contact as a path or a change names it.

use std::str::FromStr;

use axum::extract::rejection::PathRejection;
use axum::extract::{FromRequestParts, Path};
use axum::http::request::Parts;
use consent::contact::Contact;
use consent::decision::Profile;
use consent::http::Problem;
use consent::id::{ContactId, InvalidContactId};
use consent::identity::Sighting;
use consent::phone::Phone;

/// A contact's id, and the number as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named {
    /// The id in its canonical form.
    pub id: ContactId,
    phone: Option<String>,
}

impl Named {
    /// The sighting of the id, without a time of its own.
    pub fn sighting(&self) -> Sighting {
        Sighting::of(self.id.clone())
    }

    /// The profile to store. A number that came from WhatsApp is not replaced, since confirmations are sent to it.
    pub fn profile(&self, contact: &Contact) -> Profile {
        Profile { phone: self.phone.clone().filter(|_| contact.phone.is_none()), name: None }
    }
}

impl Named {
    /// Reads a contact from a path. Plain digits are a number in WhatsApp's form, so that every contact that came from
    /// WhatsApp can be named. Any other form is read as people write numbers.
    fn in_path(text: &str) -> Result<Self, InvalidContactId> {
        let digits = text.strip_prefix('+').unwrap_or(text);
        let is_plain = digits.bytes().all(|byte| byte.is_ascii_digit());
        // Without a `+`, a leading 0 is a dialling prefix.
        if !is_plain || text.starts_with('0') {
            return text.parse();
        }
        let phone = Phone::received(text)?;
        Ok(Self { id: ContactId::from(&phone), phone: Some(phone.digits().to_owned()) })
    }
}

/// Reads a contact's id as people and their tools write it.
impl FromStr for Named {
    type Err = InvalidContactId;

    fn from_str(text: &str) -> Result<Self, InvalidContactId> {
        let id = text.parse()?;
        let phone = text.parse::<Phone>().ok().map(|phone| phone.digits().to_owned());
        Ok(Self { id, phone })
    }
}

/// Reads the parameter `id` of a path.
impl<S: Send + Sync> FromRequestParts<S> for Named {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let path: Result<Path<String>, PathRejection> = Path::from_request_parts(parts, state).await;
        let Path(text) = path.map_err(|rejection| Problem::field("id", rejection.body_text()))?;
        Self::in_path(&text).map_err(|error| Problem::field("id", error.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_as_given_is_kept_where_none_is_known() {
        let named: Named = "+52 1 55 1234 5678".parse().unwrap();
        assert_eq!(named.id.as_str(), "+525512345678");
        let unknown = Contact::default();
        assert_eq!(named.profile(&unknown).phone.as_deref(), Some("5215512345678"));
        let received = Contact { phone: Some("5215512345678".into()), ..Contact::default() };
        assert_eq!("525512345678".parse::<Named>().unwrap().profile(&received).phone, None);
    }

    #[test]
    fn a_path_names_whomever_whatsapp_knows() {
        for (text, id) in [
            ("1234567", "+1234567"),
            ("+4407700900123", "+4407700900123"),
            ("+0123456789", "+0123456789"),
            ("5215512345678", "+525512345678"),
            ("0014155550123", "+14155550123"),
            ("+1 (415) 555-0123", "+14155550123"),
            ("US.13491208655302741918", "US.13491208655302741918"),
        ] {
            assert_eq!(Named::in_path(text).unwrap().id.as_str(), id);
        }
        for bad in ["+44 07700 900123", "14155550123.0", "(415) 555-0123", "0123456789", "123456", ""] {
            assert!(Named::in_path(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_user_id_is_no_number() {
        let named: Named = "US.13491208655302741918".parse().unwrap();
        assert_eq!(named.profile(&Contact::default()).phone, None);
    }
}
