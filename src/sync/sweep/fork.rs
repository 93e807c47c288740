//! When the node's chain differs from the index's: whose tip counts, and where the two part.
//!
//! Our tip is given up if and only if the node's active chain lacks it and either has more work, or the node calls our tip's branch
//! invalid. Else the node is behind (starting, reindexing, in its initial download, restored), and waiting is all there is to do.

use bitcoin::block::Header;
use bitcoin::{BlockHash, Work};

use crate::chain::{BlockId, Height};
use crate::index::View;
use crate::node::HEADERS_PER_CALL;
use crate::sync::SyncError;
use crate::sync::fetch::pipeline::{ConnectionPool, linked};
use crate::sync::fetch::source::Source;

/// What the node's chain is to the index's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It holds the index's tip.
    Ahead,
    /// It lacks it, but has nothing better.
    Behind,
    /// It is another, and better: everything above this height is stale.
    Left {
        /// The last block that both have.
        fork: Height,
    },
}

/// Compares the node's active chain with the index, whose tip is `tip`.
///
/// # Errors
/// What node and index report.
pub fn standing(view: &View, source: &dyn Source, pool: &ConnectionPool, tip: BlockId) -> Result<Standing, SyncError> {
    if theirs(pool, tip.height)?.is_some_and(|header| header.block_hash() == tip.hash) {
        return Ok(Standing::Ahead);
    }
    let fork = fork_height(view, pool, tip)?;
    if has_more_work(view, pool, fork, tip)? || source.calls_invalid(tip).map_err(SyncError::from_node)? {
        return Ok(Standing::Left { fork });
    }
    Ok(Standing::Behind)
}

fn theirs(pool: &ConnectionPool, height: Height) -> Result<Option<Header>, SyncError> {
    let headers = pool.with(|node| node.headers(height, 1)).map_err(SyncError::from_node)?;
    Ok(headers.first().copied())
}

/// The highest block that both chains have: where one block is common, so are all below it, so steps double going back, and halve
/// going up again.
fn fork_height(view: &View, pool: &ConnectionPool, tip: BlockId) -> Result<Height, SyncError> {
    let common = |height: Height| -> Result<bool, SyncError> {
        let hash = |header: Header| header.block_hash();
        Ok(theirs(pool, height)?.map(hash) == Some(hash(view.known_header(height)?)))
    };
    let (mut differs, mut step) = (tip.height, 1);
    let mut shared = loop {
        let height = differs.saturating_sub(step);
        if height == 0 || common(height)? {
            break height;
        }
        (differs, step) = (height, step.saturating_mul(2));
    };
    while differs - shared > 1 {
        let middle = shared + (differs - shared) / 2;
        *(if common(middle)? { &mut shared } else { &mut differs }) = middle;
    }
    Ok(shared)
}

/// Whether the node's chain above the fork has more work than ours.
fn has_more_work(view: &View, pool: &ConnectionPool, fork: Height, tip: BlockId) -> Result<bool, SyncError> {
    let mut needed: Option<Work> = None;
    for height in fork + 1..=tip.height {
        let work = view.known_header(height)?.work();
        needed = Some(needed.map_or(work, |sum| sum + work));
    }
    let mut found: Option<Work> = None;
    let mut next = fork + 1;
    let mut previous: BlockHash = view.known_header(fork)?.block_hash();
    loop {
        let headers = pool.with(|node| node.headers(next, HEADERS_PER_CALL)).map_err(SyncError::from_node)?;
        if headers.is_empty() {
            return Ok(false);
        }
        for header in &headers {
            previous = linked(header, next, previous)?;
            if next == fork + 1 && previous == view.known_header(next)?.block_hash() {
                // It has our block by now, as a node that catches up does: what it lacked a moment ago proves nothing.
                return Err(SyncError::ChainMoved);
            }
            found = Some(found.map_or(header.work(), |sum| sum + header.work()));
            if found > needed {
                return Ok(true);
            }
            next += 1;
        }
    }
}
