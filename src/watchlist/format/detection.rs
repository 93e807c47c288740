//! What a format is, and what the beginning of a file says of its format.

use std::io::{self, BufRead};

use crate::watchlist::builder::ListBuilder;
use crate::watchlist::table::header::HEAD;
use crate::watchlist::text::is_margin;

/// One way to write a list.
pub struct ListFormat {
    /// Its name in settings and reports.
    pub name: &'static str,
    /// Whether a file that starts with these bytes (up to [`HEAD`]) is written so.
    pub detects: fn(head: &[u8]) -> bool,
    /// Puts each row of the input, which starts with `head`, into the list, and reads to the end. Never holds more than a few
    /// rows, so that a file may be larger than memory. A fault of a row is the list's; an error means that the input can't be read
    /// on, with [`io::ErrorKind::InvalidData`] for a file that isn't of this format after all.
    pub read: fn(head: &[u8], input: &mut dyn BufRead, list: &mut ListBuilder) -> io::Result<()>,
}

/// Whether a file starts like XML, JSON or a YAML document. Taken line by line, a JSON array of addresses looks like CSV.
pub fn is_marked_up(lines: &[String]) -> bool {
    let first = lines.iter().map(|line| line.trim_matches(is_margin)).find(|line| !line.is_empty());
    first.is_some_and(|line| line.starts_with(['<', '{', '[']) || line == "---" || line.starts_with("%YAML"))
}

/// The whole lines of the head, for detection, as text. A line that the head's end may have cut is left out.
pub fn head_lines(head: &[u8]) -> Vec<String> {
    let head = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head);
    let whole = u64::try_from(head.len()).is_ok_and(|length| length + 3 < HEAD);
    let text = String::from_utf8_lossy(head).replace("\r\n", "\n").replace('\r', "\n");
    let mut lines: Vec<String> = text.split('\n').map(str::to_owned).collect();
    if !whole && lines.len() > 1 {
        lines.pop();
    }
    lines
}
