//! The events in `events/`: each is delivered as it stands to the function that its name begins with, and what comes of it
//! is compared with `snapshots/`: the answer and, of WhatsApp's updates, what the table holds afterwards and what was counted.

use std::path::Path;
use std::{fs, panic};

use axum::http::{Method, StatusCode};
use consent::time::Time;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};
use tests::{Counted, World, webhook};

/// The functions behind the HTTP API, and those that are invoked.
const ROUTED: [&str; 3] = ["webhook", "settings", "contacts"];
const INVOKED: [&str; 2] = ["campaign-filter", "confirmation"];

/// A customer who opted out an hour before, in every case.
const SHEENA: &str = "14155550123";

/// A customer without a number who opted out an hour before, in the cases whose event has this id.
const KIM: &str = "US.20000000000000000001";

/// A customer who stopped marketing in WhatsApp an hour before, in the cases whose event has this id.
const STAN: &str = "14155550120";

#[tokio::test]
async fn every_event_is_answered_as_before() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../events");
    let mut files: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let mut differing = Vec::new();
    for path in &files {
        let name = path.file_stem().unwrap().to_str().unwrap();
        let event = fs::read_to_string(path).unwrap();
        let answer = answer(name, event).await;
        // One that differs is shown, and does not keep the others from being compared.
        let compared = panic::catch_unwind(|| {
            insta::with_settings!({ prepend_module_to_snapshot => false, omit_expression => true }, {
                insta::assert_json_snapshot!(name, answer);
            });
        });
        if compared.is_err() {
            differing.push(name);
        }
    }
    assert!(differing.is_empty(), "{} events differ from their snapshots: {differing:?}", differing.len());
    for function in ROUTED.iter().chain(&INVOKED) {
        assert!(files.iter().any(|path| is_of(path.file_stem().unwrap().to_str().unwrap(), function)), "{function}");
    }
}

/// A function's answer to an event, in a system where some customers have opted out.
async fn answer(name: &str, event: String) -> Value {
    let world = World::start().await;
    world.delivers(&world.message(SHEENA, "STOP").at(world.seconds() - 3600)).await;
    if is_of(name, "webhook") {
        return taken_in(&world, event).await;
    }
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

/// The webhook's answer to an event, with the table afterwards.
async fn taken_in(world: &World, event: String) -> Value {
    if event.contains(KIM) {
        let mut stop = webhook(&[world.message("", "STOP").without("from").at(world.seconds() - 3600).json()]);
        stop["entry"][0]["changes"][0]["value"]["messages"][0]["from_user_id"] = KIM.into();
        assert_eq!(world.post_webhook(&stop).await, StatusCode::OK);
    }
    if event.contains(STAN) {
        let mut stop = webhook(&[]);
        stop["entry"][0]["changes"][0]["field"] = "user_preferences".into();
        stop["entry"][0]["changes"][0]["value"]["user_preferences"] = json!([{"wa_id": STAN, "category": "marketing_messages", "value": "stop", "timestamp": world.seconds() - 3600}]);
        assert_eq!(world.post_webhook(&stop).await, StatusCode::OK);
    }
    let counted = Counted::from_now_on();
    let answer = world.hand("webhook", event).await;
    json!({"status": answer.status.as_u16(), "body": answer.body, "counted": counted.all(), "table": table(world).await})
}

/// The items in the table except channels and settings: by kind, then by id, those of the outbox by time. Shards are left
/// out, since they follow from the ids.
async fn table(world: &World) -> Value {
    let mut table = Map::new();
    for item in world.items().await {
        let (pk, sk) = (item["pk"].as_str().unwrap(), item["sk"].as_str().unwrap());
        match pk.split('#').collect::<Vec<_>>()[..] {
            ["CHANNEL", _] => {}
            ["T", _] if sk == "SETTINGS" => {}
            ["T", local::DEMO_TENANT, "C", _] => keep(&mut table, ["contacts", sk], &item),
            ["T", local::DEMO_TENANT, "H", id] => keep(&mut table, [&format!("history of {id}"), &timed(sk)], &item),
            ["T", local::DEMO_TENANT, "S", _] => keep(&mut table, ["suppressions", sk], &item),
            ["OUTBOX", _] => keep(&mut table, ["outbox", &timed(sk)], &item),
            _ => keep(&mut table, [pk, sk], &item),
        }
    }
    table.into()
}

fn keep(table: &mut Map<String, Value>, [kind, place]: [&str; 2], item: &Value) {
    const ELSEWHERE: [&str; 4] = ["pk", "sk", "id", "version"];
    let mut item = item.clone();
    item.as_object_mut().unwrap().retain(|name, _| !ELSEWHERE.contains(&name.as_str()));
    let kind = table.entry(kind).or_insert_with(|| json!({}));
    assert!(kind.as_object_mut().unwrap().insert(place.to_owned(), readable(&item)).is_none(), "{place} twice");
}

/// A place in the order of time, with its time as people write it. 0 stays: that is no time.
fn timed(place: &str) -> String {
    let (time, id) = place.split_once('#').unwrap();
    format!("{} {id}", readable(&time.parse::<i64>().unwrap().into()).to_string().trim_matches('"'))
}

/// The same with times as people write them, without what says nothing.
fn readable(value: &Value) -> Value {
    const FIRST_TIME: i64 = 1_000_000_000_000;
    match value {
        Value::Number(number) if number.as_i64().is_some_and(|millis| millis > FIRST_TIME) => {
            Time::from_millis(number.as_i64().unwrap()).to_string().into()
        }
        Value::Object(fields) => {
            let says_nothing = |value: &Value| matches!(value, Value::Null | Value::Bool(false)) || *value == json!({});
            let fields = fields.iter().map(|(name, value)| (name.clone(), readable(value)));
            fields.filter(|(_, value)| !says_nothing(value)).collect::<Map<_, _>>().into()
        }
        other => other.clone(),
    }
}

/// The people on the list afterwards, in a line each.
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
