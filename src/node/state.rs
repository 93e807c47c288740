//! How far a node is, asked for once and within a short limit: for answers that are given without it, too.

use std::time::{Duration, Instant};

use bitcoin::BlockHash;
use serde_json::json;

use super::Node;
use super::answers::{ChainInfo, HeaderInfo};
use super::error::CallError;
use super::transport::link::Patience;
use super::transport::rpc::code;
use crate::chain::{BlockId, Height};

/// The active chain of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChainState {
    /// Its last block.
    pub best: BlockId,
    /// The height of the best header that the node knows.
    pub headers: Height,
    /// Whether the node is in its initial block download, by its own judgement.
    pub ibd: bool,
    /// Whether the chain has the block that was asked about; without one, whether it is the chain that the settings name.
    pub has_block: bool,
}

impl Node {
    /// The node's active chain, and whether `block` is on it. `None` if the node doesn't answer within `limit`, or not well: no call is
    /// made twice. A node of another chain is one that doesn't have the block.
    pub fn chain_state(&self, block: Option<BlockHash>, limit: Duration) -> Option<ChainState> {
        self.ask_chain_state(block, limit)
            .inspect_err(|error| tracing::debug!("the node gave no answer within {} ms: {error:?}", limit.as_millis()))
            .ok()
            .flatten()
    }

    fn ask_chain_state(&self, block: Option<BlockHash>, limit: Duration) -> Result<Option<ChainState>, CallError> {
        let began = Instant::now();
        let rpc = self.rpc(Patience::within(limit));
        let info: ChainInfo = rpc.call("getblockchaininfo", &[])?;
        let mut has_block = info.chain == self.access().chain().name();
        if let Some(block) = block.filter(|block| has_block && *block != info.bestblockhash) {
            if began.elapsed() >= limit {
                return Ok(None);
            }
            has_block = match rpc.call::<HeaderInfo>("getblockheader", &[json!(block), json!(true)]) {
                Ok(header) => header.confirmations > 0,
                Err(CallError::Rpc { code: code::NOT_FOUND, .. }) => false,
                Err(error) => return Err(error),
            };
        }
        let best = BlockId { height: info.blocks, hash: info.bestblockhash };
        Ok(Some(ChainState { best, headers: info.headers, ibd: info.initialblockdownload, has_block }))
    }
}
