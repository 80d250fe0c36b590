//! The batches that a large campaign is sent in: stretches of the list of the eligible, each by its first and last
//! byte.

use serde::Serialize;

use super::ListError;

/// The most batches of a campaign. A Distributed Map starts a child for each.
const MOST: usize = 20_000;

/// A stretch of the list of the eligible: whole rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Batch {
    /// Its number, from 0.
    pub batch: u64,
    /// Where its first row begins in the list.
    pub first_byte: u64,
    /// Where its last row ends: the place of that row's last byte, as HTTP counts ranges.
    pub last_byte: u64,
    /// How many rows it has.
    pub rows: u64,
}

/// How large batches are: as many rows as fit both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchSize {
    /// The most rows. It is doubled for lists that would have too many batches.
    pub rows: u64,
    /// The most bytes, and as many more for the names of columns where rows become JSON. A longer row is a batch by itself.
    pub bytes: u64,
}

/// The batches of a list that is being written.
#[derive(Debug)]
pub(super) struct Batches {
    size: BatchSize,
    /// The most rows for whose names there is room.
    most_rows: u64,
    /// Those that are full.
    full: Vec<Batch>,
    /// Where the open one begins, and how many rows it has.
    first_byte: u64,
    rows: u64,
    /// Where the list ends so far.
    end: u64,
}

impl Batches {
    pub(super) fn new(size: BatchSize) -> Self {
        Self { size, most_rows: u64::MAX, full: Vec::new(), first_byte: 0, rows: 0, end: 0 }
    }

    /// Takes note of so many bytes that come before the first row, and of how many the names take in each row as JSON.
    pub(super) fn begin(&mut self, head: u64, names: u64) {
        self.first_byte = head;
        self.end = head;
        self.most_rows = (self.size.bytes / names.max(1)).max(1);
        self.size.rows = self.size.rows.min(self.most_rows);
    }

    /// Adds rows that stand one behind the other in a block: where they begin, and where each ends.
    pub(super) fn add(&mut self, mut start: u32, mut ends: &[u32]) {
        while let Some(&end) = ends.last() {
            // Where in the list a place in the block comes to stand.
            let place = |place: u32| self.end + u64::from(place - start);
            let fit = self.size.rows.saturating_sub(self.rows).min(ends.len() as u64);
            let fit = &ends[..usize::try_from(fit).expect("no more than there are")];
            let most = self.first_byte + self.size.bytes;
            let fit = if place(end) <= most { fit.len() } else { fit.partition_point(|&end| place(end) <= most) };
            // Alone, a row fits any batch.
            let fit = if fit == 0 && self.rows == 0 { 1 } else { fit };
            let (now, later) = ends.split_at(fit);
            if let Some(&end) = now.last() {
                self.rows += now.len() as u64;
                self.end = place(end);
                start = end;
            }
            if !later.is_empty() {
                self.close();
            }
            ends = later;
        }
    }

    /// All batches.
    ///
    /// # Errors
    /// There are more than a campaign may have.
    pub(super) fn finish(mut self) -> Result<Vec<Batch>, ListError> {
        self.close();
        self.check()?;
        Ok(self.full)
    }

    /// # Errors
    /// There are more than a campaign may have.
    pub(super) fn check(&self) -> Result<(), ListError> {
        if self.full.len() > MOST { Err(ListError::TooManyBatches) } else { Ok(()) }
    }

    fn close(&mut self) {
        if self.rows == 0 {
            return;
        }
        if self.full.len() == MOST {
            self.join();
        }
        let (batch, first_byte) = (self.full.len() as u64, self.first_byte);
        self.full.push(Batch { batch, first_byte, last_byte: self.end - 1, rows: self.rows });
        self.first_byte = self.end;
        self.rows = 0;
    }

    /// Lets batches have twice as many rows, and makes one of those that fit it together.
    fn join(&mut self) {
        self.size.rows = (self.size.rows * 2).min(self.most_rows);
        let mut joined: Vec<Batch> = Vec::new();
        for batch in self.full.drain(..) {
            match joined.last_mut() {
                Some(last)
                    if last.rows + batch.rows <= self.size.rows
                        && batch.last_byte + 1 - last.first_byte <= self.size.bytes =>
                {
                    last.last_byte = batch.last_byte;
                    last.rows += batch.rows;
                }
                _ => joined.push(Batch { batch: joined.len() as u64, ..batch }),
            }
        }
        self.full = joined;
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    fn batches(size: BatchSize, head: u64, blocks: &[Vec<u32>]) -> Vec<Batch> {
        let mut batches = Batches::new(size);
        batches.begin(head, 0);
        for lengths in blocks {
            let ends: Vec<u32> = lengths
                .iter()
                .scan(7, |end, length| {
                    *end += length;
                    Some(*end)
                })
                .collect();
            batches.add(7, &ends);
        }
        batches.finish().unwrap()
    }

    proptest! {
        #[test]
        fn batches_are_as_large_as_fits_and_cover_all_rows(
            blocks in vec(vec(1u32..40, 0..30), 0..6), rows in 1u64..9, bytes in 1u64..200, head in 0u64..20,
        ) {
            let size = BatchSize { rows, bytes };
            let batches = batches(size, head, &blocks);
            let lengths: Vec<u64> = blocks.iter().flatten().copied().map(u64::from).collect();
            let (mut end, mut row) = (head, 0);
            for (number, batch) in batches.iter().enumerate() {
                let next = row + usize::try_from(batch.rows).unwrap();
                let length: u64 = lengths[row..next].iter().sum();
                prop_assert_eq!((batch.batch, batch.first_byte), (number as u64, end));
                prop_assert_eq!(batch.last_byte, end + length - 1);
                prop_assert!(batch.rows <= rows && (length <= bytes || batch.rows == 1));
                let one_more = lengths.get(next).map(|more| length + more);
                prop_assert!(batch.rows == rows || one_more.is_none_or(|length| length > bytes));
                (end, row) = (batch.last_byte + 1, next);
            }
            prop_assert_eq!(row, lengths.len());
        }
    }

    #[test]
    fn there_are_never_more_batches_than_a_map_may_start() {
        let rows = vec![3; 65_000];
        let batches = batches(BatchSize { rows: 1, bytes: 100 }, 10, &[rows.clone(), rows]);
        assert_eq!(batches.iter().map(|batch| batch.rows).sum::<u64>(), 130_000);
        assert!(batches.len() <= MOST && batches.len() > MOST / 2, "{}", batches.len());
        assert!(batches.windows(2).all(|pair| pair[0].last_byte + 1 == pair[1].first_byte));
        assert_eq!((batches[0].first_byte, batches[batches.len() - 1].last_byte), (10, 10 + 390_000 - 1));
    }

    #[test]
    fn batches_of_too_many_bytes_are_not_joined() {
        let mut batches = Batches::new(BatchSize { rows: 1, bytes: 5 });
        batches.begin(0, 0);
        let ends: Vec<u32> = (1..=20_001).map(|row| row * 3).collect();
        batches.add(0, &ends[..20_000]);
        assert!(batches.check().is_ok());
        batches.add(60_000, &ends[20_000..]);
        assert!(matches!(batches.finish(), Err(ListError::TooManyBatches)));
    }

    #[test]
    fn the_names_of_columns_take_their_room() {
        let mut batches = Batches::new(BatchSize { rows: 500, bytes: 1_000 });
        batches.begin(0, 300);
        batches.add(0, &[10, 20, 30, 40]);
        assert_eq!(batches.finish().unwrap().iter().map(|batch| batch.rows).collect::<Vec<_>>(), [3, 1]);
    }
}
