//! Records that are too many for memory, in parts, on a file without a name.
//!
//! Each part collects its records in a small buffer and goes to the file piece by piece. A list that fits the buffers never
//! touches the disk.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

/// How many bits of a key tell its part.
pub(super) const PART_BITS: u32 = 11;

const PARTS: usize = 1 << PART_BITS;

/// How much of a part stays in memory before it is written.
const BUFFER: usize = 2 << 10;

/// How many buffers of one part stand together in the file, so that reading it takes few calls.
const RUN: usize = 16;

/// Records in parts.
#[derive(Debug)]
pub(super) struct Spill {
    directory: PathBuf,
    file: Option<File>,
    buffers: Vec<u8>,
    /// How many bytes each part has, those in its buffer included.
    lengths: Vec<u32>,
}

impl Spill {
    /// No records yet. Should they be too many, the file is made in this directory.
    pub(super) fn new(directory: PathBuf) -> Self {
        Self { directory, file: None, buffers: vec![0; PARTS * BUFFER], lengths: vec![0; PARTS] }
    }

    /// Adds a record to a part.
    #[inline]
    pub(super) fn append(&mut self, part: usize, record: &[u8]) -> io::Result<()> {
        let used = self.lengths[part] as usize % BUFFER;
        let buffer = &mut self.buffers[part * BUFFER..][..BUFFER];
        if used + record.len() < BUFFER {
            buffer[used..used + record.len()].copy_from_slice(record);
            self.lengths[part] += u32::try_from(record.len()).expect("a record is short");
            return Ok(());
        }
        self.append_and_write(part, record)
    }

    /// Reads all records of a part.
    pub(super) fn read(&self, part: usize, into: &mut Vec<u8>) -> io::Result<()> {
        let length = self.lengths[part] as usize;
        let written = length / BUFFER * BUFFER;
        into.resize(written, 0);
        if let Some(file) = &self.file {
            for (run, bytes) in into.chunks_mut(RUN * BUFFER).enumerate() {
                file.read_exact_at(bytes, place(part, run * RUN))?;
            }
        }
        into.extend(&self.buffers[part * BUFFER..][..length - written]);
        Ok(())
    }

    #[cold]
    fn append_and_write(&mut self, part: usize, record: &[u8]) -> io::Result<()> {
        let used = self.lengths[part] as usize % BUFFER;
        let buffer = &mut self.buffers[part * BUFFER..][..BUFFER];
        let (now, later) = record.split_at(BUFFER - used);
        buffer[used..].copy_from_slice(now);
        let file = match &self.file {
            Some(file) => file,
            None => self.file.insert(tempfile::tempfile_in(&self.directory)?),
        };
        file.write_all_at(buffer, place(part, self.lengths[part] as usize / BUFFER))?;
        buffer[..later.len()].copy_from_slice(later);
        self.lengths[part] += u32::try_from(record.len()).expect("a record is short");
        Ok(())
    }
}

/// Where the buffer of that number stands in the file. The parts take turns, a run each; keys are spread evenly, so all parts
/// need about as many.
fn place(part: usize, buffer: usize) -> u64 {
    let run = buffer / RUN * PARTS + part;
    ((run * RUN + buffer % RUN) * BUFFER) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_reads_as_it_was_written_however_much_there_is() {
        let mut spill = Spill::new(std::env::temp_dir());
        let mut parts = vec![Vec::<u8>::new(); 3];
        let mut read = Vec::new();
        for number in 0..40_000u32 {
            let part = (number % 7 % 3) as usize;
            let record = number.to_le_bytes().repeat(1 + (number % 9) as usize);
            parts[part].extend(&record);
            spill.append(part, &record).unwrap();
            if number.is_multiple_of(997) {
                spill.read(part, &mut read).unwrap();
                assert_eq!(read, parts[part]);
            }
        }
        for (part, records) in parts.iter().enumerate() {
            spill.read(part, &mut read).unwrap();
            assert_eq!(&read, records);
        }
        spill.read(2000, &mut read).unwrap();
        assert!(read.is_empty());
    }
}
