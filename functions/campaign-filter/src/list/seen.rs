//! All ids that came, exactly: those of each part that came last in memory, the others in chunks on disk.

use std::io;
use std::path::PathBuf;

use memchr::memmem;

use super::key::Key;
use super::spill::{CHUNK, PART_BITS, PARTS, Spill};

/// Phone numbers that came. Their part tells 12 bits of their keys, and five bytes the other 38.
#[derive(Debug)]
pub(super) struct Numbers {
    /// A chunk of each part: first the lower four bytes of each number, then the fifth of each.
    open: Vec<[u8; CHUNK]>,
    /// How many numbers are in each open chunk.
    filled: Vec<usize>,
    full: Spill,
    read: Vec<u8>,
}

/// How many numbers a chunk holds.
const IN_CHUNK: usize = CHUNK / 5;

/// Where in a chunk the fifth bytes begin.
const FIFTHS: usize = IN_CHUNK * 4;

impl Numbers {
    /// Nobody came yet.
    pub(super) fn new(directory: PathBuf) -> Self {
        let (open, filled) = (vec![[0; CHUNK]; PARTS], vec![0; PARTS]);
        Self { open, filled, full: Spill::new(directory), read: Vec::new() }
    }

    /// Adds a number that is new.
    #[inline]
    pub(super) fn add(&mut self, key: Key) -> io::Result<()> {
        let part = key.high(PART_BITS);
        let (chunk, filled) = (&mut self.open[part], &mut self.filled[part]);
        let (four, fifth) = bytes(key);
        chunk[*filled * 4..][..4].copy_from_slice(&four);
        chunk[FIFTHS + *filled] = fifth;
        *filled += 1;
        if *filled == IN_CHUNK {
            *filled = 0;
            self.full.write(part, chunk)?;
        }
        Ok(())
    }

    /// All numbers of a part that have come.
    pub(super) fn part(&mut self, part: usize) -> io::Result<Part<'_>> {
        self.full.read(part, &mut self.read)?;
        Ok(Part { full: &self.read, open: &self.open[part], filled: self.filled[part] })
    }
}

/// The numbers of a part, as long as none is added.
pub(super) struct Part<'a> {
    full: &'a [u8],
    open: &'a [u8; CHUNK],
    filled: usize,
}

impl Part<'_> {
    /// Whether a number of this part has come.
    pub(super) fn has(&self, key: Key) -> bool {
        let (four, fifth) = bytes(key);
        let is_in = |chunk: &[u8; CHUNK], filled: usize| {
            let fours = || chunk[..filled * 4].as_chunks().0.iter().map(|other| *other == four);
            // Nearly always none is the same; counting, unlike searching, goes over many at once.
            fours().fold(0, |count, same| count + u32::from(same)) > 0
                && fours().zip(&chunk[FIFTHS..]).any(|(same, other)| same && *other == fifth)
        };
        self.full.as_chunks().0.iter().any(|chunk| is_in(chunk, IN_CHUNK)) || is_in(self.open, self.filled)
    }
}

/// What the part does not tell of the key of a number.
fn bytes(key: Key) -> ([u8; 4], u8) {
    let [one, two, three, four, fifth, ..] = (key.bits() << PART_BITS >> (64 - 40)).to_le_bytes();
    ([one, two, three, four], fifth)
}

/// Other ids that came: in each part one behind the other, each with the end of its line.
#[derive(Debug)]
pub(super) struct Texts {
    open: Vec<[u8; CHUNK]>,
    /// How many bytes of each open chunk are taken.
    filled: Vec<usize>,
    full: Spill,
    read: Vec<u8>,
}

impl Texts {
    /// Nobody came yet.
    pub(super) fn new(directory: PathBuf) -> Self {
        let (open, filled) = (vec![[0; CHUNK]; PARTS], vec![0; PARTS]);
        Self { open, filled, full: Spill::new(directory), read: Vec::new() }
    }

    /// Adds an id that is new.
    pub(super) fn add(&mut self, key: Key, text: &[u8]) -> io::Result<()> {
        let part = key.high(PART_BITS);
        let (chunk, filled) = (&mut self.open[part], &mut self.filled[part]);
        for &byte in text.iter().chain(b"\n") {
            chunk[*filled] = byte;
            *filled += 1;
            if *filled == CHUNK {
                *filled = 0;
                self.full.write(part, chunk)?;
            }
        }
        Ok(())
    }

    /// Reads a part: what is asked next is of its ids.
    pub(super) fn read(&mut self, part: usize) -> io::Result<()> {
        self.full.read(part, &mut self.read)?;
        self.read.extend(&self.open[part][..self.filled[part]]);
        Ok(())
    }

    /// Whether an id of the part that was read last had come by then.
    pub(super) fn has(&self, text: &[u8]) -> bool {
        let line = [b"\n", text, b"\n"].concat();
        self.read.starts_with(&line[1..]) || memmem::find(&self.read, &line).is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_that_came_is_known_and_no_other() {
        let mut numbers = Numbers::new(std::env::temp_dir());
        let key = |number| Key::of_number(999_999_000_000_000 + number);
        // All in a few parts, so that each has many chunks.
        let near = |number: &u64| key(*number).high(PART_BITS) < 4;
        let all: Vec<u64> = (0..2_000_000).filter(near).collect();
        for number in all.iter().filter(|&&number| number % 3 > 0) {
            numbers.add(key(*number)).unwrap();
        }
        for number in &all {
            let part = numbers.part(key(*number).high(PART_BITS)).unwrap();
            assert_eq!(part.has(key(*number)), number % 3 > 0);
        }
    }

    #[test]
    fn every_other_id_that_came_is_known_and_no_part_of_one() {
        let mut texts = Texts::new(std::env::temp_dir());
        let key = Key::of_text(b"US.1");
        for number in 0..1_000 {
            texts.add(key, format!("US.{}", number * 10).as_bytes()).unwrap();
        }
        texts.read(key.high(PART_BITS)).unwrap();
        for number in 0..10_000 {
            assert_eq!(texts.has(format!("US.{number}").as_bytes()), number % 10 == 0);
        }
        assert!(!texts.has(b"S.10"));
    }
}
