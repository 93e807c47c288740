//! Single coins and transactions from the node, for questions about what the index doesn't hold. Nothing of it is stored.

use std::cell::RefCell;
use std::collections::HashMap;
use std::time::Duration;

use bitcoin::consensus::deserialize;
use bitcoin::{BlockHash, OutPoint, Transaction, TxOut, Txid};
use serde::Deserialize;
use serde_json::json;

use super::Node;
use super::answers::{HeaderInfo, TxOutAnswer};
use super::error::{CallError, NodeError};
use super::transport::link::Patience;
use super::transport::rpc::{Rpc, code};
use crate::chain::{BlockId, Height};

/// How often a coin is looked up again as the chain changed meanwhile.
const TRIES: u32 = 5;

/// Of `getrawtransaction` verbose.
#[derive(Debug, Deserialize)]
struct TransactionAnswer {
    hex: String,
    blockhash: Option<BlockHash>,
    /// Where a block was named.
    in_active_chain: Option<bool>,
}

impl TransactionAnswer {
    fn transaction(&self) -> Result<Transaction, NodeError> {
        let bytes = const_hex::decode(&self.hex).map_err(|error| NodeError::bad("getrawtransaction", error))?;
        deserialize(&bytes).map_err(|error| NodeError::bad("getrawtransaction", error))
    }
}

/// What the node says of a transaction and a block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BlockSearch {
    /// The block is on the active chain and holds this transaction.
    Holds(Transaction),
    /// The block is on the active chain and doesn't hold it.
    Lacks,
    /// The block is not on the active chain.
    Stale,
    /// The node doesn't have the block, or has pruned it.
    NoBlock,
}

impl Node {
    /// For single coins and transactions; each answer may take `limit`.
    pub fn lookup(&self, limit: Duration) -> NodeLookup {
        NodeLookup { node: self.clone(), limit, chain: RefCell::default() }
    }
}

/// Looks up single coins and transactions, one after the other.
pub struct NodeLookup {
    node: Node,
    limit: Duration,
    chain: RefCell<KnownChain>,
}

/// The active chain at the last lookup of a coin: its tip, and the block hashes that are known of it.
#[derive(Default)]
struct KnownChain {
    tip: Option<BlockId>,
    hashes: HashMap<Height, BlockHash>,
}

impl NodeLookup {
    /// An unspent coin of the active chain, with the block that created it; `None` if there is none. Spends in the mempool don't count.
    ///
    /// # Errors
    /// As [`Node::info_within`].
    pub fn coin(&self, outpoint: OutPoint) -> Result<Option<(TxOut, BlockId)>, NodeError> {
        let rpc = self.rpc();
        let arguments = [json!(outpoint.txid.to_string()), json!(outpoint.vout), json!(false)];
        for _ in 0..TRIES {
            let Some(answer) = rpc.call_until_answered::<Option<TxOutAnswer>>("gettxout", &arguments)? else {
                return Ok(None);
            };
            if let Some(block) = self.block(&rpc, answer.bestblock, answer.confirmations)? {
                return Ok(Some((answer.into_output(), block)));
            }
        }
        Err(NodeError::bad("gettxout", "the node's active chain changed during each of several calls"))
    }

    /// The block with `confirmations` in the chain of `tip`; `None` if the active chain has another tip now.
    fn block(&self, rpc: &Rpc, tip: BlockHash, confirmations: Height) -> Result<Option<BlockId>, NodeError> {
        let mut chain = self.chain.borrow_mut();
        if chain.tip.is_none_or(|known| known.hash != tip) {
            let header: HeaderInfo =
                rpc.call_until_answered("getblockheader", &[json!(tip.to_string()), json!(true)])?;
            *chain = KnownChain { tip: Some(BlockId { height: header.height, hash: tip }), hashes: HashMap::new() };
        }
        let height = chain.tip.zip(confirmations.checked_sub(1)).and_then(|(tip, above)| tip.height.checked_sub(above));
        let height = height.ok_or_else(|| NodeError::bad("gettxout", "the coin has no block"))?;
        if let Some(hash) = chain.hashes.get(&height) {
            return Ok(Some(BlockId { height, hash: *hash }));
        }
        let hash =
            rpc.caller.persist("getblockhash", || match rpc.call::<BlockHash>("getblockhash", &[json!(height)]) {
                Err(CallError::Rpc { code: code::OUT_OF_RANGE, .. }) => Ok(None),
                answer => answer.map(Some),
            })?;
        // The tip was the same before and after, so the hash is of its chain.
        let best: BlockHash = rpc.call_until_answered("getbestblockhash", &[])?;
        let Some(hash) = hash.filter(|_| best == tip) else { return Ok(None) };
        chain.hashes.insert(height, hash);
        Ok(Some(BlockId { height, hash }))
    }

    /// A transaction of the node's mempool or, with `txindex=1`, of its active chain, then with its block. `None` if the node doesn't
    /// know it, or knows it in a stale block only.
    ///
    /// # Errors
    /// As [`Node::info_within`].
    pub fn transaction(&self, txid: Txid) -> Result<Option<(Transaction, Option<BlockId>)>, NodeError> {
        let rpc = self.rpc();
        let arguments = [json!(txid.to_string()), json!(true)];
        let answer = rpc.caller.persist(format_args!("transaction {txid}"), || {
            match rpc.call::<TransactionAnswer>("getrawtransaction", &arguments) {
                Err(CallError::Rpc { code: code::NOT_FOUND, .. }) => Ok(None),
                answer => answer.map(Some),
            }
        })?;
        let Some(answer) = answer else { return Ok(None) };
        let transaction = answer.transaction()?;
        let Some(hash) = answer.blockhash else { return Ok(Some((transaction, None))) };
        let header: HeaderInfo = rpc.call_until_answered("getblockheader", &[json!(hash.to_string()), json!(true)])?;
        let block = BlockId { height: header.height, hash };
        Ok((header.confirmations > 0).then_some((transaction, Some(block))))
    }

    /// Whether a block holds a transaction. The node reads the whole block, but needs no `txindex`.
    ///
    /// # Errors
    /// As [`Node::info_within`].
    pub fn in_block(&self, txid: Txid, block: BlockHash) -> Result<BlockSearch, NodeError> {
        let rpc = self.rpc();
        let hash = json!(block.to_string());
        let header = rpc.caller.persist(format_args!("block {block}"), || {
            match rpc.call::<HeaderInfo>("getblockheader", &[hash.clone(), json!(true)]) {
                Err(CallError::Rpc { code: code::NOT_FOUND, .. }) => Ok(None),
                answer => answer.map(Some),
            }
        })?;
        match header {
            // The genesis block's transaction can't be read by its id.
            None | Some(HeaderInfo { height: 0, .. }) => return Ok(BlockSearch::NoBlock),
            Some(header) if header.confirmations <= 0 => return Ok(BlockSearch::Stale),
            Some(_) => {}
        }
        let arguments = [json!(txid.to_string()), json!(true), hash.clone()];
        rpc.caller.persist(format_args!("transaction {txid} in block {block}"), || {
            match rpc.call::<TransactionAnswer>("getrawtransaction", &arguments) {
                Err(CallError::Rpc { code: code::NOT_FOUND, .. }) => Ok(BlockSearch::Lacks),
                // It has the header only.
                Err(CallError::Rpc { code: code::MISC, .. }) => Ok(BlockSearch::NoBlock),
                Ok(answer) if answer.in_active_chain == Some(false) => Ok(BlockSearch::Stale),
                Ok(answer) => Ok(BlockSearch::Holds(answer.transaction()?)),
                Err(error) => Err(error),
            }
        })
    }

    fn rpc(&self) -> Rpc {
        self.node.rpc(Patience::within(self.limit))
    }
}
