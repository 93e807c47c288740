//! Headers, blocks and spent outputs from the node, over RPC or REST, by one [`Worker`] a thread. All lanes return the same.

use std::mem;
use std::sync::Arc;
use std::time::Duration;

use bitcoin::block::Header;
use bitcoin::consensus::deserialize;
use bitcoin::{BlockHash, TxOut, Txid};
use serde_json::json;

use super::answers::{BlockPrevouts, ChainInfo, Chainstates, HeaderInfo, TxPrevouts};
use super::error::{CallError, NodeError, Transient};
use super::transport::link::{Caller, Link, Patience};
use super::transport::rest::{HEADERS_PER_CALL, Rest};
use super::transport::rpc::{Rpc, code};
use crate::chain::{BlockId, Height};

/// Headers in one round over RPC: two batches, of calls that take the node some 20 µs each.
const HEADERS_PER_RPC_BATCH: usize = 500;
/// Core's heights are signed 32-bit integers.
const HIGHEST: Height = Height::MAX / 2;
/// How often a block of the active chain that the node fails to read is requested before that counts as damage.
const TRIES: u32 = 5;

/// An open lane: makes a [`Worker`] for each thread.
#[derive(Clone)]
pub struct Lane {
    link: Arc<Link>,
    methods: Methods,
}

/// By which calls of the node a lane gets what it needs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Methods {
    /// Whether blocks and headers come over REST, else over RPC.
    pub(super) rest: bool,
    /// Whether the node offers REST at all.
    pub(super) offers_rest: bool,
    /// Whether spent outputs come over REST, else over RPC.
    pub(super) rest_spent: bool,
    /// Whether `getrawtransaction` has verbosity 2.
    pub(super) prevouts: bool,
    /// The node's version, on which the form of some paths depends.
    pub(super) version: u64,
}

impl Lane {
    pub(super) fn new(link: &Arc<Link>, methods: Methods) -> Self {
        Self { link: Arc::clone(link), methods }
    }

    /// `rpc` or `rest`.
    pub fn name(&self) -> &'static str {
        if self.methods.rest { "rest" } else { "rpc" }
    }

    /// The other lane for whole blocks, if the node has it open: for a block that doesn't prove itself over this one.
    pub fn other(&self) -> Option<Self> {
        let methods = match self.methods.rest {
            true => Methods { rest: false, rest_spent: false, ..self.methods },
            false if self.methods.offers_rest => Methods { rest: true, ..self.methods },
            false => return None,
        };
        Some(Self { link: Arc::clone(&self.link), methods })
    }

    /// A worker for one thread. It connects when it is used.
    pub fn worker(&self) -> Worker {
        self.worker_with(self.link.patience)
    }

    /// A worker whose calls all have to be answered within `limit` from now.
    pub fn worker_within(&self, limit: Duration) -> Worker {
        self.worker_with(Patience::within(limit))
    }

    fn worker_with(&self, patience: Patience) -> Worker {
        let caller = Caller::new(&self.link, patience);
        Worker {
            rpc: Rpc::new(caller.clone()),
            rest: Rest::new(caller),
            methods: self.methods,
            hex: Vec::new(),
            spare: Vec::new(),
            spent: None,
        }
    }

    /// Whether the spent outputs of a block take the node a few milliseconds, rather than most of a second.
    pub fn gives_spent_outputs_cheaply(&self) -> bool {
        self.methods.rest_spent
    }
}

/// Gets blocks for one thread. Every call waits out what passes by itself (a restart, a full work queue, a new cookie), until a stop is
/// requested and it returns [`NodeError::Stopped`].
pub struct Worker {
    rpc: Rpc,
    rest: Rest,
    methods: Methods,
    /// The last block over RPC as hex; kept for its memory.
    hex: Vec<u8>,
    /// Memory for the next block.
    spare: Vec<u8>,
    /// Spent outputs of the block that was last asked about: it may have several transactions of interest.
    spent: Option<(BlockHash, Vec<Vec<TxOut>>)>,
}

impl Worker {
    /// Headers of the node's active chain from height `first` on, at most `count`; fewer at the tip, none above it. Each follows the one
    /// before it; whether the first follows the caller's last one is not checked.
    ///
    /// # Errors
    /// [`NodeError`], except for transient failures.
    pub fn headers(&mut self, first: Height, count: usize) -> Result<Vec<Header>, NodeError> {
        let per_call = if self.methods.rest { HEADERS_PER_CALL } else { HEADERS_PER_RPC_BATCH };
        let mut headers: Vec<Header> = Vec::new();
        while headers.len() < count {
            let at = u32::try_from(headers.len()).ok().and_then(|got| first.checked_add(got));
            let Some(at) = at.filter(|at| *at <= HIGHEST) else { break };
            let wanted = per_call.min(count - headers.len());
            let more =
                self.rpc.caller.persist(format_args!("headers from {at} on"), || self.some_headers(at, wanted))?;
            let (Some(next), last) = (more.first(), headers.last()) else { break };
            if last.is_some_and(|last| next.prev_blockhash != last.block_hash()) {
                // The chain changed between two calls.
                headers.clear();
                continue;
            }
            let at_tip = more.len() < wanted;
            headers.extend(more);
            if at_tip {
                break;
            }
        }
        Ok(headers)
    }

    /// The raw block in consensus encoding, with witnesses. Only the hash of its header is checked.
    ///
    /// # Errors
    /// [`NodeError::Pruned`], [`NodeError::NotOnChain`], [`NodeError::WrongBlock`] and others, except for transient failures.
    pub fn block(&mut self, id: BlockId) -> Result<Vec<u8>, NodeError> {
        let Self { rpc, rest, methods, hex, spare, .. } = self;
        let mut tries = 0;
        rpc.caller.persist(format_args!("block {id}"), || {
            let raw = match methods.rest {
                true => rest.block(id.hash, mem::take(spare)),
                false => rpc.block(id.hash, hex, mem::take(spare)),
            };
            let raw = raw.map_err(|error| explain_missing(rpc, id, error, &mut tries))?;
            let header = raw.get(..Header::SIZE).and_then(|bytes| deserialize::<Header>(bytes).ok());
            let header = header.ok_or_else(|| NodeError::bad(format!("block {id}"), "it is shorter than a header"))?;
            match header.block_hash() {
                found if found == id.hash => Ok(raw),
                found => Err(NodeError::WrongBlock { asked: id, found }.into()),
            }
        })
    }

    /// Takes memory in which to return the next block.
    pub fn reuse(&mut self, spare: Vec<u8>) {
        self.spare = spare;
    }

    /// The outputs that each transaction of a block spends, in order of transactions and inputs; none for the coinbase.
    ///
    /// # Errors
    /// As [`Self::block`].
    pub fn spent_outputs(&mut self, id: BlockId) -> Result<Vec<Vec<TxOut>>, NodeError> {
        if let Some((_, spent)) = self.spent.take_if(|(hash, _)| *hash == id.hash) {
            return Ok(spent);
        }
        // The genesis block spends nothing and has no undo data, for which some versions return an error.
        if id.height == 0 {
            return Ok(vec![Vec::new()]);
        }
        let Self { rpc, rest, methods, .. } = self;
        let mut tries = 0;
        rpc.caller.persist(format_args!("spent outputs of block {id}"), || {
            let spent = match methods.rest_spent {
                true => rest.spent_outputs(id.hash),
                false => spent_outputs_by_rpc(rpc, id),
            };
            spent.map_err(|error| explain_missing(rpc, id, error, &mut tries))
        })
    }

    /// The outputs that one transaction of a block spends, in order of its inputs; none for the coinbase (`index_in_block` 0). Uses the
    /// node's cheapest call. If that returns the whole block's, they are kept for the next call.
    ///
    /// # Errors
    /// As [`Self::block`].
    pub fn prevouts(&mut self, id: BlockId, txid: Txid, index_in_block: usize) -> Result<Vec<TxOut>, NodeError> {
        if index_in_block == 0 {
            return Ok(Vec::new());
        }
        let kept = self.spent.as_ref().is_some_and(|(hash, _)| *hash == id.hash);
        if !kept && self.methods.prevouts && !self.methods.rest_spent {
            return self.prevouts_by_rpc(id, txid);
        }
        if !kept {
            self.spent = Some((id.hash, self.spent_outputs(id)?));
        }
        let spent = self.spent.as_ref().and_then(|(_, spent)| spent.get(index_in_block));
        spent.cloned().ok_or_else(|| {
            NodeError::bad(
                format!("spent outputs of block {id}"),
                format!("there are none for transaction {index_in_block}"),
            )
        })
    }

    fn prevouts_by_rpc(&self, id: BlockId, txid: Txid) -> Result<Vec<TxOut>, NodeError> {
        let what = format!("transaction {txid} of block {id}");
        let mut tries = 0;
        self.rpc.caller.persist(&what, || {
            let args = [json!(txid.to_string()), json!(2), json!(id.hash.to_string())];
            let spent = self.rpc.call("getrawtransaction", &args).and_then(|tx: TxPrevouts| {
                if tx.txid != txid {
                    return Err(CallError::bad(&what, format!("it is transaction {}", tx.txid)));
                }
                tx.into_spent().ok_or_else(no_undo)
            });
            spent.map_err(|error| explain_missing(&self.rpc, id, error, &mut tries))
        })
    }

    fn some_headers(&self, first: Height, count: usize) -> Result<Vec<Header>, CallError> {
        let headers = if self.methods.rest {
            let Some(hash) = self.rest.hash_at(first)? else { return Ok(Vec::new()) };
            let headers = self.rest.headers(hash, count, self.methods.version)?;
            let found = headers.first().ok_or(CallError::Retry(Transient::Moved))?.block_hash();
            if found != hash {
                return Err(NodeError::WrongBlock { asked: BlockId { height: first, hash }, found }.into());
            }
            headers
        } else {
            headers_by_rpc(&self.rpc, first, count)?
        };
        // By several calls, between which the chain may change.
        if headers.windows(2).any(|pair| pair[1].prev_blockhash != pair[0].block_hash()) {
            return Err(CallError::Retry(Transient::Moved));
        }
        Ok(headers)
    }
}

fn headers_by_rpc(rpc: &Rpc, first: Height, count: usize) -> Result<Vec<Header>, CallError> {
    let heights = (first..=HIGHEST).take(count);
    let mut hashes: Vec<BlockHash> = Vec::with_capacity(count);
    for answer in rpc.batch("getblockhash", &heights.map(|height| vec![json!(height)]).collect::<Vec<_>>())? {
        match answer {
            Ok(hash) => hashes.push(hash),
            Err(CallError::Rpc { code: code::OUT_OF_RANGE, .. }) => break,
            Err(other) => return Err(other),
        }
    }
    let args: Vec<_> = hashes.iter().map(|hash| vec![json!(hash.to_string()), json!(false)]).collect();
    let answers = rpc.batch::<String>("getblockheader", &args)?;
    let mut headers = Vec::with_capacity(hashes.len());
    for (answer, hash) in answers.into_iter().zip(hashes) {
        let hex = match answer {
            // The node returned this hash a moment ago: it has restarted since and knows less, or another node has taken its place.
            Err(CallError::Rpc { code: code::NOT_FOUND, .. }) => return Err(CallError::Retry(Transient::Moved)),
            answer => answer?,
        };
        let bytes = const_hex::decode(hex).map_err(|error| CallError::bad("getblockheader", error))?;
        let header: Header = deserialize(&bytes).map_err(|error| CallError::bad("getblockheader", error))?;
        if header.block_hash() != hash {
            return Err(CallError::bad(
                "getblockheader",
                format!("asked for {hash}, it returned {}", header.block_hash()),
            ));
        }
        headers.push(header);
    }
    Ok(headers)
}

fn spent_outputs_by_rpc(rpc: &Rpc, id: BlockId) -> Result<Vec<Vec<TxOut>>, CallError> {
    let block: BlockPrevouts = rpc.call("getblock", &[json!(id.hash.to_string()), json!(3)])?;
    if block.hash != id.hash {
        return Err(NodeError::WrongBlock { asked: id, found: block.hash }.into());
    }
    block.tx.into_iter().map(|tx| tx.into_spent().ok_or_else(no_undo)).collect()
}

/// The error for an answer without spent outputs.
pub(super) fn no_undo() -> CallError {
    CallError::Rpc {
        code: code::NOT_FOUND,
        message: "the node returned no spent outputs, as it lacks the block's undo data".into(),
    }
}

/// Finds out why the node did not return a block, if `error` is its own error: the block is not on the active chain, pruned, or not there
/// yet. After [`TRIES`] calls, returns the node's error.
pub(super) fn explain_missing(rpc: &Rpc, id: BlockId, error: CallError, tries: &mut u32) -> CallError {
    let CallError::Rpc { code, message } = error else { return error };
    *tries += 1;
    let (header, chain) = match header_and_chain(rpc, id) {
        Ok(answers) => answers,
        Err(CallError::Rpc { code: code::NOT_FOUND, .. }) => return NodeError::NotOnChain(id).into(),
        Err(other) => return other,
    };
    if header.confirmations < 0 || header.height != id.height {
        return NodeError::NotOnChain(id).into();
    }
    if chain.pruned && (message.contains("pruned") || chain.pruneheight.is_some_and(|lowest| id.height < lowest)) {
        return NodeError::Pruned { height: id.height, lowest: chain.pruneheight }.into();
    }
    if message.contains("not fully downloaded") || *tries < TRIES {
        let behind = if message.contains("not fully downloaded") { validated(rpc) } else { String::new() };
        return CallError::Retry(Transient::NotYet(format!("it can't return block {id} yet ({message}{behind})")));
    }
    CallError::Rpc { code, message }
}

/// Where a node that was loaded from a UTXO snapshot is with the history below it, in words; empty for any other node.
fn validated(rpc: &Rpc) -> String {
    let Ok(states) = rpc.call::<Chainstates>("getchainstates", &[]) else { return String::new() };
    match &states.chainstates[..] {
        [background, snapshot] if snapshot.snapshot_blockhash.is_some() => {
            format!(
                "; it was loaded from a UTXO snapshot, and has the history below that up to height {}",
                background.blocks
            )
        }
        _ => String::new(),
    }
}

fn header_and_chain(rpc: &Rpc, id: BlockId) -> Result<(HeaderInfo, ChainInfo), CallError> {
    let header = rpc.call("getblockheader", &[json!(id.hash.to_string()), json!(true)])?;
    Ok((header, rpc.call("getblockchaininfo", &[])?))
}
