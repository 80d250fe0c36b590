//! Campaigns while the table answers in part, late or not at all: what comes of one is exact, or it is an error.

use std::iter;
use std::time::Duration;

use campaign_filter::objects::Objects;
use campaign_filter::{CampaignFilter, FilterError};
use consent::id::ContactId;
use serde_json::{Value, json};
use tests::{Fault, World, cost};
use tokio::time::Instant;

const LISTED: usize = 20_000;

/// A world with a long suppression list, and a campaign for some people, every fifth of them on the list.
async fn world(recipients: usize) -> (World, Value) {
    let world = World::start().await;
    let listed = cost::people(LISTED, 1);
    cost::suppress(&world, &listed);
    // Both are spread over the same numbers.
    let free = cost::people(recipients * 40, 2);
    let free = free.iter().step_by(40).skip(recipients / 5);
    let listed = listed.iter().step_by(LISTED / recipients * 5);
    let contacts: Vec<&str> = free.chain(listed).map(ContactId::as_str).collect();
    assert_eq!(contacts.len(), recipients);
    (world, json!({"tenant_id": "demo", "category": "marketing", "contacts": contacts}))
}

/// Returns true if the campaign could be filtered, and checks the answer for each recipient.
async fn is_filtered(world: &World, campaign: &Value) -> bool {
    let recipients = campaign["contacts"].as_array().unwrap();
    match world.filter(campaign).await {
        Ok(report) => {
            let suppressed = recipients.len() / 5;
            assert_eq!(report["total"], recipients.len());
            assert_eq!(report["counts"]["opted_out"], suppressed);
            assert_eq!(report["eligible"].as_array().unwrap(), &recipients[..recipients.len() - suppressed]);
            true
        }
        Err(error) => {
            assert_eq!(error, "StoreUnavailable");
            false
        }
    }
}

#[tokio::test]
async fn a_share_of_keys_that_stays_unprocessed_delays_a_campaign_and_frees_nobody() {
    let (world, campaign) = world(50).await;
    for percent in [0, 2, 20, 50, 90, 99] {
        world.calls.reset();
        world.calls.fail("BatchGetItem", iter::repeat_n(Fault::Unprocessed(percent), 1_000));
        assert!(is_filtered(&world, &campaign).await, "{percent}");
        world.calls.forgive();
        // Looked up, not read in shards; and the more is left, the more often it is asked for.
        assert_eq!(world.calls.count("Query"), 1);
        assert!(world.calls.count("BatchGetItem") >= 2 + usize::from(percent > 0), "{percent}");
    }
    world.calls.fail("BatchGetItem", iter::repeat_n(Fault::Unprocessed(100), 1_000));
    assert!(!is_filtered(&world, &campaign).await);
}

#[tokio::test]
async fn explicit_opt_in_holds_while_keys_stay_unprocessed() {
    let world = World::start().await;
    let settings = |settings: &mut Value| settings["require_opt_in"] = true.into();
    world.change_settings(settings).await;
    for number in 0..30 {
        world.says(&format!("+141555601{number:02}"), if number % 3 == 0 { "STOP" } else { "START" }).await;
    }
    let contacts: Vec<String> = (0..60).map(|number| format!("+141555601{number:02}")).collect();
    for percent in [1, 50, 99] {
        world.calls.fail("BatchGetItem", iter::repeat_n(Fault::Unprocessed(percent), 1_000));
        let campaign = json!({"tenant_id": "demo", "category": "marketing", "contacts": contacts});
        let report = world.filter(&campaign).await.unwrap();
        assert_eq!(
            report["summary"], "30 contacts skipped (not-opted-in), 10 contacts skipped (opted-out)",
            "{percent}"
        );
        world.calls.forgive();
    }
}

#[tokio::test]
async fn a_table_that_throttles_delays_or_fails_a_campaign_and_frees_nobody() {
    for (recipients, operation) in [(50, "BatchGetItem"), (2_000, "Query")] {
        let (world, campaign) = world(recipients).await;
        for (faults, filtered) in [(1, Some(true)), (7, Some(true)), (30, None), (1_000, Some(false))] {
            world.calls.fail(operation, iter::repeat_n(Fault::Throttled, faults));
            let is_filtered = is_filtered(&world, &campaign).await;
            assert!(filtered.is_none_or(|filtered| filtered == is_filtered), "{operation} {faults}");
            world.calls.forgive();
        }
        assert!(is_filtered(&world, &campaign).await);
    }
}

#[tokio::test]
async fn a_campaign_fails_with_any_one_of_the_calls_that_it_makes() {
    for recipients in [50, 500, 2_000] {
        let (world, campaign) = world(recipients).await;
        world.calls.reset();
        assert!(is_filtered(&world, &campaign).await);
        for (operation, calls) in world.calls.counts() {
            for call in 0..calls {
                let faults = iter::repeat_n(Fault::Pass, call).chain([Fault::Denied]);
                world.calls.fail(&operation, faults);
                assert!(!is_filtered(&world, &campaign).await, "{recipients}: {operation} {call} of {calls}");
                world.calls.forgive();
            }
        }
    }
}

#[tokio::test]
async fn a_list_is_not_written_where_any_one_shard_cannot_be_read() {
    let (world, _) = world(100).await;
    let filler = "x".repeat(250);
    let rows: Vec<String> =
        (0..20_000).map(|row| format!("{{\"id\":\"+1415{row:07}\",\"x\":\"{filler}\"}}\n")).collect();
    let list = rows.concat().into_bytes();
    let object = world.system.s3().put_object().bucket(local::BUCKET).key("demo/in.jsonl");
    object.body(list.into()).send().await.unwrap();
    let campaign = json!({"tenant_id": "demo", "category": "marketing",
        "source": {"bucket": local::BUCKET, "key": "demo/in.jsonl", "format": "jsonl"},
        "destination": {"bucket": local::BUCKET, "prefix": "demo/out"}});
    for shard in 0..16 {
        world.calls.fail("Query", iter::repeat_n(Fault::Pass, shard).chain([Fault::Denied]));
        assert_eq!(world.filter(&campaign).await.unwrap_err(), "StoreUnavailable", "{shard}");
        world.calls.forgive();
    }
    let written = world.system.s3().list_objects_v2().bucket(local::BUCKET).prefix("demo/out").send().await.unwrap();
    assert_eq!(written.key_count(), Some(0));
    assert_eq!(world.filter(&campaign).await.unwrap()["counts"]["eligible"], 20_000);
}

#[tokio::test]
async fn a_campaign_whose_table_does_not_answer_ends_in_time() {
    for operation in ["Query", "BatchGetItem"] {
        let (world, campaign) = world(50).await;
        let filter = CampaignFilter::new(world.system.store().clone(), Objects::new(world.system.s3().clone()));
        let faults = if operation == "Query" { vec![Fault::Hanging] } else { vec![Fault::Pass, Fault::Hanging] };
        world.calls.fail(operation, faults);
        let event = serde_json::value::to_raw_value(&campaign).unwrap();
        let filtering = filter.handle(event, Some(Instant::now() + Duration::from_millis(200)));
        assert!(matches!(filtering.await, Err(FilterError::OutOfTime)), "{operation}");
    }
}
