//! A way to get blocks from the node: over RPC or over REST, one [`Worker`] a thread. All lanes give the same.

use std::mem;
use std::sync::Arc;

use bitcoin::block::Header;
use bitcoin::consensus::deserialize;
use bitcoin::{BlockHash, TxOut, Txid};
use serde_json::json;

use super::answers::{ChainInfo, HeaderInfo, VerboseBlock, VerboseTx};
use super::error::{NodeError, Problem, Trouble};
use super::link::{Link, Patience};
use super::rest::{self, Rest};
use super::rpc::{Rpc, code};
use crate::chain::{BlockId, Height};

/// Headers in one batch over RPC: two batches each, of calls that take the node some 20 µs.
const RPC_HEADERS_A_CALL: usize = 500;
/// Core's heights are signed.
const HIGHEST: Height = Height::MAX / 2;
/// A block that is on the node's chain and that it says it cannot read: so often it is asked before it counts as damage.
const TRIES: u32 = 5;

/// A lane that is open, for [`Lane::worker`] to make connections of.
#[derive(Clone)]
pub struct Lane {
    link: Arc<Link>,
    ways: Ways,
}

/// What this node can be asked for, and how.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ways {
    /// Blocks and headers over REST, else over RPC.
    pub(super) rest: bool,
    /// Spent outputs over REST.
    pub(super) rest_spent: bool,
    /// `getrawtransaction` verbosity 2.
    pub(super) prevouts: bool,
    /// The node's version.
    pub(super) version: u64,
}

impl Lane {
    pub(super) fn new(link: &Arc<Link>, ways: Ways) -> Self {
        Self { link: Arc::clone(link), ways }
    }

    /// `rpc` or `rest`.
    pub fn name(&self) -> &'static str {
        if self.ways.rest { "rest" } else { "rpc" }
    }

    /// A connection of its own, for one thread. None is opened before it is used.
    pub fn worker(&self) -> Worker {
        Worker {
            link: Arc::clone(&self.link),
            rpc: Rpc::new(&self.link, Patience::ENDLESS),
            ways: self.ways,
            buffer: Vec::new(),
            room: Vec::new(),
            spent: None,
        }
    }

    /// Whether the spent outputs of every block can be had at a few milliseconds each, not at most of a second.
    pub fn gives_spent_outputs_cheaply(&self) -> bool {
        self.ways.rest_spent
    }
}

/// One connection to the node, for one thread. Every call waits out what passes by itself (a restart, a full queue, a
/// new cookie) until somebody asks to stop: then it is [`NodeError::Stopped`].
pub struct Worker {
    link: Arc<Link>,
    rpc: Rpc,
    ways: Ways,
    /// Of the last block as hex.
    buffer: Vec<u8>,
    /// For the next block.
    room: Vec<u8>,
    /// Of the block asked for last: a block has several transactions that touch.
    spent: Option<(BlockHash, Vec<Vec<TxOut>>)>,
}

impl Worker {
    /// Headers of the node's active chain from height `first` on, at most `count`; fewer at the tip, none above it.
    /// Each follows the one before it; that the first follows what the caller has is the caller's to check.
    ///
    /// # Errors
    /// [`NodeError::BadAnswer`], [`NodeError::Stopped`], and what no waiting mends.
    pub fn headers(&mut self, first: Height, count: usize) -> Result<Vec<Header>, NodeError> {
        let a_call = if self.ways.rest { rest::HEADERS_A_CALL } else { RPC_HEADERS_A_CALL };
        let mut headers: Vec<Header> = Vec::new();
        while headers.len() < count {
            let at = u32::try_from(headers.len()).ok().and_then(|got| first.checked_add(got));
            let Some(at) = at.filter(|at| *at <= HIGHEST) else { break };
            let wanted = a_call.min(count - headers.len());
            let what = || format!("headers from {at} on");
            let some = self.link.persist(Patience::ENDLESS, what, || self.some_headers(at, wanted))?;
            let (Some(next), last) = (some.first(), headers.last()) else { break };
            if last.is_some_and(|last| next.prev_blockhash != last.block_hash()) {
                // A reorg between two calls: what was read is not all of one chain.
                headers.clear();
                continue;
            }
            let at_tip = some.len() < wanted;
            headers.extend(some);
            if at_tip {
                break;
            }
        }
        Ok(headers)
    }

    /// The raw block, in consensus encoding with witness. Its header's hash is `id`'s; nothing else of it is checked.
    ///
    /// # Errors
    /// [`NodeError::Pruned`], [`NodeError::NotOnChain`], [`NodeError::WrongBlock`], [`NodeError::BadAnswer`],
    /// [`NodeError::Stopped`], and what no waiting mends.
    pub fn block(&mut self, id: BlockId) -> Result<Vec<u8>, NodeError> {
        let Self { link, rpc, ways, buffer, room, .. } = self;
        let mut tries = 0;
        let raw = link.persist(
            Patience::ENDLESS,
            || format!("block {id}"),
            || {
                let raw = if ways.rest {
                    Rest { link, patience: Patience::ENDLESS }.block(id.hash, mem::take(room))
                } else {
                    rpc.block_hex(id.hash, buffer, mem::take(room))
                };
                raw.map_err(|problem| why_missing(rpc, id, problem, &mut tries))
            },
        )?;
        let header = raw.get(..Header::SIZE).and_then(|bytes| deserialize::<Header>(bytes).ok());
        let header = header.ok_or_else(|| NodeError::bad(format!("block {id}"), "it is shorter than a header"))?;
        match header.block_hash() {
            found if found == id.hash => Ok(raw),
            found => Err(NodeError::WrongBlock { asked: id, found }),
        }
    }

    /// Gives back the memory of a block that is done with, for one to come.
    pub fn reuse(&mut self, room: Vec<u8>) {
        self.room = room;
    }

    /// What each transaction of a block spends, in order of transactions and inputs; the coinbase's part is empty.
    ///
    /// # Errors
    /// As [`Self::block`].
    pub fn spent_outputs(&mut self, id: BlockId) -> Result<Vec<Vec<TxOut>>, NodeError> {
        if let Some((_, spent)) = self.spent.take_if(|(hash, _)| *hash == id.hash) {
            return Ok(spent);
        }
        // The genesis block spends nothing, has no undo data, and some versions say so with an error.
        if id.height == 0 {
            return Ok(vec![Vec::new()]);
        }
        let Self { link, rpc, ways, .. } = self;
        let mut tries = 0;
        link.persist(
            Patience::ENDLESS,
            || format!("spent outputs of block {id}"),
            || {
                let spent = if ways.rest_spent {
                    Rest { link, patience: Patience::ENDLESS }.spent_outputs(id.hash)
                } else {
                    spent_by_rpc(rpc, id)
                };
                spent.map_err(|problem| why_missing(rpc, id, problem, &mut tries))
            },
        )
    }

    /// What one transaction of a block spends, in order of its inputs; empty for the coinbase (`index_in_block` 0).
    /// By the cheapest means this node has; the block's own, if read for it, are kept for the next call.
    ///
    /// # Errors
    /// As [`Self::block`].
    pub fn prevouts(&mut self, id: BlockId, txid: Txid, index_in_block: usize) -> Result<Vec<TxOut>, NodeError> {
        if index_in_block == 0 {
            return Ok(Vec::new());
        }
        let kept = self.spent.as_ref().is_some_and(|(hash, _)| *hash == id.hash);
        if !kept && self.ways.prevouts && !self.ways.rest_spent {
            return self.prevouts_by_rpc(id, txid);
        }
        if !kept {
            self.spent = Some((id.hash, self.spent_outputs(id)?));
        }
        let spent = self.spent.as_ref().and_then(|(_, spent)| spent.get(index_in_block));
        spent.cloned().ok_or_else(|| {
            NodeError::bad(
                format!("spent outputs of block {id}"),
                format!("it has none for transaction {index_in_block}"),
            )
        })
    }

    fn prevouts_by_rpc(&self, id: BlockId, txid: Txid) -> Result<Vec<TxOut>, NodeError> {
        let what = || format!("transaction {txid} of block {id}");
        let mut tries = 0;
        self.link.persist(Patience::ENDLESS, what, || {
            let args = [json!(txid.to_string()), json!(2), json!(id.hash.to_string())];
            let tx: VerboseTx = self
                .rpc
                .call("getrawtransaction", &args)
                .map_err(|problem| why_missing(&self.rpc, id, problem, &mut tries))?;
            if tx.txid != txid {
                return Err(Problem::bad(what(), format!("it is transaction {}", tx.txid)));
            }
            let none = || why_missing(&self.rpc, id, no_undo(), &mut tries);
            tx.into_spent().ok_or_else(none)
        })
    }

    fn some_headers(&self, first: Height, count: usize) -> Result<Vec<Header>, Problem> {
        let headers = if self.ways.rest {
            let rest = Rest { link: &self.link, patience: Patience::ENDLESS };
            let Some(hash) = rest.hash_at(first)? else { return Ok(Vec::new()) };
            let headers = rest.headers(hash, count, self.ways.version)?;
            let found = headers.first().ok_or(Problem::Wait(Trouble::Moved))?.block_hash();
            if found != hash {
                return Err(NodeError::WrongBlock { asked: BlockId { height: first, hash }, found }.into());
            }
            headers
        } else {
            headers_by_rpc(&self.rpc, first, count)?
        };
        // The node is asked for heights one after the other: its chain may change in between.
        if headers.windows(2).any(|pair| pair[1].prev_blockhash != pair[0].block_hash()) {
            return Err(Problem::Wait(Trouble::Moved));
        }
        Ok(headers)
    }
}

fn headers_by_rpc(rpc: &Rpc, first: Height, count: usize) -> Result<Vec<Header>, Problem> {
    let heights = (first..=HIGHEST).take(count);
    let mut hashes: Vec<BlockHash> = Vec::with_capacity(count);
    for answer in rpc.batch("getblockhash", &heights.map(|height| vec![json!(height)]).collect::<Vec<_>>())? {
        match answer {
            Ok(hash) => hashes.push(hash),
            Err(Problem::Said { code: code::OUT_OF_RANGE, .. }) => break,
            Err(other) => return Err(other),
        }
    }
    let args: Vec<_> = hashes.iter().map(|hash| vec![json!(hash.to_string()), json!(false)]).collect();
    let answers = rpc.batch::<String>("getblockheader", &args)?;
    let mut headers = Vec::with_capacity(hashes.len());
    for (answer, hash) in answers.into_iter().zip(hashes) {
        let hex = match answer {
            // The node named the block a moment ago: it was started again and knows less, or another one answers in its place.
            Err(Problem::Said { code: code::NOT_FOUND, .. }) => return Err(Problem::Wait(Trouble::Moved)),
            answer => answer?,
        };
        let bytes = const_hex::decode(hex).map_err(|error| Problem::bad("getblockheader", error))?;
        let header: Header = deserialize(&bytes).map_err(|error| Problem::bad("getblockheader", error))?;
        if header.block_hash() != hash {
            return Err(Problem::bad("getblockheader", format!("asked for {hash}, it is of {}", header.block_hash())));
        }
        headers.push(header);
    }
    Ok(headers)
}

fn spent_by_rpc(rpc: &Rpc, id: BlockId) -> Result<Vec<Vec<TxOut>>, Problem> {
    let block: VerboseBlock = rpc.call("getblock", &[json!(id.hash.to_string()), json!(3)])?;
    if block.hash != id.hash {
        return Err(NodeError::WrongBlock { asked: id, found: block.hash }.into());
    }
    block.tx.into_iter().map(|tx| tx.into_spent().ok_or_else(no_undo)).collect()
}

/// An answer that leaves out what was spent.
pub(super) fn no_undo() -> Problem {
    Problem::Said {
        code: code::NOT_FOUND,
        message: "the node gives no spent outputs: it lacks the block's undo data".into(),
    }
}

/// Why the node does not give a block: `problem` is what it said, if it said something; the rest is asked.
pub(super) fn why_missing(rpc: &Rpc, id: BlockId, problem: Problem, tries: &mut u32) -> Problem {
    let Problem::Said { code, message } = problem else { return problem };
    *tries += 1;
    let (header, chain) = match ask_about(rpc, id) {
        Ok(answers) => answers,
        Err(Problem::Said { code: code::NOT_FOUND, .. }) => return NodeError::NotOnChain(id).into(),
        Err(other) => return other,
    };
    if header.confirmations < 0 || header.height != id.height {
        return NodeError::NotOnChain(id).into();
    }
    if chain.pruned && (message.contains("pruned") || chain.pruneheight.is_some_and(|lowest| id.height < lowest)) {
        return NodeError::Pruned { height: id.height, lowest: chain.pruneheight }.into();
    }
    if message.contains("not fully downloaded") || *tries < TRIES {
        return Problem::Wait(Trouble::NotYet(format!("it does not have block {id} at hand ({message})")));
    }
    Problem::Said { code, message }
}

fn ask_about(rpc: &Rpc, id: BlockId) -> Result<(HeaderInfo, ChainInfo), Problem> {
    let header = rpc.call("getblockheader", &[json!(id.hash.to_string()), json!(true)])?;
    Ok((header, rpc.call("getblockchaininfo", &[])?))
}
