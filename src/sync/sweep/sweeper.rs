//! The sweeps of one index, at work: which goes on, what interrupts it, and what the main one keeps until the next block.

use std::cell::Cell;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::tip;
use super::walk::Walk;
use crate::chain::Height;
use crate::index::events::Seen;
use crate::index::sweeps::{MAIN_SWEEP, SideSweep, Sweeps};
use crate::index::{IndexError, Writer};
use crate::stop::Stop;
use crate::sync::SyncError;
use crate::sync::apply::advance::Tally;
use crate::sync::fetch::interest::{Interest, LiveCoins};
use crate::sync::fetch::pipeline::ConnectionPool;
use crate::sync::fetch::source::{Filtering, Source};
use crate::sync::plan::schedule::{Task, next_task};

/// How often in a row a node's chain may change under a run that stands still; more than that is no reorg any more.
const MOVES: u32 = 10;
/// The wait after the first change; as much longer after each that follows it.
const MOVED_WAIT: Duration = Duration::from_millis(100);
/// How often a sweep below the main one looks whether there is a new block.
const NEWS_EVERY: Duration = Duration::from_secs(1);

/// Hears how sweeps go on; called by the one thread that advances.
pub trait Observer {
    /// A part of the way begins: the heights in it, and what the run did before.
    fn begin(&mut self, first: Height, last: Height, tally: &Tally);
    /// A block was passed.
    fn passed(&mut self, height: Height, tally: &Tally);
    /// The end, or a stop: what was passed has been written, unless the index failed.
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

impl Bells {
    fn paused(&self) -> Result<(), SyncError> {
        if self.pause.load(Ordering::SeqCst) { Err(SyncError::Paused) } else { Ok(()) }
    }
}

/// All sweeps of one index.
pub struct Sweeper<'a> {
    source: Arc<dyn Source>,
    walk: Walk<'a>,
    bells: Bells,
    rested: Option<Rested>,
}

/// What the main sweep keeps from one block to the next.
struct Rested {
    /// Its entries. They are the same until lists change or another sweep becomes one with it.
    interest: Arc<Interest>,
    /// Its coins as it left them; none once anything else has changed the index's coins.
    live: Option<LiveCoins>,
}

impl<'a> Sweeper<'a> {
    /// Ready to go on where the index stands.
    pub fn new(writer: &'a Writer, source: Arc<dyn Source>, pace: Pace, stop: &'a Stop) -> Self {
        let pool = Arc::new(ConnectionPool::new(Arc::clone(&source)));
        let walk = Walk { writer, pool, pace, stop, seen: Seen::Sweep };
        Self { source, walk, bells: Bells::default(), rested: None }
    }

    /// Lets itself be interrupted.
    pub fn listen(&mut self, bells: Bells) {
        self.bells = bells;
    }

    /// From now on the main sweep's blocks are new ones: its messages say so, and every batch waits for the disk.
    pub fn at_tip(&mut self) {
        self.walk.seen = Seen::Tip;
    }

    /// Entries or parameters changed.
    pub fn look_again(&mut self) {
        self.rested = None;
    }

    /// Reads what the next block needs, so that it isn't kept waiting: that takes long where lists are.
    ///
    /// # Errors
    /// What the index reports.
    pub fn get_ready(&mut self) -> Result<(), IndexError> {
        let sweeps = self.walk.writer.sweeps()?;
        let (interest, live) = self.interest(&sweeps, self.source.filtering(1))?;
        self.rested = Some(Rested { interest, live: Some(live) });
        Ok(())
    }

    /// Sweeps up to the node's tip, or to height `to`, and again for what came meanwhile. Blocks that the node's chain gave up are
    /// undone first; a node that is behind is waited for.
    ///
    /// # Errors
    /// [`SyncError`]; batches written before stay. A stop is no error.
    pub fn run(&mut self, to: Option<Height>, observer: &mut dyn Observer) -> Result<Outcome, SyncError> {
        let start = Instant::now();
        let writer = self.walk.writer;
        let mut outcome = Outcome::begin(writer)?;
        let (mut moves, mut stood) = (0, writer.sweeps()?);
        loop {
            match self.once(to, observer, &mut outcome) {
                Ok(ControlFlow::Continue(())) | Err(SyncError::NewBlock) => {}
                Ok(ControlFlow::Break(())) | Err(SyncError::Paused) => break,
                Err(SyncError::ChainMoved) => {
                    let stands = writer.sweeps()?;
                    moves = if stands == stood { moves + 1 } else { 1 };
                    if moves >= MOVES {
                        return Err(SyncError::Unsteady { moves, next: stands.main() });
                    }
                    stood = stands;
                    tracing::info!("the node's chain changed while it was read: looking again");
                    outcome.stopped = self.walk.stop.wait(MOVED_WAIT * moves);
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
        Ok(outcome.end(writer, start.elapsed())?)
    }

    /// Goes up over the index's own records alone, as far as they suffice; asks no node.
    ///
    /// # Errors
    /// What the index reports. A stop is no error.
    pub fn over_records(&mut self, observer: &mut dyn Observer) -> Result<Outcome, SyncError> {
        let start = Instant::now();
        let writer = self.walk.writer;
        let mut outcome = Outcome::begin(writer)?;
        loop {
            let (sweeps, _) = tip::join(writer)?;
            let tip = sweeps.main().checked_sub(1);
            let Some(Task::Side { side, last }) = tip.and_then(|tip| next_task(&sweeps, tip)) else { break };
            let interest = Interest::load(writer, &sweeps, side.id)?;
            if interest.blocks_from(side.blocks_from).is_some_and(|from| from <= side.next) {
                break;
            }
            match self.walk.over_records(interest, side, last, &|| Ok(()), observer, &mut outcome.tally) {
                Ok(()) => {}
                Err(SyncError::Stopped) => {
                    outcome.stopped = true;
                    break;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(outcome.end(writer, start.elapsed())?)
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
        let writer = self.walk.writer;
        let node = self.source.height().map_err(SyncError::from_node)?;
        let last = to.map_or(node, |to| to.min(node));
        let (sweeps, grew) = tip::join(writer)?;
        if grew {
            self.rested = None;
        }
        tip::set_goal(writer, to, last, node, sweeps.main())?;
        match next_task(&sweeps, last) {
            Some(Task::Main { last }) => self.main(&sweeps, last, observer, outcome)?,
            Some(Task::Side { side, last }) => {
                disturb(&mut self.rested);
                self.side(&sweeps, side, last, (to, node), observer, outcome)?;
            }
            None => {
                if to.is_none() {
                    tip::tell_caught_up(writer, self.walk.seen)?;
                }
                return Ok(ControlFlow::Break(()));
            }
        }
        Ok(ControlFlow::Continue(()))
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
        let (interest, live) = self.interest(sweeps, filtering)?;
        let order = self.walk.order(next..=last, &interest, None, filtering)?;
        let advance = self.walk.advance((MAIN_SWEEP, None), &interest, live)?;
        let news = || self.paused();
        let went = self.walk.over_blocks(&interest, &order, advance, &news, observer, &mut outcome.tally);
        match went {
            Ok(live) => self.rested = Some(Rested { interest, live: Some(live) }),
            Err(error) => {
                self.rested = Some(Rested { interest, live: None });
                disturb(&mut self.rested);
                return Err(error);
            }
        }
        Ok(())
    }

    /// What the main sweep looks for, with its coins: kept since the last block, as far as it still holds.
    fn interest(&mut self, sweeps: &Sweeps, filtering: Filtering) -> Result<(Arc<Interest>, LiveCoins), IndexError> {
        let (walk, next) = (&self.walk, sweeps.main());
        let kept = self.rested.take().filter(|kept| filtering == Filtering::Off || kept.interest.sought.is_some());
        match kept {
            Some(Rested { interest, live: Some(live) }) => Ok((interest, live)),
            Some(Rested { interest, live: None }) => {
                let live = LiveCoins::load(walk.writer, &interest, next)?;
                Ok((interest, live))
            }
            None => walk.with_coins(Interest::load(walk.writer, sweeps, MAIN_SWEEP)?, next, filtering),
        }
    }

    /// A sweep below the main one: over records alone while they suffice, then over blocks.
    fn side(
        &self,
        sweeps: &Sweeps,
        side: SideSweep,
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
        let (walk, tally) = (&self.walk, &mut outcome.tally);
        let SideSweep { id, next, .. } = side;
        let interest = Interest::load(walk.writer, sweeps, id)?;
        let blocks_from = interest.blocks_from(side.blocks_from);
        if blocks_from.is_none_or(|from| from > next) {
            // Where it comes to need blocks its row says so, and it goes on from there.
            return walk.over_records(interest, side, last, &news, observer, tally);
        }
        let filtering = self.source.filtering(last - next + 1);
        let (interest, live) = walk.with_coins(interest, next, filtering)?;
        let order = walk.order(next..=last, &interest, side.blocks_from, filtering)?;
        // What it reads blocks for may join another sweep's entries on the way: from here on its row says so itself.
        let advance = walk.advance((id, blocks_from), &interest, live)?;
        walk.over_blocks(&interest, &order, advance, &news, observer, tally)?;
        Ok(())
    }

    fn settle_tip(&mut self, outcome: &mut Outcome) -> Result<(), SyncError> {
        let Self { source, walk, bells, rested } = self;
        let node = (source.as_ref(), walk.pool.as_ref());
        tip::settle_tip(
            walk.writer,
            node,
            walk.seen,
            walk.stop,
            || bells.paused(),
            |fork, blocks| {
                disturb(rested);
                outcome.from = outcome.from.min(fork + 1);
                outcome.undone += u64::from(blocks);
            },
        )
    }

    fn paused(&self) -> Result<(), SyncError> {
        self.bells.paused()
    }
}

/// Something else is about to change the index's coins. Filters aren't asked for the scripts of coins that were spent when the last
/// of them were read, and may be live again.
fn disturb(rested: &mut Option<Rested>) {
    *rested = rested.take().filter(|kept| kept.interest.sought.is_none());
    if let Some(kept) = rested {
        kept.live = None;
    }
}
