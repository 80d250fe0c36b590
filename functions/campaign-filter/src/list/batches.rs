//! The batches that a large campaign is sent in: ranges of the list of the eligible, each of whole rows.

use serde::Serialize;

use super::error::ListError;
use super::json_size::JsonSize;
use super::limits::MOST_BATCHES;

/// A batch: some rows of the list of the eligible.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct CampaignBatch {
    /// The batch's number, from 0.
    pub batch: u64,
    /// The first byte of its first row in the list, from 0.
    pub first_byte: u64,
    /// The last byte of its last row. Both bytes are included, as in HTTP ranges.
    pub last_byte: u64,
    /// The number of its rows.
    pub rows: u64,
    /// The most bytes that its rows take as JSON.
    #[serde(skip)]
    json: u64,
}

/// The size of batches. Each gets as many rows as both limits allow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchSize {
    /// The most rows. Lists that would have more than 20,000 batches get twice as many, or four times, and so on.
    pub rows: u64,
    /// The most bytes that the rows may take as JSON.
    pub json: u64,
}

/// A row takes more bytes as JSON than a batch may have. Its index among the rows that were added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct WideRow(pub(super) usize);

/// Rows that stand one behind the other in a block of bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct RowRun<'a> {
    pub(super) block: &'a [u8],
    /// The index of the first row's first byte in the block.
    pub(super) start: u32,
    /// The index behind the last byte of each row.
    pub(super) ends: &'a [u32],
}

/// Cuts a list into batches while the list is written.
#[derive(Debug)]
pub(super) struct BatchCutter {
    size: BatchSize,
    /// The sizes of rows. None before the first row.
    json_size: Option<JsonSize>,
    /// The batches that are full.
    full: Vec<CampaignBatch>,
    open: OpenBatch,
    /// The length of the list so far, in bytes.
    end: u64,
}

/// The batch that the next rows go to.
#[derive(Clone, Copy, Debug, Default)]
struct OpenBatch {
    first_byte: u64,
    rows: u64,
    json: u64,
}

/// The first rows of some, counted.
#[derive(Clone, Copy, Debug, Default)]
struct FittingRows {
    rows: usize,
    /// The most bytes that they take as JSON.
    json: u64,
}

impl BatchCutter {
    pub(super) fn new(size: BatchSize) -> Self {
        Self { size, json_size: None, full: Vec::new(), open: OpenBatch::default(), end: 0 }
    }

    /// Sets the number of bytes before the first row, and the sizes of rows.
    pub(super) fn begin(&mut self, rows_start: u64, json_size: JsonSize) {
        self.open.first_byte = rows_start;
        self.end = rows_start;
        self.json_size = Some(json_size);
    }

    /// Adds rows to the end of the list.
    ///
    /// # Errors
    /// One of them fits no batch.
    pub(super) fn add(&mut self, rows: RowRun) -> Result<(), WideRow> {
        let mut left = rows;
        while !left.ends.is_empty() {
            let fitting = self.fitting(left);
            if fitting.rows == 0 && self.open.rows == 0 {
                return Err(WideRow(rows.ends.len() - left.ends.len()));
            }
            let (now, later) = left.ends.split_at(fitting.rows);
            if let Some(&end) = now.last() {
                self.open.rows += now.len() as u64;
                self.open.json += fitting.json;
                self.end += u64::from(end - left.start);
                left.start = end;
            }
            if !later.is_empty() {
                self.close();
            }
            left.ends = later;
        }
        Ok(())
    }

    /// The rows that the open batch has room for. Their JSON is estimated for all of them first, then exactly, and only
    /// then row by row.
    fn fitting(&self, rows: RowRun) -> FittingRows {
        let RowRun { block, start, ends } = rows;
        let Some(json_size) = self.json_size else { return FittingRows::default() };
        let most = self.size.rows.saturating_sub(self.open.rows).min(ends.len() as u64);
        let ends = &ends[..usize::try_from(most).expect("no more than there are")];
        let Some(&end) = ends.last() else { return FittingRows::default() };
        let room = self.size.json - self.open.json;
        let stretch = &block[start as usize..end as usize];
        for json_of in [JsonSize::estimate, JsonSize::exact] {
            let json = json_of(json_size, stretch, most);
            if json <= room {
                return FittingRows { rows: ends.len(), json };
            }
        }
        let starts = std::iter::once(&start).chain(ends);
        let sums = starts.zip(ends).scan(0, |sum, (&start, &end)| {
            *sum += json_size.exact(&block[start as usize..end as usize], 1);
            Some(*sum)
        });
        let fitting = sums.take_while(|sum| *sum <= room);
        fitting.fold(FittingRows::default(), |fitting, json| FittingRows { rows: fitting.rows + 1, json })
    }

    /// All batches.
    ///
    /// # Errors
    /// There are more than a campaign may have.
    pub(super) fn finish(mut self) -> Result<Vec<CampaignBatch>, ListError> {
        self.close();
        self.check()?;
        Ok(self.full)
    }

    /// Checks the number of batches.
    ///
    /// # Errors
    /// There are more than a campaign may have.
    pub(super) fn check(&self) -> Result<(), ListError> {
        if self.full.len() > MOST_BATCHES { Err(ListError::TooManyBatches) } else { Ok(()) }
    }

    /// Ends the open batch.
    fn close(&mut self) {
        if self.open.rows == 0 {
            return;
        }
        if self.full.len() == MOST_BATCHES {
            self.join();
        }
        let OpenBatch { first_byte, rows, json } = self.open;
        let batch = self.full.len() as u64;
        self.full.push(CampaignBatch { batch, first_byte, last_byte: self.end - 1, rows, json });
        self.open = OpenBatch { first_byte: self.end, ..OpenBatch::default() };
    }

    /// Doubles the rows that a batch may have, and joins neighbours that fit one batch.
    fn join(&mut self) {
        self.size.rows = self.size.rows.saturating_mul(2);
        let mut joined: Vec<CampaignBatch> = Vec::new();
        for batch in self.full.drain(..) {
            match joined.last_mut() {
                Some(last) if last.rows + batch.rows <= self.size.rows && last.json + batch.json <= self.size.json => {
                    last.last_byte = batch.last_byte;
                    last.rows += batch.rows;
                    last.json += batch.json;
                }
                _ => joined.push(CampaignBatch { batch: joined.len() as u64, ..batch }),
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
    use crate::list::format::Format;

    /// The bytes that a row takes besides its own.
    const FIXED: u64 = 64;

    /// Rows whose bytes are JSON already, so that their size follows from their length.
    fn begun(size: BatchSize, head: u64) -> BatchCutter {
        let mut batches = BatchCutter::new(size);
        batches.begin(head, JsonSize::new(Format::Jsonl, b""));
        batches
    }

    fn batches(size: BatchSize, head: u64, blocks: &[Vec<u32>]) -> Vec<CampaignBatch> {
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
            batches.add(RowRun { block: &block, start: 7, ends: &ends }).unwrap();
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
        assert!(batches.len() <= MOST_BATCHES && batches.len() > MOST_BATCHES / 2, "{}", batches.len());
        assert!(batches.windows(2).all(|pair| pair[0].last_byte + 1 == pair[1].first_byte));
        assert_eq!((batches[0].first_byte, batches[batches.len() - 1].last_byte), (10, 10 + 390_000 - 1));
    }

    #[test]
    fn batches_of_too_many_bytes_are_not_joined() {
        let mut batches = begun(BatchSize { rows: 1, json: 2 * (FIXED + 3) - 1 }, 0);
        let ends: Vec<u32> = (1..=20_001).map(|row| row * 3).collect();
        let block = vec![b'x'; 60_003];
        batches.add(RowRun { block: &block, start: 0, ends: &ends[..20_000] }).unwrap();
        assert!(batches.check().is_ok());
        batches.add(RowRun { block: &block, start: 60_000, ends: &ends[20_000..] }).unwrap();
        assert!(matches!(batches.finish(), Err(ListError::TooManyBatches)));
    }

    #[test]
    fn the_names_of_columns_and_what_is_escaped_take_their_room() {
        let rows = |head: &[u8], block: &[u8]| {
            let mut batches = BatchCutter::new(BatchSize { rows: 500, json: 1_000 });
            batches.begin(head.len() as u64, JsonSize::new(Format::Csv, head));
            batches.add(RowRun { block, start: 0, ends: &[50, 100, 150, 200, 250, 300] }).unwrap();
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
        assert_eq!(batches.add(RowRun { block: &[b'x'; 200], start: 0, ends: &[36, 72, 109, 145] }), Err(WideRow(2)));
    }
}
