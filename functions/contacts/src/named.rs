//! Somebody, as a path or a change names them.

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

/// An id, and what it tells of the person besides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named {
    /// The id in its canonical form.
    pub id: ContactId,
    phone: Option<String>,
}

impl Named {
    /// Whoever the id leads to.
    pub fn sighting(&self) -> Sighting {
        Sighting::of(self.id.clone())
    }

    /// What to keep of the person beside the key. A number that a message came from stays: confirmations go there.
    pub fn profile(&self, contact: &Contact) -> Profile {
        Profile { phone: self.phone.clone().filter(|_| contact.phone.is_none()), name: None }
    }
}

impl FromStr for Named {
    type Err = InvalidContactId;

    fn from_str(text: &str) -> Result<Self, InvalidContactId> {
        let id = text.parse()?;
        let phone = text.parse::<Phone>().ok().map(|phone| phone.digits().to_owned());
        Ok(Self { id, phone })
    }
}

/// The parameter of a path.
impl<S: Send + Sync> FromRequestParts<S> for Named {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let path: Result<Path<String>, PathRejection> = Path::from_request_parts(parts, state).await;
        let Path(text) = path.map_err(|rejection| Problem::field("id", rejection.body_text()))?;
        text.parse().map_err(|error: InvalidContactId| Problem::field("id", error.to_string()))
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
    fn a_user_id_is_no_number() {
        let named: Named = "US.13491208655302741918".parse().unwrap();
        assert_eq!(named.profile(&Contact::default()).phone, None);
    }
}
