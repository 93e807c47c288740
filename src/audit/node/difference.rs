//! What the index and the node say differently, in words that name both.

use std::fmt;

use bitcoin::{OutPoint, ScriptBuf, TxOut, Txid};

use crate::chain::BlockId;
use crate::index::keys::{CoinKey, TxPosition};
use crate::node::Unspent;

/// The first thing found that index and node disagree on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Difference {
    /// The index holds a coin for unspent, and the node's set of unspent outputs lacks it.
    Lacking {
        /// The coin.
        coin: CoinKey,
        /// Its value in the index, satoshis.
        value: u64,
        /// The node's tip then.
        tip: BlockId,
    },
    /// The node holds a coin on a flagged script for unspent, and the index has no such coin.
    Missed(Unspent),
    /// The node holds a coin for unspent that the index has spent.
    Spent {
        /// The coin.
        coin: CoinKey,
        /// The spending transaction, as the index has it.
        by: TxPosition,
        /// Its input.
        vin: u32,
    },
    /// Both have the coin, and not the same.
    Coin {
        /// The coin.
        outpoint: OutPoint,
        /// What of it differs.
        what: &'static str,
        /// As the index has it.
        index: String,
        /// As the node has it.
        node: String,
    },
    /// A transaction that touches is no record.
    NoRecord {
        /// Where it is.
        at: TxPosition,
        /// Its id.
        txid: Txid,
        /// What makes it a record.
        why: Why,
    },
    /// A record of a transaction that nothing makes a record.
    Needless {
        /// Where it is.
        at: TxPosition,
        /// Its id.
        txid: Txid,
    },
    /// The node has another transaction there, or none.
    Transaction {
        /// Where.
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

/// What makes a transaction a record.
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
