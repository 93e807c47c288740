//! Derives everything again from the records, without a node: what nothing bears goes, what is damaged is made anew.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::sweeper::{Observer, Outcome, Pace, Sweeper};
use crate::chain::{BlockId, Height};
use crate::index::derive;
use crate::index::keys::{TxPosition, txid_key};
use crate::index::sweeps::Sweep;
use crate::index::values::Record;
use crate::index::{Family, Result, View, Writer};
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
    for row in writer.raw_range(Family::Records, &[], None) {
        let (key, value) = row?;
        let corrupt = |_| View::corrupt(Family::Records, &key);
        let at = TxPosition::from_key(&key).map_err(corrupt)?;
        // By these the rows of coins are told from orphans.
        let txid = txid_key(Record::from_value(&value).map_err(corrupt)?.txid(), at);
        if writer.raw_get(Family::Txids, &txid)?.is_none() {
            step.raw_put(Family::Txids, &txid, &[]);
        }
        step.flush_if_full()?;
    }
    step.take().commit(false)?;
    let (mut orphans, mut last) = (0, None);
    for family in Family::DERIVED {
        for row in writer.raw_range(family, &[], None) {
            let (key, value) = row?;
            if has_record(writer, &mut last, family, &key, &value)? {
                continue;
            }
            step.raw_delete(family, &key);
            orphans += 1;
            step.flush_if_full()?;
        }
    }
    step.commit(true)?;
    Ok(orphans)
}

/// Keys of rows.
type Keys = BTreeSet<(Family, Vec<u8>)>;

/// Whether a record can have brought a row; the last record looked at is kept, since rows of one often lie together.
fn has_record(
    view: &View,
    last: &mut Option<(TxPosition, Keys)>,
    family: Family,
    key: &[u8],
    value: &[u8],
) -> Result<bool> {
    for at in derive::origins(view, family, key, value)?.unwrap_or_default() {
        if last.as_ref().is_none_or(|(known, _)| *known != at) {
            let Some(record) = view.record(at)? else { continue };
            *last = Some((at, derive::keys(at, record.txid(), &record).collect()));
        }
        if last.as_ref().is_some_and(|(_, keys)| keys.contains(&(family, key.to_vec()))) {
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
