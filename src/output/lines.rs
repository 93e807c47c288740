//! Rows without coverage, maybe without an end: printed as they come, complete at every pause.

use std::io::{self, Write};

use serde_json::Value;

use super::columns::{Column, TABLE_CHUNK, csv_cells, lay_out};
use super::{Format, OutputError, json};

/// Prints rows one by one.
pub struct RowPrinter<'a, W: Write> {
    out: Out<W>,
    format: Format,
    columns: &'a [Column],
    printed: u64,
    /// Rows of a table that have not been laid out.
    waiting: Vec<Value>,
    titled: bool,
}

enum Out<W: Write> {
    Plain(W),
    Csv(Box<csv::Writer<W>>),
}

impl<'a> RowPrinter<'a, io::BufWriter<io::StdoutLock<'static>>> {
    /// Prints to stdout.
    ///
    /// # Errors
    /// [`OutputError`], as in all that follow.
    pub fn to_stdout(format: Format, columns: &'a [Column]) -> Result<Self, OutputError> {
        Self::new(io::BufWriter::new(io::stdout().lock()), format, columns)
    }
}

impl<'a, W: Write> RowPrinter<'a, W> {
    fn new(out: W, format: Format, columns: &'a [Column]) -> Result<Self, OutputError> {
        let out = match format {
            Format::Csv => {
                let mut csv = csv::Writer::from_writer(out);
                csv.write_record(columns.iter().map(|column| column.field))?;
                Out::Csv(Box::new(csv))
            }
            Format::Json | Format::Jsonl | Format::Table => Out::Plain(out),
        };
        let mut lines = Self { out, format, columns, printed: 0, waiting: Vec::new(), titled: false };
        if format == Format::Json {
            lines.write("[\n")?;
        }
        Ok(lines)
    }

    /// Adds a row.
    pub fn row(&mut self, row: Value) -> Result<(), OutputError> {
        match (self.format, &mut self.out) {
            (_, Out::Csv(csv)) => {
                csv.write_record(csv_cells(self.columns, &row))?;
            }
            // The comma stands in front, so that each line is complete as soon as its row is printed.
            (Format::Json, _) => {
                let comma = if self.printed > 0 { "," } else { " " };
                self.write(&format!("{comma} {}\n", json::line(&row)))?;
            }
            (Format::Table, _) => {
                self.waiting.push(row);
                if self.waiting.len() >= TABLE_CHUNK {
                    self.print_waiting()?;
                }
            }
            _ => self.write(&format!("{}\n", json::line(&row)))?,
        }
        self.printed += 1;
        Ok(())
    }

    /// Flushes all rows until now.
    pub fn pause(&mut self) -> Result<(), OutputError> {
        if self.format == Format::Table && !(self.titled && self.waiting.is_empty()) {
            self.print_waiting()?;
        }
        match &mut self.out {
            Out::Plain(out) => out.flush()?,
            Out::Csv(csv) => csv.flush()?,
        }
        Ok(())
    }

    /// Ends the answer.
    pub fn end(mut self) -> Result<(), OutputError> {
        if self.format == Format::Json {
            self.write("]\n")?;
        }
        self.pause()
    }

    /// Prints the waiting rows of a table; only the first time under titles.
    fn print_waiting(&mut self) -> Result<(), OutputError> {
        let text = lay_out(self.columns, &self.waiting, !self.titled).to_string();
        (self.titled, self.waiting) = (true, Vec::new());
        self.write(&text)
    }

    fn write(&mut self, text: &str) -> Result<(), OutputError> {
        if let Out::Plain(out) = &mut self.out {
            out.write_all(text.as_bytes())?;
        }
        Ok(())
    }
}

/// Finds out without writing whether the reader of stdout has gone, so that a run without new rows ends too.
///
/// # Errors
/// [`OutputError::Closed`] if it has.
#[cfg(unix)]
pub fn check_reader() -> Result<(), OutputError> {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    let stdout = io::stdout();
    let mut fds = [PollFd::new(&stdout, PollFlags::empty())];
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    // If the poll itself fails, writing the next row finds it out.
    let is_closed = poll(&mut fds, Some(&now)).is_ok() && fds[0].revents().intersects(PollFlags::ERR | PollFlags::HUP);
    if is_closed { Err(OutputError::Closed) } else { Ok(()) }
}

/// Finds out nothing on this system: writing the next row does.
///
/// # Errors
/// None.
#[cfg(not(unix))]
pub fn check_reader() -> Result<(), OutputError> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::{Kind, columns::column};
    use serde_json::json;

    const COLUMNS: [Column; 3] = [
        column("seq", "seq", Kind::Number),
        column("value_sat", "BTC", Kind::Btc),
        column("labels", "labels", Kind::Text),
    ];

    fn printed(format: Format, chunks: &[&[Value]]) -> String {
        let mut bytes = Vec::new();
        let mut lines = RowPrinter::new(&mut bytes, format, &COLUMNS).unwrap();
        for chunk in chunks {
            chunk.iter().for_each(|row| lines.row(row.clone()).unwrap());
            lines.pause().unwrap();
        }
        lines.end().unwrap();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn rows_are_whole_in_every_format_however_often_they_pause() {
        let rows = [
            json!({"seq": 1, "value_sat": 5, "labels": ["=x", "y"]}),
            json!({"seq": 2, "kind": "reorg"}),
            json!({"seq": 3, "value_sat": 100_000_000, "labels": ["\u{1b}[2J"]}),
        ];
        for chunks in [vec![&rows[..]], vec![&rows[..1], &[], &rows[1..], &[]], vec![&[], &rows[..2], &rows[2..]]] {
            assert_eq!(serde_json::from_str::<Vec<Value>>(&printed(Format::Json, &chunks)).unwrap(), rows);
            let lines = printed(Format::Jsonl, &chunks);
            assert_eq!(lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect::<Vec<Value>>(), rows);
            let csv = printed(Format::Csv, &chunks);
            assert_eq!(csv, "seq,value_sat,labels\n1,5,'=x; y\n2,,\n3,100000000,\\u{1b}[2J\n");
            let table = printed(Format::Table, &chunks);
            let words: Vec<Vec<_>> = table.lines().map(|line| line.split_whitespace().collect()).collect();
            let expected = [
                vec!["SEQ", "BTC", "LABELS"],
                vec!["1", "0.00000005", "=x;", "y"],
                vec!["2", "–", "–"],
                vec!["3", "1.00000000", "\\u{1b}[2J"],
            ];
            assert_eq!(words, expected);
        }
        assert_eq!(printed(Format::Json, &[]), "[\n]\n");
        assert_eq!(printed(Format::Jsonl, &[&[]]), "");
    }
}
