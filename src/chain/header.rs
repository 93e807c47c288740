//! Checks one header: that it follows the block before it, and that its hash has the work its `bits` state. Whether `bits` are
//! right for its height, and which chain has the most work, is left to the node.

use bitcoin::block::Header;
use bitcoin::{BlockHash, Target};

use super::Height;

/// A header that can't be where the node placed it.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum HeaderError {
    /// Its `prev_blockhash` is not the block below it.
    #[error("the header at height {height} follows {found}, not {expected}")]
    Unlinked {
        /// Height at which the node placed the header.
        height: Height,
        /// Hash of the block below that height.
        expected: BlockHash,
        /// The header's `prev_blockhash`.
        found: BlockHash,
    },
    /// Its hash is above the target in its `bits`.
    #[error("the header at height {height} ({hash}) lacks the proof of work its bits state")]
    NoWork {
        /// Height at which the node placed the header.
        height: Height,
        /// The header's own hash.
        hash: BlockHash,
    },
}

/// Returns the hash of `header` if it follows the block `previous` and meets its own target (Core's `CheckProofOfWork`).
///
/// # Errors
/// [`HeaderError`]; the link is checked first.
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
