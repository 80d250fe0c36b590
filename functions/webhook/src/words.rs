//! The texts of a message: each of them may be a keyword.

use consent::contact::Source;
use consent::keyword::Candidate;
use serde_json::Value;

/// One text of a message.
#[derive(Debug)]
pub struct MessageText {
    /// The text as the customer typed it, or the label or id of the button.
    pub words: String,
    /// The folded form, which is compared with keywords.
    pub candidate: Candidate,
    /// `Keyword` for a typed text, `Button` for a pressed one.
    pub source: Source,
}

/// The JSON pointers to the texts of a message, each with its source.
/// <https://developers.facebook.com/docs/whatsapp/cloud-api/webhooks/components#messages-object>
const WORDS: [(&str, Source); 14] = [
    ("/text/body", Source::Keyword),
    // Not a form of WhatsApp's, but its meaning is clear.
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

/// The JSON pointer to the new content of an edited message. It has the shape of a message.
/// <https://developers.facebook.com/documentation/business-messaging/whatsapp/webhooks/reference/messages/edit>
const EDITED: &str = "/edit/message";

/// A second JSON pointer to the content of an edit. Not a form of WhatsApp's, but its meaning is clear.
const EDITED_FLAT: &str = "/edit";

/// The texts of a message, and those of its edit. Texts that can't be a keyword, such as very long ones, are left out.
pub fn texts(message: &Value) -> Vec<MessageText> {
    let edited = [EDITED, EDITED_FLAT].into_iter().filter_map(|path| message.pointer(path));
    let bare = message.pointer(EDITED).and_then(Value::as_str).map(|words| (words, Source::Keyword));
    let contents = [message].into_iter().chain(edited);
    let texts = contents.flat_map(|content| {
        WORDS.iter().filter_map(|(path, source)| Some((content.pointer(path)?.as_str()?, *source)))
    });
    let texts = texts.chain(bare).filter_map(|(words, source)| {
        Some(MessageText { words: words.to_owned(), candidate: Candidate::new(words)?, source })
    });
    texts.collect()
}

/// Returns true for a message without texts that WhatsApp would not send: one without a type, or a text without a body.
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
        texts(message).into_iter().map(|text| text.words).collect()
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
