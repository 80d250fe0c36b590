//! The body of `POST /local/messages`: an action of a customer.

use std::ops::RangeInclusive;

use consent::id::UserId;
use serde::Deserialize;
use serde_json::Value;
use uuid::Uuid;

use crate::body::{self, Field, Refused};
use crate::update;
use crate::update::{
    Button, Choice, Contact, Content, Context, Interactive, Media, Preference, Profile, System, Update,
};

/// The fields of which a body has exactly one.
const ACTIONS: &str = "text, button, reply, list_reply, image, video, document, preference, number_changed_to, \
                       user_id_changed_to";

/// An action of a customer.
pub(super) struct Message {
    pub channel: String,
    /// The timestamp, in seconds since 1970, if the body has one.
    pub timestamp: Option<i64>,
    /// The update's id. None for a preference, which has none in WhatsApp either.
    pub id: Option<String>,
    sender: CustomerIds,
    name: Option<String>,
    action: Action,
}

/// The ids of the customer: at least one of them.
#[derive(Clone, Debug, Default, PartialEq)]
struct CustomerIds {
    /// The digits of the phone number.
    phone: Option<String>,
    /// The business-scoped user id.
    user_id: Option<String>,
}

enum Action {
    Say(Content),
    Press(Content),
    Prefer(Intent),
    ChangeNumber { to: String },
    ChangeUserId { from: String, to: String },
}

/// The body as JSON.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Described {
    from: Option<String>,
    from_user_id: Option<String>,
    name: Option<String>,
    channel: Option<String>,
    id: Option<String>,
    timestamp: Option<Value>,
    text: Option<String>,
    button: Option<Button>,
    reply: Option<Choice>,
    list_reply: Option<Choice>,
    image: Option<Captioned>,
    video: Option<Captioned>,
    document: Option<Captioned>,
    preference: Option<Intent>,
    number_changed_to: Option<String>,
    user_id_changed_to: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Captioned {
    caption: Option<String>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Intent {
    Stop,
    Resume,
    Signup,
}

impl Message {
    /// Parses a body.
    ///
    /// # Errors
    /// A field is missing, unknown or does not fit, or there is more than one action.
    pub fn read(body: &str) -> Result<Self, Refused> {
        let mut described: Described = body::read(body)?;
        let from = described.from.take().map(|from| phone(Field("from"), &from)).transpose()?;
        let from_user_id = described.from_user_id.take();
        let from_user_id = from_user_id.map(|user| user_id(Field("from_user_id"), user)).transpose()?;
        let sender = CustomerIds { phone: from, user_id: from_user_id };
        if sender == CustomerIds::default() {
            return Err(Refused::new(Field("from"), "is missing: give the customer's number, or from_user_id"));
        }
        let channel = described.channel.take().unwrap_or_else(|| crate::DEMO_CHANNEL.to_owned());
        let channel = digits(&channel, 1..=32)
            .ok_or_else(|| Refused::new(Field("channel"), "is the phone_number_id, digits only"))?;
        let timestamp = described.timestamp.as_ref().map(seconds).transpose()?;
        let (id, name) = (described.id.take(), described.name.take());
        let action = described.action(&sender)?;
        if id.as_deref() == Some("") {
            return Err(Refused::new(Field("id"), "is empty: leave it out, or give one"));
        }
        if id.is_some() && matches!(action, Action::Prefer(_)) {
            return Err(Refused::new(Field("id"), "is not part of a preference: leave it out"));
        }
        if name.is_some() && matches!(action, Action::ChangeNumber { .. } | Action::ChangeUserId { .. }) {
            return Err(Refused::new(Field("name"), "is not told with a change of number or user id: leave it out"));
        }
        let id = (!matches!(action, Action::Prefer(_))).then(|| id.unwrap_or_else(new_id));
        Ok(Self { channel, timestamp, id, sender, name, action })
    }

    /// Every id that the customer has before or after the action.
    pub fn senders(&self) -> Vec<&str> {
        let new = match &self.action {
            Action::ChangeNumber { to } | Action::ChangeUserId { to, .. } => Some(to.as_str()),
            _ => None,
        };
        [self.sender.phone.as_deref(), self.sender.user_id.as_deref(), new].into_iter().flatten().collect()
    }

    /// WhatsApp's update for the action, at a time in seconds since 1970, with the customer for the list `contacts`.
    pub fn update(self, time: i64) -> (Option<Contact>, Update) {
        let ids = self.sender.clone();
        let CustomerIds { phone, user_id: user } = self.sender;
        let profile = self.name.map(|name| Profile { name });
        let contact = Contact { profile, wa_id: phone.clone(), user_id: user.clone() };
        let message = |from: Option<String>, from_user_id, content: Content, context| {
            let (id, timestamp) = (self.id.unwrap_or_default(), time.to_string());
            Update::Messages([update::Message {
                from,
                from_user_id,
                id,
                timestamp,
                r#type: content.kind(),
                content,
                context,
            }])
        };
        match self.action {
            Action::Say(content) => (Some(contact), message(phone, user, content, None)),
            Action::Press(content) => {
                let pressed_on = Context { from: crate::DEMO_NUMBER, id: new_id() };
                (Some(contact), message(phone, user, content, Some(pressed_on)))
            }
            Action::Prefer(wish) => (Some(contact), Update::UserPreferences([wish.preference(ids, time)])),
            Action::ChangeNumber { to } => {
                let body = format!("User changed from {} to {to}", phone.as_deref().unwrap_or_default());
                let system = System::UserChangedNumber { body, wa_id: to };
                (None, message(phone, user, Content::System(system), None))
            }
            Action::ChangeUserId { from, to } => {
                let body = format!("User changed from {from} to {to}");
                let system = System::UserChangedUserId { body, user_id: to, previous_user_id: from };
                (None, message(phone, None, Content::System(system), None))
            }
        }
    }
}

impl Described {
    fn action(self, sender: &CustomerIds) -> Result<Action, Refused> {
        let picture = |media: Captioned| media.file("image/jpeg");
        let reply = |button_reply| Content::Interactive(Interactive::ButtonReply { button_reply });
        let list_reply = |list_reply| Content::Interactive(Interactive::ListReply { list_reply });
        let number = |to: String| change_of_number(sender, &to);
        let user_id = |to: String| change_of_user_id(sender, to);
        let given = [
            self.text.map(|body| ("text", Ok(Action::Say(Content::Text { body })))),
            self.button.map(|button| ("button", pressed(button))),
            self.reply.map(|choice| ("reply", Ok(Action::Press(reply(choice))))),
            self.list_reply.map(|choice| ("list_reply", Ok(Action::Press(list_reply(choice))))),
            self.image.map(|media| ("image", Ok(Action::Say(Content::Image(picture(media)))))),
            self.video.map(|media| ("video", Ok(Action::Say(Content::Video(media.file("video/mp4")))))),
            self.document.map(|media| ("document", Ok(Action::Say(Content::Document(media.file("application/pdf")))))),
            self.preference.map(|wish| ("preference", Ok(Action::Prefer(wish)))),
            self.number_changed_to.map(|to| ("number_changed_to", number(to))),
            self.user_id_changed_to.map(|to| ("user_id_changed_to", user_id(to))),
        ];
        let mut given = given.into_iter().flatten();
        let Some((first, action)) = given.next() else {
            return Err(Refused::new(Field("text"), &format!("is missing: give exactly one of {ACTIONS}")));
        };
        match given.next() {
            Some((second, _)) => {
                Err(Refused::new(Field(second), &format!("stands beside {first}: give exactly one of {ACTIONS}")))
            }
            None => action,
        }
    }
}

impl Captioned {
    fn file(self, mime_type: &'static str) -> Media {
        let sha256 = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";
        Media { caption: self.caption, mime_type, sha256, id: "1003383421387256" }
    }
}

impl Intent {
    fn preference(self, CustomerIds { phone: wa_id, user_id }: CustomerIds, timestamp: i64) -> Preference {
        let (value, detail) = match self {
            Self::Stop => ("stop", "User requested to stop marketing messages"),
            Self::Resume => ("resume", "User requested to resume marketing messages"),
            Self::Signup => ("signup", "User signed up for marketing messages"),
        };
        let signup_id = matches!(self, Self::Signup).then_some("local-signup");
        Preference { wa_id, user_id, detail, category: "marketing_messages", value, signup_id, timestamp }
    }
}

fn pressed(button: Button) -> Result<Action, Refused> {
    if button.payload.is_none() && button.text.is_none() {
        return Err(Refused::new(Field("button"), "is empty: give payload, text, or both"));
    }
    Ok(Action::Press(Content::Button(button)))
}

fn change_of_number(sender: &CustomerIds, to: &str) -> Result<Action, Refused> {
    if sender.phone.is_none() {
        return Err(Refused::new(Field("from"), "is missing: give the old number beside number_changed_to"));
    }
    Ok(Action::ChangeNumber { to: phone(Field("number_changed_to"), to)? })
}

fn change_of_user_id(sender: &CustomerIds, to: String) -> Result<Action, Refused> {
    let Some(from) = sender.user_id.clone() else {
        return Err(Refused::new(Field("from_user_id"), "is missing: give the old user id beside user_id_changed_to"));
    };
    Ok(Action::ChangeUserId { from, to: user_id(Field("user_id_changed_to"), to)? })
}

fn new_id() -> String {
    format!("wamid.local-{}", Uuid::now_v7().simple())
}

/// A phone number as WhatsApp writes it: 7 to 15 digits. A leading `+` is removed.
fn phone(field: Field, text: &str) -> Result<String, Refused> {
    digits(text.strip_prefix('+').unwrap_or(text), 7..=15)
        .ok_or_else(|| Refused::new(field, "is a phone number of 7 to 15 digits, as WhatsApp writes it: 14155550123"))
}

/// The text, if it is digits only and its length is within the range.
fn digits(text: &str, length: RangeInclusive<usize>) -> Option<String> {
    let fits = length.contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    fits.then(|| text.to_owned())
}

fn user_id(field: Field, text: String) -> Result<String, Refused> {
    match text.parse::<UserId>() {
        Ok(_) => Ok(text),
        Err(error) => Err(Refused::new(field, &error.to_string())),
    }
}

/// Seconds since 1970, from a JSON number or a string.
fn seconds(value: &Value) -> Result<i64, Refused> {
    let seconds = value.as_i64().or_else(|| value.as_str().and_then(|text| text.parse().ok()));
    seconds
        .filter(|seconds| (0..=253_402_300_799).contains(seconds))
        .ok_or_else(|| Refused::new(Field("timestamp"), "is in whole seconds since 1970-01-01T00:00:00Z"))
}
