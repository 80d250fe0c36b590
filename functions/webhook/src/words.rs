//! The words of a message that may be a keyword.

use consent::contact::Source;
use consent::keyword::Candidate;
use serde_json::Value;

/// One text of a message.
#[derive(Debug)]
pub struct MessageText {
    /// The text as the customer wrote it, or as the button had it.
    pub words: String,
    /// The form that is compared with keywords.
    pub candidate: Candidate,
    /// The source: typed or pressed.
    pub source: Source,
}

/// The paths of a customer's own words in a message, each with their source: typed or pressed.
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

/// The path of the new content of an edited message: a message in itself.
/// <https://developers.facebook.com/documentation/business-messaging/whatsapp/webhooks/reference/messages/edit>
const EDITED: &str = "/edit/message";

/// Other paths at which an edit may have it: WhatsApp does not write it there, but the meaning would be plain.
const EDITED_FLAT: &str = "/edit";

/// The texts of a message that may be a keyword: its own, and those that an edit gives it.
pub fn texts(message: &Value) -> Vec<MessageText> {
    let edited = [EDITED, EDITED_FLAT].into_iter().filter_map(|place| message.pointer(place));
    let bare = message.pointer(EDITED).and_then(Value::as_str).map(|words| (words, Source::Keyword));
    let contents = [message].into_iter().chain(edited);
    let texts = contents.flat_map(|content| {
        WORDS.iter().filter_map(|(place, source)| Some((content.pointer(place)?.as_str()?, *source)))
    });
    let said = texts.chain(bare).filter_map(|(words, source)| {
        Some(MessageText { words: words.to_owned(), candidate: Candidate::new(words)?, source })
    });
    said.collect()
}

/// True if a message without any words is not even one that WhatsApp sends: those say what they are, and a text has a body.
pub fn is_malformed(message: &Value) -> bool {
    match message.get("type").and_then(Value::as_str) {
        None => message.get("interactive").is_none(),
        Some("text") => !message.pointer("/text/body").is_some_and(Value::is_string) && !message["text"].is_string(),
        Some(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn words(message: &Value) -> Vec<String> {
        texts(message).into_iter().map(|said| said.words).collect()
    }

    #[test]
    fn words_are_found_wherever_a_customer_can_put_them() {
        for (message, found) in [
            (json!({"type": "text", "text": {"body": "STOP"}}), vec!["STOP"]),
            (json!({"type": "image", "image": {"caption": "Stop"}}), vec!["Stop"]),
            (json!({"type": "button", "button": {"payload": "p", "text": "t"}}), vec!["p", "t"]),
            (json!({"interactive": {"list_reply": {"id": "r1", "title": "T", "description": "D"}}}), vec!["r1", "T"]),
            (
                json!({"type": "edit", "edit": {"message": {"type": "image", "image": {"caption": "Stop"}}}}),
                vec!["Stop"],
            ),
            (json!({"type": "edit", "edit": {"message": "Stop"}}), vec!["Stop"]),
        ] {
            assert_eq!(words(&message), found, "{message}");
        }
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
            json!({"type": "edit", "edit": {"original_message_id": "STOP", "message": {"context": {"text": {"body": "STOP"}}}}}),
        ] {
            assert_eq!(words(&message), Vec::<String>::new(), "{message}");
        }
    }
}
