//! Writes a list for the comparison with peers, and a suppression list for it.
//!
//! `generate-list csv|jsonl ROWS REPEATED-PER-THOUSAND LIST` or `generate-list suppressed COUNT LIST`.

#[path = "../benches/list/data.rs"]
mod data;

use std::error::Error;
use std::fs::File;
use std::io::{BufWriter, Write};

use campaign_filter::list::Format;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let create = |path| File::create(path).map(|file| BufWriter::with_capacity(1 << 20, file));
    match arguments[..] {
        [name @ ("csv" | "jsonl"), rows, repeated, list] => {
            let format = if name == "csv" { Format::Csv } else { Format::Jsonl };
            data::list(
                format,
                data::ListSize { rows: rows.parse()?, repeated: repeated.parse()? },
                &mut create(list)?,
            )?;
        }
        ["suppressed", count, list] => {
            let mut list = create(list)?;
            writeln!(list, "id,reasons")?;
            for (id, suppression) in data::suppressed(count.parse()?) {
                writeln!(list, "{id},{}", suppression.letters())?;
            }
        }
        _ => return Err("see the head of this file".into()),
    }
    Ok(())
}
