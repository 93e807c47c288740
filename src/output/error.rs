//! The errors of printing.

use std::io;

/// Why an answer couldn't be printed.
#[derive(Debug, thiserror::Error)]
pub enum OutputError {
    /// The reader has gone. That is no failure.
    #[error("the reader closed the pipe")]
    Closed,
    /// There is nowhere to print to.
    #[error("stdout is closed, so the answer can't be printed; to discard it, redirect stdout to /dev/null")]
    NoStdout,
    /// Writing failed.
    #[error("the answer could not be written: {0}")]
    Io(io::Error),
}

impl From<csv::Error> for OutputError {
    fn from(error: csv::Error) -> Self {
        match error.into_kind() {
            csv::ErrorKind::Io(error) => Self::from(error),
            other => Self::Io(io::Error::other(format!("{other:?}"))),
        }
    }
}

impl From<io::Error> for OutputError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::Closed,
            _ => Self::Io(error),
        }
    }
}
