//! Why a file can't be read on, with its place; and an input that knows its line and bounds what is held of it at a time.

use std::cell::Cell;
use std::io::{self, BufRead, Read};
use std::rc::Rc;

use thiserror::Error;

/// What is wrong with a file as a whole. It travels as the inside of an [`io::Error`] through the parsers' readers.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{}{what}", .line.map_or_else(String::new, |line| format!("line {line}: ")))]
pub struct Fault {
    /// The line, from 1, if it has one.
    pub line: Option<u64>,
    /// What is wrong, with the way out. Never repeats the file's content.
    pub what: String,
}

impl Fault {
    /// The fault inside an error, however many errors are wrapped around it.
    pub fn within(error: &io::Error) -> Option<&Self> {
        let mut inner: Option<&(dyn std::error::Error + 'static)> = error.get_ref().map(|inner| inner as _);
        while let Some(error) = inner {
            if let Some(fault) = error.downcast_ref::<Self>() {
                return Some(fault);
            }
            inner = match error.downcast_ref::<io::Error>() {
                Some(error) => error.get_ref().map(|inner| inner as _),
                None => error.source(),
            };
        }
        None
    }
}

/// A fault in a line.
pub fn fault(line: u64, what: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, Fault { line: Some(line), what: what.into() })
}

/// A fault of the whole file.
pub fn whole_fault(what: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, Fault { line: None, what: what.into() })
}

/// Where a [`Metered`] input is: shared, since parsers own their input.
#[derive(Debug)]
pub struct Meter {
    line: Cell<u64>,
    used: Cell<usize>,
    limit: usize,
}

impl Meter {
    /// The line of the next byte, from 1.
    pub fn line(&self) -> u64 {
        self.line.get()
    }

    /// Begins a new piece: the bytes so far count no more.
    pub fn begin_piece(&self) {
        self.used.set(0);
    }
}

/// Passes an input through without its byte order mark, counts its lines, and fails if one piece of it grows too long.
pub struct Metered<R> {
    input: R,
    meter: Rc<Meter>,
    started: bool,
}

impl<R: BufRead> Metered<R> {
    /// Pieces may have `limit` bytes, give or take what the input buffers.
    pub fn new(input: R, limit: usize) -> Self {
        let meter = Meter { line: Cell::new(1), used: Cell::new(0), limit };
        Self { input, meter: Rc::new(meter), started: false }
    }

    /// Where it is.
    pub fn meter(&self) -> Rc<Meter> {
        Rc::clone(&self.meter)
    }
}

impl<R: BufRead> BufRead for Metered<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.meter.used.get() > self.meter.limit {
            let what = format!("one entry is longer than {} bytes, which none may be", self.meter.limit);
            return Err(fault(self.meter.line.get(), what));
        }
        if !self.started {
            self.started = true;
            if self.input.fill_buf()?.starts_with(b"\xef\xbb\xbf") {
                self.input.consume(3);
            }
        }
        self.input.fill_buf()
    }

    fn consume(&mut self, amount: usize) {
        // What was filled before is still there; nothing is read.
        if let Ok(buffer) = self.input.fill_buf() {
            let lines = buffer.iter().take(amount).filter(|byte| **byte == b'\n').count();
            self.meter.line.set(self.meter.line.get() + lines as u64);
        }
        self.meter.used.set(self.meter.used.get().saturating_add(amount));
        self.input.consume(amount);
    }
}

impl<R: BufRead> Read for Metered<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let available = self.fill_buf()?;
        let length = available.len().min(into.len());
        into[..length].copy_from_slice(&available[..length]);
        self.consume(length);
        Ok(length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_counted_and_a_long_piece_is_a_fault_with_its_line() {
        let mut input = Metered::new(&b"\xef\xbb\xbfab\ncd\nef"[..], 100);
        let meter = input.meter();
        let mut first = [0; 3];
        input.read_exact(&mut first).unwrap();
        assert_eq!((&first, meter.line()), (b"ab\n", 2));

        let text = "x\n".repeat(1000);
        let mut input = io::BufReader::with_capacity(8, text.as_bytes());
        let mut input = Metered::new(&mut input, 20);
        let error = input.read_to_end(&mut Vec::new()).unwrap_err();
        let fault = Fault::within(&error).unwrap();
        assert_eq!(fault.line, Some(13));
        assert!(fault.to_string().contains("line 13: one entry is longer than 20 bytes"), "{fault}");
    }

    #[test]
    fn a_fault_is_found_within_other_errors() {
        let inner = io::Error::other(std::sync::Arc::new(fault(3, "x")));
        let nested = io::Error::other(io::Error::other(fault(3, "x")));
        for error in [fault(3, "x"), nested] {
            assert_eq!(Fault::within(&error).map(|fault| fault.line), Some(Some(3)));
        }
        assert_eq!(Fault::within(&io::Error::other("x")), None);
        drop(inner);
    }
}
