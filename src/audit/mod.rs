//! Proofs of the index's state: against its own records, and against what the node says of the same by other means.

pub mod node;
pub mod verify;

use crate::chain::BlockId;
use crate::index::IndexError;
use crate::node::NodeError;

/// Why something could not be compared.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    /// The index.
    #[error(transparent)]
    Index(#[from] IndexError),
    /// The node.
    #[error(transparent)]
    Node(#[from] NodeError),
    /// The chains differ: nothing follows from a comparison.
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
