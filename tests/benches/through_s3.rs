//! Filters a list of 10 million through the S3 of the local run, in a process of its own, as the function does:
//! `cargo bench -p tests --bench through_s3 [-- ROWS [SUPPRESSED]]`.
//!
//! Against `filter-list`, from file to file, it shows what transfer takes, and what memory S3's client needs.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says so by a panic")]

#[path = "../../functions/campaign-filter/benches/list/data.rs"]
mod data;

use std::process::Command;
use std::time::Instant;

use aws_sdk_s3::config::Builder;
use campaign_filter::CampaignFilter;
use campaign_filter::list::Format;
use campaign_filter::objects::{Location, Objects};
use consent::store::Store;
use consent::{aws, limits};
use serde_json::json;
use tests::{World, cost};

#[tokio::main(flavor = "current_thread")]
async fn main() {
    // Cargo adds `--bench`.
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    if let Some(format @ ("csv" | "jsonl")) = arguments.first().map(String::as_str) {
        filter(format).await;
    } else {
        let number = |at: usize, usual| arguments.get(at).map_or(usual, |number| number.parse().expect("a number"));
        compare(number(0, 10_000_000), number(1, 100_000)).await;
    }
}

/// Has the lists filtered, each by a process that has nothing else to do.
async fn compare(rows: u64, suppressed: u64) {
    let world = World::start().await;
    let listed: Vec<_> = data::suppressed(suppressed).map(|(id, _)| id).collect();
    cost::suppress(&world, &listed);
    println!("{rows} rows, {suppressed} suppressed");
    for (format, name) in [(Format::Csv, "csv"), (Format::Jsonl, "jsonl")] {
        let mut list = Vec::new();
        data::list(format, data::ListSize { rows, repeated: 2 }, &mut list).unwrap();
        let location = Location { bucket: local::BUCKET.to_owned(), key: format!("demo/in.{name}") };
        let mut upload = Objects::new(world.system.s3().clone()).upload(location);
        upload.write(&mut list).await.unwrap();
        upload.finish().await.unwrap();
        let process = Command::new(std::env::current_exe().unwrap())
            .arg(name)
            .env("AWS_ENDPOINT_URL_DYNAMODB", world.system.dynamodb_url())
            .env("AWS_ENDPOINT_URL_S3", world.system.objects().endpoint())
            .envs([("AWS_ACCESS_KEY_ID", "local"), ("AWS_SECRET_ACCESS_KEY", "local"), ("AWS_REGION", "us-east-1")])
            .spawn();
        let mut process = process.unwrap();
        let status = tokio::task::spawn_blocking(move || process.wait()).await.unwrap().unwrap();
        assert!(status.success(), "{status}");
    }
}

/// The work of the other process: filters a list and prints the time that it took.
async fn filter(format: &str) {
    let config = aws::config(limits::CAMPAIGN_CALL).await;
    let s3 = aws_sdk_s3::Client::from_conf(Builder::from(&config).force_path_style(true).build());
    let store = Store::new(aws::dynamodb(&config), local::TABLE);
    let campaign = json!({"tenant_id": "demo", "category": "marketing",
        "source": {"bucket": local::BUCKET, "key": format!("demo/in.{format}"), "format": format, "column": "phone"},
        "destination": {"bucket": local::BUCKET, "prefix": "demo/out"}});
    let event = serde_json::value::to_raw_value(&campaign).unwrap();
    let start = Instant::now();
    let answer = CampaignFilter::new(store, Objects::new(s3)).handle(event, None).await.unwrap();
    let seconds = start.elapsed().as_secs_f64();
    let answer = serde_json::to_value(answer).unwrap();
    let (processor, peak) = used();
    println!(
        "{format:6} {seconds:6.2} s, {processor:5.2} s of the processor, {peak} KiB at most, {}",
        answer["counts"]
    );
}

/// The processor time and the most memory that the process had, as Linux tells them.
fn used() -> (f64, u64) {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let ticks = |at: usize| stat.split_whitespace().nth(at).unwrap().parse::<f64>().unwrap();
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    ((ticks(13) + ticks(14)) / 100.0, peak.trim().trim_end_matches(" kB").parse().unwrap())
}
