//! The table of list formats, and the choice among them. One format is one file, and one line in the table.

mod columns;
mod csv;
mod detection;
mod plain;
mod record;

use super::ListError;

pub use detection::{Format, HEAD};

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
