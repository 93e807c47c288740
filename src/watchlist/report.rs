//! What became of the rows of a list, and the errors for which a list can't be used.

use std::collections::BTreeMap;
use std::io;

use serde::Serialize;
use thiserror::Error;

use super::fault::Fault;

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

/// A remark that holds an address: perhaps a row that was taken out by hand.
#[derive(Serialize, Clone, PartialEq, Eq, Debug)]
pub struct CommentedOut {
    /// Its line, from 1.
    pub line: u64,
    /// The remark, shortened as [`Quarantined::text`].
    pub text: String,
}

/// What became of a file's rows. Each row but blank ones and the header is counted once, as accepted, a duplicate, another chain's, a
/// remark or quarantined.
#[derive(Serialize, Clone, PartialEq, Eq, Debug)]
pub struct Report {
    /// The file's path, as given.
    pub path: String,
    /// The name of its format.
    pub format: &'static str,
    /// The day on which it was published, as the file says.
    pub published: Option<String>,
    /// SHA-256 of its bytes, in hex.
    pub sha256: String,
    /// All rows: the sum of the five counts.
    pub rows: u64,
    /// Rows taken. A row of several scripts counts once.
    pub accepted: u64,
    /// Rows that say again what an earlier one of this file said of the same scripts.
    pub duplicates: u64,
    /// Rows of other chains.
    pub other_chain: u64,
    /// The same by the chains' names.
    pub other_chains: BTreeMap<String, u64>,
    /// Rows that are no data: remarks, titles above the header, and what a format says is no address.
    pub remarks: u64,
    /// Remarks that hold an address.
    pub remarks_with_target: u64,
    /// The first of them.
    pub commented_out: Vec<CommentedOut>,
    /// Cells of accepted rows that are not kept, as they may hold a private key.
    pub hidden: u64,
    /// Rows that were not taken.
    pub quarantined: Vec<Quarantined>,
}

impl Report {
    /// Of a file of which no row was read yet.
    pub(super) fn new(path: &str, format: &'static str) -> Self {
        Self {
            path: path.to_owned(),
            format,
            published: None,
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
        }
    }
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
    /// Not what its format must be, damaged, or beyond a limit.
    #[error("cannot read the list {path}{}", .format.map_or_else(String::new, |format| format!(" as {format}")))]
    Damaged {
        /// The file's path, as given.
        path: String,
        /// The name of its format, if it is known.
        format: Option<&'static str>,
        /// What is wrong, and where.
        source: Fault,
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
    /// No column is named as the one of the addresses.
    #[error(
        "the list {path} has columns, but line {line} names none of them as the one of the addresses; name it in a header line; known are {known}"
    )]
    NoAddressColumn {
        /// The file's path, as given.
        path: String,
        /// The line where the header was expected.
        line: u64,
        /// Names that are known.
        known: &'static str,
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
    let chains: Vec<String> = report.other_chains.iter().map(|(chain, count)| format!("{chain} {count}")).collect();
    match (report.quarantined.first(), report.other_chain) {
        (Some(row), _) => format!(
            "the list {path} has no valid row (read as {format}, {} refused); the first, line {}: {}",
            report.quarantined.len(),
            row.line,
            row.reason
        ),
        (None, 0) if report.rows == 0 => format!("the list {path} has no row at all; check the file, or leave it out"),
        (None, 0) => format!("the list {path} has only remarks ({}); check the file, or leave it out", report.rows),
        (None, _) => format!("the list {path} has only rows of other chains ({}); leave it out", chains.join(", ")),
    }
}
