//! Watchlists: what a file lists, row by row, and all lists together as entries. Takes `Read`, knows no disk and no clock.
//!
//! ```text
//! read ── archive     gzip and zip, unpacked on the way
//!   └── format     one way to write a list a file, and the choice among them
//!           ├── table     lines, quotes, delimiters, headers; targets (a file of `screen`) reads them too
//!           ├── fault     why a file can't be read on, and where
//!           └── builder   judges each row once: accepted, another chain's, a remark, quarantined
//!                 └── target   what one text names
//!                       └── secret   what may be a private key ── ss58
//! entries ── one entry per script of all lists; listing, report ── what a list says, what became of its rows; twins
//! ```
//!
//! A new format is a file under `format/` and a line in its table.

mod archive;
mod builder;
pub mod entries;
mod fault;
mod format;
mod listing;
mod report;
pub mod same_key;
mod secret;
mod ss58;
mod table;
mod target;
pub mod targets;
#[cfg(test)]
mod tests;
mod text;
pub mod twins;

pub use listing::{Label, List, ListOptions, Listing, Role};
pub use report::{ListError, Quarantined, Report};
pub use secret::{holds_key, masked};
pub use target::range::Range;
pub use target::{refusal, script};

use std::io::{self, BufReader, Cursor, Read};

use bitcoin::hashes::{Hash, HashEngine, sha256};

use self::fault::Fault;
use self::table::{encoding, header};
use crate::chain::Chain;

/// Reads a list to its end. `path` is what reports and labels call it; nothing is opened here.
///
/// # Errors
/// [`ListError`] if the input fails, isn't text, is in no known format, or has no valid row. A bad row is no error: it is
/// quarantined in the report, and the rest goes on.
pub fn read(input: &mut dyn Read, path: &str, chain: Chain, options: &ListOptions) -> Result<List, ListError> {
    let mut hashing = Hashing { input, engine: sha256::Hash::engine() };
    let unpacked = head(&mut hashing).map_err(Failed::Input).and_then(|head| {
        archive::unpack(&head, &mut hashing, archive::LIMITS, &mut |content| {
            read_content(content, path, chain, options)
        })
    });
    let (mut report, listings) = unpacked.map_err(|failed| match failed {
        Failed::Input(error) => unusable(path, None, error),
        Failed::List(error) => error,
    })?;
    report.sha256 = sha256::Hash::from_engine(hashing.engine).to_string();
    if report.accepted == 0 {
        return Err(ListError::NoValidRow { report: Box::new(report) });
    }
    Ok(List { report, listings })
}

/// Why a list can't be read: its input, or what it holds.
enum Failed {
    Input(io::Error),
    List(ListError),
}

impl From<io::Error> for Failed {
    fn from(error: io::Error) -> Self {
        Self::Input(error)
    }
}

/// Reads a list that isn't packed, or has been unpacked.
fn read_content(
    content: &mut dyn Read,
    path: &str,
    chain: Chain,
    options: &ListOptions,
) -> Result<(Report, Vec<Listing>), Failed> {
    let head = head(content)?;
    if let Some(what) = encoding::not_text(&head) {
        return Err(Failed::List(ListError::NotText { path: path.to_owned(), what }));
    }
    let format = format::choose(path, options.format.as_deref(), &head).map_err(Failed::List)?;
    let mut rows = builder::ListBuilder::new(Report::new(path, format.name), chain, options);
    let mut whole = BufReader::with_capacity(1 << 16, Cursor::new(&head).chain(content));
    let read = (format.read)(&head, &mut whole, &mut rows);
    read.map_err(|error| Failed::List(unusable(path, Some(format.name), error)))?;
    io::copy(&mut whole, &mut io::sink())?;
    Ok(rows.finish())
}

/// The beginning of an input, from which its format is found.
fn head(input: &mut dyn Read) -> io::Result<Vec<u8>> {
    let mut head = Vec::new();
    input.take(header::HEAD).read_to_end(&mut head)?;
    Ok(head)
}

/// The error of a file that can't be read on.
fn unusable(path: &str, format: Option<&'static str>, error: io::Error) -> ListError {
    let path = path.to_owned();
    match Fault::within(&error).cloned() {
        Some(source) => ListError::Damaged { path, format, source },
        None => ListError::Unreadable { path, source: error },
    }
}

/// Passes an input through, hashing what was read.
struct Hashing<'r> {
    input: &'r mut dyn Read,
    engine: sha256::HashEngine,
}

impl Read for Hashing<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.input.read(buffer)?;
        self.engine.input(&buffer[..length]);
        Ok(length)
    }
}
