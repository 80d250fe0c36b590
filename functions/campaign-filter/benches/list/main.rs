//! The speed of filtering lists in memory: `cargo bench -p campaign-filter --bench list [-- ROWS]`.
//!
//! `-- matching` runs the matching alone, for callgrind.

mod data;

use std::collections::HashMap;
use std::hint::black_box;
use std::time::{Duration, Instant};

use campaign_filter::list::{BATCH_JSON, BatchSize, Duplicates, Format, Index, Output, Pass, People};
use consent::contact::{Category, Suppression};
use consent::id::ContactId;

/// The length of a block, in bytes.
const BLOCK: usize = 1 << 20;

const SUPPRESSED: u64 = 100_000;

fn main() {
    // Cargo adds `--bench`.
    let argument = std::env::args().skip(1).find(|argument| !argument.starts_with('-'));
    match argument.as_deref() {
        Some("matching") => println!("{} suppressed", matched(1_000_000)),
        rows => passes(rows.map_or(2_000_000, |rows| rows.parse().expect("a number of rows"))),
    }
}

/// Builds an index and looks recipients up in it.
fn matched(rows: u64) -> usize {
    let suppressed: Vec<(ContactId, Suppression)> = data::suppressed(SUPPRESSED).collect();
    let numbers: Vec<u64> = (0..rows)
        .map(|row| {
            data::phone(row * 10).parse::<ContactId>().expect("a phone number").as_str()[1..].parse().expect("digits")
        })
        .collect();
    let found = matching(&suppressed, &numbers);
    let plainly: HashMap<&str, &Suppression> =
        suppressed.iter().map(|(id, suppression)| (&id.as_str()[1..], suppression)).collect();
    let expected = numbers.iter().filter(|number| plainly.contains_key(number.to_string().as_str())).count();
    assert_eq!(found, expected);
    found
}

/// The work whose instructions callgrind counts: building the index and looking the numbers up in it.
#[inline(never)]
fn matching(suppressed: &[(ContactId, Suppression)], numbers: &[u64]) -> usize {
    let index: Index = suppressed.iter().map(|(id, suppression)| (id, *suppression)).collect();
    numbers.iter().filter(|&&number| index.suppression_of_number(number).is_some()).count()
}

fn passes(rows: u64) {
    let index: Index = {
        let suppressed: Vec<_> = data::suppressed(SUPPRESSED).collect();
        suppressed.iter().map(|(id, suppression)| (id, *suppression)).collect()
    };
    println!("{rows} rows, {SUPPRESSED} suppressed, best of 5");
    for (format, name) in [(Format::Csv, "CSV"), (Format::Jsonl, "JSON Lines")] {
        let list = |repeated| {
            let mut list = Vec::new();
            data::list(format, data::ListSize { rows, repeated }, &mut list).expect("memory takes all");
            list
        };
        let usual = list(2);
        time(name, rows, || pass(format, &usual, &index, false));
        time(&format!("{name}, duplicates found"), rows, || pass(format, &usual, &index, true));
        let repeated = list(50);
        time(&format!("{name}, duplicates found, 5 % repeated"), rows, || pass(format, &repeated, &index, true));
        let halved = list(500);
        time(&format!("{name}, duplicates found, half repeated"), rows, || pass(format, &halved, &index, true));
    }
    let csv = |write: fn(&str) -> String| {
        let rows = (0..rows).map(|row| write(&data::phone(row)));
        std::iter::once("phone,name\n".to_owned()).chain(rows).collect::<String>().into_bytes()
    };
    let quoted = csv(|phone| format!("\"{phone}\",\"Anna\"\n"));
    time("CSV, all quoted", rows, || pass(Format::Csv, &quoted, &index, false));
    let spaced = csv(|phone| format!("{} {}-{},Anna\n", &phone[..3], &phone[3..7], &phone[7..]));
    time("CSV, numbers with spaces", rows, || pass(Format::Csv, &spaced, &index, false));
    let others = csv(|phone| format!("US.{},Anna\n", &phone[1..]));
    time("CSV, user ids", rows, || pass(Format::Csv, &others, &index, false));
    time("CSV, user ids, duplicates found", rows, || pass(Format::Csv, &others, &index, true));
}

fn pass(format: Format, list: &[u8], index: &Index, duplicates: bool) {
    let people = People { suppressed: index, opted_in: None };
    let mut pass = Pass::new(format, "phone", Category::Marketing, BatchSize { rows: 500, json: BATCH_JSON });
    if duplicates {
        pass = pass.without_duplicates(Duplicates::new(std::env::temp_dir()));
    }
    let mut output = Output::default();
    for block in list.chunks(BLOCK) {
        pass.feed(block, &people, &mut output).expect("a good list");
        black_box(&output);
        output.eligible.clear();
        output.skipped.clear();
    }
    black_box(pass.finish(&people, &mut output).expect("a good list"));
}

fn time(name: &str, rows: u64, run: impl Fn()) {
    let times = (0..5).map(|_| {
        let start = Instant::now();
        run();
        start.elapsed()
    });
    let best = times.min().unwrap_or(Duration::MAX);
    #[expect(clippy::cast_precision_loss, reason = "far below what a f64 counts exactly")]
    let nanoseconds = best.as_secs_f64() * 1e9 / rows as f64;
    println!("{name:45} {nanoseconds:7.1} ns a row {:7.1} million rows a second", 1e3 / nanoseconds);
}
