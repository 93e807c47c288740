//! What can fail in a sweep. What merely ends it early is an [`super::interrupt::Interrupt`].

use std::any::Any;
use std::io;

use bitcoin::OutPoint;

use crate::chain::header::HeaderError;
use crate::chain::{BlockId, Height};
use crate::index::IndexError;
use crate::node::NodeError;
use crate::scan::ScanError;

/// Why a sweep can't go on.
#[derive(Debug, thiserror::Error)]
pub enum SyncError {
    /// A call to the node failed.
    #[error(transparent)]
    Node(NodeError),
    /// The index can't be read or written.
    #[error(transparent)]
    Index(#[from] IndexError),
    /// A block from the node is not the one that its header describes. Nothing of it was written.
    #[error(
        "block {block}: {source}; nothing of it was written. If this happens again, the node's data is damaged: restart the node with -reindex"
    )]
    Block {
        /// The block that was asked for.
        block: BlockId,
        /// What is wrong with it.
        source: ScanError,
    },
    /// The node's headers don't make a chain.
    #[error("the node's headers don't make a chain: {0}")]
    Header(#[from] HeaderError),
    /// The node's chain changed again and again, and no block was applied in between.
    #[error(
        "the node's active chain changed {moves} times in a row while blocks from height {next} on were being read. If this happens again, the node's data is damaged: restart the node with -reindex"
    )]
    Unsteady {
        /// Changes in a row.
        moves: u32,
        /// The height of the first block that was not applied.
        next: Height,
    },
    /// A sweep below the main one failed. The main one can go on without it.
    #[error("the blocks from height {from} on, which entries that were added later need, can't be read: {source}")]
    Below {
        /// The next height of that sweep.
        from: Height,
        /// Why it failed.
        source: Box<SyncError>,
    },
    /// The node describes a spent output differently from the block that created it.
    #[error(
        "for {outpoint}, spent in block {block}, the node reports a value or script that differs from the block that created it; nothing of block {block} was written. The node's undo data is damaged: restart the node with -reindex"
    )]
    SpentOutput {
        /// The output.
        outpoint: OutPoint,
        /// The block that spends it.
        block: BlockId,
    },
    /// A list has lost more than a tenth of its rows.
    #[error(
        "the list {path} has {now} rows, and had {before} when it was last taken in: more than a tenth is gone; to allow that, pass `--accept-shrink`"
    )]
    ListShrank {
        /// The list's file.
        path: String,
        /// Its rows when it was last taken in.
        before: u64,
        /// Its rows now.
        now: u64,
    },
    /// Settings would narrow what is followed.
    #[error(
        "these settings would follow coins less far than this index does ({what}) and drop what it found beyond; to allow that, pass `--accept-shrink`"
    )]
    Narrower {
        /// The settings that are narrower, in words.
        what: String,
    },
    /// The system started no thread.
    #[error(
        "a thread could not be started: {0}; raise the limit on processes, or scan with fewer threads (`--threads`)"
    )]
    Thread(io::Error),
    /// A thread of the sweep panicked.
    #[error(
        "a worker failed unexpectedly ({0}); nothing of its block was written, and the next run resumes at the last batch. Please report this"
    )]
    Panic(String),
}

impl SyncError {
    /// Whether one odd answer of the node may explain it, so that the block is fetched again before it counts as damaged.
    pub(super) fn is_doubtful(&self) -> bool {
        match self {
            Self::Block { .. } => true,
            // Only this lane has closed.
            Self::Node(error) => error.is_doubtful() || matches!(error, NodeError::LaneCannotServe { .. }),
            _ => false,
        }
    }

    /// What a thread that panicked said.
    pub(super) fn from_panic(panic: &(dyn Any + Send)) -> Self {
        let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
        Self::Panic(text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "no message".into()))
    }
}
