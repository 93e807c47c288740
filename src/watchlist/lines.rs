//! Bytes to physical lines with their numbers: LF, CRLF or lone CR, a byte order mark taken off, long lines cut.

use std::io::{self, BufRead};

/// Longest line that is kept, in bytes. A script of 500,000 bytes in hex fits.
pub const MAX_LINE: usize = 1 << 20;

/// One physical line, without its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// Its number in the file, from 1.
    pub number: u64,
    /// Its bytes, at most [`MAX_LINE`] of them.
    pub bytes: Vec<u8>,
    /// Whether it was longer.
    pub cut: bool,
}

/// The lines of an input.
pub struct Lines<'r> {
    input: &'r mut dyn BufRead,
    number: u64,
    after_cr: bool,
}

impl<'r> Lines<'r> {
    /// Lines of `input`, the next of which is line 1.
    pub fn new(input: &'r mut dyn BufRead) -> Self {
        Self { input, number: 0, after_cr: false }
    }

    /// The next line; none at the end.
    ///
    /// # Errors
    /// Those of the input.
    pub fn next(&mut self) -> io::Result<Option<Line>> {
        let mut line = Line { number: self.number + 1, bytes: Vec::new(), cut: false };
        let mut any = false;
        loop {
            let buffer = match self.input.fill_buf() {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                result => result?,
            };
            if buffer.is_empty() {
                break;
            }
            if self.after_cr {
                self.after_cr = false;
                if buffer[0] == b'\n' {
                    self.input.consume(1);
                    continue;
                }
            }
            any = true;
            let end = buffer.iter().position(|byte| matches!(byte, b'\n' | b'\r'));
            let part = &buffer[..end.unwrap_or(buffer.len())];
            let room = MAX_LINE - line.bytes.len();
            line.cut |= part.len() > room;
            line.bytes.extend_from_slice(&part[..part.len().min(room)]);
            let used = part.len();
            if let Some(end) = end {
                self.after_cr = buffer[end] == b'\r';
                self.input.consume(used + 1);
                break;
            }
            self.input.consume(used);
        }
        if !any {
            return Ok(None);
        }
        self.number += 1;
        if line.number == 1 && line.bytes.starts_with(b"\xef\xbb\xbf") {
            line.bytes.drain(..3);
        }
        Ok(Some(line))
    }
}

#[cfg(test)]
mod tests {
    use std::io::BufReader;

    use super::*;

    fn all(bytes: &[u8], buffer: usize) -> Vec<(u64, String)> {
        let mut input = BufReader::with_capacity(buffer, bytes);
        let mut lines = Lines::new(&mut input);
        let mut found = Vec::new();
        while let Some(line) = lines.next().unwrap() {
            found.push((line.number, String::from_utf8(line.bytes).unwrap()));
        }
        found
    }

    #[test]
    fn lines_end_in_any_way_and_keep_their_numbers() {
        let table: [(&str, &[&str]); 7] = [
            ("", &[]),
            ("a", &["a"]),
            ("a\nb\n", &["a", "b"]),
            ("a\r\nb\r\n\r\nc", &["a", "b", "", "c"]),
            ("a\rb\r\rc\r", &["a", "b", "", "c"]),
            ("\n\r\n\r", &["", "", ""]),
            ("\u{feff}a\n\u{feff}b", &["a", "\u{feff}b"]),
        ];
        for (text, expected) in table {
            let expected: Vec<_> = (1..).zip(expected.iter().map(|line| (*line).to_owned())).collect();
            for buffer in [1, 2, 3, 100] {
                assert_eq!(all(text.as_bytes(), buffer), expected, "{text:?} by {buffer}");
            }
        }
    }

    #[test]
    fn a_long_line_is_cut_and_the_next_is_whole() {
        let mut text = "x".repeat(MAX_LINE + 1);
        text.push_str("\nnext");
        let mut input = text.as_bytes();
        let mut lines = Lines::new(&mut input);
        let long = lines.next().unwrap().unwrap();
        assert_eq!((long.bytes.len(), long.cut), (MAX_LINE, true));
        assert_eq!(lines.next().unwrap(), Some(Line { number: 2, bytes: b"next".to_vec(), cut: false }));
        let exact = "y".repeat(MAX_LINE);
        assert!(!Lines::new(&mut exact.as_bytes()).next().unwrap().unwrap().cut);
    }
}
