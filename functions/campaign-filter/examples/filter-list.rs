//! Filters a list from file to file, in one thread, and says how long it took: what the peers are compared with.
//!
//! `filter-list csv|jsonl COLUMN LIST SUPPRESSED ELIGIBLE SKIPPED [keep-duplicates]`, where `SUPPRESSED` is CSV with
//! the columns `id` and `reasons`.

use std::error::Error;
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::time::Instant;

use campaign_filter::list::{
    BATCH_JSON, BatchSize, Duplicates, Format, Index, IndexBuilder, ListError, Output, Pass, People,
};
use consent::contact::{Category, Suppression};

/// The number of bytes that are read at once.
const BLOCK: usize = 512 << 10;

/// The number of bytes that are written at once.
const PART: usize = 256 << 10;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [format, column, list, suppressed, eligible, skipped, rest @ ..] = &arguments[..] else {
        return Err("give format, column, list, suppressed, eligible and skipped".into());
    };
    let format = match format.as_str() {
        "csv" => Format::Csv,
        "jsonl" => Format::Jsonl,
        _ => return Err("the format is csv or jsonl".into()),
    };

    let start = Instant::now();
    let index = index(suppressed)?;
    let indexed = start.elapsed();
    let people = People { suppressed: &index, opted_in: None };
    let mut pass = Pass::new(format, column, Category::Marketing, BatchSize { rows: 500, json: BATCH_JSON });
    if rest.is_empty() {
        pass = pass.without_duplicates(Duplicates::new(std::env::temp_dir()));
    }
    let (mut list, mut eligible, mut skipped) = (File::open(list)?, File::create(eligible)?, File::create(skipped)?);
    let (mut block, mut output) = (vec![0; BLOCK], Output::default());
    loop {
        let length = list.read(&mut block)?;
        if length == 0 {
            break;
        }
        feed(&mut pass, &block[..length], &people, &mut output)?;
        write(&mut output.eligible, &mut eligible, PART)?;
        write(&mut output.skipped, &mut skipped, PART)?;
    }
    let outcome = pass.finish(&people, &mut output)?;
    write(&mut output.eligible, &mut eligible, 0)?;
    write(&mut output.skipped, &mut skipped, 0)?;

    let taken = start.elapsed();
    println!(
        "{{\"seconds\": {:.3}, \"index_seconds\": {:.3}, \"counts\": {}, \"batches\": {}, \"peak_kib\": {}}}",
        taken.as_secs_f64(),
        indexed.as_secs_f64(),
        serde_json::to_string(&outcome.counts)?,
        outcome.batches.len(),
        peak_kib().unwrap_or(0),
    );
    Ok(())
}

/// The work whose instructions callgrind counts: filtering a block.
#[inline(never)]
fn feed(pass: &mut Pass, block: &[u8], people: &People, output: &mut Output) -> Result<(), ListError> {
    pass.feed(block, people, output)
}

fn index(suppressed: &str) -> Result<Index, Box<dyn Error>> {
    let mut index = IndexBuilder::default();
    for row in BufReader::new(File::open(suppressed)?).lines().skip(1) {
        let row = row?;
        let (id, reasons) = row.split_once(',').ok_or("a suppressed without reasons")?;
        index.add(&id.parse()?, Suppression::from_letters(reasons));
    }
    Ok(index.build())
}

fn write(bytes: &mut Vec<u8>, file: &mut File, at_least: usize) -> std::io::Result<()> {
    if bytes.len() >= at_least {
        file.write_all(bytes)?;
        bytes.clear();
    }
    Ok(())
}

/// The most memory that the process ever had, as Linux tells it.
fn peak_kib() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    peak.trim().trim_end_matches(" kB").parse().ok()
}
