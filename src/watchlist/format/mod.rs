//! The table of list formats, and the choice among them. One format is one file, and one line in the table.

mod columns;
mod csv;
mod plain;
mod record;

use std::io::{self, BufRead};

use super::ListError;
use super::rows::Rows;
use super::script::is_margin;

/// Bytes at a file's start by which its format is told.
pub const HEAD: u64 = 64 * 1024;

/// One way to write a list.
pub struct Format {
    /// Its name in settings and reports.
    pub name: &'static str,
    /// Whether a file that starts with these bytes (up to [`HEAD`]) is written so.
    detects: fn(head: &[u8]) -> bool,
    /// Puts each row of the input, which starts with `head`, into the rows, and reads to the end. Never holds more than a few
    /// rows, so that a file may be larger than memory. A fault of a row is told to the rows; an error means that the input
    /// can't be read on, with [`io::ErrorKind::InvalidData`] for a file that isn't of this format after all.
    pub read: fn(head: &[u8], input: &mut dyn BufRead, rows: &mut Rows) -> io::Result<()>,
}

/// Every format, in the order of detection: plain text, which looks like nothing in particular, comes last.
const FORMATS: &[Format] = &[csv::FORMAT, plain::FORMAT];

/// The format called `name`, or the first that recognises the head.
///
/// # Errors
/// [`ListError::UnknownFormat`], [`ListError::Unrecognised`]; both name the known ones.
pub fn choose(path: &str, name: Option<&str>, head: &[u8]) -> Result<&'static Format, ListError> {
    let known = || FORMATS.iter().map(|format| format.name).collect::<Vec<_>>().join(", ");
    match name {
        Some(name) => FORMATS
            .iter()
            .find(|format| format.name.eq_ignore_ascii_case(name))
            .ok_or_else(|| ListError::UnknownFormat { path: path.to_owned(), name: name.to_owned(), known: known() }),
        None => FORMATS
            .iter()
            .find(|format| (format.detects)(head))
            .ok_or_else(|| ListError::Unrecognised { path: path.to_owned(), known: known() }),
    }
}

/// Whether a file starts like XML, JSON or a YAML document. Taken line by line, a JSON array of addresses looks like CSV.
fn is_marked_up(lines: &[String]) -> bool {
    let first = lines.iter().map(|line| line.trim_matches(is_margin)).find(|line| !line.is_empty());
    first.is_some_and(|line| line.starts_with(['<', '{', '[']) || line == "---" || line.starts_with("%YAML"))
}

/// The whole lines of the head, for detection, as text. A line that the head's end may have cut is left out.
fn head_lines(head: &[u8]) -> Vec<String> {
    let head = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head);
    let whole = u64::try_from(head.len()).is_ok_and(|length| length + 3 < HEAD);
    let text = String::from_utf8_lossy(head).replace("\r\n", "\n").replace('\r', "\n");
    let mut lines: Vec<String> = text.split('\n').map(str::to_owned).collect();
    if !whole && lines.len() > 1 {
        lines.pop();
    }
    lines
}
