//! Phone numbers at the doors: what WhatsApp sends is taken as it is, what people and their tools write is read strictly.

use aws_sdk_s3::primitives::ByteStream;
use axum::http::{Method, StatusCode};
use serde_json::{Value, json};
use tests::World;

/// Numbers mangled by spreadsheets and habits, each with a word of its error message.
const MANGLED: [(&str, &str); 10] = [
    ("14155550123.0", "decimal"),
    ("1.4155550123E+10", "decimal"),
    ("4,9E+12", "decimal"),
    ("(415) 555-0123", "country code before its parentheses"),
    ("8 (495) 123-45-67", "country code before its parentheses"),
    ("+44 07700 900123", "+44 (United Kingdom"),
    ("0011 49 151 12345678", "+1 (North America"),
    ("810 49 30 1234567", "+81 (Japan)"),
    ("141555501230", "10 digits"),
    ("+1 415 555 0123 ext. 4", "extension"),
];

async fn batch(world: &World, changes: Vec<Value>) -> Value {
    world.ask(Method::POST, "/contacts/batch", Some(json!({"changes": changes}))).await.expect(StatusCode::OK)
}

fn campaign(contacts: &Value) -> Value {
    json!({"tenant_id": "demo", "campaign_id": "spring-1", "category": "marketing", "contacts": contacts})
}

/// Filters a list in S3, and answers the counts and the list of the skipped.
async fn filter_list(world: &World, format: &str, list: String) -> (Value, String) {
    let s3 = world.system.s3();
    let body = ByteStream::from(list.into_bytes());
    s3.put_object().bucket(local::BUCKET).key("demo/in").body(body).send().await.unwrap();
    let campaign = json!({"tenant_id": "demo", "campaign_id": "spring-1", "category": "marketing",
        "source": {"bucket": local::BUCKET, "key": "demo/in", "format": format, "column": "phone"},
        "destination": {"bucket": local::BUCKET, "prefix": "demo/out"}});
    let answer = world.filter(&campaign).await.unwrap();
    let key = answer["skipped"]["key"].as_str().unwrap();
    let skipped = s3.get_object().bucket(local::BUCKET).key(key).send().await.unwrap();
    let skipped = String::from_utf8(skipped.body.collect().await.unwrap().to_vec()).unwrap();
    (answer["counts"].clone(), skipped)
}

#[tokio::test]
async fn opt_outs_of_mangled_numbers_are_invalid_with_the_reason() {
    let world = World::start().await;
    let before = world.items().await.len();
    let mut changes: Vec<Value> = MANGLED.iter().map(|(id, _)| json!({"id": id, "status": "opted_out"})).collect();
    changes.push(json!({"id": 14_155_550_123.0_f64, "status": "opted_out"}));
    let answer = batch(&world, changes).await;
    assert_eq!(answer["counts"], json!({"changed": 0, "unchanged": 0, "refused": 0, "invalid": MANGLED.len() + 1}));
    let results = answer["results"].as_array().unwrap();
    for (result, (id, why)) in results.iter().zip(MANGLED) {
        let detail = result["detail"].as_str().unwrap();
        assert_eq!(result["id"], id);
        assert!(detail.starts_with("id: ") && detail.contains(why), "{id}: {detail}");
    }
    assert!(results[MANGLED.len()]["detail"].as_str().unwrap().contains("decimal"));
    // No other contact was opted out in their place.
    assert_eq!(world.items().await.len(), before);
}

#[tokio::test]
async fn what_people_write_reaches_whom_they_mean() {
    let world = World::start().await;
    let spellings = [
        json!("+1 (415) 555-0100"),
        json!("1 (415) 555-0101"),
        json!("0014155550102"),
        json!("'14155550103"),
        json!("tel:+1-415-555-0104"),
        json!("whatsapp:+14155550105"),
        json!("https://wa.me/14155550106"),
        json!(14_155_550_107_u64),
    ];
    let changes = spellings.iter().map(|id| json!({"id": id, "status": "opted_out"})).collect();
    let answer = batch(&world, changes).await;
    let ids: Vec<&Value> = answer["results"].as_array().unwrap().iter().map(|result| &result["id"]).collect();
    let expected: Vec<Value> = (0..8).map(|index| json!(format!("+1415555010{index}"))).collect();
    assert_eq!(ids, expected.iter().collect::<Vec<_>>());
    assert_eq!(answer["counts"]["changed"], 8);
}

#[tokio::test]
async fn a_campaign_skips_mangled_numbers_as_invalid() {
    let world = World::start().await;
    let mut contacts: Vec<Value> = MANGLED.iter().map(|(id, _)| json!(id)).collect();
    contacts.extend(MANGLED.iter().map(|(id, _)| json!({"id": id})));
    contacts.push(json!("+14155550100"));
    contacts.push(json!({"id": 14_155_550_101_u64}));
    let report = world.filter(&campaign(&json!(contacts))).await.unwrap();
    assert_eq!((&report["counts"]["invalid"], &report["counts"]["eligible"]), (&json!(2 * MANGLED.len()), &json!(2)));
    assert_eq!(report["skipped"][0], json!({"contact": "14155550123.0", "reason": "invalid"}));
}

#[tokio::test]
async fn a_list_skips_mangled_numbers_as_invalid() {
    let world = World::start().await;
    let rows = MANGLED.iter().flat_map(|(id, _)| [format!("\"{id}\""), id.replace(',', ".")]);
    let csv = rows.collect::<Vec<_>>().join("\n");
    let (counts, skipped) = filter_list(&world, "csv", format!("phone\n{csv}\n+14155550100\n14155550123\n")).await;
    assert_eq!((&counts["invalid"], &counts["eligible"]), (&json!(2 * MANGLED.len()), &json!(2)));
    assert!(skipped.contains("2,14155550123.0,invalid\n"), "{skipped}");

    let row = |(id, _): &(&str, &str)| format!("{}\n", json!({"phone": id}));
    let jsonl: String = MANGLED.iter().map(row).collect();
    let whole = "{\"phone\":14155550100}\n{\"phone\":14155550101,\"name\":\"A\"}\n{\"phone\":14155550123.0}\n";
    let (counts, _) = filter_list(&world, "jsonl", format!("{jsonl}{whole}")).await;
    assert_eq!((&counts["invalid"], &counts["eligible"]), (&json!(MANGLED.len() + 1), &json!(2)));
}

#[tokio::test]
async fn a_stop_from_an_odd_number_counts_and_its_contact_can_be_reached() {
    let world = World::with_stream().await;
    for odd in ["4407700900123", "1234567", "99955501234"] {
        world.says(odd, "STOP").await;
        let id = format!("+{odd}");
        for path in [odd, &id, &format!("%2B{odd}")] {
            assert_eq!(world.contact(path).await.unwrap()["id"], id, "{path}");
        }
        assert_eq!(world.status(odd).await, "opted_out");
        let found = world.ask(Method::GET, &format!("/contacts?prefix=%2B{odd}"), None).await.expect(StatusCode::OK);
        assert_eq!(found["contacts"][0]["id"], id);
        assert_eq!(world.switch(&id, "opted_in").await["status"], "opted_in");
        assert_eq!(world.switch(odd, "opted_out").await["status"], "opted_out");
        world.block(&id, true).await.expect(StatusCode::OK);
        assert_eq!(world.history(&id).await.len(), 4);
        let report = world.filter(&campaign(&json!([id]))).await.unwrap();
        assert_eq!(report["counts"]["eligible"], 0);
        let erased = world.ask(Method::DELETE, &format!("/contacts/{odd}"), None).await;
        assert_eq!(erased.status, StatusCode::NO_CONTENT);
    }
    let page = world.ask(Method::GET, "/contacts?limit=1", None).await.expect(StatusCode::OK);
    assert!(page["cursor"].is_string() || page["contacts"].as_array().unwrap().is_empty());
}

#[tokio::test]
async fn a_path_that_is_no_plain_number_is_read_as_people_write_it() {
    let world = World::start().await;
    world.says("14155550123", "STOP").await;
    assert_eq!(world.status("+1%20(415)%20555-0123").await, "opted_out");
    assert_eq!(world.status("0014155550123").await, "opted_out");
    let answer = world.ask(Method::GET, "/contacts/14155550123.0", None).await;
    assert!(answer.problem(StatusCode::UNPROCESSABLE_ENTITY).concat().contains("id"));
}

#[tokio::test]
async fn a_person_in_benin_is_found_under_either_number() {
    let world = World::start().await;
    world.says("22997123456", "STOP").await;
    world.says("2290196123456", "STOP").await;
    for spelling in ["+229 01 97 12 34 56", "22997123456", "+229 96 12 34 56", "2290196123456"] {
        let report = world.filter(&campaign(&json!([spelling]))).await.unwrap();
        assert_eq!(report["summary"], "1 contact skipped (opted-out)", "{spelling}");
    }
    let contact = world.contact("22996123456").await.unwrap();
    assert_eq!((&contact["id"], &contact["phone"]), (&json!("+22996123456"), &json!("2290196123456")));
    let (counts, _) = filter_list(&world, "csv", "phone\n2290197123456\n+229 96123456\n".to_owned()).await;
    assert_eq!(counts["opted_out"], 2);
}
