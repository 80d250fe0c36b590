//! The batches that a large campaign is sent in: stretches of the list of the eligible, each by its first and last
//! byte.

use serde::Serialize;

use super::ListError;
use super::json_size::RowSize;

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
    /// The most bytes that its rows take as JSON.
    #[serde(skip)]
    json: u64,
}

/// How large batches are: as many rows as fit both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchSize {
    /// The most rows. It is doubled for lists that would have too many batches.
    pub rows: u64,
    /// The most bytes that the rows may take as JSON.
    pub json: u64,
}

/// A row that takes more bytes as JSON than a batch may have: its place among those that were added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct WideRow(pub(super) usize);

/// The batches of a list that is being written.
#[derive(Debug)]
pub(super) struct Batches {
    size: BatchSize,
    /// The size of rows; unknown until the list has begun.
    row_size: Option<RowSize>,
    /// Those that are full.
    full: Vec<Batch>,
    /// The open one, which ends where the list ends so far.
    open: Open,
    /// Where the list ends so far.
    end: u64,
}

/// A batch that more rows may come to.
#[derive(Clone, Copy, Debug, Default)]
struct Open {
    first_byte: u64,
    rows: u64,
    json: u64,
}

impl Batches {
    pub(super) fn new(size: BatchSize) -> Self {
        Self { size, row_size: None, full: Vec::new(), open: Open::default(), end: 0 }
    }

    /// Takes note of so many bytes that come before the first row, and of the size of rows.
    pub(super) fn begin(&mut self, head: u64, row_size: RowSize) {
        self.open.first_byte = head;
        self.end = head;
        self.row_size = Some(row_size);
    }

    /// Adds rows that stand one behind the other in a block: where they begin, and where each ends.
    ///
    /// # Errors
    /// One of them fits no batch.
    pub(super) fn add(&mut self, block: &[u8], mut start: u32, ends: &[u32]) -> Result<(), WideRow> {
        let mut left = ends;
        while !left.is_empty() {
            let (rows, json) = self.fitting(block, start, left);
            if rows == 0 && self.open.rows == 0 {
                return Err(WideRow(ends.len() - left.len()));
            }
            let (now, later) = left.split_at(rows);
            if let Some(&end) = now.last() {
                self.open.rows += now.len() as u64;
                self.open.json += json;
                self.end += u64::from(end - start);
                start = end;
            }
            if !later.is_empty() {
                self.close();
            }
            left = later;
        }
        Ok(())
    }

    /// How many of these rows the open batch has room for, and the most bytes that those take as JSON.
    fn fitting(&self, block: &[u8], start: u32, ends: &[u32]) -> (usize, u64) {
        let Some(row_size) = self.row_size else { return (0, 0) };
        let most = self.size.rows.saturating_sub(self.open.rows).min(ends.len() as u64);
        let ends = &ends[..usize::try_from(most).expect("no more than there are")];
        let Some(&end) = ends.last() else { return (0, 0) };
        let room = self.size.json - self.open.json;
        let stretch = &block[start as usize..end as usize];
        for look in [RowSize::quick, RowSize::exact] {
            let json = look(row_size, stretch, most);
            if json <= room {
                return (ends.len(), json);
            }
        }
        let starts = std::iter::once(&start).chain(ends);
        let sums = starts.zip(ends).scan(0, |sum, (&start, &end)| {
            *sum += row_size.exact(&block[start as usize..end as usize], 1);
            Some(*sum)
        });
        sums.take_while(|sum| *sum <= room).fold((0, 0), |(rows, _), sum| (rows + 1, sum))
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
        if self.open.rows == 0 {
            return;
        }
        if self.full.len() == MOST {
            self.join();
        }
        let Open { first_byte, rows, json } = self.open;
        let batch = self.full.len() as u64;
        self.full.push(Batch { batch, first_byte, last_byte: self.end - 1, rows, json });
        self.open = Open { first_byte: self.end, ..Open::default() };
    }

    /// Lets batches have twice as many rows, and makes one of those that fit it together.
    fn join(&mut self) {
        self.size.rows = self.size.rows.saturating_mul(2);
        let mut joined: Vec<Batch> = Vec::new();
        for batch in self.full.drain(..) {
            match joined.last_mut() {
                Some(last) if last.rows + batch.rows <= self.size.rows && last.json + batch.json <= self.size.json => {
                    last.last_byte = batch.last_byte;
                    last.rows += batch.rows;
                    last.json += batch.json;
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
    use crate::list::layout::Format;

    /// Bytes that a row takes besides its own.
    const FIXED: u64 = 64;

    /// Rows whose bytes are JSON already, so that their size follows from their length.
    fn begun(size: BatchSize, head: u64) -> Batches {
        let mut batches = Batches::new(size);
        batches.begin(head, RowSize::new(Format::Jsonl, b""));
        batches
    }

    fn batches(size: BatchSize, head: u64, blocks: &[Vec<u32>]) -> Vec<Batch> {
        let mut batches = begun(size, head);
        for lengths in blocks {
            let ends: Vec<u32> = lengths
                .iter()
                .scan(7, |end, length| {
                    *end += length;
                    Some(*end)
                })
                .collect();
            let block = vec![b'x'; ends.last().copied().unwrap_or(7) as usize];
            batches.add(&block, 7, &ends).unwrap();
        }
        batches.finish().unwrap()
    }

    proptest! {
        #[test]
        fn batches_are_as_large_as_fits_and_cover_all_rows(
            blocks in vec(vec(1u32..40, 0..30), 0..6), rows in 1u64..9, json in 104u64..900, head in 0u64..20,
        ) {
            let batches = batches(BatchSize { rows, json }, head, &blocks);
            let lengths: Vec<u64> = blocks.iter().flatten().copied().map(u64::from).collect();
            let (mut end, mut row) = (head, 0);
            for (number, batch) in batches.iter().enumerate() {
                let next = row + usize::try_from(batch.rows).unwrap();
                let length: u64 = lengths[row..next].iter().sum();
                prop_assert_eq!((batch.batch, batch.first_byte), (number as u64, end));
                prop_assert_eq!(batch.last_byte, end + length - 1);
                prop_assert_eq!(batch.json, length + batch.rows * FIXED);
                prop_assert!(batch.rows <= rows && batch.json <= json);
                let one_more = lengths.get(next).map(|more| batch.json + more + FIXED);
                prop_assert!(batch.rows == rows || one_more.is_none_or(|length| length > json));
                (end, row) = (batch.last_byte + 1, next);
            }
            prop_assert_eq!(row, lengths.len());
        }
    }

    #[test]
    fn there_are_never_more_batches_than_a_map_may_start() {
        let rows = vec![3; 65_000];
        let batches = batches(BatchSize { rows: 1, json: 10_000 }, 10, &[rows.clone(), rows]);
        assert_eq!(batches.iter().map(|batch| batch.rows).sum::<u64>(), 130_000);
        assert!(batches.len() <= MOST && batches.len() > MOST / 2, "{}", batches.len());
        assert!(batches.windows(2).all(|pair| pair[0].last_byte + 1 == pair[1].first_byte));
        assert_eq!((batches[0].first_byte, batches[batches.len() - 1].last_byte), (10, 10 + 390_000 - 1));
    }

    #[test]
    fn batches_of_too_many_bytes_are_not_joined() {
        let mut batches = begun(BatchSize { rows: 1, json: 2 * (FIXED + 3) - 1 }, 0);
        let ends: Vec<u32> = (1..=20_001).map(|row| row * 3).collect();
        let block = vec![b'x'; 60_003];
        batches.add(&block, 0, &ends[..20_000]).unwrap();
        assert!(batches.check().is_ok());
        batches.add(&block, 60_000, &ends[20_000..]).unwrap();
        assert!(matches!(batches.finish(), Err(ListError::TooManyBatches)));
    }

    #[test]
    fn the_names_of_columns_and_what_is_escaped_take_their_room() {
        let rows = |head: &[u8], block: &[u8]| {
            let mut batches = Batches::new(BatchSize { rows: 500, json: 1_000 });
            batches.begin(head.len() as u64, RowSize::new(Format::Csv, head));
            batches.add(block, 0, &[50, 100, 150, 200, 250, 300]).unwrap();
            batches.finish().unwrap().iter().map(|batch| batch.rows).collect::<Vec<_>>()
        };
        let (name, plain) = ("n".repeat(185), [b'x'; 300]);
        assert_eq!(rows(b"phone\n", &plain), [6]);
        assert_eq!(rows(format!("{name}\n").as_bytes(), &plain), [4, 2]);
        assert_eq!(rows(b"phone\n", &[b'"'; 300]), [6], "looked at closer");
        assert_eq!(rows(b"phone\n", &[0xE9; 300]), [2, 2, 2], "no UTF-8");
        assert_eq!(rows(b"phone\n", "\u{e9}".repeat(150).as_bytes()), [4, 2]);
        assert_eq!(rows(b"phone\n", &[1; 300]), [2, 2, 2]);
    }

    #[test]
    fn a_row_that_fits_no_batch_is_told() {
        let mut batches = begun(BatchSize { rows: 500, json: 100 }, 0);
        assert_eq!(batches.add(&[b'x'; 200], 0, &[36, 72, 109, 145]), Err(WideRow(2)));
    }
}
