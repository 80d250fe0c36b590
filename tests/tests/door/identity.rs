//! One person under several ids: number and user id, numbers that change, numbers that change hands.

use std::convert::Infallible;
use std::sync::atomic::{AtomicU32, Ordering};

use axum::http::{Method, StatusCode};
use consent::contact::Source;
use consent::decision::{Decision, decide_switch};
use consent::event::{Actor, Event, HistoryKey, Kind};
use consent::id::{ContactId, EventId};
use consent::identity::{Ids, Person, Sighting};
use consent::store::{ChangeOutcome, ChangeRequest, ReadSet, Store, TenantStore};
use consent::time::Time;
use serde_json::{Value, json};
use tests::{World, webhook};

const PHONE: &str = "14155550123";
const NEW_PHONE: &str = "14155550124";
const USER: &str = "US.13491208655302741918";
const NEW_USER: &str = "US.20000000000000000001";

/// A text message by number, user id or both.
pub fn text(id: &str, (phone, user): (Option<&str>, Option<&str>), seconds: i64, text: &str) -> Value {
    let mut message = json!({"id": id, "timestamp": seconds.to_string(), "type": "text", "text": {"body": text}});
    if let Some(phone) = phone {
        message["from"] = phone.into();
    }
    if let Some(user) = user {
        message["from_user_id"] = user.into();
    }
    message
}

/// The news that a number was changed.
fn changed_number(id: &str, from: &str, to: &str, seconds: i64) -> Value {
    json!({"id": id, "from": from, "timestamp": seconds.to_string(), "type": "system",
        "system": {"type": "user_changed_number", "wa_id": to, "body": "changed"}})
}

/// The news that a user id was changed.
fn changed_user(id: &str, from: &str, to: &str, seconds: i64) -> Value {
    json!({"id": id, "timestamp": seconds.to_string(), "type": "system",
        "system": {"type": "user_changed_user_id", "user_id": to, "previous_user_id": from}})
}

/// WhatsApp delivers a message, and time passes.
async fn deliver(world: &World, message: Value) {
    assert_eq!(world.post_webhook(&webhook(&[message])).await, StatusCode::OK);
    world.wait(1);
}

/// Delivers a message of a customer, sent now.
async fn says(world: &World, ids: (Option<&str>, Option<&str>), words: &str) {
    static MESSAGES: AtomicU32 = AtomicU32::new(0);
    let id = format!("wamid.identity.{}", MESSAGES.fetch_add(1, Ordering::Relaxed));
    deliver(world, text(&id, ids, world.seconds(), words)).await;
}

/// The reason for which a campaign skips each of these ids. Empty for an id that gets it.
pub async fn skipped<const N: usize>(world: &World, ids: [&str; N]) -> [String; N] {
    let mut reasons = Vec::new();
    for id in ids {
        let campaign = json!({"tenant_id": "demo", "category": "marketing", "contacts": [id]});
        let report = world.filter(&campaign).await.unwrap();
        reasons.push(report["skipped"][0]["reason"].as_str().unwrap_or_default().to_owned());
    }
    reasons.try_into().unwrap()
}

#[tokio::test]
async fn a_customer_without_a_number_opts_out_and_in_like_any_other() {
    let world = World::start().await;
    says(&world, (None, Some(USER)), "STOP").await;
    assert_eq!(skipped(&world, [USER]).await, ["opted_out"]);
    let list = world.ask(Method::GET, "/contacts?status=opted_out", None).await.expect(StatusCode::OK);
    assert_eq!((&list["contacts"][0]["id"], &list["contacts"][0]["user_id"]), (&json!(USER), &json!(USER)));
    world.sweep().await;
    says(&world, (None, Some(USER)), "START").await;
    world.sweep().await;
    let sent = world.system.graph().outbox();
    assert_eq!(sent.len(), 2);
    assert!(sent.iter().all(|message| message["recipient"] == USER && message.get("to").is_none()));
    assert_eq!(skipped(&world, [USER]).await, [""]);
}

#[tokio::test]
async fn whoever_was_seen_under_both_ids_is_one_contact_under_either() {
    let world = World::start().await;
    says(&world, (Some(PHONE), Some(USER)), "hello").await;
    assert_eq!(world.contact(PHONE).await, None, "an id is nothing to show");
    says(&world, (None, Some(USER)), "STOP").await;
    assert_eq!(skipped(&world, [PHONE, USER]).await, ["opted_out", "opted_out"]);
    let contact = world.contact(USER).await.unwrap();
    assert_eq!((&contact["id"], &contact["user_id"]), (&json!("+14155550123"), &json!(USER)));
    assert_eq!(world.contact(PHONE).await, Some(contact));
    assert_eq!(world.history(PHONE).await, world.history(USER).await);
    assert_eq!(world.history(PHONE).await.len(), 1);
    says(&world, (Some(PHONE), None), "START").await;
    assert_eq!(skipped(&world, [PHONE, USER]).await, ["", ""]);
    assert_eq!(world.history(USER).await.len(), 2);
    let list = world.ask(Method::GET, "/contacts", None).await.expect(StatusCode::OK);
    assert_eq!(list["contacts"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn two_contacts_that_turn_out_to_be_one_take_the_stricter_state_and_nobody_is_told() {
    let world = World::start().await;
    says(&world, (Some(PHONE), None), "STOP").await;
    says(&world, (None, Some(USER)), "STOP").await;
    says(&world, (None, Some(USER)), "START").await;
    world.sweep().await;
    let sent = world.system.graph().outbox().len();
    says(&world, (Some(PHONE), Some(USER)), "hello").await;
    assert_eq!(skipped(&world, [PHONE, USER]).await, ["opted_out", "opted_out"]);
    let merge = world.history(USER).await[0].clone();
    assert_eq!(
        (&merge["kind"], &merge["source"], &merge["effect"]),
        (&json!("merge"), &json!("merge"), &json!("changed"))
    );
    assert_eq!((&merge["confirmation"], merge["at"].as_str().unwrap().len()), (&Value::Null, 24));
    world.sweep().await;
    assert_eq!(world.system.graph().outbox().len(), sent);
    assert_eq!(world.contact(USER).await.unwrap()["source"], "merge");
}

#[tokio::test]
async fn a_start_under_both_ids_brings_back_whoever_stopped_under_one() {
    let world = World::start().await;
    says(&world, (Some(PHONE), None), "START").await;
    says(&world, (None, Some(USER)), "STOP").await;
    says(&world, (Some(PHONE), Some(USER)), "START").await;
    assert_eq!(skipped(&world, [PHONE, USER]).await, ["", ""]);
    assert_eq!(world.history(PHONE).await[0]["effect"], "changed");
}

#[tokio::test]
async fn learning_a_link_costs_one_transaction_once() {
    let world = World::start().await;
    says(&world, (Some("14155550199"), None), "warms the channel and the secret").await;
    let counts = |read: usize, written: usize| {
        let counts = [("BatchGetItem".to_owned(), read), ("TransactWriteItems".to_owned(), written)];
        counts.into_iter().filter(|(_, count)| *count > 0).collect::<Vec<_>>()
    };
    for (ids, words, read, written) in [
        ((Some(PHONE), Some(USER)), "hello", 1, 1),
        ((Some(PHONE), Some(USER)), "hello again", 1, 0),
        ((Some(PHONE), Some(USER)), "STOP", 1, 1),
        ((None, Some(USER)), "START", 2, 1),
        ((None, Some(USER)), "thank you", 1, 0),
    ] {
        world.calls.reset();
        says(&world, ids, words).await;
        assert_eq!(world.calls.counts(), counts(read, written), "{words}");
        assert!(world.calls.read_units() <= 5.0 * f64::from(u8::try_from(read).unwrap()), "{words}");
    }
}

#[tokio::test]
async fn a_changed_number_takes_the_contact_along_and_stays_suppressed() {
    let world = World::start().await;
    says(&world, (Some(PHONE), Some(USER)), "STOP").await;
    let changed = world.seconds();
    let news = changed_number("wamid.news", PHONE, NEW_PHONE, changed);
    for _ in 0..2 {
        deliver(&world, news.clone()).await;
    }
    assert_eq!(skipped(&world, [PHONE, NEW_PHONE, USER]).await, ["opted_out"; 3]);
    for id in [PHONE, NEW_PHONE, USER] {
        let contact = world.contact(id).await.unwrap();
        assert_eq!((&contact["id"], &contact["phone"]), (&json!("+14155550124"), &json!(NEW_PHONE)), "{id}");
        let kinds: Vec<Value> = world.history(id).await.into_iter().map(|event| event["kind"].clone()).collect();
        assert_eq!(kinds, ["id_change", "opt_out"], "{id}");
    }
    says(&world, (Some(NEW_PHONE), Some(USER)), "START").await;
    assert_eq!(skipped(&world, [PHONE, NEW_PHONE, USER]).await, ["opted_out", "", ""]);
    // Another person has the old number now.
    says(&world, (Some(PHONE), None), "START").await;
    assert_eq!(skipped(&world, [PHONE, NEW_PHONE]).await, ["", ""]);
    says(&world, (Some(PHONE), None), "STOP").await;
    assert_eq!(skipped(&world, [PHONE, NEW_PHONE]).await, ["opted_out", ""]);
    assert_eq!(world.history(PHONE).await.len(), 2, "the history of the new holder alone");
    // A message from the old number that was sent before the change, and comes only now, is of the old holder.
    deliver(&world, text("wamid.late", (Some(PHONE), None), changed - 1, "START")).await;
    assert_eq!(world.history(NEW_PHONE).await.iter().filter(|event| event["id"] == "wamid.late").count(), 1);
    assert_eq!(skipped(&world, [PHONE, NEW_PHONE]).await, ["opted_out", ""]);
}

#[tokio::test]
async fn staff_opts_out_a_number_that_was_left_though_the_person_is_out_already() {
    let world = World::start().await;
    let changed = world.seconds();
    deliver(&world, changed_number("wamid.news", PHONE, NEW_PHONE, changed)).await;
    says(&world, (Some(NEW_PHONE), None), "STOP").await;
    assert_eq!(world.switch(PHONE, "opted_out").await["status"], "opted_out");
    assert_eq!(skipped(&world, [PHONE, NEW_PHONE]).await, ["opted_out"; 2]);
}

#[tokio::test]
async fn a_late_start_frees_no_number_that_was_left_while_keywords_are_switched_off() {
    let world = World::start().await;
    let begun = world.seconds();
    deliver(&world, text("wamid.stop", (Some(PHONE), None), begun, "STOP")).await;
    world.wait(10);
    deliver(&world, changed_number("wamid.news", PHONE, NEW_PHONE, begun + 5)).await;
    world.change_settings(|settings| settings["enabled"] = false.into()).await;
    deliver(&world, text("wamid.late", (Some(PHONE), None), begun + 2, "START")).await;
    assert_eq!(skipped(&world, [PHONE, NEW_PHONE]).await, ["opted_out"; 2]);
}

#[tokio::test]
async fn the_list_and_the_contacts_agree_on_a_user_id_that_comes_up_late() {
    let world = World::start().await;
    let begun = world.seconds();
    world.wait(20);
    deliver(&world, changed_number("wamid.news", PHONE, NEW_PHONE, begun + 10)).await;
    deliver(&world, text("wamid.late", (Some(PHONE), Some(USER)), begun + 5, "STOP")).await;
    assert_eq!(skipped(&world, [NEW_PHONE, USER]).await, ["opted_out"; 2]);
    assert_eq!(world.contact(USER).await.unwrap()["status"], "opted_out");
    says(&world, (Some(NEW_PHONE), Some(USER)), "START").await;
    assert_eq!(skipped(&world, [NEW_PHONE, USER]).await, ["", ""]);
}

#[tokio::test]
async fn whoever_came_back_to_a_number_is_erased_there_too() {
    let world = World::start().await;
    let third = "14155550125";
    for (id, from, to) in [("a", PHONE, NEW_PHONE), ("b", NEW_PHONE, third), ("c", third, PHONE)] {
        deliver(&world, changed_number(id, from, to, world.seconds())).await;
    }
    says(&world, (Some(PHONE), None), "STOP").await;
    assert_eq!(world.ask(Method::DELETE, &format!("/contacts/{PHONE}"), None).await.status, StatusCode::NO_CONTENT);
    assert_eq!(world.contact(PHONE).await.unwrap().get("phone"), None);
    assert_eq!(world.contact(PHONE).await.unwrap()["source"], Value::Null);
    assert_eq!(skipped(&world, [PHONE]).await, ["opted_out"]);
}

#[tokio::test]
async fn a_late_stop_from_the_old_number_reaches_the_person_who_moved() {
    let world = World::start().await;
    let changed = world.seconds();
    deliver(&world, changed_number("wamid.news", PHONE, NEW_PHONE, changed)).await;
    deliver(&world, text("wamid.late", (Some(PHONE), None), changed - 5, "STOP")).await;
    assert_eq!(skipped(&world, [PHONE, NEW_PHONE]).await, ["opted_out"; 2]);
    world.sweep().await;
    assert_eq!(world.sent().len(), 1);
    let history = world.history(NEW_PHONE).await;
    let late = history.iter().find(|event| event["id"] == "wamid.late").unwrap();
    assert_eq!(late["confirmation"]["state"], "sent");
}

#[tokio::test]
async fn a_changed_user_id_takes_the_contact_along() {
    let world = World::start().await;
    says(&world, (None, Some(USER)), "STOP").await;
    deliver(&world, changed_user("wamid.news", USER, NEW_USER, world.seconds())).await;
    assert_eq!(skipped(&world, [USER, NEW_USER]).await, ["opted_out"; 2]);
    assert_eq!(world.contact(USER).await.unwrap()["id"], NEW_USER);
    says(&world, (None, Some(NEW_USER)), "START").await;
    assert_eq!(skipped(&world, [USER, NEW_USER]).await, ["opted_out", ""]);
}

#[tokio::test]
async fn a_number_with_another_user_id_has_a_new_holder() {
    let world = World::start().await;
    says(&world, (Some(PHONE), Some(USER)), "STOP").await;
    says(&world, (Some(PHONE), Some(NEW_USER)), "START").await;
    assert_eq!(skipped(&world, [PHONE, NEW_USER, USER]).await, ["", "", "opted_out"]);
    assert_eq!(world.contact(USER).await.unwrap()["id"], USER);
    assert_eq!(world.contact(NEW_USER).await.unwrap()["id"], "+14155550123");
}

#[tokio::test]
async fn staff_reaches_the_same_person_under_either_id() {
    let world = World::start().await;
    says(&world, (Some(PHONE), Some(USER)), "hello").await;
    assert_eq!(world.switch(USER, "opted_out").await["id"], "+14155550123");
    assert_eq!(skipped(&world, [PHONE, USER]).await, ["opted_out"; 2]);
    world.block(PHONE, true).await.expect(StatusCode::OK);
    assert_eq!(skipped(&world, [PHONE, USER]).await, ["blocked"; 2]);
    world.block(USER, false).await.expect(StatusCode::OK);
    let changes = json!({"changes": [{"id": USER, "status": "opted_in"}, {"id": PHONE, "status": "opted_out"}]});
    let report = world.ask(Method::POST, "/contacts/batch", Some(changes)).await.expect(StatusCode::OK);
    assert_eq!(
        (&report["results"][0]["outcome"], &report["results"][1]["outcome"]),
        (&json!("refused"), &json!("unchanged"))
    );
}

#[tokio::test]
async fn erasing_by_one_id_forgets_all_and_keeps_all_suppressed() {
    let world = World::start().await;
    says(&world, (Some(PHONE), Some(USER)), "STOP").await;
    deliver(&world, changed_number("wamid.news", PHONE, NEW_PHONE, world.seconds())).await;
    let erased = world.ask(Method::DELETE, &format!("/contacts/{USER}"), None).await;
    assert_eq!(erased.status, StatusCode::NO_CONTENT);
    assert_eq!(skipped(&world, [PHONE, NEW_PHONE, USER]).await, ["opted_out"; 3]);
    for id in [PHONE, NEW_PHONE, USER] {
        assert_eq!(world.history(id).await, Vec::<Value>::new(), "{id}");
        let contact = world.contact(id).await.unwrap();
        assert_eq!(
            (&contact["status"], contact.get("phone"), contact.get("user_id")),
            (&json!("opted_out"), None, None)
        );
    }
    let items = world.system.dynamodb().scan().table_name(local::TABLE).send().await.unwrap().items.unwrap();
    let tombstones = items.iter().filter(|item| item.contains_key("erased_at"));
    for tombstone in tombstones.clone() {
        let mut kept: Vec<&str> = tombstone.keys().map(String::as_str).collect();
        kept.sort_unstable();
        assert_eq!(kept, ["erased_at", "opt_out", "pk", "r", "sk", "version"], "letters and times, and nothing else");
    }
    assert_eq!(tombstones.count(), 3);
}

#[tokio::test]
async fn the_words_of_one_person_under_two_ids_are_decided_in_order() {
    let world = World::start().await;
    let now = world.seconds() - 10;
    let messages = [
        text("wamid.1", (Some(PHONE), None), now, "STOP"),
        text("wamid.2", (Some(PHONE), Some(USER)), now + 1, "hello"),
        text("wamid.3", (None, Some(USER)), now + 2, "START"),
        text("wamid.4", (Some(PHONE), None), now + 3, "STOP"),
    ];
    assert_eq!(world.post_webhook(&webhook(&messages)).await, StatusCode::OK);
    let effects: Vec<Value> = world.history(USER).await.into_iter().map(|event| event["effect"].clone()).collect();
    assert_eq!(effects, ["changed", "changed", "changed"]);
    assert_eq!(skipped(&world, [PHONE, USER]).await, ["opted_out"; 2]);
}

// A stop against the learning of its link, at every interleaving of what the two read and write.

/// The work of one of the two writers.
struct Task {
    sighting: Sighting,
    event: Option<Event>,
    known: ReadSet,
}

impl Task {
    fn new(sighting: Sighting, stops: bool, at: Time) -> Self {
        let event = Event::new(
            Kind::OptOut,
            Source::Keyword,
            Actor::Customer,
            HistoryKey { time: at, id: EventId::unique() },
            at,
        );
        Self { sighting, event: stops.then_some(event), known: ReadSet::default() }
    }

    async fn read(&mut self, tenant: &TenantStore) {
        self.known = tenant.people(&[&self.sighting]).await.unwrap().read_set();
    }

    async fn write(&mut self, tenant: &TenantStore, now: Time) {
        let request = ChangeRequest { sighting: &self.sighting, history_keys: &[], recipient: None };
        let decide = |person: &Person| {
            Ok::<_, Infallible>(match &self.event {
                Some(event) => decide_switch(&person.contact, event.clone(), &consent::decision::Profile::default()),
                None => Decision::nothing(&person.contact),
            })
        };
        let change = tenant.change(request, &mut self.known, now, decide).await.unwrap();
        assert!(matches!(change, ChangeOutcome::Made { .. }));
    }
}

#[tokio::test]
async fn a_stop_that_races_with_what_teaches_its_link_counts_under_every_id() {
    let world = World::start().await;
    let store = Store::new(world.system.dynamodb().clone(), local::TABLE);
    let tenant = store.tenant(&"demo".parse().unwrap());
    let at = world.clock.now();
    let ids = |phone: Option<&str>, user: Option<&str>| {
        let id = |text: &str| text.parse::<ContactId>().unwrap();
        Ids { phone: phone.map(id), user: user.map(id) }
    };
    let interleavings = [[0, 0, 1, 1], [0, 1, 0, 1], [0, 1, 1, 0], [1, 0, 0, 1], [1, 0, 1, 0], [1, 1, 0, 0]];
    let mut number = 0;
    for order in interleavings {
        for (by_phone, by_user) in [(true, false), (false, true), (true, true)] {
            for moves in [false, true] {
                number += 1;
                let (phone, new_phone) = (format!("+1415555{number:03}0"), format!("+1415555{number:03}1"));
                let user = format!("US.{number}");
                let sighting = |ids, moved_to| Sighting { ids, moved_to, at: Some(at), joins_at: at };
                let stop_ids = ids(by_phone.then_some(&*phone), by_user.then_some(&*user));
                let link = sighting(ids(Some(&phone), Some(&user)), None);
                let lesson = if moves {
                    let mut first = Task::new(link, false, at);
                    first.read(&tenant).await;
                    first.write(&tenant, at).await;
                    sighting(ids(Some(&phone), None), Some(ids(Some(&new_phone), None)))
                } else {
                    link
                };
                let mut tasks = [Task::new(sighting(stop_ids, None), true, at), Task::new(lesson, false, at)];
                let mut has_read = [false; 2];
                for turn in order {
                    if has_read[turn] {
                        tasks[turn].write(&tenant, at).await;
                    } else {
                        tasks[turn].read(&tenant).await;
                        has_read[turn] = true;
                    }
                }
                let holders = if moves { vec![&*new_phone, &*user] } else { vec![&*phone, &*user] };
                for id in holders {
                    assert_eq!(
                        skipped(&world, [id]).await,
                        ["opted_out"],
                        "{order:?} {by_phone} {by_user} {moves} {id}"
                    );
                }
            }
        }
    }
}
