//! Undoing blocks, from the index alone: no stale block of the node's, no undo log, any depth.
//!
//! For each record of a block, the rows that it brought are deleted, then the header; nothing below depends on them. What was told of
//! them is taken back in the same batch.

use super::events;
use crate::chain::{BlockId, Height};
use crate::index::derive;
use crate::index::events::{Event, Fact, Place, Reason, Seen};
use crate::index::keys::TxPosition;
use crate::index::sweeps::Sweep;
use crate::index::{Family, ReadRows, Result, Step, Writer};

/// A batch is written when it holds this many bytes.
const BATCH_BYTES: usize = 4 << 20;
/// Or this many blocks.
const BATCH_BLOCKS: u32 = 500;

/// Removes every block above `fork`, tip first, in atomic batches: between any two of them the index is that of a valid chain.
///
/// # Errors
/// What the index reports; batches written before stay.
pub fn disconnect(writer: &Writer, tip: BlockId, fork: Height, seen: Seen) -> Result<()> {
    let mut step = writer.step();
    step.tell(&Event {
        id: format!("reorg:{}:{fork}", tip.hash),
        fact: Fact::Reorg { fork, stale_tip: tip.hash, stale_height: tip.height },
        seen,
    })?;
    let mut blocks = 0;
    for height in (fork + 1..=tip.height).rev() {
        disconnect_block(writer, &mut step, height, seen)?;
        blocks += 1;
        if blocks >= BATCH_BLOCKS || step.bytes() >= BATCH_BYTES || height == fork + 1 {
            let mut full = std::mem::replace(&mut step, writer.step());
            lower_sweeps(writer, &mut full, height)?;
            full.commit(true)?;
            blocks = 0;
        }
    }
    Ok(())
}

fn disconnect_block(writer: &Writer, step: &mut Step<'_>, height: Height, seen: Seen) -> Result<()> {
    let header = writer.known_header(height)?;
    for (tx_index, record) in step.records(height)?.into_iter().rev() {
        let at = TxPosition { height, tx_index };
        let txid = record.txid();
        let place = Place { height, block: header.block_hash(), time: header.time, txid, tx_index };
        let facts = events::facts(writer, place, &record, &step.brought(at, txid, &record)?)?;
        for event in events::changes(&facts, &events::Facts::new(), seen, Reason::Reorg) {
            step.tell(&event)?;
        }
        for (family, key) in derive::keys(at, txid, &record) {
            step.raw_delete(family, &key);
        }
    }
    step.raw_delete(Family::Headers, &height.to_be_bytes());
    Ok(())
}

/// No sweep is above the tip.
fn lower_sweeps(writer: &Writer, step: &mut Step<'_>, to: Height) -> Result<()> {
    for (id, sweep) in writer.sweeps()?.iter() {
        let lowered = match sweep {
            Sweep::Main { next } if next > to => Sweep::Main { next: to },
            Sweep::Side { next, reads } if next > to => Sweep::Side { next: to, reads },
            _ => continue,
        };
        step.raw_put(Family::Sweeps, &id.to_be_bytes(), &lowered.value());
    }
    Ok(())
}
