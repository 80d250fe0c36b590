//! The sweep of the outbox: all that is due, round robin over tenants, however much one of them has.

use axum::http::{Method, StatusCode};
use consent::id::EventId;
use consent::log::Metric;
use serde_json::{Value, json};
use tests::{Counted, World, attributes, webhook};

/// A tenant's channel, with a secret of its own whose token is good or dead.
async fn tenant(world: &World, name: &str, channel: &str, token: &str) {
    let secret = format!("consent/{name}");
    let app = json!({"app_secret": local::secrets::APP_SECRET, "verify_token": "x", "access_token": token});
    world.system.secrets().put(&secret, app.to_string());
    let body = json!({"tenant_id": name, "display_phone_number": "15550783881", "secret_id": secret});
    let path = format!("/channels/{channel}");
    world.ask_as(name, "consent/platform", Method::PUT, &path, Some(body)).await.expect(StatusCode::OK);
}

/// So many customers of a channel opt out.
async fn opt_out(world: &World, channel: &str, count: usize) {
    let messages = (0..count).map(|index| world.message(&format!("1415555{index:04}"), "STOP").json());
    let mut body = webhook(&messages.collect::<Vec<Value>>());
    body["entry"][0]["changes"][0]["value"]["metadata"]["phone_number_id"] = channel.into();
    assert_eq!(world.post_webhook(&body).await, StatusCode::OK);
}

fn sent_from(world: &World, channel: &str) -> usize {
    world.system.graph().channels().iter().filter(|from| *from == channel).count()
}

#[tokio::test]
async fn a_dead_token_holds_up_no_other_tenant_and_spends_one_attempt_a_sweep() {
    let world = World::start().await;
    tenant(&world, "dead", "200", "expired").await;
    tenant(&world, "well", "300", local::secrets::ACCESS_TOKEN).await;
    opt_out(&world, "200", 300).await;
    world.wait(60);
    opt_out(&world, "300", 50).await;
    let counted = Counted::from_now_on();
    world.sweep().await;
    assert_eq!((sent_from(&world, "300"), sent_from(&world, "200"), world.outbox().await), (50, 0, 300));
    assert_eq!(counted.count(Metric::GraphTokenRefused), 1, "one alarm, and 299 attempts that are not wasted");
    assert_eq!(counted.numbers(Metric::Sweep), [json!({"found": 350, "due": 299, "oldest_seconds": 60})]);
    // A new token counts within a minute, and everything goes out.
    tenant(&world, "dead", "200", local::secrets::ACCESS_TOKEN).await;
    world.wait(61);
    world.sweep().await;
    assert_eq!((sent_from(&world, "200"), world.outbox().await), (300, 0));
    assert_eq!(counted.numbers(Metric::Sweep)[1], json!({"found": 300, "due": 0, "oldest_seconds": 0}));
}

#[tokio::test]
async fn a_sweep_says_how_much_is_due_and_how_old_it_is_even_where_that_is_nothing() {
    let world = World::start().await;
    let counted = Counted::from_now_on();
    world.sweep().await;
    assert_eq!(counted.numbers(Metric::Sweep), [json!({"found": 0, "due": 0, "oldest_seconds": 0})]);
}

#[tokio::test]
async fn a_sweep_that_cannot_read_the_whole_outbox_is_an_error_and_sends_the_rest() {
    let world = World::start().await;
    opt_out(&world, local::DEMO_CHANNEL, 50).await;
    let counted = Counted::from_now_on();
    world.calls.fail("Query", [tests::Fault::Denied]);
    let outcomes = world.system.run_schedules().await;
    // The shard is read again before the sweep ends, so in the end all of it was read.
    assert!(outcomes.iter().all(Result::is_ok), "{outcomes:?}");
    assert_eq!((world.sent().len(), counted.count(Metric::Sweep)), (50, 1));
    world.calls.fail("Query", [tests::Fault::Denied; 64]);
    let outcomes = world.system.run_schedules().await;
    assert_eq!(outcomes[0].as_ref().unwrap_err().error_type, "StoreUnavailable");
    assert_eq!(counted.count(Metric::Sweep), 1, "no heartbeat");
}

#[tokio::test]
async fn a_sweep_reaches_those_behind_the_first_pages_of_another_tenant() {
    const COPIES: usize = 6_000;
    let world = World::start().await;
    tenant(&world, "dead", "200", "expired").await;
    opt_out(&world, "200", 1).await;
    multiply(&world, COPIES).await;
    world.wait(60);
    opt_out(&world, local::DEMO_CHANNEL, 3).await;
    let counted = Counted::from_now_on();
    world.sweep().await;
    assert_eq!((world.sent().len(), counted.count(Metric::GraphTokenRefused)), (3, 1));
    let numbers = json!({"found": COPIES + 4, "due": COPIES, "oldest_seconds": 60});
    assert_eq!(counted.numbers(Metric::Sweep), [numbers]);
}

/// Puts so many copies of the only outbox item and its history entry into the table, each with an event id of its own.
async fn multiply(world: &World, count: usize) {
    let items: Vec<_> =
        world.items().await.into_iter().filter(|item| item["sk"].to_string().contains("#wamid.")).collect();
    assert_eq!(items.len(), 2);
    let copy = |(item, index): (&Value, usize)| {
        let event = EventId::from(format!("wamid.copy.{index}"));
        let (pk, sk) = (item["pk"].as_str().unwrap(), item["sk"].as_str().unwrap());
        let (time, _) = sk.split_once('#').unwrap();
        let mut copy = item.clone();
        copy["sk"] = format!("{time}#{}", event.as_str()).into();
        if pk.starts_with("OUTBOX#") {
            copy["pk"] = format!("OUTBOX#{}", event.shard()).into();
        }
        serde_json::from_value::<dynoxide::Item>(attributes(&copy)).unwrap()
    };
    let copies = items.iter().flat_map(|item| (0..count).map(move |index| (item, index)));
    let database = world.system.engine().unwrap().database();
    let options = dynoxide::ImportOptions::default();
    database.import_items(local::TABLE, copies.map(copy).collect(), options).unwrap();
}
