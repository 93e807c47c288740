//! One stretch of a sweep: over the records that the index has, or over blocks.

use std::sync::Arc;

use super::run::{Pace, SweepRun};
use crate::chain::Height;
use crate::index::events::Seen;
use crate::index::keys::TxPosition;
use crate::index::sweeps::{MAIN_SWEEP, SideSweep};
use crate::index::values::Record;
use crate::index::{ReadRows, Result, Writer, meta};
use crate::stop::Stop;
use crate::sync::SyncError;
use crate::sync::apply::advance::{Advance, SweepState};
use crate::sync::apply::batch::{Batch, Course, RunTally};
use crate::sync::apply::moved::MovedCoins;
use crate::sync::apply::recompute::{Recompute, Recomputed};
use crate::sync::fetch::block::FetchedBlock;
use crate::sync::fetch::read::BlockReader;
use crate::sync::fetch::{pipeline, single};
use crate::sync::interrupt::{Flow, Halt, Interrupt};
use crate::sync::plan::interest::Interest;

/// What all stretches of a run share.
pub struct SweepSetup<'a> {
    /// The index.
    pub writer: &'a Writer,
    /// How much is done at once.
    pub pace: Pace,
    /// Ends the run.
    pub stop: &'a Stop,
    /// Whether the main sweep's blocks are new ones, or ones that the index missed so far.
    pub seen: Seen,
}

/// A stretch of a sweep over blocks.
pub struct BlockStretch {
    /// The sweep's id.
    pub id: u32,
    /// Of a sweep below the main one, the height from which it reads blocks for coins alone, as its row is to say.
    pub blocks_from: Option<Height>,
    /// Reads its blocks.
    pub reader: Arc<BlockReader>,
    /// The sweep's state before them.
    pub state: SweepState,
}

/// A stretch of a sweep below the main one over records.
pub struct RecordStretch {
    /// The sweep as it stands.
    pub side: SideSweep,
    /// The last height.
    pub last: Height,
    /// The scripts that count for it.
    pub interest: Arc<Interest>,
}

/// What a stretch leaves that didn't fail.
pub struct Swept {
    /// What ended it early.
    pub interrupt: Option<Interrupt>,
    /// Of one over blocks, the sweep's state after the last one; `None` where that isn't known.
    pub state: Option<SweepState>,
    /// The coins that it has changed in the index.
    pub moved: MovedCoins,
}

/// What comes of a piece of work, or what ended it early, unless that was a failure.
fn early_end<T>(flow: Flow<T>) -> Result<(Option<T>, Option<Interrupt>), SyncError> {
    match flow {
        Ok(done) => Ok((Some(done), None)),
        Err(Halt::Interrupted(interrupt)) => Ok((None, Some(interrupt))),
        Err(Halt::Failed(error)) => Err(error),
    }
}

impl SweepSetup<'_> {
    fn batch(&self, id: u32, blocks_from: Option<Height>, tally: RunTally) -> Result<Batch<'_>> {
        let main = id == MAIN_SWEEP;
        let course = Course {
            id,
            parameters: meta::trace(self.writer)?,
            batch_blocks: self.pace.batch_blocks,
            durable: main && self.seen == Seen::Tip,
            seen: if main { self.seen } else { Seen::Sweep },
            blocks_from,
        };
        Ok(Batch::new(self.writer, course, tally))
    }

    /// Goes over the records of a stretch, to its end or to the first height where blocks are needed. If coins turn out to need them
    /// earlier than the sweep's row says, the row is changed.
    ///
    /// # Errors
    /// What the index reports. Batches written before stay.
    pub fn over_records(
        &self,
        stretch: RecordStretch,
        check: &dyn Fn() -> Flow<()>,
        run: &mut SweepRun<'_>,
    ) -> Flow<Swept> {
        let RecordStretch { side, last, interest } = stretch;
        // Blocks are needed above `side.next` only, or the caller would have gone over them.
        let last = interest.blocks_from(side.blocks_from).map_or(last, |from| last.min(from - 1));
        let batch = self.batch(side.id, side.blocks_from, run.outcome.tally)?;
        let mut recompute = Recompute::new(batch, interest);
        run.observer.begin(side.next, last, &run.outcome.tally);
        let ended = self.recompute(&mut recompute, side.next, last, check, run);
        let written = recompute.batch.commit(true);
        run.observer.end();
        run.outcome.tally = recompute.batch.tally;
        written?;
        let (ended, interrupt) = early_end(ended)?;
        if let Some(height) = ended.flatten() {
            let next = self.writer.sweeps()?.next(side.id);
            let blocks_from = Some(side.blocks_from.map_or(height, |from| from.min(height)));
            let mut step = self.writer.step();
            step.put(&side.id, &SideSweep { id: side.id, next, blocks_from }.row());
            step.commit(true)?;
        }
        Ok(Swept { interrupt, state: None, moved: recompute.batch.moved })
    }

    /// Returns the height at which a coin needs blocks, if one does.
    fn recompute(
        &self,
        recompute: &mut Recompute<'_>,
        mut next: Height,
        last: Height,
        check: &dyn Fn() -> Flow<()>,
        run: &mut SweepRun<'_>,
    ) -> Flow<Option<Height>> {
        while let Some(height) = self.next_record(next)?.filter(|height| *height <= last) {
            if self.stop.requested() {
                return Err(Interrupt::Stop.into());
            }
            check()?;
            recompute.batch.skip_to(height);
            if recompute.block(height)? == Recomputed::NeedsBlock {
                return Ok(Some(height));
            }
            run.observer.passed(height, &recompute.batch.tally);
            next = height + 1;
        }
        recompute.batch.skip_to(last + 1);
        Ok(None)
    }

    /// The first height from `next` on that has a record.
    fn next_record(&self, next: Height) -> Result<Option<Height>> {
        Ok(self.writer.first_key::<Record>(TxPosition::first(next)..)?.map(|at| at.height))
    }

    /// Goes over the blocks of a stretch.
    ///
    /// # Errors
    /// What fails. Batches written before stay.
    pub fn over_blocks(
        &self,
        stretch: BlockStretch,
        check: &dyn Fn() -> Flow<()>,
        run: &mut SweepRun<'_>,
    ) -> Flow<Swept> {
        let BlockStretch { id, blocks_from, reader, state } = stretch;
        let batch = self.batch(id, blocks_from, run.outcome.tally)?;
        let mut advance = Advance::new(batch, Arc::clone(&reader), state);
        run.observer.begin(*reader.order.heights.start(), *reader.order.heights.end(), &run.outcome.tally);
        let swept = match single::fits(&reader) {
            true => single::read(&reader).and_then(|block| apply_next(&mut advance, block, check, run)),
            false => pipeline::run(&reader, self.pace.threads, self.stop, |block| {
                apply_next(&mut advance, block, check, run)
            }),
        };
        // The blocks that were applied are whole and in order, whatever failed after them.
        let written = advance.batch.commit(true);
        run.observer.end();
        run.outcome.tally = advance.batch.tally;
        written?;
        let (_, interrupt) = early_end(swept)?;
        let (state, moved) = advance.end();
        Ok(Swept { interrupt, state, moved })
    }
}

fn apply_next(
    advance: &mut Advance<'_>,
    block: FetchedBlock,
    check: &dyn Fn() -> Flow<()>,
    run: &mut SweepRun<'_>,
) -> Flow<()> {
    check()?;
    let height = block.id.height;
    advance.apply(block)?;
    run.observer.passed(height, &advance.batch.tally);
    Ok(())
}
