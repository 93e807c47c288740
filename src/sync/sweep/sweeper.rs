//! The sweeps of one index at work against a node: which one is next, what interrupts it, and what the main sweep keeps in memory from
//! one block to the next.

use std::ops::{ControlFlow, RangeInclusive};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::kept::KeptSweeps;
use super::run::{Interrupts, Observer, Outcome, Pace, SweepRun};
use super::stretch::{BlockStretch, RecordStretch, SweepSetup, Swept};
use super::tip::{self, Goal};
use super::turn::Turn;
use crate::chain::{BlockId, Height};
use crate::index::events::Seen;
use crate::index::meta::{Waiter, Waiting};
use crate::index::sweeps::{MAIN_SWEEP, SideSweep, Sweeps};
use crate::index::{ReadRows, Result, Writer, meta};
use crate::node::NodeError;
use crate::stop::Stop;
use crate::sync::SyncError;
use crate::sync::apply::advance::SweepState;
use crate::sync::apply::moved::MovedCoins;
use crate::sync::fetch::block::BlockOrder;
use crate::sync::fetch::pool::ConnectionPool;
use crate::sync::fetch::read::{BlockReader, SearchTargets};
use crate::sync::fetch::source::{BlockSource, Filtering};
use crate::sync::interrupt::{Flow, Halt, Interrupt};
use crate::sync::plan::interest::Interest;
use crate::sync::plan::schedule::{Task, next_task};

/// The run fails after this many changes of the node's chain in a row without a block applied: reorgs don't do that.
const MOVES: u32 = 10;
/// The wait after the first change; after the second twice as long, and so on.
const MOVED_WAIT: Duration = Duration::from_millis(100);
/// How long the sweeps below the main one stand still before it is tried again whether the node serves them.
const HOLD: Duration = Duration::from_secs(30);

/// All sweeps of one index.
pub struct Sweeper<'a> {
    setup: SweepSetup<'a>,
    pool: Arc<ConnectionPool>,
    interrupts: Interrupts,
    kept: KeptSweeps,
    /// Until when the sweeps below the main one stand still.
    held: Option<Instant>,
}

/// Whether the node served a sweep below the main one.
enum Served {
    Yes,
    No(NodeError),
}

/// A stretch over blocks, before it begins.
struct Planned {
    id: u32,
    heights: RangeInclusive<Height>,
    /// As in [`SideSweep`].
    blocks_from: Option<Height>,
    filtering: Filtering,
}

impl<'a> Sweeper<'a> {
    /// Resumes where the index is.
    pub fn new(writer: &'a Writer, source: Arc<dyn BlockSource>, pace: Pace, stop: &'a Stop) -> Self {
        let setup = SweepSetup { writer, pace, stop, seen: Seen::Sweep };
        Self {
            setup,
            pool: Arc::new(ConnectionPool::new(source)),
            interrupts: Interrupts::default(),
            kept: KeptSweeps::default(),
            held: None,
        }
    }

    /// Lets other threads interrupt a run.
    pub fn listen(&mut self, interrupts: Interrupts) {
        self.interrupts = interrupts;
    }

    /// From now on the blocks of the main sweep are new ones: its events say so, and every batch waits for the disk.
    pub fn at_tip(&mut self) {
        self.setup.seen = Seen::Tip;
    }

    /// Forgets the entries that were loaded: they or the parameters have changed.
    pub fn reload_entries(&mut self) {
        self.kept.forget_scripts();
    }

    /// Whether what sweeps keep in memory is what the index holds.
    #[cfg(feature = "testing")]
    pub fn keeps_what_the_index_holds(&self) -> Result<bool> {
        self.kept.are_exact(self.setup.writer)
    }

    /// Has the sweeps below the main one stand still for a while, and says so in the index: one of them failed at height `from`.
    ///
    /// # Errors
    /// As all writes.
    pub fn hold(&mut self, from: Height, why: &SyncError) -> Result<()> {
        self.held = Some(Instant::now() + HOLD);
        let writer = self.setup.writer;
        let known = meta::waiting(writer, Waiter::Below)?;
        let error = why.to_string();
        if known.as_ref().is_some_and(|known| known.error == error) {
            return Ok(());
        }
        let what = format!("blocks from height {from} on, which entries that were added later need");
        tracing::warn!("waiting for {what}: {error}; new blocks are indexed meanwhile");
        let mut waiting = Waiting::now(what, error);
        waiting.since = known.map_or(waiting.since, |known| known.since);
        let mut step = writer.step();
        meta::put_waiting(&mut step, Waiter::Below, Some(&waiting));
        step.commit(false)
    }

    /// When a sweep below the main one that stands still is to be tried again.
    pub fn held_until(&self) -> Option<Instant> {
        self.held
    }

    /// Ends the standing still of the sweeps below.
    fn resume_below(&mut self) -> Result<()> {
        if self.held.take().is_none() && meta::waiting(self.setup.writer, Waiter::Below)?.is_none() {
            return Ok(());
        }
        let mut step = self.setup.writer.step();
        meta::put_waiting(&mut step, Waiter::Below, None);
        step.commit(false)
    }

    /// Loads entries and coins of the main sweep before the next block arrives; with long lists that takes seconds.
    ///
    /// # Errors
    /// As all reads.
    pub fn preload(&mut self) -> Result<()> {
        let sweeps = self.setup.writer.sweeps()?;
        let (filtering, of) = (self.source().filtering(1), (MAIN_SWEEP, sweeps.main()));
        let interest = self.kept.interest(self.setup.writer, &sweeps, MAIN_SWEEP)?;
        let state = self.kept.take_state(self.setup.writer, &interest, of, filtering)?;
        self.kept.keep_state(of, Some(state));
        Ok(())
    }

    /// Sweeps up to the node's tip, or to height `to`, until nothing new has come meanwhile. Blocks that left the node's active chain
    /// are disconnected first; a node that is behind is waited for.
    ///
    /// # Errors
    /// [`SyncError`]; batches written before stay. A stop is no error.
    pub fn run(&mut self, to: Option<Height>, observer: &mut dyn Observer) -> Result<Outcome, SyncError> {
        let start = Instant::now();
        let writer = self.setup.writer;
        let mut run = SweepRun::begin(writer, observer)?;
        let (mut moves, mut stood) = (0, writer.sweeps()?);
        loop {
            match self.once(to, &mut run) {
                Ok(ControlFlow::Continue(())) => {}
                Ok(ControlFlow::Break(())) => break,
                Err(Halt::Failed(error)) => {
                    // How far it got isn't known.
                    self.kept.clear();
                    return Err(error);
                }
                Err(Halt::Interrupted(Interrupt::NewBlock)) => {}
                Err(Halt::Interrupted(Interrupt::Paused)) => break,
                Err(Halt::Interrupted(Interrupt::Stop)) => run.outcome.stopped = true,
                Err(Halt::Interrupted(Interrupt::Undecided)) => {
                    run.outcome.undecided = true;
                    break;
                }
                Err(Halt::Interrupted(Interrupt::ChainMoved)) => {
                    let stands = writer.sweeps()?;
                    moves = if stands == stood { moves + 1 } else { 1 };
                    if moves >= MOVES {
                        return Err(SyncError::Unsteady { moves, next: stands.main() });
                    }
                    stood = stands;
                    tracing::info!(
                        "the node's active chain changed while it was being read: starting again from the fork"
                    );
                    run.outcome.stopped = self.setup.stop.wait(MOVED_WAIT * moves);
                }
            }
            if run.outcome.stopped {
                break;
            }
        }
        Ok(run.end(writer, start.elapsed())?)
    }

    /// One stretch, or back to a fork; breaks where nothing is left to do.
    fn once(&mut self, to: Option<Height>, run: &mut SweepRun<'_>) -> Flow<ControlFlow<()>> {
        if let Some(tip) = &self.interrupts.tip {
            // Set after this, it means a tip that may be newer than what the node answers now.
            tip.store(false, Ordering::SeqCst);
        }
        self.follow_reorg(run)?;
        let writer = self.setup.writer;
        let goal = Goal { to, node: self.source().height()? };
        let (sweeps, joined) = tip::join(writer)?;
        if joined {
            self.kept.forget_joined(&sweeps);
            self.kept.forget_scripts();
        }
        tip::set_goal(writer, goal, sweeps.main())?;
        let below = self.held.is_none_or(|until| until <= Instant::now());
        match next_task(&sweeps, goal.last(), below) {
            Some(Task::Main { last }) => self.main(&sweeps, last, run)?,
            Some(Task::Side { side, last }) => {
                let swept = self.side(&sweeps, side, last, goal, run);
                return self.hold_if_unserved(side.next, swept);
            }
            None => {
                run.outcome.held = !below && !sweeps.sides().is_empty();
                if to.is_none() && !run.outcome.held {
                    tip::log_caught_up(writer, self.setup.seen)?;
                }
                return Ok(ControlFlow::Break(()));
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    /// A stretch of the main sweep.
    fn main(&mut self, sweeps: &Sweeps, last: Height, run: &mut SweepRun<'_>) -> Flow<()> {
        let next = sweeps.main();
        let filtering = self.source().filtering(last - next + 1);
        let interest = self.kept.interest(self.setup.writer, sweeps, MAIN_SWEEP)?;
        let state = self.kept.take_state(self.setup.writer, &interest, (MAIN_SWEEP, next), filtering)?;
        let planned = Planned { id: MAIN_SWEEP, heights: next..=last, blocks_from: None, filtering };
        let stretch = self.stretch(planned, &interest, state)?;
        let swept = self.setup.over_blocks(stretch, &|| self.interrupts.check_pause(), run);
        self.keep(MAIN_SWEEP, swept)
    }

    /// Keeps what a stretch of a sweep leaves, and brings what other sweeps keep up to date with it.
    fn keep(&mut self, id: u32, swept: Flow<Swept>) -> Flow<()> {
        let writer = self.setup.writer;
        let Swept { interrupt, state, moved } = swept?;
        let sweeps = writer.sweeps()?;
        self.kept.refresh(writer, &sweeps, moved)?;
        self.kept.keep_state((id, sweeps.next(id)), state);
        interrupt.map_or(Ok(()), |interrupt| Err(interrupt.into()))
    }

    /// Decides what follows a stretch below the main sweep: if the node couldn't serve it, that sweep stands still, and the main sweep
    /// runs. If the node failed in the middle of it, the calls to the source have ended, and the caller has to begin anew.
    fn hold_if_unserved(&mut self, from: Height, swept: Flow<Served>) -> Flow<ControlFlow<()>> {
        match swept {
            Ok(Served::Yes) => Ok(ControlFlow::Continue(())),
            Ok(Served::No(error)) => {
                self.hold(from, &SyncError::Node(error))?;
                Ok(ControlFlow::Continue(()))
            }
            // No fault of the node: to wait for it would hide this.
            Err(Halt::Failed(error @ (SyncError::Index(_) | SyncError::Thread(_) | SyncError::Panic(_)))) => {
                Err(error.into())
            }
            Err(Halt::Failed(error)) => Err(SyncError::Below { from, source: Box::new(error) }.into()),
            Err(interrupted) => Err(interrupted),
        }
    }

    /// A stretch of a sweep below the main one: over records while they suffice, then over blocks.
    fn side(
        &mut self,
        sweeps: &Sweeps,
        side: SideSweep,
        last: Height,
        goal: Goal,
        run: &mut SweepRun<'_>,
    ) -> Flow<Served> {
        let writer = self.setup.writer;
        if self.setup.seen == Seen::Tip {
            // A new block will not wait for it.
            self.preload()?;
        }
        let interest = self.kept.interest(writer, sweeps, side.id)?;
        let blocks_from = interest.blocks_from(side.blocks_from);
        let needs_blocks = blocks_from.is_some_and(|from| from <= side.next);
        if needs_blocks && let Some(error) = self.unserved(side.next, interest.needs.spent_from)? {
            return Ok(Served::No(error));
        }
        self.resume_below()?;
        if !needs_blocks {
            // Where it comes to need blocks its row says so, and the next stretch begins there.
            let turn = Turn::new(&self.interrupts, self.source(), goal);
            let swept = self.setup.over_records(RecordStretch { side, last, interest }, &|| turn.check(), run);
            self.keep(side.id, swept)?;
            return Ok(Served::Yes);
        }
        let filtering = self.source().filtering(last - side.next + 1);
        let state = self.kept.take_state(writer, &interest, (side.id, side.next), filtering)?;
        // Its entries may join another sweep before it ends, so its row stores from where it reads blocks.
        let planned = Planned { id: side.id, heights: side.next..=last, blocks_from, filtering };
        let stretch = self.stretch(planned, &interest, state)?;
        let turn = Turn::new(&self.interrupts, self.source(), goal);
        let swept = self.setup.over_blocks(stretch, &|| turn.check(), run);
        self.keep(side.id, swept)?;
        Ok(Served::Yes)
    }

    /// Why the source can't serve the block at a height of the index now, if it can't. Asked before a sweep over blocks begins, since a
    /// call in the middle of one is waited for.
    fn unserved(&self, height: Height, spent_from: Option<Height>) -> Flow<Option<NodeError>> {
        // Every node has the genesis block. Below the main sweep there is another one, or the node would not be asked.
        let Some(header) = self.setup.writer.header(height.max(1))? else { return Ok(None) };
        let id = BlockId { height: height.max(1), hash: header.block_hash() };
        let spent = spent_from.is_some_and(|from| from <= id.height);
        match self.source().probe(id, spent) {
            Ok(()) => Ok(None),
            Err(NodeError::Stopped) if self.setup.stop.requested() => Err(Interrupt::Stop.into()),
            Err(NodeError::NotOnChain(_)) => Err(Interrupt::ChainMoved.into()),
            Err(error) => Ok(Some(error)),
        }
    }

    fn stretch(&self, planned: Planned, interest: &Arc<Interest>, state: SweepState) -> Result<BlockStretch> {
        let Planned { id, heights, blocks_from, filtering } = planned;
        let previous = match heights.start().checked_sub(1) {
            Some(below) => self.setup.writer.known_header(below)?.block_hash(),
            None => bitcoin::hashes::Hash::all_zeros(),
        };
        let order = BlockOrder {
            heights,
            previous,
            blocks_from: interest.blocks_from(blocks_from).unwrap_or(Height::MAX),
            spent_from: interest.needs.spent_from,
        };
        let search = SearchTargets {
            interest: Arc::clone(interest),
            coins: Arc::clone(state.live.published()),
            // The list is kept up to date even while filters are off, as they are for a few new blocks.
            filters: state.filters.clone().filter(|_| filtering != Filtering::Off),
        };
        let reader = Arc::new(BlockReader { pool: Arc::clone(&self.pool), order, search });
        Ok(BlockStretch { id, blocks_from, reader, state })
    }

    fn follow_reorg(&mut self, run: &mut SweepRun<'_>) -> Flow<()> {
        let Self { setup, pool, interrupts, kept, .. } = self;
        let disconnected = |fork: Height, blocks: u32, moved: MovedCoins| {
            run.outcome.from = run.outcome.from.min(fork + 1);
            run.outcome.undone += u64::from(blocks);
            kept.refresh(setup.writer, &setup.writer.sweeps()?, moved)
        };
        tip::follow_reorg(setup, pool, interrupts.tip.is_some(), || interrupts.check_pause(), disconnected)
    }

    fn source(&self) -> &dyn BlockSource {
        self.pool.source()
    }
}
