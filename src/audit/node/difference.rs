//! The differences between index and node, in words that name both.

use std::fmt;

use bitcoin::{OutPoint, ScriptBuf, TxOut, Txid};

use crate::chain::BlockId;
use crate::index::keys::{CoinKey, TxPosition};
use crate::node::Unspent;

/// The first difference between index and node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Difference {
    /// The index has a coin unspent that is not in the node's UTXO set.
    Lacking {
        /// The coin.
        coin: CoinKey,
        /// Its value in the index, satoshis.
        value: u64,
        /// The tip of the node that it was asked at.
        tip: BlockId,
    },
    /// The node has a coin on a flagged script unspent, and the index has no such coin.
    Missed(Unspent),
    /// The node has a coin unspent that the index has spent.
    Spent {
        /// The coin.
        coin: CoinKey,
        /// The spending transaction, as the index has it.
        by: TxPosition,
        /// Its input.
        vin: u32,
    },
    /// Both have the coin, with different values.
    Coin {
        /// The coin.
        outpoint: OutPoint,
        /// The property that differs.
        what: &'static str,
        /// As the index has it.
        index: String,
        /// As the node has it.
        node: String,
    },
    /// A transaction that must be a record is none.
    NoRecord {
        /// Where it is.
        at: TxPosition,
        /// Its id.
        txid: Txid,
        /// Why it must be one.
        why: Why,
    },
    /// A record of a transaction that touches nothing and spends nothing that is followed.
    Needless {
        /// Where it is.
        at: TxPosition,
        /// Its id.
        txid: Txid,
    },
    /// The node has another transaction there, or none.
    Transaction {
        /// The record's position.
        at: TxPosition,
        /// The record's.
        index: Txid,
        /// The node's.
        node: Option<Txid>,
    },
    /// An input spends another output than the record says.
    SpentOutput {
        /// Where the transaction is.
        at: TxPosition,
        /// Its id.
        txid: Txid,
        /// The input.
        vin: usize,
        /// As the record has it.
        index: Option<TxOut>,
        /// As the node has it.
        node: Option<TxOut>,
    },
}

/// Why a transaction must be a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Why {
    /// It pays this flagged script.
    Pays(ScriptBuf),
    /// It spends a coin of this flagged script.
    SpendsFrom(ScriptBuf),
    /// It spends this coin, which is followed.
    Spends(OutPoint),
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pays(script) => write!(f, "pays the flagged script {script:x}"),
            Self::SpendsFrom(script) => write!(f, "spends a coin of the flagged script {script:x}"),
            Self::Spends(outpoint) => write!(f, "spends {outpoint}, which is followed"),
        }
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lacking { coin, value, tip } => write!(
                f,
                "the index has {} ({value} sat, of height {}) unspent, and the node has no such unspent output as of block {tip}",
                coin.outpoint, coin.height
            ),
            Self::Missed(coin) => write!(
                f,
                "the node has {} ({} sat, of height {}, on the flagged script {:x}) unspent, and the index has no such coin",
                coin.outpoint,
                coin.output.value.to_sat(),
                coin.height,
                coin.output.script_pubkey
            ),
            Self::Spent { coin, by, vin } => write!(
                f,
                "the node has {} (of height {}) unspent, and the index has it spent by input {vin} of transaction {} of block {}",
                coin.outpoint, coin.height, by.tx_index, by.height
            ),
            Self::Coin { outpoint, what, index, node } => {
                write!(f, "the {what} of {outpoint} is {index} in the index, and {node} in the node")
            }
            Self::NoRecord { at, txid, why } => {
                write!(f, "{} {why}, and the index has no record of it", place(at, txid))
            }
            Self::Needless { at, txid } => write!(
                f,
                "the index has a record of {}, which neither touches a flagged script nor spends a followed coin",
                place(at, txid)
            ),
            Self::Transaction { at, index, node: Some(node) } => {
                write!(f, "the index has a record of {}, and the node has {node} there", place(at, index))
            }
            Self::Transaction { at, index, node: None } => {
                write!(
                    f,
                    "the index has a record of {}, and the node's block has no transaction there",
                    place(at, index)
                )
            }
            Self::SpentOutput { at, txid, vin, index, node } => write!(
                f,
                "input {vin} of {} spends {} by the index's record, and {} by the node",
                place(at, txid),
                output(index.as_ref()),
                output(node.as_ref())
            ),
        }
    }
}

fn place(at: &TxPosition, txid: &Txid) -> String {
    format!("transaction {txid} (index {} in block {})", at.tx_index, at.height)
}

fn output(output: Option<&TxOut>) -> String {
    match output {
        Some(output) => format!("{} sat of script {:x}", output.value.to_sat(), output.script_pubkey),
        None => "nothing".into(),
    }
}
