//! Where blocks come from: a node's lane, or in property tests a chain in memory.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bitcoin::block::Header;
use bitcoin::{BlockHash, TxOut, Txid};

use crate::chain::{BlockId, Height};
use crate::node::{Capabilities, FilterIndex, Filters, Lane, LaneChoice, Node, NodeError, Worker};
use crate::scan::Matcher;
use crate::stop::Stop;

/// Fewer blocks than this are read without a look at filters, which costs some questions to the node, and a walk through some files.
const SHORT: u32 = 20;

/// Something that hands out blocks by any number of connections.
pub trait Source: Send + Sync {
    /// A connection of its own, for one thread at a time.
    fn connect(&self) -> Box<dyn Connection>;

    /// Whether BIP158 filters are to rule out blocks, where so many are to be looked at.
    fn filtering(&self, _blocks: u32) -> Filtering {
        Filtering::Off
    }

    /// How many connections serve best.
    fn connections(&self, threads: usize) -> usize;

    /// What a block costs that is read, roughly: processor time, ours and that of whoever hands it out.
    fn costs(&self) -> Duration {
        Duration::from_millis(2)
    }

    /// The height of its tip. Waits while it is away.
    fn height(&self) -> Result<Height, NodeError>;

    /// Whether it holds the branch that `block` is on for invalid.
    fn calls_invalid(&self, block: BlockId) -> Result<bool, NodeError>;

    /// Ends every call and every wait, for good: something failed, and nobody will ask again.
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
    /// Wherever they can say something.
    Always,
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

/// Whether a block may matter, by its filter.
pub type Judge<'a> = dyn Fn(&mut Matcher, BlockId, &[u8]) -> bool + Send + Sync + 'a;

/// What a block's filter says, proven to be the chain's own.
#[derive(Debug, PartialEq, Eq)]
pub enum Said {
    /// That it may matter.
    MayMatter,
    /// That it doesn't; with the filter, since what it is asked may become more.
    Out(Vec<u8>),
}

impl Said {
    /// Asks `judge` about one block.
    pub fn by(judge: &Judge<'_>, matcher: &mut Matcher, block: BlockId, filter: &[u8]) -> Self {
        if judge(matcher, block, filter) { Self::MayMatter } else { Self::Out(filter.to_vec()) }
    }
}

/// One connection to a source. Calls wait and retry while the source is away, until a stop is requested.
pub trait Connection: Send {
    /// Headers of the active chain from `first` on, at most `count`; fewer at the tip.
    fn headers(&mut self, first: Height, count: usize) -> Result<Vec<Header>, NodeError>;

    /// Finds the BIP158 filters of `blocks`, where that takes time of its own.
    fn find(&mut self, _blocks: &[BlockId]) {}

    /// What the BIP158 filters of `blocks` say to `judge`; one block follows the other, the first follows `previous` (which doesn't
    /// matter for the genesis block). `None` where a filter isn't to be had or can't be proven, and the block has to be read. Uses
    /// the threads of the pool it is called in.
    fn sift(
        &mut self,
        _previous: BlockHash,
        blocks: &[BlockId],
        _judge: &Judge<'_>,
    ) -> Result<Vec<Option<Said>>, NodeError> {
        Ok(blocks.iter().map(|_| None).collect())
    }

    /// Gives back the memory of a block that is done with, for one to come.
    fn reuse(&mut self, _room: Vec<u8>) {}

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
    /// To rule blocks out.
    pub filters: Arc<FilterLane>,
    /// What ends the node's waits.
    pub stop: Stop,
}

/// The node's filters, which are looked for when they are first wanted.
pub struct FilterLane {
    node: Node,
    capabilities: Capabilities,
    choice: LaneChoice,
    opened: OnceLock<Option<Arc<Filters>>>,
}

impl FilterLane {
    /// Of a node that can do this, as the user wants it.
    ///
    /// # Errors
    /// [`NodeError::LaneCannotServe`], where the user wants filters and the node has none for us.
    pub fn new(node: &Node, capabilities: &Capabilities, choice: LaneChoice) -> Result<Self, NodeError> {
        let opened = match choice {
            LaneChoice::Filters => OnceLock::from(Some(Arc::new(node.filters(capabilities)?))),
            LaneChoice::Rpc | LaneChoice::Rest => OnceLock::from(None),
            LaneChoice::Auto if capabilities.filter_index == FilterIndex::Absent => OnceLock::from(None),
            LaneChoice::Auto => OnceLock::new(),
        };
        Ok(Self { node: node.clone(), capabilities: capabilities.clone(), choice, opened })
    }

    /// The filters, if they are to be used and to be had.
    pub fn open(&self) -> Option<&Arc<Filters>> {
        let open = || match self.node.filters(&self.capabilities) {
            Ok(filters) => Some(Arc::new(filters)),
            Err(error) => {
                tracing::info!("{error}: every block is read");
                None
            }
        };
        self.opened.get_or_init(open).as_ref()
    }

    fn filtering(&self, blocks: u32) -> Filtering {
        match self.choice {
            LaneChoice::Filters => Filtering::Always,
            LaneChoice::Auto if blocks >= SHORT && self.open().is_some() => Filtering::WherePays,
            _ => Filtering::Off,
        }
    }
}

impl Source for NodeSource {
    fn connect(&self) -> Box<dyn Connection> {
        let (worker, whole) = (self.lane.worker(), self.lane.gives_spent_outputs_cheaply());
        Box::new(LaneConnection { worker, whole, filters: Arc::clone(&self.filters) })
    }

    fn filtering(&self, blocks: u32) -> Filtering {
        self.filters.filtering(blocks)
    }

    fn height(&self) -> Result<Height, NodeError> {
        self.node.height()
    }

    fn calls_invalid(&self, block: BlockId) -> Result<bool, NodeError> {
        self.node.calls_invalid(block)
    }

    fn give_up(&self) {
        self.stop.request();
        self.node.hang_up();
    }

    fn costs(&self) -> Duration {
        // Measured for blocks of 1.2 MB: hex over JSON keeps the node busy for so long.
        Duration::from_micros(if self.lane.name() == "rest" { 2_400 } else { 24_000 })
    }

    fn connections(&self, threads: usize) -> usize {
        // Whoever reads doesn't parse, so that each of these waits for the node only. Measured on two cores: with four, all this and
        // the node take a tenth more processor time than with three, since they take turns more often. Above 8 nothing is gained.
        (threads + 1).clamp(2, 8)
    }
}

struct LaneConnection {
    worker: Worker,
    whole: bool,
    filters: Arc<FilterLane>,
}

impl Connection for LaneConnection {
    fn headers(&mut self, first: Height, count: usize) -> Result<Vec<Header>, NodeError> {
        self.worker.headers(first, count)
    }

    fn find(&mut self, blocks: &[BlockId]) {
        if let Some(filters) = self.filters.open() {
            filters.locate(blocks);
        }
    }

    fn sift(
        &mut self,
        previous: BlockHash,
        blocks: &[BlockId],
        judge: &Judge<'_>,
    ) -> Result<Vec<Option<Said>>, NodeError> {
        let look = |matcher: &mut Matcher, id, filter: &[u8]| Said::by(judge, matcher, id, filter);
        match self.filters.open() {
            Some(filters) => filters.inspect(previous, blocks, Matcher::default, look),
            None => Ok(blocks.iter().map(|_| None).collect()),
        }
    }

    fn reuse(&mut self, room: Vec<u8>) {
        self.worker.reuse(room);
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
