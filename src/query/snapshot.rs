//! One moment of the index, with the rows that every answer needs.

use bitcoin::{BlockHash, Script};

use super::Result;
use super::now::{Freshness, Limits, NodeState, Now, Tip, TipOnNode};
use crate::chain::{BlockId, Chain, Height, ScriptHash};
use crate::index::entries::EntryRow;
use crate::index::keys::TxPosition;
use crate::index::meta::{self, TakenLists, TraceParameters, Waiter, Waiting};
use crate::index::sweeps::{MAIN_SWEEP, Sweep, Sweeps};
use crate::index::values::Record;
use crate::index::{IndexError, ReadRows, Reader};

/// The index as it was when it was opened.
pub struct Snapshot {
    /// Its rows.
    pub reader: Reader,
    /// Its last block; `None` before the first batch.
    pub tip: Option<BlockId>,
    /// That block's time, Unix seconds.
    pub tip_time: Option<u32>,
    /// The next height of the main sweep.
    pub next: Height,
    /// How far each sweep got.
    pub sweeps: Sweeps,
    /// The height the last run was to reach, if it was higher than the tip.
    pub goal: Option<Height>,
    /// How coins are followed.
    pub trace: TraceParameters,
    /// Why the sweeps below the main one stand still, if they do.
    pub held: Option<Waiting>,
    /// The lists as they were taken in.
    pub lists: TakenLists,
    /// Whether the configured lists differ from those.
    pub lists_changed: bool,
    /// The clock and the node as they were when it was opened.
    pub now: Now,
}

impl Snapshot {
    /// A snapshot of `reader`. The caller, who can read files, says whether the lists changed. Of now it knows what the
    /// clock says, and the limits of its chain; [`Self::within`] sets others, [`Self::with_node`] adds a node's word.
    ///
    /// # Errors
    /// [`IndexError::Corrupt`] where the index lacks a row that every index has.
    pub fn new(reader: Reader, lists_changed: impl FnOnce(&TakenLists) -> bool) -> Result<Self> {
        let sweeps = reader.sweeps()?;
        let next = sweeps.main();
        let tip = reader.tip()?;
        if tip.map_or(0, |tip| tip.height + 1) != next {
            return Err(IndexError::corrupt::<Sweep>(&MAIN_SWEEP).into());
        }
        let tip_time = tip.map(|tip| reader.known_header(tip.height)).transpose()?.map(|header| header.time);
        // Either keeps a gap open; the failure of a sweep comes first, since it may pass by itself.
        let below = meta::waiting(&reader, Waiter::Below)?;
        let held = if below.is_some() { below } else { meta::waiting(&reader, Waiter::Unserved)? };
        let lists = meta::lists(&reader)?;
        let lists_changed = lists_changed(&lists);
        Ok(Self {
            tip,
            tip_time,
            next,
            sweeps,
            goal: meta::goal(&reader)?,
            trace: meta::trace(&reader)?,
            held,
            lists,
            lists_changed,
            now: Now::by_clock(Limits::of_chain(reader.identity().chain)),
            reader,
        })
    }

    /// The same with other limits to how far behind now it may be.
    #[must_use]
    pub fn within(mut self, limits: Limits) -> Self {
        self.now.limits = limits;
        self
    }

    /// The same with the word of a node.
    #[must_use]
    pub fn with_node(mut self, node: Option<NodeState>) -> Self {
        self.now.node = node;
        self
    }

    /// Where the index's last block stands for a node whose active chain ends in `best`; `has_tip` says whether it has that block.
    ///
    /// # Errors
    /// What reading reports.
    pub fn place_on(&self, best: BlockId, has_tip: bool) -> Result<TipOnNode> {
        Ok(match self.tip {
            _ if has_tip => TipOnNode::Active,
            Some(tip) if best.height < tip.height => {
                let ours = self.reader.header(best.height)?.is_some_and(|header| header.block_hash() == best.hash);
                if ours { TipOnNode::Behind } else { TipOnNode::Elsewhere }
            }
            _ => TipOnNode::Elsewhere,
        })
    }

    /// What now means for an answer about it.
    pub fn freshness(&self) -> Freshness {
        let tip = self.tip.zip(self.tip_time).map(|(tip, time)| Tip { height: tip.height, time });
        self.now.judge(tip)
    }

    /// The chain it is of.
    pub fn chain(&self) -> Chain {
        self.reader.identity().chain
    }

    /// The height a question without `--at` is about: the tip, or the goal of the last run if that is higher.
    pub fn asked(&self) -> Option<Height> {
        self.tip.map(|tip| tip.height).max(self.goal)
    }

    /// The block at a height.
    ///
    /// # Errors
    /// [`IndexError::Corrupt`] where there is none though a row refers to it.
    pub fn block(&self, height: Height) -> Result<(BlockHash, u32)> {
        let header = self.reader.known_header(height)?;
        Ok((header.block_hash(), header.time))
    }

    /// The record that a row refers to.
    ///
    /// # Errors
    /// [`IndexError::Corrupt`] where there is none.
    pub fn record(&self, at: TxPosition) -> Result<Record> {
        Ok(self.reader.known_record(at)?)
    }

    /// The entry of a script, if it is on a list.
    ///
    /// # Errors
    /// What reading reports.
    pub fn entry(&self, script: &Script) -> Result<Option<EntryRow>> {
        Ok(self.reader.entry(ScriptHash::of(script))?)
    }
}
