//! Rows become eligible or skipped, in their order.

use consent::contact::Category;
use consent::eligibility::depends_on_opt_in;
use memchr::memchr_iter;

use super::batches::{Batch, BatchSize, Batches, WideRow};
use super::duplicates::Duplicates;
use super::index::Index;
use super::json_size::RowSize;
use super::key::Key;
use super::layout::{Format, Layout};
use super::window::{Id, Whose, Window};
use super::{LONGEST_ROW, ListError, Output, People, skipped, verdict};
use crate::Counts;

/// Judges the rows of a list.
#[derive(Debug)]
pub(super) struct Judge {
    category: Category,
    pub(super) duplicates: Option<Duplicates>,
    batches: Batches,
    counts: Counts,
    /// The line that the next row begins in.
    line: u64,
    /// What stands against each row of the window.
    verdicts: Vec<u8>,
}

impl Judge {
    pub(super) fn new(category: Category, batches: BatchSize) -> Self {
        Self {
            category,
            duplicates: None,
            batches: Batches::new(batches),
            counts: Counts::default(),
            line: 1,
            verdicts: Vec::new(),
        }
    }

    /// Takes note of what comes before the first row.
    pub(super) fn begin(&mut self, format: Format, head: &[u8]) {
        self.line += memchr_iter(b'\n', head).count() as u64;
        self.batches.begin(head.len() as u64, RowSize::new(format, head));
    }

    /// The line that the next row begins in.
    pub(super) fn line(&self) -> u64 {
        self.line
    }

    /// Judges the rows of a window, which are these bytes.
    pub(super) fn rows(
        &mut self,
        layout: &Layout,
        bytes: &[u8],
        window: &Window,
        people: &People,
        output: &mut Output,
    ) -> Result<(), ListError> {
        if let Some(row) = long_row(window) {
            return Err(ListError::LongRow(line_of(self.line, row, window)));
        }
        if window.is_open {
            return Err(ListError::OpenQuote(line_of(self.line, window.len() - 1, window)));
        }
        self.suppress(window, people.suppressed);
        if let Some(opted_in) = people.opted_in.filter(|_| depends_on_opt_in(self.category)) {
            self.demand(window, opted_in);
        }
        if let Some(duplicates) = &mut self.duplicates {
            duplicates.find(window, |row| self.verdicts[row] |= verdict::DUPLICATE)?;
        }
        let line = self.line;
        self.write(layout, bytes, window, output)
            .map_err(|WideRow(row)| ListError::WideRow(line_of(line, row, window)))?;
        self.batches.check()
    }

    /// All that was counted.
    ///
    /// # Errors
    /// There are too many batches.
    pub(super) fn finish(self) -> Result<(Counts, Vec<Batch>), ListError> {
        Ok((self.counts, self.batches.finish()?))
    }

    /// Starts the verdicts with what the suppression list says.
    fn suppress(&mut self, window: &Window, list: &Index) {
        let against = verdict::against(self.category);
        self.verdicts.clear();
        self.verdicts.extend(window.whose.iter().map(|&whose| match whose.as_number() {
            Some(number) => list.number(Key::of_number(number)).map_or(0, |verdict| verdict & against),
            None if whose == Whose::NOBODY => verdict::INVALID,
            None if whose == Whose::BLANK => verdict::BLANK,
            None => 0,
        }));
        for &(row, id) in &window.others {
            self.verdicts[row] |= entry(list, window, id).map_or(0, |verdict| verdict & against);
        }
    }

    /// Adds what the lack of an explicit opt-in says.
    fn demand(&mut self, window: &Window, opted_in: &Index) {
        for (verdict, whose) in self.verdicts.iter_mut().zip(&window.whose) {
            let is_in = whose.as_number().is_some_and(|number| opted_in.number(Key::of_number(number)).is_some());
            *verdict |= if is_in { 0 } else { verdict::NOT_OPTED_IN };
        }
        for &(row, id) in &window.others {
            if entry(opted_in, window, id).is_some() {
                self.verdicts[row] &= !verdict::NOT_OPTED_IN;
            }
        }
    }

    /// Writes the rows where they belong: those of the eligible in stretches as long as they come.
    fn write(&mut self, layout: &Layout, bytes: &[u8], window: &Window, output: &mut Output) -> Result<(), WideRow> {
        let mut tall = window.tall.iter().peekable();
        let (mut row, mut start) = (0, 0);
        while row < window.len() {
            let eligible = self.verdicts[row..].iter().take_while(|&&verdict| verdict == 0).count();
            if let Some(&end) = window.ends[row..row + eligible].last() {
                output.eligible.extend(&bytes[start as usize..end as usize]);
                let added = self.batches.add(bytes, start, &window.ends[row..row + eligible]);
                added.map_err(|WideRow(wide)| WideRow(row + wide))?;
                self.counts.eligible += eligible as u64;
                (row, start) = (row + eligible, end);
            }
            let (Some(&end), Some(&verdict)) = (window.ends.get(row), self.verdicts.get(row)) else { break };
            if let Some(reason) = verdict::reason(verdict) {
                let above: u64 =
                    std::iter::from_fn(|| tall.next_if(|(tall, _)| *tall < row)).map(|(_, more)| more).sum();
                self.line += above;
                let contact = layout.contact(&bytes[start as usize..end as usize]);
                skipped::add(&mut output.skipped, self.line + row as u64, &contact, reason);
                *self.counts.of(reason) += 1;
            }
            (row, start) = (row + 1, end);
        }
        self.line += row as u64 + tall.map(|(_, more)| more).sum::<u64>();
        Ok(())
    }
}

/// The line that a row of a window begins in, whose first row begins in `line`.
fn line_of(line: u64, row: usize, window: &Window) -> u64 {
    let above: u64 = window.tall.iter().filter(|(tall, _)| *tall < row).map(|(_, more)| more).sum();
    line + row as u64 + above
}

/// The first row that is longer than rows may be.
fn long_row(window: &Window) -> Option<usize> {
    let first = *window.ends.first()?;
    let longest = window.ends.windows(2).fold(first, |longest, ends| longest.max(ends[1] - ends[0]));
    if longest as usize <= LONGEST_ROW {
        return None;
    }
    let starts = std::iter::once(&0).chain(&window.ends);
    starts.zip(&window.ends).position(|(start, end)| (end - start) as usize > LONGEST_ROW)
}

/// What an index holds on one of several ids of a row.
fn entry(index: &Index, window: &Window, id: Id) -> Option<u8> {
    match id {
        Id::Number(number) => index.number(Key::of_number(number)),
        Id::Text(start, end) => index.text(window.text(start, end)),
    }
}
