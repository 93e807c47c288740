//! A source of blocks in memory. It can switch to another chain at any call, and a hook can change or fail every answer.

use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use bitcoin::bip158::BlockFilter;
use bitcoin::block::Header;
use bitcoin::{Block, BlockHash, TxOut, Txid, consensus};
use coinhound::chain::BlockId;
use coinhound::node::NodeError;
use coinhound::scan::Matcher;
use coinhound::stop::Stop;
use coinhound::sync::fetch::source::{BlockSource, Connection, FilterAnswer, FilterJudge, Filtering, SpentOutputs};

use crate::support::chain::outputs;

/// One chain from genesis on, with the outputs that each of its blocks spends.
pub struct Branch {
    /// The blocks, by height.
    pub blocks: Vec<Block>,
    spent: Vec<Vec<Vec<TxOut>>>,
    heights: HashMap<BlockHash, usize>,
    filters: OnceLock<Vec<Vec<u8>>>,
}

impl Branch {
    /// A chain of these blocks, the first of which is genesis.
    pub fn new(blocks: &[Block]) -> Arc<Self> {
        let mut made = HashMap::new();
        let mut spent = Vec::new();
        for block in blocks {
            let mut of_block = vec![Vec::new()];
            for (tx_index, transaction) in block.txdata.iter().enumerate() {
                if tx_index > 0 {
                    let output =
                        |input: &bitcoin::TxIn| made.remove(&input.previous_output).expect("a coin of the chain");
                    of_block.push(transaction.input.iter().map(output).collect());
                }
                made.extend(outputs(transaction).map(|(at, output)| (at, output.clone())));
            }
            spent.push(of_block);
        }
        let heights = blocks.iter().zip(0..).map(|(block, height)| (block.block_hash(), height)).collect();
        Arc::new(Self { blocks: blocks.to_vec(), spent, heights, filters: OnceLock::new() })
    }

    /// The BIP158 filter of each block, made by the `bitcoin` crate.
    pub fn filters(&self) -> &[Vec<u8>] {
        self.filters.get_or_init(|| {
            let of = |(block, spent): (&Block, &Vec<Vec<TxOut>>)| {
                let inputs = block.txdata.iter().flat_map(|transaction| &transaction.input);
                let spent = spent[1..].iter().flatten().map(|output| output.script_pubkey.clone());
                let outpoints = inputs.skip(1).map(|input| input.previous_output);
                let scripts: HashMap<_, _> = outpoints.zip(spent).collect();
                let filter = BlockFilter::new_script_filter(block, |outpoint| Ok(scripts[outpoint].clone()));
                filter.expect("every spent script is known").content
            };
            self.blocks.iter().zip(&self.spent).map(of).collect()
        })
    }

    /// Height of the tip.
    pub fn height(&self) -> u32 {
        u32::try_from(self.blocks.len() - 1).expect("a test's chain is short")
    }

    /// The same chain up to this height.
    pub fn up_to(&self, height: u32) -> Arc<Self> {
        Self::new(&self.blocks[..=height as usize])
    }

    /// The block at a height, as an identity.
    pub fn id(&self, height: u32) -> BlockId {
        BlockId { height, hash: self.blocks[height as usize].block_hash() }
    }
}

/// A call to the source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SourceCall {
    /// The tip's height.
    Height,
    /// Whether the node calls a block invalid.
    Invalid(BlockId),
    /// Headers: height of the first, and their number.
    Headers(u32, usize),
    /// Filters: height of the first, and their number.
    Filters(u32, usize),
    /// A raw block.
    Block(BlockId),
    /// All spent outputs of a block.
    AllSpent(BlockId),
    /// The spent outputs of some of its transactions.
    Spent(BlockId),
}

/// The answer to a call.
pub enum SourceAnswer {
    /// The tip's height.
    Height(u32),
    /// Whether the node calls a block invalid.
    Invalid(bool),
    /// The headers, as far as there are any.
    Headers(Vec<Header>),
    /// The filters; `None` for a block without one.
    Filters(Vec<Option<Vec<u8>>>),
    /// A raw block.
    Block(Vec<u8>),
    /// All spent outputs of a block.
    AllSpent(Vec<Vec<TxOut>>),
    /// The spent outputs of some of its transactions.
    Spent(SpentOutputs),
}

/// Is given the source, the number of a call, the call and its answer. It may change the answer or replace it by an error, switch the
/// chain for the next calls, request a stop, or panic.
pub type Hook = Box<dyn FnMut(&MemorySource, usize, SourceCall, &mut SourceAnswer) -> Result<(), NodeError> + Send>;

/// A node in memory.
pub struct MemorySource {
    active: Mutex<Arc<Branch>>,
    invalid: Mutex<BTreeSet<BlockHash>>,
    hook: Mutex<Option<Hook>>,
    calls: AtomicUsize,
    /// Whether it always answers with the spent outputs of the whole block.
    whole: bool,
    filtering: Mutex<Filtering>,
    /// Once requested, every call fails.
    pub stop: Stop,
}

impl MemorySource {
    /// An honest node on this chain.
    pub fn on(active: &Arc<Branch>) -> Arc<Self> {
        Self::with(active, None)
    }

    /// A node whose answers pass through `hook`.
    pub fn hooked(
        active: &Arc<Branch>,
        hook: impl FnMut(&MemorySource, usize, SourceCall, &mut SourceAnswer) -> Result<(), NodeError> + Send + 'static,
    ) -> Arc<Self> {
        Self::with(active, Some(Box::new(hook)))
    }

    fn with(active: &Arc<Branch>, hook: Option<Hook>) -> Arc<Self> {
        Arc::new(Self {
            active: Mutex::new(Arc::clone(active)),
            invalid: Mutex::default(),
            hook: Mutex::new(hook),
            calls: AtomicUsize::new(0),
            whole: active.height().is_multiple_of(2),
            filtering: Mutex::default(),
            stop: Stop::default(),
        })
    }

    /// Has filters from now on, to be used as `filtering` says. At each call about one filter in thirteen is missing.
    pub fn filter(&self, filtering: Filtering) {
        *lock(&self.filtering) = filtering;
    }

    /// Switches to another chain.
    pub fn switch(&self, to: &Arc<Branch>) {
        *lock(&self.active) = Arc::clone(to);
    }

    /// Calls all blocks of a branch above a height invalid. That doesn't change its chain: see `switch`.
    pub fn invalidate(&self, branch: &Branch, above: u32) {
        lock(&self.invalid).extend(branch.blocks[above as usize + 1..].iter().map(Block::block_hash));
    }

    /// Number of calls so far.
    pub fn calls(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }

    fn active(&self) -> Arc<Branch> {
        Arc::clone(&lock(&self.active))
    }

    fn answer(
        &self,
        call: SourceCall,
        find: impl FnOnce(&Branch) -> Result<SourceAnswer, NodeError>,
    ) -> Result<SourceAnswer, NodeError> {
        if self.stop.requested() {
            return Err(NodeError::Stopped);
        }
        let mut answer = find(&self.active())?;
        let number = self.calls.fetch_add(1, Ordering::SeqCst);
        if let Some(hook) = lock(&self.hook).as_mut() {
            hook(self, number, call, &mut answer)?;
        }
        Ok(answer)
    }

    fn of_block<T>(
        &self,
        call: SourceCall,
        id: BlockId,
        part: impl FnOnce(&Branch, usize) -> SourceAnswer,
        read: impl FnOnce(SourceAnswer) -> Option<T>,
    ) -> Result<T, NodeError> {
        let answer = self.answer(call, |active| {
            let height = active.heights.get(&id.hash).copied().filter(|height| *height == id.height as usize);
            height.map(|height| part(active, height)).ok_or(NodeError::NotOnChain(id))
        })?;
        Ok(read(answer).expect("a hook keeps the kind of answer"))
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A hook may have panicked, as the test wants.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A handle to the source of a test.
pub struct SharedSource(pub Arc<MemorySource>);

impl BlockSource for SharedSource {
    fn connect(&self) -> Box<dyn Connection> {
        Box::new(Self(Arc::clone(&self.0)))
    }

    fn connections(&self, threads: usize) -> usize {
        (threads * 2).clamp(2, 8)
    }

    fn height(&self) -> Result<u32, NodeError> {
        match self.0.answer(SourceCall::Height, |active| Ok(SourceAnswer::Height(active.height())))? {
            SourceAnswer::Height(height) => Ok(height),
            _ => panic!("a hook keeps the kind of answer"),
        }
    }

    fn calls_invalid(&self, block: BlockId) -> Result<bool, NodeError> {
        let invalid = lock(&self.0.invalid).contains(&block.hash);
        match self.0.answer(SourceCall::Invalid(block), |_| Ok(SourceAnswer::Invalid(invalid)))? {
            SourceAnswer::Invalid(invalid) => Ok(invalid),
            _ => panic!("a hook keeps the kind of answer"),
        }
    }

    fn filtering(&self, _blocks: u32) -> Filtering {
        *lock(&self.0.filtering)
    }

    fn give_up(&self) {
        self.0.stop.request();
    }
}

impl Connection for SharedSource {
    fn headers(&mut self, first: u32, count: usize) -> Result<Vec<Header>, NodeError> {
        let find = |active: &Branch| {
            let blocks = active.blocks.iter().skip(first as usize).take(count);
            Ok(SourceAnswer::Headers(blocks.map(|block| block.header).collect()))
        };
        match self.0.answer(SourceCall::Headers(first, count), find)? {
            SourceAnswer::Headers(headers) => Ok(headers),
            _ => panic!("a hook keeps the kind of answer"),
        }
    }

    fn match_filters(
        &mut self,
        _previous: BlockHash,
        blocks: &[BlockId],
        judge: &FilterJudge<'_>,
    ) -> Result<Vec<Option<FilterAnswer>>, NodeError> {
        let salt = self.0.calls();
        let find = |active: &Branch| {
            let known = |id: &&BlockId| active.heights.get(&id.hash) == Some(&(id.height as usize));
            let lost = |id: &&BlockId| (id.height as usize).wrapping_mul(31).wrapping_add(salt).is_multiple_of(13);
            let filter = |id: &BlockId| active.filters()[id.height as usize].clone();
            let one = |id| Some(id).filter(known).filter(|id| !lost(id)).map(filter);
            Ok(SourceAnswer::Filters(blocks.iter().map(one).collect()))
        };
        let first = blocks.first().map_or(0, |id| id.height);
        match self.0.answer(SourceCall::Filters(first, blocks.len()), find)? {
            SourceAnswer::Filters(filters) => {
                let mut matcher = Matcher::default();
                let mut said = |(id, filter): (&BlockId, Option<Vec<u8>>)| {
                    filter.map(|filter| FilterAnswer::by(judge, &mut matcher, *id, &filter))
                };
                Ok(blocks.iter().zip(filters).map(&mut said).collect())
            }
            _ => panic!("a hook keeps the kind of answer"),
        }
    }

    fn block(&mut self, id: BlockId) -> Result<Vec<u8>, NodeError> {
        let raw = |active: &Branch, height: usize| SourceAnswer::Block(consensus::serialize(&active.blocks[height]));
        let read = |answer| if let SourceAnswer::Block(raw) = answer { Some(raw) } else { None };
        self.0.of_block(SourceCall::Block(id), id, raw, read)
    }

    fn all_spent(&mut self, id: BlockId) -> Result<Vec<Vec<TxOut>>, NodeError> {
        let all = |active: &Branch, height: usize| SourceAnswer::AllSpent(active.spent[height].clone());
        let read = |answer| if let SourceAnswer::AllSpent(all) = answer { Some(all) } else { None };
        self.0.of_block(SourceCall::AllSpent(id), id, all, read)
    }

    fn spent(&mut self, id: BlockId, wanted: &[(u32, Txid)]) -> Result<SpentOutputs, NodeError> {
        let whole = self.0.whole;
        let some = |active: &Branch, height: usize| {
            let (all, block) = (&active.spent[height], &active.blocks[height]);
            let of = |(tx_index, txid): &(u32, Txid)| {
                assert!(
                    *tx_index > 0 && block.txdata[*tx_index as usize].compute_txid() == *txid,
                    "no transaction of the block"
                );
                (*tx_index, all[*tx_index as usize].clone())
            };
            SourceAnswer::Spent(if whole {
                SpentOutputs::All(all.clone())
            } else {
                SpentOutputs::Some(wanted.iter().map(of).collect())
            })
        };
        let read = |answer| if let SourceAnswer::Spent(spent) = answer { Some(spent) } else { None };
        self.0.of_block(SourceCall::Spent(id), id, some, read)
    }
}
