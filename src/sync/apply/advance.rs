//! In chain order, on one thread: block after block, which coins live, and when a batch is written. Which candidates are records is
//! [`super::candidate`]'s to say, and how their rows come to be [`super::records`]'s.
//!
//! At each height a sweep evaluates, in transaction order, the records that the index already has there together with what the node
//! shows for its interest: so a change below is passed on without asking the node, and what nothing bears any more goes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bitcoin::{OutPoint, TxOut, Txid};

use super::candidate::Block;
use super::records::{self, place};
use crate::chain::{BlockId, Height};
use crate::index::derive::{self, Derived, Marks};
use crate::index::events::Seen;
use crate::index::keys::{CoinKey, TxPosition};
use crate::index::meta::TraceParameters;
use crate::index::sweeps::{MAIN_SWEEP, Sweep};
use crate::index::values::{Coin, Record};
use crate::index::{IndexError, ReadRows, Step, Writer};
use crate::scan::Matcher;
use crate::sync::SyncError;
use crate::sync::fetch::filter::RuledOut;
use crate::sync::fetch::interest::{Interest, LiveCoins};
use crate::sync::fetch::pipeline::{self, Arrived, ConnectionPool, Order, Shown};
use crate::sync::fetch::sought::Needed;

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
    /// Heights for which a filter said whether the block has to be read.
    pub filtered: u64,
    /// Blocks read without a filter's word.
    pub unfiltered: u64,
}

/// How a sweep is to go on.
pub struct Course {
    /// Which sweep.
    pub id: u32,
    /// How far coins are followed.
    pub parameters: TraceParameters,
    /// What it looks for.
    pub interest: Arc<Interest>,
    /// Blocks in a batch at most.
    pub batch_blocks: usize,
    /// Whether each batch waits for the disk.
    pub durable: bool,
    /// What its messages say of who saw it.
    pub seen: Seen,
    /// Of a side sweep, the height from which it reads blocks for the sake of coins alone.
    pub blocks_from: Option<Height>,
}

/// What came of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Passed {
    /// It is done.
    Done,
    /// Nothing of it was kept: a coin is followed now that wasn't before, and who spends it only the blocks from here on tell.
    NeedsBlock,
}

/// A sweep at work on one index.
pub struct Advance<'a> {
    writer: &'a Writer,
    course: Course,
    live: LiveCoins,
    pool: Arc<ConnectionPool>,
    step: Step<'a>,
    blocks_in_step: usize,
    last: Option<Height>,
    /// What filters of blocks ruled out before have to be matched for.
    since: Needed,
    matcher: Matcher,
    /// What was done.
    pub tally: Tally,
}

impl<'a> Advance<'a> {
    /// Starts where the sweep stands, with its live coins.
    pub fn new(writer: &'a Writer, course: Course, live: LiveCoins, pool: Arc<ConnectionPool>) -> Self {
        let step = writer.step();
        let (since, matcher) = (Needed::since(0), Matcher::default());
        Self {
            writer,
            course,
            live,
            pool,
            step,
            blocks_in_step: 0,
            last: None,
            since,
            matcher,
            tally: Tally::default(),
        }
    }

    /// Applies the next block of those that `order` asks for.
    ///
    /// # Errors
    /// What is wrong with the block, the node or the index; then nothing of this block is written, and no further block may be
    /// applied.
    pub fn apply(&mut self, order: &Order, mut arrived: Arrived) -> Result<(), SyncError> {
        let height = arrived.id.height;
        let tally = self.tally;
        // Only those have been under way for long, and are so few at a time that publications can be counted by them.
        let read_ahead = arrived.content().is_some();
        if self.matters_by_now(&arrived) {
            arrived = self.read_late(order, &arrived)?;
        }
        let mut applied = self.apply_block(&arrived);
        // A record in it that was known may make a coin that is followed from now on, and is spent further down.
        if applied.is_ok() && self.matters_by_now(&arrived) {
            self.step.forget();
            self.tally = tally;
            arrived = self.read_late(order, &arrived)?;
            applied = self.apply_block(&arrived);
        }
        if applied.is_err() {
            self.step.forget();
        }
        applied?;
        if read_ahead {
            self.live.end_block(&self.course.interest);
        }
        match &arrived.shown {
            Shown::Header => {}
            Shown::RuledOut(_) => self.tally.filtered += 1,
            Shown::Read { content, by_filter } => {
                self.tally.blocks_read += 1;
                self.tally.bytes += content.scan.bytes() as u64;
                self.tally.filtered += u64::from(*by_filter);
                self.tally.unfiltered += u64::from(!*by_filter);
            }
        }
        self.done(height)
    }

    /// Whether a block that was ruled out matters to scripts that have been sought only since then.
    fn matters_by_now(&mut self, arrived: &Arrived) -> bool {
        let (Shown::RuledOut(RuledOut { version, filter }), Some(sought)) =
            (&arrived.shown, &self.course.interest.sought)
        else {
            return false;
        };
        if self.since.first() != *version {
            self.since = Needed::since(*version);
        }
        sought.look(&mut self.since);
        self.since.may_be_in(&mut self.matcher, arrived.id, filter)
    }

    fn read_late(&self, order: &Order, arrived: &Arrived) -> Result<Arrived, SyncError> {
        if let Some(sought) = &self.course.interest.sought {
            sought.came_late();
        }
        pipeline::read_now(&self.pool, &self.course.interest, order, arrived, true)
    }

    /// Passes a block on the index's own records alone.
    ///
    /// # Errors
    /// What the index reports; then nothing of this block is written, and no further block may be applied.
    pub fn pass(&mut self, height: Height) -> Result<Passed, SyncError> {
        let header = self.writer.known_header(height)?;
        let id = BlockId { height, hash: header.block_hash() };
        for (tx_index, record) in self.step.records(height)? {
            let at = TxPosition { height, tx_index };
            let place = place(id, &header, at, record.txid());
            let derived = self.derived(at, place.txid, &record, true)?;
            if self.brings_fresh_coins(at, &record, &derived)? {
                self.step.forget();
                return Ok(Passed::NeedsBlock);
            }
            let seen = self.course.seen;
            self.tally.touches += records::again(self.writer, &mut self.step, place, &record, derived, seen)?;
        }
        self.done(height)?;
        Ok(Passed::Done)
    }

    /// Counts the heights below `height` as passed: they hold no record.
    pub fn skip_to(&mut self, height: Height) {
        self.last = height.checked_sub(1).max(self.last);
    }

    /// The coins that are live after the last block.
    pub fn into_live(self) -> LiveCoins {
        self.live
    }

    fn done(&mut self, height: Height) -> Result<(), SyncError> {
        self.step.keep();
        self.tally.blocks += 1;
        self.last = Some(height);
        self.blocks_in_step += 1;
        if self.blocks_in_step >= self.course.batch_blocks || self.step.is_full() {
            self.commit(self.course.durable)?;
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
        let mut step = self.step.take();
        let next = last + 1;
        let row = match self.course.id {
            MAIN_SWEEP => Sweep::Main { next },
            _ => Sweep::Side { next, blocks_from: self.course.blocks_from },
        };
        step.put(&self.course.id, &row);
        step.commit(durable)?;
        self.blocks_in_step = 0;
        Ok(())
    }

    fn apply_block(&mut self, arrived: &Arrived) -> Result<(), SyncError> {
        let height = arrived.id.height;
        let mut known = BTreeMap::new();
        if self.course.id == MAIN_SWEEP {
            self.step.put(&height, &arrived.header);
        } else {
            // The node's chain may have left ours below the tip; that is for the main sweep to settle.
            if self.writer.known_header(height)? != arrived.header {
                return Err(SyncError::ChainMoved);
            }
            known = self.step.records(height)?;
        }
        let mut candidates: BTreeSet<u32> = known.keys().copied().collect();
        let mut block = arrived.content().map(|content| Block::new(arrived.id, arrived.header, content));
        if let Some(block) = &block {
            candidates.extend(block.candidates(&self.live));
            if !candidates.is_empty() {
                // Here, in chain order, so that what came before is applied.
                block.check_told()?;
            }
        }
        while let Some(tx_index) = candidates.pop_first() {
            let made = match (known.get(&tx_index), &mut block) {
                (Some(record), _) => self.apply_known(arrived, tx_index, record)?,
                (None, Some(block)) => self.apply_new(arrived, block, tx_index)?,
                (None, None) => Vec::new(),
            };
            if let Some(block) = &mut block {
                candidates.extend(made.into_iter().flat_map(|fingerprint| block.spenders_of(fingerprint)));
            }
        }
        Ok(())
    }

    /// Evaluates a record that the index has; returns the fingerprints of the live coins it makes.
    fn apply_known(&mut self, arrived: &Arrived, tx_index: u32, record: &Record) -> Result<Vec<u64>, SyncError> {
        let at = TxPosition { height: arrived.id.height, tx_index };
        let derived = self.derived(at, record.txid(), record, true)?;
        let made = self.update_coins(at, record, &derived)?;
        let place = place(arrived.id, &arrived.header, at, record.txid());
        self.tally.touches += records::again(self.writer, &mut self.step, place, record, derived, self.course.seen)?;
        Ok(made)
    }

    /// Evaluates a candidate; returns the fingerprints of the live coins it made.
    fn apply_new(&mut self, arrived: &Arrived, block: &mut Block<'_>, tx_index: u32) -> Result<Vec<u64>, SyncError> {
        let at = TxPosition { height: arrived.id.height, tx_index };
        let flagged = |output: &TxOut| self.course.interest.is_flagged(&output.script_pubkey, at.height);
        let live = |outpoint: &OutPoint| self.live.contains(outpoint);
        let Some((txid, record)) = block.record(tx_index, flagged, live, &self.pool, &self.step)? else {
            return Ok(Vec::new());
        };
        let derived = self.derived(at, txid, &record, false)?;
        let place = place(arrived.id, &arrived.header, at, txid);
        self.tally.touches += records::put(self.writer, &mut self.step, place, &record, &derived, self.course.seen)?;
        self.update_coins(at, &record, &derived)
    }

    /// What a record brings. Of one that is new, a coin that was followed is live still.
    fn derived(&self, at: TxPosition, txid: Txid, record: &Record, known: bool) -> Result<Derived, IndexError> {
        let coin = |outpoint: &OutPoint| -> Result<Option<Coin>, IndexError> {
            if !known && !self.live.contains(outpoint) {
                return Ok(None);
            }
            Ok(self.step.coin_at(outpoint, at.height)?.map(|(_, coin)| coin))
        };
        derive::derive(coin, &self.course.parameters, self.course.interest.as_ref(), at, txid, record)
    }

    /// Whether an output of a known record is followed now, wasn't before, and nobody is known to spend it.
    fn brings_fresh_coins(&self, at: TxPosition, record: &Record, derived: &Derived) -> Result<bool, IndexError> {
        if !derived.is_record {
            return Ok(false);
        }
        let txid = record.txid();
        for (vout, output) in (0u32..).zip(&record.transaction.output) {
            let flagged = self.course.interest.is_flagged(&output.script_pubkey, at.height);
            let outpoint = OutPoint { txid, vout };
            if derived.follows(vout as usize, flagged)
                && !self.was_followed(&outpoint, at.height)?
                && self.step.spender_of(&CoinKey { outpoint, height: at.height })?.is_none()
            {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn was_followed(&self, outpoint: &OutPoint, height: Height) -> Result<bool, IndexError> {
        match self.step.coin_at(outpoint, height) {
            Ok(coin) => Ok(coin.is_some_and(|(_, coin)| coin.is_followed())),
            // A damaged row is made anew; whoever read it before didn't follow anything by it.
            Err(IndexError::Corrupt { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Removes the coins a record spends and adds the followed ones it makes that nobody spends; returns the latter's fingerprints.
    fn update_coins(&mut self, at: TxPosition, record: &Record, derived: &Derived) -> Result<Vec<u64>, SyncError> {
        let mut made = Vec::new();
        if !derived.is_record {
            return Ok(made);
        }
        for input in &record.transaction.input {
            self.live.remove(&input.previous_output);
        }
        let txid = record.txid();
        for (vout, output) in (0u32..).zip(&record.transaction.output) {
            let flagged = self.course.interest.is_flagged(&output.script_pubkey, at.height);
            let outpoint = OutPoint { txid, vout };
            if derived.follows(vout as usize, flagged)
                && (self.course.id == MAIN_SWEEP
                    || self.step.spender_of(&CoinKey { outpoint, height: at.height })?.is_none())
            {
                made.push(self.live.insert(&self.course.interest, outpoint));
                if let Some(sought) = &self.course.interest.sought {
                    sought.add(&output.script_pubkey);
                }
            }
        }
        Ok(made)
    }
}
