//! Removes the oldest part of the event log.

use super::error::Result;
use super::event_log::{first_seq, next_seq};
use super::meta;
use super::rows::events::Event;
use super::rows::former::Former;
use super::writer::Writer;

/// Removing events is written in batches of this size, so that millions of them need little memory.
const PRUNE_BATCH_BYTES: usize = 256 << 10;

/// Removes the events below seq `before`, and what was kept of changed records for them alone. Returns the number of events removed.
/// Killed in the middle, it leaves rows that no reader sees, and that the next call removes.
///
/// # Errors
/// As all reads and commits.
pub fn prune(writer: &Writer, before: u64) -> Result<u64> {
    let first = before.min(next_seq(writer)?).max(first_seq(writer)?);
    let mut step = writer.step();
    meta::put_events_from(&mut step, first);
    // On disk before the first event is deleted: readers begin at `first`, and never see a part of what is being removed.
    step.commit(true)?;
    let (mut step, mut removed) = (writer.step(), 0);
    for row in writer.range::<Event>(..first) {
        step.delete::<Event>(&row?.0);
        removed += 1;
        step.flush_if_over(PRUNE_BATCH_BYTES)?;
    }
    for row in writer.range::<Former>(..) {
        let (key, former) = row?;
        // It serves the events before its seq, and its retractions, which have the seqs from there on.
        if key.seq.saturating_add(u64::from(former.retractions)) <= first {
            step.delete::<Former>(&key);
            step.flush_if_over(PRUNE_BATCH_BYTES)?;
        }
    }
    step.commit(true)?;
    Ok(removed)
}
