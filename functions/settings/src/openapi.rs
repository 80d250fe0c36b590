//! The description of settings and channels for the API's document.

use axum::http::StatusCode;
use consent::http::openapi::{ApiDocument, Parameter, ParameterLocation};
use consent::http::{Operation, ProblemKind};
use serde_json::{Value, json};

use crate::channel::{ChannelDraft, ChannelView};
use crate::saved::{Receipt, SettingsView};
use crate::tester::{Reading, Trial};

/// Describes the operations of this function.
pub fn describe(api: &mut ApiDocument) {
    describe_settings(api);
    describe_keyword_test(api);
    describe_channels(api);
}

fn describe_settings(api: &mut ApiDocument) {
    api.operation(Operation::ShowSettings)
        .description("A tenant that never saved settings sees the defaults, with version 0.")
        .answer::<SettingsView>("The settings.", &saved())
        .etag("Version of the settings, for `If-Match`.")
        .finish();
    api.operation(Operation::SaveSettings)
        .description(
            "All six fields have to be there. They count from the next message on.\n\nKeywords are compared without case, \
             accents and decoration. A word that both lists match is refused by name, and so are these words as opt-in \
             keywords: stop, quit, end, revoke, opt out, optout, cancel, unsubscribe. Keywords and texts together fit into \
             8 KiB.",
        )
        .parameter(Parameter {
            name: "If-Match",
            location: ParameterLocation::Header,
            description: "`ETag` of the settings that these replace, or `*`. Other settings are not replaced.",
            schema: json!({"type": "string"}),
            example: "*".into(),
        })
        .body::<consent::settings::SettingsDraft>(&draft())
        .answer::<Receipt>(
            "The settings are saved.",
            &json!({
                "message": "Opt-In/Out settings saved successfully", "settings": saved(), "warnings": []
            }),
        )
        .etag("Version of the settings, for `If-Match`.")
        .problems(&[ProblemKind::StaleVersion])
        .finish();
}

fn describe_keyword_test(api: &mut ApiDocument) {
    api.operation(Operation::TestKeywords)
        .description("Nothing is changed, and nothing is sent.")
        .body::<Trial>(&json!({"text": " *Stop!* "}))
        .answer::<Reading>(
            "The effect that the text would have.",
            &json!({
                "outcome": "opt_out", "keyword": "STOP", "folded": "stop",
                "reply": "You are unsubscribed. Reply START to subscribe again.", "warnings": []
            }),
        )
        .finish();
}

fn describe_channels(api: &mut ApiDocument) {
    let id = || Parameter {
        name: "phone_number_id",
        location: ParameterLocation::Path,
        description: "Meta's id of the WhatsApp number.",
        schema: json!({"type": "string", "pattern": "^[0-9]{1,32}$"}),
        example: "106540352242923".into(),
    };
    api.operation(Operation::RegisterChannel)
        .description(
            "The first channel of a tenant gives it default settings. A channel that the tenant holds already is updated.",
        )
        .parameter(id())
        .body::<ChannelDraft>(&json!({"tenant_id": "demo", "display_phone_number": "+1 555 078 3882"}))
        .answer::<ChannelView>(
            "The tenant holds the channel.",
            &json!({
                "phone_number_id": "106540352242923", "tenant_id": "demo", "display_phone_number": "+1 555 078 3882",
                "secret_id": null
            }),
        )
        .problems(&[ProblemKind::ChannelTaken])
        .finish();
    api.operation(Operation::ReleaseChannel)
        .description(
            "Afterwards the channel is no tenant's. For two minutes another tenant gets 409, since functions remember \
             channels for a minute.",
        )
        .parameter(id())
        .raw_answer(StatusCode::NO_CONTENT, json!({"description": "The channel is no tenant's."}))
        .finish();
}

fn draft() -> Value {
    json!({
        "enabled": true,
        "opt_out_keywords": ["STOP", "UNSUBSCRIBE"],
        "opt_out_message": "You are unsubscribed. Reply START to subscribe again.",
        "opt_in_keywords": ["START"],
        "opt_in_message": "You are subscribed again. Reply STOP at any time to unsubscribe.",
        "require_opt_in": false
    })
}

fn saved() -> Value {
    let mut settings = draft();
    settings["version"] = 3.into();
    settings["updated_at"] = "2026-11-22T10:00:00.000Z".into();
    settings["updated_by"] = "2d9a7f0e-6f1b-4f57-9a80-1f2f0c5b7a11".into();
    settings
}
