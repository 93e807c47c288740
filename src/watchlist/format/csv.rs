//! CSV: a header that names the columns, delimiter detected, cells in quotes over several lines; or, without a header, the
//! target in the first column and a label in the second.

use std::collections::VecDeque;
use std::io::{self, BufRead};

use super::columns::Columns;
use super::detection::{Format, head_lines, is_marked_up};
use super::record::{self, Record};
use crate::chain::Chain;
use crate::watchlist::lines::{Line, LineReader, MAX_LINE};
use crate::watchlist::refusal::Refusal;
use crate::watchlist::rows::Rows;
use crate::watchlist::{script, text};

/// Comma, semicolon, tab or bar between cells.
pub const FORMAT: Format = Format { name: "csv", detects, read };

const DELIMITERS: [u8; 4] = [b',', b';', b'\t', b'|'];

/// Lines that a quoted cell may run over, and rows that are looked at for detection.
const MAX_LINES: usize = 100;

/// What the start of a file says about the rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Shape {
    delimiter: u8,
    header: bool,
}

fn detects(head: &[u8]) -> bool {
    shape(head).is_some()
}

/// The delimiter under which the first row names most columns; without such a row, the one under which more first cells
/// name scripts than under white space, so that commas in the labels of plain text don't make it CSV.
fn shape(head: &[u8]) -> Option<Shape> {
    let lines = head_lines(head);
    if is_marked_up(&lines) {
        return None;
    }
    let mut rows = lines.iter().map(String::as_str).filter(|line| !is_passed_over(line));
    let first = rows.next()?;
    if let Some(delimiter) = announced(first) {
        let header =
            rows.next().is_some_and(|line| Columns::of_header(&Record::split(line, delimiter).cells).is_some());
        return Some(Shape { delimiter, header });
    }
    let known = |delimiter: u8| Columns::of_header(&Record::split(first, delimiter).cells).map_or(0, |c| c.known());
    let delimiter = most(known)?;
    if known(delimiter) > 0 {
        return Some(Shape { delimiter, header: true });
    }
    let sample: Vec<&str> = std::iter::once(first).chain(rows).take(MAX_LINES).collect();
    let under = |delimiter: u8| {
        let names = |line: &&&str| {
            let record = Record::split(line, delimiter);
            (record.cells.len() > 1 || line.starts_with('"')) && is_target(&record.cells[0])
        };
        sample.iter().filter(names).count()
    };
    let plain = sample.iter().filter(|line| line.split_whitespace().next().is_some_and(is_target)).count();
    let delimiter = most(under)?;
    (under(delimiter) > plain).then_some(Shape { delimiter, header: false })
}

/// The first delimiter with the highest score.
fn most(score: impl Fn(u8) -> usize) -> Option<u8> {
    DELIMITERS.into_iter().rev().max_by_key(|delimiter| score(*delimiter))
}

/// Whether the text is an address of any chain, or a script: whatever the chain is, it isn't a name.
fn is_target(text: &str) -> bool {
    matches!(
        script::parse(text, Chain::Main, None),
        Ok(_) | Err(Refusal::OtherChain(_) | Refusal::WrongNetwork { .. } | Refusal::NeedsRange)
    )
}

/// `sep=;`, as spreadsheets write it before the header.
fn announced(line: &str) -> Option<u8> {
    match line.trim().as_bytes() {
        [b's' | b'S', b'e' | b'E', b'p' | b'P', b'=', delimiter] if DELIMITERS.contains(delimiter) => Some(*delimiter),
        _ => None,
    }
}

/// Blank lines, also of delimiters alone, and remarks.
fn is_passed_over(line: &str) -> bool {
    let line = line.trim_matches(text::is_margin);
    line.starts_with('#') || line.chars().all(|letter| ",;|\t ".contains(letter))
}

fn read(head: &[u8], input: &mut dyn BufRead, rows: &mut Rows) -> io::Result<()> {
    let Shape { delimiter, header } = shape(head).unwrap_or(Shape { delimiter: b',', header: false });
    let mut columns = (!header).then(Columns::without_header);
    let mut source = Source { lines: LineReader::new(input), back: VecDeque::new() };
    let mut before_rows = true;
    while let Some(line) = source.next()? {
        let text = String::from_utf8_lossy(&line.bytes);
        if is_passed_over(&text) && !line.cut {
            continue;
        }
        if std::mem::take(&mut before_rows) && announced(&text).is_some() {
            before_rows = false;
            continue;
        }
        match &columns {
            None => columns = Columns::of_header(&Record::split(&text, delimiter).cells),
            Some(columns) => take(&line, columns, delimiter, &mut source, rows)?,
        }
    }
    Ok(())
}

/// Takes the record that starts on `first`, with the lines over which its quoted cells run.
fn take(first: &Line, columns: &Columns, delimiter: u8, source: &mut Source, rows: &mut Rows) -> io::Result<()> {
    if first.cut {
        rows.refuse(first.number, &String::from_utf8_lossy(&first.bytes), Refusal::TooLong(MAX_LINE));
        return Ok(());
    }
    let Ok(start) = std::str::from_utf8(&first.bytes) else {
        rows.refuse(first.number, &String::from_utf8_lossy(&first.bytes), Refusal::NotUtf8);
        return Ok(());
    };
    let record = Record::split(start, delimiter);
    if !record.open {
        judge(first.number, start, &record, columns, rows);
        return Ok(());
    }
    let mut text = start.to_owned();
    let mut further = Vec::new();
    while further.len() < MAX_LINES && text.len() < MAX_LINE {
        let Some(line) = source.next()? else { break };
        let next =
            std::str::from_utf8(&line.bytes).ok().filter(|next| !line.cut && !is_row(next, columns, delimiter, rows));
        let Some(next) = next else {
            further.push(line);
            break;
        };
        text.push('\n');
        text.push_str(next);
        further.push(line);
        let record = Record::split(&text, delimiter);
        if !record.open {
            if record.stray {
                break;
            }
            judge(first.number, &text, &record, columns, rows);
            return Ok(());
        }
    }
    // The quote was not closed where it should be. That costs this line; the following ones are read as rows of their own.
    rows.refuse(first.number, start, Refusal::Unquoted);
    source.give_back(further);
    Ok(())
}

/// Whether what a quoted cell takes of a line is itself a row.
fn is_row(line: &str, columns: &Columns, delimiter: u8, rows: &Rows) -> bool {
    let record = Record::split(record::inside(line), delimiter);
    columns.first_target(&record.cells).is_some_and(|cell| script::parse(cell, rows.chain(), None).is_ok())
}

fn judge(line: u64, text: &str, record: &Record, columns: &Columns, rows: &mut Rows) {
    let found = record.cells.iter().rposition(|cell| !cell.trim().is_empty()).map_or(0, |last| last + 1);
    match columns.count() {
        Some(expected) if found > expected => rows.refuse(line, text, Refusal::Cells { found, expected }),
        _ => rows.take(&columns.row(line, text, &record.cells[..found])),
    }
}

/// LineReader, some of which were given back.
struct Source<'r> {
    lines: LineReader<'r>,
    back: VecDeque<Line>,
}

impl Source<'_> {
    fn next(&mut self) -> io::Result<Option<Line>> {
        match self.back.pop_front() {
            Some(line) => Ok(Some(line)),
            None => self.lines.next(),
        }
    }

    fn give_back(&mut self, lines: Vec<Line>) {
        for line in lines.into_iter().rev() {
            self.back.push_front(line);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: &str = "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa";

    #[test]
    fn the_shape_is_told_from_the_start() {
        let with = |delimiter, header| Some(Shape { delimiter, header });
        let table = [
            ("address,label\n".to_owned(), with(b',', true)),
            ("\u{feff}Address;Label\r\n".to_owned(), with(b';', true)),
            ("label\taddress\n".to_owned(), with(b'\t', true)),
            ("\"address\"|\"label, or tag\"\r".to_owned(), with(b'|', true)),
            ("# a remark, with commas\n\naddress\n".to_owned(), with(b',', true)),
            ("sep=;\nlabel;address\n".to_owned(), with(b';', true)),
            (format!("{A},a label\n"), with(b',', false)),
            (format!("{A};a label, with a comma\n"), with(b';', false)),
            (format!("\"{A}\"\n"), with(b',', false)),
            ("TEAqwfMhXLaomXhZ8KeMhx3njGmQEDnsUR,x\n".to_owned(), with(b',', false)),
            (format!("{A}\n"), None),
            (format!("{A} a label, with a comma\n"), None),
            (format!("{A}\ta label\n"), None),
            (format!("# address,label\n{A}\n"), None),
            ("label,source\n".to_owned(), None),
            (format!("[\n  \"{A}\",\n  \"{A}\"\n]\n"), None),
            (String::new(), None),
        ];
        for (text, expected) in table {
            assert_eq!(shape(text.as_bytes()), expected, "{text:?}");
        }
    }
}
