//! Every call of the table that a flow makes fails once, in every way that a call can fail, and whoever started the flow
//! repeats it as in production: WhatsApp delivers again, staff asks again, the schedule comes round again. What the table
//! holds in the end is what it holds without any fault.

use std::collections::{BTreeMap, BTreeSet};
use std::iter::repeat_n;

use axum::http::{Method, StatusCode};
use futures::{StreamExt, stream};
use serde_json::{Value, json};
use tests::{Fault, World, webhook};

/// Runs of a flow that are under way at a time.
const AT_ONCE: usize = 8;

/// How often a caller repeats, at most.
const REPEATS: usize = 20;

/// What stands in words and names of whoever is erased, and nowhere else.
const MARK: &str = "🧿";

/// What stands in the words of the next holder of a number that the erased person once had.
const MARK_OF_NEXT: &str = "✳";

/// The ways in which any call can fail: for good, and in passing.
const OF_CALLS: [(Fault, usize); 2] = [(Fault::Denied, 1), (Fault::Throttled, 1)];

/// The further ways in which a call that writes can fail: it has done so nevertheless.
const OF_WRITES: [(Fault, usize); 2] = [(Fault::Lost, 1), (Fault::LostOnce, 1)];

/// The further ways in which a transaction can fail: it meets others, once, and until the store gives up.
const OF_TRANSACTIONS: [(Fault, usize); 2] = [(Fault::Conflict, 1), (Fault::Conflict, 8)];

/// The operations that write.
const WRITES: [&str; 2] = [TRANSACTION, "BatchWriteItem"];

const TRANSACTION: &str = "TransactWriteItems";

/// Something that is done, and repeated until it is done.
#[derive(Clone, Copy, Debug)]
enum Flow {
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

/// A fault and the call that meets it.
#[derive(Clone, Copy, Debug)]
struct Case {
    /// How the call fails, and how many more of its kind do after it.
    fault: (Fault, usize),
    /// Its operation; none where all are counted.
    operation: Option<&'static str>,
    /// How many calls come before it.
    before: usize,
}

/// What a run of a flow came to.
struct End {
    /// How many calls there were.
    calls: usize,
    /// How many of each operation that writes.
    writes: [usize; WRITES.len()],
    /// Whether the calls that were to fail have done so.
    failed: bool,
    table: Vec<String>,
    suppressed: BTreeSet<String>,
    /// How many messages each customer was sent.
    sent: BTreeMap<String, usize>,
}

#[tokio::test]
async fn an_update_whose_processing_fails_anywhere_is_made_good_by_its_redelivery() {
    every_fault_is_made_good(Flow::Webhook).await;
}

#[tokio::test]
async fn a_switch_that_fails_anywhere_is_made_good_by_its_repetition() {
    every_fault_is_made_good(Flow::Switch).await;
}

#[tokio::test]
async fn a_batch_that_fails_anywhere_is_made_good_by_its_repetition() {
    every_fault_is_made_good(Flow::Batch).await;
}

#[tokio::test]
async fn an_erasure_that_fails_anywhere_is_finished_by_its_repetition() {
    every_fault_is_made_good(Flow::Erasure).await;
}

#[tokio::test]
async fn an_erasure_that_fails_anywhere_takes_what_is_said_before_its_repetition_as_well() {
    every_fault_is_made_good(Flow::ErasureOfTalkative).await;
}

#[tokio::test]
async fn an_erasure_of_the_unsuppressed_that_fails_anywhere_is_finished_by_its_repetition() {
    every_fault_is_made_good(Flow::ErasureOfUnsuppressed).await;
}

#[tokio::test]
async fn a_sweep_that_fails_anywhere_is_made_good_by_the_next() {
    every_fault_is_made_good(Flow::Sweep).await;
}

#[tokio::test]
async fn a_record_of_the_stream_that_fails_anywhere_is_made_good_by_its_repetition_and_the_sweep() {
    every_fault_is_made_good(Flow::Stream).await;
}

/// Runs a flow without a fault, and then with every fault at every call that it made.
async fn every_fault_is_made_good(flow: Flow) {
    let expected = &run(flow, None).await.unwrap();
    let cases = cases(expected);
    let outcomes = stream::iter(&cases).map(async |case| match run(flow, Some(*case)).await {
        Ok(end) => (end.failed, end.differences(expected).map_err(|error| format!("{case:?}: {error}"))),
        Err(error) => (true, Err(format!("{case:?}: {error}"))),
    });
    let outcomes: Vec<(bool, Result<(), String>)> = outcomes.buffer_unordered(AT_ONCE).collect().await;
    let wrong: Vec<&String> = outcomes.iter().filter_map(|(_, outcome)| outcome.as_ref().err()).collect();
    let some = wrong.iter().take(3).map(|wrong| wrong.as_str()).collect::<Vec<_>>().join("\n");
    assert!(wrong.is_empty(), "{} of {} cases of {flow:?}:\n{some}", wrong.len(), cases.len());
    // Calls that are made at the same moment change places, and now and then there is one less.
    let failed = outcomes.iter().filter(|(failed, _)| *failed).count();
    assert!(failed > 0 && failed * 10 >= cases.len() * 9, "only {failed} of {} faults met a call", cases.len());
}

/// Every fault that the calls of a run can meet.
fn cases(run: &End) -> Vec<Case> {
    let each = |calls: usize, operation: Option<&'static str>, faults: [(Fault, usize); 2]| {
        (0..calls).flat_map(move |before| faults.map(|fault| Case { fault, operation, before }))
    };
    let mut cases: Vec<Case> = each(run.calls, None, OF_CALLS).collect();
    for (operation, calls) in WRITES.into_iter().zip(run.writes) {
        cases.extend(each(calls, Some(operation), OF_WRITES));
    }
    cases.extend(each(run.writes[0], Some(TRANSACTION), OF_TRANSACTIONS));
    cases
}

async fn run(flow: Flow, case: Option<Case>) -> Result<End, String> {
    let world = World::start().await;
    world.system.graph().send_statuses(false);
    let prepared = flow.prepare(&world).await;
    world.wait(60);
    world.calls.reset();
    match case {
        None => {}
        Some(Case { fault: (fault, _), operation: None, before }) => world.calls.fail_after(before, fault),
        Some(Case { fault: (fault, times), operation: Some(operation), before }) => {
            let faults = repeat_n(Fault::Pass, before).chain(repeat_n(fault, times));
            world.calls.fail(operation, faults);
        }
    }
    flow.carry_out(&world, &prepared).await?;
    let calls = world.calls.total() - world.calls.count("Scan");
    let writes = WRITES.map(|operation| world.calls.count(operation));
    let failed = world.calls.all_failed();
    world.calls.forgive();
    flow.afterwards(&world, &prepared).await?;
    let items = world.items().await;
    let suppressed = items.iter().filter(|item| text(&item["pk"]).starts_with("T#demo#S#"));
    let suppressed = suppressed.map(|item| format!("{} {}", text(&item["sk"]), text(&item["r"]))).collect();
    let mut table: Vec<String> = items.into_iter().filter_map(lasting).collect();
    table.sort();
    let mut sent = BTreeMap::new();
    for (to, _) in world.sent() {
        *sent.entry(to).or_default() += 1;
    }
    Ok(End { calls, writes, failed, table, suppressed, sent })
}

impl End {
    fn differences(&self, expected: &Self) -> Result<(), String> {
        if self.suppressed != expected.suppressed {
            return Err(format!("suppressed {:?}, not {:?}", self.suppressed, expected.suppressed));
        }
        if self.sent != expected.sent {
            return Err(format!("sent {:?}, not {:?}", self.sent, expected.sent));
        }
        let missing: Vec<_> = expected.table.iter().filter(|item| !self.table.contains(item)).collect();
        let added: Vec<_> = self.table.iter().filter(|item| !expected.table.contains(item)).collect();
        if !missing.is_empty() || !added.is_empty() || self.table.len() != expected.table.len() {
            return Err(format!("missing {missing:#?}, added {added:#?}"));
        }
        Ok(())
    }
}

impl Flow {
    /// What there is before; what the flow needs of it.
    async fn prepare(self, world: &World) -> Vec<Value> {
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
    async fn carry_out(self, world: &World, prepared: &[Value]) -> Result<(), String> {
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

    /// What still comes after it, and what has to hold then, whatever the table held without a fault.
    async fn afterwards(self, world: &World, prepared: &[Value]) -> Result<(), String> {
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

/// A body of updates of many kinds, and the people whom it is about.
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

/// Someone who came to a number from another one, said several things, and goes by a user id as well; and somebody else who
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

/// An item without what differs from run to run: times, versions, ids that are drawn by chance, and how often something was
/// tried. None for what is no person's.
fn lasting(item: Value) -> Option<String> {
    let pk = text(&item["pk"]).to_owned();
    let timed = pk.starts_with("OUTBOX#") || pk.contains("#H#");
    if !timed && !pk.starts_with("T#") || item["sk"] == "SETTINGS" {
        return None;
    }
    let mut item = without_times(item);
    for field in ["version", "attempt", "tries", "lost", "taken"] {
        item.as_object_mut().unwrap().remove(field);
    }
    if let Some(confirmation) = item["confirmation"].as_object_mut() {
        confirmation.remove("message_id");
    }
    if timed {
        let event = text(&item["sk"]).split_once('#').map_or("", |(_, event)| event).to_owned();
        // Changes by staff have ids of their own each time.
        let is_by_staff = event.len() == 36 && event.matches('-').count() == 4;
        for field in ["sk", "id"] {
            item[field] = if is_by_staff { "by staff".into() } else { event.clone().into() };
        }
    }
    Some(item.to_string())
}

fn without_times(value: Value) -> Value {
    const FIRST_TIME: i64 = 1_000_000_000;
    match value {
        Value::Number(number) if number.as_i64().is_some_and(|number| number > FIRST_TIME) => "a time".into(),
        Value::Object(fields) => fields.into_iter().map(|(name, value)| (name, without_times(value))).collect(),
        Value::Array(list) => list.into_iter().map(without_times).collect(),
        other => other,
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}
