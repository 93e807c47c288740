//! Derives everything again from the records, without a node: what nothing bears goes, what is damaged is made anew.

use std::sync::Arc;

use super::sweeper::{Observer, Outcome, Pace, Sweeper};
use crate::chain::{BlockId, Height};
use crate::index::derive;
use crate::index::keys::{TxPosition, TxidKey};
use crate::index::sweeps::Sweep;
use crate::index::values::Record;
use crate::index::{DerivedRow, KeySet, ReadRows, Recorded, Result, View, Writer};
use crate::node::NodeError;
use crate::stop::Stop;
use crate::sync::SyncError;
use crate::sync::fetch::source::{Connection, Source};

/// What came of it.
pub struct Retraced {
    /// As of a sweep.
    pub outcome: Outcome,
    /// Rows removed that came from no record.
    pub orphans: u64,
    /// The height from which blocks are needed, where a coin turned out to be followed whose spend nobody looked for: the next
    /// `backfill` or `follow` reads them.
    pub needs_blocks_from: Option<Height>,
}

/// Lets a sweep over the records begin at the first of them, and runs it as far as records suffice.
///
/// # Errors
/// What the index reports; what was written before stays, and the next run goes on.
pub fn retrace(writer: &Writer, pace: Pace, stop: &Stop, observer: &mut dyn Observer) -> Result<Retraced, SyncError> {
    let orphans = remove_orphans(writer)?;
    let sweeps = writer.sweeps()?;
    if sweeps.settled() > 0 {
        let mut step = writer.step();
        step.put(&sweeps.fresh(), &Sweep::Side { next: 0, blocks_from: None });
        step.commit(true)?;
    }
    let outcome = Sweeper::new(writer, Arc::new(Nowhere), pace, stop).over_records(observer)?;
    let left = writer.sweeps()?.sides().first().map(|side| side.next);
    let needs_blocks_from = left.filter(|_| !outcome.stopped);
    Ok(Retraced { outcome, orphans, needs_blocks_from })
}

/// Removes rows that no record can have brought; those that one can have are compared with it one by one.
fn remove_orphans(writer: &Writer) -> Result<u64> {
    let mut step = writer.step();
    for row in writer.range::<Record>(..) {
        let (at, record) = row?;
        // By these the rows of coins are told from orphans.
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

/// Whether a record can have brought a row; the last record looked at is kept, since rows of one often lie together.
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

/// A source for what asks none.
struct Nowhere;

impl Source for Nowhere {
    fn connect(&self) -> Box<dyn Connection> {
        unreachable!("records suffice: no block is asked for")
    }

    fn connections(&self, _threads: usize) -> usize {
        0
    }

    fn height(&self) -> Result<Height, NodeError> {
        Err(NodeError::Stopped)
    }

    fn calls_invalid(&self, _block: BlockId) -> Result<bool, NodeError> {
        Err(NodeError::Stopped)
    }

    fn give_up(&self) {}
}
