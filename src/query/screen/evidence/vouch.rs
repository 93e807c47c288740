//! What the caller says of where a transaction is confirmed, as a block of the index's chain.

use std::rc::Rc;

use bitcoin::BlockHash;
use bitcoin::block::Header;
use bitcoin::hashes::Hash;

use crate::chain::{BlockId, Height};
use crate::index::ReadRows;
use crate::query::{Result, Snapshot};

/// Where the caller says that a transaction is confirmed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Vouch {
    /// At this height: a hint where to look, which proves nothing by itself.
    Height(Height),
    /// In this block: the caller's word, which counts where no node can be asked.
    Block(BlockHash),
}

impl From<Height> for Vouch {
    fn from(height: Height) -> Self {
        Self::Height(height)
    }
}

impl From<BlockHash> for Vouch {
    fn from(hash: BlockHash) -> Self {
        Self::Block(hash)
    }
}

/// The place that the caller names, on the index's chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NamedPlace {
    /// The caller names none.
    Unnamed,
    /// This block; the second says whether its hash was given, so that it is the caller's word.
    Block(BlockId, bool),
    /// The index's chain has no such block, for this reason.
    Nowhere(String),
}

/// Finds blocks of the index's chain by what a caller knows of them.
#[derive(Default)]
pub struct BlockFinder {
    /// Each block's height by the first bytes of its hash, sorted; read when the first hash is asked for. A main chain takes 14 MB.
    heights: Option<Rc<[(u64, Height)]>>,
}

impl BlockFinder {
    /// The block that the caller means.
    ///
    /// # Errors
    /// What reading reports.
    pub fn find(&mut self, snapshot: &Snapshot, vouch: Option<Vouch>) -> Result<NamedPlace> {
        match vouch {
            None => Ok(NamedPlace::Unnamed),
            Some(Vouch::Height(height)) => Ok(match snapshot.reader.header(height)? {
                Some(header) => NamedPlace::Block(BlockId { height, hash: header.block_hash() }, false),
                None => {
                    let settled = snapshot.sweeps.settled().checked_sub(1);
                    let settled = settled.map_or_else(|| "no block".into(), |settled| settled.to_string());
                    NamedPlace::Nowhere(format!(
                        "confirmed at height {height} according to the caller, but the index is settled through {settled} only"
                    ))
                }
            }),
            Some(Vouch::Block(hash)) => Ok(match self.height_of(snapshot, hash)? {
                Some(height) => NamedPlace::Block(BlockId { height, hash }, true),
                None => NamedPlace::Nowhere(format!(
                    "confirmed in block {hash} according to the caller, which is not on the index's chain"
                )),
            }),
        }
    }

    fn height_of(&mut self, snapshot: &Snapshot, hash: BlockHash) -> Result<Option<Height>> {
        let heights = match &self.heights {
            Some(heights) => Rc::clone(heights),
            None => Rc::clone(self.heights.insert(read_heights(snapshot)?)),
        };
        let key = short(hash);
        let start = heights.partition_point(|(of, _)| *of < key);
        for (_, height) in heights[start..].iter().take_while(|(of, _)| *of == key) {
            if snapshot.reader.header(*height)?.is_some_and(|header| header.block_hash() == hash) {
                return Ok(Some(*height));
            }
        }
        Ok(None)
    }
}

fn read_heights(snapshot: &Snapshot) -> Result<Rc<[(u64, Height)]>> {
    let mut heights = Vec::new();
    for row in snapshot.reader.range::<Header>(..) {
        let (height, header) = row?;
        heights.push((short(header.block_hash()), height));
    }
    heights.sort_unstable();
    Ok(heights.into())
}

/// The end of a hash that proof of work doesn't fill with zeros.
fn short(hash: BlockHash) -> u64 {
    let bytes = hash.to_byte_array();
    bytes[..8].iter().fold(0, |sum, byte| (sum << 8) | u64::from(*byte))
}
