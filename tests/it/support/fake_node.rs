//! Sweeps of a chain in memory into an index of any path, by a node that may lie about what one transaction spends.

use std::path::Path;
use std::sync::Arc;

use bitcoin::{Amount, Block, TxOut};
use coinhound::chain::Height;
use coinhound::index::meta::TakenLists;
use coinhound::sync::SyncError;
use coinhound::sync::fetch::source::Spent;
use coinhound::sync::plan::change::Wanted;
use coinhound::sync::plan::open::open;
use coinhound::sync::sweep::sweeper::{Outcome, Pace, Sweeper};

use crate::support::lists::List;
use crate::support::lists::entries;
use crate::support::source::{Branch, MemorySource, SharedSource, SourceAnswer, SourceCall};
use crate::support::swept::{NoObserver, UNTRACKED, identity};

/// What is wrong with the answers about one transaction's spent outputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lie {
    /// Each is worth a satoshi more.
    Value,
    /// Each stands on another script.
    Script,
    /// One is left out.
    Missing,
}

impl Lie {
    fn twist(self, spent: &mut Vec<TxOut>) {
        match self {
            Self::Value => spent.iter_mut().for_each(|output| output.value += Amount::ONE_SAT),
            Self::Script => spent.iter_mut().for_each(|output| output.script_pubkey = vec![0x52].into()),
            Self::Missing => drop(spent.pop()),
        }
    }
}

/// A chain, and what is told of it.
pub struct FakeNode {
    branch: Arc<Branch>,
    lie: Option<(Height, u32, Lie)>,
}

impl FakeNode {
    /// The truth.
    pub fn new(blocks: &[Block]) -> Self {
        Self { branch: Branch::new(blocks), lie: None }
    }

    /// A lie about what a transaction of a block spends.
    pub fn lying(blocks: &[Block], height: Height, tx_index: u32, lie: Lie) -> Self {
        Self { lie: Some((height, tx_index, lie)), ..Self::new(blocks) }
    }

    /// Sweeps the chain into the index at `path`, which is made if it isn't there.
    pub fn sweep(&self, path: &Path, list: &List, to: Option<Height>, pace: Pace) -> Result<Outcome, SyncError> {
        let lie = self.lie;
        let source = MemorySource::hooked(&self.branch, move |_, _, call, answer| {
            if let (Some((height, tx_index, lie)), SourceCall::AllSpent(id) | SourceCall::Spent(id)) = (lie, call)
                && id.height == height
            {
                let spent = match answer {
                    SourceAnswer::AllSpent(all) | SourceAnswer::Spent(Spent::All(all)) => {
                        all.get_mut(tx_index as usize)
                    }
                    SourceAnswer::Spent(Spent::Some(some)) => some.get_mut(&tx_index),
                    _ => None,
                };
                spent.into_iter().for_each(|spent| lie.twist(spent));
            }
            Ok(())
        });
        let lists = Some((entries(list), TakenLists::default()));
        let wanted = Wanted { lists, trace: UNTRACKED, ..Wanted::default() };
        let (writer, _) = open(path, &identity(), &wanted)?;
        let shared = Arc::new(SharedSource(Arc::clone(&source)));
        Sweeper::new(&writer, shared, pace, &source.stop).run(to, &mut NoObserver)
    }
}
