//! Sweeps: from the node's blocks to the index's rows. Decides what to read, reads it in parallel, applies it in chain order.

pub mod apply;
pub mod fetch;
pub mod plan;
pub mod sweep;

use bitcoin::OutPoint;

use crate::chain::header::HeaderError;
use crate::chain::{BlockId, Height};
use crate::index::IndexError;
use crate::node::NodeError;
use crate::scan::ScanError;

/// Why a sweep can't go on.
#[derive(Debug, thiserror::Error)]
pub enum SyncError {
    /// The node.
    #[error(transparent)]
    Node(#[from] NodeError),
    /// The index.
    #[error(transparent)]
    Index(#[from] IndexError),
    /// A block from the node isn't what its header says. Nothing of it was written.
    #[error(
        "block {block}: {source}; nothing of it was written. If it stays so, the node's data is damaged: restart the node with -reindex"
    )]
    Block {
        /// Which.
        block: BlockId,
        /// What is wrong.
        source: ScanError,
    },
    /// The node's headers don't make a chain.
    #[error("the node's headers don't make a chain: {0}")]
    Header(#[from] HeaderError),
    /// The node moved to another branch while it was read. Whoever reads begins again at the fork.
    #[error("the node's chain changed while it was read")]
    ChainMoved,
    /// That happened again and again, with no block between.
    #[error(
        "the node's answers don't fit together: {moves} times in a row its chain was another one while blocks from height {next} on were read. If it stays so, the node's data is damaged: restart the node with -reindex"
    )]
    Unsteady {
        /// How often.
        moves: u32,
        /// The height that the run didn't get beyond.
        next: Height,
    },
    /// The node tells another spent output than the block that made it.
    #[error(
        "the node says that {outpoint}, spent in block {block}, was another output than the one its block holds; nothing of that block was written. The node's undo data is damaged: restart it with -reindex"
    )]
    SpentOutput {
        /// The output.
        outpoint: OutPoint,
        /// Where it is spent.
        block: BlockId,
    },
    /// A list has lost many of its rows.
    #[error(
        "the list {path} had {before} rows when it was last taken in, and has {now} now: more than a tenth is gone. If that is meant, say `--accept-shrink`"
    )]
    ListShrank {
        /// The list.
        path: String,
        /// Its rows then.
        before: u64,
        /// Its rows now.
        now: u64,
    },
    /// Gates would tighten.
    #[error(
        "the settings follow coins less far than this index does ({what}), which would drop what it has found beyond. If that is meant, say `--accept-shrink`"
    )]
    Narrower {
        /// In words.
        what: String,
    },
    /// There is a new block, which comes first. Whoever was at work goes on after it.
    #[error("there is a new block")]
    NewBlock,
    /// Somebody has something to do that comes first. What was applied stays, and the next run goes on.
    #[error("paused")]
    Paused,
    /// A thread of ours failed.
    #[error(
        "a worker failed unexpectedly ({0}); nothing of its block was written, and the next run goes on from the last batch. Please report this"
    )]
    Panic(String),
    /// Somebody asked to stop.
    #[error("stopped")]
    Stopped,
}

impl SyncError {
    /// Folds the node's word for a stop into this layer's.
    pub fn from_node(error: NodeError) -> Self {
        match error {
            NodeError::Stopped => Self::Stopped,
            NodeError::NotOnChain(_) => Self::ChainMoved,
            other => Self::Node(other),
        }
    }
}
