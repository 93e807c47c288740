//! Answers from the index: each a `Serialize` struct or a stream of rows, from one snapshot, with its coverage.

pub mod at;
pub mod balance;
pub mod by_rule;
pub mod coins;
pub mod coverage;
pub mod cursor;
pub mod entries;
pub mod events;
pub mod facts;
pub mod history;
pub mod now;
pub mod screen;
pub mod snapshot;
pub mod status;
pub mod target;
pub mod trace;
pub mod tx;
mod words;

use crate::index::IndexError;

pub use coverage::Coverage;
pub use snapshot::Snapshot;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum QueryError {
    /// The question is malformed.
    #[error("{0}")]
    Usage(String),
    /// The index can't be read.
    #[error(transparent)]
    Index(#[from] IndexError),
}

impl QueryError {
    /// Whether the question was at fault, not the index.
    pub fn is_usage(&self) -> bool {
        matches!(self, Self::Usage(_))
    }
}

/// Shorthand of this layer.
pub type Result<T, E = QueryError> = std::result::Result<T, E>;

/// A row, or why the stream ends here.
pub type Rows<'a, T> = Box<dyn Iterator<Item = Result<T>> + 'a>;
