//! JSON lines, an object in each: in general by the names of its values; and what formats of this kind share.

use std::io::{self, BufRead};

use super::detection::ListFormat;
use super::json::own;
use super::json_tree;
use super::records::{Cell, Records};
use crate::watchlist::builder::ListBuilder;
use crate::watchlist::table::columns::{Columns, Purpose};
use crate::watchlist::table::lines::{LineReader, MAX_LINE};
use crate::watchlist::target::refusal::Refusal;
use crate::watchlist::text::is_margin;

/// JSON lines.
pub const FORMAT: ListFormat = ListFormat { name: "json-lines", detects, read };

/// An object a line, or one object of plain values that names an address.
fn detects(head: &[u8]) -> bool {
    let Some(first) = first_record(head) else { return false };
    let names = own(first).into_iter().map(|(name, _)| name).collect::<Vec<_>>();
    let further = lines(head).nth(1).is_some_and(|line| line.starts_with('{'));
    further || Columns::of_header(&names, Purpose::Entries).is_some()
}

fn read(_head: &[u8], input: &mut dyn BufRead, list: &mut ListBuilder) -> io::Result<()> {
    each(input, list, |records, line, _, cells| records.add(line, own(cells)))
}

/// Reads a file line by line: `put` gets the line's number, its text and the cells of its object.
///
/// # Errors
/// Those of the input.
pub fn each(
    input: &mut dyn BufRead,
    list: &mut ListBuilder,
    put: impl Fn(&mut Records, u64, &str, Vec<(String, String)>),
) -> io::Result<()> {
    each_text(input, list, |records, line, text| match json_tree::record(text) {
        Ok(cells) => put(records, line, text, cells),
        Err(column) => records.refuse(line, text.to_owned(), Refusal::NotJson(column)),
    })
}

/// Reads a file line by line: `put` gets the number and the text of each that can be read.
///
/// # Errors
/// Those of the input.
pub fn each_text(
    input: &mut dyn BufRead,
    list: &mut ListBuilder,
    put: impl Fn(&mut Records, u64, &str),
) -> io::Result<()> {
    let mut lines = LineReader::new(input);
    let mut records = Records::new(list);
    while let Some(line) = lines.next()? {
        let text = String::from_utf8_lossy(&line.bytes);
        let trimmed = text.trim_matches(is_margin);
        if line.cut {
            records.refuse(line.number, text.into_owned(), Refusal::TooLong(MAX_LINE));
        } else if std::str::from_utf8(&line.bytes).is_err() {
            records.refuse(line.number, text.into_owned(), Refusal::NotUtf8);
        } else if !trimmed.is_empty() {
            put(&mut records, line.number, trimmed);
        }
    }
    records.finish()
}

/// The object in the first line of a file, if there is one.
pub fn first_record(head: &[u8]) -> Option<Vec<(String, String)>> {
    let first = lines(head).next()?;
    json_tree::record(&first).ok()
}

/// Takes a cell out.
pub fn take(cells: &mut Vec<(String, String)>, name: &str) -> Option<String> {
    let place = cells.iter().position(|(found, _)| found == name)?;
    Some(cells.remove(place).1).filter(|value| !value.is_empty())
}

/// A cell under another name, if it is there.
pub fn renamed(cells: &mut Vec<Cell>, name: &'static str, value: Option<String>) {
    if let Some(value) = value {
        cells.push((name.into(), value));
    }
}

/// The lines of the head that aren't blank.
fn lines(head: &[u8]) -> impl Iterator<Item = String> {
    let lines = head.split(|byte| matches!(byte, b'\n' | b'\r')).map(|line| String::from_utf8_lossy(line));
    lines.map(|line| line.trim_matches(is_margin).to_owned()).filter(|line| !line.is_empty())
}
