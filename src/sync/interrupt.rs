//! What ends work early without anything being wrong. Kept apart from failures, so that no failure is taken for a reason to carry on,
//! and no interruption for one to give up.

use super::SyncError;
use crate::index::IndexError;
use crate::node::NodeError;

/// Something that comes before the work in progress. What was applied until then stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interrupt {
    /// A stop was requested: the run ends.
    Stop,
    /// The node has a new block, which comes before a sweep below the tip. The interrupted sweep resumes afterwards.
    NewBlock,
    /// The caller has something to do first, such as taking in lists that changed.
    Paused,
    /// The node's active chain changed while it was being read: the run starts again from the fork.
    ChainMoved,
}

impl Interrupt {
    /// Whether the node will be asked again afterwards.
    pub fn resumes(self) -> bool {
        self != Self::Stop
    }
}

/// Why a piece of work ended early.
#[derive(Debug)]
pub enum Halt {
    /// Something else comes first.
    Interrupted(Interrupt),
    /// Something failed.
    Failed(SyncError),
}

/// What comes of work that can be interrupted.
pub type Flow<T> = Result<T, Halt>;

impl From<Interrupt> for Halt {
    fn from(interrupt: Interrupt) -> Self {
        Self::Interrupted(interrupt)
    }
}

impl From<SyncError> for Halt {
    fn from(error: SyncError) -> Self {
        Self::Failed(error)
    }
}

impl From<IndexError> for Halt {
    fn from(error: IndexError) -> Self {
        Self::Failed(error.into())
    }
}

impl From<NodeError> for Halt {
    /// A call that a stop ended, and a question about a block that the node's active chain no longer has, are no failures.
    fn from(error: NodeError) -> Self {
        match error {
            NodeError::Stopped => Self::Interrupted(Interrupt::Stop),
            NodeError::NotOnChain(_) => Self::Interrupted(Interrupt::ChainMoved),
            other => Self::Failed(SyncError::Node(other)),
        }
    }
}
