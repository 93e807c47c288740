//! Where blocks come from: a node's lane, or in property tests a chain in memory.

use std::collections::HashMap;

use bitcoin::block::Header;
use bitcoin::{TxOut, Txid};

use crate::chain::{BlockId, Height};
use crate::node::{Lane, Node, NodeError, Worker};
use crate::scan::Scripts;
use crate::stop::Stop;

/// Something that hands out blocks by any number of connections.
pub trait Source: Send + Sync {
    /// A connection of its own, for one thread at a time.
    fn connect(&self) -> Box<dyn Connection>;

    /// How many connections serve best.
    fn connections(&self, threads: usize) -> usize;

    /// The height of its tip. Waits while it is away.
    fn height(&self) -> Result<Height, NodeError>;

    /// Whether it holds the branch that `block` is on for invalid.
    fn calls_invalid(&self, block: BlockId) -> Result<bool, NodeError>;

    /// Ends every call and every wait, for good: something failed, and nobody will ask again.
    fn give_up(&self);
}

/// The spent outputs of some or all transactions of a block.
pub enum Spent {
    /// Of all, in block order; none for the coinbase.
    All(Vec<Vec<TxOut>>),
    /// Of those asked for, by index.
    Some(HashMap<u32, Vec<TxOut>>),
}

impl Spent {
    /// Those of one transaction, if they are here.
    pub fn of(&self, tx_index: u32) -> Option<&[TxOut]> {
        match self {
            Self::All(all) => all.get(tx_index as usize).map(Vec::as_slice),
            Self::Some(some) => some.get(&tx_index).map(Vec::as_slice),
        }
    }
}

/// One connection to a source. Calls wait and retry while the source is away, until a stop is requested.
pub trait Connection: Send {
    /// Headers of the active chain from `first` on, at most `count`; fewer at the tip.
    fn headers(&mut self, first: Height, count: usize) -> Result<Vec<Header>, NodeError>;

    /// Which of these blocks can matter to `scripts`: a lane that can't tell without reading them says all.
    fn select(&mut self, blocks: &[BlockId], _scripts: &Scripts) -> Result<Vec<bool>, NodeError> {
        Ok(vec![true; blocks.len()])
    }

    /// The raw block.
    fn block(&mut self, id: BlockId) -> Result<Vec<u8>, NodeError>;

    /// The spent outputs of all transactions of a block.
    fn all_spent(&mut self, id: BlockId) -> Result<Vec<Vec<TxOut>>, NodeError>;

    /// The spent outputs of at least the transactions `wanted`: index and id, no coinbase among them.
    fn spent(&mut self, id: BlockId, wanted: &[(u32, Txid)]) -> Result<Spent, NodeError>;
}

/// A node, by one of its lanes.
pub struct NodeSource {
    /// For what every lane needs.
    pub node: Node,
    /// For blocks.
    pub lane: Lane,
    /// What ends the node's waits.
    pub stop: Stop,
}

impl Source for NodeSource {
    fn connect(&self) -> Box<dyn Connection> {
        Box::new(LaneConnection { worker: self.lane.worker(), whole: self.lane.gives_spent_outputs_cheaply() })
    }

    fn height(&self) -> Result<Height, NodeError> {
        Ok(self.node.info()?.blocks)
    }

    fn calls_invalid(&self, block: BlockId) -> Result<bool, NodeError> {
        self.node.calls_invalid(block)
    }

    fn give_up(&self) {
        self.stop.request();
        self.node.hang_up();
    }

    fn connections(&self, threads: usize) -> usize {
        // The node answers several requests at once; two a thread keep it busy while we parse. Above 8 nothing is gained.
        (threads * 2).clamp(2, 8)
    }
}

struct LaneConnection {
    worker: Worker,
    whole: bool,
}

impl Connection for LaneConnection {
    fn headers(&mut self, first: Height, count: usize) -> Result<Vec<Header>, NodeError> {
        self.worker.headers(first, count)
    }

    fn block(&mut self, id: BlockId) -> Result<Vec<u8>, NodeError> {
        self.worker.block(id)
    }

    fn all_spent(&mut self, id: BlockId) -> Result<Vec<Vec<TxOut>>, NodeError> {
        self.worker.spent_outputs(id)
    }

    fn spent(&mut self, id: BlockId, wanted: &[(u32, Txid)]) -> Result<Spent, NodeError> {
        if self.whole {
            return self.worker.spent_outputs(id).map(Spent::All);
        }
        let of = |&(tx_index, txid): &(u32, Txid)| Ok((tx_index, self.worker.prevouts(id, txid, tx_index as usize)?));
        wanted.iter().map(of).collect::<Result<_, NodeError>>().map(Spent::Some)
    }
}
