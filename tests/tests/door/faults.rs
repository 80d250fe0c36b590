//! Every call of the table that a flow makes fails once, in every way that a call can fail. The caller repeats the flow as in
//! production: WhatsApp delivers again, staff asks again, the schedule comes round again. In the end, the table has the same
//! items as without any fault.

mod flow;

use std::collections::{BTreeMap, BTreeSet};
use std::iter::repeat_n;

use futures::{StreamExt, stream};
use serde_json::Value;
use tests::{Fault, World};

use flow::Flow;

/// Runs of a flow that are under way at a time.
const AT_ONCE: usize = 8;

/// The ways in which any call can fail: for good, and in passing.
const OF_CALLS: [(Fault, usize); 2] = [(Fault::Denied, 1), (Fault::Throttled, 1)];

/// The further ways in which a call that writes can fail: it has done so nevertheless.
const OF_WRITES: [(Fault, usize); 2] = [(Fault::Lost, 1), (Fault::LostOnce, 1)];

/// The further ways in which a transaction can fail: it meets others, once, and until the store gives up.
const OF_TRANSACTIONS: [(Fault, usize); 2] = [(Fault::Conflict, 1), (Fault::Conflict, 8)];

/// The operations that write.
const WRITES: [&str; 2] = [TRANSACTION, "BatchWriteItem"];

const TRANSACTION: &str = "TransactWriteItems";

/// A fault and the call that meets it.
#[derive(Clone, Copy, Debug)]
struct Case {
    /// The fault, and the number of calls in a row that meet it.
    fault: (Fault, usize),
    /// The operation of the call. None if calls of all operations are counted.
    operation: Option<&'static str>,
    /// The number of calls before it.
    before: usize,
}

/// The result of a run of a flow.
struct End {
    /// The number of calls.
    calls: usize,
    /// The number of calls of each operation that writes.
    writes: [usize; WRITES.len()],
    /// True if the calls that were to fail have done so.
    failed: bool,
    table: Vec<String>,
    suppressed: BTreeSet<String>,
    /// The number of messages sent to each customer.
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
