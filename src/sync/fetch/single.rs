//! One block, read on the thread that applies it. At the tip there is no other block to read meanwhile, and starting the threads of
//! [`super::pipeline`] would take longer than reading it.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::block::{BlockData, FetchedBlock};
use super::headers::linked;
use super::read::{BlockReader, ReadJob};
use crate::chain::BlockId;
use crate::sync::SyncError;
use crate::sync::interrupt::{Flow, Interrupt};

/// Whether an order is for one block, without filters.
pub fn fits(reader: &BlockReader) -> bool {
    reader.order.heights.start() == reader.order.heights.end() && reader.search.filters.is_none()
}

/// Reads the block of such an order.
///
/// # Errors
/// As [`super::pipeline::run`].
pub fn read(reader: &BlockReader) -> Flow<FetchedBlock> {
    // A panic fails this block, as it does on a thread of the pipeline, and doesn't end the program.
    catch_unwind(AssertUnwindSafe(|| read_unguarded(reader)))
        .unwrap_or_else(|panic| Err(SyncError::from_panic(panic.as_ref()).into()))
}

fn read_unguarded(reader: &BlockReader) -> Flow<FetchedBlock> {
    let order = &reader.order;
    let height = *order.heights.start();
    let headers = reader.pool.with(|connection| connection.headers(height, 1))?;
    let [header] = headers[..] else {
        // The source's tip was at this height a moment ago.
        return Err(Interrupt::ChainMoved.into());
    };
    let id = BlockId { height, hash: linked(&header, height, order.previous)? };
    if height < order.blocks_from {
        return Ok(FetchedBlock { id, header, data: BlockData::Header });
    }
    reader.read(ReadJob { id, header, by_filter: false })
}
