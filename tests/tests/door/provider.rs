//! WhatsApp's own control: only the customer can stop with it, and only the customer can undo it.

use axum::http::{Method, StatusCode};
use consent::log::Metric;
use serde_json::{Value, json};
use tests::{Counted, World, webhook};

const SHEENA: &str = "14155550123";

/// A body in which a customer uses the control.
fn preference(value: &str, timestamp: &Value) -> Value {
    let mut body = webhook(&[]);
    let change = &mut body["entry"][0]["changes"][0];
    change["field"] = "user_preferences".into();
    change["value"]["contacts"] = json!([{"wa_id": SHEENA}]);
    change["value"]["user_preferences"] =
        json!([{"wa_id": SHEENA, "category": "marketing_messages", "value": value, "timestamp": timestamp}]);
    body
}

/// A body in which a marketing message fails because its recipient stopped them.
fn failed_send(id: &str, code: u32, timestamp: i64) -> Value {
    let mut body = webhook(&[]);
    let status = json!({"id": id, "status": "failed", "timestamp": timestamp.to_string(), "recipient_id": SHEENA,
        "errors": [{"code": code, "title": "User's number is part of an experiment"}]});
    body["entry"][0]["changes"][0]["value"]["statuses"] = json!([status]);
    body
}

async fn post(world: &World, body: &Value) {
    assert_eq!(world.post_webhook(body).await, StatusCode::OK);
}

async fn eligible(world: &World, category: &str) -> Value {
    let campaign = json!({"tenant_id": "demo", "category": category, "contacts": [SHEENA]});
    world.filter(&campaign).await.unwrap()["summary"].clone()
}

#[tokio::test]
async fn the_customers_own_stop_ends_marketing_and_nothing_else() {
    let world = World::start().await;
    post(&world, &preference("stop", &world.seconds().into())).await;
    let contact = world.contact(SHEENA).await.unwrap();
    assert_eq!((&contact["provider_stopped"], &contact["status"]), (&json!(true), &json!("unknown")));
    assert_eq!(
        contact["can_receive"],
        json!({"marketing": false, "utility": true, "authentication": true, "service": true})
    );
    assert_eq!(eligible(&world, "marketing").await, "1 contact skipped (provider-stopped)");
    assert_eq!(eligible(&world, "utility").await, "0 contacts skipped");
    let event = &world.history(SHEENA).await[0];
    assert_eq!(
        (&event["kind"], &event["source"], &event["effect"]),
        (&json!("provider_stop"), &json!("provider"), &json!("changed"))
    );
    world.sweep().await;
    assert_eq!(world.sent(), []);
}

#[tokio::test]
async fn nobody_but_the_customer_lifts_it_and_it_lifts_nothing_else() {
    let world = World::start().await;
    world.says(SHEENA, "STOP").await;
    post(&world, &preference("stop", &json!(world.seconds().to_string()))).await;
    world.says(SHEENA, "START").await;
    world.switch(SHEENA, "opted_in").await;
    let changes = json!({"changes": [{"id": SHEENA, "status": "opted_in"}]});
    world.ask(Method::POST, "/contacts/batch", Some(changes)).await.expect(StatusCode::OK);
    assert_eq!(world.contact(SHEENA).await.unwrap()["provider_stopped"], true);
    world.switch(SHEENA, "opted_out").await;
    world.wait(60);
    post(&world, &preference("resume", &world.seconds().into())).await;
    let contact = world.contact(SHEENA).await.unwrap();
    assert_eq!((&contact["provider_stopped"], &contact["status"]), (&json!(false), &json!("opted_out")));
}

#[tokio::test]
async fn a_signup_resumes_and_a_resume_of_someone_unknown_shows_nothing() {
    let world = World::start().await;
    post(&world, &preference("resume", &world.seconds().into())).await;
    assert_eq!(world.contact(SHEENA).await, None);
    world.wait(1);
    post(&world, &preference("stop", &world.seconds().into())).await;
    world.wait(1);
    post(&world, &preference("signup", &world.seconds().into())).await;
    assert_eq!(world.contact(SHEENA).await.unwrap()["provider_stopped"], false);
}

#[tokio::test]
async fn a_stop_that_is_late_repeated_or_without_a_time_counts_as_it_should() {
    let world = World::start().await;
    let stop = preference("stop", &(world.seconds() - 60).into());
    post(&world, &preference("resume", &world.seconds().into())).await;
    post(&world, &stop).await;
    post(&world, &stop).await;
    assert_eq!(world.contact(SHEENA).await.unwrap()["provider_stopped"], false);
    assert_eq!(world.history(SHEENA).await.len(), 2);
    world.wait(1);
    post(&world, &preference("stop", &Value::Null)).await;
    assert_eq!(world.contact(SHEENA).await.unwrap()["provider_stopped"], true);
}

#[tokio::test]
async fn the_older_form_counts_too() {
    let world = World::start().await;
    let mut message = world.message(SHEENA, "").json();
    message["type"] = "system".into();
    message["system"] = json!({"type": "user_preference_changed", "marketing": "stop"});
    message.as_object_mut().unwrap().remove("text");
    post(&world, &webhook(&[message])).await;
    assert_eq!(world.contact(SHEENA).await.unwrap()["provider_stopped"], true);
}

#[tokio::test]
async fn a_send_error_that_means_stop_is_a_stop_and_costs_calls_for_that_contact_only() {
    let world = World::start().await;
    world.says("14155550199", "hello").await;
    world.calls.reset();
    for code in [131_049, 131_026, 131_047, 130_472] {
        post(&world, &failed_send("wamid.other", code, world.seconds())).await;
    }
    assert_eq!(world.calls.total(), 0);
    post(&world, &failed_send("wamid.sent", 131_050, world.seconds())).await;
    assert_eq!((world.calls.count("BatchGetItem"), world.calls.count("TransactWriteItems")), (1, 1));
    assert_eq!(world.contact(SHEENA).await.unwrap()["provider_stopped"], true);
    post(&world, &failed_send("wamid.sent", 131_050, world.seconds())).await;
    assert_eq!(world.history(SHEENA).await.len(), 1);
}

#[tokio::test]
async fn it_counts_while_keywords_are_off() {
    let world = World::start().await;
    world.change_settings(|settings| settings["enabled"] = false.into()).await;
    post(&world, &preference("stop", &world.seconds().into())).await;
    assert_eq!(world.contact(SHEENA).await.unwrap()["provider_stopped"], true);
}

#[tokio::test]
async fn values_and_categories_are_read_in_capitals_as_well() {
    let world = World::start().await;
    for (value, category, stopped) in [
        ("STOP", "MARKETING_MESSAGES", true),
        ("Resume", "Marketing_Messages", false),
        (" Stop ", "marketing_messages", true),
        ("SIGNUP", "MARKETING_MESSAGES", false),
    ] {
        world.wait(1);
        let mut body = preference(value, &world.seconds().into());
        body["entry"][0]["changes"][0]["value"]["user_preferences"][0]["category"] = category.into();
        post(&world, &body).await;
        assert_eq!(world.contact(SHEENA).await.unwrap()["provider_stopped"], stopped, "{value} {category}");
    }
}

#[tokio::test]
async fn what_may_be_a_stop_and_cannot_be_read_is_loud() {
    let world = World::start().await;
    let counted = |value: Value, category: Value| {
        let mut body = preference("", &world.seconds().into());
        let preference = &mut body["entry"][0]["changes"][0]["value"]["user_preferences"][0];
        (preference["value"], preference["category"]) = (value, category);
        async {
            let counted = Counted::from_now_on();
            let body = body;
            post(&world, &body).await;
            (counted.count(Metric::UnreadableOptOut), counted.all().len())
        }
    };
    let marketing = || json!("marketing_messages");
    for (value, category) in [
        (json!("pause"), marketing()),
        (json!("STOP_ALL"), marketing()),
        (Value::Null, marketing()),
        (json!(0), marketing()),
        (json!("stop"), json!("utility_messages")),
        (json!("STOP"), json!(7)),
        (json!("pause"), json!("utility_messages")),
    ] {
        assert_eq!(counted(value.clone(), category.clone()).await, (1, 1), "{value} {category}");
    }
    // A value that is surely no stop, in a category other than marketing.
    assert_eq!(counted(json!("resume"), json!("utility_messages")).await, (0, 0));
    assert_eq!(world.contact(SHEENA).await, None);
}
