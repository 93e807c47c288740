//! Disconnects blocks, to any depth, from the index alone: without the node, which may no longer have them, and without undo data.
//!
//! The rows that each record of a block made are deleted, then its header; nothing below depends on them. What events said of them
//! is retracted in the same batch, and kept for those who read these events later.

use bitcoin::block::Header;

use super::events::{self, Stated};
use super::moved::MovedCoins;
use super::place::Place;
use crate::chain::{BlockId, Height};
use crate::index::derive;
use crate::index::events::{Event, Happened, Reason, Seen};
use crate::index::keys::TxPosition;
use crate::index::sweeps::Sweep;
use crate::index::{ReadRows, Result, Step, Writer};

/// A batch is written when it is full, or holds this many blocks.
const BATCH_BLOCKS: u32 = 500;

/// Removes every block above `fork`, tip first, in atomic batches: between any two of them the index is that of a valid chain. Returns the
/// coins that this has changed.
///
/// # Errors
/// What the index reports; batches written before stay.
pub fn disconnect(writer: &Writer, tip: BlockId, fork: Height, seen: Seen) -> Result<MovedCoins> {
    let (mut step, mut moved) = (writer.step(), MovedCoins::default());
    step.append(&Event { what: Happened::Reorg { fork, stale: tip }, seen })?;
    let mut blocks = 0;
    for height in (fork + 1..=tip.height).rev() {
        disconnect_block(writer, &mut step, height, seen)?;
        blocks += 1;
        if blocks >= BATCH_BLOCKS || step.is_full() || height == fork + 1 {
            let mut full = step.take();
            lower_sweeps(writer, &mut full, height)?;
            moved.add(&full);
            full.commit(true)?;
            blocks = 0;
        }
    }
    Ok(moved)
}

fn disconnect_block(writer: &Writer, step: &mut Step<'_>, height: Height, seen: Seen) -> Result<()> {
    let header = writer.known_header(height)?;
    let id = BlockId { height, hash: header.block_hash() };
    // The last one first: where a coin's parent is in the same block, its rows are still there for the retraction that names it.
    for (tx_index, record) in step.records(height)?.into_iter().rev() {
        let at = TxPosition { height, tx_index };
        let place = Place::of(id, &header, at, record.txid());
        let before = Stated::by(&step.rows_of(at, place.txid, &record)?)?;
        events::log_removed(step, &place, &record, before, (Reason::Reorg, seen))?;
        step.delete_all(&derive::keys(at, place.txid, &record));
    }
    step.delete::<Header>(&height);
    Ok(())
}

/// Lowers each sweep above height `to` to it: none may be above the tip.
fn lower_sweeps(writer: &Writer, step: &mut Step<'_>, to: Height) -> Result<()> {
    for (id, sweep) in writer.sweeps()?.iter() {
        let lowered = match sweep {
            Sweep::Main { next } if next > to => Sweep::Main { next: to },
            Sweep::Side { next, blocks_from } if next > to => Sweep::Side { next: to, blocks_from },
            _ => continue,
        };
        step.put(&id, &lowered);
    }
    Ok(())
}
