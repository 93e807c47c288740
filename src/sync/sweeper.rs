//! The sweeps of one index, at work: up to the node's tip and to each other, back to the fork where the node's chain left.

use std::cell::Cell;
use std::ops::{ControlFlow, RangeInclusive};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::SyncError;
use super::advance::{Advance, Course, Passed, Tally};
use super::disconnect::disconnect;
use super::fork::{self, Standing};
use super::interest::{Interest, LiveCoins};
use super::pipeline::{self, ConnectionPool, Order};
use super::source::{Filtering, Source};
use super::tasks::{Task, next_task};
use crate::chain::Height;
use crate::index::events::{Event, Fact, Seen};
use crate::index::keys::TxPosition;
use crate::index::sweeps::{MAIN_SWEEP, Sweep, Sweeps};
use crate::index::{Family, IndexError, View, Writer, meta};
use crate::stop::Stop;

/// How often a node that is behind is looked at again.
const BEHIND_WAIT: Duration = Duration::from_secs(1);
/// How often in a row a node's chain may change under a run that stands still; more than that is no reorg any more.
const MOVES: u32 = 10;
/// The wait after the first change; as much longer after each that follows it.
const MOVED_WAIT: Duration = Duration::from_millis(100);
/// How often a sweep below the main one looks whether there is a new block.
const NEWS_EVERY: Duration = Duration::from_secs(1);

/// Hears how sweeps go on; called by the one thread that advances.
pub trait Observer {
    /// A part of the way begins: the heights in it.
    fn begin(&mut self, first: Height, last: Height);
    /// A block was passed.
    fn passed(&mut self, height: Height, tally: &Tally);
    /// The end, or a stop.
    fn end(&mut self);
}

/// How to go about it.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// Scanning threads.
    pub threads: usize,
    /// Blocks in a batch at most.
    pub batch_blocks: usize,
}

/// What came of it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Outcome {
    /// The first height that was still missing; above `through` where none was.
    pub from: Height,
    /// The last height done; `None` before any.
    pub through: Option<Height>,
    /// What was done.
    pub tally: Tally,
    /// Blocks undone, since the node's chain gave them up.
    pub undone: u64,
    /// Seconds it took.
    pub seconds: f64,
    /// Whether a stop was requested before the end.
    pub stopped: bool,
}

impl Outcome {
    /// Of a run that begins where `writer`'s lowest sweep stands.
    fn begin(writer: &Writer) -> Result<Self, IndexError> {
        let from = writer.sweeps()?.settled();
        Ok(Self { from, through: None, tally: Tally::default(), undone: 0, seconds: 0.0, stopped: false })
    }

    /// Of the same run, which took so long.
    fn end(mut self, writer: &Writer, took: Duration) -> Result<Self, IndexError> {
        self.through = writer.sweeps()?.settled().checked_sub(1);
        self.seconds = took.as_secs_f64();
        Ok(self)
    }
}

/// What others have to say to sweeps at work.
#[derive(Clone, Debug, Default)]
pub struct Bells {
    /// The node's tip may have changed; where nobody rings it, the node is asked every second.
    pub tip: Option<Arc<AtomicBool>>,
    /// Something else is to be done first: the run ends at the next border.
    pub pause: Arc<AtomicBool>,
}

/// All sweeps of one index.
pub struct Sweeper<'a> {
    writer: &'a Writer,
    source: Arc<dyn Source>,
    pool: Arc<ConnectionPool>,
    pace: Pace,
    stop: &'a Stop,
    seen: Seen,
    bells: Bells,
    /// Of the main sweep, as it stood when it last came to an end; none once anything else has changed the index.
    rested: Option<(Arc<Interest>, LiveCoins)>,
}

impl<'a> Sweeper<'a> {
    /// Ready to go on where the index stands.
    pub fn new(writer: &'a Writer, source: Arc<dyn Source>, pace: Pace, stop: &'a Stop) -> Self {
        let pool = Arc::new(ConnectionPool::new(Arc::clone(&source)));
        let bells = Bells::default();
        Self { writer, source, pool, pace, stop, seen: Seen::Sweep, bells, rested: None }
    }

    /// Lets itself be interrupted.
    pub fn listen(&mut self, bells: Bells) {
        self.bells = bells;
    }

    /// From now on the main sweep's blocks are new ones: its messages say so, and every batch waits for the disk.
    pub fn at_tip(&mut self) {
        self.seen = Seen::Tip;
    }

    /// Entries or parameters changed.
    pub fn look_again(&mut self) {
        self.rested = None;
    }

    /// Sweeps up to the node's tip, or to height `to`, and again for what came meanwhile. Blocks that the node's chain gave up are
    /// undone first; a node that is behind is waited for.
    ///
    /// # Errors
    /// [`SyncError`]; batches written before stay. A stop is no error.
    pub fn run(&mut self, to: Option<Height>, observer: &mut dyn Observer) -> Result<Outcome, SyncError> {
        let start = Instant::now();
        let mut outcome = Outcome::begin(self.writer)?;
        let (mut moves, mut stood) = (0, self.writer.sweeps()?);
        loop {
            let went = self.once(to, observer, &mut outcome);
            if went.is_err() {
                self.rested = None;
            }
            match went {
                Ok(ControlFlow::Continue(())) | Err(SyncError::NewBlock) => {}
                Ok(ControlFlow::Break(())) | Err(SyncError::Paused) => break,
                Err(SyncError::ChainMoved) => {
                    let stands = self.writer.sweeps()?;
                    moves = if stands == stood { moves + 1 } else { 1 };
                    if moves >= MOVES {
                        return Err(SyncError::Unsteady { moves, next: stands.main() });
                    }
                    stood = stands;
                    tracing::info!("the node's chain changed while it was read: looking again");
                    outcome.stopped = self.stop.wait(MOVED_WAIT * moves);
                    if outcome.stopped {
                        break;
                    }
                }
                Err(SyncError::Stopped) => {
                    outcome.stopped = true;
                    break;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(outcome.end(self.writer, start.elapsed())?)
    }

    /// Goes up over the index's own records alone, as far as they suffice; asks no node.
    ///
    /// # Errors
    /// What the index reports. A stop is no error.
    pub fn over_records(&mut self, observer: &mut dyn Observer) -> Result<Outcome, SyncError> {
        let start = Instant::now();
        let mut outcome = Outcome::begin(self.writer)?;
        loop {
            let sweeps = self.join()?;
            let tip = sweeps.main().checked_sub(1);
            let Some(Task::Side { id, next, last, reads }) = tip.and_then(|tip| next_task(&sweeps, tip)) else { break };
            let interest = Interest::load(self.writer, &sweeps, id)?;
            if interest.blocks_from(reads).is_some_and(|from| from <= next) {
                break;
            }
            match self.pass(interest, (id, reads), next, last, &|| Ok(()), observer, &mut outcome) {
                Ok(()) => {}
                Err(SyncError::Stopped) => {
                    outcome.stopped = true;
                    break;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(outcome.end(self.writer, start.elapsed())?)
    }

    /// One part of the way, or back to the fork; breaks where nothing is left to do.
    fn once(
        &mut self,
        to: Option<Height>,
        observer: &mut dyn Observer,
        outcome: &mut Outcome,
    ) -> Result<ControlFlow<()>, SyncError> {
        if let Some(tip) = &self.bells.tip {
            // Whatever rings from here on is newer than what is asked now.
            tip.store(false, Ordering::SeqCst);
        }
        self.settle_tip(outcome)?;
        let node = self.source.height().map_err(SyncError::from_node)?;
        let last = to.map_or(node, |to| to.min(node));
        let sweeps = self.join()?;
        self.set_goal(to, last, node, sweeps.main())?;
        match next_task(&sweeps, last) {
            Some(Task::Main { last }) => self.main(&sweeps, last, observer, outcome)?,
            Some(Task::Side { id, next, last, reads }) => {
                self.rested = None;
                let course = (id, reads);
                self.side(&sweeps, course, next, last, (to, node), observer, outcome)?;
            }
            None => {
                if to.is_none() {
                    self.tell_caught_up()?;
                }
                return Ok(ControlFlow::Break(()));
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    /// A height already passed is no goal, and nothing above the node's tip is, which a reorg may have lowered.
    fn set_goal(&self, to: Option<Height>, last: Height, node: Height, next: Height) -> Result<(), IndexError> {
        let known = meta::goal(self.writer)?;
        let goal = if to.is_none() || last >= next { Some(last) } else { known.map(|goal| goal.min(node)) };
        let Some(goal) = goal.filter(|_| goal != known) else { return Ok(()) };
        let mut step = self.writer.step();
        meta::put_goal(&mut step, goal);
        step.commit(false)
    }

    /// Makes one of sweeps that stand at the same height.
    fn join(&self) -> Result<Sweeps, IndexError> {
        loop {
            let sweeps = self.writer.sweeps()?;
            let sides = sweeps.sides();
            let above = sides.iter().skip(1).map(|(id, next, reads)| (*id, *next, *reads));
            let above = above.chain([(MAIN_SWEEP, sweeps.main(), None)]);
            let met = sides.iter().zip(above).find(|((_, next, _), (_, above, _))| next >= above);
            let Some((&(id, _, reads), (into, next, also))) = met else { return Ok(sweeps) };
            let mut step = self.writer.step();
            step.put(Family::Sweeps, &id.to_be_bytes(), &Sweep::Joined { into }.value());
            if into != MAIN_SWEEP {
                let reads = reads.into_iter().chain(also).min();
                step.put(Family::Sweeps, &into.to_be_bytes(), &Sweep::Side { next, reads }.value());
            }
            step.commit(false)?;
        }
    }

    fn course(&self, id: u32, interest: &Arc<Interest>, reads: Option<Height>) -> Result<Course, IndexError> {
        let main = id == MAIN_SWEEP;
        Ok(Course {
            id,
            parameters: meta::trace(self.writer)?,
            interest: Arc::clone(interest),
            batch_blocks: self.pace.batch_blocks,
            durable: main && self.seen == Seen::Tip,
            seen: if main { self.seen } else { Seen::Sweep },
            reads,
        })
    }

    fn main(
        &mut self,
        sweeps: &Sweeps,
        last: Height,
        observer: &mut dyn Observer,
        outcome: &mut Outcome,
    ) -> Result<(), SyncError> {
        let next = sweeps.main();
        let filtering = self.source.filtering(last - next + 1);
        let (interest, live) = match self.rested.take() {
            Some(rested) if filtering == Filtering::Off || rested.0.sought.is_some() => rested,
            _ => self.with_coins(Interest::load(self.writer, sweeps, MAIN_SWEEP)?, next, filtering)?,
        };
        let order = self.order(next..=last, &interest, None, filtering)?;
        let course = self.course(MAIN_SWEEP, &interest, None)?;
        let advance = Advance::new(self.writer, course, live, Arc::clone(&self.pool));
        let live = self.read(&interest, &order, advance, &|| self.paused(), observer, outcome)?;
        self.rested = Some((interest, live));
        Ok(())
    }

    /// A sweep below the main one: over records alone while they suffice, then over blocks.
    #[expect(clippy::too_many_arguments, reason = "where it stands, where it goes, and who listens")]
    fn side(
        &self,
        sweeps: &Sweeps,
        (id, reads): (u32, Option<Height>),
        next: Height,
        last: Height,
        (to, node): (Option<Height>, Height),
        observer: &mut dyn Observer,
        outcome: &mut Outcome,
    ) -> Result<(), SyncError> {
        let looked = Cell::new(Instant::now());
        let news = || {
            self.paused()?;
            let rings = match &self.bells.tip {
                Some(tip) => tip.load(Ordering::SeqCst),
                None if to.is_some() || looked.get().elapsed() < NEWS_EVERY => false,
                None => {
                    looked.set(Instant::now());
                    self.source.height().is_ok_and(|now| now != node)
                }
            };
            if rings { Err(SyncError::NewBlock) } else { Ok(()) }
        };
        let interest = Interest::load(self.writer, sweeps, id)?;
        let blocks_from = interest.blocks_from(reads);
        if blocks_from.is_none_or(|from| from > next) {
            // Where it comes to need blocks its row says so, and it goes on from there.
            return self.pass(interest, (id, reads), next, last, &news, observer, outcome);
        }
        let filtering = self.source.filtering(last - next + 1);
        let (interest, live) = self.with_coins(interest, next, filtering)?;
        let order = self.order(next..=last, &interest, reads, filtering)?;
        // What it reads blocks for may join another sweep's entries on the way: from here on its row says so itself.
        let course = self.course(id, &interest, blocks_from)?;
        let advance = Advance::new(self.writer, course, live, Arc::clone(&self.pool));
        self.read(&interest, &order, advance, &news, observer, outcome)?;
        Ok(())
    }

    /// An interest with its coins, those made below `next`, ready for scanners.
    fn with_coins(
        &self,
        mut interest: Interest,
        next: Height,
        filtering: Filtering,
    ) -> Result<(Arc<Interest>, LiveCoins), IndexError> {
        let live = LiveCoins::load(self.writer, &interest, next)?;
        interest.seek(self.writer, &live, filtering)?;
        Ok((Arc::new(interest), live))
    }

    /// What to read of these heights; `reads` as in a side sweep's row.
    fn order(
        &self,
        heights: RangeInclusive<Height>,
        interest: &Interest,
        reads: Option<Height>,
        filtering: Filtering,
    ) -> Result<Order, IndexError> {
        let previous = match heights.start().checked_sub(1) {
            Some(below) => self.writer.known_header(below)?.block_hash(),
            None => bitcoin::hashes::Hash::all_zeros(),
        };
        let blocks_from = interest.blocks_from(reads).unwrap_or(Height::MAX);
        Ok(Order { heights, previous, blocks_from, spent_from: interest.needs.spent_from, filtering })
    }

    /// A side sweep over the records of the heights from `next` on, through `last` or to where it needs blocks. Where a coin turns out
    /// to need them earlier, its row says so.
    #[expect(clippy::too_many_arguments, reason = "where it stands, where it goes, and who listens")]
    fn pass(
        &self,
        interest: Interest,
        (id, reads): (u32, Option<Height>),
        next: Height,
        last: Height,
        news: &dyn Fn() -> Result<(), SyncError>,
        observer: &mut dyn Observer,
        outcome: &mut Outcome,
    ) -> Result<(), SyncError> {
        let last = interest.blocks_from(reads).map_or(last, |from| last.min(from - 1));
        let course = self.course(id, &Arc::new(interest), reads)?;
        let mut advance = Advance::new(self.writer, course, LiveCoins::default(), Arc::clone(&self.pool));
        advance.tally = outcome.tally;
        observer.begin(next, last);
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
        observer.end();
        let written = advance.commit(true);
        outcome.tally = advance.tally;
        let needed = walked?;
        written?;
        if let Some(height) = needed {
            let next = self.writer.sweeps()?.next(id);
            let reads = Some(reads.map_or(height, |reads| reads.min(height)));
            let mut step = self.writer.step();
            step.put(Family::Sweeps, &id.to_be_bytes(), &Sweep::Side { next, reads }.value());
            step.commit(true)?;
        }
        Ok(())
    }

    /// The first height from `at` on that has a record.
    fn next_record(&self, at: Height) -> Result<Option<Height>, IndexError> {
        let Some(first) = self.writer.range(Family::Records, &at.to_be_bytes(), None).next() else { return Ok(None) };
        let (key, _) = first?;
        TxPosition::from_key(&key).map(|at| Some(at.height)).map_err(|_| View::corrupt(Family::Records, &key))
    }

    /// Over blocks; returns the coins that are live then.
    fn read(
        &self,
        interest: &Arc<Interest>,
        order: &Order,
        mut advance: Advance<'_>,
        news: &dyn Fn() -> Result<(), SyncError>,
        observer: &mut dyn Observer,
        outcome: &mut Outcome,
    ) -> Result<LiveCoins, SyncError> {
        advance.tally = outcome.tally;
        observer.begin(*order.heights.start(), *order.heights.end());
        let swept = pipeline::run(&self.pool, interest, order, self.pace.threads, self.stop, |arrived| {
            news()?;
            let height = arrived.id.height;
            advance.apply(order, arrived)?;
            observer.passed(height, &advance.tally);
            Ok(())
        });
        observer.end();
        // The blocks that were applied are whole and in order, whatever failed after them.
        let written = advance.commit(true);
        outcome.tally = advance.tally;
        swept?;
        written?;
        Ok(advance.into_live())
    }

    fn paused(&self) -> Result<(), SyncError> {
        if self.bells.pause.load(Ordering::SeqCst) { Err(SyncError::Paused) } else { Ok(()) }
    }

    /// Says once that everything up to this tip is swept; blocks seen at the tip, one by one, are no catching up.
    fn tell_caught_up(&self) -> Result<(), IndexError> {
        let Some(tip) = self.writer.tip()? else { return Ok(()) };
        match meta::caught_up(self.writer)? {
            Some(told) if told == tip.hash || self.seen == Seen::Tip => return Ok(()),
            _ => {}
        }
        let fact = Fact::CaughtUp { height: tip.height, block: tip.hash };
        let mut step = self.writer.step();
        step.tell(&Event { id: format!("caught_up:{}", tip.hash), fact, seen: self.seen })?;
        meta::put_caught_up(&mut step, tip.hash);
        step.commit(true)
    }

    /// Brings the index's tip onto the node's chain: undoes what the node gave up, waits for a node that is behind.
    fn settle_tip(&mut self, outcome: &mut Outcome) -> Result<(), SyncError> {
        let mut told = false;
        while let Some(tip) = self.writer.tip()? {
            match fork::standing(self.writer, self.source.as_ref(), &self.pool, tip)? {
                Standing::Ahead => return Ok(()),
                Standing::Left { fork } => {
                    tracing::warn!(
                        "the node's chain left block {tip}: undoing {} blocks, down to {fork}",
                        tip.height - fork
                    );
                    self.rested = None;
                    disconnect(self.writer, tip, fork, self.seen)?;
                    outcome.from = outcome.from.min(fork + 1);
                    outcome.undone += u64::from(tip.height - fork);
                }
                Standing::Behind => {
                    if !told {
                        tracing::warn!(
                            "the node lacks block {tip}, the index's tip, and has nothing better: waiting for it"
                        );
                        told = true;
                    }
                    if self.stop.wait(BEHIND_WAIT) {
                        return Err(SyncError::Stopped);
                    }
                    self.paused()?;
                }
            }
        }
        Ok(())
    }
}
