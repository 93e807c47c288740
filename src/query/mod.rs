//! Answers from the index: each a `Serialize` struct or a stream of rows, from one snapshot, with its coverage.

pub mod at;
pub mod balance;
pub mod by_rule;
pub mod coins;
pub mod coverage;
pub mod events;
pub mod history;
pub mod labels;
pub mod merge;
pub mod screen;
pub mod snapshot;
pub mod status;
pub mod target;
pub mod trace;
pub mod tx;

use serde::Serialize;

use crate::index::IndexError;

pub use coverage::Coverage;
pub use snapshot::Snapshot;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum QueryError {
    /// The question is malformed.
    #[error("{0}")]
    Usage(String),
    /// The index.
    #[error(transparent)]
    Index(#[from] IndexError),
}

/// Shorthand of this layer.
pub type Result<T, E = QueryError> = std::result::Result<T, E>;

/// A row, or why the stream ends here.
pub type Rows<'a, T> = Box<dyn Iterator<Item = Result<T>> + 'a>;

/// The input that spent a coin, as answers name it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SpentBy {
    /// The spending transaction.
    pub txid: bitcoin::Txid,
    /// Its input.
    pub vin: u32,
    /// Its block's height.
    pub height: u32,
}
