//! One raw block: parse it without copying, and say which transactions may touch the interest.
//!
//! A transaction is a candidate if one of its outputs, or of the outputs it spends, is on a script looked for, or if one of its
//! inputs has the fingerprint of a coin looked for. No transaction's id is computed unless there is a candidate.
//!
//! Parsing only gathers hashes. They are looked up afterwards, one behind the other: where what they are looked up in is larger than
//! the processor's caches, it waits for many of them at once.

use std::ops::{ControlFlow, Range};

use bitcoin::block::Header;
use bitcoin::hashes::Hash;
use bitcoin::{Transaction, TxOut, Txid, consensus};
use bitcoin_slices::{Visit, Visitor, bsl};

use super::live::{Coins, Fingerprints, OutPointHasher};
use super::script_map::ScriptMap;
use crate::chain::merkle::MerkleTree;

/// Why a block can't be used.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum ScanError {
    /// It does not parse.
    #[error("the block does not parse ({0})")]
    Malformed(String),
    /// It is another block.
    #[error("its header is not that of the block asked for")]
    OtherHeader,
    /// Its transactions are not those its header commits to.
    #[error("its transactions don't hash to the merkle root of its header")]
    MerkleRoot,
    /// Its list of transactions repeats its tail (CVE-2012-2459).
    #[error("its list of transactions is a duplicated one (CVE-2012-2459)")]
    Duplicated,
    /// The spent outputs told by the node are not as many as its inputs.
    #[error("the node's list of spent outputs doesn't fit its inputs")]
    SpentOutputs,
}

/// What one look at a block gives.
pub struct BlockScan {
    raw: Vec<u8>,
    /// Where each transaction ends in `raw`.
    ends: Vec<usize>,
    first: usize,
    /// Fingerprint of every input's outpoint, the coinbase's excepted, in block order.
    inputs: Vec<u64>,
    /// How many of `inputs` lie before the end of each transaction.
    input_ends: Vec<u32>,
    /// Candidates, ascending.
    candidates: Vec<u32>,
}

/// Parses `raw`, whose header must be `header`, and finds its candidates. `spent` holds each transaction's spent outputs where
/// the interest asks for coins that nobody saw being made.
///
/// # Errors
/// [`ScanError`], where the block isn't what was asked for; what touches has still to be proven by [`BlockScan::prove`].
pub fn scan<V: Copy>(
    raw: Vec<u8>,
    header: &Header,
    spent: Option<&[Vec<TxOut>]>,
    scripts: &ScriptMap<V>,
    live: &Coins,
    hasher: &OutPointHasher,
) -> Result<BlockScan, ScanError> {
    if raw.get(..Header::SIZE) != Some(&consensus::serialize(header)[..]) {
        return Err(ScanError::OtherHeader);
    }
    if u32::try_from(raw.len()).is_err() {
        return Err(ScanError::Malformed("it is larger than any block".into()));
    }
    let mut pass = Pass::new(&raw, scripts, hasher);
    let parsed = bsl::Block::visit(&raw, &mut pass).map_err(|error| ScanError::Malformed(format!("{error:?}")))?;
    if !parsed.remaining().is_empty() {
        return Err(ScanError::Malformed(format!("{} bytes too many", parsed.remaining().len())));
    }
    let Pass { outputs, output_ends, end, mut ends, inputs, input_ends, .. } = pass;
    if ends.is_empty() {
        return Err(ScanError::Malformed("it has no transaction".into()));
    }
    let first = raw.len() - end;
    ends.iter_mut().for_each(|end| *end += first);

    let is_wanted =
        |output: &Output| scripts.may_hold(output.hash) && scripts.find_exactly(&raw[output.script()]).is_some();
    let funding = outputs.iter().enumerate().filter(|(_, output)| is_wanted(output));
    let mut candidates: Vec<u32> = funding.map(|(at, _)| transaction_of(&output_ends, at)).collect();
    let spending = inputs.iter().enumerate().filter(|(_, input)| live.contains(**input));
    candidates.extend(spending.map(|(at, _)| transaction_of(&input_ends, at)));

    let mut block = BlockScan { raw, ends, first, inputs, input_ends, candidates: Vec::new() };
    if let Some(spent) = spent {
        block.fits(spent)?;
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
    /// Indices of the transactions that may touch, ascending.
    pub fn candidates(&self) -> &[u32] {
        &self.candidates
    }

    /// How many transactions there are.
    pub fn transactions(&self) -> usize {
        self.ends.len()
    }

    /// Bytes of the block.
    pub fn bytes(&self) -> usize {
        self.raw.len()
    }

    /// The block's bytes, for their memory to be used again. Nothing more can be asked after this.
    pub fn take_raw(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.raw)
    }

    /// The fingerprints of a transaction's inputs.
    fn input_range(&self, tx_index: usize) -> Range<usize> {
        let start = tx_index.checked_sub(1).map_or(0, |before| self.input_ends[before]);
        start as usize..self.input_ends[tx_index] as usize
    }

    /// The transactions with an input among `wanted`, ascending; for coins that were not known when the block was scanned.
    pub fn spending(&self, wanted: &Fingerprints) -> Vec<u32> {
        if wanted.is_empty() {
            return Vec::new();
        }
        let hits = self.inputs.iter().enumerate().filter(|(_, input)| wanted.contains(input));
        let mut found: Vec<u32> = hits.map(|(at, _)| transaction_of(&self.input_ends, at)).collect();
        found.dedup();
        found
    }

    /// Every input's fingerprint with its transaction's index, for looking up many coins of the same block.
    pub fn inputs(&self) -> impl Iterator<Item = (u64, u32)> + '_ {
        let mut tx_index = 0;
        self.inputs.iter().enumerate().map(move |(at, input)| {
            while self.input_ends[tx_index as usize] as usize <= at {
                tx_index += 1;
            }
            (*input, tx_index)
        })
    }

    /// A transaction, decoded, without its witness.
    ///
    /// # Errors
    /// [`ScanError::Malformed`] where `bitcoin` reads it otherwise than the zero-copy parser.
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

    /// Computes the ids of all transactions and their merkle tree, and checks it against the header: after this, what the
    /// block says of its transactions is what its header commits to.
    ///
    /// # Errors
    /// [`ScanError::MerkleRoot`], [`ScanError::Duplicated`].
    pub fn prove(&self, header: &Header) -> Result<Proof, ScanError> {
        let mut ids = Ids(Vec::with_capacity(self.ends.len()));
        bsl::Block::visit(&self.raw, &mut ids).map_err(|error| ScanError::Malformed(format!("{error:?}")))?;
        let tree = MerkleTree::new(&ids.0).ok_or(ScanError::MerkleRoot)?;
        if tree.root() != header.merkle_root {
            return Err(ScanError::MerkleRoot);
        }
        if tree.is_mutated() {
            return Err(ScanError::Duplicated);
        }
        Ok(Proof { txids: ids.0, tree })
    }

    /// Whether a list of spent outputs has one for each input.
    ///
    /// # Errors
    /// [`ScanError::SpentOutputs`].
    pub fn fits(&self, spent: &[Vec<TxOut>]) -> Result<(), ScanError> {
        let fits = |(index, outputs): (usize, &Vec<TxOut>)| outputs.len() == self.input_range(index).len();
        let all = spent.len() == self.ends.len() && spent.iter().enumerate().all(fits);
        if all { Ok(()) } else { Err(ScanError::SpentOutputs) }
    }
}

/// The ids of a block's transactions, shown to be those its header commits to.
pub struct Proof {
    txids: Vec<Txid>,
    tree: MerkleTree,
}

impl Proof {
    /// A transaction's id.
    pub fn txid(&self, tx_index: u32) -> Txid {
        self.txids[tx_index as usize]
    }

    /// Its merkle branch.
    pub fn branch(&self, tx_index: u32) -> Vec<[u8; 32]> {
        self.tree.branch(tx_index as usize)
    }
}

struct Ids(Vec<Txid>);

impl Visitor for Ids {
    fn visit_transaction(&mut self, transaction: &bsl::Transaction<'_>) -> ControlFlow<()> {
        self.0.push(Txid::from_byte_array(transaction.txid().to_byte_array()));
        ControlFlow::Continue(())
    }
}

/// The transaction that an input or output belongs to, by how many there are up to the end of each.
fn transaction_of(ends: &[u32], at: usize) -> u32 {
    let index = ends.partition_point(|end| *end as usize <= at);
    u32::try_from(index).expect("a block has fewer transactions than bytes")
}

/// An output, as far as it has to be looked at.
struct Output {
    /// Of its script, for the filter before the scripts looked for.
    hash: u64,
    /// Where its script lies in the block.
    start: u32,
    length: u32,
}

impl Output {
    fn script(&self) -> Range<usize> {
        let start = self.start as usize;
        start..start + self.length as usize
    }
}

struct Pass<'a, V> {
    raw: &'a [u8],
    scripts: &'a ScriptMap<V>,
    hasher: &'a OutPointHasher,
    outputs: Vec<Output>,
    output_ends: Vec<u32>,
    end: usize,
    ends: Vec<usize>,
    inputs: Vec<u64>,
    input_ends: Vec<u32>,
}

impl<'a, V> Pass<'a, V> {
    fn new(raw: &'a [u8], scripts: &'a ScriptMap<V>, hasher: &'a OutPointHasher) -> Self {
        Self {
            raw,
            scripts,
            hasher,
            // As many as full blocks have, about.
            outputs: Vec::with_capacity(raw.len() / 160),
            output_ends: Vec::with_capacity(raw.len() / 400),
            end: 0,
            ends: Vec::with_capacity(raw.len() / 400),
            inputs: Vec::with_capacity(raw.len() / 160),
            input_ends: Vec::with_capacity(raw.len() / 400),
        }
    }
}

impl<V> Visitor for Pass<'_, V> {
    fn visit_tx_in(&mut self, _vin: usize, input: &bsl::TxIn<'_>) -> ControlFlow<()> {
        // Nothing is known of the coinbase's one input.
        if !self.ends.is_empty() {
            self.inputs.push(self.hasher.of_bytes(input.prevout().as_ref()));
        }
        ControlFlow::Continue(())
    }

    fn visit_tx_out(&mut self, _vout: usize, output: &bsl::TxOut<'_>) -> ControlFlow<()> {
        let script = output.script_pubkey();
        let start = script.as_ptr().addr() - self.raw.as_ptr().addr();
        let [start, length] = [start, script.len()].map(|number| u32::try_from(number).unwrap_or(u32::MAX));
        self.outputs.push(Output { hash: self.scripts.hash(script), start, length });
        ControlFlow::Continue(())
    }

    fn visit_transaction(&mut self, transaction: &bsl::Transaction<'_>) -> ControlFlow<()> {
        self.end += transaction.as_ref().len();
        self.ends.push(self.end);
        // A block is below 4 GiB, and holds fewer inputs and outputs than bytes.
        self.input_ends.push(u32::try_from(self.inputs.len()).unwrap_or(u32::MAX));
        self.output_ends.push(u32::try_from(self.outputs.len()).unwrap_or(u32::MAX));
        ControlFlow::Continue(())
    }
}
