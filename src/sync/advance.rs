//! In chain order, on one thread: which candidates really touch, what they bring, and when a batch is written.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use bitcoin::{OutPoint, Transaction, TxOut, Txid};

use super::SyncError;
use super::interest::{Interest, LiveCoin, LiveCoins};
use super::pipeline::{Arrived, ConnectionPool, Content};
use super::source::Spent;
use crate::chain::{BlockId, Height};
use crate::index::derive::{self, DerivedRow, Flagged};
use crate::index::keys::TxPosition;
use crate::index::values::{MAIN_SWEEP, Record, Sweep};
use crate::index::{Family, Step, Writer};
use crate::scan::ScanError;
use crate::scan::block::Proof;

/// A batch is written when it holds this many bytes, however few its blocks.
const BATCH_BYTES: usize = 4 << 20;

/// What was done since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Heights passed.
    pub blocks: u64,
    /// Blocks read for it.
    pub blocks_read: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Touches found.
    pub touches: u64,
}

/// The main sweep at work on one index.
pub struct Advance<'a> {
    writer: &'a Writer,
    interest: Arc<Interest>,
    live: LiveCoins,
    pool: Arc<ConnectionPool>,
    step: Step<'a>,
    /// The rows of the block at hand, which go into the step when it is done: a block that fails halfway leaves none.
    rows: Vec<DerivedRow>,
    blocks_in_step: usize,
    batch_blocks: usize,
    /// The outputs of the records that this step holds, which reads can't see yet.
    pending: HashMap<Txid, Vec<TxOut>, foldhash::quality::RandomState>,
    last: Option<Height>,
    /// What was done.
    pub tally: Tally,
}

impl<'a> Advance<'a> {
    /// Starts where the index stands; a batch holds at most `batch_blocks` blocks.
    pub fn new(
        writer: &'a Writer,
        interest: Arc<Interest>,
        live: LiveCoins,
        pool: Arc<ConnectionPool>,
        batch_blocks: usize,
    ) -> Self {
        Self {
            writer,
            interest,
            live,
            pool,
            step: writer.step(),
            rows: Vec::new(),
            blocks_in_step: 0,
            batch_blocks: batch_blocks.max(1),
            pending: HashMap::default(),
            last: None,
            tally: Tally::default(),
        }
    }

    /// Applies the next block.
    ///
    /// # Errors
    /// What is wrong with the block, the node or the index; then nothing of this block is written, and no further block may be
    /// applied.
    pub fn apply(&mut self, arrived: Arrived) -> Result<(), SyncError> {
        let height = arrived.id.height;
        if let Some(content) = &arrived.content {
            self.tally.blocks_read += 1;
            self.tally.bytes += content.scan.bytes() as u64;
            self.apply_content(&arrived, content)?;
        }
        for (family, key, value) in self.rows.drain(..) {
            self.tally.touches += u64::from(family == Family::Touches);
            self.step.put(family, &key, &value);
        }
        self.step.put(Family::Headers, &height.to_be_bytes(), &bitcoin::consensus::serialize(&arrived.header));
        self.live.end_block(&self.interest);
        self.tally.blocks += 1;
        self.last = Some(height);
        self.blocks_in_step += 1;
        if self.blocks_in_step >= self.batch_blocks || self.step.bytes() >= BATCH_BYTES {
            self.commit(false)?;
        }
        Ok(())
    }

    /// Writes what was applied since the last batch.
    ///
    /// # Errors
    /// What the index reports.
    pub fn commit(&mut self, durable: bool) -> Result<(), SyncError> {
        // Taken, so that no later batch moves the position past rows that this one fails to write.
        let Some(last) = self.last.take() else { return Ok(()) };
        let mut step = std::mem::replace(&mut self.step, self.writer.step());
        step.put(Family::Sweeps, &MAIN_SWEEP.to_be_bytes(), &Sweep { next: last + 1 }.value());
        step.commit(durable)?;
        self.blocks_in_step = 0;
        self.pending.clear();
        Ok(())
    }

    fn apply_content(&mut self, arrived: &Arrived, content: &Content) -> Result<(), SyncError> {
        let mut candidates: BTreeSet<u32> = content.scan.candidates().iter().copied().collect();
        candidates.extend(content.scan.spending(&self.live.missed_by(content.version)));
        if candidates.is_empty() {
            return Ok(());
        }
        let mut block = Block { id: arrived.id, content, proof: None, fetched: None, by_input: None };
        while let Some(tx_index) = candidates.pop_first() {
            let made = self.apply_transaction(arrived, &mut block, tx_index)?;
            candidates.extend(made.into_iter().flat_map(|fingerprint| block.spenders_of(fingerprint)));
        }
        Ok(())
    }

    /// Applies one candidate, if it touches; returns the fingerprints of the live coins it made.
    fn apply_transaction(
        &mut self,
        arrived: &Arrived,
        block: &mut Block<'_>,
        tx_index: u32,
    ) -> Result<Vec<u64>, SyncError> {
        let height = arrived.id.height;
        let wrong = |source| SyncError::Block { block: arrived.id, source };
        let transaction = block.content.scan.transaction(tx_index).map_err(wrong)?;
        let told = block.content.spent.as_ref().and_then(|spent| spent.of(tx_index)).unwrap_or_default();
        let spends = transaction.input.iter().any(|input| self.live.get(&input.previous_output).is_some())
            || told.iter().any(|output| self.interest.is_flagged(&output.script_pubkey, height));
        let pays = transaction.output.iter().any(|output| self.interest.is_flagged(&output.script_pubkey, height));
        if !spends && !pays {
            return Ok(Vec::new());
        }
        let proof = block.proof(&arrived.header).map_err(wrong)?;
        let (txid, branch) = (proof.txid(tx_index), proof.branch(tx_index));
        let spent = match tx_index {
            0 => Vec::new(),
            _ => block.spent(&self.pool, tx_index, txid)?,
        };
        if tx_index > 0 && spent.len() != transaction.input.len() {
            return Err(wrong(ScanError::SpentOutputs));
        }
        self.check_spent(arrived.id, &transaction, &spent)?;
        let at = TxPosition { height, tx_index };
        let record = Record { transaction, spent, branch };
        self.rows.extend(derive::rows(at, txid, &record, self.interest.as_ref()));
        Ok(self.update_coins(txid, height, record))
    }

    /// Compares what the node tells of spent outputs with what the index knows of the transactions that made them.
    fn check_spent(&self, block: BlockId, transaction: &Transaction, spent: &[TxOut]) -> Result<(), SyncError> {
        for (input, told) in transaction.input.iter().zip(spent) {
            let outpoint = input.previous_output;
            let agrees = match self.live.get(&outpoint) {
                Some(coin) => {
                    let script = self.interest.scripts.find(told.script_pubkey.as_bytes());
                    coin == (LiveCoin { value: told.value.to_sat(), script: script.unwrap_or(u32::MAX) })
                }
                None => self.recorded_output(&outpoint)?.is_none_or(|output| output == *told),
            };
            if !agrees {
                return Err(SyncError::SpentOutput { outpoint, block });
            }
        }
        Ok(())
    }

    /// The output itself, where a record holds its transaction.
    fn recorded_output(&self, outpoint: &OutPoint) -> Result<Option<TxOut>, SyncError> {
        let vout = outpoint.vout as usize;
        if let Some(outputs) = self.pending.get(&outpoint.txid) {
            return Ok(outputs.get(vout).cloned());
        }
        // Twins have the same outputs: any will do.
        let Some(at) = self.writer.positions(outpoint.txid)?.first().copied() else { return Ok(None) };
        Ok(self.writer.record(at)?.and_then(|record| record.transaction.output.get(vout).cloned()))
    }

    /// Removes the coins a record spends and adds those it makes; returns the fingerprints of the latter.
    fn update_coins(&mut self, txid: Txid, height: Height, record: Record) -> Vec<u64> {
        for input in &record.transaction.input {
            self.live.remove(&input.previous_output);
        }
        let mut made = Vec::new();
        for (vout, output) in (0..).zip(&record.transaction.output) {
            if !self.interest.is_flagged(&output.script_pubkey, height) {
                continue;
            }
            if let Some(script) = self.interest.scripts.find(output.script_pubkey.as_bytes()) {
                let coin = LiveCoin { value: output.value.to_sat(), script };
                made.push(self.live.insert(&self.interest, OutPoint { txid, vout }, coin));
            }
        }
        self.pending.insert(txid, record.transaction.output);
        made
    }
}

/// What is worked out about one block while its candidates are applied, each at most once.
struct Block<'a> {
    id: BlockId,
    content: &'a Content,
    proof: Option<Proof>,
    /// Spent outputs fetched on top of what came with the block.
    fetched: Option<Spent>,
    by_input: Option<HashMap<u64, u32>>,
}

impl Block<'_> {
    fn proof(&mut self, header: &bitcoin::block::Header) -> Result<&Proof, ScanError> {
        if let Some(proof) = &self.content.proof {
            return Ok(proof);
        }
        match self.proof.take() {
            Some(proof) => Ok(self.proof.insert(proof)),
            None => Ok(self.proof.insert(self.content.scan.prove(header)?)),
        }
    }

    /// The outputs that a transaction spends.
    fn spent(&mut self, pool: &ConnectionPool, tx_index: u32, txid: Txid) -> Result<Vec<TxOut>, SyncError> {
        let known = |spent: &Option<Spent>| spent.as_ref().and_then(|spent| spent.of(tx_index)).map(<[TxOut]>::to_vec);
        if let Some(spent) = known(&self.content.spent).or_else(|| known(&self.fetched)) {
            return Ok(spent);
        }
        let asked = pool.with(|node| node.spent(self.id, &[(tx_index, txid)]));
        let spent = asked.map_err(SyncError::from_node)?;
        let of_this = spent.of(tx_index).map(<[TxOut]>::to_vec).unwrap_or_default();
        self.fetched = Some(spent);
        Ok(of_this)
    }

    /// The transactions of this block with an input of that fingerprint.
    fn spenders_of(&mut self, fingerprint: u64) -> Option<u32> {
        let by_input = self.by_input.get_or_insert_with(|| self.content.scan.inputs().collect());
        by_input.get(&fingerprint).copied()
    }
}
