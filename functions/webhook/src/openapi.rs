//! The description of the webhook for the API's document.

use axum::http::StatusCode;
use consent::http::openapi::{ApiDocument, Parameter, ParameterLocation};
use consent::http::{Operation, ProblemKind};
use serde_json::{Value, json};

/// Describes the operations of this function.
pub fn describe(api: &mut ApiDocument) {
    let text = |content_type: &str, description: &str| json!({"description": description, "content": {content_type: {"schema": {"type": "string"}}}});
    api.operation(Operation::VerifyWebhook)
        .description("Meta asks this once, when the webhook is subscribed.")
        .parameter(query("hub.mode", "Always `subscribe`.", "subscribe"))
        .parameter(query("hub.verify_token", "Token that the app's settings at Meta name.", "local-verify-token"))
        .parameter(query("hub.challenge", "Text to give back.", "1158201444"))
        .raw_answer(StatusCode::OK, text("text/plain; charset=utf-8", "The challenge."))
        .raw_answer(StatusCode::FORBIDDEN, json!({"description": "The token is another one."}))
        .problems(&[ProblemKind::Incomplete])
        .finish();
    api.operation(Operation::ReceiveUpdates)
        .description(
            "An answer other than 200 means that WhatsApp has to deliver the body again: not every change of consent in it is \
             stored. Unknown fields and kinds of updates are ignored.",
        )
        .parameter(Parameter {
            name: "X-Hub-Signature-256",
            location: ParameterLocation::Header,
            description: "`sha256=` and the HMAC-SHA-256 of the body, by the app's secret, in hex.",
            schema: json!({"type": "string", "pattern": "^sha256=[0-9a-fA-F]{64}$"}),
            example: format!("sha256={}", "0".repeat(64)).into(),
        })
        .foreign_body(&json!({"type": "object", "description": "Updates in Meta's format."}), &updates())
        .raw_answer(StatusCode::OK, json!({"description": "Every change of consent in the body is stored."}))
        .problems(&[
            ProblemKind::MalformedBody,
            ProblemKind::MissingSignature,
            ProblemKind::InvalidSignature,
            ProblemKind::ForeignChannel,
            ProblemKind::BodyTooLarge,
            ProblemKind::Incomplete,
            ProblemKind::UnregisteredChannel,
        ])
        .finish();
}

fn query(name: &'static str, description: &'static str, example: &str) -> Parameter {
    Parameter {
        name,
        location: ParameterLocation::Query,
        description,
        schema: json!({"type": "string"}),
        example: example.into(),
    }
}

fn updates() -> Value {
    json!({
        "object": "whatsapp_business_account",
        "entry": [{"id": "102290129340398", "changes": [{"field": "messages", "value": {
            "messaging_product": "whatsapp",
            "metadata": {"display_phone_number": "15550783881", "phone_number_id": "106540352242922"},
            "messages": [{
                "from": "14155550123", "id": "wamid.HBgLMTQxNTU1NTAxMjMVAgASGBQzQTdBNUE4QjQ4RjY5RjA3QTYA",
                "timestamp": "1795341600", "type": "text", "text": {"body": "Stop!"}
            }]
        }}]}]
    })
}
