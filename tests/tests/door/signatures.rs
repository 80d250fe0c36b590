//! The signatures of updates: those that count for a channel, and those whose updates are delivered again.

use axum::http::{Method, StatusCode};
use consent::log::Metric;
use serde_json::{Value, json};
use tests::{Counted, Message, World, webhook};

const ANN: &str = "14155550101";
const BEN: &str = "14155550102";
const ACME: &str = "consent/acme";

/// A channel of the tenant `acme` in these tests.
const OWN: &str = "200";

/// A channel that is not registered.
const STRANGE: &str = "999";

/// Changes that deliver messages, each on a channel.
fn body(changes: &[(&str, Value)]) -> Value {
    let change = |(channel, message): &(&str, Value)| {
        let mut change = webhook(std::slice::from_ref(message))["entry"][0]["changes"][0].take();
        change["value"]["metadata"]["phone_number_id"] = (*channel).into();
        change
    };
    json!({"entry": [{"id": "1", "changes": changes.iter().map(change).collect::<Vec<_>>()}]})
}

/// A change of another kind than messages, on a channel.
fn update(channel: &str, field: &str, kind: &str, update: &Value) -> Value {
    let mut body = webhook(&[]);
    let change = &mut body["entry"][0]["changes"][0];
    change["field"] = field.into();
    change["value"]["metadata"]["phone_number_id"] = channel.into();
    change["value"][kind] = json!([update]);
    body
}

/// All kinds of updates that change or record something, on a channel.
fn weighty(world: &World, channel: &str) -> Vec<Value> {
    let system = |content: Value| Message::of(ANN, json!({"type": "system", "system": content}));
    let mut updates: Vec<Value> = vec![
        world.message(ANN, "STOP").json(),
        world.message(ANN, "start").json(),
        Message::text(ANN, "Stop!").with_id("wamid.timeless").json(),
        Message::of(ANN, json!({"type": "button", "button": {"payload": "STOP", "text": "No more"}}))
            .with_id("wamid.b")
            .at(world.seconds())
            .json(),
        system(json!({"type": "user_changed_number", "wa_id": BEN})).with_id("wamid.moved").at(world.seconds()).json(),
        system(json!({"type": "user_changed_user_id", "user_id": "US.2", "previous_user_id": "US.1"}))
            .with_id("wamid.renamed")
            .at(world.seconds())
            .json(),
    ];
    updates = updates.into_iter().map(|message| body(&[(channel, message)])).collect();
    let stopped = json!({"id": "wamid.sent", "status": "failed", "timestamp": "1795341600", "recipient_id": ANN, "errors": [{"code": 131_050}]});
    updates.push(update(channel, "messages", "statuses", &stopped));
    for value in ["stop", "resume"] {
        let preference =
            json!({"wa_id": ANN, "category": "marketing_messages", "value": value, "timestamp": world.seconds()});
        updates.push(update(channel, "user_preferences", "user_preferences", &preference));
    }
    updates
}

/// Kinds of updates that come to nothing, on a channel.
fn idle(world: &World, channel: &str) -> Vec<Value> {
    let mut updates: Vec<Value> = [
        world.message(ANN, "I would like to know when my order is going to arrive at the shop in town").json(),
        world.message(ANN, "🛑🛑").json(),
        Message::of(ANN, json!({"type": "reaction", "reaction": {"message_id": "wamid.X", "emoji": "🛑"}}))
            .with_id("wamid.r")
            .json(),
        json!({"type": "text", "text": {"body": "STOP"}, "id": "wamid.nobody", "timestamp": "1795341600"}),
    ]
    .into_iter()
    .map(|message| body(&[(channel, message)]))
    .collect();
    for status in ["sent", "delivered", "read", "failed"] {
        let status = json!({"id": "wamid.X", "status": status, "timestamp": "1795341600", "recipient_id": ANN});
        updates.push(update(channel, "messages", "statuses", &status));
    }
    let timeless = json!({"wa_id": ANN, "category": "marketing_messages", "value": "resume"});
    updates.push(update(channel, "user_preferences", "user_preferences", &timeless));
    updates
}

#[tokio::test]
async fn a_stop_that_the_channels_own_app_did_not_sign_is_delivered_again_until_it_did() {
    let world = World::start().await;
    world.put_secret(ACME, "acme-secret");
    world.register_with(OWN, "acme", ACME).await;
    let demo = world.message(ANN, "STOP").json();
    let both = body(&[(OWN, world.message(BEN, "STOP").json()), (local::DEMO_CHANNEL, demo)]);
    assert_eq!(world.post_webhook(&both).await, StatusCode::UNAUTHORIZED);
    assert_eq!(world.status(ANN).await, "opted_out", "what is validly signed counts at once");
    assert_eq!(world.status_at("acme", BEN).await, None);
    // The channel belongs to the shared app after all, and the webhook still remembers it as it was.
    world.register(OWN, "acme").await;
    assert_eq!(world.post_webhook(&both).await, StatusCode::OK);
    assert_eq!(world.status_at("acme", BEN).await.as_deref(), Some("opted_out"));
    assert_eq!(world.history(ANN).await.len(), 1);
}

#[tokio::test]
async fn whatever_counts_is_a_reason_to_deliver_again_what_another_app_signed_and_nothing_else() {
    let world = World::start().await;
    world.put_secret(ACME, "acme-secret");
    world.register_with(OWN, "acme", ACME).await;
    for update in weighty(&world, OWN) {
        assert_eq!(world.post_webhook(&update).await, StatusCode::UNAUTHORIZED, "{update}");
    }
    for update in idle(&world, OWN).into_iter().chain([body(&[(OWN, world.message(ANN, "hello").json())])]) {
        assert_eq!(world.post_webhook(&update).await, StatusCode::OK, "{update}");
    }
    let settings = json!({"enabled": true, "opt_out_keywords": ["Baja"], "opt_out_message": "", "opt_in_keywords": ["Alta"], "opt_in_message": "", "require_opt_in": false});
    world.ask_as("acme", tests::SCOPES, Method::PUT, "/settings", Some(settings)).await.expect(StatusCode::OK);
    for (text, status) in
        [("¡Baja!", StatusCode::UNAUTHORIZED), ("alta", StatusCode::UNAUTHORIZED), ("STOP", StatusCode::OK)]
    {
        assert_eq!(world.post_webhook(&body(&[(OWN, world.message(ANN, text).json())])).await, status, "{text}");
    }
}

#[tokio::test]
async fn what_counted_already_is_no_reason_to_deliver_it_again() {
    let world = World::start().await;
    world.register(OWN, "acme").await;
    let updates = weighty(&world, OWN);
    for update in &updates {
        assert_eq!(world.post_webhook(update).await, StatusCode::OK, "{update}");
    }
    world.put_secret(ACME, "acme-secret");
    world.register_with(OWN, "acme", ACME).await;
    world.wait(61);
    for update in &updates {
        assert_eq!(world.post_webhook(update).await, StatusCode::OK, "{update}");
    }
    let stop = body(&[(OWN, world.message(ANN, "STOP").json())]);
    assert_eq!(world.post_webhook(&stop).await, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_stop_on_a_channel_that_nobody_registered_yet_is_delivered_again_until_somebody_did() {
    let world = World::start().await;
    let both =
        body(&[(OWN, world.message(BEN, "STOP").json()), (local::DEMO_CHANNEL, world.message(ANN, "STOP").json())]);
    let counted = Counted::from_now_on();
    assert_eq!(world.post_webhook(&both).await, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(counted.count(Metric::UnknownChannel), 1);
    assert_eq!(world.status(ANN).await, "opted_out");
    world.register(OWN, "acme").await;
    assert_eq!(world.post_webhook(&both).await, StatusCode::OK);
    assert_eq!(world.status_at("acme", BEN).await.as_deref(), Some("opted_out"));
    assert_eq!(world.history(ANN).await.len(), 1);
}

#[tokio::test]
async fn whatever_may_count_is_a_reason_to_deliver_again_what_comes_on_an_unknown_channel() {
    let world = World::start().await;
    // Any words may be a keyword, since the tenant's keywords are not known.
    let hello = body(&[(STRANGE, world.message(ANN, "hello").json())]);
    for update in weighty(&world, STRANGE).into_iter().chain([hello]) {
        assert_eq!(world.post_webhook(&update).await, StatusCode::SERVICE_UNAVAILABLE, "{update}");
    }
    for update in idle(&world, STRANGE) {
        assert_eq!(world.post_webhook(&update).await, StatusCode::OK, "{update}");
    }
}

#[tokio::test]
async fn a_stop_of_nobody_on_an_unknown_channel_is_loud() {
    let world = World::start().await;
    let stop = json!({"type": "text", "text": {"body": "STOP"}, "id": "wamid.nobody", "timestamp": "1795341600"});
    let counted = Counted::from_now_on();
    assert_eq!(world.post_webhook(&body(&[(STRANGE, stop)])).await, StatusCode::OK);
    assert_eq!(counted.count(Metric::UnreadableOptOut), 1);
}

#[tokio::test]
async fn updates_on_channels_that_are_not_ours_are_taken_and_dropped() {
    let world = World::ignoring(&[STRANGE, OWN]).await;
    let counted = Counted::from_now_on();
    for update in weighty(&world, STRANGE) {
        assert_eq!(world.post_webhook(&update).await, StatusCode::OK, "{update}");
    }
    assert!(counted.all().is_empty(), "{:?}", counted.all());
    let items = world.items().await;
    assert!(items.iter().all(|item| !item["pk"].as_str().unwrap().contains("#H#")), "{items:?}");
    // A registered channel gets its updates, even if it is in `IGNORED_CHANNELS`.
    world.register(OWN, "acme").await;
    assert_eq!(world.post_webhook(&body(&[(OWN, world.message(ANN, "STOP").json())])).await, StatusCode::OK);
    assert_eq!(world.status_at("acme", ANN).await.as_deref(), Some("opted_out"));
}

#[tokio::test]
async fn a_channel_whose_secret_cannot_be_read_holds_up_no_other() {
    let world = World::start().await;
    world.register_with(OWN, "acme", ACME).await;
    let both = |text: &str| {
        body(&[(OWN, world.message(BEN, text).json()), (local::DEMO_CHANNEL, world.message(ANN, text).json())])
    };
    let counted = Counted::from_now_on();
    let stop = both("STOP");
    assert_eq!(world.post_webhook(&stop).await, StatusCode::INTERNAL_SERVER_ERROR);
    assert!(counted.count(Metric::SecretsUnavailable) > 0);
    assert_eq!(world.status(ANN).await, "opted_out");
    assert_eq!(world.post_webhook(&both("hello")).await, StatusCode::OK, "an ordinary text is no reason");
    world.put_secret(ACME, local::secrets::APP_SECRET);
    assert_eq!(world.post_webhook(&stop).await, StatusCode::OK);
    assert_eq!(world.status_at("acme", BEN).await.as_deref(), Some("opted_out"));
    assert_eq!(world.history(ANN).await.len(), 1);
}

#[tokio::test]
async fn the_gravest_reason_is_the_answer_and_everything_else_is_done() {
    let world = World::start().await;
    world.put_secret(ACME, "acme-secret");
    world.register_with("201", "acme", ACME).await;
    world.register_with("202", "acme", "consent/gone").await;
    let (unreadable, unknown, foreign) =
        (StatusCode::INTERNAL_SERVER_ERROR, StatusCode::SERVICE_UNAVAILABLE, StatusCode::UNAUTHORIZED);
    for (number, channels, status) in [
        ("14155550110", &["201", "202", STRANGE][..], unreadable),
        ("14155550111", &[STRANGE, "202"], unreadable),
        ("14155550112", &["201", STRANGE], unknown),
        ("14155550113", &[STRANGE], unknown),
        ("14155550114", &["201"], foreign),
        ("14155550115", &[], StatusCode::OK),
    ] {
        let channels = channels.iter().chain(&[local::DEMO_CHANNEL]);
        let stop = |channel: &&'static str| (*channel, world.message(number, "STOP").json());
        assert_eq!(world.post_webhook(&body(&channels.map(stop).collect::<Vec<_>>())).await, status, "{number}");
        assert_eq!(world.status(number).await, "opted_out");
        assert_eq!(world.status_at("acme", number).await, None);
    }
}
