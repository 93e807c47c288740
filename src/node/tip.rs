//! The node's tips: waiting for a new one, and what the node thinks of a branch it left.

use std::time::Duration;

use bitcoin::block::Header;
use bitcoin::{BlockHash, consensus};
use serde::Deserialize;
use serde_json::json;

use super::Node;
use super::error::{NodeError, Problem};
use super::link::Patience;
use super::rpc::{Rpc, code};
use crate::chain::{BlockId, Height};

/// Core's `RPC_MISC_ERROR`: what a call with too many arguments is answered with.
const MISC: i64 = -1;
/// A node that does not take the known tip may have moved between two calls: then it is asked again after so long.
const BLIND_WAIT: Duration = Duration::from_secs(1);

/// Of `getchaintips`.
#[derive(Debug, Deserialize)]
struct ChainTip {
    height: Height,
    hash: BlockHash,
    branchlen: Height,
    status: String,
}

/// Of `waitfornewblock`.
#[derive(Debug, Deserialize)]
struct NewTip {
    hash: BlockHash,
}

impl Node {
    /// Waits until the node's tip is another than `known`, at most `limit` (some 30 s at most: the node drops what takes longer);
    /// returns the tip then.
    ///
    /// # Errors
    /// As [`Self::info`].
    pub fn wait_for_tip(&self, known: BlockHash, limit: Duration) -> Result<BlockHash, NodeError> {
        let rpc = Rpc::new(&self.link, Patience::ENDLESS);
        let milliseconds = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        self.link.persist(
            Patience::ENDLESS,
            || "waitfornewblock".into(),
            || {
                match rpc.call::<NewTip>("waitfornewblock", &[json!(milliseconds(limit)), json!(known)]) {
                    // Before version 30 it takes no tip.
                    Err(Problem::Said { code: MISC | code::OUT_OF_RANGE, .. }) => {}
                    answer => return answer.map(|tip| tip.hash),
                }
                let now: BlockHash = rpc.call("getbestblockhash", &[])?;
                if now != known {
                    return Ok(now);
                }
                match rpc.call::<NewTip>("waitfornewblock", &[json!(milliseconds(limit.min(BLIND_WAIT)))]) {
                    Err(Problem::Said { .. }) => {
                        self.link.stop.wait(limit.min(BLIND_WAIT));
                        rpc.call("getbestblockhash", &[])
                    }
                    answer => answer.map(|tip| tip.hash),
                }
            },
        )
    }

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
