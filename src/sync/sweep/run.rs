//! A run: its pace, its observer, what may interrupt it, and its outcome.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::chain::Height;
use crate::index::{ReadRows, Result, Writer};
use crate::sync::apply::batch::RunTally;
use crate::sync::interrupt::{Flow, Interrupt};

/// Watches a run; called by the one thread that applies blocks.
pub trait Observer {
    /// A stretch begins: its heights, and what the run did before.
    fn begin(&mut self, first: Height, last: Height, tally: &RunTally);
    /// A block was applied.
    fn passed(&mut self, height: Height, tally: &RunTally);
    /// The stretch has ended, also where it was interrupted. The blocks that were applied are written, unless the index failed.
    fn end(&mut self);
}

/// How much is done at once.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// Threads that search blocks.
    pub threads: usize,
    /// Blocks in a batch at most.
    pub batch_blocks: usize,
}

/// What a run has done.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Outcome {
    /// The first height that was missing when the run began, or to which a reorg took it back; above `through` where none was.
    pub from: Height,
    /// The last height done; `None` before any.
    pub through: Option<Height>,
    /// What the run did.
    pub tally: RunTally,
    /// Blocks disconnected since they left the node's active chain.
    pub undone: u64,
    /// Seconds it took.
    pub seconds: f64,
    /// Whether a stop was requested before the end.
    pub stopped: bool,
    /// Whether it ended before the node's tip since two branches have the same work.
    pub undecided: bool,
    /// Whether the sweeps below the main one stand still, so that some entries have a gap.
    pub held: bool,
}

/// A run in progress.
pub struct SweepRun<'o> {
    /// Watches it.
    pub observer: &'o mut dyn Observer,
    /// Its outcome so far.
    pub outcome: Outcome,
}

impl<'o> SweepRun<'o> {
    /// A run that begins where the lowest sweep of the index is.
    ///
    /// # Errors
    /// As all reads.
    pub fn begin(writer: &Writer, observer: &'o mut dyn Observer) -> Result<Self> {
        let from = writer.sweeps()?.settled();
        let outcome = Outcome {
            from,
            through: None,
            tally: RunTally::default(),
            undone: 0,
            seconds: 0.0,
            stopped: false,
            undecided: false,
            held: false,
        };
        Ok(Self { observer, outcome })
    }

    /// The outcome of a run that took `took`.
    ///
    /// # Errors
    /// As all reads.
    pub fn end(self, writer: &Writer, took: Duration) -> Result<Outcome> {
        let through = writer.sweeps()?.settled().checked_sub(1);
        Ok(Outcome { through, seconds: took.as_secs_f64(), ..self.outcome })
    }
}

/// Flags by which other threads interrupt a run.
#[derive(Clone, Debug, Default)]
pub struct Interrupts {
    /// The node's tip may have changed. If no thread sets it, the node is asked every second.
    pub tip: Option<Arc<AtomicBool>>,
    /// Something else has to be done first: the run ends after the block in progress.
    pub pause: Arc<AtomicBool>,
    /// How many heights a sweep below the main one passes at least between two interruptions by new blocks, unless that takes a second.
    pub least_heights: Height,
}

impl Interrupts {
    /// Interrupts the run if it is to pause.
    ///
    /// # Errors
    /// [`Interrupt::Paused`].
    pub fn check_pause(&self) -> Flow<()> {
        if self.pause.load(Ordering::SeqCst) { Err(Interrupt::Paused.into()) } else { Ok(()) }
    }
}
