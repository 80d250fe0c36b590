//! The system as a whole: what starts, stops and starts again.

use std::time::Instant;

use aws_sdk_s3::primitives::ByteStream;
use axum::body::Body;
use axum::http::Request as HttpRequest;
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tower::ServiceExt;

use super::*;

fn embedded(address: &str, storage: Storage) -> Options {
    Options { dynamodb: DynamoDb::Embedded { address: address.to_owned(), storage }, ..Options::default() }
}

async fn post(system: &System, path: &str, body: &Value) -> (u16, Value) {
    let request = HttpRequest::post(path).body(Body::from(body.to_string())).unwrap();
    let response = system.router().oneshot(request).await.unwrap();
    let status = response.status().as_u16();
    (status, serde_json::from_slice(&response.into_body().collect().await.unwrap().to_bytes()).unwrap())
}

async fn text(system: &System, from: &str, id: &str, text: &str) -> u16 {
    post(system, "/local/messages", &json!({"from": from, "id": id, "text": text})).await.0
}

#[tokio::test]
async fn a_stop_is_confirmed_at_once_and_once() {
    let system = System::start(Options::default()).await.unwrap();
    let begun = Instant::now();
    assert_eq!(text(&system, "14155550123", "wamid.1", "STOP").await, 200);
    let sent = system.graph().sent(1).await;
    assert_eq!(sent[0]["to"], "+14155550123");
    assert!(begun.elapsed() < Duration::from_secs(2));
    assert_eq!(text(&system, "14155550123", "wamid.1", "STOP").await, 200);
    assert_eq!(text(&system, "14155550124", "wamid.2", "START").await, 200);
    system.stream_drained().await;
    assert_eq!(system.graph().outbox().len(), 1);
    system.stop().await;
}

#[tokio::test]
async fn a_stopped_engine_is_a_500_and_a_restarted_one_goes_on_with_its_data() {
    let system = System::start(Options::default()).await.unwrap();
    assert_eq!(text(&system, "14155550123", "wamid.1", "STOP").await, 200);
    system.stream_drained().await;
    let engine = system.engine().unwrap();
    engine.stop().await;
    assert_eq!(text(&system, "14155550124", "wamid.2", "STOP").await, 500);
    engine.restart().await.unwrap();
    assert_eq!(text(&system, "14155550124", "wamid.2", "STOP").await, 200);
    assert_eq!(text(&system, "14155550123", "wamid.1", "STOP").await, 200);
    system.graph().sent(2).await;
    system.stream_drained().await;
    assert_eq!(system.graph().outbox().len(), 2, "the first was known still");
}

#[tokio::test]
async fn data_in_a_file_outlives_the_process() {
    let folder = tempfile::tempdir().unwrap();
    let storage = Storage::File(folder.path().join("data"));
    let campaign =
        json!({"tenant_id": "demo", "campaign_id": "c", "category": "marketing", "contacts": ["+14155550123"]});
    let system = System::start(embedded("127.0.0.1:0", storage.clone())).await.unwrap();
    assert_eq!(text(&system, "14155550123", "wamid.1", "STOP").await, 200);
    system.graph().sent(1).await;
    system.stream_drained().await;
    let body = ByteStream::from_static(b"phone");
    system.s3().put_object().bucket(crate::BUCKET).key("list.csv").body(body).send().await.unwrap();
    system.stop().await;
    let system = System::start(embedded("127.0.0.1:0", storage)).await.unwrap();
    let list = system.s3().get_object().bucket(crate::BUCKET).key("list.csv").send().await.unwrap();
    assert_eq!(list.content_length, Some(5), "the objects as well");
    let (_, report) = post(&system, "/2015-03-31/functions/campaign-filter/invocations", &campaign).await;
    assert_eq!(report["summary"], "1 contact skipped (opted-out)");
    system.stream_drained().await;
    assert!(system.graph().outbox().is_empty(), "what was confirmed is not confirmed again");
}

#[tokio::test]
async fn another_endpoint_can_take_the_engine_s_place() {
    let first = System::start(Options::default()).await.unwrap();
    let elsewhere = DynamoDb::At(first.dynamodb_url().to_owned());
    let second = System::start(Options { dynamodb: elsewhere, ..Options::default() }).await.unwrap();
    assert!(second.engine().is_none());
    assert_eq!(text(&second, "14155550123", "wamid.1", "STOP").await, 200, "the tenant is there already");
}

#[tokio::test]
async fn a_start_completes_what_a_start_before_it_left_out() {
    let first = System::start(Options::default()).await.unwrap();
    let items = first.dynamodb().scan().table_name(crate::TABLE).into_paginator().items().send();
    for mut item in items.collect::<Result<Vec<_>, _>>().await.unwrap() {
        item.retain(|name, _| name == "pk" || name == "sk");
        first.dynamodb().delete_item().table_name(crate::TABLE).set_key(Some(item)).send().await.unwrap();
    }
    assert_eq!(text(&first, "14155550123", "wamid.1", "STOP").await, 503, "nobody has the channel");
    let elsewhere = DynamoDb::At(first.dynamodb_url().to_owned());
    let second = System::start(Options { dynamodb: elsewhere, ..Options::default() }).await.unwrap();
    assert_eq!(text(&second, "14155550123", "wamid.1", "STOP").await, 200);
}

#[tokio::test]
async fn a_channel_that_another_tenant_has_stays_with_it() {
    let first = System::start(Options::default()).await.unwrap();
    let channel = Channel { tenant: "acme".parse().unwrap(), display_phone_number: "1".to_owned(), secret_id: None };
    let key = |of: &str| aws_sdk_dynamodb::types::AttributeValue::S(of.to_owned());
    let pk = format!("CHANNEL#{}", crate::DEMO_CHANNEL);
    first
        .dynamodb()
        .delete_item()
        .table_name(crate::TABLE)
        .key("pk", key(&pk))
        .key("sk", key("CHANNEL"))
        .send()
        .await
        .unwrap();
    let id = crate::DEMO_CHANNEL.parse().unwrap();
    Store::new(first.dynamodb().clone(), crate::TABLE)
        .register_channel(&id, &channel, first.clock.now())
        .await
        .unwrap();
    let elsewhere = DynamoDb::At(first.dynamodb_url().to_owned());
    let second = System::start(Options { dynamodb: elsewhere, ..Options::default() }).await.unwrap();
    let known = second.store().channel(&id, second.clock.now()).await.unwrap();
    assert_eq!(known.unwrap().tenant.as_str(), "acme");
}

#[tokio::test]
async fn without_a_stream_the_schedule_sends() {
    let options = Options { stream: false, ..embedded("127.0.0.1:0", Storage::Memory) };
    let system = System::start(options).await.unwrap();
    assert_eq!(text(&system, "14155550123", "wamid.1", "STOP").await, 200);
    assert!(system.graph().outbox().is_empty());
    assert!(system.run_schedules().await.iter().all(Result::is_ok));
}

#[tokio::test]
async fn what_cannot_be_started_says_what_to_change() {
    let system = System::start(Options::default()).await.unwrap();
    let api = system.api_url().replace("http://", "");
    let error = System::start(Options { api, ..Options::default() }).await.err().unwrap();
    assert!(error.to_string().contains("--api"), "{error}");
    let dynamodb = system.dynamodb_url().replace("http://", "");
    let error = System::start(embedded(&dynamodb, Storage::Temporary)).await.err().unwrap();
    assert!(error.to_string().contains("--dynamodb"), "{error}");
    let s3 = system.objects().endpoint().replace("http://", "");
    let error = System::start(Options { s3, ..Options::default() }).await.err().unwrap();
    assert!(error.to_string().contains("--s3"), "{error}");
    let nobody = Options { dynamodb: DynamoDb::At("http://127.0.0.1:1".to_owned()), ..Options::default() };
    let error = System::start(nobody).await.err().unwrap();
    assert!(error.to_string().contains("refused") && error.to_string().contains("http://127.0.0.1:1"), "{error}");
    let nowhere = Storage::File("/nonexistent/folder/file".into());
    let error = System::start(embedded("127.0.0.1:0", nowhere)).await.err().unwrap();
    assert!(error.to_string().contains("--data"), "{error}");
}

#[tokio::test]
async fn a_confirmation_whose_answer_is_lost_is_settled_by_its_status() {
    let system = System::start(Options { statuses: true, ..Options::default() }).await.unwrap();
    system.graph().lose_answers(1);
    assert_eq!(text(&system, "14155550123", "wamid.1", "STOP").await, 200);
    system.stream_drained().await;
    system.graph().statuses_delivered().await;
    let request = HttpRequest::get("/contacts/14155550123/history")
        .header("authorization", format!("Bearer {}", system.token("demo", Scopes("consent/read"))))
        .body(Body::empty())
        .unwrap();
    let response = system.router().oneshot(request).await.unwrap();
    let history = String::from_utf8(response.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap();
    assert!(history.contains(r#""state":"sent""#), "{history}");
    assert!(system.run_schedules().await.iter().all(Result::is_ok));
    assert_eq!(system.graph().outbox().len(), 1);
    system.stop().await;
}

#[tokio::test]
async fn pages_of_the_origins_that_are_named_may_call_the_api() {
    let origins = "https://a.example.com,https://b.example.com".to_owned();
    let system = System::start(Options { dashboard_origins: origins, ..Options::default() }).await.unwrap();
    let preflight = HttpRequest::options("/contacts/14155550123/consent")
        .header("origin", "https://b.example.com")
        .header("access-control-request-method", "PUT")
        .header("access-control-request-headers", "authorization,content-type,if-match")
        .body(Body::empty())
        .unwrap();
    let response = system.router().oneshot(preflight).await.unwrap();
    assert_eq!(response.status(), 204);
    assert_eq!(response.headers()["access-control-allow-origin"], "https://b.example.com");
    assert!(response.headers()["access-control-allow-methods"].to_str().unwrap().contains("PUT"));
    system.stop().await;
}
