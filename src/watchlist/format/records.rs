//! Rows of formats that name each cell where it stands (JSON, YAML): cells are known by their names, as columns of a table are.

use std::borrow::Cow;
use std::io;
use std::sync::Arc;

use rayon::prelude::*;

use crate::watchlist::builder::{ListBuilder, Row, RowOutcome, Target};
use crate::watchlist::table::columns::{Columns, ListColumn, MAX_COLUMNS, Purpose};
use crate::watchlist::target::refusal::Refusal;

/// Rows judged side by side, and the bytes that they may have together.
const ROWS_AT_ONCE: usize = 4096;
const BYTES_AT_ONCE: usize = 8 << 20;

/// A name and its value.
pub type Cell = (Cow<'static, str>, String);

/// Puts records into a list, in their order.
pub struct Records<'l, 'o> {
    list: &'l mut ListBuilder<'o>,
    waiting: Vec<Waiting>,
    bytes: usize,
    names: Vec<Cow<'static, str>>,
    columns: Option<Arc<Columns>>,
}

/// A row that isn't in the list yet.
struct Waiting {
    line: u64,
    text: String,
    kind: Kind,
}

enum Kind {
    /// To be judged.
    Cells(Arc<Columns>, Vec<String>),
    /// Nothing to judge.
    Known(RowOutcome),
}

impl<'l, 'o> Records<'l, 'o> {
    /// Without records.
    pub fn new(list: &'l mut ListBuilder<'o>) -> Self {
        Self { list, waiting: Vec::new(), bytes: 0, names: Vec::new(), columns: None }
    }

    /// Adds a record by its cells.
    pub fn add(&mut self, line: u64, cells: Vec<Cell>) {
        let text = shown(&cells);
        let (names, values): (Vec<_>, Vec<_>) = cells.into_iter().unzip();
        if names.len() > MAX_COLUMNS {
            return self.refuse(line, text, Refusal::ManyCells { found: names.len(), limit: MAX_COLUMNS });
        }
        if names != self.names {
            let mut sorted: Vec<_> = names.iter().collect();
            sorted.sort_unstable();
            if sorted.windows(2).any(|pair| pair[0] == pair[1]) {
                return self.refuse(line, text, Refusal::NamedTwice);
            }
            self.columns = Columns::of_header(&names, Purpose::Entries).map(Arc::new);
            self.names = names;
        }
        match &self.columns {
            Some(columns) => {
                let kind = Kind::Cells(Arc::clone(columns), values);
                self.wait(line, text, kind);
            }
            None => self.refuse(line, text, Refusal::NoTarget),
        }
    }

    /// Adds a row that can't be used.
    pub fn refuse(&mut self, line: u64, text: String, reason: Refusal) {
        self.wait(line, text, Kind::Known(RowOutcome::Quarantined(reason)));
    }

    /// Adds a row that is no data.
    pub fn remark(&mut self, line: u64, text: String) {
        self.wait(line, text, Kind::Known(RowOutcome::Remark));
    }

    /// Puts what waits into the list.
    ///
    /// # Errors
    /// None; it ends a format's reading.
    pub fn finish(mut self) -> io::Result<()> {
        self.flush();
        Ok(())
    }

    fn wait(&mut self, line: u64, text: String, kind: Kind) {
        self.bytes += text.len();
        self.waiting.push(Waiting { line, text, kind });
        if self.waiting.len() >= ROWS_AT_ONCE || self.bytes >= BYTES_AT_ONCE {
            self.flush();
        }
    }

    fn flush(&mut self) {
        let list = &*self.list;
        let judged: Vec<_> = self.waiting.par_drain(..).map(|row| judge(row, list)).collect();
        for (line, text, outcome) in judged {
            self.list.put(line, &text, outcome);
        }
        self.bytes = 0;
    }
}

fn judge(row: Waiting, list: &ListBuilder) -> (u64, String, RowOutcome) {
    let Waiting { line, text, kind } = row;
    let outcome = match kind {
        Kind::Known(outcome) => outcome,
        Kind::Cells(columns, mut cells) => {
            for (place, cell) in cells.iter_mut().enumerate() {
                if columns.kind(place) == ListColumn::Range {
                    // Bitcoin Core writes [0,999].
                    *cell = cell.replace(", ", "-");
                }
            }
            list.judge(&by_columns(line, &text, &cells, &columns))
        }
    };
    (line, text, outcome)
}

/// The row of cells that stand in these columns.
pub fn by_columns<'t, C: AsRef<str>>(line: u64, text: &'t str, cells: &'t [C], columns: &'t Columns) -> Row<'t> {
    let mut made = Row { line, text, named: true, ..Row::default() };
    for (place, cell) in cells.iter().enumerate() {
        let cell: &str = cell.as_ref();
        match columns.kind(place) {
            ListColumn::Address => made.targets.push(Target { text: cell, is_script: false }),
            ListColumn::Script => made.targets.push(Target { text: cell, is_script: true }),
            ListColumn::Label => made.label = Some(cell),
            ListColumn::Source => made.source = Some(cell),
            ListColumn::Category => made.category = Some(cell),
            ListColumn::Role => made.role = Some(cell),
            ListColumn::From => made.from = Some(cell),
            ListColumn::Range => made.range = Some(cell),
            kind => {
                if kind == ListColumn::Currency {
                    made.currencies.push(cell);
                }
                made.extra.push((columns.name(place), cell));
            }
        }
    }
    made
}

/// A record as a text: searched for keys, and shown if it is quarantined.
fn shown(cells: &[Cell]) -> String {
    let mut text = String::new();
    for (name, value) in cells.iter().filter(|(_, value)| !value.is_empty()) {
        if !text.is_empty() {
            text.push_str(", ");
        }
        text.push_str(name);
        text.push_str(": ");
        text.push_str(value);
    }
    text
}
