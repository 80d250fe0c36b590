//! WhatsApp's side: messages, bodies, signatures.

use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha256;

/// A customer's message.
#[derive(Clone, Debug)]
pub struct Message(Value);

impl Message {
    /// A text message.
    pub fn text(from: &str, text: &str) -> Self {
        Self::of(from, json!({"type": "text", "text": {"body": text}}))
    }

    /// A message of any type.
    pub fn of(from: &str, mut content: Value) -> Self {
        content["from"] = from.into();
        Self(content)
    }

    /// The same message with another id.
    pub fn with_id(mut self, id: &str) -> Self {
        self.0["id"] = id.into();
        self
    }

    /// The same message, sent at so many seconds since 1970.
    pub fn at(mut self, seconds: i64) -> Self {
        self.0["timestamp"] = seconds.to_string().into();
        self
    }

    /// The same message without a field.
    pub fn without(mut self, field: &str) -> Self {
        self.0.as_object_mut().unwrap().remove(field);
        self
    }

    /// Its id.
    pub fn id(&self) -> &str {
        self.0["id"].as_str().unwrap_or_default()
    }

    /// The message in WhatsApp's JSON.
    pub fn json(&self) -> Value {
        self.0.clone()
    }
}

/// A body that delivers messages on the demo channel.
pub fn webhook(messages: &[Value]) -> Value {
    json!({"object": "whatsapp_business_account", "entry": [{"id": "102290129340398", "changes": [{"field": "messages", "value": {
        "messaging_product": "whatsapp",
        "metadata": {"display_phone_number": local::DEMO_NUMBER, "phone_number_id": local::DEMO_CHANNEL},
        "messages": messages}}]}]})
}

/// The signature's header for a body.
pub fn sign(secret: &str, body: &[u8]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(body);
    format!("sha256={}", hex::encode(mac.finalize().into_bytes()))
}
