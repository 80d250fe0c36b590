//! Lists that can't be filtered however often that is tried: the error is final, names the field, and says what to do.

use aws_sdk_dynamodb::types::AttributeValue;
use aws_sdk_s3::primitives::ByteStream;
use serde_json::{Value, json};
use tests::World;

async fn put(world: &World, key: &str, list: impl Into<Vec<u8>>) {
    let list = ByteStream::from(list.into());
    world.system.s3().put_object().bucket(local::BUCKET).key(key).body(list).send().await.unwrap();
}

fn campaign(key: &str, format: &str) -> Value {
    json!({"tenant_id": "demo", "category": "marketing",
        "source": {"bucket": local::BUCKET, "key": key, "format": format, "column": "phone"},
        "destination": {"bucket": local::BUCKET, "prefix": "demo/out"}})
}

/// The text of the final error that a campaign ends with.
async fn refusal(world: &World, campaign: &Value) -> String {
    let (kind, text) = world.filter_error(campaign).await;
    assert_eq!(kind, "InvalidCampaign", "{campaign}: {text}");
    text
}

/// A text as programs write it that call UTF-16 "Unicode".
fn utf_16(text: &str, mark: bool) -> Vec<u8> {
    let mark: &[u16] = if mark { &[0xFEFF] } else { &[] };
    mark.iter().copied().chain(text.encode_utf16()).flat_map(u16::to_le_bytes).collect()
}

#[tokio::test]
async fn a_file_that_is_no_list_is_told_by_what_it_is() {
    let world = World::start().await;
    let csv = "phone,name\n+14155550110,Anna\n";
    for (list, told) in [
        (utf_16(csv, true), "UTF-16"),
        (utf_16(csv, false), "UTF-16"),
        (utf_16(csv, true).chunks(2).flat_map(|unit| [unit[1], unit[0]]).collect(), "UTF-16"),
        (b"PK\x03\x04\x14\0\x06\0\x08\0\0\0!\0[Content_Types].xml".to_vec(), "spreadsheet"),
        (b"\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1\0\0\0\0".to_vec(), "spreadsheet"),
        (b"\x1F\x8B\x08\0\0\0\0\0\0\x03".to_vec(), "gzip"),
        (b"\x28\xB5\x2F\xFD\x24\x0F".to_vec(), "Zstandard"),
        (b"BZh91AY&SY\x10".to_vec(), "bzip2"),
        (b"\xFD7zXZ\0\0\x04".to_vec(), "xz"),
        (Vec::new(), "empty"),
        (b"\xEF\xBB\xBF\r\n".to_vec(), "empty"),
    ] {
        for format in ["csv", "jsonl"] {
            put(&world, "demo/in", list.clone()).await;
            let text = refusal(&world, &campaign("demo/in", format)).await;
            assert!(text.starts_with("source: ") && text.contains(told), "{told}, {format}: {text}");
        }
    }
    for list in [
        "[\"+14155550110\", \"+14155550111\"]",
        "\n [\n{\"phone\": \"+14155550110\"},\n{\"phone\": \"+14155550111\"}\n]\n",
    ] {
        put(&world, "demo/in", list).await;
        let text = refusal(&world, &campaign("demo/in", "jsonl")).await;
        assert!(text.starts_with("source: ") && text.contains("JSON array"), "{text}");
        assert!(!text.contains("+1415"), "{text}");
    }
    put(&world, "demo/in", "{\"phone\": \"+14155550110\"}\n").await;
    let text = refusal(&world, &campaign("demo/in", "csv")).await;
    assert!(text.contains("JSON") && !text.contains("+1415"), "{text}");
}

#[tokio::test]
async fn an_error_names_the_columns_that_the_list_has() {
    let world = World::start().await;
    for (list, text) in [
        ("name,Mobile\nAnna,1\n", r#"source.column: the list has no column "phone"; it has "name", "Mobile""#),
        (
            "phone;name\n+14155550110;Anna\n",
            r#"source: the columns of the list are separated by semicolons; save it with commas (it has "phone", "name")"#,
        ),
        (
            "\u{feff}Name\tphone\t\"Ort\"\n",
            r#"source: the columns of the list are separated by tabs; save it with commas (it has "Name", "phone", "Ort")"#,
        ),
        (
            "sep=;\nphone;name\n",
            "source: the list begins with `sep=`, which only spreadsheets understand; remove that line",
        ),
        ("phone,name,phone\n", r#"source.column: the list has several columns "phone"; keep one of them"#),
        ("user_id,phone,user_id\n", r#"source: the list has several columns "user_id"; keep one of them"#),
    ] {
        put(&world, "demo/in", list).await;
        assert_eq!(refusal(&world, &campaign("demo/in", "csv")).await, text);
    }
}

#[tokio::test]
async fn no_error_names_a_recipient_where_the_header_row_is_missing() {
    let world = World::start().await;
    for list in [
        "+14155550110,Anna\n",
        "Anna;+1 (415) 555-0110\n",
        "Anna,anna@example.com\n",
        "Anna\tUS.abc\n",
        "Anna,,14155550110.0\n",
        "Anna,4/11/1980\n",
    ] {
        put(&world, "demo/in", list).await;
        let text = refusal(&world, &campaign("demo/in", "csv")).await;
        assert!(text.contains("header row"), "{list}: {text}");
        for part in ["Anna", "anna", "0110", "US.", "1980"] {
            assert!(!text.contains(part), "{list}: {text}");
        }
    }
}

#[tokio::test]
async fn a_misspelt_bucket_or_key_fails_for_good_and_is_not_made() {
    let world = World::start().await;
    put(&world, "demo/in.jsonl", "\"+14155550110\"\n").await;
    let with = |field: &str, name: &str| {
        let mut campaign = campaign("demo/in.jsonl", "jsonl");
        *campaign.pointer_mut(field).unwrap() = name.into();
        campaign
    };
    for (field, name, text) in [
        ("/source/bucket", "campaings", "source.bucket: there is no such bucket"),
        ("/source/key", "demo/im.jsonl", "source.key: there is no such object in the bucket"),
        ("/destination/bucket", "campaings", "destination.bucket: there is no such bucket"),
    ] {
        assert_eq!(refusal(&world, &with(field, name)).await, text);
    }
    let buckets = world.system.s3().list_buckets().send().await.unwrap();
    let names: Vec<_> = buckets.buckets().iter().filter_map(|bucket| bucket.name()).collect();
    assert_eq!(names, [local::BUCKET]);
}

#[tokio::test]
async fn keys_and_buckets_that_s3_cannot_have_are_told_by_their_field() {
    let world = World::start().await;
    let long = format!("demo/{}", "x".repeat(1020));
    for (field, names) in [
        ("source.key", vec!["", &long, "demo/a\u{0}b"]),
        ("source.bucket", vec!["", "x", "My_Lists", "a/b", "10.0.0.1", "arn:aws:s3:::campaigns"]),
        ("destination.bucket", vec!["", "x", "My_Lists", "a..b"]),
        ("destination.prefix", vec!["", &long[..1012]]),
    ] {
        for name in names {
            let mut campaign = campaign("demo/in.csv", "csv");
            *campaign.pointer_mut(&format!("/{}", field.replace('.', "/"))).unwrap() = name.into();
            let text = refusal(&world, &campaign).await;
            assert!(text.starts_with(&format!("{field}: ")), "{field} {name:?}: {text}");
        }
    }
}

#[tokio::test]
async fn a_row_or_an_input_that_does_not_fit_between_two_states_is_refused_before_anybody_is_sent_to() {
    let world = World::start().await;
    // As JSON, each control character takes six bytes.
    put(&world, "demo/in.csv", [b"phone,note\n1,\n+14155550110,".to_vec(), vec![1; 40_000], b"\n".to_vec()].concat())
        .await;
    let text = refusal(&world, &campaign("demo/in.csv", "csv")).await;
    assert_eq!(text, "line 3: the row takes more than 200 KiB as JSON, more than a batch may have; shorten it");
    put(&world, "demo/in.csv", "phone\n+14155550110\n").await;
    let mut campaign = campaign("demo/in.csv", "csv");
    campaign["campaign_id"] = "x".repeat(7_000).into();
    world.filter(&campaign).await.unwrap();
    campaign["note"] = "x".repeat(2_000).into();
    assert!(refusal(&world, &campaign).await.starts_with("the input has more than 8 KiB"));
}

#[tokio::test]
async fn a_stored_item_that_cannot_be_read_is_a_final_error() {
    let world = World::start().await;
    world.change_settings(|settings| settings["require_opt_in"] = true.into()).await;
    world.says("+14155550110", "START").await;
    let campaign = json!({"tenant_id": "demo", "category": "marketing", "contacts": ["+14155550110"]});
    assert_eq!(world.filter(&campaign).await.unwrap()["counts"]["eligible"], 1);
    for place in ["T#demo#C#", "T#demo"] {
        let items = world.items().await;
        let item = items.iter().find(|item| {
            let (pk, sk) = (item["pk"].as_str().unwrap(), item["sk"].as_str().unwrap());
            pk.starts_with(place) && (place.ends_with('#') || sk == "SETTINGS")
        });
        let key = |name: &str| AttributeValue::S(item.unwrap()[name].as_str().unwrap().to_owned());
        let broken = world.system.dynamodb().put_item().table_name(local::TABLE);
        let broken = broken.item("pk", key("pk")).item("sk", key("sk"));
        broken.item("version", AttributeValue::S("not a number".to_owned())).send().await.unwrap();
        let (kind, text) = world.filter_error(&campaign).await;
        assert_eq!(kind, "StoreUnreadable", "{place}: {text}");
        assert!(!text.contains("+1415"), "{text}");
    }
}
