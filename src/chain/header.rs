//! Headers: do they link, and does each carry the work it states. Which chain is best is left to the node.

use bitcoin::block::Header;
use bitcoin::{BlockHash, Target};

use super::Height;

/// What is wrong with a header.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum HeaderError {
    /// Its `prev_blockhash` is another block than the one before it.
    #[error("the header at height {height} follows {found}, not {expected}")]
    Unlinked {
        /// Where.
        height: Height,
        /// The block that should come before it.
        expected: BlockHash,
        /// The block it names.
        found: BlockHash,
    },
    /// Its hash is above the target that its `bits` state.
    #[error("the header at height {height} ({hash}) lacks the proof of work its bits state")]
    NoWork {
        /// Where.
        height: Height,
        /// Its hash.
        hash: BlockHash,
    },
}

/// Whether `header`, at `height`, follows the block `previous` and its hash meets its own target.
///
/// # Errors
/// [`HeaderError`], the first that applies.
pub fn check(header: &Header, height: Height, previous: BlockHash) -> Result<BlockHash, HeaderError> {
    if header.prev_blockhash != previous {
        return Err(HeaderError::Unlinked { height, expected: previous, found: header.prev_blockhash });
    }
    let hash = header.block_hash();
    if !Target::from_compact(header.bits).is_met_by(hash) {
        return Err(HeaderError::NoWork { height, hash });
    }
    Ok(hash)
}
