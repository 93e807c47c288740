//! A block on its way from the source to the thread that applies it, and the order that asks for it.

use std::ops::RangeInclusive;

use bitcoin::BlockHash;
use bitcoin::block::Header;
use crossbeam_channel::Sender;

use super::source::SpentOutputs;
use crate::chain::{BlockId, Height};
use crate::scan::BlockScan;
use crate::scan::block::Proof;

/// Which heights to hand on, and what to read of them.
pub struct BlockOrder {
    /// Every one of these heights is handed on.
    pub heights: RangeInclusive<Height>,
    /// Hash of the block below the first height; zeros below the genesis block.
    pub previous: BlockHash,
    /// Below this height headers are enough.
    pub blocks_from: Height,
    /// From this height on, the spent outputs of every block are needed.
    pub spent_from: Option<Height>,
}

impl BlockOrder {
    /// Whether the outputs that all transactions of a block spend are needed.
    pub fn needs_all_spent(&self, height: Height) -> bool {
        self.spent_from.is_some_and(|from| from <= height)
    }
}

/// One height, in chain order.
pub struct FetchedBlock {
    /// The block.
    pub id: BlockId,
    /// Its header: it links to the one before, and has its proof of work.
    pub header: Header,
    /// What was read of it.
    pub data: BlockData,
}

/// What was read of a block.
pub enum BlockData {
    /// Its header only: no more was asked for.
    Header,
    /// Its filter, by which no script matters that was known when it was matched.
    RuledOut(RuledOut),
    /// All of it.
    Read {
        /// The block, searched.
        block: Box<ScannedBlock>,
        /// Whether it was read since its filter matched.
        by_filter: bool,
    },
}

/// A block that doesn't concern the first `scripts` of [`super::filter_scripts::FilterScripts`].
pub struct RuledOut {
    /// How many scripts it was matched with. Those added since have still to be.
    pub scripts: usize,
    /// Its filter, proven to be the chain's own.
    pub filter: Vec<u8>,
}

impl FetchedBlock {
    /// The block, where it was read.
    pub fn block(&self) -> Option<&ScannedBlock> {
        match &self.data {
            BlockData::Read { block, .. } => Some(block.as_ref()),
            BlockData::Header | BlockData::RuledOut(_) => None,
        }
    }
}

/// A block, parsed and searched.
pub struct ScannedBlock {
    /// Its candidates.
    pub scan: BlockScan,
    /// Its transaction ids, proven by the merkle root. There if it has candidates.
    pub proof: Option<Proof>,
    /// Spent outputs, at least those of its candidates. There if it has any that spend.
    pub spent: Option<SpentOutputs>,
    /// The publication of coins that it was searched for, as counted by [`super::coins::PublishedCoins`].
    pub coins_version: u64,
    /// Where its buffer goes.
    pub(super) buffers: Sender<Vec<u8>>,
}

impl Drop for ScannedBlock {
    fn drop(&mut self) {
        // Where enough buffers are kept already, this one is freed.
        let _ = self.buffers.try_send(self.scan.take_raw());
    }
}
