//! The node's tips: what it thinks of a branch that it left.

use bitcoin::block::Header;
use bitcoin::{BlockHash, consensus};
use serde::Deserialize;
use serde_json::json;

use super::Node;
use super::error::{NodeError, Problem};
use super::link::Patience;
use super::rpc::{Rpc, code};
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
            if fork < block.height && self.ancestor(&rpc, &tip, block.height)? == Some(block.hash) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The block below a tip at `height`; `None` where the node doesn't know the branch, after all: it was started again and knows
    /// less, or another one answers in its place.
    fn ancestor(&self, rpc: &Rpc, tip: &ChainTip, height: Height) -> Result<Option<BlockHash>, NodeError> {
        let mut hash = tip.hash;
        for _ in height..tip.height {
            let ask = || match rpc.call::<String>("getblockheader", &[json!(hash), json!(false)]) {
                Err(Problem::Said { code: code::NOT_FOUND, .. }) => Ok(None),
                answer => answer.map(Some),
            };
            let Some(hex) = self.link.persist(Patience::ENDLESS, || "getblockheader".into(), ask)? else {
                return Ok(None);
            };
            let bytes = const_hex::decode(hex).map_err(|error| NodeError::bad("getblockheader", error))?;
            let header: Header =
                consensus::deserialize(&bytes).map_err(|error| NodeError::bad("getblockheader", error))?;
            let found = header.block_hash();
            if found != hash {
                return Err(NodeError::bad("getblockheader", format!("asked for {hash}, it is of {found}")));
            }
            hash = header.prev_blockhash;
        }
        Ok(Some(hash))
    }
}
