//! Judges rows, in their order: each becomes eligible or skipped.

use consent::contact::Category;
use consent::eligibility::depends_on_opt_in;
use memchr::memchr_iter;

use super::batches::{BatchCutter, BatchSize, CampaignBatch, RowRun, WideRow};
use super::duplicates::Duplicates;
use super::error::ListError;
use super::format::Format;
use super::index::{Index, People};
use super::json_size::JsonSize;
use super::key::IdKey;
use super::limits::LONGEST_ROW;
use super::output::Output;
use super::read::{Layout, RowId, RowOwner, Window};
use super::verdict::RowVerdict;
use crate::counts::RecipientCounts;

/// Judges the rows of a list.
#[derive(Debug)]
pub(super) struct Judge {
    category: Category,
    duplicates: Option<Duplicates>,
    batches: BatchCutter,
    counts: RecipientCounts,
    /// The line that the next row begins in, from 1.
    line: u64,
    /// The verdicts on the rows of the window.
    verdicts: Vec<RowVerdict>,
}

/// The rows of a window and the bytes that they were read from.
#[derive(Clone, Copy)]
pub(super) struct JudgedRows<'a> {
    pub(super) layout: &'a Layout,
    pub(super) bytes: &'a [u8],
    pub(super) window: &'a Window,
}

/// The result of a pass.
#[derive(Debug)]
pub struct PassOutcome {
    /// The number of rows of each kind.
    pub counts: RecipientCounts,
    /// The batches of [`Output::eligible`].
    pub batches: Vec<CampaignBatch>,
}

impl Judge {
    pub(super) fn new(category: Category, batches: BatchSize) -> Self {
        Self {
            category,
            duplicates: None,
            batches: BatchCutter::new(batches),
            counts: RecipientCounts::default(),
            line: 1,
            verdicts: Vec::new(),
        }
    }

    /// Skips the rows of which an id came before.
    pub(super) fn find(&mut self, duplicates: Duplicates) {
        self.duplicates = Some(duplicates);
    }

    /// Counts the lines before the first row.
    pub(super) fn begin(&mut self, format: Format, head: &[u8]) {
        self.line += memchr_iter(b'\n', head).count() as u64;
        self.batches.begin(head.len() as u64, JsonSize::new(format, head));
    }

    /// The line that the next row begins in, from 1.
    pub(super) fn line(&self) -> u64 {
        self.line
    }

    /// Judges and writes the rows of a window.
    ///
    /// # Errors
    /// A row is too long, or has a quote that is not closed; there are too many batches; or the temporary file failed.
    pub(super) fn rows(&mut self, rows: JudgedRows, people: &People, output: &mut Output) -> Result<(), ListError> {
        let window = rows.window;
        let line = self.line;
        if let Some(row) = long_row(window) {
            return Err(ListError::LongRow(line + lines_above(row, window)));
        }
        if window.has_open_quote {
            return Err(ListError::OpenQuote(line + lines_above(window.len() - 1, window)));
        }
        self.suppress(window, people.suppressed);
        if let Some(opted_in) = people.opted_in.filter(|_| depends_on_opt_in(self.category)) {
            self.demand_opt_in(window, opted_in);
        }
        if let Some(duplicates) = &mut self.duplicates {
            duplicates.find(window, |row| self.verdicts[row].add(RowVerdict::DUPLICATE))?;
        }
        self.write(rows, output).map_err(|WideRow(row)| ListError::WideRow(line + lines_above(row, window)))?;
        self.batches.check()
    }

    /// The result of all rows.
    ///
    /// # Errors
    /// There are too many batches.
    pub(super) fn finish(self) -> Result<PassOutcome, ListError> {
        Ok(PassOutcome { counts: self.counts, batches: self.batches.finish()? })
    }

    /// Begins the verdicts: with the suppression list, and with rows that are invalid or blank.
    fn suppress(&mut self, window: &Window, list: &Index) {
        let applying = RowVerdict::applying_to(self.category);
        self.verdicts.clear();
        self.verdicts.extend(window.owners.iter().map(|&owner| match owner.as_number() {
            Some(number) => {
                list.number(IdKey::of_number(number)).map_or(RowVerdict::ELIGIBLE, |found| found.only(applying))
            }
            None if owner == RowOwner::INVALID => RowVerdict::INVALID,
            None if owner == RowOwner::BLANK => RowVerdict::BLANK,
            None => RowVerdict::ELIGIBLE,
        }));
        for listed in &window.ids {
            if let Some(found) = entry(list, window, listed.id) {
                self.verdicts[listed.row].add(found.only(applying));
            }
        }
    }

    /// Adds the reason of rows of which no id opted in.
    fn demand_opt_in(&mut self, window: &Window, opted_in: &Index) {
        for (verdict, owner) in self.verdicts.iter_mut().zip(&window.owners) {
            let is_in = owner.as_number().is_some_and(|number| opted_in.number(IdKey::of_number(number)).is_some());
            verdict.add(if is_in { RowVerdict::ELIGIBLE } else { RowVerdict::NOT_OPTED_IN });
        }
        for listed in &window.ids {
            if entry(opted_in, window, listed.id).is_some() {
                self.verdicts[listed.row] = self.verdicts[listed.row].without(RowVerdict::NOT_OPTED_IN);
            }
        }
    }

    /// Writes each row to its list. Eligible rows that follow each other are copied at once.
    fn write(&mut self, rows: JudgedRows, output: &mut Output) -> Result<(), WideRow> {
        let JudgedRows { layout, bytes, window } = rows;
        let mut multiline = window.multiline.iter().peekable();
        let (mut row, mut start) = (0, 0);
        while row < window.len() {
            let eligible = self.verdicts[row..].iter().take_while(|&&verdict| verdict == RowVerdict::ELIGIBLE).count();
            let ends = &window.ends[row..row + eligible];
            if let Some(&end) = ends.last() {
                output.eligible.extend(&bytes[start as usize..end as usize]);
                let added = self.batches.add(RowRun { block: bytes, start, ends });
                added.map_err(|WideRow(wide)| WideRow(row + wide))?;
                self.counts.eligible += eligible as u64;
                (row, start) = (row + eligible, end);
            }
            let (Some(&end), Some(&verdict)) = (window.ends.get(row), self.verdicts.get(row)) else { break };
            if let Some(reason) = verdict.reason() {
                let above = std::iter::from_fn(|| multiline.next_if(|above| above.row < row));
                self.line += above.map(|above| above.more_lines).sum::<u64>();
                let contact = layout.contact(&bytes[start as usize..end as usize]);
                output.skip(self.line + row as u64, &contact, reason);
                *self.counts.skipped(reason) += 1;
            }
            (row, start) = (row + 1, end);
        }
        self.line += row as u64 + multiline.map(|above| above.more_lines).sum::<u64>();
        Ok(())
    }
}

/// The number of lines of a window that stand above a row.
fn lines_above(row: usize, window: &Window) -> u64 {
    let more: u64 = window.multiline.iter().filter(|above| above.row < row).map(|above| above.more_lines).sum();
    row as u64 + more
}

/// The first row of a window that is longer than rows may be.
fn long_row(window: &Window) -> Option<usize> {
    let first = *window.ends.first()?;
    let longest = window.ends.windows(2).fold(first, |longest, ends| longest.max(ends[1] - ends[0]));
    if longest as usize <= LONGEST_ROW {
        return None;
    }
    let starts = std::iter::once(&0).chain(&window.ends);
    starts.zip(&window.ends).position(|(start, end)| (end - start) as usize > LONGEST_ROW)
}

/// The verdict that an index has on an id of a row.
fn entry(index: &Index, window: &Window, id: RowId) -> Option<RowVerdict> {
    match id {
        RowId::Number(number) => index.number(IdKey::of_number(number)),
        RowId::Text(span) => index.text(window.text(span)),
    }
}
