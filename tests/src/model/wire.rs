//! Histories in the JSON of those who act in them: WhatsApp's bodies, and the changes of a batch.

use serde_json::{Value, json};

use super::history::{Change, Id, Says, Update};

/// The id of the message that an update is, or is about.
fn message_id(update: &Update) -> String {
    format!("wamid.{}", update.number)
}

/// The id under which an update stands in the history.
pub(super) fn event_id(update: &Update) -> String {
    let prefix = if update.says == Says::FailedSend { "131050." } else { "" };
    format!("{prefix}{}", message_id(update))
}

/// A change of a batch; `time` says when a second was.
pub(super) fn change(change: &Change, time: impl Fn(i64) -> String) -> Value {
    let mut json = json!({"id": change.id.shown(), "status": if change.opts_in { "opted_in" } else { "opted_out" }});
    if let Some(second) = change.obtained {
        json["evidence"] = json!({"text": "paper form", "obtained_at": time(second)});
    }
    json
}

/// The body with which WhatsApp posts updates on a channel; `begun` is the second since 1970 from which their seconds count.
pub(super) fn body(updates: &[Update], channel: &str, begun: i64) -> Value {
    let changes = updates.iter().map(|update| {
        let (field, list, json) = update_in_its_list(update, begun);
        let mut value = json!({"messaging_product": "whatsapp",
            "metadata": {"display_phone_number": local::DEMO_NUMBER, "phone_number_id": channel}});
        value[list] = json!([json]);
        json!({"field": field, "value": value})
    });
    let changes: Vec<Value> = changes.collect();
    json!({"object": "whatsapp_business_account", "entry": [{"id": "102290129340398", "changes": changes}]})
}

/// An update, with the field of a body and the list in it where it stands.
fn update_in_its_list(update: &Update, begun: i64) -> (&'static str, &'static str, Value) {
    let with_ids = |mut json: Value, phone: &str, user: &str| {
        json["id"] = message_id(update).into();
        for id in &update.ids {
            json[if id.is_phone() { phone } else { user }] = id.on_the_wire().into();
        }
        if let Some(second) = update.second {
            json["timestamp"] = (begun + second).to_string().into();
        }
        json
    };
    let message = |json: Value| ("messages", "messages", with_ids(json, "from", "from_user_id"));
    let text = |words: &str| message(json!({"type": "text", "text": {"body": words}}));
    let system = |system: Value| message(json!({"type": "system", "system": system}));
    let control = |value: &str| {
        let json = json!({"category": "marketing_messages", "value": value});
        ("user_preferences", "user_preferences", with_ids(json, "wa_id", "user_id"))
    };
    match update.says {
        Says::Stop => text("STOP"),
        Says::Start => text("START"),
        Says::Hello => text("hello"),
        Says::ProviderStop => control("stop"),
        Says::ProviderResume => control("resume"),
        Says::FailedSend => {
            let json = json!({"status": "failed", "errors": [{"code": 131_050, "title": "stopped"}]});
            ("messages", "statuses", with_ids(json, "recipient_id", "recipient_user_id"))
        }
        Says::MovedTo(to @ Id::Phone(_)) => system(json!({"type": "user_changed_number", "wa_id": to.on_the_wire()})),
        Says::MovedTo(to @ Id::User(_)) => {
            let from = update.ids[0].on_the_wire();
            system(json!({"type": "user_changed_user_id", "user_id": to.on_the_wire(), "previous_user_id": from}))
        }
    }
}
