//! What a sweep changes, block after block, until it is written in one batch together with the height the sweep has reached.

use bitcoin::{OutPoint, TxOut, Txid};

use super::moved::MovedCoins;
use crate::chain::Height;
use crate::index::derive::{self, Derived, Marks};
use crate::index::events::Seen;
use crate::index::keys::{CoinKey, TxPosition};
use crate::index::meta::TraceParameters;
use crate::index::sweeps::{MAIN_SWEEP, Sweep};
use crate::index::values::{Coin, Record};
use crate::index::{ReadRows, Result, Step, Writer};

/// What a run has done so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RunTally {
    /// Heights passed.
    pub blocks: u64,
    /// Blocks read.
    pub blocks_read: u64,
    /// Bytes of these blocks.
    pub bytes: u64,
    /// Touches found.
    pub touches: u64,
    /// Heights where a filter said whether the block has to be read.
    pub filtered: u64,
    /// Blocks read without asking a filter.
    pub unfiltered: u64,
}

/// How a sweep writes.
pub struct Course {
    /// The sweep's id.
    pub id: u32,
    /// How far coins are followed.
    pub parameters: TraceParameters,
    /// Blocks in a batch at most.
    pub batch_blocks: usize,
    /// Whether each batch waits for the disk.
    pub durable: bool,
    /// Whether its events say that a sweep or the tip saw them.
    pub seen: Seen,
    /// Of a sweep below the main one, the height from which it reads blocks for coins alone, as its row is to say.
    pub blocks_from: Option<Height>,
}

/// The changes of one sweep since its last batch.
pub struct Batch<'a> {
    /// The index.
    pub writer: &'a Writer,
    /// How the sweep writes.
    pub course: Course,
    /// The changes; reads through it see them.
    pub step: Step<'a>,
    /// What the run has done.
    pub tally: RunTally,
    /// The coins that the batches written so far have changed.
    pub moved: MovedCoins,
    blocks: usize,
    /// The last height whose changes are in `step`.
    last: Option<Height>,
}

impl<'a> Batch<'a> {
    /// An empty batch of a sweep, in a run that has done `tally`.
    pub fn new(writer: &'a Writer, course: Course, tally: RunTally) -> Self {
        Self { writer, course, step: writer.step(), tally, moved: MovedCoins::default(), blocks: 0, last: None }
    }

    /// Whether it is the main sweep's.
    pub fn is_main(&self) -> bool {
        self.course.id == MAIN_SWEEP
    }

    /// Counts the heights below `height` as passed: they hold no record.
    pub fn skip_to(&mut self, height: Height) {
        self.last = height.checked_sub(1).max(self.last);
    }

    /// Keeps what was changed for the block at `height`; writes the batch if it is full.
    ///
    /// # Errors
    /// What writing reports.
    pub fn keep(&mut self, height: Height) -> Result<()> {
        self.step.keep();
        self.tally.blocks += 1;
        self.last = Some(height);
        self.blocks += 1;
        if self.blocks >= self.course.batch_blocks || self.step.is_full() {
            self.commit(self.course.durable)?;
        }
        Ok(())
    }

    /// Discards what was changed since the last block that was kept; `tally` is what the run had done by then.
    pub fn discard(&mut self, tally: RunTally) {
        self.step.discard();
        self.tally = tally;
    }

    /// Writes the blocks that were kept since the last batch.
    ///
    /// # Errors
    /// What writing reports; then none of it was written, and nothing more may be.
    pub fn commit(&mut self, durable: bool) -> Result<()> {
        // Take `last` first: if this write fails, no later batch may store a greater height.
        let Some(last) = self.last.take() else { return Ok(()) };
        let mut step = self.step.take();
        self.moved.add(&step);
        let next = last + 1;
        let row = match self.course.id {
            MAIN_SWEEP => Sweep::Main { next },
            _ => Sweep::Side { next, blocks_from: self.course.blocks_from },
        };
        step.put(&self.course.id, &row);
        step.commit(durable)?;
        self.blocks = 0;
        Ok(())
    }

    /// What a record of the index comes to now.
    ///
    /// # Errors
    /// As all reads.
    pub fn derive_known(&self, marks: &impl Marks, at: TxPosition, txid: Txid, record: &Record) -> Result<Derived> {
        derive::derive(
            |outpoint| self.coin_spent(outpoint, at.height),
            &self.course.parameters,
            marks,
            at,
            txid,
            record,
        )
    }

    /// The coin that a transaction at `height` spends by this outpoint.
    ///
    /// # Errors
    /// As all reads.
    pub fn coin_spent(&self, outpoint: &OutPoint, height: Height) -> Result<Option<Coin>> {
        Ok(self.step.coin_at(outpoint, height)?.map(|(_, coin)| coin))
    }

    /// Whether a record spends a coin that was made at `height`.
    ///
    /// # Errors
    /// As all reads.
    pub fn is_spent(&self, outpoint: OutPoint, height: Height) -> Result<bool> {
        Ok(self.step.spender_of(&CoinKey { outpoint, height })?.is_some())
    }
}

/// The outputs of a record whose spends are searched for.
pub fn followed_outputs<'r>(
    record: &'r Record,
    derived: &'r Derived,
    marks: &'r impl Marks,
    height: Height,
) -> impl Iterator<Item = (OutPoint, &'r TxOut)> {
    let txid = record.txid();
    let outputs = record.transaction.output.iter().enumerate().zip(0..);
    outputs.filter_map(move |((number, output), vout)| {
        let flagged = marks.is_flagged(&output.script_pubkey, height);
        derived.follows(number, flagged).then_some((OutPoint { txid, vout }, output))
    })
}
