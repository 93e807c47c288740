//! What is put in order between two parts of the way: the index's tip onto the node's chain, sweeps that met, what is aimed at, and
//! the word that all is swept.

use std::time::Duration;

use super::fork::{self, Standing};
use crate::chain::Height;
use crate::index::events::{Event, Fact, Seen};
use crate::index::sweeps::{MAIN_SWEEP, SideSweep, Sweep, Sweeps};
use crate::index::{IndexError, Writer, meta};
use crate::stop::Stop;
use crate::sync::SyncError;
use crate::sync::apply::disconnect::disconnect;
use crate::sync::fetch::pipeline::ConnectionPool;
use crate::sync::fetch::source::Source;

/// How often a node that is behind is looked at again.
const BEHIND_WAIT: Duration = Duration::from_secs(1);

/// Brings the index's tip onto the node's chain: undoes what the node gave up, and waits for a node that is behind as long as `paused`
/// allows it. `undoing` hears of a fork and the number of blocks above it before these go.
///
/// # Errors
/// What node and index report; [`SyncError::Stopped`]; what `paused` says.
pub fn settle_tip(
    writer: &Writer,
    (source, pool): (&dyn Source, &ConnectionPool),
    seen: Seen,
    stop: &Stop,
    paused: impl Fn() -> Result<(), SyncError>,
    mut undoing: impl FnMut(Height, u32),
) -> Result<(), SyncError> {
    let mut told = false;
    while let Some(tip) = writer.tip()? {
        match fork::standing(writer, source, pool, tip)? {
            Standing::Ahead => return Ok(()),
            Standing::Left { fork } => {
                let blocks = tip.height - fork;
                tracing::warn!("the node's chain left block {tip}: undoing {blocks} blocks, down to {fork}");
                undoing(fork, blocks);
                disconnect(writer, tip, fork, seen)?;
            }
            Standing::Behind => {
                if !told {
                    tracing::warn!(
                        "the node lacks block {tip}, the index's tip, and has nothing better: waiting for it"
                    );
                    told = true;
                }
                if stop.wait(BEHIND_WAIT) {
                    return Err(SyncError::Stopped);
                }
                paused()?;
            }
        }
    }
    Ok(())
}

/// Makes one of sweeps that stand at the same height; says whether the main one looks for more since.
///
/// # Errors
/// What the index reports, as in all that follow.
pub fn join(writer: &Writer) -> Result<(Sweeps, bool), IndexError> {
    let mut grew = false;
    loop {
        let sweeps = writer.sweeps()?;
        let sides = sweeps.sides();
        let main = SideSweep { id: MAIN_SWEEP, next: sweeps.main(), blocks_from: None };
        let above = sides.iter().skip(1).chain([&main]);
        let Some((lower, upper)) = sides.iter().zip(above).find(|(lower, upper)| lower.next >= upper.next) else {
            return Ok((sweeps, grew));
        };
        let mut step = writer.step();
        step.put(&lower.id, &Sweep::Joined { into: upper.id });
        grew |= upper.id == MAIN_SWEEP;
        if upper.id != MAIN_SWEEP {
            let blocks_from = lower.blocks_from.into_iter().chain(upper.blocks_from).min();
            step.put(&upper.id, &Sweep::Side { next: upper.next, blocks_from });
        }
        step.commit(false)?;
    }
}

/// Notes what is aimed at: `last`, of a node that has `node`, where the main sweep stands at `next`. A height already passed is no
/// goal, and nothing above the node's tip is, which a reorg may have lowered.
///
/// # Errors
/// What the index reports.
pub fn set_goal(
    writer: &Writer,
    to: Option<Height>,
    last: Height,
    node: Height,
    next: Height,
) -> Result<(), IndexError> {
    let known = meta::goal(writer)?;
    let goal = if to.is_none() || last >= next { Some(last) } else { known.map(|goal| goal.min(node)) };
    let Some(goal) = goal.filter(|_| goal != known) else { return Ok(()) };
    let mut step = writer.step();
    meta::put_goal(&mut step, goal);
    step.commit(false)
}

/// Says once that everything up to this tip is swept; blocks seen at the tip, one by one, are no catching up.
///
/// # Errors
/// What the index reports.
pub fn tell_caught_up(writer: &Writer, seen: Seen) -> Result<(), IndexError> {
    let Some(tip) = writer.tip()? else { return Ok(()) };
    match meta::caught_up(writer)? {
        Some(told) if told == tip.hash || seen == Seen::Tip => return Ok(()),
        _ => {}
    }
    let fact = Fact::CaughtUp { height: tip.height, block: tip.hash };
    let mut step = writer.step();
    step.tell(&Event { id: format!("caught_up:{}", tip.hash), fact, seen })?;
    meta::put_caught_up(&mut step, tip.hash);
    step.commit(true)
}
