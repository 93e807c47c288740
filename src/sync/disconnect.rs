//! Undoing blocks, from the index alone: no stale block of the node's, no undo log, any depth.
//!
//! For each record of a block, the rows that it brought are deleted, then the header; nothing below depends on them.

use crate::chain::Height;
use crate::index::derive;
use crate::index::keys::TxPosition;
use crate::index::values::{MAIN_SWEEP, Record, Sweep};
use crate::index::{Family, Result, View, Writer};

/// A batch is written when it holds this many bytes.
const BATCH_BYTES: usize = 4 << 20;
/// Or this many blocks.
const BATCH_BLOCKS: u32 = 500;

/// Removes every block above `fork`, tip first, in atomic batches: between any two of them the index is that of a valid chain.
///
/// # Errors
/// What the index reports; batches written before stay.
pub fn disconnect(writer: &Writer, tip: Height, fork: Height) -> Result<()> {
    let mut step = writer.step();
    let mut blocks = 0;
    for height in (fork + 1..=tip).rev() {
        for row in writer.prefix(Family::Records, &height.to_be_bytes()) {
            let (key, value) = row?;
            let corrupt = |_| View::corrupt(Family::Records, &key);
            let at = TxPosition::from_key(&key).map_err(corrupt)?;
            let record = Record::from_value(&value).map_err(corrupt)?;
            derive::delete(&mut step, at, record.txid(), &record);
        }
        step.delete(Family::Headers, &height.to_be_bytes());
        blocks += 1;
        if blocks >= BATCH_BLOCKS || step.bytes() >= BATCH_BYTES || height == fork + 1 {
            let mut full = std::mem::replace(&mut step, writer.step());
            full.put(Family::Sweeps, &MAIN_SWEEP.to_be_bytes(), &Sweep { next: height }.value());
            full.commit(true)?;
            blocks = 0;
        }
    }
    Ok(())
}
