//! What `trace` answers: the coins, the sum that adds up, and the flow between the coins, rule by rule.

use bitcoin::{OutPoint, Txid};
use serde::{Deserialize, Serialize};

use crate::chain::Height;
use crate::query::Coverage;
use crate::query::at::AtBlock;
use crate::query::facts::{CoinState, ScriptInfo, SpentBy};
use crate::trace::Rule;

/// Where the money of a source went.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TraceAnswer {
    /// That of the sources' entries; not complete where the index did not search for a coin's spend.
    pub coverage: Coverage,
    /// The coins that were traced.
    pub source: TraceSource,
    /// The state after this block; `None` in an index without a block.
    pub at: Option<AtBlock>,
    /// How far coins were followed.
    pub gates: GatesRow,
    /// Targets that the index did not scan for.
    pub unknown: Vec<String>,
    /// One answer for each rule, in the order asked for.
    pub rules: Vec<RuleAnswer>,
}

/// What a trace starts from; the same under every rule.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TraceSource {
    /// As it was typed.
    pub target: String,
    /// The coins, in chain order; those older than the coverage first.
    pub coins: Vec<OutPoint>,
    /// Their value in satoshis, however often the same money came back.
    pub coins_sat: u64,
}

/// The gates of one question.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GatesRow {
    /// Coins with less taint were not followed; satoshis.
    pub min_taint_sat: u64,
    /// Coins with more hops were not followed.
    pub max_hops: Option<u32>,
    /// Whether it stopped at other flagged scripts.
    pub stop_flagged: bool,
}

/// The answer under one rule.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RuleAnswer {
    /// The rule.
    pub rule: Rule,
    /// Each coin with taint once: sources first, then the others; both in chain order.
    pub coins: Vec<TracedCoinRow>,
    /// Where the money of the sources is.
    pub sum: TraceSum,
    /// `sum.frontier_sat` by its reasons.
    pub frontier: Frontier,
    /// The services that were reached, the largest sum first.
    pub services: Vec<ServiceRow>,
    /// The transactions that spent tainted coins, in chain order: a coin came from the inputs of the one with its txid.
    pub transactions: Vec<MoveRow>,
}

impl RuleAnswer {
    /// Whether the index did not search for the spend of some coin: then the money may be elsewhere by now.
    pub fn has_coins_not_followed(&self) -> bool {
        self.coins.iter().any(|coin| coin.state == CoinState::NotFollowed)
    }
}

/// One coin with taint.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TracedCoinRow {
    /// The output.
    pub outpoint: OutPoint,
    /// The height it was made at; `None` for a source older than the coverage, which only its spend shows.
    pub height: Option<Height>,
    /// The time of that block, Unix seconds.
    pub time: Option<u32>,
    /// Satoshis.
    pub value_sat: u64,
    /// Of these, tainted ones.
    pub taint_sat: u64,
    /// Taint of this trace that its transaction passed on to it: of a source only what came back to it, else `taint_sat`.
    pub carried_sat: u64,
    /// Fewest spends from a source; 0 for a source.
    pub hops: u32,
    /// The script that holds it.
    #[serde(flatten)]
    pub info: ScriptInfo,
    /// What became of it.
    pub state: CoinState,
    /// The input that spent it; only of coins in state `spent`.
    pub spent_by: Option<SpentBy>,
}

/// Satoshis by where they are: all parts add up to `source_sat`, under every rule but `poison`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TraceSum {
    /// The sources' value less what came back to them.
    pub source_sat: u64,
    /// In unspent coins.
    pub unspent_sat: u64,
    /// In coins that can never be spent.
    pub unspendable_sat: u64,
    /// Paid to miners.
    pub fees_sat: u64,
    /// In coins on services' scripts.
    pub service_sat: u64,
    /// In coins on other flagged scripts, where `--stop flagged` ends the trace.
    pub flagged_sat: u64,
    /// In coins where the trace was cut.
    pub frontier_sat: u64,
}

impl TraceSum {
    /// All parts together: `source_sat`, under every rule but `poison`.
    #[cfg(feature = "testing")]
    pub fn parts(&self) -> u64 {
        [self.unspent_sat, self.unspendable_sat, self.fees_sat, self.service_sat, self.flagged_sat, self.frontier_sat]
            .into_iter()
            .fold(0, u64::saturating_add)
    }
}

/// Satoshis where the trace was cut, by the reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Frontier {
    /// On empty scripts.
    pub anyone_can_spend_sat: u64,
    /// Too many hops from a source.
    pub max_hops_sat: u64,
    /// In coins with too little taint.
    pub below_min_taint_sat: u64,
    /// In coins with too many runs of tainted and clean satoshis (`fifo`, `lifo`).
    pub too_fragmented_sat: u64,
    /// In coins whose spend the index did not search for.
    pub not_followed_sat: u64,
}

/// A service that tainted money reached: a possible cash-out.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ServiceRow {
    /// Its script.
    #[serde(flatten)]
    pub info: ScriptInfo,
    /// Tainted satoshis that reached it.
    pub taint_sat: u64,
    /// The coins in which they reached it, in chain order.
    pub payments: Vec<PaymentRow>,
}

/// One coin that reached a service.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PaymentRow {
    /// The coin.
    pub outpoint: OutPoint,
    /// The height it was made at.
    pub height: Option<Height>,
    /// The time of that block, Unix seconds.
    pub time: Option<u32>,
    /// Satoshis.
    pub taint_sat: u64,
    /// Fewest spends from a source.
    pub hops: u32,
}

/// One transaction that spent tainted coins.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct MoveRow {
    /// Its id; its outputs with taint are among the coins.
    pub txid: Txid,
    /// Its block's height.
    pub height: Height,
    /// Its index in that block.
    pub tx_index: u32,
    /// The time of that block, Unix seconds.
    pub time: u32,
    /// The tainted inputs, in input order.
    pub inputs: Vec<TaintedInputRow>,
    /// Tainted satoshis that went to the miner.
    pub fees_sat: u64,
}

/// A tainted input.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaintedInputRow {
    /// The coin it consumes, which is among the coins.
    pub outpoint: OutPoint,
    /// The input's index.
    pub vin: u32,
    /// Tainted satoshis.
    pub taint_sat: u64,
}
