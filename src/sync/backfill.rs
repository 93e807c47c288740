//! The main sweep from where the index stands to the node's tip, once.

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bitcoin::BlockHash;
use bitcoin::hashes::Hash;

use super::SyncError;
use super::advance::{Advance, Tally};
use super::disconnect::disconnect;
use super::fork::{self, Standing};
use super::interest::Interest;
use super::lists::{self, Difference, Entries, row};
use super::pipeline::{self, ConnectionPool, Order};
use super::source::Source;
use crate::chain::Height;
use crate::index::meta::{self, Identity, TakenLists, TraceParameters};
use crate::index::values::MAIN_SWEEP;
use crate::index::values::Sweep;
use crate::index::writer::{FolderState, folder_state};
use crate::index::{Family, IndexError, Writer};
use crate::stop::Stop;

/// How often a node that is behind is looked at again.
const BEHIND_WAIT: Duration = Duration::from_secs(1);
/// How often in a row a node's chain may change under a run that stands still; more than that is no reorg any more.
const MOVES: u32 = 10;
/// The wait after the first change; as much longer after each that follows it.
const MOVED_WAIT: Duration = Duration::from_millis(100);

/// Hears how a sweep goes on; called by the one thread that advances.
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

/// Opens the index at `path` for what the lists say, or makes it. An index without a block takes the lists in afresh.
///
/// # Errors
/// [`IndexError::OtherChain`]; [`SyncError::ListsChanged`]; what is wrong with the index where something is.
pub fn open(path: &Path, identity: &Identity, entries: &Entries, taken: &TakenLists) -> Result<Writer, SyncError> {
    if folder_state(path)? == FolderState::Absent {
        let writer = Writer::create(path, identity, |writer| {
            let mut step = writer.step();
            meta::put_trace(&mut step, &TraceParameters::default());
            step.put(Family::Sweeps, &MAIN_SWEEP.to_be_bytes(), &Sweep { next: 0 }.value());
            step.commit(false)?;
            take_in(writer, entries, taken)
        })?;
        return Ok(writer);
    }
    let writer = open_existing(path, identity)?;
    if writer.tip()?.is_none() {
        take_in(&writer, entries, taken)?;
        return Ok(writer);
    }
    let entries = lists::keep_known_heights(entries, &writer)?;
    let difference = Difference::between(&entries, &writer)?;
    if difference.needs_sweep() {
        return Err(SyncError::ListsChanged { summary: difference.to_string() });
    }
    let known = meta::lists(&writer)?;
    let taken = taken.clone().keeping(&known);
    if difference.relabelled > 0 || known != taken {
        take_in(&writer, &entries, &taken)?;
    }
    Ok(writer)
}

/// Opens the index at `path`, which must be of that chain.
///
/// # Errors
/// [`IndexError::OtherChain`], and what is wrong with it where something is.
pub fn open_existing(path: &Path, identity: &Identity) -> Result<Writer, IndexError> {
    let writer = Writer::open(path)?;
    let found = Identity::read(&writer)?;
    if !found.is_same_chain(identity) {
        let (found, expected) = (found.describe(), identity.describe());
        return Err(IndexError::OtherChain { path: path.to_owned(), found, expected });
    }
    Ok(writer)
}

/// Writes the entries as the lists have them now, and takes out those that they don't name.
fn take_in(writer: &Writer, entries: &Entries, taken: &TakenLists) -> Result<(), IndexError> {
    let mut step = writer.step();
    for known in writer.entries() {
        let (script, _) = known?;
        if !entries.contains_key(&script) {
            step.delete(Family::Entries, &script.0);
        }
    }
    for (script, entry) in entries {
        step.put(Family::Entries, &script.0, &row(entry).value());
    }
    meta::put_lists(&mut step, taken);
    step.commit(true)
}

/// Where the main sweep stands: the next height and the block before it.
///
/// # Errors
/// [`IndexError::Corrupt`] where position and headers don't fit.
pub fn position(writer: &Writer) -> Result<(Height, BlockHash), IndexError> {
    let corrupt = || crate::index::View::corrupt(Family::Sweeps, &MAIN_SWEEP.to_be_bytes());
    let next = writer.main_sweep()?.ok_or_else(corrupt)?.next;
    let tip = writer.tip()?;
    match tip {
        None if next == 0 => Ok((0, BlockHash::all_zeros())),
        Some(tip) if tip.height + 1 == next => Ok((next, tip.hash)),
        _ => Err(corrupt()),
    }
}

/// The main sweep, at work on one index.
pub struct Sweeper<'a> {
    writer: &'a Writer,
    source: Arc<dyn Source>,
    pool: Arc<ConnectionPool>,
    pace: Pace,
    stop: &'a Stop,
}

impl<'a> Sweeper<'a> {
    /// Ready to go on where the index stands.
    pub fn new(writer: &'a Writer, source: Arc<dyn Source>, pace: Pace, stop: &'a Stop) -> Self {
        let pool = Arc::new(ConnectionPool::new(Arc::clone(&source)));
        Self { writer, source, pool, pace, stop }
    }

    /// Sweeps up to the node's tip, or to height `to`, and again for what came meanwhile. Blocks that the node's chain gave up are
    /// undone first; a node that is behind is waited for.
    ///
    /// # Errors
    /// [`SyncError`]; batches written before stay. A stop is no error.
    pub fn run(&self, to: Option<Height>, observer: &mut dyn Observer) -> Result<Outcome, SyncError> {
        let start = Instant::now();
        let (from, _) = position(self.writer)?;
        let mut outcome =
            Outcome { from, through: None, tally: Tally::default(), undone: 0, seconds: 0.0, stopped: false };
        let (mut moves, mut stood) = (0, from);
        loop {
            match self.once(to, observer, &mut outcome) {
                Ok(ControlFlow::Continue(())) => {}
                Ok(ControlFlow::Break(())) => break,
                Err(SyncError::ChainMoved) => {
                    let (next, _) = position(self.writer)?;
                    moves = if next == stood { moves + 1 } else { 1 };
                    stood = next;
                    if moves >= MOVES {
                        return Err(SyncError::Unsteady { moves, next });
                    }
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
        outcome.through = position(self.writer)?.0.checked_sub(1);
        outcome.seconds = start.elapsed().as_secs_f64();
        Ok(outcome)
    }

    /// One way up to the node's tip as it is now, or back to the fork; breaks where nothing is left to do.
    fn once(
        &self,
        to: Option<Height>,
        observer: &mut dyn Observer,
        outcome: &mut Outcome,
    ) -> Result<ControlFlow<()>, SyncError> {
        self.settle_tip(outcome)?;
        let (next, previous) = position(self.writer)?;
        let node = self.source.height().map_err(SyncError::from_node)?;
        let last = to.map_or(node, |to| to.min(node));
        // A height already passed is no goal, and nothing above the node's tip is, which a reorg may have lowered.
        let known = meta::goal(self.writer)?;
        let goal = if to.is_none() || last >= next { Some(last) } else { known.map(|goal| goal.min(node)) };
        if let Some(goal) = goal.filter(|_| goal != known) {
            let mut step = self.writer.step();
            meta::put_goal(&mut step, goal);
            step.commit(false)?;
        }
        if next > last {
            return Ok(ControlFlow::Break(()));
        }
        let (interest, live) = Interest::load(self.writer)?;
        let (needs, interest) = (interest.needs(), Arc::new(interest));
        let order = Order {
            heights: next..=last,
            previous,
            blocks_from: needs.blocks_from.unwrap_or(Height::MAX),
            spent_from: needs.spent_from,
        };
        let pool = Arc::clone(&self.pool);
        let mut advance = Advance::new(self.writer, Arc::clone(&interest), live, pool, self.pace.batch_blocks);
        advance.tally = outcome.tally;
        observer.begin(next, last);
        let swept = pipeline::run(&self.pool, &interest, &order, self.pace.threads, self.stop, |arrived| {
            let height = arrived.id.height;
            advance.apply(arrived)?;
            observer.passed(height, &advance.tally);
            Ok(())
        });
        observer.end();
        // The blocks that were applied are whole and in order, whatever failed after them.
        let written = advance.commit(true);
        outcome.tally = advance.tally;
        swept?;
        written?;
        Ok(ControlFlow::Continue(()))
    }

    /// Brings the index's tip onto the node's chain: undoes what the node gave up, waits for a node that is behind.
    fn settle_tip(&self, outcome: &mut Outcome) -> Result<(), SyncError> {
        let mut told = false;
        while let Some(tip) = self.writer.tip()? {
            match fork::standing(self.writer, self.source.as_ref(), &self.pool, tip)? {
                Standing::Ahead => return Ok(()),
                Standing::Left { fork } => {
                    tracing::warn!(
                        "the node's chain left block {tip}: undoing {} blocks, down to {fork}",
                        tip.height - fork
                    );
                    disconnect(self.writer, tip.height, fork)?;
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
                }
            }
        }
        Ok(())
    }
}
