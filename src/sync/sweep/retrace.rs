//! Rebuilds every derived row from the records, without a node: removes rows that no record supports, and repairs damaged ones.

use std::sync::Arc;
use std::time::Instant;

use super::run::{Observer, Outcome, Pace, SweepRun};
use super::stretch::{RecordStretch, SweepSetup};
use super::tip;
use crate::chain::Height;
use crate::index::derive;
use crate::index::events::Seen;
use crate::index::keys::{TxPosition, TxidKey};
use crate::index::sweeps::Sweep;
use crate::index::values::Record;
use crate::index::{DerivedRow, KeySet, ReadRows, Recorded, Result, View, Writer, mend_sums};
use crate::stop::Stop;
use crate::sync::SyncError;
use crate::sync::interrupt::{Flow, Halt, Interrupt};
use crate::sync::plan::interest::Interest;
use crate::sync::plan::schedule::{Task, next_task};

/// What a retrace did.
pub struct Retraced {
    /// What the sweep over the records did.
    pub outcome: Outcome,
    /// Rows removed that came from no record.
    pub orphans: u64,
    /// The height from which blocks are needed, where a coin turned out to be followed whose spend was never searched for. The next
    /// `backfill` or `follow` reads them.
    pub needs_blocks_from: Option<Height>,
}

/// Begins a sweep at the first record, and runs it over records as far as they suffice.
///
/// # Errors
/// What the index reports; what was written before stays, and the next run resumes there.
pub fn retrace(writer: &Writer, pace: Pace, stop: &Stop, observer: &mut dyn Observer) -> Result<Retraced, SyncError> {
    // First: each step after it moves the sums from what they are.
    mend_sums(writer)?;
    let orphans = remove_orphans(writer)?;
    let sweeps = writer.sweeps()?;
    if sweeps.settled() > 0 {
        let mut step = writer.step();
        step.put(&sweeps.fresh(), &Sweep::Side { next: 0, blocks_from: None });
        step.commit(true)?;
    }
    let start = Instant::now();
    let mut run = SweepRun::begin(writer, observer)?;
    match sweep_records(&SweepSetup { writer, pace, stop, seen: Seen::Sweep }, &mut run) {
        Ok(()) => {}
        Err(Halt::Failed(error)) => return Err(error),
        Err(Halt::Interrupted(interrupt)) => run.outcome.stopped = interrupt == Interrupt::Stop,
    }
    let outcome = run.end(writer, start.elapsed())?;
    let left = writer.sweeps()?.sides().first().map(|side| side.next);
    let needs_blocks_from = left.filter(|_| !outcome.stopped);
    Ok(Retraced { outcome, orphans, needs_blocks_from })
}

/// Runs the sweeps below the main one over the records of the index, as far as they suffice; asks no node.
fn sweep_records(setup: &SweepSetup<'_>, run: &mut SweepRun<'_>) -> Flow<()> {
    loop {
        let (sweeps, _) = tip::join(setup.writer)?;
        let tip = sweeps.main().checked_sub(1);
        let Some(Task::Side { side, last }) = tip.and_then(|tip| next_task(&sweeps, tip, true)) else { return Ok(()) };
        let interest = Arc::new(Interest::load(setup.writer, &sweeps, side.id)?);
        if interest.blocks_from(side.blocks_from).is_some_and(|from| from <= side.next) {
            return Ok(());
        }
        let swept = setup.over_records(RecordStretch { side, last, interest }, &|| Ok(()), run)?;
        if let Some(interrupt) = swept.interrupt {
            return Err(interrupt.into());
        }
    }
}

/// Removes rows that no record can have made. Rows that a record can have made are compared with it by the sweep.
fn remove_orphans(writer: &Writer) -> Result<u64> {
    let mut step = writer.step();
    for row in writer.range::<Record>(..) {
        let (at, record) = row?;
        // By these rows the records of a coin are found, below.
        let key = TxidKey { txid: record.txid(), at };
        if !writer.has::<Recorded>(&key)? {
            step.put(&key, &Recorded);
        }
        step.flush_if_full()?;
    }
    step.take().commit(false)?;
    let (mut orphans, mut last) = (0, None);
    for family in writer.derived_families() {
        for row in family.rows() {
            let row = row?;
            if has_record(writer, &mut last, &row)? {
                continue;
            }
            step.delete_derived(&row);
            orphans += 1;
            step.flush_if_full()?;
        }
    }
    step.commit(true)?;
    Ok(orphans)
}

/// Whether a record can have made a row. Keeps the keys of the last record, since its rows often lie together.
fn has_record(view: &View, last: &mut Option<(TxPosition, KeySet)>, row: &DerivedRow) -> Result<bool> {
    for at in row.origins(view)?.unwrap_or_default() {
        if last.as_ref().is_none_or(|(known, _)| *known != at) {
            let Some(record) = view.record(at)? else { continue };
            *last = Some((at, derive::keys(at, record.txid(), &record)));
        }
        if last.as_ref().is_some_and(|(_, keys)| row.is_in(keys)) {
            return Ok(true);
        }
    }
    Ok(false)
}
