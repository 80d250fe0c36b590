//! Reads WhatsApp's JSON into the types of this crate. No other module knows the shapes of WhatsApp's fields.
//!
//! A body holds entries, an entry holds changes, and a change has a `field` and a `value`. The value holds `metadata`
//! (with the channel's `phone_number_id`), `contacts` (the customers of its updates) and one or more lists of updates:
//!
//! | `field` | list in `value` | meaning | result |
//! |---|---|---|---|
//! | [`messages`][m] | `messages[]` with a text, caption, button or list reply | a message from a customer | [`Content::Words`] |
//! | [`messages`][sys] | `messages[]` with `system.type` `user_changed_number` or `customer_changed_number` | the customer has a new number | [`Content::Moved`] |
//! | [`messages`][bsuid] | `messages[]` with `system.type` `user_changed_user_id` | the customer has a new user id | [`Content::Moved`] |
//! | [`messages`][pref] | `messages[]` with `system.type` `user_preference_changed` | older form of `user_preferences` | [`Content::Control`] |
//! | [`messages`][s] | `statuses[]` with our `biz_opaque_callback_data` | delivery report of a confirmation | [`Payload::reports`] |
//! | [`messages`][err] | `statuses[]` with the error code 131050 | the customer has stopped marketing | [`Content::Control`] |
//! | `standby` | `standby[]`, each with `messages[]` and `statuses[]` | the same, while another sender of the business answers | as in `messages` |
//! | [`history`][h] | `messages[]`, and `history[].threads[].messages[]` | messages from before the business joined | as in `messages` |
//! | [`user_preferences`][pref] | `user_preferences[]` with `value` `stop`, `resume` or `signup` | WhatsApp's own marketing control | [`Content::Control`] |
//! | [`user_id_update`][bsuid] | `user_id_update[]` with `user_id.previous` and `user_id.current` | the customer has a new user id | [`Content::Moved`] |
//!
//! All other fields and types are ignored.
//!
//! WhatsApp adds fields, types and kinds of updates at any time, leaves out others, and writes a number as a JSON number or
//! as a string. So an update needs only the fields without which it has no meaning, and one that can't be read leaves the
//! others of its body alone.
//!
//! [m]: https://developers.facebook.com/docs/whatsapp/cloud-api/webhooks/payload-examples
//! [s]: https://developers.facebook.com/docs/whatsapp/cloud-api/webhooks/components#statuses-object
//! [sys]: https://developers.facebook.com/docs/whatsapp/cloud-api/webhooks/components#messages-object
//! [err]: https://developers.facebook.com/docs/whatsapp/cloud-api/support/error-codes
//! [pref]: https://developers.facebook.com/docs/whatsapp/cloud-api/webhooks/reference/user_preferences
//! [bsuid]: https://developers.facebook.com/documentation/business-messaging/whatsapp/business-scoped-user-ids
//! [h]: https://developers.facebook.com/docs/whatsapp/cloud-api/webhooks/reference/history

use std::collections::BTreeSet;

use consent::callback::Callback;
use consent::decision::MessageTime;
use consent::event::DeliveryReport;
use consent::id::{ChannelId, ContactId, EventId, cut};
use consent::identity::Ids;
use consent::settings::Intent;
use consent::time::Time;
use consent::whatsapp_error::STOPPED_MARKETING;
use serde_json::Value;

use crate::envelope::{self, BodyText, EnvelopeChange, Layer};
use crate::sender::{IdFields, NamedIds, own_number, sender, text};
use crate::words::{is_malformed, texts};

pub use crate::sender::Sender;
pub use crate::words::MessageText;

/// An update that may change a consent.
#[derive(Debug)]
pub struct Update {
    /// The channel that received the update.
    pub channel: ChannelId,
    /// The update's id: WhatsApp's, or a hash of its content where WhatsApp gave none.
    pub id: EventId,
    /// True for an id of WhatsApp's, false for a hash.
    pub has_own_id: bool,
    /// The update's `timestamp` in whole seconds since 1970. None if it is missing or can't be read.
    pub seconds: Option<i64>,
    /// The customer. None if the update does not name one.
    pub sender: Option<Sender>,
    /// The update's meaning.
    pub content: Content,
}

impl Update {
    /// The time at which the update was sent: its timestamp if that can be believed, otherwise `now`.
    pub fn at(&self, now: Time) -> Time {
        MessageTime::judge(self.seconds, now).taught(now)
    }
}

/// The meaning of an update.
#[derive(Debug)]
pub enum Content {
    /// The texts of a message, each of which may be a keyword.
    Words(Vec<MessageText>),
    /// The customer's use of WhatsApp's own marketing control.
    Control(Intent),
    /// The ids that the customer has from now on.
    Moved(Ids),
}

impl Content {
    /// Returns true for an opt-out that does not depend on the tenant's keywords.
    pub fn is_opt_out(&self) -> bool {
        match self {
            Self::Words(texts) => texts.iter().any(|texts| texts.candidate.is_reserved_opt_out()),
            Self::Control(intent) => *intent == Intent::OptOut,
            Self::Moved(_) => false,
        }
    }
}

/// The parts of a webhook's body that this system uses.
#[derive(Debug, Default)]
pub struct Payload {
    /// Updates that may change a consent, in the order of the body.
    pub updates: Vec<Update>,
    /// Delivery reports of confirmations, each with the channel that sent the confirmation.
    pub reports: Vec<(ChannelId, Callback, DeliveryReport)>,
    /// The channels of all updates, reports and other messages.
    pub channels: BTreeSet<ChannelId>,
    /// A reason for each update that can't be read, for the log.
    pub bad: Vec<&'static str>,
    /// A reason for each update that can't be read and may be an opt-out, for the log.
    pub lost_opt_outs: Vec<&'static str>,
}

impl Payload {
    /// The channel of each update and report, with the time at which its tenant is looked up.
    pub fn times(&self, now: Time) -> Vec<(&ChannelId, Time)> {
        let updates = self.updates.iter().map(|update| (&update.channel, update.at(now)));
        let reports = self.reports.iter().map(|(channel, callback, _)| (channel, sent_at(callback, now)));
        updates.chain(reports).collect()
    }
}

/// The time of the message that a confirmation answered, or `now` where the callback has none. The tenant that held the
/// channel at this time sent the confirmation.
pub fn sent_at(callback: &Callback, now: Time) -> Time {
    Some(callback.entry.time).filter(|time| *time != Time::default()).unwrap_or(now)
}

/// Maximum length of an error's title, in bytes. The rest is cut off.
const TITLE_BYTES: usize = 256;

/// Reason for a part of a body that should hold updates and is no JSON object.
const NO_OBJECT: &str = "part of a body that is no JSON object";

/// Reads a body.
///
/// # Errors
/// The body is not JSON.
pub fn payload(body: &BodyText) -> Result<Payload, serde_json::Error> {
    let mut payload = Payload::default();
    let changes = body.open()?;
    payload.bad.extend(std::iter::repeat_n(NO_OBJECT, changes.unread));
    for change in changes.opened {
        let people = change.contacts();
        let own_number = own_number(&change.metadata());
        let mut reader = Reader { channel: channel(&change), own_number, people: &people, payload: &mut payload };
        let value = &change.value;
        match change.field.as_str() {
            "messages" => reader.conversation(value),
            // While another sender of the business answers, such as an agent of Meta's, messages come in this field only.
            "standby" => reader.each(value, "standby", Reader::conversation),
            // Messages from before the business joined, some of them in threads.
            "history" => {
                reader.conversation(value);
                reader.each(value, "history", |reader, chunk| reader.each(chunk, "threads", Reader::conversation));
            }
            "user_preferences" => reader.read(value, "user_preferences", Reader::preference),
            "user_id_update" => reader.read(value, "user_id_update", Reader::user_id_update),
            _ => {}
        }
    }
    Ok(payload)
}

/// Every channel that a body names. This is the only part of a body that is read before its signature is checked.
pub fn channels(body: &BodyText) -> Vec<ChannelId> {
    let changes = body.open().unwrap_or_default();
    let channels: BTreeSet<ChannelId> = changes.opened.iter().filter_map(channel).collect();
    channels.into_iter().collect()
}

/// A change of user id, by the fields that name the customer.
struct UserIdChange<'a> {
    /// The customer's number, which may be missing.
    number: Option<&'a Value>,
    /// The user id before the change.
    old: Option<&'a Value>,
    /// The user id after the change.
    new: Option<&'a Value>,
}

/// Reads the updates of one change.
struct Reader<'a> {
    channel: Option<ChannelId>,
    /// The number of the business. Messages from it are its own.
    own_number: Option<ContactId>,
    /// The customers in the change's `contacts`.
    people: &'a [Value],
    payload: &'a mut Payload,
}

impl Reader<'_> {
    /// Reads each update of the list `kind`, such as `messages`.
    fn read(&mut self, layer: &Layer, kind: &str, open: impl Fn(&mut Self, &Value)) {
        for update in layer.closed(kind) {
            match envelope::read(update) {
                Some(update) if update.is_object() => open(self, &update),
                _ => self.payload.bad.push("update that is no JSON object"),
            }
        }
    }

    /// Opens each object of the list `kind`, such as `threads`, that holds lists of updates itself.
    fn each(&mut self, layer: &Layer, kind: &str, open: impl Fn(&mut Self, &Layer)) {
        for closed in layer.closed(kind) {
            match Layer::open(closed) {
                Some(layer) => open(self, &layer),
                None => self.payload.bad.push(NO_OBJECT),
            }
        }
    }

    /// Reads messages from customers, and statuses of messages to them.
    fn conversation(&mut self, layer: &Layer) {
        self.read(layer, "messages", Reader::message);
        self.read(layer, "statuses", Reader::status);
    }

    /// Reads a message: words that may be a keyword, a change of number or user id, or the older form of a user preference.
    fn message(&mut self, message: &Value) {
        self.payload.channels.extend(self.channel.clone());
        let from =
            NamedIds::read(IdFields { number: message.get("from"), user_id: None }).phone.as_ref().map(ContactId::from);
        if from.is_some() && from == self.own_number {
            return;
        }
        let texts = texts(message);
        if !texts.is_empty() {
            let sender = sender(message, ["from", "from_user_id"], self.people);
            return self.add(message, id(message, ""), sender, Content::Words(texts));
        }
        match text_at(message, "/system/type").as_deref() {
            Some("user_preference_changed") => {
                let sender = sender(message, ["from", "from_user_id"], self.people);
                self.control(message, message.pointer("/system/marketing").and_then(intent), sender);
            }
            Some("user_changed_number" | "customer_changed_number") => self.changed_number(message),
            Some("user_changed_user_id") => self.changed_user_id(message),
            _ if is_malformed(message) => self.payload.bad.push("message without a type, or text without words"),
            _ => {}
        }
    }

    /// Reads a change of number. `from` is the old number. A user id beside it may be the old or the new one, so it is used
    /// only where there is no number.
    fn changed_number(&mut self, message: &Value) {
        let number = ["/system/wa_id", "/system/new_wa_id"].iter().find_map(|path| message.pointer(path));
        let new = NamedIds::read(IdFields { number, user_id: message.pointer("/system/user_id") });
        let Some(ids) = new.ids() else {
            return self.payload.bad.push("change of number without the new number");
        };
        let old = NamedIds::of(message, ["from", "from_user_id"]).number_or_user();
        let sender = old.sender(None).map(|mut sender| {
            if let Some(number) = &new.phone {
                sender.profile.phone = Some(number.digits().to_owned());
            }
            sender
        });
        self.add(message, id(message, ""), sender, Content::Moved(ids));
    }

    /// Reads a change of user id in a system message.
    fn changed_user_id(&mut self, message: &Value) {
        let [new, old] = ["/system/user_id", "/system/previous_user_id"].map(|path| message.pointer(path));
        self.user_id_change(message, &UserIdChange { number: message.get("from"), old, new });
    }

    /// Reads a change of user id in the field `user_id_update`.
    fn user_id_update(&mut self, update: &Value) {
        let [new, old] = ["/user_id/current", "/user_id/previous"].map(|path| update.pointer(path));
        self.user_id_change(update, &UserIdChange { number: update.get("wa_id"), old, new });
    }

    /// Adds a change of user id. The customer is found by the old user id, or by the number where that is missing.
    fn user_id_change(&mut self, update: &Value, change: &UserIdChange) {
        let &UserIdChange { number, old, new } = change;
        let Some(ids) = NamedIds::read(IdFields { number: None, user_id: new }).ids() else {
            return self.payload.bad.push("change of user id without the new user id");
        };
        let old = Some(NamedIds::read(IdFields { number: None, user_id: old })).filter(|old| old.ids().is_some());
        let sender = old.unwrap_or_else(|| NamedIds::read(IdFields { number, user_id: None })).sender(None);
        self.add(update, id(update, ""), sender, Content::Moved(ids));
    }

    /// Reads a status. It matters if it is of a confirmation, or if its error says that the customer stopped marketing.
    fn status(&mut self, status: &Value) {
        let callback: Option<Callback> =
            text_at(status, "/biz_opaque_callback_data").and_then(|data| data.parse().ok());
        let codes = status.get("errors").and_then(Value::as_array).into_iter().flatten();
        let stopped = |error: &Value| error.get("code").and_then(number) == Some(STOPPED_MARKETING);
        if codes.into_iter().any(stopped) {
            // The callback of a confirmation names its recipient.
            let ours = callback.as_ref().map(|callback| callback.contact.clone().into());
            let sender = sender(status, recipient(status), self.people).or(ours);
            self.add(status, id(status, "131050."), sender, Content::Control(Intent::OptOut));
        }
        if let (Some(callback), Some(report), Some(channel)) = (callback, report(status), &self.channel) {
            self.payload.channels.insert(channel.clone());
            self.payload.reports.push((channel.clone(), callback, report));
        }
    }

    /// Reads a user preference: the customer's use of WhatsApp's own marketing control.
    fn preference(&mut self, preference: &Value) {
        let intent = preference.get("value").and_then(intent);
        let is_ours = preference.get("category").filter(|category| !category.is_null()).is_none_or(is_marketing);
        match intent {
            _ if is_ours => {
                let sender = sender(preference, ["wa_id", "user_id"], self.people);
                self.control(preference, intent, sender);
            }
            Some(Intent::OptIn) => {}
            Some(Intent::OptOut) | None => {
                self.payload.lost_opt_outs.push("user preference of an unknown category that may be a stop");
            }
        }
    }

    fn control(&mut self, update: &Value, intent: Option<Intent>, sender: Option<Sender>) {
        match intent {
            Some(intent) => self.add(update, id(update, ""), sender, Content::Control(intent)),
            None => self.payload.lost_opt_outs.push("user preference of an unknown value, which may be a stop"),
        }
    }

    fn add(&mut self, update: &Value, id: UpdateId, sender: Option<Sender>, content: Content) {
        match &self.channel {
            Some(channel) => {
                self.payload.channels.insert(channel.clone());
                let has_own_id = matches!(id, UpdateId::Own(_));
                let id = id.among(channel, sender.as_ref());
                let seconds = update.get("timestamp").and_then(seconds);
                let channel = channel.clone();
                self.payload.updates.push(Update { channel, id, has_own_id, seconds, sender, content });
            }
            // Without a tenant there are no keywords, but some updates are opt-outs for every tenant.
            None if content.is_opt_out() => self.payload.lost_opt_outs.push("update without a phone_number_id"),
            None => self.payload.bad.push("update without a phone_number_id"),
        }
    }
}

/// The intent of a user preference's value. None for an unknown value.
fn intent(value: &Value) -> Option<Intent> {
    match value {
        Value::String(word) => match word.trim().to_ascii_lowercase().as_str() {
            "stop" => Some(Intent::OptOut),
            "resume" | "signup" => Some(Intent::OptIn),
            _ => None,
        },
        // The older form: true where the customer wants marketing.
        Value::Bool(true) => Some(Intent::OptIn),
        Value::Bool(false) => Some(Intent::OptOut),
        _ => None,
    }
}

/// Returns true for the category of marketing messages.
fn is_marketing(category: &Value) -> bool {
    category.as_str().is_some_and(|category| category.trim().eq_ignore_ascii_case("marketing_messages"))
}

/// The two fields of a status that name the customer: the number and the user id. In a group, the customer is a participant
/// and the recipient is the group.
fn recipient(status: &Value) -> [&'static str; 2] {
    const IN_GROUP: [[&str; 2]; 2] = [
        ["recipient_participant_id", "recipient_participant_user_id"],
        ["participant_recipient_id", "participant_recipient_user_id"],
    ];
    let is_named = |fields: &[&str; 2]| fields.iter().any(|field| status.get(field).is_some());
    IN_GROUP.into_iter().find(is_named).unwrap_or(["recipient_id", "recipient_user_id"])
}

fn channel(change: &EnvelopeChange) -> Option<ChannelId> {
    text(change.metadata().get("phone_number_id")?)?.parse().ok()
}

/// The delivery report in a status. None for a status of another kind.
fn report(status: &Value) -> Option<DeliveryReport> {
    match status.get("status")?.as_str()? {
        "sent" | "delivered" | "read" | "played" => Some(DeliveryReport::Sent { message_id: text_at(status, "/id") }),
        "failed" => {
            let code = status.pointer("/errors/0/code").and_then(number);
            let title = text_at(status, "/errors/0/title").map(|title| cut(&title, TITLE_BYTES).to_owned());
            Some(DeliveryReport::Failed { code, title })
        }
        _ => None,
    }
}

/// The source of an update's id.
enum UpdateId {
    /// WhatsApp's own id.
    Own(String),
    /// The whole update as JSON, for an update without an id.
    Content(String),
}

/// The id of an update. `prefix` keeps it apart from other updates about the same message.
fn id(update: &Value, prefix: &str) -> UpdateId {
    match update.get("id").and_then(Value::as_str) {
        Some(id) if !id.is_empty() => UpdateId::Own(format!("{prefix}{id}")),
        _ => UpdateId::Content(update.to_string()),
    }
}

impl UpdateId {
    /// The id of the event. Equal content from two customers or on two channels gives two ids.
    fn among(self, channel: &ChannelId, sender: Option<&Sender>) -> EventId {
        match self {
            Self::Own(id) => EventId::from(id),
            Self::Content(content) => {
                let sender = sender.and_then(|sender| sender.ids.first()).map_or("", ContactId::as_str);
                EventId::of_content(format!("{channel}\n{sender}\n{content}").as_bytes())
            }
        }
    }
}

/// Whole seconds, from a JSON number or a string.
fn seconds(value: &Value) -> Option<i64> {
    text(value)?.trim().parse().ok()
}

/// A whole number, from a JSON number or a string.
fn number(value: &Value) -> Option<i64> {
    text(value)?.parse::<u64>().ok()?.try_into().ok()
}

fn text_at(value: &Value, path: &str) -> Option<String> {
    text(value.pointer(path)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn body(message: &Value, contacts: &Value) -> String {
        let body = json!({"object": "whatsapp_business_account", "entry": [{"id": "1", "changes": [{"field": "messages", "value": {
            "metadata": {"phone_number_id": "106540352242922"}, "contacts": contacts, "messages": [message]}}]}]});
        body.to_string()
    }

    fn only(body: &str) -> Update {
        payload(&BodyText::new(body.as_bytes())).unwrap().updates.remove(0)
    }

    #[test]
    fn a_message_without_sender_belongs_to_the_only_contact() {
        let message = json!({"text": {"body": "STOP"}});
        let sheena = json!([{"wa_id": "14155550123", "profile": {"name": "Sheena"}}]);
        let found = only(&body(&message, &sheena)).sender.unwrap();
        assert_eq!(
            (found.ids.first().unwrap().as_str(), found.profile.name.as_deref()),
            ("+14155550123", Some("Sheena"))
        );
        let two = json!([{"wa_id": "14155550123"}, {"wa_id": "14155550124"}]);
        assert!(only(&body(&message, &two)).sender.is_none());
    }

    #[test]
    fn numbers_and_texts_are_read_alike() {
        let message = json!({"from": 14_155_550_123_u64, "timestamp": 1_749_416_383, "text": {"body": "STOP"}});
        let found = only(&body(&message, &Value::Null));
        assert_eq!(found.seconds, Some(1_749_416_383));
        assert_eq!(found.sender.unwrap().recipient, "+14155550123");
    }

    #[test]
    fn a_message_without_id_has_the_same_id_again() {
        let first = json!({"from": "14155550123", "text": {"body": "STOP"}, "timestamp": "1"});
        let other = json!({"from": "14155550123", "text": {"body": "STOP"}, "timestamp": "2"});
        let id = |message: &Value| only(&body(message, &Value::Null)).id;
        assert_eq!(id(&first), id(&first));
        assert_ne!(id(&first), id(&other));
    }

    #[test]
    fn messages_of_two_people_without_ids_are_two_events() {
        let message = json!({"text": {"body": "STOP"}, "timestamp": "1"});
        let id = |phone: &str| only(&body(&message, &json!([{"wa_id": phone}]))).id;
        assert_ne!(id("14155550123"), id("14155550124"));
    }

    #[test]
    fn a_name_is_found_under_another_spelling_of_the_number() {
        let message = json!({"from": "525512345678", "text": {"body": "STOP"}});
        let people = json!([{"wa_id": "5215512345678", "profile": {"name": "Sofía"}}, {"wa_id": "14155550123"}]);
        assert_eq!(only(&body(&message, &people)).sender.unwrap().profile.name.as_deref(), Some("Sofía"));
    }

    #[test]
    fn an_opt_out_on_no_channel_is_loud() {
        let body = |text: &str| json!({"entry": [{"changes": [{"field": "messages", "value": {"messages": [{"text": {"body": text}}]}}]}]});
        let found = |text: &str| payload(&BodyText::new(body(text).to_string().as_bytes())).unwrap();
        assert_eq!((found("Stop!").lost_opt_outs.len(), found("Stop!").bad.len()), (1, 0));
        assert_eq!((found("hello").lost_opt_outs.len(), found("hello").bad.len()), (0, 1));
    }
}
