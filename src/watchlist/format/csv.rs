//! CSV: a header that names the columns, delimiter detected, cells in quotes over several lines; or, without a header, the
//! target in the first column and a label in the second.

use std::borrow::Cow;
use std::io::{self, BufRead};
use std::sync::LazyLock;

use super::csv_shape::{self, Shape};
use super::detection::ListFormat;
use super::records::by_columns;
use crate::watchlist::builder::{ListBuilder, Row, RowOutcome, Target};
use crate::watchlist::table::columns::{Columns, ListColumn, MAX_COLUMNS, Purpose};
use crate::watchlist::table::header::{self, Header};
use crate::watchlist::table::record::ListRecord;
use crate::watchlist::table::remark::{holds_target, is_blank, is_remark, marked};
use crate::watchlist::table::rows::{RowReader, TextRow};
use crate::watchlist::target::currency::is_currency_name;
use crate::watchlist::target::is_target_like;
use crate::watchlist::target::refusal::Refusal;

/// Comma, semicolon, tab or bar between cells.
pub const FORMAT: ListFormat = ListFormat { name: "csv", detects, read };

/// What OpenSanctions calls the rows that are about addresses.
const WALLET_SCHEMA: &str = "CryptoWallet";

fn detects(head: &[u8]) -> bool {
    matches!(csv_shape::of(head), Shape::Named(_) | Shape::Bare { .. })
}

fn read(head: &[u8], input: &mut dyn BufRead, list: &mut ListBuilder) -> io::Result<()> {
    let (delimiter, header) = match csv_shape::of(head) {
        Shape::Named(header) => (header.delimiter, Some(header)),
        Shape::Bare { delimiter } => (delimiter, None),
        Shape::Unnamed { .. } | Shape::Other => (b',', None),
    };
    let mut rows = RowReader::new(input);
    let mut first = true;
    let mut second_header = false;
    while let Some(row) = rows.next(delimiter)? {
        if is_blank(&row.text) && row.fault.is_none() {
            continue;
        }
        if std::mem::take(&mut first) && header::announces(row.text.trim().as_bytes()).is_some() {
            continue;
        }
        if header.as_ref().is_some_and(|header| header.line == row.line) {
            continue;
        }
        let record = ListRecord::split(&row.text, delimiter);
        let outcome = match &header {
            Some(header) => named(&row, &record.cells, header, list, &mut second_header),
            None => bare(&row, &record.cells, delimiter, list),
        };
        list.put(row.line, &row.text, outcome);
    }
    Ok(())
}

/// What becomes of a row of a file with a header.
fn named(
    row: &TextRow,
    cells: &[Cow<str>],
    header: &Header,
    list: &ListBuilder,
    second_header: &mut bool,
) -> RowOutcome {
    let columns = &header.columns;
    if row.line < header.line {
        let data = row.fault.is_some() || holds_target(&row.text);
        let is_remark = marked(&row.text).is_some();
        return if data && !is_remark { RowOutcome::Quarantined(Refusal::AboveHeader) } else { RowOutcome::Remark };
    }
    if may_be_remark(row) && is_remark(&row.text, cells, Some(columns), Purpose::Entries) {
        return RowOutcome::Remark;
    }
    if let Some(fault) = fault(row, cells) {
        return RowOutcome::Quarantined(fault);
    }
    let found = filled(cells);
    if *second_header || (found > 1 && is_second_header(&cells[..found], columns, second_header)) {
        return if *second_header { RowOutcome::Quarantined(Refusal::SecondHeader) } else { RowOutcome::Remark };
    }
    if found > columns.count() {
        return RowOutcome::Quarantined(Refusal::Cells { found, expected: columns.count() });
    }
    if row.doubtful && found < columns.count() {
        return RowOutcome::Quarantined(Refusal::Unquoted);
    }
    if holds_rows(cells, header.delimiter, columns.count(), columns.subject(Purpose::Entries).unwrap_or(0)) {
        return RowOutcome::Quarantined(Refusal::RowsInQuote);
    }
    if columns.cell(cells, ListColumn::Schema).is_some_and(|schema| schema != WALLET_SCHEMA) {
        return RowOutcome::Remark;
    }
    list.judge(&by_columns(row.line, &row.text, &cells[..found], columns))
}

/// What becomes of a row of a file without a header.
fn bare(row: &TextRow, cells: &[Cow<str>], delimiter: u8, list: &ListBuilder) -> RowOutcome {
    if may_be_remark(row) && is_remark(&row.text, cells, None, Purpose::Entries) {
        return RowOutcome::Remark;
    }
    if let Some(fault) = fault(row, cells) {
        return RowOutcome::Quarantined(fault);
    }
    let found = filled(cells);
    if row.doubtful && found < 2 {
        return RowOutcome::Quarantined(Refusal::Unquoted);
    }
    if holds_rows(cells, delimiter, 2, 0) {
        return RowOutcome::Quarantined(Refusal::RowsInQuote);
    }
    list.judge(&by_place(row, &cells[..found]))
}

/// Whether all of a row is there: what a remark is written in doesn't matter.
fn may_be_remark(row: &TextRow) -> bool {
    matches!(row.fault, None | Some(Refusal::NotUtf8))
}

fn fault(row: &TextRow, cells: &[Cow<str>]) -> Option<Refusal> {
    let too_many = Refusal::ManyCells { found: cells.len(), limit: MAX_COLUMNS };
    row.fault.clone().or_else(|| (cells.len() > MAX_COLUMNS).then_some(too_many))
}

/// How many cells there are up to the last filled one.
fn filled(cells: &[Cow<str>]) -> usize {
    cells.iter().rposition(|cell| !cell.trim().is_empty()).map_or(0, |last| last + 1)
}

/// Whether a row is a header once more, as where two files were joined. One with other columns makes it impossible to tell those of the
/// rows below it.
fn is_second_header(cells: &[Cow<str>], columns: &Columns, other: &mut bool) -> bool {
    // Names of columns are shorter than addresses, and have other characters: most rows need no second look.
    let subject = columns.subject(Purpose::Entries).and_then(|place| cells.get(place));
    if subject.is_some_and(|cell| cell.len() > 25 && cell.bytes().all(|byte| byte.is_ascii_alphanumeric())) {
        return false;
    }
    match Columns::of_header(cells, Purpose::Entries).filter(|found| found.known() > 1) {
        Some(found) => {
            *other = found != *columns;
            true
        }
        None => false,
    }
}

/// Whether lines within a quoted cell are rows of this file: as many cells, and an address in the place where one belongs.
fn holds_rows(cells: &[Cow<str>], delimiter: u8, count: usize, place: usize) -> bool {
    let lines = cells.iter().filter(|cell| cell.contains('\n')).flat_map(|cell| cell.lines().skip(1));
    count > 1
        && lines
            .map(|line| ListRecord::split(line, delimiter).cells)
            .any(|cells| cells.len() >= count && cells.get(place).is_some_and(|cell| is_target_like(cell)))
}

/// Names of the columns of a file without a header.
static NUMBERS: LazyLock<Vec<String>> =
    LazyLock::new(|| (1..=MAX_COLUMNS).map(|number| format!("column {number}")).collect());

/// The target, then a label, then anything; a cell that is the name of a currency says so wherever it stands.
fn by_place<'t>(row: &'t TextRow, cells: &'t [Cow<str>]) -> Row<'t> {
    let mut made = Row { line: row.line, text: &row.text, ..Row::default() };
    for (place, cell) in cells.iter().enumerate() {
        let cell: &str = cell;
        if place == 0 {
            made.targets.push(Target { text: cell, is_script: false });
            continue;
        }
        let is_currency = is_currency_name(cell);
        if is_currency {
            made.currencies.push(cell);
        }
        if place == 1 && !is_currency {
            made.label = Some(cell);
        } else {
            made.extra.push((NUMBERS.get(place).map_or("", String::as_str), cell));
        }
    }
    made
}
