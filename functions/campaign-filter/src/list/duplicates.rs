//! Who came before: exact among any number of recipients, in fixed memory.
//!
//! A small filter says of nearly every id that it is new. The ids of which it can't are looked up among all that came before, which
//! lie on disk in parts: once a window, and each part once for all of its ids.

use std::io;
use std::path::PathBuf;

use super::filter::Filter;
use super::index;
use super::key::Key;
use super::spill::{PART_BITS, Spill};
use super::window::{Id, Whose, Window};

/// Remembers who came before.
#[derive(Debug)]
pub struct Duplicates {
    filter: Filter,
    numbers: Spill,
    /// The ids that are no numbers, each with its length in front; made when the first one comes.
    texts: Option<Spill>,
    directory: PathBuf,
    /// The numbers of a window that may have come before, each with its row.
    suspects: Vec<(Key, usize)>,
    /// The same of other ids, with where they begin and end in the window.
    suspect_texts: Vec<(Key, usize, (u32, u32))>,
    part: Vec<u8>,
    wanted: Wanted,
}

impl Duplicates {
    /// Nobody came yet. What does not fit memory goes to a file without a name in this directory: 8 bytes for each phone
    /// number.
    #[must_use]
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        let directory = directory.into();
        Self {
            filter: Filter::new(),
            numbers: Spill::new(directory.clone()),
            texts: None,
            directory,
            suspects: Vec::new(),
            suspect_texts: Vec::new(),
            part: Vec::new(),
            wanted: Wanted::default(),
        }
    }

    /// Takes in the ids of a window, and names the rows of which one came before, there or earlier. It may name a row twice.
    ///
    /// # Errors
    /// The file failed.
    pub(super) fn find(&mut self, window: &Window, mut repeated: impl FnMut(usize)) -> io::Result<()> {
        let mut others = window.others.iter().peekable();
        for (row, &whose) in window.whose.iter().enumerate() {
            if let Some(number) = whose.as_number() {
                self.number(number, row)?;
            } else if whose == Whose::OTHER {
                while let Some((_, id)) = others.next_if(|(of, _)| *of == row) {
                    match *id {
                        Id::Number(number) => self.number(number, row)?,
                        Id::Text(start, end) => self.text(window.text(start, end), row, (start, end))?,
                    }
                }
            }
        }
        self.judge_numbers(&mut repeated)?;
        self.judge_texts(window, &mut repeated)
    }

    #[inline]
    fn number(&mut self, number: u64, row: usize) -> io::Result<()> {
        let key = Key::of_number(number);
        if self.filter.insert(key) {
            return self.numbers.append(key.high(PART_BITS), &key.bits().to_le_bytes());
        }
        self.suspects.push((key, row));
        Ok(())
    }

    fn text(&mut self, text: &[u8], row: usize, place: (u32, u32)) -> io::Result<()> {
        let key = Key::of_text(text);
        if self.filter.insert(key) {
            return append_text(self.texts.get_or_insert_with(|| Spill::new(self.directory.clone())), key, text);
        }
        self.suspect_texts.push((key, row, place));
        Ok(())
    }

    fn judge_numbers(&mut self, repeated: &mut impl FnMut(usize)) -> io::Result<()> {
        self.suspects.sort_unstable();
        for suspects in self.suspects.chunk_by(|a, b| a.0.high(PART_BITS) == b.0.high(PART_BITS)) {
            let part = suspects[0].0.high(PART_BITS);
            self.numbers.read(part, &mut self.part)?;
            self.wanted.set(suspects.iter().map(|suspect| suspect.0));
            for record in self.part.as_chunks().0 {
                self.wanted.strike(Key::from_bits(u64::from_le_bytes(*record)));
            }
            for same in suspects.chunk_by(|a, b| a.0 == b.0) {
                let key = same[0].0;
                let known = self.wanted.is_struck(key);
                if !known {
                    self.numbers.append(part, &key.bits().to_le_bytes())?;
                }
                // Of a new one, the first stays.
                same[usize::from(!known)..].iter().for_each(|suspect| repeated(suspect.1));
            }
        }
        self.suspects.clear();
        Ok(())
    }

    fn judge_texts(&mut self, window: &Window, repeated: &mut impl FnMut(usize)) -> io::Result<()> {
        self.suspect_texts.sort_unstable();
        for suspects in self.suspect_texts.chunk_by(|a, b| a.0.high(PART_BITS) == b.0.high(PART_BITS)) {
            let spill = self.texts.get_or_insert_with(|| Spill::new(self.directory.clone()));
            spill.read(suspects[0].0.high(PART_BITS), &mut self.part)?;
            self.wanted.set(suspects.iter().map(|suspect| suspect.0));
            let wanted = &self.wanted;
            let mut known: Vec<&[u8]> = texts(&self.part).filter(|text| wanted.has(Key::of_text(text))).collect();
            for &(key, row, (start, end)) in suspects {
                let text = window.text(start, end);
                if known.contains(&text) {
                    repeated(row);
                } else {
                    known.push(text);
                    append_text(spill, key, text)?;
                }
            }
        }
        self.suspect_texts.clear();
        Ok(())
    }
}

fn append_text(spill: &mut Spill, key: Key, text: &[u8]) -> io::Result<()> {
    spill.append(key.high(PART_BITS), &[index::length(text)])?;
    spill.append(key.high(PART_BITS), text)
}

/// The texts of a part.
fn texts(mut part: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let (&length, rest) = part.split_first()?;
        let (text, rest) = rest.split_at(usize::from(length));
        part = rest;
        Some(text)
    })
}

/// A few keys that are looked for among many.
#[derive(Debug, Default)]
struct Wanted {
    /// A power of two of slots, few of them taken. A zero is free: the key of no id.
    slots: Vec<Key>,
    struck: Vec<bool>,
}

const FREE: Key = Key::from_bits(0);

impl Wanted {
    /// Looks for these from now on.
    fn set(&mut self, keys: impl ExactSizeIterator<Item = Key>) {
        let size = (4 * keys.len()).next_power_of_two().max(64);
        self.slots.clear();
        self.slots.resize(size, FREE);
        self.struck.clear();
        self.struck.resize(size, false);
        for key in keys {
            let slot = self.slot(key);
            self.slots[slot] = key;
        }
    }

    /// Notes that a key is there, if it is looked for.
    #[inline]
    fn strike(&mut self, key: Key) {
        let slot = self.slot(key);
        if self.slots[slot] == key {
            self.struck[slot] = true;
        }
    }

    fn is_struck(&self, key: Key) -> bool {
        self.struck[self.slot(key)]
    }

    fn has(&self, key: Key) -> bool {
        self.slots[self.slot(key)] == key
    }

    /// Where the key stands, or would.
    #[inline]
    fn slot(&self, key: Key) -> usize {
        // The highest bits are those of the part, the same for all.
        let mut slot = (key.bits() >> 20) as usize & (self.slots.len() - 1);
        while self.slots[slot] != key && self.slots[slot] != FREE {
            slot = (slot + 1) & (self.slots.len() - 1);
        }
        slot
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    /// The rows of a window that repeat an id, as a set of all ids tells them.
    fn plainly(window: &[Vec<String>], seen: &mut HashSet<String>) -> Vec<bool> {
        window.iter().map(|ids| ids.iter().filter(|id| !seen.insert((*id).clone())).count() > 0).collect()
    }

    fn find(duplicates: &mut Duplicates, rows: &[Vec<String>]) -> Vec<bool> {
        let mut window = Window::default();
        for ids in rows {
            let whose = window.whose([ids.first().map(String::as_str), ids.get(1).map(String::as_str)]);
            window.add(0, 0, whose);
        }
        let mut repeated = vec![false; rows.len()];
        duplicates.find(&window, |row| repeated[row] = true).unwrap();
        repeated
    }

    proptest! {
        #[test]
        fn a_row_is_repeated_if_one_of_its_ids_came_before(
            windows in vec(vec(vec(prop_oneof!["\\+100000[0-9]{2}", "US\\.[0-9]{1,2}"], 0..3), 0..40), 1..5),
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
}
