//! Whole blocks as `getblock` verbosity 3 tells them: read by the node's own parser, with what each input spends. Slow, for proofs.

use bitcoin::{BlockHash, OutPoint, ScriptBuf, TxOut, Txid};
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::json;

use super::Node;
use super::answers::{Bitcoins, ScriptPubKey};
use super::error::{NodeError, Problem};
use super::lane::{no_undo, why_missing};
use super::link::Patience;
use super::rpc::Rpc;
use crate::chain::BlockId;

/// A block in the node's own words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToldBlock {
    /// The block before it; `None` for genesis.
    pub previous: Option<BlockHash>,
    /// In their order in the block.
    pub transactions: Vec<ToldTransaction>,
}

/// A transaction in the node's own words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToldTransaction {
    /// Its id.
    pub txid: Txid,
    /// What each input spends, with the output there; empty for a coinbase.
    pub inputs: Vec<(OutPoint, TxOut)>,
    /// What it makes.
    pub outputs: Vec<TxOut>,
}

#[derive(Deserialize)]
struct Block {
    hash: BlockHash,
    confirmations: i64,
    height: u32,
    previousblockhash: Option<BlockHash>,
    tx: Vec<Transaction>,
}

#[derive(Deserialize)]
struct Transaction {
    txid: Txid,
    vin: Vec<Input>,
    vout: Vec<Output>,
}

#[derive(Deserialize)]
struct Input {
    coinbase: Option<IgnoredAny>,
    txid: Option<Txid>,
    vout: Option<u32>,
    prevout: Option<Output>,
}

#[derive(Deserialize)]
struct Output {
    /// Its place among the outputs; not in a `prevout`.
    n: Option<u32>,
    value: Bitcoins,
    #[serde(rename = "scriptPubKey")]
    script_pubkey: ScriptPubKey,
}

impl Output {
    fn into_tx_out(self) -> TxOut {
        TxOut { value: self.value.0, script_pubkey: ScriptBuf::from(self.script_pubkey) }
    }
}

impl Transaction {
    /// `None` where the node left out what an input spends: it has no undo data at hand.
    fn into_told(self) -> Option<Result<ToldTransaction, String>> {
        let mut inputs = Vec::with_capacity(self.vin.len());
        for input in self.vin.into_iter().filter(|input| input.coinbase.is_none()) {
            let (Some(txid), Some(vout)) = (input.txid, input.vout) else {
                return Some(Err(format!("an input of transaction {} names no output", self.txid)));
            };
            inputs.push((OutPoint { txid, vout }, input.prevout?.into_tx_out()));
        }
        if (0..).zip(&self.vout).any(|(place, output)| output.n.is_none_or(|n| n != place)) {
            return Some(Err(format!("the outputs of transaction {} are out of order", self.txid)));
        }
        let outputs = self.vout.into_iter().map(Output::into_tx_out).collect();
        Some(Ok(ToldTransaction { txid: self.txid, inputs, outputs }))
    }
}

impl Node {
    /// A block of the node's active chain, in the node's own words. It takes the node most of a second.
    ///
    /// # Errors
    /// [`NodeError::NotOnChain`], [`NodeError::Pruned`], [`NodeError::WrongBlock`], and as [`Self::info`].
    pub fn told_block(&self, id: BlockId) -> Result<ToldBlock, NodeError> {
        let rpc = Rpc::new(&self.link, Patience::ENDLESS);
        let what = || format!("block {id} in words");
        let mut tries = 0;
        self.link.persist(Patience::ENDLESS, what, || {
            let answer = rpc.call::<Block>("getblock", &[json!(id.hash), json!(3)]);
            let told = answer.and_then(|block| {
                if block.hash != id.hash {
                    return Err(NodeError::WrongBlock { asked: id, found: block.hash }.into());
                }
                if block.confirmations < 0 || block.height != id.height {
                    return Err(NodeError::NotOnChain(id).into());
                }
                let mut transactions = Vec::with_capacity(block.tx.len());
                for transaction in block.tx {
                    let told = transaction.into_told().ok_or_else(no_undo)?;
                    transactions.push(told.map_err(|why| Problem::bad(what(), why))?);
                }
                Ok(ToldBlock { previous: block.previousblockhash, transactions })
            });
            told.map_err(|problem| why_missing(&rpc, id, problem, &mut tries))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(json: &str) -> Option<Result<ToldTransaction, String>> {
        serde_json::from_str::<Transaction>(json).unwrap().into_told()
    }

    #[test]
    fn a_transaction_in_words_is_read_to_the_satoshi_or_refused() {
        let id = "11".repeat(32);
        let script = r#""scriptPubKey":{"asm":"","hex":"51","type":"of_the_future"}"#;
        let output = format!(r#"{{"value":0.29000001,"n":0,{script}}}"#);
        let coinbase = format!(r#"{{"txid":"{id}","vin":[{{"coinbase":"00","sequence":1}}],"vout":[{output}]}}"#);
        let read = told(&coinbase).unwrap().unwrap();
        assert_eq!((read.inputs.len(), read.outputs[0].value.to_sat()), (0, 29_000_001));
        let spend = |prevout: &str| {
            format!(r#"{{"txid":"{id}","vin":[{{"txid":"{id}","vout":7{prevout}}}],"vout":[{output}]}}"#)
        };
        let read = told(&spend(&format!(r#","prevout":{{"generated":true,"height":3,"value":1.00000000,{script}}}"#)));
        let (outpoint, spent) = read.unwrap().unwrap().inputs.remove(0);
        assert_eq!((outpoint.vout, spent.value.to_sat(), spent.script_pubkey.len()), (7, 100_000_000, 1));
        assert!(told(&spend("")).is_none(), "without undo data");
        let nameless = format!(r#"{{"txid":"{id}","vin":[{{"vout":7}}],"vout":[]}}"#);
        assert!(told(&nameless).unwrap().unwrap_err().contains("names no output"));
        let swapped = coinbase.replace(r#""n":0"#, r#""n":1"#);
        assert!(told(&swapped).unwrap().unwrap_err().contains("out of order"));
    }
}
