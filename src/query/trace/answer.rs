//! What `trace` answers: the coins, the sum that adds up, and the flow between the coins, rule by rule.

use bitcoin::{OutPoint, Txid};
use serde::Serialize;

use crate::chain::Height;
use crate::query::{Coverage, SpentBy};
use crate::trace::Rule;

/// Where the money of a source went.
#[derive(Clone, Debug, Serialize)]
pub struct TraceAnswer {
    /// Of the sources' entries; not complete where a coin's spend was not looked for.
    pub coverage: Coverage,
    /// What was traced.
    pub source: SourceRow,
    /// The state after the block at this height; `None` in an index without a block.
    pub at: Option<Height>,
    /// How far coins were followed.
    pub gates: GatesRow,
    /// Targets that nothing is known of.
    pub unknown: Vec<String>,
    /// One answer for each rule, in the order asked for.
    pub rules: Vec<RuleAnswer>,
}

/// What a trace starts from; the same under every rule.
#[derive(Clone, Debug, Serialize)]
pub struct SourceRow {
    /// As it was typed.
    pub target: String,
    /// The coins, in chain order; those older than the coverage first.
    pub coins: Vec<OutPoint>,
    /// Their value in satoshis, however often the same money came back.
    pub coins_sat: u64,
}

/// The gates of one question.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct GatesRow {
    /// Coins with less taint were not followed; satoshis.
    pub min_taint_sat: u64,
    /// Coins with more hops were not followed.
    pub max_hops: Option<u32>,
    /// Whether it stopped at other flagged scripts.
    pub stop_flagged: bool,
}

/// The answer under one rule.
#[derive(Clone, Debug, Serialize)]
pub struct RuleAnswer {
    /// Which.
    pub rule: Rule,
    /// Each coin with taint once: sources first, then the others; both in chain order.
    pub coins: Vec<CoinRow>,
    /// Where all of it is.
    pub sum: Sum,
    /// `sum.frontier_sat` by its reasons.
    pub frontier: Frontier,
    /// The services that were reached, the largest sum first.
    pub services: Vec<ServiceRow>,
    /// The transactions that spent tainted coins, in chain order: a coin came from the inputs of the one with its txid.
    pub transactions: Vec<MoveRow>,
}

/// One coin with taint.
#[derive(Clone, Debug, Serialize)]
pub struct CoinRow {
    /// The output.
    pub outpoint: OutPoint,
    /// The height it was made at; `None` for a source older than the coverage, which only its spend tells of.
    pub height: Option<Height>,
    /// The time of that block, Unix seconds.
    pub time: Option<u32>,
    /// Satoshis.
    pub value_sat: u64,
    /// Of these, tainted ones.
    pub taint_sat: u64,
    /// What taint of this trace brought into it: of a source only what came back to it, else `taint_sat`.
    pub carried_sat: u64,
    /// Fewest spends from a source; 0 for a source.
    pub hops: u32,
    /// The script that holds it, hex.
    pub script: String,
    /// The same as an address, where it has one.
    pub address: Option<String>,
    /// What lists say of it.
    pub labels: Vec<String>,
    /// What became of it.
    pub state: CoinState,
    /// The input that spent it; only of coins in state `spent`.
    pub spent_by: Option<SpentBy>,
}

/// What became of a coin: the first that fits, as the design orders them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CoinState {
    /// On another flagged script, where the question stops.
    Flagged,
    /// On a service's script.
    Service,
    /// Can never be spent.
    Unspendable,
    /// On an empty script.
    AnyoneCanSpend,
    /// More hops from its source than asked for.
    MaxHops,
    /// Less taint than asked for.
    BelowMinTaint,
    /// The index did not look for its spend.
    NotFollowed,
    /// Spent.
    Spent,
    /// Not spent.
    Unspent,
}

impl CoinState {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Flagged,
        Self::Service,
        Self::Unspendable,
        Self::AnyoneCanSpend,
        Self::MaxHops,
        Self::BelowMinTaint,
        Self::NotFollowed,
        Self::Spent,
        Self::Unspent,
    ];

    /// As answers spell it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Flagged => "flagged",
            Self::Service => "service",
            Self::Unspendable => "unspendable",
            Self::AnyoneCanSpend => "anyone_can_spend",
            Self::MaxHops => "max_hops",
            Self::BelowMinTaint => "below_min_taint",
            Self::NotFollowed => "not_followed",
            Self::Spent => "spent",
            Self::Unspent => "unspent",
        }
    }

    /// Whether the trace was cut there.
    pub fn is_frontier(self) -> bool {
        matches!(self, Self::AnyoneCanSpend | Self::MaxHops | Self::BelowMinTaint | Self::NotFollowed)
    }
}

/// Satoshis by where they are: all parts add up to `source_sat`, under every rule but `poison`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Sum {
    /// The sources' value less what came back to them.
    pub source_sat: u64,
    /// In coins that nobody spent.
    pub unspent_sat: u64,
    /// In coins that nobody can spend.
    pub unspendable_sat: u64,
    /// Paid to miners.
    pub fees_sat: u64,
    /// In coins on services' scripts.
    pub service_sat: u64,
    /// In coins on other flagged scripts, where the question stops.
    pub flagged_sat: u64,
    /// In coins where the trace was cut.
    pub frontier_sat: u64,
}

impl Sum {
    /// All parts together: `source_sat`, under every rule but `poison`.
    pub fn parts(&self) -> u64 {
        [self.unspent_sat, self.unspendable_sat, self.fees_sat, self.service_sat, self.flagged_sat, self.frontier_sat]
            .into_iter()
            .fold(0, u64::saturating_add)
    }
}

/// Satoshis where the trace was cut, by the reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Frontier {
    /// On empty scripts.
    pub anyone_can_spend_sat: u64,
    /// Too many hops from a source.
    pub max_hops_sat: u64,
    /// In coins with too little taint.
    pub below_min_taint_sat: u64,
    /// In coins whose spend the index did not look for.
    pub not_followed_sat: u64,
}

/// A service that tainted money reached: a possible cash-out.
#[derive(Clone, Debug, Serialize)]
pub struct ServiceRow {
    /// Its script, hex.
    pub script: String,
    /// The same as an address, where it has one.
    pub address: Option<String>,
    /// What lists say of it.
    pub labels: Vec<String>,
    /// Tainted satoshis that reached it.
    pub taint_sat: u64,
    /// The coins that brought them, in chain order.
    pub payments: Vec<PaymentRow>,
}

/// One coin that reached a service.
#[derive(Clone, Debug, Serialize)]
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
#[derive(Clone, Debug, Serialize)]
pub struct MoveRow {
    /// Its id; its outputs with taint are among the coins.
    pub txid: Txid,
    /// Its block's height.
    pub height: Height,
    /// Its index in that block.
    pub tx_index: u32,
    /// The time of that block, Unix seconds.
    pub time: u32,
    /// The inputs that brought taint, in input order.
    pub inputs: Vec<BroughtRow>,
    /// Tainted satoshis that went to the miner.
    pub fees_sat: u64,
}

/// What one input brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct BroughtRow {
    /// The coin it consumes, which is among the coins.
    pub outpoint: OutPoint,
    /// Its index.
    pub vin: u32,
    /// Tainted satoshis.
    pub taint_sat: u64,
}
