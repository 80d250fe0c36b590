//! Updates in shapes that are less common: edited messages, and ids that stand in the field of the other kind.

use axum::http::StatusCode;
use consent::log::Metric;
use serde_json::{Value, json};
use tests::{Counted, Message, World, webhook};

const ANN: &str = "14155550101";
const BEN: &str = "14155550102";
const KIM: &str = "US.20000000000000000001";

async fn post(world: &World, body: &Value) {
    assert_eq!(world.post_webhook(body).await, StatusCode::OK, "{body}");
}

/// An edit whose new content is this.
fn edit(world: &World, from: &str, content: &Value) -> Message {
    let edit = json!({"original_message_id": "wamid.original", "message": content});
    Message::of(from, json!({"type": "edit", "edit": edit})).with_id(&format!("wamid.edit.{from}")).at(world.seconds())
}

/// A body with one update of a kind, and customers beside it.
fn update(field: &str, kind: &str, update: &Value, contacts: &Value) -> Value {
    let mut body = webhook(&[]);
    let change = &mut body["entry"][0]["changes"][0];
    change["field"] = field.into();
    change["value"][kind] = json!([update]);
    change["value"]["contacts"] = contacts.clone();
    body
}

#[tokio::test]
async fn a_message_edited_to_stop_opts_out_at_the_time_of_the_edit() {
    let world = World::start().await;
    world.says(ANN, "Hello").await;
    world.wait(60);
    let edit = edit(&world, ANN, &json!({"context": {"id": "wamid.c"}, "type": "text", "text": {"body": "Stop!"}}));
    world.delivers(&edit).await;
    world.delivers(&edit).await;
    assert_eq!(world.status(ANN).await, "opted_out");
    let history = world.history(ANN).await;
    assert_eq!(history.len(), 1);
    assert_eq!((&history[0]["words"], &history[0]["source"]), (&json!("Stop!"), &json!("keyword")));
    assert_eq!(history[0]["at"], world.shown(world.seconds()).replace(".000Z", ".999Z"));
}

#[tokio::test]
async fn new_words_are_found_wherever_an_edit_can_have_them() {
    let world = World::start().await;
    let nested = [
        json!({"type": "image", "image": {"caption": "STOP", "id": "1"}}),
        json!({"type": "video", "video": {"caption": "stop"}}),
        json!({"type": "document", "document": {"caption": " *Stop* "}}),
        json!({"text": {"body": "STOP"}}),
        json!({"text": "STOP"}),
        json!("STOP"),
    ];
    for (index, content) in nested.iter().enumerate() {
        let from = format!("141555501{:02}", 10 + index);
        world.delivers(&edit(&world, &from, content)).await;
        assert_eq!(world.status(&from).await, "opted_out", "{content}");
    }
    let flat = json!({"type": "edit", "edit": {"original_message_id": "wamid.o", "text": {"body": "STOP"}}});
    world.delivers(&Message::of(ANN, flat).with_id("wamid.flat").at(world.seconds())).await;
    assert_eq!(world.status(ANN).await, "opted_out");
    // Nothing that only stands near: neither the words of a quoted message nor the id of the old one.
    let near = json!({"context": {"id": "STOP", "text": {"body": "STOP"}}, "type": "text", "text": {"body": "Hello"}});
    world.delivers(&edit(&world, BEN, &near)).await;
    assert_eq!(world.contact(BEN).await, None);
}

#[tokio::test]
async fn a_stop_that_is_edited_to_something_else_stays() {
    let world = World::start().await;
    world.says(ANN, "STOP").await;
    world.wait(5);
    world.delivers(&edit(&world, ANN, &json!({"type": "text", "text": {"body": "Sorry, wrong number"}}))).await;
    assert_eq!(world.status(ANN).await, "opted_out");
}

#[tokio::test]
async fn a_user_id_in_a_field_for_numbers_is_a_user_id() {
    let world = World::start().await;
    world.says(KIM, "STOP").await;
    assert_eq!(world.status(KIM).await, "opted_out");

    // Beside a number, the user id is that of the number's holder.
    let message = world.message(ANN, "STOP").json();
    let mut body = webhook(std::slice::from_ref(&message));
    body["entry"][0]["changes"][0]["value"]["messages"][0]["from_user_id"] = "US.2".into();
    body["entry"][0]["changes"][0]["value"]["messages"][0]["from"] = "US.2".into();
    body["entry"][0]["changes"][0]["value"]["contacts"] = json!([{"wa_id": "US.2", "profile": {"name": "Kim"}}]);
    post(&world, &body).await;
    let contact = world.contact("US.2").await.unwrap();
    assert_eq!(
        (&contact["status"], &contact["name"], &contact["phone"]),
        (&json!("opted_out"), &json!("Kim"), &Value::Null)
    );

    let nameless = json!({"id": "wamid.nameless", "timestamp": "1795341600", "type": "text", "text": {"body": "STOP"}});
    post(&world, &update("messages", "messages", &nameless, &json!([{"wa_id": "US.3"}]))).await;
    assert_eq!(world.status("US.3").await, "opted_out");

    let failed = json!({"id": "wamid.sent", "status": "failed", "timestamp": "1795341600", "recipient_id": "US.4", "errors": [{"code": 131_050}]});
    post(&world, &update("messages", "statuses", &failed, &Value::Null)).await;
    assert_eq!(world.contact("US.4").await.unwrap()["provider_stopped"], true);

    let stop = json!({"wa_id": "US.5", "category": "marketing_messages", "value": "stop", "timestamp": 1_795_341_600});
    post(&world, &update("user_preferences", "user_preferences", &stop, &Value::Null)).await;
    assert_eq!(world.contact("US.5").await.unwrap()["provider_stopped"], true);
}

#[tokio::test]
async fn a_number_in_a_field_for_user_ids_is_a_number() {
    let world = World::start().await;
    let mut message = world.message("", "STOP").without("from").json();
    message["from_user_id"] = ANN.into();
    post(&world, &webhook(&[message])).await;
    assert_eq!(world.status(ANN).await, "opted_out");

    let failed = json!({"id": "wamid.sent", "status": "failed", "timestamp": "1795341600", "recipient_user_id": BEN, "errors": [{"code": 131_050}]});
    post(&world, &update("messages", "statuses", &failed, &Value::Null)).await;
    assert_eq!(world.contact(BEN).await.unwrap()["provider_stopped"], true);

    // The two may stand in each other's place.
    let mut message = world.message(KIM, "STOP").json();
    message["from_user_id"] = "14155550103".into();
    post(&world, &webhook(&[message])).await;
    let contact = world.contact("14155550103").await.unwrap();
    assert_eq!((&contact["status"], &contact["user_id"]), (&json!("opted_out"), &json!(KIM)));
}

#[tokio::test]
async fn a_change_of_ids_is_read_whatever_field_they_stand_in() {
    let world = World::start().await;
    world.says(ANN, "STOP").await;
    let change = |from: &str, system: Value| {
        Message::of(from, json!({"type": "system", "system": system}))
            .with_id(&format!("wamid.change.{from}"))
            .at(world.seconds())
    };
    world.wait(60);
    world.delivers(&change(ANN, json!({"type": "user_changed_number", "wa_id": KIM}))).await;
    assert_eq!(world.status(KIM).await, "opted_out");
    world.wait(60);
    world.delivers(&change(KIM, json!({"type": "user_changed_number", "user_id": BEN}))).await;
    assert_eq!(world.status(BEN).await, "opted_out");
}

#[tokio::test]
async fn a_stop_that_names_nobody_but_carries_our_callback_data_is_about_that_contact() {
    let world = World::with_stream().await;
    for from in [ANN, KIM] {
        world.says(from, "STOP").await;
        world.system.stream_drained().await;
        let data = world.system.graph().outbox().pop().unwrap()["biz_opaque_callback_data"].clone();
        let failed = json!({"id": format!("wamid.{from}"), "status": "failed", "timestamp": world.seconds().to_string(),
            "biz_opaque_callback_data": data, "errors": [{"code": 131_050, "title": "stopped"}]});
        let counted = Counted::from_now_on();
        post(&world, &update("messages", "statuses", &failed, &Value::Null)).await;
        let contact = world.contact(from).await.unwrap();
        assert_eq!((&contact["provider_stopped"], &contact["status"]), (&json!(true), &json!("opted_out")), "{from}");
        assert_eq!(counted.count(Metric::UnreadableOptOut), 0);
        let history = world.history(from).await;
        let opt_out = history.iter().find(|event| event["kind"] == "opt_out").unwrap();
        assert_eq!(opt_out["confirmation"]["state"], "failed", "{from}");
    }
}
