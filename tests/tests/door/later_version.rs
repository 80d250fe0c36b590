//! A later version of the system has written items, and this one, rolled back to, works on them.

use axum::http::{Method, StatusCode};
use consent::id::ContactId;
use consent::time::Time;
use serde_json::{Value, json};
use tests::{World, webhook};

const PHONE: &str = "+14155550123";
const USER: &str = "US.13491208655302741918";

/// Writes an item as a later version would.
async fn write(world: &World, mut item: Value, kind: &str, id: &str) {
    let shard = id.parse::<ContactId>().unwrap().shard();
    item["pk"] = format!("T#demo#{kind}#{shard}").into();
    item["sk"] = id.into();
    let item = serde_dynamo::to_item(item).unwrap();
    world.system.dynamodb().put_item().table_name(local::TABLE).set_item(Some(item)).send().await.unwrap();
}

/// The item of an id in the list of places, `C`, or of suppressions, `S`.
async fn item(world: &World, kind: &str, id: &str) -> Value {
    let partition = format!("T#demo#{kind}#");
    let is_it = |item: &Value| item["pk"].as_str().unwrap().starts_with(&partition) && item["sk"] == id;
    world.items().await.into_iter().find(is_it).unwrap_or_default()
}

/// A world with a contact whose marketing a later version holds back, for a reason that this version does not know.
async fn held() -> World {
    let world = World::start().await;
    let hold = json!({"since": 5, "why": ["asked", null, true, 1.5]});
    let contact = json!({"opt_out": {}, "opted_in_explicitly": true, "opted_in_by_staff": false, "block": {}, "provider_stop": {},
        "version": 7, "r": "H", "hold": hold, "source": "request", "status_changed_at": 5});
    write(&world, contact, "C", PHONE).await;
    write(&world, json!({"r": "H", "until": 9}), "S", PHONE).await;
    world
}

/// Returns true if a campaign goes to an id.
async fn eligible(world: &World, id: &str) -> bool {
    let campaign = json!({"tenant_id": "demo", "category": "marketing", "contacts": [id]});
    world.filter(&campaign).await.unwrap()["counts"]["eligible"] == 1
}

#[tokio::test]
async fn reasons_and_fields_of_a_later_version_survive_whatever_this_one_writes() {
    let world = held().await;
    assert!(!eligible(&world, PHONE).await);
    let hold = item(&world, "C", PHONE).await["hold"].clone();
    for (words, reasons) in [("STOP", "OH"), ("START", "H"), ("STOP", "OH"), ("START", "H")] {
        world.says("14155550123", words).await;
        assert_eq!(item(&world, "S", PHONE).await["r"], reasons);
        assert_eq!(item(&world, "S", PHONE).await["until"], 9);
        assert_eq!((&item(&world, "C", PHONE).await["hold"], eligible(&world, PHONE).await), (&hold, false));
    }
    world.block(PHONE, true).await.expect(StatusCode::OK);
    assert_eq!(item(&world, "S", PHONE).await["r"], "BH");
    world.block(PHONE, false).await.expect(StatusCode::OK);
    let contact = world.contact(PHONE).await.unwrap();
    assert_eq!((&contact["status"], &contact["can_receive"]["marketing"]), (&json!("opted_in"), &json!(false)));
}

#[tokio::test]
async fn a_reason_of_a_later_version_holds_under_every_id_and_after_a_move() {
    let world = held().await;
    let mut hello = world.message("14155550123", "hello").json();
    hello["from_user_id"] = USER.into();
    assert_eq!(world.post_webhook(&webhook(&[hello])).await, StatusCode::OK);
    assert!(!eligible(&world, USER).await);
    world.wait(5);
    let news = json!({"id": "wamid.news", "from": "14155550123", "timestamp": world.seconds().to_string(), "type": "system",
        "system": {"type": "user_changed_number", "wa_id": "14155550124", "body": "changed"}});
    assert_eq!(world.post_webhook(&webhook(&[news])).await, StatusCode::OK);
    for id in [PHONE, "+14155550124", USER] {
        assert!(!eligible(&world, id).await, "{id}");
    }
    assert_eq!(item(&world, "C", "+14155550124").await["hold"]["since"], 5);
}

#[tokio::test]
async fn a_reason_of_a_later_version_outlives_an_erasure_and_its_fields_do_not() {
    let world = held().await;
    let erased = world.ask(Method::DELETE, &format!("/contacts/{PHONE}"), None).await;
    assert_eq!(erased.status, StatusCode::NO_CONTENT);
    let tombstone = item(&world, "C", PHONE).await;
    assert_eq!((&tombstone["r"], tombstone.get("hold"), tombstone.get("expires_at")), (&json!("H"), None, None));
    assert!(!eligible(&world, PHONE).await);
    world.says("14155550123", "STOP").await;
    assert_eq!(item(&world, "S", PHONE).await["r"], "OH");
}

#[tokio::test]
async fn fields_of_a_later_version_beside_a_link_survive() {
    let world = World::start().await;
    write(&world, json!({"to": PHONE, "version": 3, "seen": "lately"}), "C", USER).await;
    let contact = json!({"opt_out": {"set": 5}, "user_id": USER, "linked_at": 1, "version": 7});
    write(&world, contact, "C", PHONE).await;
    let news = json!({"id": "wamid.news", "timestamp": world.seconds().to_string(), "type": "system", "from": "14155550123",
        "system": {"type": "user_changed_number", "wa_id": "14155550124", "body": "changed"}});
    assert_eq!(world.post_webhook(&webhook(&[news])).await, StatusCode::OK);
    let link = item(&world, "C", USER).await;
    assert_eq!((&link["to"], &link["seen"]), (&json!("+14155550124"), &json!("lately")));
}

#[tokio::test]
async fn history_of_a_later_version_is_shown() {
    let world = held().await;
    world.says("14155550123", "STOP").await;
    let event = json!({"pk": format!("T#demo#H#{PHONE}"), "sk": "0000000000005#e", "id": "e", "at": 5, "received_at": 5,
        "kind": "request", "source": "words", "by": "customer", "effect": "changed", "reason": "asked"});
    let item = serde_dynamo::to_item(event).unwrap();
    world.system.dynamodb().put_item().table_name(local::TABLE).set_item(Some(item)).send().await.unwrap();
    let kinds: Vec<Value> = world.history(PHONE).await.into_iter().map(|event| event["kind"].clone()).collect();
    assert_eq!(kinds, ["opt_out", "other"]);
}

#[tokio::test]
async fn settings_of_a_later_version_survive_a_change_of_the_others() {
    let world = World::start().await;
    let key = serde_dynamo::to_item(json!({"pk": "T#demo", "sk": "SETTINGS"})).unwrap();
    let update = world.system.dynamodb().update_item().table_name(local::TABLE).set_key(Some(key));
    let update = update.update_expression("SET settings.quiet_hours = :later, color = :later");
    let later = serde_dynamo::to_attribute_value("22-06").unwrap();
    update.expression_attribute_values(":later", later).send().await.unwrap();
    world.change_settings(|settings| settings["opt_in_keywords"] = json!(["START", "YES"])).await;
    let items = world.items().await;
    let saved = items.iter().find(|item| item["sk"] == "SETTINGS").unwrap();
    assert_eq!((&saved["settings"]["quiet_hours"], &saved["color"]), (&json!("22-06"), &json!("22-06")));
    assert_eq!(saved["settings"]["opt_in_keywords"], json!(["START", "YES"]));
    assert!(Time::from_millis(saved["updated_at"].as_i64().unwrap()) <= world.clock.now());
}
