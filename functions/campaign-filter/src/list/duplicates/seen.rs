//! All ids that came, exactly. They are parted by the high bits of their keys, as the partitions of a Grace hash join are
//! (Kitsuregawa, Tanaka and Moto-oka, 1983, <https://doi.org/10.1007/BF03037022>), so that a look for some ids reads their
//! parts only. Of each part, the last chunk is in memory, and the others are on disk.

use std::io;
use std::path::PathBuf;

use memchr::memmem;

use super::spill::{CHUNK, PART_BITS, PARTS, Spill};
use crate::list::key::IdKey;

/// The phone numbers that came.
///
/// A number takes 5 bytes: its key has 50 bits that are not always zero, and its part tells 12 of them (quotienting: Knuth,
/// *The Art of Computer Programming* vol. 3, section 6.4, exercise 13; Cleary, 1984,
/// <https://doi.org/10.1109/TC.1984.1676499>). An example: `+14155550123` has the key `0xaf4_57a077217c_000`. It is in part `0xaf4`,
/// with the lower four bytes `0xa077217c` and the fifth byte `0x57`.
#[derive(Debug)]
pub(super) struct SeenNumbers {
    /// The open chunk of each part: first the lower four bytes of every number, then the fifth byte of every number, so
    /// that four bytes can be compared for many numbers at once.
    open: Vec<[u8; CHUNK]>,
    /// The number of numbers in each open chunk.
    filled: Vec<usize>,
    full: Spill,
    read: Vec<u8>,
}

/// The number of numbers in a full chunk.
const IN_CHUNK: usize = CHUNK / 5;

/// The index of the first fifth byte in a chunk.
const FIFTHS: usize = IN_CHUNK * 4;

impl SeenNumbers {
    /// No numbers. The chunks that are full go to a file in this directory.
    pub(super) fn new(directory: PathBuf) -> Self {
        let (open, filled) = (vec![[0; CHUNK]; PARTS], vec![0; PARTS]);
        Self { open, filled, full: Spill::new(directory), read: Vec::new() }
    }

    /// Adds a number that is new.
    ///
    /// # Errors
    /// The file failed.
    #[inline]
    pub(super) fn add(&mut self, key: IdKey) -> io::Result<()> {
        let part = key.high(PART_BITS);
        let (chunk, filled) = (&mut self.open[part], &mut self.filled[part]);
        let Remainder { four, fifth } = Remainder::of(key);
        chunk[*filled * 4..][..4].copy_from_slice(&four);
        chunk[FIFTHS + *filled] = fifth;
        *filled += 1;
        if *filled == IN_CHUNK {
            *filled = 0;
            self.full.write(part, chunk)?;
        }
        Ok(())
    }

    /// All numbers of a part.
    ///
    /// # Errors
    /// The file failed.
    pub(super) fn part(&mut self, part: usize) -> io::Result<SeenPart<'_>> {
        self.full.read(part, &mut self.read)?;
        Ok(SeenPart { full: &self.read, open: &self.open[part], filled: self.filled[part] })
    }
}

/// The numbers of a part.
pub(super) struct SeenPart<'a> {
    full: &'a [u8],
    open: &'a [u8; CHUNK],
    filled: usize,
}

impl SeenPart<'_> {
    /// True if a number of this part came.
    pub(super) fn has(&self, key: IdKey) -> bool {
        let Remainder { four, fifth } = Remainder::of(key);
        let is_in = |chunk: &[u8; CHUNK], filled: usize| {
            let fours = || chunk[..filled * 4].as_chunks().0.iter().map(|other| *other == four);
            // Nearly always none is the same. To count them, unlike to search, compiles to vector instructions.
            fours().fold(0, |count, same| count + u32::from(same)) > 0
                && fours().zip(&chunk[FIFTHS..]).any(|(same, other)| same && *other == fifth)
        };
        self.full.as_chunks().0.iter().any(|chunk| is_in(chunk, IN_CHUNK)) || is_in(self.open, self.filled)
    }
}

/// The bits of a number's key that its part does not tell.
struct Remainder {
    /// The lower four bytes, the lowest first.
    four: [u8; 4],
    fifth: u8,
}

impl Remainder {
    #[inline]
    fn of(key: IdKey) -> Self {
        let [one, two, three, four, fifth, ..] = (key.bits() << PART_BITS >> (64 - 40)).to_le_bytes();
        Self { four: [one, two, three, four], fifth }
    }
}

/// The ids that came and are no numbers: in each part one behind the other, each with a line break.
#[derive(Debug)]
pub(super) struct SeenTexts {
    /// The open chunk of each part.
    open: Vec<[u8; CHUNK]>,
    /// The number of bytes in each open chunk.
    filled: Vec<usize>,
    full: Spill,
    read: Vec<u8>,
}

impl SeenTexts {
    /// No ids. The chunks that are full go to a file in this directory.
    pub(super) fn new(directory: PathBuf) -> Self {
        let (open, filled) = (vec![[0; CHUNK]; PARTS], vec![0; PARTS]);
        Self { open, filled, full: Spill::new(directory), read: Vec::new() }
    }

    /// Adds an id that is new.
    ///
    /// # Errors
    /// The file failed.
    pub(super) fn add(&mut self, key: IdKey, text: &[u8]) -> io::Result<()> {
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

    /// Reads a part into memory, for [`Self::has`].
    ///
    /// # Errors
    /// The file failed.
    pub(super) fn read(&mut self, part: usize) -> io::Result<()> {
        self.full.read(part, &mut self.read)?;
        self.read.extend(&self.open[part][..self.filled[part]]);
        Ok(())
    }

    /// True if an id of the part that was read last had come by then.
    pub(super) fn has(&self, text: &[u8]) -> bool {
        let line = [b"\n", text, b"\n"].concat();
        self.read.starts_with(&line[1..]) || memmem::find(&self.read, &line).is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_its_part_and_five_bytes() {
        let key = IdKey::of_number(14_155_550_123);
        let Remainder { four, fifth } = Remainder::of(key);
        assert_eq!((key.high(PART_BITS), u32::from_le_bytes(four), fifth), (0xAF4, 0xA077_217C, 0x57));
    }

    #[test]
    fn every_number_that_came_is_known_and_no_other() {
        let mut numbers = SeenNumbers::new(std::env::temp_dir());
        let key = |number| IdKey::of_number(999_999_000_000_000 + number);
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
        let mut texts = SeenTexts::new(std::env::temp_dir());
        let key = IdKey::of_text(b"US.1");
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
