//! Whole blocks by `getblock` verbosity 3: parsed by the node, with the output that each input spends. Slow; `verify` compares with
//! them.

use bitcoin::{BlockHash, OutPoint, ScriptBuf, TxOut, Txid};
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::json;

use super::Node;
use super::answers::{Bitcoins, ScriptPubKey};
use super::error::{CallError, NodeError};
use super::lane::{explain_missing, no_undo};
use crate::chain::BlockId;

/// A block as the node parsed it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerboseBlock {
    /// The block before it; `None` for genesis.
    pub previous: Option<BlockHash>,
    /// In block order.
    pub transactions: Vec<VerboseTransaction>,
}

/// A transaction as the node parsed it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerboseTransaction {
    /// As the node computed it.
    pub txid: Txid,
    /// The outpoint and output that each input spends; none for a coinbase.
    pub inputs: Vec<(OutPoint, TxOut)>,
    /// In order.
    pub outputs: Vec<TxOut>,
}

#[derive(Deserialize)]
struct BlockJson {
    hash: BlockHash,
    confirmations: i64,
    height: u32,
    previousblockhash: Option<BlockHash>,
    tx: Vec<TransactionJson>,
}

#[derive(Deserialize)]
struct TransactionJson {
    txid: Txid,
    vin: Vec<InputJson>,
    vout: Vec<OutputJson>,
}

#[derive(Deserialize)]
struct InputJson {
    coinbase: Option<IgnoredAny>,
    txid: Option<Txid>,
    vout: Option<u32>,
    prevout: Option<OutputJson>,
}

#[derive(Deserialize)]
struct OutputJson {
    /// Index of the output; absent in a `prevout`.
    n: Option<u32>,
    value: Bitcoins,
    #[serde(rename = "scriptPubKey")]
    script_pubkey: ScriptPubKey,
}

impl OutputJson {
    fn into_tx_out(self) -> TxOut {
        TxOut { value: self.value.0, script_pubkey: ScriptBuf::from(self.script_pubkey) }
    }
}

impl BlockJson {
    fn into_block(self, id: BlockId) -> Result<VerboseBlock, CallError> {
        if self.hash != id.hash {
            return Err(NodeError::WrongBlock { asked: id, found: self.hash }.into());
        }
        if self.confirmations < 0 || self.height != id.height {
            return Err(NodeError::NotOnChain(id).into());
        }
        let transactions = self.tx.into_iter().map(TransactionJson::into_transaction).collect::<Result<_, _>>()?;
        Ok(VerboseBlock { previous: self.previousblockhash, transactions })
    }
}

impl TransactionJson {
    /// Fails with [`no_undo`] if the node left out what an input spends.
    fn into_transaction(self) -> Result<VerboseTransaction, CallError> {
        let txid = self.txid;
        let mut inputs = Vec::with_capacity(self.vin.len());
        for input in self.vin.into_iter().filter(|input| input.coinbase.is_none()) {
            let (Some(txid), Some(vout)) = (input.txid, input.vout) else {
                return Err(CallError::bad("getblock", format!("an input of transaction {txid} names no output")));
            };
            inputs.push((OutPoint { txid, vout }, input.prevout.ok_or_else(no_undo)?.into_tx_out()));
        }
        if (0..).zip(&self.vout).any(|(index, output)| output.n.is_none_or(|n| n != index)) {
            return Err(CallError::bad("getblock", format!("the outputs of transaction {txid} are out of order")));
        }
        let outputs = self.vout.into_iter().map(OutputJson::into_tx_out).collect();
        Ok(VerboseTransaction { txid, inputs, outputs })
    }
}

impl Node {
    /// A block of the active chain. It takes the node most of a second.
    ///
    /// # Errors
    /// [`NodeError::NotOnChain`], [`NodeError::Pruned`], [`NodeError::WrongBlock`], and as [`Self::info`].
    pub fn verbose_block(&self, id: BlockId) -> Result<VerboseBlock, NodeError> {
        let rpc = self.rpc(self.link.patience);
        let mut tries = 0;
        rpc.caller.persist(format_args!("getblock for {id}"), || {
            let block = rpc.call::<BlockJson>("getblock", &[json!(id.hash), json!(3)]);
            let block = block.and_then(|block| block.into_block(id));
            block.map_err(|error| explain_missing(&rpc, id, error, &mut tries))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<VerboseTransaction, CallError> {
        serde_json::from_str::<TransactionJson>(json).unwrap().into_transaction()
    }

    fn refusal(json: &str) -> String {
        match read(json) {
            Err(CallError::Fatal(error)) => error.to_string(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_transaction_is_read_to_the_satoshi_or_refused() {
        let id = "11".repeat(32);
        let script = r#""scriptPubKey":{"asm":"","hex":"51","type":"of_the_future"}"#;
        let output = format!(r#"{{"value":0.29000001,"n":0,{script}}}"#);
        let coinbase = format!(r#"{{"txid":"{id}","vin":[{{"coinbase":"00","sequence":1}}],"vout":[{output}]}}"#);
        let transaction = read(&coinbase).unwrap();
        assert_eq!((transaction.inputs.len(), transaction.outputs[0].value.to_sat()), (0, 29_000_001));
        let spend = |prevout: &str| {
            format!(r#"{{"txid":"{id}","vin":[{{"txid":"{id}","vout":7{prevout}}}],"vout":[{output}]}}"#)
        };
        let mut transaction =
            read(&spend(&format!(r#","prevout":{{"generated":true,"height":3,"value":1.00000000,{script}}}"#)))
                .unwrap();
        let (outpoint, spent) = transaction.inputs.remove(0);
        assert_eq!((outpoint.vout, spent.value.to_sat(), spent.script_pubkey.len()), (7, 100_000_000, 1));
        assert!(matches!(read(&spend("")), Err(CallError::Rpc { .. })), "without undo data");
        let nameless = format!(r#"{{"txid":"{id}","vin":[{{"vout":7}}],"vout":[]}}"#);
        assert!(refusal(&nameless).contains("names no output"));
        let swapped = coinbase.replace(r#""n":0"#, r#""n":1"#);
        assert!(refusal(&swapped).contains("out of order"));
    }
}
