//! WhatsApp's JSON, which ends here: what comes out is in our own words.
//!
//! WhatsApp adds fields, types and whole kinds of updates at any time, leaves out others, and writes numbers as text or
//! not. So nothing is demanded of a body but what is needed to understand one update, and an update that can't be
//! understood takes no other with it.

use std::collections::BTreeSet;

use consent::callback::Callback;
use consent::contact::Source;
use consent::event::Report;
use consent::id::{ChannelId, ContactId, EventId, cut};
use consent::identity::Ids;
use consent::keyword::Candidate;
use consent::settings::Wish;
use serde_json::Value;

use crate::envelope::{self, Body, Change, Layer};
use crate::sender::{named, own_number, phone, sender, text, user};

pub use crate::sender::Sender;

/// An update from which a change of consent may come.
#[derive(Debug)]
pub struct Update {
    /// The channel that it came on.
    pub channel: ChannelId,
    /// Its id.
    pub id: EventId,
    /// When it happened, in whole seconds since 1970; none if that is missing or can't be read.
    pub seconds: Option<i64>,
    /// Whose it is; none if that can't be told.
    pub sender: Option<Sender>,
    /// What it says.
    pub content: Content,
}

/// What an update says.
#[derive(Debug)]
pub enum Content {
    /// The texts of a message that may be a keyword.
    Words(Vec<Said>),
    /// What the customer did with WhatsApp's own control.
    Control(Wish),
    /// The ids that the customer has from now on.
    Moved(Ids),
}

impl Content {
    /// Whether it is an opt-out whatever a tenant's keywords are.
    pub fn is_opt_out(&self) -> bool {
        match self {
            Self::Words(said) => said.iter().any(|said| said.candidate.is_reserved_opt_out()),
            Self::Control(wish) => *wish == Wish::OptOut,
            Self::Moved(_) => false,
        }
    }
}

/// One text of a message.
#[derive(Debug)]
pub struct Said {
    /// As the customer wrote it, or as the button had it.
    pub words: String,
    /// What is compared with keywords.
    pub candidate: Candidate,
    /// Whether it was typed or pressed.
    pub source: Source,
}

/// What a body holds that matters.
#[derive(Debug, Default)]
pub struct Findings {
    /// Those from which a change of consent may come, in the order of the body.
    pub updates: Vec<Update>,
    /// What became of confirmations, with the channels that they were sent from.
    pub reports: Vec<(ChannelId, Callback, Report)>,
    /// The channels of all those, and of all other messages.
    pub channels: BTreeSet<ChannelId>,
    /// Findings that can't be understood, each by what is wrong with it.
    pub bad: Vec<&'static str>,
    /// Those among them that are opt-outs to anybody.
    pub lost_opt_outs: Vec<&'static str>,
}

/// Where a customer's own words stand in a message, and whether they were typed or pressed.
const WORDS: [(&str, Source); 14] = [
    ("/text/body", Source::Keyword),
    // Not how WhatsApp writes it, but what it would mean is plain.
    ("/text", Source::Keyword),
    ("/image/caption", Source::Keyword),
    ("/video/caption", Source::Keyword),
    ("/document/caption", Source::Keyword),
    ("/audio/caption", Source::Keyword),
    ("/voice/caption", Source::Keyword),
    ("/sticker/caption", Source::Keyword),
    ("/button/payload", Source::Button),
    ("/button/text", Source::Button),
    ("/interactive/button_reply/id", Source::Button),
    ("/interactive/button_reply/title", Source::Button),
    ("/interactive/list_reply/id", Source::Button),
    ("/interactive/list_reply/title", Source::Button),
];

/// Bytes of an error's title that are kept, at most.
const TITLE_BYTES: usize = 256;

/// WhatsApp's code for a marketing message to someone who stopped them with WhatsApp's own control.
const STOPPED_MARKETING: u64 = 131_050;

/// What is wrong with a part of a body that should hold updates and can't be opened.
const NO_OBJECT: &str = "part of a body that is no JSON object";

/// What a body holds that matters.
///
/// # Errors
/// It is no JSON.
pub fn findings(body: &Body) -> Result<Findings, serde_json::Error> {
    let mut findings = Findings::default();
    let changes = body.open()?;
    findings.bad.extend(std::iter::repeat_n(NO_OBJECT, changes.unread));
    for change in changes.opened {
        let people = change.contacts();
        let own_number = own_number(&change.metadata());
        let mut reader = Reader { channel: channel(&change), own_number, people: &people, findings: &mut findings };
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
    Ok(findings)
}

/// Every channel that a body names: all that may be read of it before its signature holds.
pub fn channels(body: &Body) -> Vec<ChannelId> {
    let changes = body.open().unwrap_or_default();
    let channels: BTreeSet<ChannelId> = changes.opened.iter().filter_map(channel).collect();
    channels.into_iter().collect()
}

/// Reads the updates of one change.
struct Reader<'a> {
    channel: Option<ChannelId>,
    /// The number of the business, under which it writes itself.
    own_number: Option<ContactId>,
    people: &'a [Value],
    findings: &'a mut Findings,
}

impl Reader<'_> {
    /// Reads the updates of a kind, such as `messages`.
    fn read(&mut self, layer: &Layer, kind: &str, open: impl Fn(&mut Self, &Value)) {
        for update in layer.closed(kind) {
            match envelope::read(update) {
                Some(update) if update.is_object() => open(self, &update),
                _ => self.findings.bad.push("update that is no JSON object"),
            }
        }
    }

    /// Opens each layer of a kind that holds updates, such as `threads`.
    fn each(&mut self, layer: &Layer, kind: &str, open: impl Fn(&mut Self, &Layer)) {
        for closed in layer.closed(kind) {
            match Layer::open(closed) {
                Some(layer) => open(self, &layer),
                None => self.findings.bad.push(NO_OBJECT),
            }
        }
    }

    /// What customers said, and what became of the messages to them.
    fn conversation(&mut self, layer: &Layer) {
        self.read(layer, "messages", Reader::message);
        self.read(layer, "statuses", Reader::status);
    }

    /// A message: words that may be a keyword, a change of number or user id, or the older form of WhatsApp's own control.
    fn message(&mut self, message: &Value) {
        self.findings.channels.extend(self.channel.clone());
        let from = message.get("from").and_then(phone).as_ref().map(ContactId::from);
        if from.is_some() && from == self.own_number {
            return;
        }
        let said = said(message);
        if !said.is_empty() {
            let sender = sender(message, ["from", "from_user_id"], self.people);
            return self.add(message, id(message, ""), sender, Content::Words(said));
        }
        match text_at(message, "/system/type").as_deref() {
            Some("user_preference_changed") => {
                let sender = sender(message, ["from", "from_user_id"], self.people);
                self.control(message, message.pointer("/system/marketing"), sender);
            }
            Some("user_changed_number" | "customer_changed_number") => self.changed_number(message),
            Some("user_changed_user_id") => self.changed_user_id(message),
            _ if is_malformed(message) => self.findings.bad.push("message without a type, or text without words"),
            _ => {}
        }
    }

    /// A change of number, told by the old one. A user id beside it may be the old or the new one, so it tells nothing
    /// where there is a number.
    fn changed_number(&mut self, message: &Value) {
        let number = ["/system/wa_id", "/system/new_wa_id"].iter().find_map(|place| message.pointer(place));
        let Some(number) = number.and_then(phone) else {
            return self.findings.bad.push("change of number without the new number");
        };
        let old = message.get("from").and_then(phone);
        let user_id = if old.is_none() { message.get("from_user_id").and_then(user) } else { None };
        let new = Ids {
            phone: Some(ContactId::from(&number)),
            user: message.pointer("/system/user_id").and_then(user).as_ref().map(ContactId::from),
        };
        let sender = named(old, user_id, None).map(|mut sender| {
            sender.profile.phone = Some(number.digits().to_owned());
            sender
        });
        self.add(message, id(message, ""), sender, Content::Moved(new));
    }

    /// A change of user id. It is told by the old one; a number says who it is where that one is missing.
    fn changed_user_id(&mut self, message: &Value) {
        let Some(new) = message.pointer("/system/user_id").and_then(user) else {
            return self.findings.bad.push("change of user id without the new user id");
        };
        let old = message.pointer("/system/previous_user_id").and_then(user);
        let number = if old.is_none() { message.get("from").and_then(phone) } else { None };
        let sender = named(number, old, None);
        self.add(message, id(message, ""), sender, Content::Moved(ContactId::from(&new).into()));
    }

    /// A change of user id, in the form that has a field of its own.
    fn user_id_update(&mut self, update: &Value) {
        let Some(new) = update.pointer("/user_id/current").and_then(user) else {
            return self.findings.bad.push("change of user id without the new user id");
        };
        let old = update.pointer("/user_id/previous").and_then(user);
        let number = if old.is_none() { update.get("wa_id").and_then(phone) } else { None };
        let sender = named(number, old, None);
        self.add(update, id(update, ""), sender, Content::Moved(ContactId::from(&new).into()));
    }

    /// A status: nothing to us, unless it is of a confirmation or tells that the customer stopped marketing.
    fn status(&mut self, status: &Value) {
        let callback = text_at(status, "/biz_opaque_callback_data").and_then(|data| data.parse().ok());
        if let (Some(callback), Some(report), Some(channel)) = (callback, report(status), &self.channel) {
            self.findings.channels.insert(channel.clone());
            self.findings.reports.push((channel.clone(), callback, report));
        }
        let codes = status.get("errors").and_then(Value::as_array).into_iter().flatten();
        let stopped = |error: &Value| error.get("code").and_then(number) == Some(STOPPED_MARKETING);
        if codes.into_iter().any(stopped) {
            let sender = sender(status, recipient(status), self.people);
            self.add(status, id(status, "131050."), sender, Content::Control(Wish::OptOut));
        }
    }

    /// A customer's use of WhatsApp's own control.
    fn preference(&mut self, preference: &Value) {
        if preference.get("category").and_then(Value::as_str).is_none_or(|category| category == "marketing_messages") {
            let sender = sender(preference, ["wa_id", "user_id"], self.people);
            self.control(preference, preference.get("value"), sender);
        }
    }

    fn control(&mut self, update: &Value, value: Option<&Value>, sender: Option<Sender>) {
        let wish = match value {
            Some(Value::String(word)) if word == "stop" => Wish::OptOut,
            Some(Value::String(word)) if word == "resume" || word == "signup" => Wish::OptIn,
            Some(Value::Bool(wanted)) => {
                if *wanted {
                    Wish::OptIn
                } else {
                    Wish::OptOut
                }
            }
            _ => return self.findings.bad.push("user preference of a kind that nobody knows"),
        };
        self.add(update, id(update, ""), sender, Content::Control(wish));
    }

    fn add(&mut self, update: &Value, id: Id, sender: Option<Sender>, content: Content) {
        match &self.channel {
            Some(channel) => {
                self.findings.channels.insert(channel.clone());
                let id = id.among(channel, sender.as_ref());
                let seconds = update.get("timestamp").and_then(seconds);
                self.findings.updates.push(Update { channel: channel.clone(), id, seconds, sender, content });
            }
            // There is no tenant to say what it means, but some things mean the same to everybody.
            None if content.is_opt_out() => self.findings.lost_opt_outs.push("update without a phone_number_id"),
            None => self.findings.bad.push("update without a phone_number_id"),
        }
    }
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

fn channel(change: &Change) -> Option<ChannelId> {
    text(change.metadata().get("phone_number_id")?)?.parse().ok()
}

fn said(message: &Value) -> Vec<Said> {
    let texts = WORDS.iter().filter_map(|(place, source)| Some((message.pointer(place)?.as_str()?, *source)));
    let said = texts.filter_map(|(words, source)| {
        Some(Said { words: words.to_owned(), candidate: Candidate::new(words)?, source })
    });
    said.collect()
}

/// Whether a message without any words is not even one that WhatsApp sends: those say what they are, and a text has a body.
fn is_malformed(message: &Value) -> bool {
    match message.get("type").and_then(Value::as_str) {
        None => message.get("interactive").is_none(),
        Some("text") => !message.pointer("/text/body").is_some_and(Value::is_string) && !message["text"].is_string(),
        Some(_) => false,
    }
}

/// What a status tells of a message.
fn report(status: &Value) -> Option<Report> {
    match status.get("status")?.as_str()? {
        "sent" | "delivered" | "read" | "played" => Some(Report::Sent { message_id: text_at(status, "/id") }),
        "failed" => {
            let code = status.pointer("/errors/0/code").and_then(number).and_then(|code| code.try_into().ok());
            let title = text_at(status, "/errors/0/title").map(|title| cut(&title, TITLE_BYTES).to_owned());
            Some(Report::Failed { code, title })
        }
        _ => None,
    }
}

/// What makes an update's id: its own, or, where it has none, all that it says.
enum Id {
    Own(String),
    Content(String),
}

/// The id of an update; `prefix` tells it from another update about the same message.
fn id(update: &Value, prefix: &str) -> Id {
    match update.get("id").and_then(Value::as_str) {
        Some(id) if !id.is_empty() => Id::Own(format!("{prefix}{id}")),
        _ => Id::Content(update.to_string()),
    }
}

impl Id {
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

/// A whole number, written as one or as text.
fn number(value: &Value) -> Option<u64> {
    text(value)?.parse().ok()
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
        findings(&Body::new(body.as_bytes())).unwrap().updates.remove(0)
    }

    fn words(message: &Value) -> Vec<String> {
        let body = body(message, &Value::Null);
        let findings = findings(&Body::new(body.as_bytes())).unwrap();
        let said = |update: Update| match update.content {
            Content::Words(said) => said,
            Content::Control(_) | Content::Moved(_) => panic!("no words"),
        };
        findings.updates.into_iter().flat_map(said).map(|said| said.words).collect()
    }

    #[test]
    fn words_are_found_wherever_a_customer_can_put_them() {
        assert_eq!(words(&json!({"type": "text", "text": {"body": "STOP"}})), ["STOP"]);
        assert_eq!(words(&json!({"type": "image", "image": {"caption": "Stop"}})), ["Stop"]);
        assert_eq!(words(&json!({"type": "button", "button": {"payload": "p", "text": "t"}})), ["p", "t"]);
        assert_eq!(
            words(&json!({"interactive": {"list_reply": {"id": "r1", "title": "T", "description": "D"}}})),
            ["r1", "T"]
        );
    }

    #[test]
    fn other_messages_have_no_words() {
        for message in [
            json!({"type": "reaction", "reaction": {"message_id": "wamid.X", "emoji": "🛑"}}),
            json!({"type": "order", "order": {"text": "STOP"}}),
            json!({"type": "interactive", "interactive": {"nfm_reply": {"body": "STOP", "name": "stop"}}}),
            json!({"type": "interactive"}),
            json!({"type": "text", "text": {"body": "🛑"}}),
            json!({"type": "text", "text": {"body": "please stop ".repeat(40) + "now"}}),
        ] {
            assert_eq!(words(&message), Vec::<String>::new(), "{message}");
        }
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
        let found = |text: &str| findings(&Body::new(body(text).to_string().as_bytes())).unwrap();
        assert_eq!((found("Stop!").lost_opt_outs.len(), found("Stop!").bad.len()), (1, 0));
        assert_eq!((found("hello").lost_opt_outs.len(), found("hello").bad.len()), (0, 1));
    }
}
