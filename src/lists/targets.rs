//! The file of `screen --file`: opened, and read row by row.

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::Path;

use crate::error::Error;
use crate::watchlist::targets::{TargetReader, TargetRow, UnclearRow};

/// The rows of a file of targets, or of standard input if it is called `-`.
///
/// # Errors
/// [`Error::TargetsFile`] for a file that can't be opened or isn't text; each item may be one too, and is then the last.
pub fn open(path: &Path) -> Result<impl Iterator<Item = Result<Result<TargetRow, UnclearRow>, Error>> + use<>, Error> {
    let is_stdin = path == Path::new("-");
    let name = if is_stdin { "standard input".to_owned() } else { path.display().to_string() };
    let input: Box<dyn BufRead> = if is_stdin {
        Box::new(BufReader::new(io::stdin()))
    } else {
        Box::new(BufReader::new(File::open(path).map_err(|source| unreadable(&name, source))?))
    };
    let rows = TargetReader::new(input).map_err(|source| unreadable(&name, source))?;
    Ok(rows.map(move |row| row.map_err(|source| unreadable(&name, source))))
}

fn unreadable(name: &str, source: io::Error) -> Error {
    Error::TargetsFile { path: name.to_owned(), source }
}
