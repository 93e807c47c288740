//! Rows of a table: records that may run over several lines within quotes, each with the line it starts on.

use std::collections::VecDeque;
use std::io::{self, BufRead};

use super::lines::{Line, LineReader, MAX_LINE};
use super::record::{self, ListRecord};
use crate::watchlist::target::refusal::Refusal;

/// One row, before it is split into cells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TextRow {
    /// The line it starts on, from 1.
    pub line: u64,
    /// Its text, with the line ends within its quotes; bytes that aren't UTF-8 are replaced.
    pub text: String,
    /// Why it can't be used, whatever it says.
    pub fault: Option<Refusal>,
    /// Whether a quote of an earlier line may still be open here: then a line may be part of some text, and no row at all.
    pub doubtful: bool,
}

/// Reads the rows of an input.
pub struct RowReader<R> {
    lines: LineReader<R>,
    /// Lines that a quote took and had to give back.
    back: VecDeque<Line>,
    /// Whether a quote was left open before the next line.
    doubtful: bool,
}

impl<R: BufRead> RowReader<R> {
    /// The next line of `input` is line 1.
    pub fn new(input: R) -> Self {
        Self { lines: LineReader::new(input), back: VecDeque::new(), doubtful: false }
    }

    /// The next line as a row, whatever its quotes.
    ///
    /// # Errors
    /// Those of the input, as in all that follow.
    pub fn next_line(&mut self) -> io::Result<Option<TextRow>> {
        Ok(self.line()?.map(|line| Self::row(line, false)))
    }

    /// The next row. A quoted cell that closes is one cell (RFC 4180), whatever its lines look like. One that doesn't close, or closes
    /// amid text, costs its own line; the lines after it are rows again.
    ///
    /// # Errors
    /// Those of the input.
    pub fn next(&mut self, delimiter: u8) -> io::Result<Option<TextRow>> {
        let Some(first) = self.line()? else { return Ok(None) };
        let mut row = Self::row(first, self.doubtful);
        if row.fault.is_some() {
            return Ok(Some(row));
        }
        let (open, stray) = quotes(&row.text, delimiter);
        if !open {
            let odd = row.text.bytes().filter(|byte| *byte == b'"').count() % 2 == 1;
            if odd && (stray || self.doubtful) {
                self.doubtful = !self.doubtful;
            }
            return Ok(Some(row));
        }
        let mut further: Vec<Line> = Vec::new();
        let mut text = row.text.clone();
        while text.len() < MAX_LINE {
            let Some(line) = self.line()? else { break };
            let next = std::str::from_utf8(&line.bytes).ok().filter(|_| !line.cut).map(ToOwned::to_owned);
            further.push(line);
            let Some(next) = next else { break };
            text.push('\n');
            text.push_str(&next);
            match quotes_within(&next, delimiter) {
                (_, true) => break,
                (true, false) => {}
                (false, false) => {
                    row.text = text;
                    return Ok(Some(row));
                }
            }
        }
        row.fault = Some(Refusal::Unquoted);
        self.doubtful = true;
        for line in further.into_iter().rev() {
            self.back.push_front(line);
        }
        Ok(Some(row))
    }

    fn line(&mut self) -> io::Result<Option<Line>> {
        match self.back.pop_front() {
            Some(line) => Ok(Some(line)),
            None => self.lines.next(),
        }
    }

    fn row(line: Line, doubtful: bool) -> TextRow {
        let (text, fault) = match String::from_utf8(line.bytes) {
            Ok(text) if line.cut => (text, Some(Refusal::TooLong(MAX_LINE))),
            Ok(text) => (text, None),
            Err(error) => {
                let fault = if line.cut { Refusal::TooLong(MAX_LINE) } else { Refusal::NotUtf8 };
                (String::from_utf8_lossy(error.as_bytes()).into_owned(), Some(fault))
            }
        };
        TextRow { line: line.number, text, fault, doubtful }
    }
}

/// Whether the text ends within a quote, and whether text follows a closing quote.
fn quotes(text: &str, delimiter: u8) -> (bool, bool) {
    if !text.contains('"') {
        return (false, false);
    }
    let record = ListRecord::split(text, delimiter);
    (record.open, record.stray)
}

/// The same of a line that begins within a quote.
fn quotes_within(line: &str, delimiter: u8) -> (bool, bool) {
    let Some(end) = record::end_of_quote(line) else { return (true, false) };
    let rest = &line[end..];
    match rest.split_once(char::from(delimiter)) {
        Some((tail, rest)) => {
            let (open, stray) = quotes(rest, delimiter);
            (open, stray || !tail.trim().is_empty())
        }
        None => (false, !rest.trim().is_empty()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(text: &str) -> Vec<(u64, String, bool, bool)> {
        let mut reader = RowReader::new(text.as_bytes());
        let mut rows = Vec::new();
        while let Some(row) = reader.next(b',').unwrap() {
            rows.push((row.line, row.text, row.fault.is_none(), row.doubtful));
        }
        rows
    }

    fn row(line: u64, text: &str, good: bool, doubtful: bool) -> (u64, String, bool, bool) {
        (line, text.to_owned(), good, doubtful)
    }

    #[test]
    fn a_quote_that_closes_makes_one_row_however_long_it_is() {
        assert_eq!(rows("a,\"b\nc,d\n\ne\"\nf"), [row(1, "a,\"b\nc,d\n\ne\"", true, false), row(5, "f", true, false)]);
        let long = format!("a,\"{}\"\nb", "line\n".repeat(5_000));
        assert_eq!(rows(&long).len(), 2);
    }

    #[test]
    fn a_quote_that_does_not_close_costs_its_line_and_casts_doubt_on_the_next() {
        let open = [row(1, "a,\"b", false, false), row(2, "c", true, true), row(3, "d,e", true, true)];
        assert_eq!(rows("a,\"b\nc\nd,e"), open);
        let stray = [row(1, "a,\"b", false, false), row(2, "c,\"d\"", true, true), row(3, "e", true, true)];
        assert_eq!(rows("a,\"b\nc,\"d\"\ne"), stray);
        // An odd number of quotes, the last amid text: the cell may go on.
        let odd = [
            row(1, "a,\"b \"c", true, false),
            row(2, "d", true, true),
            row(3, "e\"", true, true),
            row(4, "f", true, false),
        ];
        assert_eq!(rows("a,\"b \"c\"\nd\ne\"\nf").len(), 4);
        assert_eq!(rows("a,\"b \"c\"\nd\ne\"\nf")[1..], odd[1..]);
        assert_eq!(rows("a,5\" pipe\nb"), [row(1, "a,5\" pipe", true, false), row(2, "b", true, false)]);
    }

    #[test]
    fn a_quote_is_sought_within_the_longest_row_only() {
        let text = format!("a,\"{}\nb", "x\n".repeat(MAX_LINE));
        let mut reader = RowReader::new(text.as_bytes());
        let first = reader.next(b',').unwrap().unwrap();
        assert_eq!((first.line, first.fault), (1, Some(Refusal::Unquoted)));
        assert_eq!(reader.next(b',').unwrap().unwrap().line, 2);
    }
}
