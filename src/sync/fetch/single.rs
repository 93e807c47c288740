//! One block, read on the thread that applies it. At the tip there is no other to be read meanwhile, and the threads of
//! [`super::pipeline`] would take longer to start than it takes.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::interest::Interest;
use super::pipeline::{self, Arrived, ConnectionPool, Order, Shown};
use super::source::Filtering;
use crate::chain::BlockId;
use crate::sync::SyncError;

/// Whether an order is of one block, to be had without filters.
pub fn fits(order: &Order) -> bool {
    order.heights.start() == order.heights.end() && order.filtering == Filtering::Off
}

/// Reads it.
///
/// # Errors
/// As [`pipeline::run`].
pub fn read(pool: &ConnectionPool, interest: &Interest, order: &Order) -> Result<Arrived, SyncError> {
    let read = || {
        let height = *order.heights.start();
        let headers = pool.with(|node| node.headers(height, 1)).map_err(SyncError::from_node)?;
        let [header] = headers[..] else {
            // The height was the node's own a moment ago.
            return Err(SyncError::ChainMoved);
        };
        let id = BlockId { height, hash: pipeline::linked(&header, height, order.previous)? };
        let arrived = Arrived { id, header, shown: Shown::Header };
        if height < order.blocks_from {
            return Ok(arrived);
        }
        pipeline::read_now(pool, interest, order, &arrived, false)
    };
    // As on a thread of its own, where a panic is its block's failure and not the program's.
    catch_unwind(AssertUnwindSafe(read)).unwrap_or_else(|panic| Err(SyncError::Panic(pipeline::words(panic.as_ref()))))
}
