//! WhatsApp's JSON, which ends here: what comes out is in our own words.
//!
//! WhatsApp adds fields, types and whole kinds of updates at any time, leaves out others, and writes numbers as text or
//! not. So nothing is demanded of a body but what is needed to understand one update, and an update that can't be
//! understood takes no other with it.

use std::collections::BTreeSet;

use consent::contact::Source;
use consent::decision::Profile;
use consent::id::{ChannelId, ContactId, EventId, UserId};
use consent::keyword::{Candidate, RESERVED_OPT_OUT};
use consent::phone::Phone;
use serde_json::Value;

use crate::envelope::{self, Change};

/// A message from a customer that may be a keyword.
#[derive(Debug)]
pub struct Message {
    /// The channel that it was written to.
    pub channel: ChannelId,
    /// Its id.
    pub id: EventId,
    /// When it was sent, in whole seconds since 1970; none if that is missing or can't be read.
    pub seconds: Option<i64>,
    /// Who sent it; none if that can't be told.
    pub sender: Option<Sender>,
    /// The texts in it that may be a keyword.
    pub said: Vec<Said>,
}

/// A customer as a message names it.
#[derive(Clone, Debug)]
pub struct Sender {
    /// What it is found under.
    pub id: ContactId,
    /// The id as received, in the form the Graph API takes.
    pub recipient: String,
    /// What else is told of the person.
    pub profile: Profile,
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
pub struct Updates {
    /// Messages that may be keywords, in the order of the body.
    pub messages: Vec<Message>,
    /// The channels that messages of any kind came on.
    pub channels: BTreeSet<ChannelId>,
    /// Updates that can't be understood, each by what is wrong with it.
    pub bad: Vec<&'static str>,
    /// Those among them that are opt-outs by anybody's keywords.
    pub lost_opt_outs: Vec<&'static str>,
}

/// Where a customer's own words stand in a message, and whether they were typed or pressed.
const WORDS: [(&str, Source); 10] = [
    ("/text/body", Source::Keyword),
    ("/image/caption", Source::Keyword),
    ("/video/caption", Source::Keyword),
    ("/document/caption", Source::Keyword),
    ("/button/payload", Source::Button),
    ("/button/text", Source::Button),
    ("/interactive/button_reply/id", Source::Button),
    ("/interactive/button_reply/title", Source::Button),
    ("/interactive/list_reply/id", Source::Button),
    ("/interactive/list_reply/title", Source::Button),
];

/// Bytes of a shown name that are kept, at most.
const NAME_BYTES: usize = 256;

/// Every update of a body.
///
/// # Errors
/// It is no JSON.
pub fn updates(body: &str) -> Result<Updates, serde_json::Error> {
    let mut updates = Updates::default();
    for change in envelope::open(body)?.iter().filter(|change| change.field == "messages") {
        let channel = channel(change);
        if !change.messages.is_empty() {
            updates.channels.extend(channel.clone());
        }
        for message in &change.messages {
            match envelope::read(message) {
                Some(message) if message.is_object() => updates.add(&message, channel.as_ref(), &change.contacts),
                _ => updates.bad.push("message that is no JSON object"),
            }
        }
    }
    Ok(updates)
}

/// Every channel that a body names: all that may be read of it before its signature holds.
pub fn channels(body: &str) -> Vec<ChannelId> {
    let changes = envelope::open(body).unwrap_or_default();
    let channels: BTreeSet<ChannelId> = changes.iter().filter_map(channel).collect();
    channels.into_iter().collect()
}

impl Updates {
    fn add(&mut self, message: &Value, channel: Option<&ChannelId>, people: &[Value]) {
        let said = said(message);
        if said.is_empty() {
            return;
        }
        match channel {
            Some(channel) => {
                let sender = sender(message, people);
                self.messages.push(Message {
                    channel: channel.clone(),
                    id: id(message, channel, sender.as_ref()),
                    seconds: message.get("timestamp").and_then(seconds),
                    sender,
                    said,
                });
            }
            // Nobody's settings say what it means, but these words mean the same to everybody.
            None if said.iter().any(|said| RESERVED_OPT_OUT.contains(&said.candidate.folded())) => {
                self.lost_opt_outs.push("message without a phone_number_id");
            }
            None => self.bad.push("message without a phone_number_id"),
        }
    }
}

fn channel(change: &Change) -> Option<ChannelId> {
    text(change.metadata.get("phone_number_id")?)?.parse().ok()
}

fn said(message: &Value) -> Vec<Said> {
    let texts = WORDS.iter().filter_map(|(place, source)| Some((message.pointer(place)?.as_str()?, *source)));
    let said = texts.filter_map(|(words, source)| {
        Some(Said { words: words.to_owned(), candidate: Candidate::new(words)?, source })
    });
    said.collect()
}

/// A message's id, or one made from all that is told of it.
fn id(message: &Value, channel: &ChannelId, sender: Option<&Sender>) -> EventId {
    match message.get("id").and_then(Value::as_str) {
        Some(id) if !id.is_empty() => EventId::from(id.to_owned()),
        _ => {
            let sender = sender.map_or("", |sender| sender.id.as_str());
            EventId::of_content(format!("{channel}\n{sender}\n{message}").as_bytes())
        }
    }
}

/// Who sent a message: `from` or `from_user_id`; where neither tells, the only customer that the update names.
fn sender(message: &Value, people: &[Value]) -> Option<Sender> {
    let phone = message.get("from").and_then(phone);
    let user = message.get("from_user_id").and_then(user);
    if phone.is_some() || user.is_some() {
        let is_sender = |person: &&Value| {
            let same_phone = person.get("wa_id").and_then(self::phone).map(|phone| ContactId::from(&phone));
            (phone.is_some() && same_phone == phone.as_ref().map(ContactId::from))
                || (user.is_some() && person.get("user_id").and_then(self::user) == user)
        };
        return named(phone.clone(), user.clone(), people.iter().find(is_sender));
    }
    match people {
        [person] => {
            let phone = person.get("wa_id").and_then(self::phone);
            named(phone, person.get("user_id").and_then(self::user), Some(person))
        }
        _ => None,
    }
}

fn named(phone: Option<Phone>, user: Option<UserId>, person: Option<&Value>) -> Option<Sender> {
    let id = match (&phone, &user) {
        (Some(phone), _) => ContactId::from(phone),
        (None, Some(user)) => ContactId::from(user),
        (None, None) => return None,
    };
    let recipient = phone.as_ref().map_or_else(|| id.to_string(), Phone::to_string);
    let name = person.and_then(|person| person.pointer("/profile/name")?.as_str());
    let profile = Profile {
        phone: phone.map(|phone| phone.digits().to_owned()),
        user_id: user.or_else(|| self::user(person?.get("user_id")?)),
        name: name.filter(|name| !name.is_empty()).map(|name| consent::id::cut(name, NAME_BYTES).to_owned()),
    };
    Some(Sender { id, recipient, profile })
}

fn phone(value: &Value) -> Option<Phone> {
    text(value)?.parse().ok()
}

fn user(value: &Value) -> Option<UserId> {
    value.as_str()?.parse().ok()
}

/// Whole seconds, written as text or as a number.
fn seconds(value: &Value) -> Option<i64> {
    text(value)?.trim().parse().ok()
}

/// A text, or a whole number as text.
fn text(value: &Value) -> Option<String> {
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

    fn body(message: &Value, contacts: &Value) -> String {
        let body = json!({"object": "whatsapp_business_account", "entry": [{"id": "1", "changes": [{"field": "messages", "value": {
            "metadata": {"phone_number_id": "106540352242922"}, "contacts": contacts, "messages": [message]}}]}]});
        body.to_string()
    }

    fn only(body: &str) -> Message {
        updates(body).unwrap().messages.remove(0)
    }

    fn words(message: &Value) -> Vec<String> {
        let updates = updates(&body(message, &Value::Null)).unwrap();
        updates.messages.into_iter().flat_map(|message| message.said).map(|said| said.words).collect()
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
            json!({"type": "text", "text": {"body": "stop ".repeat(40)}}),
        ] {
            assert_eq!(words(&message), Vec::<String>::new(), "{message}");
        }
    }

    #[test]
    fn a_message_without_sender_belongs_to_the_only_contact() {
        let message = json!({"text": {"body": "STOP"}});
        let sheena = json!([{"wa_id": "14155550123", "profile": {"name": "Sheena"}}]);
        let found = only(&body(&message, &sheena)).sender.unwrap();
        assert_eq!((found.id.as_str(), found.profile.name.as_deref()), ("+14155550123", Some("Sheena")));
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
        let found = |text: &str| updates(&body(text).to_string()).unwrap();
        assert_eq!((found("Stop!").lost_opt_outs.len(), found("Stop!").bad.len()), (1, 0));
        assert_eq!((found("hello").lost_opt_outs.len(), found("hello").bad.len()), (0, 1));
    }
}
