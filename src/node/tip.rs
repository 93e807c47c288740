//! The node's tips: waiting for a new one, how high it is, and what the node thinks of a branch that it left.

use std::time::{Duration, Instant};

use bitcoin::block::Header;
use bitcoin::{BlockHash, consensus};
use serde::Deserialize;
use serde_json::json;

use super::Node;
use super::answers::ChainInfo;
use super::error::{NodeError, Problem};
use super::link::Patience;
use super::rpc::{Rpc, code};
use crate::chain::{BlockId, Height};

/// The longest single wait at the node: so long the wait goes on after a request to stop where nobody hangs up, and so long one of
/// the node's RPC threads is held at a time. Far below what a node closes a silent connection after (30 s), and below the deadline
/// of a call.
const SLICE: Duration = Duration::from_secs(1);
/// Between two looks at a node that can't be waited at: well below the 100 ms within which a block is to be noticed.
const LOOK_EVERY: Duration = Duration::from_millis(50);

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
    /// Waits until the node's best block is another than `known`, at most `limit`; returns the best block then, which is `known`
    /// where nothing came. With a `limit` of nothing it only looks. A node that doesn't answer is waited for, however long.
    ///
    /// The wait is at the node itself (`waitfornewblock` with the known tip: Core 30, Knots 29), so a block is noticed as soon as it is
    /// connected, and none that came just before the call is missed; a node without that is looked at often instead. It takes a connection
    /// of its own and holds one of the node's RPC threads, so beside other calls the node needs two (`rpcthreads`; it has 16, or 4).
    ///
    /// # Errors
    /// As [`Self::info`].
    pub fn wait_for_tip(&self, known: BlockHash, limit: Duration) -> Result<BlockHash, NodeError> {
        let rpc = Rpc::new(&self.link, Patience::ENDLESS);
        let end = Instant::now().checked_add(limit);
        let mut can_wait = true;
        loop {
            let left = end.map_or(SLICE, |end| end.saturating_duration_since(Instant::now()));
            let began = Instant::now();
            let mut tip = None;
            if can_wait && !left.is_zero() {
                tip = self.wait_once(&rpc, known, left.min(SLICE))?;
                can_wait = tip.is_some();
            }
            let tip = match tip {
                Some(tip) => tip,
                None => rpc.ask("getbestblockhash", &[])?,
            };
            if tip != known || left.is_zero() {
                return Ok(tip);
            }
            // Also a node that can be waited at answers at once while it shuts down.
            let pause = LOOK_EVERY.saturating_sub(began.elapsed()).min(left);
            if !pause.is_zero() && self.link.stop.wait(pause) {
                return Err(NodeError::Stopped);
            }
        }
    }

    /// One wait at the node; `None` where it has no such call.
    fn wait_once(&self, rpc: &Rpc, known: BlockHash, time: Duration) -> Result<Option<BlockHash>, NodeError> {
        // To the node, 0 means for ever.
        let milliseconds = u64::try_from(time.as_millis()).unwrap_or(u64::MAX).max(1);
        let what = || "waitfornewblock".to_owned();
        self.link.persist(Patience::ENDLESS, what, || {
            match rpc.call::<NewTip>("waitfornewblock", &[json!(milliseconds), json!(known)]) {
                Ok(tip) => Ok(Some(tip.hash)),
                Err(Problem::Said { code: code::MISC | code::OUT_OF_RANGE | code::NO_METHOD, .. }) => Ok(None),
                Err(problem) => Err(problem),
            }
        })
    }

    /// Height of the node's tip, with one question where [`Self::info`] has more.
    ///
    /// # Errors
    /// As [`Self::info`].
    pub fn height(&self) -> Result<Height, NodeError> {
        let expected = self.link.connection.chain();
        let info: ChainInfo = Rpc::new(&self.link, Patience::ENDLESS).ask("getblockchaininfo", &[])?;
        if info.chain == expected.name() {
            return Ok(info.blocks);
        }
        Err(NodeError::WrongChain { url: self.link.connection.url(), expected, found: info.chain })
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
