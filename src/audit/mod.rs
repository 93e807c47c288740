//! Proofs of the state of the index: against its own records, and against the node by other RPCs than those it was made from.

pub mod node;
pub mod verify;

use crate::chain::BlockId;
use crate::index::IndexError;
use crate::node::NodeError;

/// Why something could not be compared.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    /// The index can't be read.
    #[error(transparent)]
    Index(#[from] IndexError),
    /// The node can't be asked.
    #[error(transparent)]
    Node(#[from] NodeError),
    /// The chains differ, so a comparison proves nothing.
    #[error(
        "block {block} of the index is not on the node's active chain, or is too far below its tip; run `coinhound backfill`, then this \
         again"
    )]
    OtherChain {
        /// The index's block.
        block: BlockId,
    },
}

/// Shorthand of this layer.
pub type Result<T, E = AuditError> = std::result::Result<T, E>;
