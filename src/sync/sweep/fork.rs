//! Where the node's active chain differs from the index's: which of them counts, and where they fork.
//!
//! The index leaves its tip if and only if the node's active chain lacks it and either has more work, or the node calls the branch of
//! the tip invalid. Else the node is behind (it is starting, reindexing, in its initial block download, or was restored from a
//! backup), and will catch up; or both have the same work, and the next block decides.

use std::cmp::Ordering;

use bitcoin::block::Header;
use bitcoin::{BlockHash, Work};

use crate::chain::{BlockId, Height};
use crate::index::{ReadRows, View};
use crate::node::{HEADERS_PER_CALL, NodeError};
use crate::sync::fetch::headers::linked;
use crate::sync::fetch::pool::ConnectionPool;
use crate::sync::interrupt::{Flow, Interrupt};

/// How the node's active chain stands to the index's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It holds the index's tip.
    Ahead,
    /// It lacks it, and has no more work.
    Behind {
        /// Whether it has as much.
        tied: bool,
        /// Why the node can't be asked whether it calls the branch of the tip invalid.
        refused: Option<String>,
    },
    /// It is another one that counts: every block above the fork is stale.
    Left {
        /// Height of the last block that both have.
        fork: Height,
    },
}

/// Compares the node's active chain with the index, whose tip is `tip`.
///
/// # Errors
/// What node and index report; [`Interrupt::ChainMoved`].
pub fn standing(view: &View, pool: &ConnectionPool, tip: BlockId) -> Flow<Standing> {
    if theirs(pool, tip.height)?.is_some_and(|header| header.block_hash() == tip.hash) {
        return Ok(Standing::Ahead);
    }
    // Nothing is undone for a node of another chain.
    pool.source().confirm_chain()?;
    let fork = fork_height(view, pool, tip)?;
    let work = compare_work(view, pool, fork, tip)?;
    if work == Ordering::Greater {
        return Ok(Standing::Left { fork });
    }
    let refused = match pool.source().calls_invalid(tip) {
        Ok(true) => return Ok(Standing::Left { fork }),
        Ok(false) => None,
        Err(error @ NodeError::CallRefused { .. }) => Some(error.to_string()),
        Err(error) => return Err(error.into()),
    };
    Ok(Standing::Behind { tied: work == Ordering::Equal, refused })
}

/// The header of the node's active chain at a height, if it is that long.
fn theirs(pool: &ConnectionPool, height: Height) -> Flow<Option<Header>> {
    let headers = pool.with(|connection| connection.headers(height, 1))?;
    Ok(headers.first().copied())
}

/// Whether both chains have the same block at a height.
fn is_shared(view: &View, pool: &ConnectionPool, height: Height) -> Flow<bool> {
    Ok(theirs(pool, height)? == Some(view.known_header(height)?))
}

/// Height of the last block that both chains have. If they share a block they share all below it: so steps double going down, and
/// halve going up again.
fn fork_height(view: &View, pool: &ConnectionPool, tip: BlockId) -> Flow<Height> {
    let (mut differs, mut step) = (tip.height, 1);
    let mut shared = loop {
        let height = differs.saturating_sub(step);
        if height == 0 || is_shared(view, pool, height)? {
            break height;
        }
        (differs, step) = (height, step.saturating_mul(2));
    };
    while differs - shared > 1 {
        let middle = shared + (differs - shared) / 2;
        *(if is_shared(view, pool, middle)? { &mut shared } else { &mut differs }) = middle;
    }
    Ok(shared)
}

/// How the work of the node's active chain above the fork compares with that of the index's.
fn compare_work(view: &View, pool: &ConnectionPool, fork: Height, tip: BlockId) -> Flow<Ordering> {
    let mut needed: Option<Work> = None;
    for height in fork + 1..=tip.height {
        let work = view.known_header(height)?.work();
        needed = Some(needed.map_or(work, |sum| sum + work));
    }
    let mut found: Option<Work> = None;
    let mut next = fork + 1;
    let mut previous: BlockHash = view.known_header(fork)?.block_hash();
    loop {
        let headers = pool.with(|connection| connection.headers(next, HEADERS_PER_CALL))?;
        if headers.is_empty() {
            return Ok(found.cmp(&needed));
        }
        for header in &headers {
            previous = linked(header, next, previous)?;
            if next == fork + 1 && previous == view.known_header(next)?.block_hash() {
                // The node has our block now: it is catching up, and that it lacked the block a moment ago proves nothing.
                return Err(Interrupt::ChainMoved.into());
            }
            found = Some(found.map_or(header.work(), |sum| sum + header.work()));
            if found > needed {
                return Ok(Ordering::Greater);
            }
            next += 1;
        }
    }
}
