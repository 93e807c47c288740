//! Reads one block: fetches it, parses it, searches it, and where it has candidates proves their ids and fetches what they spend.
//!
//! The pipeline fetches on one thread and searches on another; [`BlockReader::read`] does both on the caller's.

use std::sync::Arc;

use bitcoin::TxOut;
use bitcoin::block::Header;

use super::block::{BlockData, BlockOrder, FetchedBlock, ScannedBlock};
use super::coins::PublishedCoins;
use super::filter_scripts::FilterScripts;
use super::pool::ConnectionPool;
use super::source::{Connection, SpentOutputs};
use crate::chain::BlockId;
use crate::scan::scan;
use crate::sync::SyncError;
use crate::sync::interrupt::{Flow, Halt};
use crate::sync::plan::interest::Interest;

/// What blocks are searched for.
pub struct SearchTargets {
    /// The scripts of the entries.
    pub interest: Arc<Interest>,
    /// The coins that are followed.
    pub coins: Arc<PublishedCoins>,
    /// The scripts to match filters against; `None` where every block is read.
    pub filters: Option<Arc<FilterScripts>>,
}

/// Reads the blocks of one order; shared by all threads.
pub struct BlockReader {
    /// Connections to the source.
    pub pool: Arc<ConnectionPool>,
    /// What to read.
    pub order: BlockOrder,
    /// What to search it for.
    pub search: SearchTargets,
}

/// A block to be read.
#[derive(Clone, Copy)]
pub struct ReadJob {
    /// The block.
    pub id: BlockId,
    /// Its header.
    pub header: Header,
    /// Whether it is read since its filter matched.
    pub by_filter: bool,
}

/// A block as it was fetched.
pub(super) struct RawBlock {
    bytes: Vec<u8>,
    /// What each of its transactions spends, where that is needed of every block.
    spent: Option<Vec<Vec<TxOut>>>,
}

impl BlockReader {
    /// Reads a block on this thread.
    ///
    /// # Errors
    /// What is wrong with the block; what the source reports.
    pub fn read(&self, job: ReadJob) -> Flow<FetchedBlock> {
        let fetched = self.pool.with(|connection| self.fetch(connection, job));
        self.prove(job, fetched)
    }

    /// Searches a block that was fetched. If it doesn't prove itself, or its answer can't be used, it is fetched again, and then over
    /// another lane: only a block that fails over all of them is damaged.
    pub(super) fn prove(&self, job: ReadJob, fetched: Flow<RawBlock>) -> Flow<FetchedBlock> {
        let first = match fetched.and_then(|raw| self.search(job, raw, None)) {
            Err(Halt::Failed(error)) if error.is_doubtful() => error,
            other => return other,
        };
        tracing::warn!("{first}: fetching it again");
        let again = match self.pool.with(|connection| self.fetch_and_search(connection, job)) {
            Err(Halt::Failed(error)) if error.is_doubtful() => error,
            other => return other,
        };
        match self.pool.source().connect_other() {
            Some(mut other) => self.fetch_and_search(other.as_mut(), job),
            None => Err(again.into()),
        }
    }

    fn fetch_and_search(&self, connection: &mut dyn Connection, job: ReadJob) -> Flow<FetchedBlock> {
        let raw = self.fetch(connection, job)?;
        self.search(job, raw, Some(connection))
    }

    /// The block, and all that it spends where that is needed.
    pub(super) fn fetch(&self, connection: &mut dyn Connection, job: ReadJob) -> Flow<RawBlock> {
        let bytes = connection.block(job.id)?;
        let spent = match self.order.needs_all_spent(job.id.height) {
            true => Some(connection.all_spent(job.id)?),
            false => None,
        };
        Ok(RawBlock { bytes, spent })
    }

    /// Parses and searches a block. Where it has candidates, proves its transaction ids and fetches the outputs they spend, by
    /// `connection` or any of the pool.
    fn search(&self, job: ReadJob, raw: RawBlock, connection: Option<&mut dyn Connection>) -> Flow<FetchedBlock> {
        let ReadJob { id, header, by_filter } = job;
        let SearchTargets { interest, coins, .. } = &self.search;
        let edition = coins.latest();
        let scan = scan(raw.bytes, &header, raw.spent.as_deref(), &interest.scripts, &edition.coins, &coins.hasher)
            .map_err(|source| SyncError::Block { block: id, source })?;
        let mut block = ScannedBlock {
            scan,
            proof: None,
            spent: raw.spent.map(SpentOutputs::All),
            coins_version: edition.version,
            buffers: self.pool.buffer_return(),
        };
        if !block.scan.candidates().is_empty() {
            let proof = block.scan.prove(&header).map_err(|source| SyncError::Block { block: id, source })?;
            if block.spent.is_none() {
                let spending = block.scan.candidates().iter().filter(|tx_index| **tx_index > 0);
                let wanted: Vec<_> = spending.map(|tx_index| (*tx_index, proof.txid(*tx_index))).collect();
                if !wanted.is_empty() {
                    block.spent = Some(match connection {
                        Some(connection) => connection.spent(id, &wanted)?,
                        None => self.pool.with(|connection| connection.spent(id, &wanted))?,
                    });
                }
            }
            block.proof = Some(proof);
        }
        Ok(FetchedBlock { id, header, data: BlockData::Read { block: Box::new(block), by_filter } })
    }
}
