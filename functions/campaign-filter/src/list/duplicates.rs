//! The ids that came before: exact among any number of recipients, in fixed memory.
//!
//! A Bloom filter tells of nearly every id that it is new. The other ids are suspects: they are looked up among all ids that
//! came before, which are on disk in parts. That is done once a window, and reads the part of several suspects once.

mod bloom;
mod seen;
mod spill;

use std::io;
use std::path::PathBuf;

use bloom::BloomFilter;
use seen::{SeenNumbers, SeenTexts};
use spill::PART_BITS;

use super::key::IdKey;
use super::read::{RowId, RowOwner, TextSpan, Window};

/// The number of rows whose lines of the Bloom filter are fetched at once.
const GROUP: usize = 64;

/// Finds ids that came before.
#[derive(Debug)]
pub struct Duplicates {
    filter: BloomFilter,
    numbers: SeenNumbers,
    /// None before the first id that is no number.
    texts: Option<SeenTexts>,
    directory: PathBuf,
    suspects: Vec<SuspectNumber>,
    suspect_texts: Vec<SuspectText>,
}

/// A number of a window that may have come before. The order is that of keys, then of rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct SuspectNumber {
    key: IdKey,
    row: usize,
}

/// Another id of a window that may have come before. The order is that of keys, then of rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct SuspectText {
    key: IdKey,
    row: usize,
    span: TextSpan,
}

impl Duplicates {
    /// No ids. Those that memory does not hold go to a file without a name in this directory: 5 bytes for each phone
    /// number.
    #[must_use]
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        let directory = directory.into();
        Self {
            filter: BloomFilter::new(),
            numbers: SeenNumbers::new(directory.clone()),
            texts: None,
            directory,
            suspects: Vec::new(),
            suspect_texts: Vec::new(),
        }
    }

    /// Adds the ids of a window, and calls `repeated` for the rows of which an id came before, in this window or earlier.
    /// It may call for a row twice.
    ///
    /// # Errors
    /// The file failed.
    pub(super) fn find(&mut self, window: &Window, mut repeated: impl FnMut(usize)) -> io::Result<()> {
        let mut ids = window.ids.iter().peekable();
        for (group, owners) in window.owners.chunks(GROUP).enumerate() {
            self.filter.fetch(owners.iter().filter_map(|owner| owner.as_number()).map(IdKey::of_number));
            for (row, &owner) in (group * GROUP..).zip(owners) {
                if let Some(number) = owner.as_number() {
                    self.number(number, row)?;
                } else if owner == RowOwner::LISTED {
                    while let Some(listed) = ids.next_if(|listed| listed.row == row) {
                        match listed.id {
                            RowId::Number(number) => self.number(number, row)?,
                            RowId::Text(span) => self.text(window.text(span), row, span)?,
                        }
                    }
                }
            }
        }
        self.judge_numbers(&mut repeated)?;
        self.judge_texts(window, &mut repeated)
    }

    #[inline]
    fn number(&mut self, number: u64, row: usize) -> io::Result<()> {
        let key = IdKey::of_number(number);
        if self.filter.insert(key) {
            return self.numbers.add(key);
        }
        self.suspects.push(SuspectNumber { key, row });
        Ok(())
    }

    fn text(&mut self, text: &[u8], row: usize, span: TextSpan) -> io::Result<()> {
        let key = IdKey::of_text(text);
        if self.filter.insert(key) {
            return self.texts.get_or_insert_with(|| SeenTexts::new(self.directory.clone())).add(key, text);
        }
        self.suspect_texts.push(SuspectText { key, row, span });
        Ok(())
    }

    /// Looks the suspects up, part by part.
    fn judge_numbers(&mut self, repeated: &mut impl FnMut(usize)) -> io::Result<()> {
        self.suspects.sort_unstable();
        for suspects in self.suspects.chunk_by(|a, b| a.key.high(PART_BITS) == b.key.high(PART_BITS)) {
            let part = self.numbers.part(suspects[0].key.high(PART_BITS))?;
            let mut new = Vec::new();
            for same in suspects.chunk_by(|a, b| a.key == b.key) {
                let is_new = !part.has(same[0].key);
                if is_new {
                    new.push(same[0].key);
                }
                // The first row of a new number is no repetition.
                same[usize::from(is_new)..].iter().for_each(|suspect| repeated(suspect.row));
            }
            for key in new {
                self.numbers.add(key)?;
            }
        }
        self.suspects.clear();
        Ok(())
    }

    /// Looks the suspects that are no numbers up, part by part.
    fn judge_texts(&mut self, window: &Window, repeated: &mut impl FnMut(usize)) -> io::Result<()> {
        self.suspect_texts.sort_unstable();
        for suspects in self.suspect_texts.chunk_by(|a, b| a.key.high(PART_BITS) == b.key.high(PART_BITS)) {
            let texts = self.texts.get_or_insert_with(|| SeenTexts::new(self.directory.clone()));
            texts.read(suspects[0].key.high(PART_BITS))?;
            let mut new: Vec<&[u8]> = Vec::new();
            for &SuspectText { key, row, span } in suspects {
                let text = window.text(span);
                if new.contains(&text) || texts.has(text) {
                    repeated(row);
                } else {
                    new.push(text);
                    texts.add(key, text)?;
                }
            }
        }
        self.suspect_texts.clear();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;
    use crate::list::number;

    /// The rows of a window that repeat an id, as a set of all ids tells them.
    fn plainly(window: &[Vec<String>], seen: &mut HashSet<String>) -> Vec<bool> {
        let mut repeats = |ids: &Vec<String>| {
            let repeats = ids.iter().any(|id| seen.contains(id));
            seen.extend(ids.iter().cloned());
            repeats
        };
        window.iter().map(&mut repeats).collect()
    }

    fn find(duplicates: &mut Duplicates, rows: &[Vec<String>]) -> Vec<bool> {
        let mut window = Window::default();
        for ids in rows {
            let owner = ids.first().map_or(RowOwner::INVALID, |id| window.owner(id, ids.get(1).map(String::as_str)));
            window.add(0, owner);
        }
        let mut repeated = vec![false; rows.len()];
        duplicates.find(&window, |row| repeated[row] = true).unwrap();
        repeated
    }

    proptest! {
        #[test]
        fn a_row_is_repeated_if_one_of_its_ids_came_before(
            windows in vec(vec(vec(prop_oneof!["\\+141555501[0-9]{2}", "US\\.[0-9]{1,2}"], 0..3), 0..40), 1..5),
        ) {
            let mut duplicates = Duplicates::new(std::env::temp_dir());
            let mut seen = HashSet::new();
            for rows in windows {
                prop_assert_eq!(find(&mut duplicates, &rows), plainly(&rows, &mut seen));
            }
        }
    }

    #[test]
    fn a_million_ids_that_come_twice_are_all_found_the_second_time() {
        let mut duplicates = Duplicates::new(std::env::temp_dir());
        let ids = |round: u64| {
            (0..1_000_000u64).step_by(50_000).map(move |start| {
                let ids = (start..start + 50_000).map(move |number| match number % 20 {
                    0 => vec![format!("US.{number}")],
                    1 => vec![format!("+{}", 4_915_000_000_000 + number), format!("DE.ENT.{number}x{number}")],
                    _ => vec![format!("+{}", 4_915_000_000_000 + number)],
                });
                (round, ids.collect::<Vec<_>>())
            })
        };
        for (round, rows) in ids(0).chain(ids(1)) {
            let repeated = find(&mut duplicates, &rows).into_iter().filter(|repeated| *repeated).count();
            assert_eq!(repeated, if round == 0 { 0 } else { 50_000 });
        }
    }

    #[test]
    fn numbers_that_are_wrongly_suspected_hide_no_others_of_their_part() {
        // So many as a chunk holds, the last of which the filter takes for another.
        let part = |low: u64| IdKey::from_bits(0x123 << 52 | low << 14);
        // What a list may have.
        let usual = |key: IdKey| key.number().filter(|number| number::id(&format!("+{number}")).is_some());
        let mut filter = BloomFilter::new();
        let (mut numbers, mut confused) = (vec![], vec![]);
        // A key's bits from 38 to 45 tell the filter nothing.
        for low in (0..).map(|low| (low * 7_919 % (1 << 24)) | ((low % 4) << 32)) {
            let Some(number) = usual(part(low)) else { continue };
            if numbers.len() < 203 && filter.insert(part(low)) {
                numbers.push(number);
                confused.extend((1..256).filter_map(|other| usual(part(low | other << 24))));
            }
            if numbers.len() == 203 && !confused.is_empty() {
                break;
            }
        }
        let rows =
            |numbers: &[u64]| -> Vec<Vec<String>> { numbers.iter().map(|number| vec![format!("+{number}")]).collect() };
        let mut duplicates = Duplicates::new(std::env::temp_dir());
        assert!(!find(&mut duplicates, &rows(&numbers)).contains(&true));
        let repeated = find(&mut duplicates, &rows(&[&confused[..1], &numbers].concat()));
        assert_eq!(repeated.iter().filter(|repeated| **repeated).count(), 203);
        assert!(!repeated[0]);
    }
}
