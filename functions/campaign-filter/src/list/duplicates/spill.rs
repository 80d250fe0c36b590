//! A temporary file of the chunks that are too many for memory, ordered by their parts. The file has no name, and goes when
//! the process ends.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

/// The number of high bits of a key that tell its part.
pub(super) const PART_BITS: u32 = 12;

/// The number of parts.
pub(super) const PARTS: usize = 1 << PART_BITS;

/// The length of a chunk, in bytes. One chunk of each part is in memory: 4 MiB in all.
pub(super) const CHUNK: usize = 1 << 10;

/// The number of chunks of one part that stand together in the file, so that few calls read them.
const RUN: usize = 16;

/// The chunks of all parts that are on disk.
#[derive(Debug)]
pub(super) struct Spill {
    directory: PathBuf,
    /// None before the first chunk.
    file: Option<File>,
    /// The number of chunks of each part.
    chunks: Vec<usize>,
}

impl Spill {
    /// No chunks. The first one makes the file in this directory.
    pub(super) fn new(directory: PathBuf) -> Self {
        Self { directory, file: None, chunks: vec![0; PARTS] }
    }

    /// Adds a chunk to a part.
    ///
    /// # Errors
    /// The file failed.
    pub(super) fn write(&mut self, part: usize, chunk: &[u8]) -> io::Result<()> {
        let file = match &self.file {
            Some(file) => file,
            None => self.file.insert(tempfile::tempfile_in(&self.directory)?),
        };
        file.write_all_at(chunk, ChunkNumber { part, chunk: self.chunks[part] }.offset())?;
        self.chunks[part] += 1;
        Ok(())
    }

    /// Reads all chunks of a part, and nothing else, into `into`.
    ///
    /// # Errors
    /// The file failed.
    pub(super) fn read(&self, part: usize, into: &mut Vec<u8>) -> io::Result<()> {
        into.resize(self.chunks[part] * CHUNK, 0);
        if let Some(file) = &self.file {
            for (run, bytes) in into.chunks_mut(RUN * CHUNK).enumerate() {
                file.read_exact_at(bytes, ChunkNumber { part, chunk: run * RUN }.offset())?;
            }
        }
        Ok(())
    }
}

/// A chunk of a part, by both numbers from 0.
#[derive(Clone, Copy)]
struct ChunkNumber {
    part: usize,
    chunk: usize,
}

impl ChunkNumber {
    /// The offset of the chunk in the file, in bytes. The parts take turns with a run of chunks each: part 2 has its chunks 0
    /// to 15 behind those of the parts 0 and 1, and its chunk 16 behind the first runs of all parts. Keys are spread evenly,
    /// so that all parts are about as long, and few gaps stay.
    fn offset(self) -> u64 {
        let run = self.chunk / RUN * PARTS + self.part;
        ((run * RUN + self.chunk % RUN) * CHUNK) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_take_turns_with_runs_of_chunks() {
        let offset = |part, chunk| ChunkNumber { part, chunk }.offset();
        assert_eq!(offset(2, 0), offset(0, 15) + (CHUNK * (1 + RUN)) as u64);
        assert_eq!(offset(2, 16), (CHUNK * RUN * (PARTS + 2)) as u64);
    }

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
