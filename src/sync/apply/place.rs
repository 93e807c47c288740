//! Where a record is in the chain.

use bitcoin::block::Header;
use bitcoin::{BlockHash, Txid};

use crate::chain::BlockId;
use crate::index::keys::TxPosition;

/// Where a record is.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    /// Its block's height, and its index there.
    pub at: TxPosition,
    /// Its block's hash.
    pub block: BlockHash,
    /// Its block's time, Unix seconds.
    pub time: u32,
    /// Its transaction's id.
    pub txid: Txid,
}

impl Place {
    /// The place of a transaction of this block.
    pub fn of(id: BlockId, header: &Header, at: TxPosition, txid: Txid) -> Self {
        Self { at, block: id.hash, time: header.time, txid }
    }
}
