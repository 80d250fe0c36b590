//! One pass over a list that comes in blocks.

use consent::contact::Category;

use super::batches::{Batch, BatchSize};
use super::duplicates::Duplicates;
use super::judge::Judge;
use super::layout::{Format, Layout};
use super::window::Window;
use super::{LONGEST_ROW, ListError, Output, People};
use crate::Counts;

/// How much is read before it is judged: little enough to stay near the processor.
const WINDOW: usize = 512 << 10;

/// A pass over a list.
#[derive(Debug)]
pub struct Pass {
    layout: Result<Layout, Unread>,
    /// The beginning of the list until its layout is known, then that of a row that the last block broke off.
    broken: Vec<u8>,
    window: Window,
    judge: Judge,
}

/// A layout that the list's beginning will tell.
#[derive(Debug)]
struct Unread {
    format: Format,
    column: String,
}

/// How a pass ended.
#[derive(Debug)]
pub struct Outcome {
    /// How many rows of each kind there were.
    pub counts: Counts,
    /// The batches of [`Output::eligible`].
    pub batches: Vec<Batch>,
}

impl Pass {
    /// A pass over a whole list, whose ids stand in the column, or field, of this name.
    #[must_use]
    pub fn new(format: Format, column: &str, category: Category, batches: BatchSize) -> Self {
        Self {
            layout: Err(Unread { format, column: column.to_owned() }),
            broken: Vec::new(),
            window: Window::default(),
            judge: Judge::new(category, batches),
        }
    }

    /// Skips whoever stands further up. Without, nobody is a duplicate.
    #[must_use]
    pub fn without_duplicates(mut self, duplicates: Duplicates) -> Self {
        self.judge.duplicates = Some(duplicates);
        self
    }

    /// Filters the next block of the list.
    ///
    /// # Errors
    /// The list can't be filtered. What was written until then is worth nothing.
    pub fn feed(&mut self, block: &[u8], people: &People, output: &mut Output) -> Result<(), ListError> {
        self.read(block, false, people, output)
    }

    /// Filters what the last block broke off, and ends the pass.
    ///
    /// # Errors
    /// The list can't be filtered. What was written until then is worth nothing.
    pub fn finish(mut self, people: &People, output: &mut Output) -> Result<Outcome, ListError> {
        self.read(&[], true, people, output)?;
        let (counts, batches) = self.judge.finish()?;
        Ok(Outcome { counts, batches })
    }

    fn read(&mut self, block: &[u8], end: bool, people: &People, output: &mut Output) -> Result<(), ListError> {
        let Err(unread) = &self.layout else { return self.rows(block, end, people, output) };
        self.broken.extend(block);
        let Some((layout, head)) = Layout::read(unread.format, &unread.column, &self.broken, end)? else {
            return Ok(());
        };
        let format = unread.format;
        self.layout = Ok(layout);
        let bytes = std::mem::take(&mut self.broken);
        let (head, rows) = bytes.split_at(head);
        self.judge.begin(format, head);
        output.eligible.extend(head);
        self.rows(rows, end, people, output)
    }

    fn rows(&mut self, block: &[u8], end: bool, people: &People, output: &mut Output) -> Result<(), ListError> {
        let mut rest = self.mend(block, end, people, output)?;
        let mut size = WINDOW;
        loop {
            let bytes = &rest[..rest.len().min(size)];
            let is_all = bytes.len() == rest.len();
            let read = self.judged(bytes, end && is_all, Layout::rows, people, output)?;
            rest = &rest[read..];
            // A row that does not fit gets more room.
            size = if read == 0 { 2 * size } else { WINDOW };
            if is_all {
                break;
            }
        }
        self.broken.extend(rest);
        if self.broken.len() > LONGEST_ROW { Err(ListError::LongRow(self.judge.line())) } else { Ok(()) }
    }

    /// Filters the row that the last block broke off, if this one ends it, and answers what comes behind.
    fn mend<'a>(
        &mut self,
        mut block: &'a [u8],
        end: bool,
        people: &People,
        output: &mut Output,
    ) -> Result<&'a [u8], ListError> {
        // A row is read anew until its end is there. It gets twice as long each time, so that this is soon.
        const AT_LEAST: usize = 1 << 10;
        while !self.broken.is_empty() {
            let mut bytes = std::mem::take(&mut self.broken);
            let before = bytes.len();
            let (more, later) = block.split_at(block.len().min(before.max(AT_LEAST)));
            bytes.extend(more);
            let read = self.judged(&bytes, end && later.is_empty(), Layout::row, people, output)?;
            if read > 0 {
                return Ok(&block[read - before..]);
            }
            self.broken = bytes;
            block = later;
            if block.is_empty() {
                break;
            }
        }
        Ok(block)
    }

    /// Filters the rows that are read from the bytes, and answers how many bytes those are.
    fn judged(
        &mut self,
        bytes: &[u8],
        end: bool,
        read: fn(&Layout, &[u8], bool, &mut Window) -> usize,
        people: &People,
        output: &mut Output,
    ) -> Result<usize, ListError> {
        let Ok(layout) = &self.layout else { return Ok(0) };
        self.window.clear();
        let read = read(layout, bytes, end, &mut self.window);
        self.judge.rows(layout, &bytes[..read], &self.window, people, output)?;
        Ok(read)
    }
}
