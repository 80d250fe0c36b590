//! The events in `events/`: each is delivered as it stands to the function that its name begins with, and its answer is
//! compared with the one in `snapshots/`.

use std::fs;
use std::path::Path;

use axum::http::Method;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use tests::World;

/// The functions behind the HTTP API, and those that are invoked.
const ROUTED: [&str; 3] = ["webhook", "settings", "contacts"];
const INVOKED: [&str; 2] = ["campaign-filter", "confirmation"];

#[tokio::test]
async fn every_event_is_answered_as_before() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../events");
    let mut files: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    for path in &files {
        let name = path.file_stem().unwrap().to_str().unwrap();
        let event = fs::read_to_string(path).unwrap();
        let answer = answer(name, event).await;
        insta::with_settings!({ prepend_module_to_snapshot => false, omit_expression => true }, {
            insta::assert_json_snapshot!(name, answer);
        });
    }
    for function in ROUTED.iter().chain(&INVOKED) {
        assert!(files.iter().any(|path| is_of(path.file_stem().unwrap().to_str().unwrap(), function)), "{function}");
    }
}

/// What a function makes of an event in a system where one customer has opted out.
async fn answer(name: &str, event: String) -> Value {
    let world = World::start().await;
    world.delivers(&world.message("14155550123", "STOP").at(world.seconds() - 3600)).await;
    if let Some(function) = ROUTED.iter().find(|function| is_of(name, function)) {
        let answer = world.hand(function, event).await;
        let contact = world.ask(Method::GET, "/contacts", None).await.body;
        return json!({"status": answer.status.as_u16(), "body": answer.body, "contacts": summary(&contact)});
    }
    let function = INVOKED.iter().find(|function| is_of(name, function)).expect(name);
    let event = RawValue::from_string(event).unwrap();
    match world.system.functions().invoke(function, event).await.unwrap() {
        Ok(answer) => serde_json::from_str(&answer).unwrap(),
        Err(diagnostic) => json!({"errorType": diagnostic.error_type, "errorMessage": diagnostic.error_message}),
    }
}

/// Who is listed afterwards, in a line each.
fn summary(list: &Value) -> Vec<String> {
    let contacts = list["contacts"].as_array().unwrap().iter();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    contacts
        .map(|contact| format!("{} {} blocked: {}", text(&contact["id"]), text(&contact["status"]), contact["blocked"]))
        .collect()
}

fn is_of(name: &str, function: &str) -> bool {
    name.strip_prefix(function).is_some_and(|rest| rest.starts_with('-'))
}
