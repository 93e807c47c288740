//! The candidates of one block while it is applied: which of them are records, proven as far as the block can. Each thing is worked
//! out at most once.

use std::collections::HashMap;

use bitcoin::block::Header;
use bitcoin::{OutPoint, Transaction, TxOut, Txid};

use crate::chain::BlockId;
use crate::index::values::Record;
use crate::index::{ReadRows, Step};
use crate::scan::ScanError;
use crate::scan::block::Proof;
use crate::sync::SyncError;
use crate::sync::fetch::block::ScannedBlock;
use crate::sync::fetch::coins::LiveCoins;
use crate::sync::fetch::pool::ConnectionPool;
use crate::sync::fetch::source::SpentOutputs;
use crate::sync::interrupt::Flow;

/// The candidates of a block that was read.
pub struct Candidates<'a> {
    id: BlockId,
    header: Header,
    block: &'a ScannedBlock,
    /// Transaction ids, where they were not proven when the block was read.
    proof: Option<Proof>,
    /// Spent outputs fetched in addition to those that came with the block.
    fetched: Option<SpentOutputs>,
    /// The index of the transaction that spends each coin, by the coin's fingerprint.
    spenders: Option<HashMap<u64, u32>>,
}

impl<'a> Candidates<'a> {
    /// Works out nothing yet.
    pub fn new(id: BlockId, header: Header, block: &'a ScannedBlock) -> Self {
        Self { id, header, block, proof: None, fetched: None, spenders: None }
    }

    /// The indices of the candidates: those that the search found, and those that spend a coin made since.
    pub fn indices(&self, live: &LiveCoins) -> impl Iterator<Item = u32> {
        let ScannedBlock { scan, coins_version, .. } = self.block;
        scan.candidates().iter().copied().chain(scan.spending(&live.missed_by(*coins_version)))
    }

    /// Checks that the spent outputs that came with the block are as many as the block spends.
    ///
    /// # Errors
    /// [`SyncError::Block`].
    pub fn check_spent_outputs(&self) -> Result<(), SyncError> {
        self.block.spent.as_ref().map_or(Ok(()), |spent| self.fits(spent))
    }

    /// The transaction of this block that spends the coin with that fingerprint.
    pub fn spender_of(&mut self, fingerprint: u64) -> Option<u32> {
        let spenders = self.spenders.get_or_insert_with(|| self.block.scan.inputs().collect());
        spenders.get(&fingerprint).copied()
    }

    /// The record of a candidate, with its id: its transaction and what that spends, proven as far as the block can. `None` where it
    /// spends no `live` coin, and no output that it spends or makes is `flagged`.
    ///
    /// # Errors
    /// The block, the spent outputs that the node reports, or the index is wrong.
    pub fn record(
        &mut self,
        tx_index: u32,
        flagged: impl Fn(&TxOut) -> bool,
        live: impl Fn(&OutPoint) -> bool,
        pool: &ConnectionPool,
        step: &Step<'_>,
    ) -> Flow<Option<(Txid, Record)>> {
        let transaction = self.block.scan.transaction(tx_index).map_err(|source| self.wrong(source))?;
        let reported = self.block.spent.as_ref().and_then(|spent| spent.of(tx_index)).unwrap_or_default();
        let spends = transaction.input.iter().any(|input| live(&input.previous_output));
        if !spends && !reported.iter().any(&flagged) && !transaction.output.iter().any(&flagged) {
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
            return Err(self.wrong(ScanError::SpentOutputs).into());
        }
        check_against_index(step, self.id, &transaction, &spent)?;
        Ok(Some((txid, Record { transaction, spent, branch })))
    }

    fn wrong(&self, source: ScanError) -> SyncError {
        SyncError::Block { block: self.id, source }
    }

    /// Spent outputs of a whole block are one for each of its inputs, or they are another block's.
    fn fits(&self, spent: &SpentOutputs) -> Result<(), SyncError> {
        match spent {
            SpentOutputs::All(all) => self.block.scan.check_spent(all).map_err(|source| self.wrong(source)),
            SpentOutputs::Some(_) => Ok(()),
        }
    }

    fn proof(&mut self) -> Result<&Proof, ScanError> {
        if let Some(proof) = &self.block.proof {
            return Ok(proof);
        }
        match self.proof.take() {
            Some(proof) => Ok(self.proof.insert(proof)),
            None => Ok(self.proof.insert(self.block.scan.prove(&self.header)?)),
        }
    }

    /// The outputs that a transaction spends.
    fn spent(&mut self, pool: &ConnectionPool, tx_index: u32, txid: Txid) -> Flow<Vec<TxOut>> {
        let known = [&self.block.spent, &self.fetched].into_iter().flatten().find_map(|spent| spent.of(tx_index));
        if let Some(spent) = known {
            return Ok(spent.to_vec());
        }
        let spent = pool.with(|connection| connection.spent(self.id, &[(tx_index, txid)]))?;
        self.fits(&spent)?;
        let of_transaction = spent.of(tx_index).map(<[TxOut]>::to_vec).unwrap_or_default();
        self.fetched = Some(spent);
        Ok(of_transaction)
    }
}

/// Compares the spent outputs that the node reports with the records of the transactions that made them.
fn check_against_index(
    step: &Step<'_>,
    block: BlockId,
    transaction: &Transaction,
    spent: &[TxOut],
) -> Result<(), SyncError> {
    for (input, reported) in transaction.input.iter().zip(spent) {
        let outpoint = input.previous_output;
        if step.output(&outpoint)?.is_some_and(|output| output != *reported) {
            return Err(SyncError::SpentOutput { outpoint, block });
        }
    }
    Ok(())
}
