//! One raw block: parses it without copying, and finds the candidates among its transactions.
//!
//! A transaction is a candidate if one of its outputs, or of the outputs it spends, is on a flagged script, or if one of its inputs
//! has the fingerprint of a live coin. Txids are computed only for a block that has a candidate.
//!
//! Parsing only gathers hashes; they are looked up afterwards in one loop. The tables can be larger than the processor's caches, and
//! in a loop of independent lookups it waits for many cache lines at once.

use std::ops::{ControlFlow, Range};

use bitcoin::block::Header;
use bitcoin::hashes::Hash;
use bitcoin::{Transaction, TxOut, Txid, consensus};
use bitcoin_slices::{Visit, Visitor, bsl};

use super::fingerprint::{CoinSet, Fingerprints, OutPointHasher};
use super::script_map::ScriptMap;
use crate::chain::merkle::MerkleTree;

/// Why the bytes that a node sent for a block can't be used.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum ScanError {
    /// The bytes do not parse; holds the parser's reason.
    #[error("the block does not parse ({0})")]
    Malformed(String),
    /// They are another block.
    #[error("its header is not that of the block asked for")]
    OtherHeader,
    /// The transactions are not those that the header commits to.
    #[error("its transactions don't hash to the merkle root of its header")]
    MerkleRoot,
    /// The list of transactions repeats its tail (CVE-2012-2459).
    #[error("its list of transactions repeats its tail (CVE-2012-2459)")]
    Duplicated,
    /// The node's list of spent outputs has another number of them than the block has inputs.
    #[error("the node's list of spent outputs doesn't fit its inputs")]
    SpentOutputs,
}

/// A block after one pass over its bytes.
pub struct BlockScan {
    raw: Vec<u8>,
    /// Offset in `raw` of each transaction's end.
    ends: Vec<usize>,
    /// Offset in `raw` of the first transaction.
    first: usize,
    /// Fingerprint of every input's outpoint, in block order, without the coinbase's.
    inputs: Vec<u64>,
    /// For each transaction, the number of `inputs` up to its end.
    input_ends: Vec<u32>,
    /// Ascending.
    candidates: Vec<u32>,
}

/// Parses `raw`, whose header must be `header`, and finds its candidates. `spent` holds each transaction's spent outputs: it is needed
/// if coins may be spent that were created below the height at which scanning began.
///
/// # Errors
/// [`ScanError`]. The candidates are not proven to be in the block before [`BlockScan::prove`] has succeeded.
pub fn scan<V: Copy>(
    raw: Vec<u8>,
    header: &Header,
    spent: Option<&[Vec<TxOut>]>,
    scripts: &ScriptMap<V>,
    live: &CoinSet,
    hasher: &OutPointHasher,
) -> Result<BlockScan, ScanError> {
    if raw.get(..Header::SIZE) != Some(&consensus::serialize(header)[..]) {
        return Err(ScanError::OtherHeader);
    }
    if u32::try_from(raw.len()).is_err() {
        return Err(ScanError::Malformed("it is larger than any block".into()));
    }
    let mut visitor = BlockVisitor::new(&raw, scripts, hasher);
    let parsed = bsl::Block::visit(&raw, &mut visitor).map_err(|error| ScanError::Malformed(format!("{error:?}")))?;
    if !parsed.remaining().is_empty() {
        return Err(ScanError::Malformed(format!("{} bytes too many", parsed.remaining().len())));
    }
    let BlockVisitor { outputs, output_ends, end, mut ends, inputs, input_ends, .. } = visitor;
    if ends.is_empty() {
        return Err(ScanError::Malformed("it has no transaction".into()));
    }
    let first = raw.len() - end;
    ends.iter_mut().for_each(|end| *end += first);

    let funding = outputs
        .iter()
        .enumerate()
        .filter(|(_, output)| scripts.may_hold(output.hash) && scripts.find_exactly(&raw[output.range()]).is_some());
    let mut candidates: Vec<u32> = funding.map(|(at, _)| transaction_of(&output_ends, at)).collect();
    let spending = inputs.iter().enumerate().filter(|(_, input)| live.contains(**input));
    candidates.extend(spending.map(|(at, _)| transaction_of(&input_ends, at)));

    let mut block = BlockScan { raw, ends, first, inputs, input_ends, candidates: Vec::new() };
    if let Some(spent) = spent {
        block.check_spent(spent)?;
        for (tx_index, outputs) in (0..).zip(spent) {
            if outputs.iter().any(|output| scripts.find(output.script_pubkey.as_bytes()).is_some()) {
                candidates.push(tx_index);
            }
        }
    }
    candidates.sort_unstable();
    candidates.dedup();
    block.candidates = candidates;
    Ok(block)
}

impl BlockScan {
    /// Indices of the candidates, ascending.
    pub fn candidates(&self) -> &[u32] {
        &self.candidates
    }

    /// The number of transactions.
    #[cfg(feature = "testing")]
    pub fn transactions(&self) -> usize {
        self.ends.len()
    }

    /// The block's size in bytes, with witnesses.
    pub fn bytes(&self) -> usize {
        self.raw.len()
    }

    /// Takes the block's bytes, so that the next block can be read into the same memory. Afterwards `transaction` and `prove` fail.
    pub fn take_raw(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.raw)
    }

    /// Where the fingerprints of a transaction's inputs lie in `inputs`.
    fn input_range(&self, tx_index: usize) -> Range<usize> {
        let start = tx_index.checked_sub(1).map_or(0, |before| self.input_ends[before]);
        start as usize..self.input_ends[tx_index] as usize
    }

    /// The transactions that may spend one of `wanted`, ascending: for coins that became known after the block was scanned.
    pub fn spending(&self, wanted: &Fingerprints) -> Vec<u32> {
        if wanted.is_empty() {
            return Vec::new();
        }
        let hits = self.inputs.iter().enumerate().filter(|(_, input)| wanted.contains(input));
        let mut found: Vec<u32> = hits.map(|(at, _)| transaction_of(&self.input_ends, at)).collect();
        found.dedup();
        found
    }

    /// Every input's fingerprint with the index of its transaction.
    pub fn inputs(&self) -> impl Iterator<Item = (u64, u32)> + '_ {
        let mut tx_index = 0;
        self.inputs.iter().enumerate().map(move |(at, input)| {
            while self.input_ends[tx_index as usize] as usize <= at {
                tx_index += 1;
            }
            (*input, tx_index)
        })
    }

    /// Decodes a transaction, without its witness.
    ///
    /// # Errors
    /// [`ScanError::Malformed`] if there is no such transaction, or if `bitcoin` and the zero-copy parser disagree.
    pub fn transaction(&self, tx_index: u32) -> Result<Transaction, ScanError> {
        let index = tx_index as usize;
        let end = *self.ends.get(index).ok_or_else(|| ScanError::Malformed("no such transaction".into()))?;
        let start = index.checked_sub(1).map_or(self.first, |before| self.ends[before]);
        let decoded: Result<Transaction, _> = consensus::deserialize(&self.raw[start..end]);
        let mut transaction = decoded.map_err(|error| ScanError::Malformed(error.to_string()))?;
        for input in &mut transaction.input {
            input.witness.clear();
        }
        Ok(transaction)
    }

    /// Computes all txids and their merkle root, and checks that it is the header's.
    ///
    /// # Errors
    /// [`ScanError::MerkleRoot`], [`ScanError::Duplicated`].
    pub fn prove(&self, header: &Header) -> Result<Proof, ScanError> {
        let mut visitor = TxidVisitor(Vec::with_capacity(self.ends.len()));
        bsl::Block::visit(&self.raw, &mut visitor).map_err(|error| ScanError::Malformed(format!("{error:?}")))?;
        let TxidVisitor(txids) = visitor;
        let tree = MerkleTree::new(&txids).ok_or(ScanError::MerkleRoot)?;
        if tree.root() != header.merkle_root {
            return Err(ScanError::MerkleRoot);
        }
        if tree.is_mutated() {
            return Err(ScanError::Duplicated);
        }
        Ok(Proof { txids, tree })
    }

    /// Checks that a list of spent outputs has one for each input.
    ///
    /// # Errors
    /// [`ScanError::SpentOutputs`].
    pub fn check_spent(&self, spent: &[Vec<TxOut>]) -> Result<(), ScanError> {
        let inputs = (0..self.ends.len()).map(|index| self.input_range(index).len());
        if inputs.eq(spent.iter().map(Vec::len)) { Ok(()) } else { Err(ScanError::SpentOutputs) }
    }
}

/// The txids of a block, proven to be those that its header commits to.
pub struct Proof {
    txids: Vec<Txid>,
    tree: MerkleTree,
}

impl Proof {
    /// Panics if the block has no transaction with this index.
    pub fn txid(&self, tx_index: u32) -> Txid {
        self.txids[tx_index as usize]
    }

    /// The transaction's merkle branch, lowest sibling first.
    pub fn branch(&self, tx_index: u32) -> Vec<[u8; 32]> {
        self.tree.branch(tx_index as usize)
    }
}

struct TxidVisitor(Vec<Txid>);

impl Visitor for TxidVisitor {
    fn visit_transaction(&mut self, transaction: &bsl::Transaction<'_>) -> ControlFlow<()> {
        self.0.push(Txid::from_byte_array(transaction.txid().to_byte_array()));
        ControlFlow::Continue(())
    }
}

/// The transaction that the input or output number `at` of the block belongs to; `ends` counts them up to each transaction's end.
fn transaction_of(ends: &[u32], at: usize) -> u32 {
    let index = ends.partition_point(|end| *end as usize <= at);
    u32::try_from(index).expect("a block has fewer transactions than bytes")
}

/// The script of an output.
struct OutputScript {
    /// As by [`ScriptMap::hash`].
    hash: u64,
    /// Offset in the block.
    start: u32,
    length: u32,
}

impl OutputScript {
    fn range(&self) -> Range<usize> {
        let start = self.start as usize;
        start..start + self.length as usize
    }
}

/// Gathers, for the whole block, what has to be looked up.
struct BlockVisitor<'a, V> {
    raw: &'a [u8],
    scripts: &'a ScriptMap<V>,
    hasher: &'a OutPointHasher,
    outputs: Vec<OutputScript>,
    output_ends: Vec<u32>,
    /// Bytes of the transactions so far.
    end: usize,
    ends: Vec<usize>,
    inputs: Vec<u64>,
    input_ends: Vec<u32>,
}

impl<'a, V> BlockVisitor<'a, V> {
    fn new(raw: &'a [u8], scripts: &'a ScriptMap<V>, hasher: &'a OutPointHasher) -> Self {
        Self {
            raw,
            scripts,
            hasher,
            // Full blocks of mainnet have about one output and one input in 160 bytes, one transaction in 400.
            outputs: Vec::with_capacity(raw.len() / 160),
            output_ends: Vec::with_capacity(raw.len() / 400),
            end: 0,
            ends: Vec::with_capacity(raw.len() / 400),
            inputs: Vec::with_capacity(raw.len() / 160),
            input_ends: Vec::with_capacity(raw.len() / 400),
        }
    }
}

impl<V> Visitor for BlockVisitor<'_, V> {
    fn visit_tx_in(&mut self, _vin: usize, input: &bsl::TxIn<'_>) -> ControlFlow<()> {
        // The coinbase, the first transaction, spends no coin.
        if !self.ends.is_empty() {
            self.inputs.push(self.hasher.of_bytes(input.prevout().as_ref()));
        }
        ControlFlow::Continue(())
    }

    fn visit_tx_out(&mut self, _vout: usize, output: &bsl::TxOut<'_>) -> ControlFlow<()> {
        let script = output.script_pubkey();
        let start = script.as_ptr().addr() - self.raw.as_ptr().addr();
        let [start, length] = [start, script.len()].map(|number| u32::try_from(number).unwrap_or(u32::MAX));
        self.outputs.push(OutputScript { hash: self.scripts.hash(script), start, length });
        ControlFlow::Continue(())
    }

    fn visit_transaction(&mut self, transaction: &bsl::Transaction<'_>) -> ControlFlow<()> {
        self.end += transaction.as_ref().len();
        self.ends.push(self.end);
        // Fits: the block is smaller than 4 GiB (checked before), and has fewer inputs and outputs than bytes.
        self.input_ends.push(u32::try_from(self.inputs.len()).unwrap_or(u32::MAX));
        self.output_ends.push(u32::try_from(self.outputs.len()).unwrap_or(u32::MAX));
        ControlFlow::Continue(())
    }
}
