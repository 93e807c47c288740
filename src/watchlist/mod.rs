//! Watchlists: what a file lists, row by row, and all lists together as entries. Takes `Read`, knows no disk and no clock.
//!
//! [`read`] finds out the format, has each row judged once, and reports on all of them; [`entries::merge`] makes one entry
//! per script. A new format is a file under `format/` and a line in its table.

mod address;
mod descriptor;
pub mod entries;
mod foreign;
mod format;
mod lines;
pub mod reason;
mod rows;
pub mod script;
mod secret;
#[cfg(test)]
mod tests;
pub mod twins;

pub use secret::{holds_key, masked};

use std::collections::BTreeMap;
use std::io::{self, BufReader, Cursor, Read};
use std::str::FromStr;
use std::sync::Arc;

use bitcoin::ScriptBuf;
use bitcoin::hashes::{Hash, HashEngine, sha256};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::chain::{Chain, Height};

/// What a listed script is to the scan.
#[derive(Serialize, Deserialize, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Money to find.
    Flagged,
    /// A place where tracing stops, such as an exchange.
    Service,
}

impl FromStr for Role {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        match name {
            "flagged" => Ok(Self::Flagged),
            "service" => Ok(Self::Service),
            _ => Err(format!("no role is called '{name}'; one of flagged, service")),
        }
    }
}

/// What the user said of a file: `--watch FILE,role=service,label=TEXT,from=H`, or the settings' `[[watchlist]]`.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct ListOptions {
    /// The format's name; detected if none.
    pub format: Option<String>,
    /// For rows that name none; else flagged.
    pub role: Option<Role>,
    /// For rows that have none.
    pub label: Option<String>,
    /// For rows that say none.
    pub from: Option<Height>,
}

/// Who says what about a script. Stored as JSON in the index, so fields can be added.
#[derive(Serialize, Deserialize, Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Label {
    /// The file's path, as given.
    pub list: Arc<str>,
    /// The row's label, else the one given for the file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// Where the listing comes from, as the row says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// Category, as the row says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub category: Option<String>,
    /// What the script is to the scan.
    pub role: Role,
    /// The height from which its touches are wanted, where somebody said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Height>,
    /// The line that the row starts on, from 1.
    pub line: u64,
    /// Other cells of the row that aren't empty, by column.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub extra: BTreeMap<String, String>,
}

impl Label {
    /// The list it comes from, by its file's name.
    pub fn list_name(&self) -> String {
        self.list.rsplit(['/', '\\']).next().unwrap_or_default().to_owned()
    }

    /// Its text; where its list gives none, the list's name.
    pub fn text(&self) -> String {
        self.label.clone().unwrap_or_else(|| self.list_name())
    }
}

/// A script and what one row says of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Listing {
    /// The script.
    pub script: ScriptBuf,
    /// What is said.
    pub label: Label,
}

/// A row that was not taken.
#[derive(Serialize, Clone, PartialEq, Eq, Debug)]
pub struct Quarantined {
    /// The line it starts on, from 1.
    pub line: u64,
    /// The row, shortened, and without anything that may be a private key. Control characters are left as they are (but for
    /// zero bytes): who prints it, escapes it.
    pub text: String,
    /// Why, with the way out.
    pub reason: String,
}

/// What became of a file's rows. Each row that is neither blank nor a remark is counted once, under one of the four.
#[derive(Serialize, Clone, PartialEq, Eq, Debug)]
pub struct Report {
    /// The file's path, as given.
    pub path: String,
    /// The name of its format.
    pub format: &'static str,
    /// SHA-256 of its bytes, in hex.
    pub sha256: String,
    /// Rows taken. A row of several scripts counts once.
    pub accepted: u64,
    /// Rows that say again what an earlier one of this file said of the same scripts.
    pub duplicates: u64,
    /// Rows of other chains.
    pub other_chain: u64,
    /// The same by the chains' names.
    pub other_chains: BTreeMap<String, u64>,
    /// Rows that were not taken.
    pub quarantined: Vec<Quarantined>,
}

/// A file that was read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct List {
    /// What became of its rows.
    pub report: Report,
    /// What it lists, in the file's order. The same script may come several times, with different labels.
    pub listings: Vec<Listing>,
}

/// Why a file can't be used at all. It stops the run: an entry that is silently missing would look like a clean one.
#[derive(Debug, Error)]
pub enum ListError {
    /// The input failed.
    #[error("cannot read the list {path}")]
    Unreadable {
        /// The file's path, as given.
        path: String,
        /// What the system says.
        source: io::Error,
    },
    /// Not text in UTF-8.
    #[error("the list {path} is {what}, not text; save it as UTF-8 text or CSV")]
    NotText {
        /// The file's path, as given.
        path: String,
        /// What it looks like.
        what: &'static str,
    },
    /// No format of that name.
    #[error("no list format is called '{name}' (for {path}); one of {known}")]
    UnknownFormat {
        /// The file's path, as given.
        path: String,
        /// What was asked for.
        name: String,
        /// The formats' names.
        known: String,
    },
    /// No format recognises it.
    #[error("the list {path} is in none of the known formats ({known}); convert it to one of them")]
    Unrecognised {
        /// The file's path, as given.
        path: String,
        /// The formats' names.
        known: String,
    },
    /// Nothing in it can be watched.
    #[error("{}", no_valid_row(.report))]
    NoValidRow {
        /// What became of its rows.
        report: Box<Report>,
    },
}

fn no_valid_row(report: &Report) -> String {
    let path = &report.path;
    let format = report.format;
    match (report.quarantined.first(), report.other_chain) {
        (Some(row), _) => format!(
            "the list {path} has no valid row (read as {format}, {} refused); the first, line {}: {}",
            report.quarantined.len(),
            row.line,
            row.reason
        ),
        (None, 0) => format!("the list {path} has no row at all; check the file, or leave it out"),
        (None, others) => format!("the list {path} has only rows of other chains ({others}); leave it out"),
    }
}

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
