//! One pass over a list, which comes in blocks.

use consent::contact::Category;

use super::batches::BatchSize;
use super::duplicates::Duplicates;
use super::error::ListError;
use super::format::{Block, Format};
use super::index::People;
use super::judge::{Judge, JudgedRows, PassOutcome};
use super::limits::LONGEST_ROW;
use super::output::Output;
use super::read::{Layout, Window};

/// The number of bytes whose rows are read before they are judged: few enough to stay in the processor's caches.
const WINDOW: usize = 512 << 10;

/// A pass over a list. Its caller feeds it blocks, cut anywhere, and takes away the output in between.
#[derive(Debug)]
pub struct Pass {
    layout: Result<Layout, UnknownLayout>,
    /// The beginning of a row that the last block broke off. Before the layout is known, the beginning of the list.
    broken: Vec<u8>,
    window: Window,
    judge: Judge,
}

/// A layout that is unknown until more of the list was fed.
#[derive(Debug)]
struct UnknownLayout {
    format: Format,
    column: String,
}

impl Pass {
    /// A pass over a whole list, which has the ids in the column, or field, of this name.
    #[must_use]
    pub fn new(format: Format, column: &str, category: Category, batches: BatchSize) -> Self {
        Self {
            layout: Err(UnknownLayout { format, column: column.to_owned() }),
            broken: Vec::new(),
            window: Window::default(),
            judge: Judge::new(category, batches),
        }
    }

    /// The same pass, which skips rows of which an id came before. Other passes know no duplicates.
    #[must_use]
    pub fn without_duplicates(mut self, duplicates: Duplicates) -> Self {
        self.judge.find(duplicates);
        self
    }

    /// Filters the next bytes of the list.
    ///
    /// # Errors
    /// The list can't be filtered. The output is worthless then.
    pub fn feed(&mut self, bytes: &[u8], people: &People, output: &mut Output) -> Result<(), ListError> {
        self.read(Block { bytes, is_last: false }, people, output)
    }

    /// Filters the row that the last block broke off, and ends the pass.
    ///
    /// # Errors
    /// The list can't be filtered. The output is worthless then.
    pub fn finish(mut self, people: &People, output: &mut Output) -> Result<PassOutcome, ListError> {
        self.read(Block { bytes: &[], is_last: true }, people, output)?;
        self.judge.finish()
    }

    fn read(&mut self, block: Block, people: &People, output: &mut Output) -> Result<(), ListError> {
        let Err(unknown) = &self.layout else { return self.rows(block, people, output) };
        self.broken.extend(block.bytes);
        let beginning = Block { bytes: &self.broken, is_last: block.is_last };
        let Some(layout) = Layout::read(unknown.format, &unknown.column, beginning)? else { return Ok(()) };
        let bytes = std::mem::take(&mut self.broken);
        let (head, rows) = bytes.split_at(layout.rows_start());
        self.judge.begin(unknown.format, head);
        self.layout = Ok(layout);
        output.eligible.extend(head);
        self.rows(Block { bytes: rows, is_last: block.is_last }, people, output)
    }

    /// Filters the rows of a block, a window at a time.
    fn rows(&mut self, block: Block, people: &People, output: &mut Output) -> Result<(), ListError> {
        let mut rest = self.mend(block, people, output)?;
        let mut size = WINDOW;
        loop {
            let window = rest.up_to(size);
            let is_all = window.bytes.len() == rest.bytes.len();
            let read = self.judge(window, Layout::rows, people, output)?;
            rest = rest.from(read);
            // A row that does not fit gets more room.
            size = if read == 0 { 2 * size } else { WINDOW };
            if is_all {
                break;
            }
        }
        self.broken.extend(rest.bytes);
        if self.broken.len() > LONGEST_ROW { Err(ListError::LongRow(self.judge.line())) } else { Ok(()) }
    }

    /// Filters the row that the last block broke off, if this block ends it. Returns the rest of the block.
    fn mend<'a>(&mut self, mut block: Block<'a>, people: &People, output: &mut Output) -> Result<Block<'a>, ListError> {
        // The row is read again and again until its end is there. It grows to twice its length each time, so that all of
        // the reading together takes no more than a few times its length.
        const AT_LEAST: usize = 1 << 10;
        while !self.broken.is_empty() {
            let mut bytes = std::mem::take(&mut self.broken);
            let before = bytes.len();
            let more = block.up_to(before.max(AT_LEAST));
            bytes.extend(more.bytes);
            let read = self.judge(Block { bytes: &bytes, is_last: more.is_last }, Layout::row, people, output)?;
            if read > 0 {
                return Ok(block.from(read - before));
            }
            self.broken = bytes;
            block = block.from(more.bytes.len());
            if block.bytes.is_empty() {
                break;
            }
        }
        Ok(block)
    }

    /// Judges the rows that `read` finds in a block, and returns the number of their bytes.
    fn judge(
        &mut self,
        block: Block,
        read: fn(&Layout, Block, &mut Window) -> usize,
        people: &People,
        output: &mut Output,
    ) -> Result<usize, ListError> {
        let Ok(layout) = &self.layout else { return Ok(0) };
        self.window.clear();
        let length = read(layout, block, &mut self.window);
        let rows = JudgedRows { layout, bytes: &block.bytes[..length], window: &self.window };
        self.judge.rows(rows, people, output)?;
        Ok(length)
    }
}
