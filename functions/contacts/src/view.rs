//! Contacts in the form in which the API shows them.

use consent::contact::{Category, Contact, Source, Status, Suppression};
use consent::eligibility::{OptIn, may_receive};
use consent::id::{ContactId, UserId};
use consent::settings::SavedSettings;
use consent::time::Rfc3339;
use serde::Serialize;

/// A contact.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema), schemars(rename = "Contact"))]
#[serde(untagged)]
pub enum ContactView {
    /// A contact that was not erased.
    Person(Box<PersonView>),
    /// A contact that was erased.
    Erased(ErasedView),
}

/// A contact that was not erased, with all that is known of it.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema), schemars(rename = "KnownContact"))]
pub struct PersonView {
    /// Id under which the contact is kept: the canonical phone number if it is known, else the user id.
    id: ContactId,
    /// Phone number as WhatsApp sent it, for showing and sending.
    phone: Option<String>,
    /// WhatsApp's business-scoped user id.
    user_id: Option<String>,
    /// Name of the WhatsApp profile.
    name: Option<String>,
    /// Consent to marketing.
    status: Status,
    /// Time of the event that last changed the status when it was processed.
    status_changed_at: Option<Rfc3339>,
    /// Origin of that event.
    source: Option<Source>,
    /// Staff lets no message at all go to the contact.
    blocked: bool,
    /// The customer stopped marketing with WhatsApp's own control.
    provider_stopped: bool,
    /// Time of an opt-out that arrived after staff had opted the contact in at a later time. Staff should look at it.
    unheeded_opt_out_at: Option<Rfc3339>,
    /// Messages that may go to the contact, by category.
    can_receive: CanReceive,
}

/// A contact that was erased. Its suppression stays, and nothing else.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema), schemars(rename = "ErasedContact"))]
pub struct ErasedView {
    /// Id that the request named.
    id: ContactId,
    /// Consent to marketing.
    status: Status,
    /// Staff lets no message at all go to the contact.
    blocked: bool,
    /// The customer stopped marketing with WhatsApp's own control.
    provider_stopped: bool,
    /// Messages that may go to the contact, by category.
    can_receive: CanReceive,
}

/// Messages that may go to a contact, by WhatsApp's category.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[expect(clippy::struct_excessive_bools, reason = "each is an answer of its own")]
pub struct CanReceive {
    /// Promotions.
    marketing: bool,
    /// Orders, shipping, delivery and the like.
    utility: bool,
    /// One-time passwords.
    authentication: bool,
    /// Answers to the customer's messages.
    service: bool,
}

impl ContactView {
    /// The view of a contact whose tenant has these settings, if any.
    pub fn new(id: ContactId, contact: Contact, settings: Option<&SavedSettings>) -> Self {
        let status = contact.status();
        let suppression = contact.suppression();
        let (blocked, provider_stopped) = (suppression.blocked, suppression.provider_stopped);
        let is_opt_in_required = settings.is_some_and(|saved| saved.settings.require_opt_in());
        let opt_in = if is_opt_in_required { OptIn::required_of(status) } else { OptIn::NotRequired };
        let can_receive = CanReceive::new(suppression, opt_in);
        if contact.is_erased() {
            return Self::Erased(ErasedView { id, status, blocked, provider_stopped, can_receive });
        }
        Self::Person(Box::new(PersonView {
            phone: contact.phone.or_else(|| id.as_str().strip_prefix('+').map(str::to_owned)),
            user_id: contact.user_id.or_else(|| id.user_id().cloned()).map(UserId::into),
            name: contact.name,
            status,
            status_changed_at: contact.status_changed_at.map(Rfc3339),
            source: contact.source,
            blocked,
            provider_stopped,
            unheeded_opt_out_at: contact.unheeded_opt_out_at.map(Rfc3339),
            can_receive,
            id,
        }))
    }
}

impl CanReceive {
    fn new(suppression: Suppression, opt_in: OptIn) -> Self {
        let may = |category| may_receive(category, suppression, opt_in).is_ok();
        Self {
            marketing: may(Category::Marketing),
            utility: may(Category::Utility),
            authentication: may(Category::Authentication),
            service: may(Category::Service),
        }
    }
}

#[cfg(test)]
mod tests {
    use consent::settings::{Settings, SettingsDraft};
    use consent::time::Time;
    use serde_json::{Value, json};

    use super::*;

    fn view(id: &str, contact: &Contact, settings: Option<&SavedSettings>) -> Value {
        serde_json::to_value(ContactView::new(id.parse().unwrap(), contact.clone(), settings)).unwrap()
    }

    fn at(millis: i64) -> Time {
        Time::from_millis(millis)
    }

    #[test]
    fn a_contact_shows_every_field_whether_it_is_known_or_not() {
        let mut contact = Contact { status_changed_at: Some(at(1_795_341_600_000)), ..Contact::default() };
        contact.opt_out.set_at(at(1_795_341_600_000));
        contact.source = Some(Source::Keyword);
        assert_eq!(
            view("+14155550123", &contact, None),
            json!({
                "id": "+14155550123", "phone": "14155550123", "user_id": null, "name": null, "status": "opted_out",
                "status_changed_at": "2026-11-22T10:00:00.000Z", "source": "keyword", "blocked": false,
                "provider_stopped": false, "unheeded_opt_out_at": null,
                "can_receive": {"marketing": false, "utility": true, "authentication": true, "service": true}
            })
        );
    }

    #[test]
    fn of_someone_erased_nothing_shows_but_what_stands() {
        let mut blocked = Contact { name: Some("Sheena".into()), ..Contact::default() };
        blocked.block.set_at(at(4));
        let erased = blocked.erased(at(5));
        assert_eq!(
            view("+14155550123", &erased, None),
            json!({
                "id": "+14155550123", "status": "unknown", "blocked": true, "provider_stopped": false,
                "can_receive": {"marketing": false, "utility": false, "authentication": false, "service": false}
            })
        );
    }

    #[test]
    fn the_number_as_received_goes_before_the_one_in_the_id() {
        let contact = Contact { phone: Some("5215512345678".into()), ..Contact::default() };
        assert_eq!(view("+525512345678", &contact, None)["phone"], "5215512345678");
    }

    #[test]
    fn someone_who_hides_the_number_shows_the_user_id() {
        let shown = view("US.13491208655302741918", &Contact::default(), None);
        assert_eq!((&shown["phone"], &shown["user_id"]), (&Value::Null, &json!("US.13491208655302741918")));
    }

    #[test]
    fn where_opt_in_is_demanded_silence_gets_no_marketing() {
        let draft = SettingsDraft {
            opt_out_keywords: vec!["STOP".into()],
            opt_in_keywords: vec!["START".into()],
            require_opt_in: true,
            ..SettingsDraft::default()
        };
        let demanding = SavedSettings { settings: Settings::new(draft).unwrap(), ..SavedSettings::default() };
        let marketing =
            |settings| view("+14155550123", &Contact::default(), settings)["can_receive"]["marketing"].clone();
        assert_eq!(marketing(None), true);
        assert_eq!(marketing(Some(&demanding)), false);
    }
}
