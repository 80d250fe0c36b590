//! Campaigns whose recipients are a list in S3.

use std::fmt::Write;
use std::time::Duration;

use aws_sdk_s3::primitives::ByteStream;
use axum::http::{Method, StatusCode};
use campaign_filter::objects::Objects;
use campaign_filter::{CampaignFilter, FilterError};
use serde_json::{Value, json};
use tests::{World, webhook};
use tokio::time::Instant;

const STOPPED: &str = "+14155550101";
const BLOCKED: &str = "+14155550102";

async fn put(world: &World, key: &str, list: impl Into<Vec<u8>>) {
    let list = ByteStream::from(list.into());
    world.system.s3().put_object().bucket(local::BUCKET).key(key).body(list).send().await.unwrap();
}

async fn text(world: &World, location: &Value) -> Option<String> {
    let (bucket, key) = (location["bucket"].as_str().unwrap(), location["key"].as_str().unwrap());
    let object = world.system.s3().get_object().bucket(bucket).key(key).send().await.ok()?;
    Some(String::from_utf8(object.body.collect().await.unwrap().to_vec()).unwrap())
}

fn campaign(key: &str, format: &str, column: &str) -> Value {
    json!({"tenant_id": "demo", "campaign_id": "spring-1", "category": "marketing",
        "source": {"bucket": local::BUCKET, "key": key, "format": format, "column": column},
        "destination": {"bucket": local::BUCKET, "prefix": "demo/out/spring-1"}})
}

/// A world in which one person opted out and one is blocked.
async fn world() -> World {
    let world = World::start().await;
    world.says(STOPPED, "STOP").await;
    world.block(BLOCKED, true).await.expect(StatusCode::OK);
    world
}

#[tokio::test]
async fn a_list_of_csv_is_parted_into_eligible_and_skipped_byte_for_byte() {
    let world = world().await;
    let list = "\u{feff}name,Phone\r\n\"A, B\",+1 415 555 0100\r\nB,14155550101\r\n\"C\n\",\"+14155550102\"\r\nD,nobody\r\nE,(415) 5\r\nF,0014155550100\r\nG,+14155550103";
    put(&world, "demo/in.csv", list).await;
    let answer = world.filter(&campaign("demo/in.csv", "csv", "Phone")).await.unwrap();
    assert_eq!(
        answer["counts"],
        json!({"eligible": 2, "opted_out": 1, "blocked": 1, "provider_stopped": 0,
        "not_opted_in": 0, "duplicate": 1, "invalid": 2})
    );
    assert_eq!((&answer["campaign_id"], &answer["total"]), (&json!("spring-1"), &json!(7)));
    assert_eq!(answer["eligible"], json!({"bucket": local::BUCKET, "key": "demo/out/spring-1/eligible.csv"}));
    let eligible = "\u{feff}name,Phone\r\n\"A, B\",+1 415 555 0100\r\nG,+14155550103";
    assert_eq!(text(&world, &answer["eligible"]).await.unwrap(), eligible);
    let skipped = "line,contact,reason\n3,14155550101,opted_out\n4,+14155550102,blocked\n6,nobody,invalid\n7,(415) 5,invalid\n8,0014155550100,duplicate\n";
    assert_eq!(text(&world, &answer["skipped"]).await.unwrap(), skipped);
    assert_eq!(answer["batches"]["count"], 1);
}

/// A customer who hides the number writes `STOP`.
async fn stops(world: &World, user_id: &str) {
    world.wait(1);
    let mut stop = webhook(&[world.message("", "STOP").without("from").json()]);
    stop["entry"][0]["changes"][0]["value"]["messages"][0]["from_user_id"] = user_id.into();
    assert_eq!(world.post_webhook(&stop).await, StatusCode::OK);
}

/// The campaign for the first batch of the list that a campaign made.
async fn first_batch(world: &World, answer: &Value, format: &str) -> Value {
    let batches: Value = serde_json::from_str(&text(world, &answer["batches"]).await.unwrap()).unwrap();
    let mut rows = campaign(answer["eligible"]["key"].as_str().unwrap(), format, "phone");
    rows.as_object_mut().unwrap().remove("destination");
    for place in ["first_byte", "last_byte"] {
        rows["source"][place] = batches[0][place].clone();
    }
    rows
}

#[tokio::test]
async fn a_csv_column_user_id_counts_as_an_objects_field_does() {
    for (format, stopped, later) in [("csv", "US.11", "US.12"), ("jsonl", "US.21", "US.22")] {
        let world = world().await;
        stops(&world, stopped).await;
        let row = |phone: &str, user_id: Option<&str>| match (format, user_id) {
            ("csv", user_id) => format!("{phone},N,{}\n", user_id.unwrap_or_default()),
            (_, Some(user_id)) => format!("{{\"phone\": \"{phone}\", \"user_id\": \"{user_id}\"}}\n"),
            (_, None) => format!("{{\"phone\": \"{phone}\", \"user_id\": null}}\n"),
        };
        let head = if format == "csv" { "phone,name,user_id\n" } else { "" };
        let list = [
            head.to_owned(),
            row("+14155550110", Some(stopped)),
            row("+14155550111", None),
            row("+14155550112", Some(later)),
            row("+14155550113", Some(later)),
            row(STOPPED, None),
        ];
        let key = format!("demo/in.{format}");
        put(&world, &key, list.concat()).await;
        let answer = world.filter(&campaign(&key, format, "phone")).await.unwrap();
        assert_eq!(answer["summary"], "2 contacts skipped (opted-out), 1 contact skipped (duplicate)", "{format}");
        let eligible = [head, &list[2], &list[3]].concat();
        assert_eq!(text(&world, &answer["eligible"]).await.unwrap(), eligible);

        let batch = first_batch(&world, &answer, format).await;
        assert_eq!(world.filter(&batch).await.unwrap()["counts"]["eligible"], 2);
        stops(&world, later).await;
        let report = world.filter(&batch).await.unwrap();
        assert_eq!(report["skipped"], json!([{"contact": "+14155550112", "reason": "opted_out"}]), "{format}");
    }
}

#[tokio::test]
async fn a_list_that_is_named_by_user_ids_alone_is_filtered_by_them() {
    let world = world().await;
    stops(&world, "US.1").await;
    put(&world, "demo/in.csv", "user_id\nUS.1\nUS.2\nUS.2\n\"\"\n").await;
    let answer = world.filter(&campaign("demo/in.csv", "csv", "user_id")).await.unwrap();
    let summary = "1 contact skipped (invalid), 1 contact skipped (duplicate), 1 contact skipped (opted-out)";
    assert_eq!((&answer["counts"]["eligible"], &answer["summary"]), (&json!(1), &json!(summary)));
}

#[tokio::test]
async fn the_rows_of_a_batch_come_as_contacts_and_whoever_stopped_since_is_skipped() {
    let world = world().await;
    for (name, format, column) in [("demo/in.csv", "csv", "phone"), ("demo/in.jsonl", "jsonl", "phone")] {
        let mut list = if format == "csv" { "phone,name\n".to_owned() } else { String::new() };
        for number in 0..1_200 {
            match format {
                "csv" => writeln!(list, "+1415556{number:04},N{number}").unwrap(),
                _ => writeln!(list, r#"{{"phone": "+1415556{number:04}", "name": "N{number}"}}"#).unwrap(),
            }
        }
        put(&world, name, list).await;
        let answer = world.filter(&campaign(name, format, column)).await.unwrap();
        let batches: Value = serde_json::from_str(&text(&world, &answer["batches"]).await.unwrap()).unwrap();
        assert_eq!(batches.as_array().unwrap().len(), 3, "{batches}");
        world.says(&format!("+1415556{:04}", if format == "csv" { 600 } else { 601 }), "STOP").await;
        let mut contacts = Vec::new();
        for batch in batches.as_array().unwrap() {
            let mut rows = campaign(answer["eligible"]["key"].as_str().unwrap(), format, column);
            rows.as_object_mut().unwrap().remove("destination");
            rows["source"]["first_byte"] = batch["first_byte"].clone();
            rows["source"]["last_byte"] = batch["last_byte"].clone();
            let report = world.filter(&rows).await.unwrap();
            assert_eq!(report["total"], batch["rows"]);
            contacts.extend(report["eligible"].as_array().unwrap().iter().cloned());
        }
        // In the second round the first round's stop is in the list already.
        assert_eq!(contacts.len() as u64, answer["counts"]["eligible"].as_u64().unwrap() - 1);
        assert_eq!(contacts[7], json!({"phone": "+14155560007", "name": "N7"}));
    }
}

#[tokio::test]
async fn explicit_opt_in_is_asked_of_lists_as_well() {
    let world = world().await;
    world.change_settings(|settings| settings["require_opt_in"] = true.into()).await;
    world.says("+14155550110", "START").await;
    put(&world, "demo/in.jsonl", "\"+14155550110\"\n\"+14155550111\"\n").await;
    let answer = world.filter(&campaign("demo/in.jsonl", "jsonl", "id")).await.unwrap();
    assert_eq!(answer["summary"], "1 contact skipped (not-opted-in)");
    assert_eq!(text(&world, &answer["eligible"]).await.unwrap(), "\"+14155550110\"\n");
}

#[tokio::test]
async fn a_long_list_is_compared_with_the_whole_suppression_list() {
    let world = world().await;
    world.change_settings(|settings| settings["require_opt_in"] = true.into()).await;
    for number in ["+14155560007", "+14155560008"] {
        world.says(number, "START").await;
    }
    world.says("+14155560008", "STOP").await;
    // Longer than what is looked up, and than two parts of an upload.
    let filler = "x".repeat(200);
    let mut list = "phone,filler\n".to_owned();
    for number in 5_510_000..5_560_000 {
        writeln!(list, "+1415{number},{filler}").unwrap();
    }
    for number in ["+14155560007", "+14155560008", STOPPED] {
        writeln!(list, "{number},{filler}").unwrap();
    }
    put(&world, "demo/in.csv", list).await;
    world.calls.reset();
    let answer = world.filter(&campaign("demo/in.csv", "csv", "phone")).await.unwrap();
    assert_eq!(world.calls.count("BatchGetItem"), 1, "the settings, and nobody by name");
    assert_eq!(
        answer["counts"],
        json!({"eligible": 1, "opted_out": 2, "blocked": 1, "provider_stopped": 0,
        "not_opted_in": 49_998, "duplicate": 1, "invalid": 0})
    );
    assert_eq!(text(&world, &answer["eligible"]).await.unwrap().lines().count(), 2);
}

#[tokio::test]
async fn what_is_no_list_is_refused_by_its_field_and_nothing_is_written() {
    let world = world().await;
    put(&world, "demo/in.csv", "name,phone\nA,+14155550100\n").await;
    let refused = [
        campaign("demo/nowhere.csv", "csv", "phone"),
        campaign("demo/in.csv", "csv", "mobile"),
        campaign("demo/in.csv", "xlsx", "phone"),
        {
            let mut both = campaign("demo/in.csv", "csv", "phone");
            both["contacts"] = json!([]);
            both
        },
        {
            let mut nowhere = campaign("demo/in.csv", "csv", "phone");
            nowhere.as_object_mut().unwrap().remove("destination");
            nowhere
        },
    ];
    for campaign in refused {
        assert_eq!(world.filter(&campaign).await.unwrap_err(), "InvalidCampaign", "{campaign}");
    }
    let location = json!({"bucket": local::BUCKET, "key": "demo/out/spring-1/eligible.csv"});
    assert_eq!(text(&world, &location).await, None);
}

#[tokio::test]
async fn lists_of_other_tenants_are_neither_read_nor_written() {
    let world = world().await;
    world.register("200", "acme").await;
    let list = "phone\n+14155550110\n";
    let elsewhere =
        ["acme/in.csv", "demo2/in.csv", "in.csv", "demo/../acme/in.csv", "demo//in.csv", "", "demo", "demo/"];
    for key in ["acme/in.csv", "demo2/in.csv", "in.csv", "demo/in.csv"] {
        put(&world, key, list).await;
    }
    let refused = async |campaign: &Value, field: &str| {
        let (kind, text) = world.filter_error(campaign).await;
        assert_eq!(kind, "InvalidCampaign", "{campaign}");
        assert!(text.starts_with(&format!("{field}: ")), "{campaign}: {text}");
    };
    for key in elsewhere {
        let mut whole = campaign(key, "csv", "phone");
        refused(&whole, "source.key").await;
        whole.as_object_mut().unwrap().remove("destination");
        whole["source"]["first_byte"] = 6.into();
        whole["source"]["last_byte"] = 18.into();
        refused(&whole, "source.key").await;
    }
    for prefix in ["acme", "acme/", "demo2/spring-1", "demo", "", "demo/../acme", "demo//acme"] {
        let mut campaign = campaign("demo/in.csv", "csv", "phone");
        campaign["destination"]["prefix"] = prefix.into();
        refused(&campaign, "destination.prefix").await;
    }
    let objects = world.system.s3().list_objects_v2().bucket(local::BUCKET).send().await.unwrap();
    assert_eq!(objects.key_count(), Some(4));
    let mut campaign = campaign("demo/in.csv", "csv", "phone");
    campaign["destination"]["prefix"] = "demo/".into();
    let answer = world.filter(&campaign).await.unwrap();
    assert_eq!(answer["eligible"]["key"], "demo/eligible.csv");
}

#[tokio::test]
async fn a_list_fails_closed_where_part_of_the_suppression_list_cannot_be_read() {
    let world = world().await;
    let mut list = String::new();
    for number in 0..100 {
        writeln!(list, "\"+141555601{number:02}\"").unwrap();
    }
    put(&world, "demo/in.jsonl", list).await;
    for operation in ["Query", "BatchGetItem"] {
        world.calls.fail(operation, [tests::Fault::Denied]);
        assert_eq!(world.filter(&campaign("demo/in.jsonl", "jsonl", "id")).await.unwrap_err(), "StoreUnavailable");
        world.calls.forgive();
    }
    let location = json!({"bucket": local::BUCKET, "key": "demo/out/spring-1/eligible.jsonl"});
    assert_eq!(text(&world, &location).await, None);
    world.filter(&campaign("demo/in.jsonl", "jsonl", "id")).await.unwrap();
    assert!(text(&world, &location).await.is_some());
}

#[tokio::test]
async fn a_list_that_is_too_long_for_the_time_left_ends_in_time_and_leaves_nothing() {
    let world = world().await;
    put(&world, "demo/in.jsonl", "\"+14155550100\"\n").await;
    let filter = CampaignFilter::new(world.system.store().clone(), Objects::new(world.system.s3().clone()));
    let event = || serde_json::value::to_raw_value(&campaign("demo/in.jsonl", "jsonl", "id")).unwrap();
    let past = Instant::now() - Duration::from_secs(1);
    assert!(matches!(filter.handle(event(), Some(past)).await, Err(FilterError::OutOfTime)));
    let location = json!({"bucket": local::BUCKET, "key": "demo/out/spring-1/eligible.jsonl"});
    assert_eq!(text(&world, &location).await, None);
    let enough = Instant::now() + Duration::from_mins(5);
    filter.handle(event(), Some(enough)).await.unwrap();
    assert!(text(&world, &location).await.is_some());
}

#[tokio::test]
async fn staff_that_switches_somebody_on_is_heeded_by_the_next_list() {
    let world = world().await;
    put(&world, "demo/in.jsonl", format!("\"{STOPPED}\"\n")).await;
    let report = world.filter(&campaign("demo/in.jsonl", "jsonl", "id")).await.unwrap();
    assert_eq!(report["summary"], "1 contact skipped (opted-out)");
    let path = format!("/contacts/{STOPPED}/consent");
    world.ask(Method::PUT, &path, Some(json!({"status": "opted_in"}))).await.expect(StatusCode::OK);
    let report = world.filter(&campaign("demo/in.jsonl", "jsonl", "id")).await.unwrap();
    assert_eq!(report["summary"], "0 contacts skipped");
}

#[tokio::test]
async fn rows_are_read_of_no_other_version_of_the_list_and_of_no_half_rows() {
    let world = world().await;
    put(&world, "demo/in.csv", "name,phone\nA,+14155550110\nB,+14155550111\n").await;
    let answer = world.filter(&campaign("demo/in.csv", "csv", "phone")).await.unwrap();
    let key = answer["eligible"]["key"].as_str().unwrap();
    let rows = |first: u64, last: u64| {
        let mut rows = campaign(key, "csv", "phone");
        rows.as_object_mut().unwrap().remove("destination");
        rows["source"]["e_tag"] = answer["version"]["e_tag"].clone();
        rows["source"]["first_byte"] = first.into();
        rows["source"]["last_byte"] = last.into();
        rows
    };
    assert_eq!(world.filter(&rows(11, 40)).await.unwrap()["total"], 2);
    assert_eq!(world.filter(&rows(26, 40)).await.unwrap()["eligible"], json!([{"name": "B", "phone": "+14155550111"}]));
    for (first, last) in [(5, 40), (12, 40), (26, 39), (26, 41)] {
        assert_eq!(world.filter(&rows(first, last)).await.unwrap_err(), "InvalidCampaign", "{first} {last}");
    }
    // As long, and with rows in the same places.
    put(&world, key, "name,phone\nB,+14155550111\nA,+14155550110\n").await;
    assert_eq!(world.filter(&rows(11, 40)).await.unwrap_err(), "InvalidCampaign");
}

#[tokio::test]
async fn a_list_is_never_replaced_by_what_comes_of_it() {
    let world = world().await;
    let list = format!("phone\n{STOPPED}\n+14155550110\n");
    for name in ["eligible.csv", "skipped.csv", "batches.json"] {
        let key = format!("demo/out/spring-1/{name}");
        put(&world, &key, list.clone()).await;
        assert_eq!(world.filter(&campaign(&key, "csv", "phone")).await.unwrap_err(), "InvalidCampaign");
        assert_eq!(text(&world, &json!({"bucket": local::BUCKET, "key": key})).await.unwrap(), list);
    }
}

#[tokio::test]
async fn a_carriage_return_within_a_row_hides_nobody() {
    let world = world().await;
    put(&world, "demo/in.csv", format!("phone,name\r\n+14155550110,A\r{STOPPED},B\r\n+14155550111,C\r\n")).await;
    let answer = world.filter(&campaign("demo/in.csv", "csv", "phone")).await.unwrap();
    assert_eq!((&answer["counts"]["eligible"], &answer["counts"]["invalid"]), (&json!(1), &json!(1)));
    assert!(!text(&world, &answer["eligible"]).await.unwrap().contains(STOPPED));
}
