//! One sweep over a part of its way: over the index's records alone, or over blocks.

use std::ops::RangeInclusive;
use std::sync::Arc;

use super::sweeper::{Observer, Pace};
use crate::chain::Height;
use crate::index::events::Seen;
use crate::index::keys::TxPosition;
use crate::index::sweeps::{MAIN_SWEEP, SideSweep, Sweep};
use crate::index::values::Record;
use crate::index::{IndexError, Writer, meta};
use crate::stop::Stop;
use crate::sync::SyncError;
use crate::sync::apply::advance::{Advance, Course, Passed, Tally};
use crate::sync::fetch::interest::{Interest, LiveCoins};
use crate::sync::fetch::pipeline::{self, Arrived, ConnectionPool, Order};
use crate::sync::fetch::single;
use crate::sync::fetch::source::Filtering;

/// What every sweep of one index goes with.
pub struct Walk<'a> {
    /// The index.
    pub writer: &'a Writer,
    /// The node's connections.
    pub pool: Arc<ConnectionPool>,
    /// How fast.
    pub pace: Pace,
    /// What ends it.
    pub stop: &'a Stop,
    /// What the main sweep's blocks are: new ones, or missing so far.
    pub seen: Seen,
}

impl Walk<'_> {
    /// Ready for a sweep's next block, before which `live` are its coins; `blocks_from` as its row is to say.
    ///
    /// # Errors
    /// What the index reports.
    pub fn advance(
        &self,
        (id, blocks_from): (u32, Option<Height>),
        interest: &Arc<Interest>,
        live: LiveCoins,
    ) -> Result<Advance<'_>, IndexError> {
        let main = id == MAIN_SWEEP;
        let course = Course {
            id,
            parameters: meta::trace(self.writer)?,
            interest: Arc::clone(interest),
            batch_blocks: self.pace.batch_blocks,
            durable: main && self.seen == Seen::Tip,
            seen: if main { self.seen } else { Seen::Sweep },
            blocks_from,
        };
        Ok(Advance::new(self.writer, course, live, Arc::clone(&self.pool)))
    }

    /// An interest with its coins, those made below `next`, ready for scanners.
    ///
    /// # Errors
    /// What the index reports.
    pub fn with_coins(
        &self,
        mut interest: Interest,
        next: Height,
        filtering: Filtering,
    ) -> Result<(Arc<Interest>, LiveCoins), IndexError> {
        let live = LiveCoins::load(self.writer, &interest, next)?;
        interest.seek(self.writer, &live, filtering)?;
        Ok((Arc::new(interest), live))
    }

    /// What to read of these heights; `blocks_from` as in a side sweep's row.
    ///
    /// # Errors
    /// What the index reports.
    pub fn order(
        &self,
        heights: RangeInclusive<Height>,
        interest: &Interest,
        blocks_from: Option<Height>,
        filtering: Filtering,
    ) -> Result<Order, IndexError> {
        let previous = match heights.start().checked_sub(1) {
            Some(below) => self.writer.known_header(below)?.block_hash(),
            None => bitcoin::hashes::Hash::all_zeros(),
        };
        let blocks_from = interest.blocks_from(blocks_from).unwrap_or(Height::MAX);
        Ok(Order { heights, previous, blocks_from, spent_from: interest.needs.spent_from, filtering })
    }

    /// A side sweep over the records of its next height and those above it, through `last` or to where it needs blocks. Where a coin turns out
    /// to need them earlier, its row says so.
    ///
    /// # Errors
    /// What the index reports, what `news` says, and a stop; batches written before stay.
    pub fn over_records(
        &self,
        interest: Interest,
        side: SideSweep,
        last: Height,
        news: &dyn Fn() -> Result<(), SyncError>,
        observer: &mut dyn Observer,
        tally: &mut Tally,
    ) -> Result<(), SyncError> {
        let SideSweep { id, next, blocks_from } = side;
        let last = interest.blocks_from(blocks_from).map_or(last, |from| last.min(from - 1));
        let mut advance = self.advance((id, blocks_from), &Arc::new(interest), LiveCoins::default())?;
        advance.tally = *tally;
        observer.begin(next, last, tally);
        let mut at = next;
        let mut walk = || -> Result<Option<Height>, SyncError> {
            while let Some(height) = self.next_record(at)?.filter(|height| *height <= last) {
                if self.stop.requested() {
                    return Err(SyncError::Stopped);
                }
                news()?;
                advance.skip_to(height);
                if advance.pass(height)? == Passed::NeedsBlock {
                    return Ok(Some(height));
                }
                observer.passed(height, &advance.tally);
                at = height + 1;
            }
            advance.skip_to(last + 1);
            Ok(None)
        };
        let walked = walk();
        let written = advance.commit(true);
        observer.end();
        *tally = advance.tally;
        // An index that can't be written to is more than a stop.
        written?;
        let needed = walked?;
        if let Some(height) = needed {
            let next = self.writer.sweeps()?.next(id);
            let blocks_from = blocks_from.into_iter().chain([height]).min();
            let mut step = self.writer.step();
            step.put(&id, &Sweep::Side { next, blocks_from });
            step.commit(true)?;
        }
        Ok(())
    }

    /// The first height from `at` on that has a record.
    fn next_record(&self, at: Height) -> Result<Option<Height>, IndexError> {
        Ok(self.writer.first_key::<Record>(TxPosition::first(at)..)?.map(|at| at.height))
    }

    /// A sweep over the blocks of these heights; returns the coins that are live after the last.
    ///
    /// # Errors
    /// [`SyncError`], also as `news` says; batches written before stay.
    pub fn over_blocks(
        &self,
        interest: &Arc<Interest>,
        order: &Order,
        mut advance: Advance<'_>,
        news: &dyn Fn() -> Result<(), SyncError>,
        observer: &mut dyn Observer,
        tally: &mut Tally,
    ) -> Result<LiveCoins, SyncError> {
        advance.tally = *tally;
        observer.begin(*order.heights.start(), *order.heights.end(), tally);
        let mut consume = |arrived: Arrived| {
            news()?;
            let height = arrived.id.height;
            advance.apply(order, arrived)?;
            observer.passed(height, &advance.tally);
            Ok(())
        };
        let swept = match single::fits(order) {
            true => single::read(&self.pool, interest, order).and_then(consume),
            false => pipeline::run(&self.pool, interest, order, self.pace.threads, self.stop, &mut consume),
        };
        // The blocks that were applied are whole and in order, whatever failed after them.
        let written = advance.commit(true);
        observer.end();
        *tally = advance.tally;
        // An index that can't be written to is more than a stop.
        written?;
        swept?;
        Ok(advance.into_live())
    }
}
