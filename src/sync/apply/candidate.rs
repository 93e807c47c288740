//! One block while it is applied: which of its candidates are records, proven as far as can be, each thing worked out at most once.

use std::collections::HashMap;

use bitcoin::block::Header;
use bitcoin::{OutPoint, Transaction, TxOut, Txid};

use crate::chain::BlockId;
use crate::index::values::Record;
use crate::index::{ReadRows, Step};
use crate::scan::block::Proof;
use crate::scan::{BlockScan, ScanError};
use crate::sync::SyncError;
use crate::sync::fetch::interest::LiveCoins;
use crate::sync::fetch::pipeline::{ConnectionPool, Content};
use crate::sync::fetch::source::Spent;

/// A block that was read.
pub struct Block<'a> {
    id: BlockId,
    header: Header,
    content: &'a Content,
    proof: Option<Proof>,
    /// Spent outputs fetched on top of what came with the block.
    fetched: Option<Spent>,
    by_input: Option<HashMap<u64, u32>>,
}

impl<'a> Block<'a> {
    /// Nothing worked out yet.
    pub fn new(id: BlockId, header: Header, content: &'a Content) -> Self {
        Self { id, header, content, proof: None, fetched: None, by_input: None }
    }

    /// The transactions that may touch, by their indices: those the scan found, and those that spend a coin which came since.
    pub fn candidates(&self, live: &LiveCoins) -> impl Iterator<Item = u32> {
        let Content { scan, version, .. } = self.content;
        scan.candidates().iter().copied().chain(scan.spending(&live.missed_by(*version)))
    }

    /// Checks that the spent outputs that came with the block are this block's.
    ///
    /// # Errors
    /// [`SyncError::Block`].
    pub fn check_told(&self) -> Result<(), SyncError> {
        self.content.spent.as_ref().map_or(Ok(()), |spent| self.fits(spent))
    }

    /// The transactions of this block with an input of that fingerprint.
    pub fn spenders_of(&mut self, fingerprint: u64) -> Option<u32> {
        let by_input = self.by_input.get_or_insert_with(|| self.content.scan.inputs().collect());
        by_input.get(&fingerprint).copied()
    }

    /// A candidate as the record it is to be, if it is one: its transaction and what it spends, proven as far as can be. It is one if
    /// it spends a `live` coin, or an output that it spends or makes is `flagged`.
    ///
    /// # Errors
    /// What is wrong with the block, what the node tells of it, or the index.
    pub fn record(
        &mut self,
        tx_index: u32,
        flagged: impl Fn(&TxOut) -> bool,
        live: impl Fn(&OutPoint) -> bool,
        pool: &ConnectionPool,
        step: &Step<'_>,
    ) -> Result<Option<(Txid, Record)>, SyncError> {
        let transaction = self.content.scan.transaction(tx_index).map_err(|source| self.wrong(source))?;
        let told = self.content.spent.as_ref().and_then(|spent| spent.of(tx_index)).unwrap_or_default();
        let spends = transaction.input.iter().any(|input| live(&input.previous_output));
        if !spends && !told.iter().any(&flagged) && !transaction.output.iter().any(&flagged) {
            return Ok(None);
        }
        let block = self.id;
        let proof = self.proof().map_err(|source| SyncError::Block { block, source })?;
        let (txid, branch) = (proof.txid(tx_index), proof.branch(tx_index));
        let spent = match tx_index {
            0 => Vec::new(),
            _ => self.spent(pool, tx_index, txid)?,
        };
        if tx_index > 0 && spent.len() != transaction.input.len() {
            return Err(self.wrong(ScanError::SpentOutputs));
        }
        check_spent(step, self.id, &transaction, &spent)?;
        Ok(Some((txid, Record { transaction, spent, branch })))
    }

    fn wrong(&self, source: ScanError) -> SyncError {
        SyncError::Block { block: self.id, source }
    }

    fn fits(&self, spent: &Spent) -> Result<(), SyncError> {
        fits(spent, &self.content.scan).map_err(|source| self.wrong(source))
    }

    fn proof(&mut self) -> Result<&Proof, ScanError> {
        if let Some(proof) = &self.content.proof {
            return Ok(proof);
        }
        match self.proof.take() {
            Some(proof) => Ok(self.proof.insert(proof)),
            None => Ok(self.proof.insert(self.content.scan.prove(&self.header)?)),
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
        self.fits(&spent)?;
        let of_this = spent.of(tx_index).map(<[TxOut]>::to_vec).unwrap_or_default();
        self.fetched = Some(spent);
        Ok(of_this)
    }
}

/// What a node tells of a whole block has one output for each of its inputs, or it is another block's.
fn fits(spent: &Spent, scan: &BlockScan) -> Result<(), ScanError> {
    match spent {
        Spent::All(all) => scan.check_spent(all),
        Spent::Some(_) => Ok(()),
    }
}

/// Compares what the node tells of spent outputs with what the index knows of the transactions that made them.
fn check_spent(step: &Step<'_>, block: BlockId, transaction: &Transaction, spent: &[TxOut]) -> Result<(), SyncError> {
    for (input, told) in transaction.input.iter().zip(spent) {
        let outpoint = input.previous_output;
        if step.output(&outpoint)?.is_some_and(|output| output != *told) {
            return Err(SyncError::SpentOutput { outpoint, block });
        }
    }
    Ok(())
}
