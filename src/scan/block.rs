//! One raw block: parse it without copying, and say which transactions may touch the interest.
//!
//! A transaction is a candidate if one of its outputs, or of the outputs it spends, is on a script looked for, or if one of its
//! inputs has the fingerprint of a coin looked for. No transaction's id is computed unless there is a candidate.

use std::ops::{ControlFlow, Range};

use bitcoin::block::Header;
use bitcoin::hashes::Hash;
use bitcoin::{Transaction, TxOut, Txid, consensus};
use bitcoin_slices::{Visit, Visitor, bsl};

use super::live::{Fingerprints, OutPointHasher};
use super::scripts::Scripts;
use crate::chain::merkle::Tree;

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
pub fn scan(
    raw: Vec<u8>,
    header: &Header,
    spent: Option<&[Vec<TxOut>]>,
    scripts: &Scripts,
    live: &Fingerprints,
    hasher: &OutPointHasher,
) -> Result<BlockScan, ScanError> {
    if raw.get(..Header::SIZE) != Some(&consensus::serialize(header)[..]) {
        return Err(ScanError::OtherHeader);
    }
    let mut pass = Pass {
        scripts,
        live,
        hasher,
        tx_index: 0,
        hit: false,
        end: 0,
        ends: Vec::new(),
        inputs: Vec::with_capacity(raw.len() / 200),
        input_ends: Vec::new(),
        candidates: Vec::new(),
    };
    let parsed = bsl::Block::visit(&raw, &mut pass).map_err(|error| ScanError::Malformed(format!("{error:?}")))?;
    if !parsed.remaining().is_empty() {
        return Err(ScanError::Malformed(format!("{} bytes too many", parsed.remaining().len())));
    }
    let first = raw.len() - pass.end;
    let mut candidates = pass.candidates;
    let (mut ends, inputs, input_ends) = (pass.ends, pass.inputs, pass.input_ends);
    if ends.is_empty() {
        return Err(ScanError::Malformed("it has no transaction".into()));
    }
    ends.iter_mut().for_each(|end| *end += first);
    let mut block = BlockScan { raw, ends, first, inputs, input_ends, candidates: Vec::new() };
    if let Some(spent) = spent {
        block.fits(spent)?;
        for (tx_index, outputs) in (0..).zip(spent) {
            if outputs.iter().any(|output| scripts.find(output.script_pubkey.as_bytes()).is_some()) {
                candidates.push(tx_index);
            }
        }
        candidates.sort_unstable();
        candidates.dedup();
    }
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
        let mut found: Vec<u32> = hits.map(|(at, _)| self.transaction_of_input(at)).collect();
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

    fn transaction_of_input(&self, at: usize) -> u32 {
        let index = self.input_ends.partition_point(|end| *end as usize <= at);
        u32::try_from(index).expect("a block has fewer transactions than bytes")
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
        let tree = Tree::new(&ids.0).ok_or(ScanError::MerkleRoot)?;
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
    tree: Tree,
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

struct Pass<'a> {
    scripts: &'a Scripts,
    live: &'a Fingerprints,
    hasher: &'a OutPointHasher,
    tx_index: u32,
    hit: bool,
    end: usize,
    ends: Vec<usize>,
    inputs: Vec<u64>,
    input_ends: Vec<u32>,
    candidates: Vec<u32>,
}

impl Visitor for Pass<'_> {
    fn visit_tx_in(&mut self, _vin: usize, input: &bsl::TxIn<'_>) -> ControlFlow<()> {
        if self.tx_index > 0 {
            let fingerprint = self.hasher.of_bytes(input.prevout().as_ref());
            self.hit |= self.live.contains(&fingerprint);
            self.inputs.push(fingerprint);
        }
        ControlFlow::Continue(())
    }

    fn visit_tx_out(&mut self, _vout: usize, output: &bsl::TxOut<'_>) -> ControlFlow<()> {
        self.hit |= self.scripts.find(output.script_pubkey()).is_some();
        ControlFlow::Continue(())
    }

    fn visit_transaction(&mut self, transaction: &bsl::Transaction<'_>) -> ControlFlow<()> {
        if std::mem::take(&mut self.hit) {
            self.candidates.push(self.tx_index);
        }
        self.end += transaction.as_ref().len();
        self.ends.push(self.end);
        // A block holds fewer inputs than bytes, and a message from a node is far below 4 GiB.
        self.input_ends.push(u32::try_from(self.inputs.len()).unwrap_or(u32::MAX));
        self.tx_index += 1;
        ControlFlow::Continue(())
    }
}
