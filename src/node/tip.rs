//! The node's tip: waits for a new one, returns its height, and finds out whether the node considers a block invalid.

use std::time::{Duration, Instant};

use bitcoin::block::Header;
use bitcoin::{BlockHash, consensus};
use serde::Deserialize;
use serde_json::json;

use super::Node;
use super::answers::ChainInfo;
use super::error::{CallError, NodeError};
use super::transport::rpc::{Rpc, code};
use crate::chain::{BlockId, Height};

/// The longest single `waitfornewblock`. The wait may last that long after a stop is requested, and holds one of the node's RPC threads
/// meanwhile. It is far below the time after which a node closes a silent connection (30 s) and below the deadline of a call.
const LONGEST_WAIT: Duration = Duration::from_secs(1);
/// Between two polls of a node that has no such call: well below 100 ms, within which a block is to be noticed.
const POLL_EVERY: Duration = Duration::from_millis(50);

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
    /// Waits at most `limit` for the node's best block to be another than `known`, and returns the best block. With a `limit` of 0 it
    /// returns at once. If the node doesn't answer, it waits for it without a limit.
    ///
    /// It calls `waitfornewblock` with the known tip (Core 30, Knots 29), so that a block is noticed as soon as it is connected, and one
    /// that came just before the call is not missed; a node without that is polled. The wait takes a connection of its own and holds one
    /// of the node's RPC threads, so with other calls beside it the node needs two of them (`-rpcthreads`; the default is 16, once 4).
    ///
    /// # Errors
    /// As [`Self::info`].
    pub fn wait_for_tip(&self, known: BlockHash, limit: Duration) -> Result<BlockHash, NodeError> {
        let rpc = self.rpc(self.link.patience);
        let end = Instant::now().checked_add(limit);
        let mut can_wait = true;
        loop {
            let left = end.map_or(LONGEST_WAIT, |end| end.saturating_duration_since(Instant::now()));
            let began = Instant::now();
            let mut tip = None;
            if can_wait && !left.is_zero() {
                tip = self.wait_once(&rpc, known, left.min(LONGEST_WAIT))?;
                can_wait = tip.is_some();
            }
            let tip = match tip {
                Some(tip) => tip,
                None => rpc.call_until_answered("getbestblockhash", &[])?,
            };
            if tip != known || left.is_zero() {
                return Ok(tip);
            }
            // While a node shuts down, `waitfornewblock` returns at once.
            let pause = POLL_EVERY.saturating_sub(began.elapsed()).min(left);
            if !pause.is_zero() && self.link.stop.wait(pause) {
                return Err(NodeError::Stopped);
            }
        }
    }

    /// Calls `waitfornewblock` once; `None` if the node doesn't have it.
    fn wait_once(&self, rpc: &Rpc, known: BlockHash, time: Duration) -> Result<Option<BlockHash>, NodeError> {
        // 0 would mean without a limit.
        let milliseconds = u64::try_from(time.as_millis()).unwrap_or(u64::MAX).max(1);
        rpc.caller.persist("waitfornewblock", || {
            match rpc.call::<NewTip>("waitfornewblock", &[json!(milliseconds), json!(known)]) {
                Ok(tip) => Ok(Some(tip.hash)),
                Err(CallError::Rpc { code: code::MISC | code::OUT_OF_RANGE | code::NO_METHOD, .. })
                | Err(CallError::Fatal(NodeError::CallRefused { .. })) => Ok(None),
                Err(error) => Err(error),
            }
        })
    }

    /// Height of the node's tip, by a single call.
    ///
    /// # Errors
    /// As [`Self::info`].
    pub fn height(&self) -> Result<Height, NodeError> {
        let info: ChainInfo = self.rpc(self.link.patience).call_until_answered("getblockchaininfo", &[])?;
        if info.chain == self.access().chain().name() { Ok(info.blocks) } else { Err(self.wrong_chain(info.chain)) }
    }

    /// Whether `block` is on a branch that the node considers invalid, as after `invalidateblock`; not so if it doesn't know the block.
    ///
    /// # Errors
    /// As [`Self::info`]; [`NodeError::CallRefused`] where the node's whitelist lacks `getchaintips`.
    pub fn calls_invalid(&self, block: BlockId) -> Result<bool, NodeError> {
        let rpc = self.rpc(self.link.patience);
        let tips: Vec<ChainTip> = rpc.call_until_answered("getchaintips", &[])?;
        for tip in tips.into_iter().filter(|tip| tip.status == "invalid" && tip.height >= block.height) {
            let fork = tip.height.saturating_sub(tip.branchlen);
            if fork < block.height && ancestor(&rpc, &tip, block.height)? == Some(block.hash) {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// The block at `height` below a tip. `None` if the node doesn't know the branch any longer: it has restarted since and knows less, or
/// another node has taken its place.
fn ancestor(rpc: &Rpc, tip: &ChainTip, height: Height) -> Result<Option<BlockHash>, NodeError> {
    let mut hash = tip.hash;
    for _ in height..tip.height {
        let hex = rpc.caller.persist("getblockheader", || {
            match rpc.call::<String>("getblockheader", &[json!(hash), json!(false)]) {
                Err(CallError::Rpc { code: code::NOT_FOUND, .. }) => Ok(None),
                answer => answer.map(Some),
            }
        })?;
        let Some(hex) = hex else { return Ok(None) };
        let bytes = const_hex::decode(hex).map_err(|error| NodeError::bad("getblockheader", error))?;
        let header: Header = consensus::deserialize(&bytes).map_err(|error| NodeError::bad("getblockheader", error))?;
        let found = header.block_hash();
        if found != hash {
            return Err(NodeError::bad("getblockheader", format!("asked for {hash}, it returned {found}")));
        }
        hash = header.prev_blockhash;
    }
    Ok(Some(hash))
}
