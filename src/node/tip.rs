//! The node's tips: what it thinks of a branch that it left.

use bitcoin::block::Header;
use bitcoin::{BlockHash, consensus};
use serde::Deserialize;
use serde_json::json;

use super::Node;
use super::error::NodeError;
use super::link::Patience;
use super::rpc::Rpc;
use crate::chain::{BlockId, Height};

/// Of `getchaintips`.
#[derive(Debug, Deserialize)]
struct ChainTip {
    height: Height,
    hash: BlockHash,
    branchlen: Height,
    status: String,
}

impl Node {
    /// Whether the node holds the branch that `block` is on for invalid, as after `invalidateblock`. A node that doesn't know the
    /// block says no.
    ///
    /// # Errors
    /// As [`Self::info`].
    pub fn calls_invalid(&self, block: BlockId) -> Result<bool, NodeError> {
        let rpc = Rpc::new(&self.link, Patience::ENDLESS);
        let tips: Vec<ChainTip> = rpc.ask("getchaintips", &[])?;
        for tip in tips.into_iter().filter(|tip| tip.status == "invalid" && tip.height >= block.height) {
            let fork = tip.height.saturating_sub(tip.branchlen);
            if fork >= block.height {
                continue;
            }
            let mut hash = tip.hash;
            for _ in block.height..tip.height {
                hash = self.header(&rpc, hash)?.prev_blockhash;
            }
            if hash == block.hash {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn header(&self, rpc: &Rpc, hash: BlockHash) -> Result<Header, NodeError> {
        let hex: String = rpc.ask("getblockheader", &[json!(hash), json!(false)])?;
        let bytes = const_hex::decode(hex).map_err(|error| NodeError::bad("getblockheader", error))?;
        consensus::deserialize(&bytes).map_err(|error| NodeError::bad("getblockheader", error))
    }
}
