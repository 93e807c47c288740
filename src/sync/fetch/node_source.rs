//! Bitcoin Core as a source of blocks: one lane for the blocks, and its filters where they are to be used.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bitcoin::block::Header;
use bitcoin::{BlockHash, TxOut, Txid};

use super::source::{BlockSource, Connection, FilterAnswer, FilterJudge, Filtering, SpentOutputs};
use crate::chain::{BlockId, Height};
use crate::node::{Capabilities, ChainSignature, FilterIndex, Filters, Lane, LaneChoice, Node, NodeError, Worker};
use crate::scan::Matcher;
use crate::stop::Stop;

/// Fewer blocks than this are read without asking their filters, which takes some calls to the node and a walk through its filter
/// files first.
const TOO_FEW_TO_FILTER: u32 = 20;

/// How long a block is waited for that may not be there.
const PROBE_LIMIT: Duration = Duration::from_secs(5);

/// A node, by one of its lanes.
pub struct NodeSource {
    /// For calls that every lane makes.
    pub node: Node,
    /// For blocks.
    pub lane: Lane,
    /// To rule out blocks.
    pub filters: Arc<FilterLane>,
    /// The chain that it was on when it was first asked.
    pub signature: ChainSignature,
    /// Ends the node's waits.
    pub stop: Stop,
}

/// The node's filters, opened when they are first needed.
pub struct FilterLane {
    node: Node,
    capabilities: Capabilities,
    choice: LaneChoice,
    opened: OnceLock<Option<Arc<Filters>>>,
}

impl FilterLane {
    /// The filters of a node with these capabilities, used as the user chose.
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

    /// The filters, if the node has them and the user wants them used.
    pub fn open(&self) -> Option<&Arc<Filters>> {
        self.opened.get_or_init(|| self.try_open()).as_ref()
    }

    fn try_open(&self) -> Option<Arc<Filters>> {
        match self.node.filters(&self.capabilities) {
            Ok(filters) => Some(Arc::new(filters)),
            Err(error) => {
                tracing::info!("{error}: every block is read");
                None
            }
        }
    }

    fn filtering(&self, blocks: u32) -> Filtering {
        match self.choice {
            LaneChoice::Filters => Filtering::Always,
            LaneChoice::Auto if blocks >= TOO_FEW_TO_FILTER && self.open().is_some() => Filtering::WherePays,
            _ => Filtering::Off,
        }
    }
}

impl NodeSource {
    fn connection_by(&self, lane: &Lane) -> Box<dyn Connection> {
        let (worker, whole) = (lane.worker(), lane.gives_spent_outputs_cheaply());
        Box::new(LaneConnection { worker, whole, filters: Arc::clone(&self.filters) })
    }
}

impl BlockSource for NodeSource {
    fn connect(&self) -> Box<dyn Connection> {
        self.connection_by(&self.lane)
    }

    fn connect_other(&self) -> Option<Box<dyn Connection>> {
        self.lane.other().map(|lane| self.connection_by(&lane))
    }

    fn probe(&self, block: BlockId, spent: bool) -> Result<(), NodeError> {
        let mut worker = self.lane.worker_within(PROBE_LIMIT);
        worker.block(block)?;
        if spent {
            worker.spent_outputs(block)?;
        }
        Ok(())
    }

    fn confirm_chain(&self) -> Result<(), NodeError> {
        self.node.confirm_chain(&self.signature)
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

    fn read_cost(&self) -> Duration {
        // Measured for blocks of 1.2 MB: over RPC the node writes them as hex into JSON.
        Duration::from_micros(if self.lane.name() == "rest" { 2_400 } else { 24_000 })
    }

    fn connections(&self, threads: usize) -> usize {
        // A thread that reads doesn't parse, so it mostly waits for the node. Measured on two cores: with four connections we and the
        // node take a tenth more processor time than with three, since threads switch more often. More than 8 gain nothing.
        (threads + 1).clamp(2, 8)
    }
}

/// One connection of a lane.
struct LaneConnection {
    worker: Worker,
    /// Whether the lane serves the spent outputs of a whole block as cheaply as those of one transaction.
    whole: bool,
    filters: Arc<FilterLane>,
}

impl Connection for LaneConnection {
    fn headers(&mut self, first: Height, count: usize) -> Result<Vec<Header>, NodeError> {
        self.worker.headers(first, count)
    }

    fn locate_filters(&mut self, blocks: &[BlockId]) {
        if let Some(filters) = self.filters.open() {
            filters.locate(blocks);
        }
    }

    fn match_filters(
        &mut self,
        previous: BlockHash,
        blocks: &[BlockId],
        judge: &FilterJudge<'_>,
    ) -> Result<Vec<Option<FilterAnswer>>, NodeError> {
        match self.filters.open() {
            Some(filters) => filters.inspect(previous, blocks, Matcher::default, |matcher, id, filter| {
                FilterAnswer::by(judge, matcher, id, filter)
            }),
            None => Ok(blocks.iter().map(|_| None).collect()),
        }
    }

    fn reuse(&mut self, buffer: Vec<u8>) {
        self.worker.reuse(buffer);
    }

    fn block(&mut self, id: BlockId) -> Result<Vec<u8>, NodeError> {
        self.worker.block(id)
    }

    fn all_spent(&mut self, id: BlockId) -> Result<Vec<Vec<TxOut>>, NodeError> {
        self.worker.spent_outputs(id)
    }

    fn spent(&mut self, id: BlockId, wanted: &[(u32, Txid)]) -> Result<SpentOutputs, NodeError> {
        if self.whole {
            return self.worker.spent_outputs(id).map(SpentOutputs::All);
        }
        let mut spent = HashMap::new();
        for (tx_index, txid) in wanted {
            spent.insert(*tx_index, self.worker.prevouts(id, *txid, *tx_index as usize)?);
        }
        Ok(SpentOutputs::Some(spent))
    }
}
