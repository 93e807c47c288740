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
    /// Two branches have the same work, and only the next block can tell which one stays: a run that doesn't wait for it ends.
    Undecided,
}

impl Interrupt {
    /// Whether the node will be asked again afterwards.
    pub fn resumes(self) -> bool {
        !matches!(self, Self::Stop | Self::Undecided)
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

#[cfg(test)]
mod tests {
    use bitcoin::BlockHash;
    use bitcoin::hashes::Hash;

    use super::*;
    use crate::chain::BlockId;

    #[test]
    fn a_stopped_call_and_a_block_off_the_chain_interrupt_and_other_errors_of_the_node_fail() {
        let block = BlockId { height: 1, hash: BlockHash::all_zeros() };
        let interrupts =
            [(NodeError::Stopped, Interrupt::Stop, false), (NodeError::NotOnChain(block), Interrupt::ChainMoved, true)];
        for (error, expected, resumes) in interrupts {
            let halt = Halt::from(error);
            assert!(matches!(halt, Halt::Interrupted(interrupt) if interrupt == expected), "{halt:?}");
            assert_eq!(expected.resumes(), resumes);
        }
        let failed = Halt::from(NodeError::LaneCannotServe { lane: "rest", why: "it is closed".into() });
        assert!(matches!(failed, Halt::Failed(SyncError::Node(_))), "{failed:?}");
    }
}
