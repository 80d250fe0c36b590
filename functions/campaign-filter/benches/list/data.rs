//! Lists of recipients and of suppressed contacts, the same on every machine.

use std::io::{self, Write};

use campaign_filter::list::Format;
use consent::contact::Suppression;
use consent::id::ContactId;

/// The number of recipients that the suppression list is made for. Half of its entries are among these.
const ROWS: u64 = 10_000_000;

const NAMES: [&str; 8] = ["Anna", "Björn", "Chidinma", "Dmitri", "Eleni", "Fatima", "Guilherme", "Hui"];
const LANGUAGES: [&str; 4] = ["en", "de", "es", "pt"];

/// The size of a list.
#[derive(Clone, Copy)]
pub struct ListSize {
    pub rows: u64,
    /// The number of rows in a thousand that repeat the id of a row further up.
    pub repeated: u64,
}

/// Writes a list. One row in a thousand has no number.
pub fn list(format: Format, size: ListSize, into: &mut impl Write) -> io::Result<()> {
    let ListSize { rows, repeated } = size;
    if format == Format::Csv {
        writeln!(into, "phone,name,language,amount")?;
    }
    for row in 0..rows {
        let chance = spread(row);
        let phone = match chance % 1000 {
            999 => "call me".to_owned(),
            part if part < repeated && row > 0 => phone(spread(chance) % row),
            _ => phone(row),
        };
        let name = of(&NAMES, chance >> 20);
        let language = of(&LANGUAGES, chance >> 40);
        let (whole, cents) = ((chance >> 44) % 1_000, chance % 100);
        match format {
            Format::Csv => writeln!(into, "{phone},{name},{language},{whole}.{cents:02}")?,
            Format::Jsonl => writeln!(
                into,
                r#"{{"phone":"{phone}","name":"{name}","language":"{language}","amount":"{whole}.{cents:02}"}}"#
            )?,
        }
    }
    Ok(())
}

/// The suppressed contacts, each once.
pub fn suppressed(count: u64) -> impl Iterator<Item = (ContactId, Suppression)> {
    (0..count).map(move |number| {
        let row = if number % 2 == 0 { number / 2 * (2 * ROWS / count.max(1)) } else { ROWS + number };
        let id = phone(row).parse().expect("a phone number");
        (id, Suppression::from_letters(of(&["O", "O", "O", "OB", "P"], number)))
    })
}

/// The number of a row: never the same twice among a thousand million rows, and in no order.
pub fn phone(row: u64) -> String {
    // Odd and no multiple of 5, so that no two rows share it.
    let subscriber = row.wrapping_mul(387_420_489) % 1_000_000_000;
    match row % 8 {
        0..3 => format!("+1{}", 2_000_000_000 + subscriber),
        3..6 => format!("+4915{subscriber:09}"),
        6 => format!("+91{}", 7_000_000_000 + subscriber),
        // With the digit that the canonical form lacks.
        _ => format!("+55{}9{}", 11 + subscriber / 40_000_000, 60_000_000 + subscriber % 40_000_000),
    }
}

/// Evenly spread bits of a number.
fn spread(number: u64) -> u64 {
    let mixed = (number + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let mixed = (mixed ^ mixed >> 32).wrapping_mul(0xD6E8_FEB8_6659_FD93);
    mixed ^ mixed >> 32
}

fn of<'a>(choices: &[&'a str], chance: u64) -> &'a str {
    choices[usize::try_from(chance % choices.len() as u64).expect("less than the choices")]
}
