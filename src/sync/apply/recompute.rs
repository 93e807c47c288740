//! Evaluates the records that the index has of a block again, without the block: after a change of entries or parameters, and to
//! rebuild rows that were damaged.

use std::sync::Arc;

use bitcoin::OutPoint;

use super::batch::{Batch, followed_outputs};
use super::place::Place;
use super::records;
use crate::chain::{BlockId, Height};
use crate::index::derive::Derived;
use crate::index::keys::TxPosition;
use crate::index::values::Record;
use crate::index::{IndexError, ReadRows, Result};
use crate::sync::plan::interest::Interest;

/// What came of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recomputed {
    /// Its records are up to date.
    Done,
    /// Nothing of it was kept: a coin is followed now that was not before, and only the blocks from this one on show what spends it.
    NeedsBlock,
}

/// A sweep over records alone.
pub struct Recompute<'a> {
    /// Its changes.
    pub batch: Batch<'a>,
    interest: Arc<Interest>,
}

impl<'a> Recompute<'a> {
    /// Begins with the next batch of a sweep.
    pub fn new(batch: Batch<'a>, interest: Arc<Interest>) -> Self {
        Self { batch, interest }
    }

    /// Evaluates the records of a block.
    ///
    /// # Errors
    /// What the index reports; then nothing of this block is written, and no further block may be evaluated.
    pub fn block(&mut self, height: Height) -> Result<Recomputed> {
        let tally = self.batch.tally;
        let evaluated = self.evaluate(height);
        match evaluated {
            Ok(Recomputed::Done) => self.batch.keep(height)?,
            Ok(Recomputed::NeedsBlock) | Err(_) => self.batch.discard(tally),
        }
        evaluated
    }

    fn evaluate(&mut self, height: Height) -> Result<Recomputed> {
        let header = self.batch.writer.known_header(height)?;
        let id = BlockId { height, hash: header.block_hash() };
        for (tx_index, record) in self.batch.step.records(height)? {
            let at = TxPosition { height, tx_index };
            let place = Place::of(id, &header, at, record.txid());
            let derived = self.batch.derive_known(self.interest.as_ref(), at, place.txid, &record)?;
            if self.makes_fresh_coins(at, &record, &derived)? {
                return Ok(Recomputed::NeedsBlock);
            }
            records::update_record(&mut self.batch, &place, &record, derived)?;
        }
        Ok(Recomputed::Done)
    }

    /// Whether an output of a record is followed now, was not before, and is spent by no record.
    fn makes_fresh_coins(&self, at: TxPosition, record: &Record, derived: &Derived) -> Result<bool> {
        if !derived.is_record {
            return Ok(false);
        }
        for (outpoint, _) in followed_outputs(record, derived, self.interest.as_ref(), at.height) {
            if !self.was_followed(&outpoint, at.height)? && !self.batch.is_spent(outpoint, at.height)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn was_followed(&self, outpoint: &OutPoint, height: Height) -> Result<bool> {
        match self.batch.coin_spent(outpoint, height) {
            Ok(coin) => Ok(coin.is_some_and(|coin| coin.is_followed())),
            // A damaged row is rebuilt. The sweep that met it before followed nothing by it.
            Err(IndexError::Corrupt { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }
}
