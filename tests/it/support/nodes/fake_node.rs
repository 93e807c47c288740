//! A node in memory that sweeps its chain into an index at any path, and may lie about the outputs that one transaction spends.

use std::path::Path;
use std::sync::Arc;

use bitcoin::{Amount, Block, TxOut};
use coinhound::chain::Height;
use coinhound::sync::SyncError;
use coinhound::sync::fetch::source::SpentOutputs;
use coinhound::sync::plan::open::open;
use coinhound::sync::plan::wanted::{Lists, Wanted};
use coinhound::sync::sweep::run::{Outcome, Pace};
use coinhound::sync::sweep::sweeper::Sweeper;

use crate::support::lists::List;
use crate::support::lists::entries;
use crate::support::source::{Branch, MemorySource, SharedSource, SourceAnswer, SourceCall};
use crate::support::swept::{NoObserver, UNTRACKED, identity};

/// What is wrong with the spent outputs of one transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lie {
    /// Each has a value of one satoshi more.
    Value,
    /// Each has another script.
    Script,
    /// One is missing.
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

/// A chain, and the lie about it if there is one: height, index of the transaction.
pub struct FakeNode {
    branch: Arc<Branch>,
    lie: Option<(Height, u32, Lie)>,
}

impl FakeNode {
    /// An honest node.
    pub fn new(blocks: &[Block]) -> Self {
        Self { branch: Branch::new(blocks), lie: None }
    }

    /// A node that lies about the outputs that a transaction spends.
    pub fn lying(blocks: &[Block], height: Height, tx_index: u32, lie: Lie) -> Self {
        Self { lie: Some((height, tx_index, lie)), ..Self::new(blocks) }
    }

    /// Sweeps the chain into the index at `path`, which is made if there is none.
    pub fn sweep(&self, path: &Path, list: &List, to: Option<Height>, pace: Pace) -> Result<Outcome, SyncError> {
        let lie = self.lie;
        let source = MemorySource::hooked(&self.branch, move |_, _, call, answer| {
            if let (Some((height, tx_index, lie)), SourceCall::AllSpent(id) | SourceCall::Spent(id)) = (lie, call)
                && id.height == height
            {
                let spent = match answer {
                    SourceAnswer::AllSpent(all) | SourceAnswer::Spent(SpentOutputs::All(all)) => {
                        all.get_mut(tx_index as usize)
                    }
                    SourceAnswer::Spent(SpentOutputs::Some(some)) => some.get_mut(&tx_index),
                    _ => None,
                };
                spent.into_iter().for_each(|spent| lie.twist(spent));
            }
            Ok(())
        });
        let lists = Some(Lists { entries: entries(list), ..Lists::default() });
        let wanted = Wanted { lists, trace: UNTRACKED, ..Wanted::default() };
        let (writer, _) = open(path, &identity(), &wanted)?;
        let shared = Arc::new(SharedSource(Arc::clone(&source)));
        Sweeper::new(&writer, shared, pace, &source.stop).run(to, &mut NoObserver)
    }
}
