//! Reads physical lines with their numbers: they end in LF, CRLF or CR; a byte order mark is removed; lines over [`MAX_LINE`] are cut.

use std::io::{self, BufRead};

/// The longest line that is kept, in bytes: a script of 500,000 bytes in hex fits.
pub const MAX_LINE: usize = 1 << 20;

/// One physical line, without its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// From 1.
    pub number: u64,
    /// At most [`MAX_LINE`].
    pub bytes: Vec<u8>,
    /// Whether the line was longer.
    pub cut: bool,
}

/// Reads the lines of an input.
pub struct LineReader<R> {
    input: R,
    number: u64,
    after_cr: bool,
}

impl<R: BufRead> LineReader<R> {
    /// The next line of `input` is line 1.
    pub fn new(input: R) -> Self {
        Self { input, number: 0, after_cr: false }
    }

    /// The next line; `None` at the end.
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
        let mut lines = LineReader::new(&mut input);
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
        let mut lines = LineReader::new(&mut input);
        let long = lines.next().unwrap().unwrap();
        assert_eq!((long.bytes.len(), long.cut), (MAX_LINE, true));
        assert_eq!(lines.next().unwrap(), Some(Line { number: 2, bytes: b"next".to_vec(), cut: false }));
        let exact = "y".repeat(MAX_LINE);
        assert!(!LineReader::new(&mut exact.as_bytes()).next().unwrap().unwrap().cut);
    }
}
