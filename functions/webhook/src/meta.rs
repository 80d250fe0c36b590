//! WhatsApp's JSON, read into the project's own types. No other module knows its shapes.
//!
//! WhatsApp adds fields, types and whole kinds of updates at any time, leaves out others, and writes numbers as text or
//! not. So nothing is demanded of a body but what is needed to understand one update, and an update that can't be
//! understood takes no other with it.

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

/// An update from which a change of consent may come.
#[derive(Debug)]
pub struct Update {
    /// The channel that it came on.
    pub channel: ChannelId,
    /// Its id.
    pub id: EventId,
    /// True if the id is WhatsApp's, and not a hash of the update.
    pub has_own_id: bool,
    /// The update's own time, in whole seconds since 1970; none if that is missing or can't be read.
    pub seconds: Option<i64>,
    /// The sender; none if that can't be told.
    pub sender: Option<Sender>,
    /// The content.
    pub content: Content,
}

impl Update {
    /// The time at which it was sent, as far as that can be told.
    pub fn at(&self, now: Time) -> Time {
        MessageTime::judge(self.seconds, now).taught(now)
    }
}

/// The content of an update.
#[derive(Debug)]
pub enum Content {
    /// The texts of a message that may be a keyword.
    Words(Vec<MessageText>),
    /// A use of WhatsApp's own control.
    Control(Intent),
    /// The ids that the customer has from now on.
    Moved(Ids),
}

impl Content {
    /// True if it is an opt-out whatever a tenant's keywords are.
    pub fn is_opt_out(&self) -> bool {
        match self {
            Self::Words(texts) => texts.iter().any(|texts| texts.candidate.is_reserved_opt_out()),
            Self::Control(intent) => *intent == Intent::OptOut,
            Self::Moved(_) => false,
        }
    }
}

/// The parts of a body that matter.
#[derive(Debug, Default)]
pub struct Payload {
    /// Updates from which a change of consent may come, in the order of the body.
    pub updates: Vec<Update>,
    /// Delivery reports of confirmations, with the channels that those were sent from.
    pub reports: Vec<(ChannelId, Callback, DeliveryReport)>,
    /// The channels of all those, and of all other messages.
    pub channels: BTreeSet<ChannelId>,
    /// Updates that can't be understood, each by what is wrong with it.
    pub bad: Vec<&'static str>,
    /// Updates among the bad ones that are opt-outs whatever the tenant, each by what is wrong with it.
    pub lost_opt_outs: Vec<&'static str>,
}

impl Payload {
    /// The channels of updates and reports, each with the time that decides which tenant they belong to.
    pub fn times(&self, now: Time) -> Vec<(&ChannelId, Time)> {
        let updates = self.updates.iter().map(|update| (&update.channel, update.at(now)));
        let reports = self.reports.iter().map(|(channel, callback, _)| (channel, sent_at(callback, now)));
        updates.chain(reports).collect()
    }
}

/// The time of the message that a confirmation answered, as far as that can be told: the holder of the channel at that time sent it.
pub fn sent_at(callback: &Callback, now: Time) -> Time {
    Some(callback.entry.time).filter(|time| *time != Time::default()).unwrap_or(now)
}

/// Bytes of an error's title that are kept, at most.
const TITLE_BYTES: usize = 256;

/// The fault of a part of a body that should hold updates and can't be opened.
const NO_OBJECT: &str = "part of a body that is no JSON object";

/// The parts of a body that matter.
///
/// # Errors
/// The body is no JSON.
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
            // While another sender of the business answers, such as an agent of Meta's, all that is said comes here alone.
            "standby" => reader.each(value, "standby", Reader::conversation),
            // What was said before the business joined, some of it in threads and some as messages.
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

/// Every channel that a body names: all that may be read of it before its signature holds.
pub fn channels(body: &BodyText) -> Vec<ChannelId> {
    let changes = body.open().unwrap_or_default();
    let channels: BTreeSet<ChannelId> = changes.opened.iter().filter_map(channel).collect();
    channels.into_iter().collect()
}

/// A change of user id, by the fields that name the customer.
struct UserIdChange<'a> {
    number: Option<&'a Value>,
    old: Option<&'a Value>,
    new: Option<&'a Value>,
}

/// Reads the updates of one change.
struct Reader<'a> {
    channel: Option<ChannelId>,
    /// The number of the business, under which it writes itself.
    own_number: Option<ContactId>,
    people: &'a [Value],
    payload: &'a mut Payload,
}

impl Reader<'_> {
    /// Reads the updates of a kind, such as `messages`.
    fn read(&mut self, layer: &Layer, kind: &str, open: impl Fn(&mut Self, &Value)) {
        for update in layer.closed(kind) {
            match envelope::read(update) {
                Some(update) if update.is_object() => open(self, &update),
                _ => self.payload.bad.push("update that is no JSON object"),
            }
        }
    }

    /// Opens each layer of a kind that holds updates, such as `threads`.
    fn each(&mut self, layer: &Layer, kind: &str, open: impl Fn(&mut Self, &Layer)) {
        for closed in layer.closed(kind) {
            match Layer::open(closed) {
                Some(layer) => open(self, &layer),
                None => self.payload.bad.push(NO_OBJECT),
            }
        }
    }

    /// Messages of customers, and statuses of the messages to them.
    fn conversation(&mut self, layer: &Layer) {
        self.read(layer, "messages", Reader::message);
        self.read(layer, "statuses", Reader::status);
    }

    /// A message: words that may be a keyword, a change of number or user id, or the older form of WhatsApp's own control.
    fn message(&mut self, message: &Value) {
        self.payload.channels.extend(self.channel.clone());
        let from = NamedIds::of(message, ["from", ""]).phone.as_ref().map(ContactId::from);
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

    /// A change of number, told by the old one. A user id beside it may be the old or the new one, so it tells nothing
    /// where there is a number.
    fn changed_number(&mut self, message: &Value) {
        let number = ["/system/wa_id", "/system/new_wa_id"].iter().find_map(|place| message.pointer(place));
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

    /// A change of user id.
    fn changed_user_id(&mut self, message: &Value) {
        let [new, old] = ["/system/user_id", "/system/previous_user_id"].map(|place| message.pointer(place));
        self.renamed(message, &UserIdChange { number: message.get("from"), old, new });
    }

    /// A change of user id, in the form that has a field of its own.
    fn user_id_update(&mut self, update: &Value) {
        let [new, old] = ["/user_id/current", "/user_id/previous"].map(|place| update.pointer(place));
        self.renamed(update, &UserIdChange { number: update.get("wa_id"), old, new });
    }

    /// A change of user id is told by the old one; a number says who it is where that one is missing.
    fn renamed(&mut self, update: &Value, change: &UserIdChange) {
        let &UserIdChange { number, old, new } = change;
        let Some(ids) = NamedIds::read(IdFields { number: None, user_id: new }).ids() else {
            return self.payload.bad.push("change of user id without the new user id");
        };
        let old = Some(NamedIds::read(IdFields { number: None, user_id: old })).filter(|old| old.ids().is_some());
        let sender = old.unwrap_or_else(|| NamedIds::read(IdFields { number, user_id: None })).sender(None);
        self.add(update, id(update, ""), sender, Content::Moved(ids));
    }

    /// A status: nothing to us, unless it is of a confirmation or tells that the customer stopped marketing.
    fn status(&mut self, status: &Value) {
        let callback: Option<Callback> =
            text_at(status, "/biz_opaque_callback_data").and_then(|data| data.parse().ok());
        let codes = status.get("errors").and_then(Value::as_array).into_iter().flatten();
        let stopped = |error: &Value| error.get("code").and_then(number) == Some(STOPPED_MARKETING);
        if codes.into_iter().any(stopped) {
            // Of our own messages we know whom they went to.
            let ours = callback.as_ref().map(|callback| callback.contact.clone().into());
            let sender = sender(status, recipient(status), self.people).or(ours);
            self.add(status, id(status, "131050."), sender, Content::Control(Intent::OptOut));
        }
        if let (Some(callback), Some(report), Some(channel)) = (callback, report(status), &self.channel) {
            self.payload.channels.insert(channel.clone());
            self.payload.reports.push((channel.clone(), callback, report));
        }
    }

    /// A customer's use of WhatsApp's own control.
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
            // There is no tenant to say what it means, but some things mean the same to everybody.
            None if content.is_opt_out() => self.payload.lost_opt_outs.push("update without a phone_number_id"),
            None => self.payload.bad.push("update without a phone_number_id"),
        }
    }
}

/// The intent of a use of WhatsApp's own control, if it is known.
fn intent(value: &Value) -> Option<Intent> {
    match value {
        Value::String(word) => match word.trim().to_ascii_lowercase().as_str() {
            "stop" => Some(Intent::OptOut),
            "resume" | "signup" => Some(Intent::OptIn),
            _ => None,
        },
        // The older form: whether marketing is wanted.
        Value::Bool(true) => Some(Intent::OptIn),
        Value::Bool(false) => Some(Intent::OptOut),
        _ => None,
    }
}

/// True if a category of messages is that of marketing.
fn is_marketing(category: &Value) -> bool {
    category.as_str().is_some_and(|category| category.trim().eq_ignore_ascii_case("marketing_messages"))
}

/// The fields that name the customer whom a message went to: in a group that is one of its participants, and the recipient
/// is the group.
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

/// The delivery report that a status is, if it is one.
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

/// The source of an update's id: its own or, where it has none, all of its JSON.
enum UpdateId {
    Own(String),
    Content(String),
}

/// The id of an update; `prefix` tells it from another update about the same message.
fn id(update: &Value, prefix: &str) -> UpdateId {
    match update.get("id").and_then(Value::as_str) {
        Some(id) if !id.is_empty() => UpdateId::Own(format!("{prefix}{id}")),
        _ => UpdateId::Content(update.to_string()),
    }
}

impl UpdateId {
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

/// Whole seconds, written as text or as a number.
fn seconds(value: &Value) -> Option<i64> {
    text(value)?.trim().parse().ok()
}

/// A whole number, not negative, written as one or as text.
fn number(value: &Value) -> Option<i64> {
    text(value)?.parse::<u64>().ok()?.try_into().ok()
}

fn text_at(value: &Value, place: &str) -> Option<String> {
    text(value.pointer(place)?)
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
