//! The event log: what was found and what was retracted, each event in the batch of the rows that it is about. Append only.
//!
//! `seq` names an event, `id` the fact that it is about: of the events with one id, the last one holds.

use bitcoin::{BlockHash, Txid};
use serde::{Deserialize, Serialize};

use super::bytes::Malformed;
use super::error::Result;
use super::rows::IndexRow;
use super::schema::Family;
use super::view::View;
use crate::chain::Height;
use crate::trace::Rule;

/// How a fact was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Seen {
    /// By a sweep over older blocks.
    Sweep,
    /// In a new block at the tip.
    Tip,
}

/// One event, as the log holds it and, with `seq` in front, as `coinhound events` prints it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// Names the fact: kind, block hash, txid, input or output.
    pub id: String,
    /// The fact.
    #[serde(flatten)]
    pub fact: Fact,
    /// How it was found.
    pub seen: Seen,
}

/// The transaction that an event is about, and its block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TxContext {
    /// The block's height.
    pub height: Height,
    /// The block's hash.
    pub block: BlockHash,
    /// The block's time, Unix seconds.
    pub time: u32,
    /// The transaction's id.
    pub txid: Txid,
    /// The transaction's index in the block.
    pub tx_index: u32,
}

/// Taint and hops of a coin under one rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventTaint {
    /// The rule.
    pub rule: Rule,
    /// Satoshis.
    pub taint_sat: u64,
    /// Number of spends since the source.
    pub hops: u32,
}

/// An output that received taint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaintedOutput {
    /// The output, `txid:vout`.
    pub outpoint: String,
    /// Satoshis.
    pub value_sat: u64,
    /// Its script, hex.
    pub script: String,
    /// Its taint, by rule.
    pub taint: Vec<EventTaint>,
}

/// The most outputs that an event names; `coinhound tx` shows all of them.
pub const MAX_NAMED_OUTPUTS: usize = 16;

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Fact {
    /// A flagged script was paid or spent from.
    Touch {
        /// The transaction.
        #[serde(flatten)]
        at: TxContext,
        /// `funding` or `spending`.
        touch: String,
        /// The coin, `txid:vout`.
        outpoint: String,
        /// The index of the input that spends it; `None` for funding.
        vin: Option<u32>,
        /// Satoshis.
        value_sat: u64,
        /// The flagged script, hex.
        script: String,
        /// The texts of its labels at that time.
        labels: Vec<String>,
    },
    /// A followed coin was spent.
    Moved {
        /// The transaction.
        #[serde(flatten)]
        at: TxContext,
        /// The index of the input that spends it.
        vin: u32,
        /// The coin, `txid:vout`.
        from: String,
        /// Its value, satoshis.
        value_sat: u64,
        /// Its taint, by rule.
        taint: Vec<EventTaint>,
        /// The outputs of the transaction that received taint, the first [`MAX_NAMED_OUTPUTS`] of them.
        to: Vec<TaintedOutput>,
        /// The number of outputs that received taint.
        outputs: u64,
    },
    /// A tainted output pays a service.
    Service {
        /// The transaction.
        #[serde(flatten)]
        at: TxContext,
        /// The output, `txid:vout`.
        outpoint: String,
        /// Satoshis.
        value_sat: u64,
        /// The service's script, hex.
        script: String,
        /// The texts of its labels at that time.
        labels: Vec<String>,
        /// The output's taint, by rule.
        taint: Vec<EventTaint>,
    },
    /// The fact of an earlier event, whose `id` this one has, no longer holds.
    Retracted {
        /// The kind of that fact.
        was: String,
        /// What made it invalid.
        reason: Reason,
    },
    /// Blocks of the index left the node's active chain.
    Reorg {
        /// The height of the last block that both chains have.
        fork: Height,
        /// The hash of the index's tip before.
        stale_tip: BlockHash,
        /// Its height.
        stale_height: Height,
    },
    /// All blocks of the node are swept for all entries.
    CaughtUp {
        /// The tip's height.
        height: Height,
        /// The tip's hash.
        block: BlockHash,
    },
}

impl Fact {
    /// The name of its kind in the JSON of an event.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Touch { .. } => "touch",
            Self::Moved { .. } => "moved",
            Self::Service { .. } => "service",
            Self::Retracted { .. } => "retracted",
            Self::Reorg { .. } => "reorg",
            Self::CaughtUp { .. } => "caught_up",
        }
    }
}

/// Why a fact no longer holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Reason {
    /// Its block left the active chain.
    Reorg,
    /// It does not follow from the lists and parameters as they are now.
    Retrace,
}

impl IndexRow for Event {
    const FAMILY: Family = Family::Events;
    /// The event's seq.
    type Key = u64;

    fn value(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("an event has only strings and numbers")
    }

    fn from_value(value: &[u8]) -> Result<Self, Malformed> {
        serde_json::from_slice(value).map_err(|_| Malformed)
    }
}

/// The seq of the next event.
///
/// # Errors
/// As all reads.
pub fn next_seq(view: &View) -> Result<u64> {
    Ok(view.last_key::<Event>()?.map_or(1, |seq| seq + 1))
}

/// The events after seq `since`, in order, each with its seq.
pub fn since(view: &View, since: u64) -> impl Iterator<Item = Result<(u64, Event)>> + '_ {
    view.range::<Event>(since.saturating_add(1)..)
}
