//! What the node tells of one coin or one transaction, for questions about what the index doesn't hold. Nothing of it is stored.

use std::cell::RefCell;
use std::collections::HashMap;
use std::time::Duration;

use bitcoin::consensus::deserialize;
use bitcoin::{BlockHash, OutPoint, Transaction, TxOut, Txid};
use serde::Deserialize;
use serde_json::json;

use super::Node;
use super::answers::{Bitcoins, HeaderInfo, ScriptPubKey};
use super::error::{NodeError, Problem};
use super::link::Patience;
use super::rpc::{Rpc, code};
use crate::chain::{BlockId, Height};

/// So often a coin is asked for while the chain changes under the question.
const TRIES: u32 = 5;

/// Of `gettxout`.
#[derive(Debug, Deserialize)]
struct TxOutInfo {
    bestblock: BlockHash,
    confirmations: Height,
    value: Bitcoins,
    #[serde(rename = "scriptPubKey")]
    script_pubkey: ScriptPubKey,
}

/// Of `getrawtransaction` verbose.
#[derive(Debug, Deserialize)]
struct RawTransaction {
    hex: String,
    blockhash: Option<BlockHash>,
}

impl Node {
    /// Somebody to ask about single coins and transactions; each answer may take `limit`.
    pub fn teller(&self, limit: Duration) -> Teller {
        Teller { node: self.clone(), limit, active: RefCell::default() }
    }
}

/// Asks about single coins and transactions, one after the other.
pub struct Teller {
    node: Node,
    limit: Duration,
    active: RefCell<Active>,
}

/// The chain that coins were told from last: its tip, and the hashes asked for since that is it.
#[derive(Default)]
struct Active {
    tip: Option<BlockId>,
    hashes: HashMap<Height, BlockHash>,
}

impl Teller {
    /// A coin that nobody in the node's chain has spent, with the block that made it. The mempool is none of it. `None` where there
    /// is no such coin.
    ///
    /// # Errors
    /// As [`Node::info_within`].
    pub fn coin(&self, outpoint: OutPoint) -> Result<Option<(TxOut, BlockId)>, NodeError> {
        let rpc = self.rpc();
        let arguments = [json!(outpoint.txid.to_string()), json!(outpoint.vout), json!(false)];
        for _ in 0..TRIES {
            let Some(info) = rpc.ask::<Option<TxOutInfo>>("gettxout", &arguments)? else { return Ok(None) };
            if let Some(block) = self.block(&rpc, info.bestblock, info.confirmations)? {
                let output = TxOut { value: info.value.0, script_pubkey: info.script_pubkey.into() };
                return Ok(Some((output, block)));
            }
        }
        Err(NodeError::bad("gettxout", "the node's chain changes all the time"))
    }

    /// The block that has so many confirmations under `tip`; `None` where the chain has another tip by now.
    fn block(&self, rpc: &Rpc, tip: BlockHash, confirmations: Height) -> Result<Option<BlockId>, NodeError> {
        let mut active = self.active.borrow_mut();
        if active.tip.is_none_or(|known| known.hash != tip) {
            let header: HeaderInfo = rpc.ask("getblockheader", &[json!(tip.to_string()), json!(true)])?;
            *active = Active { tip: Some(BlockId { height: header.height, hash: tip }), hashes: HashMap::new() };
        }
        let height =
            active.tip.zip(confirmations.checked_sub(1)).and_then(|(tip, above)| tip.height.checked_sub(above));
        let height = height.ok_or_else(|| NodeError::bad("gettxout", "the coin is in no block"))?;
        if let Some(hash) = active.hashes.get(&height) {
            return Ok(Some(BlockId { height, hash: *hash }));
        }
        let ask = || match rpc.call::<BlockHash>("getblockhash", &[json!(height)]) {
            Err(Problem::Said { code: code::OUT_OF_RANGE, .. }) => Ok(None),
            answer => answer.map(Some),
        };
        let hash = self.node.link.persist(self.patience(), || "getblockhash".into(), ask)?;
        // The same tip before and after: the hash is of its chain.
        let best: BlockHash = rpc.ask("getbestblockhash", &[])?;
        let Some(hash) = hash.filter(|_| best == tip) else { return Ok(None) };
        active.hashes.insert(height, hash);
        Ok(Some(BlockId { height, hash }))
    }

    /// A transaction of the node's mempool or, with `txindex=1`, of its chain, with its block there. `None` where it knows none, or
    /// only on a branch that it left.
    ///
    /// # Errors
    /// As [`Node::info_within`].
    pub fn transaction(&self, txid: Txid) -> Result<Option<(Transaction, Option<BlockId>)>, NodeError> {
        let rpc = self.rpc();
        let arguments = [json!(txid.to_string()), json!(true)];
        let ask = || match rpc.call::<RawTransaction>("getrawtransaction", &arguments) {
            Err(Problem::Said { code: code::NOT_FOUND, .. }) => Ok(None),
            answer => answer.map(Some),
        };
        let told = self.node.link.persist(self.patience(), || format!("transaction {txid}"), ask)?;
        let Some(told) = told else { return Ok(None) };
        let bytes = const_hex::decode(&told.hex).map_err(|error| NodeError::bad("getrawtransaction", error))?;
        let transaction: Transaction =
            deserialize(&bytes).map_err(|error| NodeError::bad("getrawtransaction", error))?;
        let Some(hash) = told.blockhash else { return Ok(Some((transaction, None))) };
        let header: HeaderInfo = rpc.ask("getblockheader", &[json!(hash.to_string()), json!(true)])?;
        let block = BlockId { height: header.height, hash };
        Ok((header.confirmations > 0).then_some((transaction, Some(block))))
    }

    fn patience(&self) -> Patience {
        Patience::within(self.limit)
    }

    fn rpc(&self) -> Rpc {
        Rpc::new(&self.node.link, self.patience())
    }
}
