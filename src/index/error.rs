//! What goes wrong with an index. None of it is ever repaired by deleting something.

use std::path::{Path, PathBuf};

use super::schema::FORMAT;

/// An index can't be used, or not now.
#[derive(Debug, thiserror::Error)]
pub enum IndexError {
    /// No index at this path.
    #[error("there is no index at {}; `coinhound backfill` makes one, `--index DIR` names another", path.display())]
    Missing {
        /// The folder.
        path: PathBuf,
    },
    /// The folder holds something else.
    #[error("{} is not a coinhound index; name an empty or a new folder with `--index DIR`", path.display())]
    NotAnIndex {
        /// The folder.
        path: PathBuf,
    },
    /// A folder that must be empty is not.
    #[error("{} is not empty; name a new or an empty folder", path.display())]
    NotEmpty {
        /// The folder.
        path: PathBuf,
    },
    /// Files are missing, or do not read as they were written.
    #[error("the index at {} is damaged: {detail}. Restore a backup, or move the folder away and run `coinhound backfill` again", path.display())]
    Damaged {
        /// The folder.
        path: PathBuf,
        /// What was found.
        detail: String,
    },
    /// The end of the write-ahead log is missing or does not read.
    #[error("the index at {} is damaged: it lost the end of its log: {detail}. Run `coinhound backfill --accept-lost-tail`, which goes on from what is left and scans the rest again; or restore a backup; or move the folder away and run `coinhound backfill`", path.display())]
    LostTail {
        /// The folder.
        path: PathBuf,
        /// What was found.
        detail: String,
    },
    /// The index was made from another chain.
    #[error("the index at {} is of {found}, not of {expected}; set `--chain`, or name another folder with `--index DIR`", path.display())]
    OtherChain {
        /// The folder.
        path: PathBuf,
        /// The index's chain.
        found: String,
        /// The chain of the settings or the node.
        expected: String,
    },
    /// The index was written by another version of this program.
    #[error("the index at {} has format {found}, and this coinhound reads format {FORMAT}; use the version that wrote it, or make a new index with `--index DIR`", path.display())]
    OtherFormat {
        /// The folder.
        path: PathBuf,
        /// The index's format.
        found: String,
    },
    /// Another process is writing to the index.
    #[error("the index at {} is in use by {holder}; stop that first, or name another folder with `--index DIR`", path.display())]
    InUse {
        /// The folder.
        path: PathBuf,
        /// That process.
        holder: String,
    },
    /// The index is not the one that was open before.
    #[error("the index at {} was replaced by another one while this command read it; run the command again", path.display())]
    Replaced {
        /// The folder.
        path: PathBuf,
    },
    /// A writer changed the files during every attempt to open the index.
    #[error("the index at {} is busy: another process writes to it all the time; try again", path.display())]
    Busy {
        /// The folder.
        path: PathBuf,
    },
    /// A row is missing, contradicts another row, or does not have the layout that the schema states.
    #[error(
        "the index is damaged: its row of {family} with key {key} is missing or does not fit format {FORMAT}; restore a backup, or move its folder away and run `coinhound backfill` again"
    )]
    Corrupt {
        /// The row's family.
        family: &'static str,
        /// The row's key, in hex.
        key: String,
    },
    /// The disk is full.
    #[error("the disk under {} is full; free some space and run the command again: it resumes where it stopped", path.display())]
    Full {
        /// The folder.
        path: PathBuf,
    },
    /// The file system refused something.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
    /// Anything else that RocksDB reports.
    #[error("the index at {}: {detail}", path.display())]
    Storage {
        /// The folder.
        path: PathBuf,
        /// RocksDB's message.
        detail: String,
    },
}

impl IndexError {
    /// What becomes of an error of the file system at `path`.
    pub(super) fn io(path: &Path) -> impl Fn(std::io::Error) -> Self {
        |source| Self::Io { path: path.to_owned(), source }
    }

    /// Whether the index is at fault, so that no later run finds it otherwise: it is damaged, of another chain or format, or none.
    pub fn is_lasting(&self) -> bool {
        match self {
            Self::NotAnIndex { .. }
            | Self::Damaged { .. }
            | Self::LostTail { .. }
            | Self::OtherChain { .. }
            | Self::OtherFormat { .. }
            | Self::Corrupt { .. } => true,
            Self::Missing { .. }
            | Self::NotEmpty { .. }
            | Self::InUse { .. }
            | Self::Replaced { .. }
            | Self::Busy { .. }
            | Self::Full { .. }
            | Self::Io { .. }
            | Self::Storage { .. } => false,
        }
    }
}

/// Shorthand of this layer.
pub type Result<T, E = IndexError> = std::result::Result<T, E>;
