//! Chunks that are too many for memory, in parts, on a file without a name.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

/// How many bits of a key tell its part.
pub(super) const PART_BITS: u32 = 12;

/// How many parts there are.
pub(super) const PARTS: usize = 1 << PART_BITS;

/// How many bytes a chunk has. One of each part is in memory: 4 MiB in all.
pub(super) const CHUNK: usize = 1 << 10;

/// How many chunks of one part stand together in the file, so that reading them takes few calls.
const RUN: usize = 16;

/// The chunks of all parts.
#[derive(Debug)]
pub(super) struct Spill {
    directory: PathBuf,
    /// Made for the first chunk.
    file: Option<File>,
    /// How many chunks each part has.
    chunks: Vec<usize>,
}

impl Spill {
    /// No chunks yet. When the first comes, the file is made in this directory.
    pub(super) fn new(directory: PathBuf) -> Self {
        Self { directory, file: None, chunks: vec![0; PARTS] }
    }

    /// Adds a chunk to a part.
    pub(super) fn write(&mut self, part: usize, chunk: &[u8]) -> io::Result<()> {
        let file = match &self.file {
            Some(file) => file,
            None => self.file.insert(tempfile::tempfile_in(&self.directory)?),
        };
        file.write_all_at(chunk, place(part, self.chunks[part]))?;
        self.chunks[part] += 1;
        Ok(())
    }

    /// Reads all chunks of a part.
    pub(super) fn read(&self, part: usize, into: &mut Vec<u8>) -> io::Result<()> {
        into.resize(self.chunks[part] * CHUNK, 0);
        if let Some(file) = &self.file {
            for (run, bytes) in into.chunks_mut(RUN * CHUNK).enumerate() {
                file.read_exact_at(bytes, place(part, run * RUN))?;
            }
        }
        Ok(())
    }
}

/// Where a part's chunk of that number stands in the file. The parts take turns, a run each; as keys are spread evenly,
/// all have about as many.
fn place(part: usize, chunk: usize) -> u64 {
    let run = chunk / RUN * PARTS + part;
    ((run * RUN + chunk % RUN) * CHUNK) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_reads_as_it_was_written_however_much_there_is() {
        let mut spill = Spill::new(std::env::temp_dir());
        let mut parts = vec![Vec::<u8>::new(); 3];
        let mut read = Vec::new();
        for number in 0..200u8 {
            let part = usize::from(number % 7 % 3);
            let chunk = [number; CHUNK];
            parts[part].extend(&chunk);
            spill.write(part, &chunk).unwrap();
            spill.read(part, &mut read).unwrap();
            assert_eq!(read, parts[part]);
        }
        spill.read(PARTS - 1, &mut read).unwrap();
        assert!(read.is_empty());
    }
}
