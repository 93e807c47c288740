//! Between two stretches: takes the index's tip back after a reorg, merges sweeps that met, sets the next goal, and logs that
//! everything is scanned.

use std::time::{Duration, Instant};

use super::fork::{self, Standing};
use super::stretch::SweepSetup;
use crate::chain::{BlockId, Height};
use crate::index::events::{Event, Happened, Seen};
use crate::index::meta::{Waiter, Waiting};
use crate::index::sweeps::{MAIN_SWEEP, SideSweep, Sweep, Sweeps};
use crate::index::{ReadRows, Result, Writer, meta};
use crate::sync::apply::disconnect::disconnect;
use crate::sync::apply::moved::MovedCoins;
use crate::sync::fetch::pool::ConnectionPool;
use crate::sync::interrupt::{Flow, Interrupt};

/// How often a node that is behind is asked again.
const BEHIND_WAIT: Duration = Duration::from_secs(1);

/// How far a run goes.
#[derive(Clone, Copy, Debug)]
pub struct Goal {
    /// The last height, if the caller names one.
    pub to: Option<Height>,
    /// The height of the node's tip.
    pub node: Height,
}

impl Goal {
    /// The last height that can be reached now.
    pub fn last(self) -> Height {
        self.to.map_or(self.node, |to| to.min(self.node))
    }
}

/// How long a tie of two branches is waited out by a run that is to end by itself. The next block takes minutes.
const TIE_WAIT: Duration = Duration::from_secs(10);

/// Brings the index's tip onto the node's active chain: disconnects blocks that left it, and waits for a node that is behind unless
/// `check` interrupts that. `disconnected` is called when blocks have gone, with the height of the fork, their number, and the coins that
/// this has changed in the index.
///
/// # Errors
/// What node and index report; a stop; what `check` interrupts with; [`Interrupt::Undecided`] unless the run `stays`.
pub fn follow_reorg(
    setup: &SweepSetup<'_>,
    pool: &ConnectionPool,
    stays: bool,
    check: impl Fn() -> Flow<()>,
    disconnected: impl FnMut(Height, u32, MovedCoins) -> Result<()>,
) -> Flow<()> {
    let mut wait = TipWait::default();
    let followed = wait_and_disconnect(setup, pool, stays, check, disconnected, &mut wait);
    wait.end(setup.writer)?;
    followed
}

/// The wait for a node that is behind.
#[derive(Default)]
struct TipWait {
    waiting: Option<Waiting>,
    tied_since: Option<Instant>,
}

impl TipWait {
    /// Says in the log and in the index that the run waits, and why.
    fn note(&mut self, writer: &Writer, tip: BlockId, tied: bool, refused: Option<String>) -> Result<()> {
        let why = match tied {
            true => format!("the node's active chain has another block than {tip}, the index's tip, and the same work"),
            false => {
                format!("the node does not have block {tip}, the index's tip, and its own chain has no more work")
            }
        };
        let what = if tied { "the next block, which decides between two branches" } else { "the node to catch up" };
        let error = match refused {
            Some(refused) => {
                format!("{why}; whether it calls the branch of that block invalid can't be asked, since {refused}")
            }
            None => why,
        };
        let since = if tied { Some(self.tied_since.unwrap_or_else(Instant::now)) } else { None };
        self.tied_since = since;
        if self.waiting.as_ref().is_some_and(|known| known.error == error) {
            return Ok(());
        }
        let it = if tied { "the next block, which decides" } else { "it to catch up" };
        tracing::warn!("{error}: waiting for {it}");
        let waiting = Waiting::now(what, error);
        let mut step = writer.step();
        meta::put_waiting(&mut step, Waiter::Run, Some(&waiting));
        step.commit(false)?;
        self.waiting = Some(waiting);
        Ok(())
    }

    fn end(self, writer: &Writer) -> Result<()> {
        if self.waiting.is_none() {
            return Ok(());
        }
        let mut step = writer.step();
        meta::put_waiting(&mut step, Waiter::Run, None);
        step.commit(false)
    }
}

fn wait_and_disconnect(
    setup: &SweepSetup<'_>,
    pool: &ConnectionPool,
    stays: bool,
    check: impl Fn() -> Flow<()>,
    mut disconnected: impl FnMut(Height, u32, MovedCoins) -> Result<()>,
    wait: &mut TipWait,
) -> Flow<()> {
    while let Some(tip) = setup.writer.tip()? {
        match fork::standing(setup.writer, pool, tip)? {
            Standing::Ahead => return Ok(()),
            Standing::Left { fork } => {
                let blocks = tip.height - fork;
                tracing::warn!(
                    "reorg: block {tip} is no longer in the active chain; disconnecting {blocks} blocks, back to height {fork}"
                );
                let moved = disconnect(setup.writer, tip, fork, setup.seen)?;
                disconnected(fork, blocks, moved)?;
            }
            Standing::Behind { tied, refused } => {
                wait.note(setup.writer, tip, tied, refused)?;
                if !stays && wait.tied_since.is_some_and(|since| since.elapsed() >= TIE_WAIT) {
                    return Err(Interrupt::Undecided.into());
                }
                if setup.stop.wait(BEHIND_WAIT) {
                    return Err(Interrupt::Stop.into());
                }
                check()?;
            }
        }
    }
    Ok(())
}

/// Joins sweeps that have met. Returns the sweeps then, and whether any of them has more entries since.
///
/// # Errors
/// What the index reports, as in all that follow.
pub fn join(writer: &Writer) -> Result<(Sweeps, bool)> {
    let mut joined = false;
    loop {
        let sweeps = writer.sweeps()?;
        let sides = sweeps.sides();
        let main = SideSweep { id: MAIN_SWEEP, next: sweeps.main(), blocks_from: None };
        let above = sides.iter().skip(1).chain([&main]);
        let Some((lower, upper)) = sides.iter().zip(above).find(|(lower, upper)| lower.next >= upper.next) else {
            return Ok((sweeps, joined));
        };
        let mut step = writer.step();
        step.put(&lower.id, &Sweep::Joined { into: upper.id });
        joined = true;
        if upper.id != MAIN_SWEEP {
            let blocks_from = lower.blocks_from.into_iter().chain(upper.blocks_from).min();
            step.put(&upper.id, &Sweep::Side { next: upper.next, blocks_from });
        }
        step.commit(false)?;
    }
}

/// Writes the height that the run sets out to reach, where the main sweep is at `next`. A height below that is no goal, and nothing
/// above the node's tip is, which a reorg may have lowered.
///
/// # Errors
/// What the index reports.
pub fn set_goal(writer: &Writer, goal: Goal, next: Height) -> Result<()> {
    let (known, last) = (meta::goal(writer)?, goal.last());
    let height = match goal.to {
        Some(_) if last < next => known.map(|known| known.min(goal.node)),
        _ => Some(last),
    };
    let Some(height) = height.filter(|_| height != known) else { return Ok(()) };
    let mut step = writer.step();
    meta::put_goal(&mut step, height);
    // If a crash takes it back, the next run sets it again.
    step.commit(false)
}

/// Logs that everything up to this tip is scanned, once. New blocks that are followed one by one are not logged so.
///
/// # Errors
/// What the index reports.
pub fn log_caught_up(writer: &Writer, seen: Seen) -> Result<()> {
    let Some(tip) = writer.tip()? else { return Ok(()) };
    match meta::caught_up(writer)? {
        Some(logged) if logged == tip.hash || seen == Seen::Tip => return Ok(()),
        _ => {}
    }
    let mut step = writer.step();
    step.append(&Event { what: Happened::CaughtUp(tip), seen })?;
    meta::put_caught_up(&mut step, tip.hash);
    step.commit(true)
}
