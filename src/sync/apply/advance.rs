//! Applies blocks in chain order, on one thread, and keeps track of the coins that are live. Which candidates are records is decided
//! in [`super::candidate`]; how their rows change, in [`super::records`].
//!
//! At each height a sweep evaluates, in transaction order, the records that the index already has there together with those that it
//! finds in the block. So a change below passes on without the node, and rows that no record supports are removed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bitcoin::{OutPoint, Txid};

use super::batch::{Batch, RunTally, followed_outputs};
use super::candidate::Candidates;
use super::moved::MovedCoins;
use super::place::Place;
use super::records;
use crate::chain::Height;
use crate::index::derive::{self, Derived, Marks};
use crate::index::keys::TxPosition;
use crate::index::values::{Coin, Record};
use crate::index::{ReadRows, Result};
use crate::scan::Matcher;
use crate::sync::fetch::block::{BlockData, FetchedBlock, RuledOut};
use crate::sync::fetch::coins::LiveCoins;
use crate::sync::fetch::filter_scripts::{FilterQuery, FilterScripts};
use crate::sync::fetch::read::{BlockReader, ReadJob};
use crate::sync::interrupt::{Flow, Interrupt};
use crate::sync::plan::interest::Interest;

/// What a sweep over blocks keeps in memory from one block to the next.
pub struct SweepState {
    /// The coins that are followed and unspent after the last block.
    pub live: LiveCoins,
    /// The scripts to match filters against; `None` where the sweep uses none. Those of coins that become followed are added.
    pub filters: Option<Arc<FilterScripts>>,
}

/// A sweep over blocks.
pub struct Advance<'a> {
    /// Its changes.
    pub batch: Batch<'a>,
    reader: Arc<BlockReader>,
    state: SweepState,
    /// The scripts added since some block was ruled out.
    since: FilterQuery,
    matcher: Matcher,
    /// Whether the state is that after the last block: a block that failed midway may have changed it.
    is_whole: bool,
}

impl<'a> Advance<'a> {
    /// Begins with the next batch of a sweep, whose blocks come from `reader`; `state` is the sweep's before the first of them.
    pub fn new(batch: Batch<'a>, reader: Arc<BlockReader>, state: SweepState) -> Self {
        Self { batch, reader, state, since: FilterQuery::since(0), matcher: Matcher::default(), is_whole: true }
    }

    /// Applies the next block.
    ///
    /// A block is searched, or ruled out by its filter, ahead of the sweep: by then some coins that it spends may not have been found.
    /// Coins found since are searched for here. Where the block was read that is a short list ([`LiveCoins::missed_by`]). Where it was
    /// ruled out, its filter is matched again with the scripts added since, and if it matches the block is read now. That happens
    /// twice: before the block is applied, and after, since a record that the index has in this very block may make a coin that is
    /// spent further down in it. Then what was applied is discarded, and the block is applied again.
    ///
    /// # Errors
    /// What is wrong with the block, the node or the index; then nothing of this block is written, and no further block may be
    /// applied.
    pub fn apply(&mut self, mut block: FetchedBlock) -> Flow<()> {
        self.is_whole = false;
        let tally = self.batch.tally;
        // Only a block that was read ahead was scanned against an older set of live coins; the window bounds how many there are.
        let read_ahead = block.block().is_some();
        if self.matters_by_now(&block) {
            block = self.read_late(&block)?;
        }
        self.apply_or_discard(&block, tally)?;
        if self.matters_by_now(&block) {
            self.batch.discard(tally);
            block = self.read_late(&block)?;
            self.apply_or_discard(&block, tally)?;
        }
        if read_ahead {
            self.state.live.end_block();
        }
        match &block.data {
            BlockData::Header => {}
            BlockData::RuledOut(_) => self.batch.tally.filtered += 1,
            BlockData::Read { block, by_filter } => {
                self.batch.tally.blocks_read += 1;
                self.batch.tally.bytes += block.scan.bytes() as u64;
                self.batch.tally.filtered += u64::from(*by_filter);
                self.batch.tally.unfiltered += u64::from(!*by_filter);
            }
        }
        self.batch.keep(block.id.height)?;
        self.is_whole = true;
        Ok(())
    }

    /// The state of the sweep after the last block, and the coins that it has changed in the index; no state where a block failed midway.
    pub fn end(self) -> (Option<SweepState>, MovedCoins) {
        (self.is_whole.then_some(self.state), self.batch.moved)
    }

    /// Whether a block that was ruled out concerns scripts that were added since.
    fn matters_by_now(&mut self, block: &FetchedBlock) -> bool {
        let (BlockData::RuledOut(RuledOut { scripts, filter }), Some(known)) = (&block.data, &self.state.filters)
        else {
            return false;
        };
        if self.since.first() != *scripts {
            self.since = FilterQuery::since(*scripts);
        }
        known.update(&mut self.since);
        self.since.may_be_in(&mut self.matcher, block.id, filter)
    }

    fn read_late(&self, block: &FetchedBlock) -> Flow<FetchedBlock> {
        if let Some(filters) = &self.state.filters {
            filters.came_late();
        }
        self.reader.read(ReadJob { id: block.id, header: block.header, by_filter: true })
    }

    fn apply_or_discard(&mut self, block: &FetchedBlock, tally: RunTally) -> Flow<()> {
        let applied = self.apply_block(block);
        if applied.is_err() {
            self.batch.discard(tally);
        }
        applied
    }

    fn apply_block(&mut self, block: &FetchedBlock) -> Flow<()> {
        let height = block.id.height;
        let mut known = BTreeMap::new();
        if self.batch.is_main() {
            self.batch.step.put(&height, &block.header);
        } else {
            // The node's chain may have left the index's below the tip; the main sweep resolves that.
            if self.batch.writer.known_header(height)? != block.header {
                return Err(Interrupt::ChainMoved.into());
            }
            known = self.batch.step.records(height)?;
        }
        let mut pending: BTreeSet<u32> = known.keys().copied().collect();
        let mut candidates = block.block().map(|scanned| Candidates::new(block.id, block.header, scanned));
        if let Some(candidates) = &candidates {
            pending.extend(candidates.indices(&self.state.live));
            if !pending.is_empty() {
                // Checked here, in chain order, so that the blocks before this one are applied.
                candidates.check_spent_outputs()?;
            }
        }
        // In the order of the block, as a transaction may spend what one before it made.
        while let Some(tx_index) = pending.pop_first() {
            let made = match (known.get(&tx_index), &mut candidates) {
                (Some(record), _) => self.apply_known(block, tx_index, record)?,
                (None, Some(candidates)) => self.apply_new(block, candidates, tx_index)?,
                (None, None) => Vec::new(),
            };
            if let Some(candidates) = &mut candidates {
                pending.extend(made.into_iter().filter_map(|fingerprint| candidates.spender_of(fingerprint)));
            }
        }
        Ok(())
    }

    /// Evaluates a record that the index has; returns the fingerprints of the live coins it makes.
    fn apply_known(&mut self, block: &FetchedBlock, tx_index: u32, record: &Record) -> Result<Vec<u64>> {
        let at = TxPosition { height: block.id.height, tx_index };
        let place = Place::of(block.id, &block.header, at, record.txid());
        let derived = self.batch.derive_known(self.interest(), at, place.txid, record)?;
        let made = self.update_coins(at, record, &derived)?;
        records::update_record(&mut self.batch, &place, record, derived)?;
        Ok(made)
    }

    /// Evaluates a candidate; returns the fingerprints of the live coins it makes.
    fn apply_new(&mut self, block: &FetchedBlock, candidates: &mut Candidates<'_>, tx_index: u32) -> Flow<Vec<u64>> {
        let at = TxPosition { height: block.id.height, tx_index };
        let interest = self.interest();
        let found = candidates.record(
            tx_index,
            |output| interest.is_flagged(&output.script_pubkey, at.height),
            |outpoint| self.state.live.contains(outpoint),
            &self.reader.pool,
            &self.batch.step,
        )?;
        let Some((txid, record)) = found else { return Ok(Vec::new()) };
        let derived = self.derive_new(at, txid, &record)?;
        let place = Place::of(block.id, &block.header, at, txid);
        records::insert_record(&mut self.batch, &place, &derived)?;
        Ok(self.update_coins(at, &record, &derived)?)
    }

    /// Derives the rows of a new record. Every followed coin it spends is still live, so only live coins are looked up.
    fn derive_new(&self, at: TxPosition, txid: Txid, record: &Record) -> Result<Derived> {
        derive::derive(
            |outpoint| self.live_coin(outpoint, at.height),
            &self.batch.course.parameters,
            self.interest(),
            at,
            txid,
            record,
        )
    }

    /// The coin that a new record at `height` spends by this outpoint, if it is live.
    fn live_coin(&self, outpoint: &OutPoint, height: Height) -> Result<Option<Coin>> {
        if self.state.live.contains(outpoint) { self.batch.coin_spent(outpoint, height) } else { Ok(None) }
    }

    /// Removes the coins that a record spends, and adds those it makes that are followed and unspent; returns the latter's
    /// fingerprints.
    fn update_coins(&mut self, at: TxPosition, record: &Record, derived: &Derived) -> Result<Vec<u64>> {
        let mut made = Vec::new();
        if !derived.is_record {
            return Ok(made);
        }
        for input in &record.transaction.input {
            self.state.live.remove(&input.previous_output);
        }
        let interest = &self.reader.search.interest;
        for (outpoint, output) in followed_outputs(record, derived, interest.as_ref(), at.height) {
            // No record lies above the main sweep.
            if self.batch.is_main() || !self.batch.is_spent(outpoint, at.height)? {
                made.push(self.state.live.insert(outpoint));
                if let Some(filters) = &self.state.filters {
                    filters.add(&output.script_pubkey);
                }
            }
        }
        Ok(made)
    }

    fn interest(&self) -> &Interest {
        &self.reader.search.interest
    }
}
