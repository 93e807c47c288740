//! Watchlists: what a file lists, row by row, and all lists together as entries. Takes `Read`, knows no disk and no clock.
//!
//! [`read`] finds out the format, has each row judged once, and reports on all of them; [`entries::merge`] makes one entry
//! per script. A new format is a file under `format/` and a line in its table.

mod address;
mod descriptor;
pub mod entries;
mod foreign;
mod format;
mod hex;
mod lines;
mod listing;
mod range;
pub mod refusal;
mod report;
mod rows;
pub mod same_key;
pub mod script;
mod secret;
#[cfg(test)]
mod tests;
mod text;
pub mod twins;

pub use listing::{Label, List, ListOptions, Listing, Role};
pub use range::Range;
pub use report::{ListError, Quarantined, Report};
pub use secret::{holds_key, masked};

use std::collections::BTreeMap;
use std::io::{self, BufReader, Cursor, Read};

use bitcoin::hashes::{Hash, HashEngine, sha256};

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
    (&mut hashing).take(format::HEAD).read_to_end(&mut head).map_err(unreadable)?;
    if let Some(what) = not_text(&head) {
        return Err(ListError::NotText { path: path.to_owned(), what });
    }
    let format = format::choose(path, options.format.as_deref(), &head)?;
    let report = Report {
        path: path.to_owned(),
        format: format.name,
        sha256: String::new(),
        accepted: 0,
        duplicates: 0,
        other_chain: 0,
        other_chains: BTreeMap::new(),
        quarantined: Vec::new(),
    };
    let mut rows = rows::Rows::new(report, chain, options);
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

/// What the bytes look like, if that is not text in UTF-8 or something close to it.
fn not_text(head: &[u8]) -> Option<&'static str> {
    const MAGIC: [(&[u8], &str); 8] = [
        (b"\xff\xfe", "UTF-16"),
        (b"\xfe\xff", "UTF-16"),
        (b"\0\0\xfe\xff", "UTF-32"),
        (b"PK\x03\x04", "a ZIP archive or spreadsheet"),
        (b"\x1f\x8b", "compressed by gzip"),
        (b"\x28\xb5\x2f\xfd", "compressed by zstd"),
        (b"%PDF", "a PDF"),
        (b"\xd0\xcf\x11\xe0", "an old spreadsheet"),
    ];
    let magic = MAGIC.iter().find(|(start, _)| head.starts_with(start)).map(|(_, what)| *what);
    // Text in UTF-16 without a mark has a zero in about every other byte.
    let zeros = head.iter().filter(|byte| **byte == 0).count();
    magic.or_else(|| (zeros > 3 && zeros * 5 > head.len()).then_some("binary, or UTF-16 without a mark"))
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
