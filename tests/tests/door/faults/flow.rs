//! The flows whose calls of the table fail: the world before each of them, the work with its repetitions, and what follows.

use axum::http::{Method, StatusCode};
use serde_json::{Value, json};
use tests::{World, webhook};

use super::text;

/// Maximum number of repetitions of a caller.
const REPEATS: usize = 20;

/// A mark in the words and names of the person who is erased, and nowhere else.
const MARK: &str = "🧿";

/// A mark in the words of the next holder of a number that the erased person once had.
const MARK_OF_NEXT: &str = "✳";

/// A flow: work that its caller repeats until it is done.
#[derive(Clone, Copy, Debug)]
pub enum Flow {
    /// WhatsApp delivers a body of many kinds of updates.
    Webhook,
    /// Staff switches and blocks contacts.
    Switch,
    /// Staff uploads a batch.
    Batch,
    /// Staff erases someone who opted out and went by several ids.
    Erasure,
    /// The same, while that person writes again before staff repeats what failed.
    ErasureOfTalkative,
    /// Staff erases someone who is not suppressed.
    ErasureOfUnsuppressed,
    /// The schedule sweeps the outbox.
    Sweep,
    /// The table's stream brings what is in the outbox, and the schedule what is left of it.
    Stream,
}

impl Flow {
    /// Prepares the world for the flow. Returns the values that the flow needs.
    pub async fn prepare(self, world: &World) -> Vec<Value> {
        match self {
            Self::Webhook => prepare_webhook(world).await,
            Self::Switch | Self::Batch => {
                for phone in ["14155550131", "14155550132", "14155550133"] {
                    world.says(phone, "STOP").await;
                }
                deliver(world, &webhook(&[both(world, "14155550134", "US.134", "STOP")])).await.unwrap();
                Vec::new()
            }
            Self::Erasure | Self::ErasureOfTalkative => prepare_erasure(world).await,
            Self::ErasureOfUnsuppressed => {
                let mut told = Vec::new();
                for words in ["STOP", "START"] {
                    world.wait(2);
                    told.push(named(world, "14155550122", words));
                    deliver(world, told.last().unwrap()).await.unwrap();
                }
                told
            }
            Self::Sweep | Self::Stream => {
                world.says("14155550141", "STOP").await;
                deliver(world, &webhook(&[by_user(world, "US.142", "STOP")])).await.unwrap();
                world.says("14155550143", "STOP").await;
                world.says("14155550143", "START").await;
                world.delivers(&world.message("14155550144", "STOP").at(world.seconds() - 25 * 3600)).await;
                Vec::new()
            }
        }
    }

    /// Does it, as often as its caller would.
    pub async fn carry_out(self, world: &World, prepared: &[Value]) -> Result<(), String> {
        match self {
            Self::Webhook => deliver(world, &prepared[0]).await,
            Self::Switch => {
                for (method, path, body) in [
                    (Method::PUT, "/contacts/14155550131/consent", json!({"status": "opted_in"})),
                    (Method::PUT, "/contacts/14155550135/consent", json!({"status": "opted_out", "note": "by phone"})),
                    (Method::PUT, "/contacts/US.134/block", json!({})),
                    (Method::DELETE, "/contacts/14155550134/block", json!({})),
                ] {
                    ask(world, method, path, Some(body), StatusCode::OK).await?;
                }
                Ok(())
            }
            Self::Batch => {
                let evidence = json!({"text": "shop form", "obtained_at": world.shown(world.seconds() - 10)});
                let changes = json!([
                    {"id": "14155550131", "status": "opted_in", "evidence": evidence},
                    {"id": "14155550132", "status": "opted_in"},
                    {"id": "14155550135", "status": "opted_out"},
                    {"id": "14155550136", "status": "opted_in"},
                    {"id": "US.134", "status": "opted_out"},
                    {"id": "14155550134", "status": "opted_in", "evidence": evidence},
                    {"id": "no number", "status": "opted_out"},
                ]);
                ask(world, Method::POST, "/contacts/batch", Some(json!({"changes": changes})), StatusCode::OK).await
            }
            Self::Erasure => ask(world, Method::DELETE, "/contacts/14155550120", None, StatusCode::NO_CONTENT).await,
            Self::ErasureOfTalkative => {
                if world.ask(Method::DELETE, "/contacts/14155550120", None).await.status != StatusCode::NO_CONTENT {
                    world.wait(1);
                    deliver(world, &named(world, "14155550120", &format!("Stop {MARK}"))).await?;
                    world.wait(1);
                }
                ask(world, Method::DELETE, "/contacts/14155550120", None, StatusCode::NO_CONTENT).await
            }
            Self::ErasureOfUnsuppressed => {
                ask(world, Method::DELETE, "/contacts/14155550122", None, StatusCode::NO_CONTENT).await
            }
            Self::Sweep => sweep(world).await,
            Self::Stream => {
                let event = world.outbox_event().await;
                for _ in 0..3 {
                    let answer = world.system.functions().invoke("confirmation", event.clone()).await.unwrap();
                    report_sent(world).await?;
                    if answer.is_ok_and(|answer| answer == r#"{"batchItemFailures":[]}"#) {
                        break;
                    }
                    world.wait(5);
                }
                Ok(())
            }
        }
    }

    /// Does what follows the flow, and checks what has to hold then in any case.
    pub async fn afterwards(self, world: &World, prepared: &[Value]) -> Result<(), String> {
        match self {
            Self::Stream => return sweep(world).await,
            Self::Erasure | Self::ErasureOfTalkative | Self::ErasureOfUnsuppressed => {}
            Self::Webhook | Self::Switch | Self::Batch | Self::Sweep => return Ok(()),
        }
        // WhatsApp delivers all of it once more.
        for body in prepared {
            deliver(world, body).await?;
        }
        let left = world.items().await.into_iter().filter(|item| item.to_string().contains(MARK));
        let left: Vec<String> = left.map(|item| item.to_string()).collect();
        if left.is_empty() { Ok(()) } else { Err(format!("words of the erased person: {left:#?}")) }
    }
}

/// Prepares a body of updates of many kinds, and the people in it.
async fn prepare_webhook(world: &World) -> Vec<Value> {
    let told = |phone: &str, words: &str| world.message(phone, words).json();
    let before = [
        both(world, "14155550102", "US.102", "hello"),
        told("14155550103", "STOP"),
        told("14155550105", "STOP"),
        told("14155550109", "STOP"),
        told("14155550110", "STOP"),
        by_user(world, "US.111", "STOP"),
    ];
    deliver(world, &webhook(&before)).await.unwrap();
    sweep(world).await.unwrap();
    world.wait(60);
    let sent = world.system.graph().outbox();
    let told_last = sent.iter().rfind(|message| message["to"] == "+14155550109").unwrap();
    let (callback, now) = (&told_last["biz_opaque_callback_data"], world.seconds().to_string());
    let system = |id: &str, system: Value| json!({"id": id, "timestamp": now, "type": "system", "system": system});
    let mut moved = system("wamid.changed", json!({"type": "user_changed_number", "wa_id": "14155550106"}));
    moved["from"] = "14155550105".into();
    let messages = [
        told("14155550101", "STOP"),
        by_user(world, "US.102", "Stop!"),
        told("14155550103", "START"),
        both(world, "14155550104", "US.104", "hello"),
        moved,
        system(
            "wamid.renamed",
            json!({"type": "user_changed_user_id", "user_id": "US.112", "previous_user_id": "US.111"}),
        ),
        both(world, "14155550110", "US.110", "hello"),
        told("14155550113", "nothing of interest"),
    ];
    let mut body = webhook(&messages);
    let changes = &mut body["entry"][0]["changes"];
    let failed = |code: u32| json!([{"code": code, "title": "failed"}]);
    changes[0]["value"]["statuses"] = json!([
        {"id": "wamid.stopped", "status": "failed", "timestamp": now, "recipient_id": "14155550108", "errors": failed(131_050)},
        {"id": "wamid.told", "status": "failed", "timestamp": now, "recipient_id": "14155550109", "errors": failed(131_026), "biz_opaque_callback_data": callback},
    ]);
    let mut preferences = changes[0].clone();
    preferences["field"] = "user_preferences".into();
    preferences["value"]["user_preferences"] =
        json!([{"wa_id": "14155550107", "category": "marketing_messages", "value": "stop", "timestamp": now}]);
    changes.as_array_mut().unwrap().push(preferences);
    vec![body]
}

/// Prepares a person with a user id who came to a number from another one and sent several messages, and a second person who
/// has the other number now.
async fn prepare_erasure(world: &World) -> Vec<Value> {
    let mut told = Vec::new();
    for step in 0..5 {
        world.wait(2);
        let message = match step {
            0 => named(world, "14155550121", &format!("Stop {MARK}")),
            1 => {
                let timestamp = world.seconds().to_string();
                let system = json!({"type": "user_changed_number", "wa_id": "14155550120", "body": MARK});
                webhook(&[
                    json!({"from": "14155550121", "id": "wamid.moved", "timestamp": timestamp, "type": "system", "system": system}),
                ])
            }
            2 => webhook(&[both(world, "14155550120", "US.120", "hello")]),
            3 => named(world, "14155550120", &format!("Start {MARK}")),
            _ => webhook(&[by_user(world, "US.120", &format!("{MARK} Stop"))]),
        };
        deliver(world, &message).await.unwrap();
        told.push(message);
    }
    world.wait(60);
    world.says("14155550121", &format!("Stop {MARK_OF_NEXT}")).await;
    told
}

/// A message by number and user id.
fn both(world: &World, phone: &str, user: &str, words: &str) -> Value {
    let mut message = world.message(phone, words).json();
    message["from_user_id"] = user.into();
    message
}

/// A message by user id alone.
fn by_user(world: &World, user: &str, words: &str) -> Value {
    let mut message = world.message("", words).without("from").json();
    message["from_user_id"] = user.into();
    message
}

/// A body with a message of someone whose name is marked.
fn named(world: &World, phone: &str, words: &str) -> Value {
    let mut body = webhook(&[world.message(phone, words).json()]);
    body["entry"][0]["changes"][0]["value"]["contacts"] =
        json!([{"wa_id": phone, "profile": {"name": format!("Nemo {MARK}")}}]);
    body
}

/// WhatsApp delivers a body until it is taken.
async fn deliver(world: &World, body: &Value) -> Result<(), String> {
    for _ in 0..REPEATS {
        if world.post_webhook(body).await == StatusCode::OK {
            return Ok(());
        }
        world.wait(20);
    }
    Err("an update is never taken".to_owned())
}

/// A user of the dashboard asks until it is done. What was asked for before and had been done all the same may be refused.
async fn ask(world: &World, method: Method, path: &str, body: Option<Value>, done: StatusCode) -> Result<(), String> {
    for _ in 0..REPEATS {
        let answer = world.ask(method.clone(), path, body.clone()).await;
        if answer.status == done {
            return Ok(());
        }
        if !answer.status.is_server_error() {
            return Err(format!("{method} {path}: {} {}", answer.status, answer.body));
        }
        world.wait(5);
    }
    Err(format!("{method} {path} is never done"))
}

/// The schedule comes round every minute until the outbox is empty, and WhatsApp reports what it has taken.
async fn sweep(world: &World) -> Result<(), String> {
    for _ in 0..REPEATS {
        for outcome in world.system.run_schedules().await {
            drop(outcome);
        }
        report_sent(world).await?;
        if world.items().await.iter().all(|item| !text(&item["pk"]).starts_with("OUTBOX#")) {
            return Ok(());
        }
        world.wait(61);
    }
    Err("something stays in the outbox".to_owned())
}

/// WhatsApp reports that every message sent so far has gone out.
async fn report_sent(world: &World) -> Result<(), String> {
    let statuses: Vec<Value> = world
        .system
        .graph()
        .outbox()
        .into_iter()
        .enumerate()
        .map(|(index, message)| {
            json!({"id": format!("wamid.sent.{index}"), "status": "sent", "timestamp": world.seconds().to_string(),
                "biz_opaque_callback_data": message["biz_opaque_callback_data"]})
        })
        .collect();
    if statuses.is_empty() {
        return Ok(());
    }
    let mut body = webhook(&[]);
    body["entry"][0]["changes"][0]["value"]["statuses"] = statuses.into();
    deliver(world, &body).await
}
