//! Channels that are registered, released and handed on. A message counts for the tenant that held its channel when it was
//! written.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;
use axum::http::{Method, StatusCode};
use serde_json::{Value, json};
use tests::{Answer, Message, World, webhook};

const ANN: &str = "14155550101";
const BEN: &str = "14155550102";

/// The channel that changes hands in these tests.
const CHANNEL: &str = "200";

async fn release(world: &World, channel: &str) -> Answer {
    world.ask_as("platform", "consent/platform", Method::DELETE, &format!("/channels/{channel}"), None).await
}

/// A body with a message on the channel.
fn body(message: &Message) -> Value {
    on_channel(webhook(&[message.json()]))
}

fn on_channel(mut body: Value) -> Value {
    body["entry"][0]["changes"][0]["value"]["metadata"]["phone_number_id"] = CHANNEL.into();
    body
}

/// A number's use of WhatsApp's own control on the channel.
fn preference(from: &str, value: &str, at: i64) -> Value {
    let mut body = on_channel(webhook(&[]));
    let change = &mut body["entry"][0]["changes"][0];
    change["field"] = "user_preferences".into();
    change["value"]["user_preferences"] =
        json!([{"wa_id": from, "category": "marketing_messages", "value": value, "timestamp": at}]);
    body
}

async fn post(world: &World, body: &Value) {
    assert_eq!(world.post_webhook(body).await, StatusCode::OK, "{body}");
}

/// A world in which `acme` held the channel for an hour, no tenant for the next, and `zeta` has held it for an hour; and the
/// second at which each of the three began.
async fn handed_on() -> (World, i64, i64, i64) {
    let world = World::start().await;
    world.register(CHANNEL, "acme").await;
    let acme = world.seconds();
    world.wait(3600);
    release(&world, CHANNEL).await.expect(StatusCode::NO_CONTENT);
    let nobody = world.seconds();
    world.wait(3600);
    world.register(CHANNEL, "zeta").await;
    let zeta = world.seconds();
    world.wait(3600);
    (world, acme, nobody, zeta)
}

/// The channel's item in the table.
async fn item(world: &World) -> Value {
    let items = world.items().await;
    items.into_iter().find(|item| item["pk"] == format!("CHANNEL#{CHANNEL}")).unwrap()
}

/// The secrets that are listed, each with its channels.
async fn listed(world: &World) -> Value {
    let mut list = world.items().await.into_iter().find(|item| item["pk"] == "SECRETS").unwrap_or_else(|| json!({}));
    for key in ["pk", "sk"] {
        list.as_object_mut().unwrap().remove(key);
    }
    list
}

#[tokio::test]
async fn a_channel_that_was_taken_back_is_nobodys() {
    let world = World::start().await;
    world.register(CHANNEL, "acme").await;
    post(&world, &body(&world.message(ANN, "STOP"))).await;
    assert_eq!(release(&world, CHANNEL).await.expect(StatusCode::NO_CONTENT), Value::Null);
    // The webhook remembers the channel for a minute.
    world.wait(60);
    let stop = body(&world.message(BEN, "STOP"));
    assert_eq!(world.post_webhook(&stop).await, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(world.status_at("acme", BEN).await, None);
    // A second release changes nothing, and neither does that of a channel without a tenant.
    release(&world, CHANNEL).await.expect(StatusCode::NO_CONTENT);
    release(&world, "201").await.expect(StatusCode::NO_CONTENT);
    assert_eq!(release(&world, "first").await.problem(StatusCode::UNPROCESSABLE_ENTITY), ["phone_number_id"]);
    // Consent stays with the tenant.
    assert_eq!(world.status_at("acme", ANN).await.as_deref(), Some("opted_out"));
}

#[tokio::test]
async fn another_tenant_gets_a_channel_two_minutes_after_it_was_taken_back() {
    let world = World::start().await;
    world.register(CHANNEL, "acme").await;
    let put = async |tenant: &str| world.put_channel(CHANNEL, tenant, None).await.status;
    assert_eq!(put("zeta").await, StatusCode::CONFLICT);
    release(&world, CHANNEL).await.expect(StatusCode::NO_CONTENT);
    assert_eq!(put("zeta").await, StatusCode::CONFLICT);
    world.wait(119);
    // A further release does not change the time of the first.
    release(&world, CHANNEL).await.expect(StatusCode::NO_CONTENT);
    let refused = world.put_channel(CHANNEL, "zeta", None).await.expect(StatusCode::CONFLICT);
    assert!(refused["detail"].as_str().unwrap().contains("2026-11-22T10:02:00"), "{refused}");
    world.wait(1);
    assert_eq!(put("zeta").await, StatusCode::OK);
    assert_eq!(put("acme").await, StatusCode::CONFLICT);
}

#[tokio::test]
async fn the_tenant_that_gave_a_channel_back_may_have_it_again_at_once() {
    let world = World::start().await;
    world.register(CHANNEL, "acme").await;
    release(&world, CHANNEL).await.expect(StatusCode::NO_CONTENT);
    world.register(CHANNEL, "acme").await;
    post(&world, &body(&world.message(ANN, "STOP"))).await;
    assert_eq!(world.status_at("acme", ANN).await.as_deref(), Some("opted_out"));
}

#[tokio::test]
async fn one_of_two_tenants_that_want_a_channel_at_the_same_moment_gets_it() {
    let world = World::start().await;
    let tenants: Vec<String> = (0..6).map(|tenant| format!("tenant-{tenant}")).collect();
    let puts = tenants.iter().map(|tenant| world.put_channel(CHANNEL, tenant, Some("consent/own")));
    let statuses: Vec<StatusCode> =
        futures::future::join_all(puts).await.into_iter().map(|answer| answer.status).collect();
    assert_eq!(statuses.iter().filter(|status| **status == StatusCode::OK).count(), 1, "{statuses:?}");
    assert_eq!(statuses.iter().filter(|status| **status == StatusCode::CONFLICT).count(), 5, "{statuses:?}");
}

#[tokio::test]
async fn a_message_counts_for_whoever_held_the_channel_when_it_was_written() {
    let (world, acme, nobody, zeta) = handed_on().await;
    for (from, at, owner, other) in [
        ("14155550110", acme - 86_400, "acme", "zeta"),
        ("14155550111", acme, "acme", "zeta"),
        ("14155550112", nobody - 1, "acme", "zeta"),
        ("14155550113", nobody, "zeta", "acme"),
        ("14155550114", zeta - 1, "zeta", "acme"),
        ("14155550115", zeta, "zeta", "acme"),
        ("14155550116", world.seconds(), "zeta", "acme"),
    ] {
        post(&world, &body(&world.message(from, "STOP").at(at))).await;
        assert_eq!(world.status_at(owner, from).await.as_deref(), Some("opted_out"), "{from}");
        assert_eq!(world.status_at(other, from).await, None, "{from}");
    }
    // One without a time of its own is taken to be of now.
    post(&world, &body(&Message::text(ANN, "STOP").with_id("wamid.timeless"))).await;
    assert_eq!(world.status_at("zeta", ANN).await.as_deref(), Some("opted_out"));
}

#[tokio::test]
async fn of_a_time_when_nobody_held_the_channel_only_opt_outs_and_stops_count() {
    let (world, acme, nobody, _) = handed_on().await;
    let gap = nobody + 60;
    // Both are opted out with the holders, and say that they want to be back while there is none.
    for tenant in ["acme", "zeta"] {
        let opt_out = Some(json!({"status": "opted_out"}));
        world.ask_as(tenant, tests::SCOPES, Method::PUT, &format!("/contacts/{ANN}/consent"), opt_out).await;
    }
    post(&world, &body(&world.message(ANN, "START").at(gap))).await;
    post(&world, &preference(ANN, "resume", gap)).await;
    let change = json!({"type": "system", "system": {"type": "user_changed_number", "wa_id": "14155550109"}});
    post(&world, &body(&Message::of(ANN, change).with_id("wamid.moved").at(gap))).await;
    let mut both = body(&world.message("14155550108", "Hello").at(gap));
    both["entry"][0]["changes"][0]["value"]["messages"][0]["from_user_id"] = "US.8".into();
    post(&world, &both).await;
    for tenant in ["acme", "zeta"] {
        assert_eq!(world.status_at(tenant, ANN).await.as_deref(), Some("opted_out"), "{tenant}");
        assert_eq!(world.status_at(tenant, "14155550109").await, None, "{tenant}");
    }
    let items = world.items().await;
    assert!(!items.iter().any(|item| item["sk"] == "US.8"), "who goes by which ids is not learnt either");
    let entries = |event: &Value| event["by"] == "customer";
    for tenant in ["acme", "zeta"] {
        let path = format!("/contacts/{ANN}/history");
        let history = world.ask_as(tenant, tests::SCOPES, Method::GET, &path, None).await.expect(StatusCode::OK);
        assert!(!history["events"].as_array().unwrap().iter().any(entries), "{tenant}: {history}");
    }

    post(&world, &body(&world.message(BEN, "STOP").at(gap))).await;
    post(&world, &preference("14155550103", "stop", gap)).await;
    let path = "/contacts/14155550103";
    let stopped = world.ask_as("zeta", tests::SCOPES, Method::GET, path, None).await.expect(StatusCode::OK);
    assert_eq!(stopped["provider_stopped"], true);
    assert_eq!(world.status_at("zeta", BEN).await.as_deref(), Some("opted_out"));
    assert_eq!(world.status_at("acme", BEN).await, None);
    assert!(acme < gap);
}

#[tokio::test]
async fn late_messages_of_a_channel_that_is_nobodys_now_count_for_who_held_it() {
    let world = World::start().await;
    world.register(CHANNEL, "acme").await;
    world.wait(3600);
    let late = world.seconds() - 60;
    release(&world, CHANNEL).await.expect(StatusCode::NO_CONTENT);
    world.wait(3600);
    post(&world, &body(&world.message(ANN, "STOP").at(late))).await;
    assert_eq!(world.status_at("acme", ANN).await.as_deref(), Some("opted_out"));
}

#[tokio::test]
async fn a_former_holders_own_app_signs_what_is_late_and_nothing_else() {
    let world = World::start().await;
    world.put_secret("consent/acme", "acme-secret");
    world.put_secret("consent/zeta", "zeta-secret");
    world.register_with(CHANNEL, "acme", "consent/acme").await;
    world.wait(3600);
    let held_by_acme = world.seconds() - 60;
    release(&world, CHANNEL).await.expect(StatusCode::NO_CONTENT);
    world.wait(3600);
    world.register_with(CHANNEL, "zeta", "consent/zeta").await;
    world.wait(3600);
    let held_by_zeta = world.seconds() - 60;
    let post = async |secret: &str, from: &str, text: &str, at: i64| {
        world.post_signed(secret, &body(&world.message(from, text).at(at)).to_string()).await
    };
    assert_eq!(post("acme-secret", "14155550110", "STOP", held_by_acme).await, StatusCode::OK);
    assert_eq!(world.status_at("acme", "14155550110").await.as_deref(), Some("opted_out"));
    assert_eq!(post("acme-secret", "14155550111", "STOP", held_by_zeta).await, StatusCode::UNAUTHORIZED);
    assert_eq!(world.status_at("zeta", "14155550111").await, None);
    assert_eq!(post("zeta-secret", "14155550112", "STOP", held_by_zeta).await, StatusCode::OK);
    assert_eq!(world.status_at("zeta", "14155550112").await.as_deref(), Some("opted_out"));
    // The channel was given to the wrong tenant: what came to the right one's app meanwhile was never carried out, and its
    // wishes to stop must not be lost.
    assert_eq!(post("zeta-secret", "14155550113", "STOP", held_by_acme).await, StatusCode::OK);
    assert_eq!(world.status_at("zeta", "14155550113").await.as_deref(), Some("opted_out"));
    assert_eq!(world.status_at("acme", "14155550113").await, None);
    assert_eq!(post("zeta-secret", "14155550113", "START", held_by_acme).await, StatusCode::OK);
    assert_eq!(world.status_at("zeta", "14155550113").await.as_deref(), Some("opted_out"));
}

#[tokio::test]
async fn the_list_of_secrets_follows_the_channels() {
    let world = World::start().await;
    world.register(CHANNEL, "acme").await;
    assert_eq!(listed(&world).await, json!({}));
    world.register_with(CHANNEL, "acme", "consent/a").await;
    world.register_with("201", "acme", "consent/a").await;
    assert_eq!(listed(&world).await, json!({"secret:consent/a": ["200", "201"]}));
    world.register_with(CHANNEL, "acme", "consent/b").await;
    assert_eq!(listed(&world).await, json!({"secret:consent/a": ["201"], "secret:consent/b": ["200"]}));
    world.register(CHANNEL, "acme").await;
    assert_eq!(listed(&world).await, json!({"secret:consent/a": ["201"]}));
    release(&world, "201").await.expect(StatusCode::NO_CONTENT);
    assert_eq!(listed(&world).await, json!({}));
}

#[tokio::test]
async fn channels_of_earlier_and_later_versions_are_read_and_kept() {
    let world = World::start().await;
    let text = |text: &str| AttributeValue::S(text.to_owned());
    let put = async |fields: HashMap<String, AttributeValue>| {
        let key = [("pk", format!("CHANNEL#{CHANNEL}")), ("sk", "CHANNEL".to_owned())];
        let item = key.map(|(name, key)| (name.to_owned(), text(&key))).into_iter().chain(fields).collect();
        world.system.dynamodb().put_item().table_name(local::TABLE).set_item(Some(item)).send().await.unwrap();
    };
    // As the version before holders were kept wrote it, and with a field that only a later version knows.
    let fields = [("tenant", text("acme")), ("display_phone_number", text("1")), ("later", text("kept"))];
    put(fields.map(|(name, value)| (name.to_owned(), value)).into()).await;
    post(&world, &body(&world.message(ANN, "STOP").at(1))).await;
    assert_eq!(world.status_at("acme", ANN).await.as_deref(), Some("opted_out"));
    release(&world, CHANNEL).await.expect(StatusCode::NO_CONTENT);
    let released = item(&world).await;
    assert_eq!(
        (&released["tenant"], &released["later"]),
        (&json!("acme"), &json!("kept")),
        "an earlier version reads it"
    );
    world.wait(120);
    world.register_with(CHANNEL, "zeta", "consent/zeta").await;
    world.put_channel(CHANNEL, "zeta", None).await.expect(StatusCode::OK);
    let stored = item(&world).await;
    assert_eq!((&stored["tenant"], &stored["later"]), (&json!("zeta"), &json!("kept")));
    assert_eq!((&stored["former"][0]["tenant"], &stored["secret_id"]), (&json!("acme"), &Value::Null));
    post(&world, &body(&world.message(BEN, "STOP").at(1))).await;
    assert_eq!(world.status_at("acme", BEN).await.as_deref(), Some("opted_out"));
}

#[tokio::test]
async fn a_channel_that_cannot_be_read_holds_up_no_other() {
    let world = World::start().await;
    world.register(CHANNEL, "acme").await;
    let item = [("pk", "CHANNEL#200"), ("sk", "CHANNEL"), ("tenant", "no tenant's id"), ("display_phone_number", "1")];
    let item = item.map(|(name, value)| (name.to_owned(), AttributeValue::S(value.to_owned()))).into();
    world.system.dynamodb().put_item().table_name(local::TABLE).set_item(Some(item)).send().await.unwrap();
    let mut both = body(&world.message(BEN, "STOP"));
    let demo = webhook(&[world.message(ANN, "STOP").json()])["entry"][0].take();
    both["entry"].as_array_mut().unwrap().push(demo);
    assert_eq!(world.post_webhook(&both).await, StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(world.status(ANN).await, "opted_out");
}
