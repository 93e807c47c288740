//! The index: RocksDB, its rows, and the two ways in: one writer, any number of readers. `rocksdb` is named only under here.

pub mod bytes;
pub mod copy;
pub mod database;
pub mod derive;
mod derived_rows;
pub mod digest;
pub mod entries;
pub mod events;
pub mod keys;
pub mod meta;
mod read;
pub mod reader;
mod row_set;
pub mod rows;
pub mod schema;
mod script_rows;
pub mod stamp;
pub mod step;
pub mod sweeps;
mod synced;
pub mod values;
pub mod writer;

use std::path::PathBuf;

pub use database::View;
pub use derived_rows::{DerivedFamily, DerivedRow, RowMismatch};
pub use read::{RawRow, ReadRows};
pub use reader::Reader;
pub use row_set::{KeySet, RowChanges, RowSet};
pub use rows::{IndexKey, IndexRow, Recorded, ScriptCoin, Touch};
pub use schema::{FORMAT, Family};
pub use script_rows::{RowOfScript, ScriptRows};
pub use step::Step;
pub use writer::Writer;

/// What goes wrong with an index. Nothing here is ever repaired by wiping.
#[derive(Debug, thiserror::Error)]
pub enum IndexError {
    /// There is none.
    #[error("there is no index at {}; `coinhound backfill` makes one, `--index DIR` names another", path.display())]
    Missing {
        /// Where it was looked for.
        path: PathBuf,
    },
    /// The folder holds something else.
    #[error("{} is not a coinhound index; name an empty or a new folder with `--index DIR`", path.display())]
    NotAnIndex {
        /// The folder.
        path: PathBuf,
    },
    /// A folder that must be empty holds something.
    #[error("{} is not empty; name a new or an empty folder", path.display())]
    NotEmpty {
        /// The folder.
        path: PathBuf,
    },
    /// Files are missing or do not read as they were written.
    #[error("the index at {} is damaged: {detail}. Restore a backup, or move the folder away and run `coinhound backfill` again", path.display())]
    Damaged {
        /// The index.
        path: PathBuf,
        /// What was found.
        detail: String,
    },
    /// It was made from another chain.
    #[error("the index at {} is of {found}, not of {expected}; set `--chain`, or name another folder with `--index DIR`", path.display())]
    OtherChain {
        /// The index.
        path: PathBuf,
        /// The chain it is of.
        found: String,
        /// The chain asked for.
        expected: String,
    },
    /// It was written by another version.
    #[error("the index at {} has format {found}, and this coinhound reads format {FORMAT}; use the version that wrote it, or make a new index with `--index DIR`", path.display())]
    OtherFormat {
        /// The index.
        path: PathBuf,
        /// Its format.
        found: String,
    },
    /// Another process is writing to it.
    #[error("the index at {} is in use by {holder}; stop that first, or name another folder with `--index DIR`", path.display())]
    InUse {
        /// The index.
        path: PathBuf,
        /// Who holds it.
        holder: String,
    },
    /// It is not the one that was open before.
    #[error("the index at {} was replaced by another while it was followed; run this again", path.display())]
    Replaced {
        /// The index.
        path: PathBuf,
    },
    /// No quiet moment came to open it whole.
    #[error("the index at {} is busy; try again", path.display())]
    Busy {
        /// The index.
        path: PathBuf,
    },
    /// A row is not what the schema says.
    #[error(
        "a row of {family} (key {key}) is not laid out as format {FORMAT} says: the index is damaged; restore a backup, or move its folder away and run `coinhound backfill` again"
    )]
    Corrupt {
        /// Its family.
        family: &'static str,
        /// Its key, in hex.
        key: String,
    },
    /// The disk is full.
    #[error("the disk under {} is full; free some space and run this again: it goes on where it stopped", path.display())]
    Full {
        /// The index.
        path: PathBuf,
    },
    /// The file system said no.
    #[error("{}: {source}", path.display())]
    Io {
        /// What was asked for.
        path: PathBuf,
        /// Its answer.
        source: std::io::Error,
    },
    /// Anything else RocksDB reports.
    #[error("the index at {}: {detail}", path.display())]
    Storage {
        /// The index.
        path: PathBuf,
        /// RocksDB's words.
        detail: String,
    },
}

/// Shorthand of this layer.
pub type Result<T, E = IndexError> = std::result::Result<T, E>;
