//! Lists in an S3 that breaks off in the middle, or whose objects change while they are read.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use aws_sdk_s3::Client;
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::{Method, StatusCode, header};
use axum::response::Response;
use campaign_filter::objects::Objects;
use campaign_filter::{CampaignFilter, FilterAnswer, FilterError};
use futures::stream;
use http_body_util::BodyExt;
use serde_json::json;
use tests::World;

/// An S3 with one object to read, which does as it is told and remembers what is written.
#[derive(Clone, Default)]
struct Faulty(Arc<Mutex<Orders>>);

#[derive(Default)]
struct Orders {
    list: Vec<u8>,
    /// The number of the next reads that break off in the middle.
    broken: usize,
    /// True if the object was replaced before it is read.
    replaced: bool,
    /// The key that nothing can be written to.
    refused: Option<&'static str>,
    reads: usize,
    written: BTreeMap<String, Bytes>,
}

async fn answer(State(faulty): State<Faulty>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let key = parts.uri.path().to_owned();
    let body = body.collect().await.unwrap().to_bytes();
    let mut orders = faulty.0.lock().unwrap();
    let answer = Response::builder().header(header::ETAG, "\"first\"");
    match parts.method {
        Method::HEAD => answer.header(header::CONTENT_LENGTH, orders.list.len()).body(Body::empty()),
        Method::GET if orders.replaced => answer.status(StatusCode::PRECONDITION_FAILED).body(Body::empty()),
        Method::GET => {
            let range = parts.headers[header::RANGE].to_str().unwrap().strip_prefix("bytes=").unwrap();
            let (first, last) = range.split_once('-').unwrap();
            let bytes = orders.list[first.parse().unwrap()..=last.parse().unwrap()].to_vec();
            orders.reads += 1;
            let answer = answer.status(StatusCode::PARTIAL_CONTENT).header(header::CONTENT_LENGTH, bytes.len());
            if orders.broken > 0 {
                orders.broken -= 1;
                let half = Bytes::from(bytes[..bytes.len() / 2].to_vec());
                let broken = stream::iter([Ok(half), Err(std::io::Error::other("broken off"))]);
                return answer.body(Body::from_stream(broken)).unwrap();
            }
            answer.body(Body::from(bytes))
        }
        _ if orders.refused == Some(&*key) => answer.status(StatusCode::FORBIDDEN).body(Body::empty()),
        _ => {
            orders.written.insert(key, body);
            answer.body(Body::empty())
        }
    }
    .unwrap()
}

/// Filters a list of a hundred people, one of whom opted out.
async fn filter(faulty: &Faulty) -> Result<FilterAnswer, FilterError> {
    let world = World::start().await;
    world.says("+14155560042", "STOP").await;
    faulty.0.lock().unwrap().list =
        (0..100).flat_map(|number| format!("\"+141555600{number:02}\"\n").into_bytes()).collect();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let router = Router::new().fallback(answer).with_state(faulty.clone());
    tokio::spawn(async move { axum::serve(listener, router).await });
    let client = Client::from_conf(world.system.s3().config().to_builder().endpoint_url(endpoint).build());
    let filter = CampaignFilter::new(world.system.store().clone(), Objects::new(client));
    let campaign = json!({"tenant_id": "demo", "category": "marketing",
        "source": {"bucket": "any", "key": "demo/in.jsonl", "format": "jsonl"}, "destination": {"bucket": "any", "prefix": "demo/out"}});
    filter.handle(serde_json::value::to_raw_value(&campaign).unwrap(), None).await
}

#[tokio::test]
async fn a_read_that_breaks_off_is_made_again_and_nobody_is_left_out() {
    let faulty = Faulty::default();
    faulty.0.lock().unwrap().broken = 2;
    let Ok(FilterAnswer::List(report)) = filter(&faulty).await else { panic!("it was not filtered") };
    assert_eq!((report.total, report.counts.eligible, report.counts.opted_out), (100, 99, 1));
    let orders = faulty.0.lock().unwrap();
    assert!(orders.reads > 2);
    let eligible = String::from_utf8_lossy(&orders.written["/any/demo/out/eligible.jsonl"]);
    assert!(eligible.contains("+14155560041") && !eligible.contains("+14155560042"));
}

#[tokio::test]
async fn a_list_that_cannot_be_read_to_its_end_leaves_nothing_behind() {
    for replaced in [false, true] {
        let faulty = Faulty::default();
        faulty.0.lock().unwrap().broken = usize::MAX;
        faulty.0.lock().unwrap().replaced = replaced;
        assert!(matches!(filter(&faulty).await, Err(FilterError::ObjectUnavailable(_))), "{replaced}");
        let orders = faulty.0.lock().unwrap();
        assert_eq!((orders.written.len(), orders.reads > 0), (0, !replaced));
    }
}

#[tokio::test]
async fn the_eligible_are_nowhere_where_another_list_cannot_be_written() {
    for refused in ["/any/demo/out/skipped.csv", "/any/demo/out/batches.json"] {
        let faulty = Faulty::default();
        faulty.0.lock().unwrap().refused = Some(refused);
        assert!(matches!(filter(&faulty).await, Err(FilterError::InvalidCampaign(_))), "{refused}");
        assert!(!faulty.0.lock().unwrap().written.contains_key("/any/demo/out/eligible.jsonl"));
    }
}
