//! The log: what was found and what was taken back, in the batch of the rows it tells of. Append only.
//!
//! `seq` names the message, `id` the fact: the last message of an id holds.

use bitcoin::{BlockHash, Txid};
use serde::{Deserialize, Serialize};

use super::{Result, View};
use crate::chain::Height;
use crate::trace::Rule;

/// What was at work when something was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Seen {
    /// A sweep through blocks that the node had for longer.
    Sweep,
    /// The tip: the block was new.
    Tip,
}

/// One message, as it lies in the log and as `events` prints it, `seq` in front.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// The fact: kind, block hash, txid, position.
    pub id: String,
    /// What it is.
    #[serde(flatten)]
    pub fact: Fact,
    /// Who saw it.
    pub seen: Seen,
}

/// Where something happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// The block's height.
    pub height: Height,
    /// The block.
    pub block: BlockHash,
    /// The block's time, Unix seconds.
    pub time: u32,
    /// The transaction.
    pub txid: Txid,
    /// Its index in the block.
    pub tx_index: u32,
}

/// Taint and hops of a coin under one rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    /// The rule.
    pub rule: Rule,
    /// Satoshis.
    pub taint_sat: u64,
    /// Spends from a source.
    pub hops: u32,
}

/// One output that took taint on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Taken {
    /// The output, `txid:vout`.
    pub outpoint: String,
    /// Satoshis.
    pub value_sat: u64,
    /// Its script, hex.
    pub script: String,
    /// What it holds, by rule.
    pub taint: Vec<Held>,
}

/// More outputs than this a message doesn't name: `tx` has them all.
pub const TAKEN_AT_MOST: usize = 16;

/// What a message tells.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Fact {
    /// A flagged script was paid or spent from.
    Touch {
        /// Where.
        #[serde(flatten)]
        at: Place,
        /// `funding` or `spending`.
        touch: String,
        /// The coin, `txid:vout`.
        outpoint: String,
        /// The input that consumes it.
        vin: Option<u32>,
        /// Satoshis.
        value_sat: u64,
        /// The flagged script, hex.
        script: String,
        /// What lists said of it then.
        labels: Vec<String>,
    },
    /// A followed coin was spent.
    Moved {
        /// Where.
        #[serde(flatten)]
        at: Place,
        /// The input that spends it.
        vin: u32,
        /// The coin, `txid:vout`.
        from: String,
        /// Its value, satoshis.
        value_sat: u64,
        /// What it held, by rule.
        taint: Vec<Held>,
        /// The transaction's outputs that took taint on, the first [`TAKEN_AT_MOST`] of them.
        to: Vec<Taken>,
        /// How many there are.
        outputs: u64,
    },
    /// Tainted value paid a service.
    Service {
        /// Where.
        #[serde(flatten)]
        at: Place,
        /// The output, `txid:vout`.
        outpoint: String,
        /// Satoshis.
        value_sat: u64,
        /// The service's script, hex.
        script: String,
        /// What lists said of it then.
        labels: Vec<String>,
        /// What reached it, by rule.
        taint: Vec<Held>,
    },
    /// What an earlier message told holds no more; its `id` is that message's.
    Retracted {
        /// The kind of what is taken back.
        was: String,
        /// Why.
        reason: Reason,
    },
    /// The node's chain left blocks of the index.
    Reorg {
        /// The last block both have.
        fork: Height,
        /// The tip that was given up.
        stale_tip: BlockHash,
        /// Its height.
        stale_height: Height,
    },
    /// Everything that lists and node ask for is swept.
    CaughtUp {
        /// The tip's height.
        height: Height,
        /// The tip.
        block: BlockHash,
    },
}

impl Fact {
    /// Its kind's name, as it is printed.
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

/// Why something is taken back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Reason {
    /// Its block is stale.
    Reorg,
    /// Lists or parameters changed, and nothing bears it any more.
    Retrace,
}

/// The seq that the next message gets.
///
/// # Errors
/// What reading reports.
pub fn next_seq(view: &View) -> Result<u64> {
    Ok(view.last_key::<Event>()?.map_or(1, |seq| seq + 1))
}

/// The messages after `since`, in order, each with its seq.
pub fn since(view: &View, since: u64) -> impl Iterator<Item = Result<(u64, Event)>> + '_ {
    view.range::<Event>(since.saturating_add(1)..)
}
