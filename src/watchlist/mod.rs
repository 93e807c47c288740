//! Watchlists: what a file lists, row by row, and all lists together as entries. Takes `Read`, knows no disk and no clock.
//!
//! ```text
//! read ── format     one way to write a list a file, and the choice among them
//!           ├── table     lines, quotes, delimiters, headers; targets (a file of `screen`) reads them too
//!           └── builder   judges each row once: accepted, another chain's, a remark, quarantined
//!                 ├── target   what one text names
//!                 └── secret   what may be a private key
//! entries ── one entry per script of all lists; listing, report ── what a list says, what became of its rows; twins
//! ```
//!
//! A new format is a file under `format/` and a line in its table.

mod builder;
pub mod entries;
mod format;
mod listing;
mod report;
pub mod same_key;
mod secret;
mod table;
mod target;
pub mod targets;
#[cfg(test)]
mod tests;
pub mod twins;

pub use listing::{Label, List, ListOptions, Listing, Role};
pub use report::{ListError, Quarantined, Report};
pub use secret::{holds_key, masked};
pub use target::range::Range;
pub use target::{refusal, script};

use std::collections::BTreeMap;
use std::io::{self, BufReader, Cursor, Read};

use bitcoin::hashes::{Hash, HashEngine, sha256};

use self::table::{encoding, header};
use crate::chain::Chain;

/// Reads a list to its end. `path` is what reports and labels call it; nothing is opened here.
///
/// # Errors
/// [`ListError`] if the input fails, isn't text, is in no known format, or has no valid row. A bad row is no error: it is
/// quarantined in the report, and the rest goes on.
pub fn read(input: &mut dyn Read, path: &str, chain: Chain, options: &ListOptions) -> Result<List, ListError> {
    let unreadable = |source| ListError::Unreadable { path: path.to_owned(), source };
    let mut hashing = Hashing { input, engine: sha256::Hash::engine() };
    let mut head = Vec::new();
    (&mut hashing).take(header::HEAD).read_to_end(&mut head).map_err(unreadable)?;
    if let Some(what) = encoding::not_text(&head) {
        return Err(ListError::NotText { path: path.to_owned(), what });
    }
    let format = format::choose(path, options.format.as_deref(), &head)?;
    let report = Report {
        path: path.to_owned(),
        format: format.name,
        sha256: String::new(),
        rows: 0,
        accepted: 0,
        duplicates: 0,
        other_chain: 0,
        other_chains: BTreeMap::new(),
        remarks: 0,
        remarks_with_target: 0,
        commented_out: Vec::new(),
        hidden: 0,
        quarantined: Vec::new(),
    };
    let mut rows = builder::ListBuilder::new(report, chain, options);
    let mut whole = BufReader::with_capacity(1 << 16, Cursor::new(&head).chain(&mut hashing));
    (format.read)(&head, &mut whole, &mut rows).map_err(unreadable)?;
    // The digest is of all bytes, also of those that a format leaves unread.
    io::copy(&mut whole, &mut io::sink()).map_err(unreadable)?;
    drop(whole);
    let (mut report, listings) = rows.finish();
    report.sha256 = sha256::Hash::from_engine(hashing.engine).to_string();
    if report.accepted == 0 {
        return Err(ListError::NoValidRow { report: Box::new(report) });
    }
    Ok(List { report, listings })
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
