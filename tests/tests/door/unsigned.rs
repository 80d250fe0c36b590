//! The cost of a request before its signature is verified, and the search for the secret that signed it.

use axum::body::Body;
use axum::extract::Request;
use axum::http::StatusCode;
use consent::log::Metric;
use serde_json::{Value, json};
use tests::{Counted, World, sign, webhook};

const ANN: &str = "14155550101";
const ACME: &str = "consent/acme";

/// A body with a `STOP` on each of these channels.
fn body(world: &World, channels: impl IntoIterator<Item = String>) -> String {
    let change = |channel: String| {
        let mut change = webhook(&[world.message(ANN, "STOP").json()])["entry"][0]["changes"][0].take();
        change["value"]["metadata"]["phone_number_id"] = channel.into();
        change
    };
    json!({"entry": [{"id": "1", "changes": channels.into_iter().map(change).collect::<Vec<Value>>()}]}).to_string()
}

fn on(world: &World, channel: &str) -> String {
    body(world, [channel.to_owned()])
}

async fn remove_list(world: &World) {
    use aws_sdk_dynamodb::types::AttributeValue;
    let key = |name: &str| (name.to_owned(), AttributeValue::S("SECRETS".to_owned()));
    let key = [key("pk"), key("sk")].into();
    world.system.dynamodb().delete_item().table_name(local::TABLE).set_key(Some(key)).send().await.unwrap();
}

#[tokio::test]
async fn a_request_without_a_well_formed_signature_reads_nothing() {
    let world = World::start().await;
    world.calls.reset();
    let body = on(&world, "200");
    let good = sign(local::secrets::APP_SECRET, body.as_bytes());
    let counted = Counted::from_now_on();
    let wrong = [None, Some(""), Some("sha256="), Some("sha256=00"), Some(&good[7..]), Some(&good[..70])];
    for signature in wrong {
        let request = Request::post("/webhooks/whatsapp");
        let request = match signature {
            Some(signature) => request.header("x-hub-signature-256", signature),
            None => request,
        };
        let answer = world.call(request.body(Body::from(body.clone())).unwrap()).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{signature:?}");
    }
    assert_eq!(world.calls.total(), 0);
    assert_eq!((counted.count(Metric::Unsigned), counted.count(Metric::BadSignature)), (wrong.len(), 0));
}

#[tokio::test]
async fn a_body_that_no_secret_of_ours_signed_reads_two_items_at_most() {
    let world = World::start().await;
    for number in 0..20 {
        world.put_secret(&format!("consent/{number}"), &format!("secret-{number}"));
        world.register_with(&format!("{}", 300 + number), "acme", &format!("consent/{number}")).await;
    }
    let counted = Counted::from_now_on();
    for round in 0..3 {
        world.calls.reset();
        let channels = (290..350).map(|channel: u32| channel.to_string());
        let body = body(&world, channels);
        assert_eq!(world.post_signed("stranger", &body).await, StatusCode::UNAUTHORIZED);
        assert!(world.calls.total() <= 1, "{:?}", world.calls.counts());
        assert!(world.calls.read_units() <= 2.0, "{} in round {round}", world.calls.read_units());
    }
    assert_eq!((counted.count(Metric::BadSignature), counted.count(Metric::Unsigned)), (3, 0));
}

#[tokio::test]
async fn every_secret_is_tried_whatever_channels_a_body_names() {
    let world = World::start().await;
    for number in 0..20 {
        world.put_secret(&format!("consent/{number}"), &format!("secret-{number}"));
        world.register_with(&format!("{}", 300 + number), "acme", &format!("consent/{number}")).await;
    }
    // The channel of a known app is not registered. That is the fault, not the signature.
    let counted = Counted::from_now_on();
    for number in [7, 13] {
        let body = on(&world, "999");
        assert_eq!(world.post_signed(&format!("secret-{number}"), &body).await, StatusCode::SERVICE_UNAVAILABLE);
    }
    assert_eq!(counted.count(Metric::BadSignature), 0);
    // A secret among many channels, most of which are not looked up, counts as well.
    let many = body(&world, (310..360).map(|channel: u32| channel.to_string()));
    assert_eq!(world.post_signed("secret-15", &many).await, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(world.status_at("acme", ANN).await.as_deref(), Some("opted_out"));
}

#[tokio::test]
async fn a_secret_that_is_not_on_the_list_is_found_by_its_channel_and_listed() {
    let world = World::start().await;
    world.put_secret(ACME, "acme-secret");
    world.register_with("200", "acme", ACME).await;
    // As in a table of a version that had no list.
    remove_list(&world).await;
    assert_eq!(world.post_signed("acme-secret", &on(&world, "200")).await, StatusCode::OK);
    assert_eq!(world.status_at("acme", ANN).await.as_deref(), Some("opted_out"));
    let items = world.items().await;
    let list = items.iter().find(|item| item["pk"] == "SECRETS").unwrap();
    assert_eq!(list["secret:consent/acme"], json!(["200"]));
    // From then on it is tried whatever a body names.
    world.wait(61);
    assert_eq!(world.post_signed("acme-secret", &on(&world, "999")).await, StatusCode::SERVICE_UNAVAILABLE);
}

#[tokio::test]
async fn a_channel_that_was_just_registered_is_found_though_the_list_is_remembered() {
    let world = World::start().await;
    world.put_secret(ACME, "acme-secret");
    assert_eq!(world.post_signed("acme-secret", &on(&world, "200")).await, StatusCode::UNAUTHORIZED);
    world.register_with("200", "acme", ACME).await;
    assert_eq!(world.post_signed("acme-secret", &on(&world, "200")).await, StatusCode::OK);
    assert_eq!(world.status_at("acme", ANN).await.as_deref(), Some("opted_out"));
}

#[tokio::test]
async fn a_rotated_secret_counts_within_a_minute_and_the_old_one_no_longer() {
    let world = World::start().await;
    world.put_secret(ACME, "old");
    world.register_with("200", "acme", ACME).await;
    assert_eq!(world.post_signed("old", &on(&world, "200")).await, StatusCode::OK);
    world.put_secret(ACME, "new");
    world.wait(60);
    assert_eq!(world.post_signed("new", &on(&world, "200")).await, StatusCode::OK);
    assert_eq!(world.post_signed("old", &on(&world, "200")).await, StatusCode::UNAUTHORIZED);
    world.put_secret(ACME, "newest");
    world.wait(60);
    assert_eq!(world.post_signed("new", &on(&world, "200")).await, StatusCode::UNAUTHORIZED);
    assert_eq!(world.post_signed("newest", &on(&world, "200")).await, StatusCode::OK);
}

#[tokio::test]
async fn a_secret_that_cannot_be_read_is_a_reason_only_for_bodies_that_name_its_channel() {
    let world = World::start().await;
    world.register_with("200", "acme", "consent/gone").await;
    assert_eq!(world.post_signed("stranger", &on(&world, "201")).await, StatusCode::UNAUTHORIZED);
    assert_eq!(world.post_signed("stranger", &on(&world, "200")).await, StatusCode::INTERNAL_SERVER_ERROR);
    world.put_secret("consent/gone", "found");
    assert_eq!(world.post_signed("found", &on(&world, "200")).await, StatusCode::OK);
}

#[tokio::test]
async fn a_signed_body_reads_no_list_while_its_channel_is_remembered() {
    let world = World::start().await;
    world.put_secret(ACME, "acme-secret");
    world.register_with("200", "acme", ACME).await;
    let status = json!({"id": "wamid.X", "status": "delivered", "timestamp": "1795341600", "recipient_id": ANN});
    let mut delivered = webhook(&[]);
    delivered["entry"][0]["changes"][0]["value"]["metadata"]["phone_number_id"] = "200".into();
    delivered["entry"][0]["changes"][0]["value"]["statuses"] = json!([status]);
    assert_eq!(world.post_signed("acme-secret", &on(&world, "200")).await, StatusCode::OK);
    world.calls.reset();
    for _ in 0..3 {
        assert_eq!(world.post_signed("acme-secret", &delivered.to_string()).await, StatusCode::OK);
    }
    assert_eq!(world.calls.total(), 0);
}
