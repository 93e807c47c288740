//! Where blocks come from, as a trait: a node by one of its lanes ([`super::node_source`]), or in property tests a chain in memory.

use std::collections::HashMap;
use std::time::Duration;

use bitcoin::block::Header;
use bitcoin::{BlockHash, TxOut, Txid};

use crate::chain::{BlockId, Height};
use crate::node::NodeError;
use crate::scan::Matcher;

/// Something that serves blocks over any number of connections.
pub trait BlockSource: Send + Sync {
    /// A connection of its own, for one thread at a time.
    fn connect(&self) -> Box<dyn Connection>;

    /// A connection by another lane, if the source has one: for a block that doesn't prove itself over the usual one.
    fn connect_other(&self) -> Option<Box<dyn Connection>> {
        None
    }

    /// Whether it can serve a block now; with `spent`, also what the block's transactions spend. Waits for some seconds at most.
    ///
    /// # Errors
    /// Why it can't.
    fn probe(&self, _block: BlockId, _spent: bool) -> Result<(), NodeError> {
        Ok(())
    }

    /// Makes sure that it is still on the chain that it was on at first.
    ///
    /// # Errors
    /// [`NodeError::WrongChain`] where it isn't.
    fn confirm_chain(&self) -> Result<(), NodeError> {
        Ok(())
    }

    /// Whether BIP158 filters are to rule out blocks, where `blocks` blocks are ahead.
    fn filtering(&self, _blocks: u32) -> Filtering {
        Filtering::Off
    }

    /// How many connections are best where `threads` threads search blocks.
    fn connections(&self, threads: usize) -> usize;

    /// Rough processor time to read a block, ours and that of the process that serves it.
    fn read_cost(&self) -> Duration {
        Duration::from_millis(2)
    }

    /// The height of its tip. Waits while the source is away.
    fn height(&self) -> Result<Height, NodeError>;

    /// Whether it calls the branch that `block` is on invalid.
    fn calls_invalid(&self, block: BlockId) -> Result<bool, NodeError>;

    /// Ends every call and every wait for good: the run has failed or was stopped, and asks no more.
    fn give_up(&self);
}

/// How BIP158 filters are used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Filtering {
    /// Not at all: every block is read.
    #[default]
    Off,
    /// Where that is quicker than to read every block.
    WherePays,
    /// Wherever they can rule out a block, even if reading it would be quicker.
    Always,
}

/// The spent outputs of some or all transactions of a block.
pub enum SpentOutputs {
    /// Of all transactions, in block order; none for the coinbase.
    All(Vec<Vec<TxOut>>),
    /// Of those asked for, by their index in the block.
    Some(HashMap<u32, Vec<TxOut>>),
}

impl SpentOutputs {
    /// Those of one transaction, if they are here.
    pub fn of(&self, tx_index: u32) -> Option<&[TxOut]> {
        match self {
            Self::All(all) => all.get(tx_index as usize).map(Vec::as_slice),
            Self::Some(some) => some.get(&tx_index).map(Vec::as_slice),
        }
    }
}

/// Says whether a block may matter, from its filter.
pub type FilterJudge<'a> = dyn Fn(&mut Matcher, BlockId, &[u8]) -> bool + Send + Sync + 'a;

/// What the filter of a block says. The filter is proven to be the chain's own.
#[derive(Debug, PartialEq, Eq)]
pub enum FilterAnswer {
    /// The block may matter.
    MayMatter,
    /// It doesn't. Comes with the filter, since scripts may be added to those it was matched with.
    RuledOut(Vec<u8>),
}

impl FilterAnswer {
    /// Asks `judge` about one block.
    pub fn by(judge: &FilterJudge<'_>, matcher: &mut Matcher, block: BlockId, filter: &[u8]) -> Self {
        if judge(matcher, block, filter) { Self::MayMatter } else { Self::RuledOut(filter.to_vec()) }
    }
}

/// One connection to a source. Calls wait and retry while the source is away, until a stop is requested.
pub trait Connection: Send {
    /// Headers of the active chain from `first` on, at most `count`; fewer at the tip.
    fn headers(&mut self, first: Height, count: usize) -> Result<Vec<Header>, NodeError>;

    /// Locates the BIP158 filters of `blocks`, if that takes time that is not to count as matching them.
    fn locate_filters(&mut self, _blocks: &[BlockId]) {}

    /// What `judge` says of the BIP158 filters of `blocks`, which follow one another; the first follows `previous`, which doesn't
    /// matter for the genesis block. `None` where a filter is missing or can't be proven: that block has to be read. Uses the threads
    /// of the rayon pool it is called in.
    fn match_filters(
        &mut self,
        _previous: BlockHash,
        blocks: &[BlockId],
        _judge: &FilterJudge<'_>,
    ) -> Result<Vec<Option<FilterAnswer>>, NodeError> {
        Ok(blocks.iter().map(|_| None).collect())
    }

    /// Takes the buffer of a block that was applied, to read another block into.
    fn reuse(&mut self, _buffer: Vec<u8>) {}

    /// The raw block.
    fn block(&mut self, id: BlockId) -> Result<Vec<u8>, NodeError>;

    /// The spent outputs of all transactions of a block.
    fn all_spent(&mut self, id: BlockId) -> Result<Vec<Vec<TxOut>>, NodeError>;

    /// The spent outputs of at least the `wanted` transactions, given by index and id; the coinbase is not among them.
    fn spent(&mut self, id: BlockId, wanted: &[(u32, Txid)]) -> Result<SpentOutputs, NodeError>;
}
