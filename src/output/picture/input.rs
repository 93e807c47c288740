//! What pictures are drawn from: the fields of `trace`'s JSON (docs/cli.md) that they show. Others are passed over.

use serde::Deserialize;

/// A trace's answer. Amounts are satoshis, times Unix seconds, hashes in display order, scripts in hex.
#[derive(Clone, Debug, Deserialize)]
pub struct Trace {
    /// What it rests on.
    pub coverage: Coverage,
    /// What was traced.
    pub source: Source,
    /// The state after the block at this height; `None` in an index without a block.
    pub at: Option<u32>,
    /// How far coins were followed.
    #[serde(default)]
    pub gates: Gates,
    /// Targets that nothing is known of.
    #[serde(default)]
    pub unknown: Vec<String>,
    /// One answer for each rule.
    pub rules: Vec<Answer>,
}

/// What the answer rests on.
#[derive(Clone, Debug, Deserialize)]
pub struct Coverage {
    /// The chain.
    pub chain: String,
    /// The first height that was looked at.
    pub from: Option<u32>,
    /// The last.
    pub through: Option<u32>,
    /// The index's last block.
    pub tip: Option<String>,
    /// Whether the answer is the whole answer.
    pub complete: bool,
    /// The version of the lists.
    pub lists: String,
    /// Whether the lists configured now are others.
    #[serde(default)]
    pub lists_changed: bool,
    /// Rows of the lists that could not be read.
    #[serde(default)]
    pub quarantined: u64,
    /// What is missing.
    #[serde(default)]
    pub gaps: Vec<Gap>,
}

/// A missing range of heights.
#[derive(Clone, Debug, Deserialize)]
pub struct Gap {
    /// Its first height.
    pub from: u32,
    /// Its last.
    pub through: u32,
    /// How many entries miss it.
    pub entries: u64,
    /// The lists they are on.
    #[serde(default)]
    pub lists: Vec<String>,
}

/// What a trace starts from.
#[derive(Clone, Debug, Deserialize)]
pub struct Source {
    /// As it was typed.
    pub target: String,
    /// Its coins' value, however often the same money came back.
    pub coins_sat: u64,
}

/// How far coins were followed.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
pub struct Gates {
    /// Coins with less taint were not.
    pub min_taint_sat: Option<u64>,
    /// Coins with more hops were not.
    pub max_hops: Option<u32>,
    /// Whether it stopped at other flagged scripts.
    #[serde(default)]
    pub stop_flagged: bool,
}

/// The answer under one rule.
#[derive(Clone, Debug, Deserialize)]
pub struct Answer {
    /// Its name.
    pub rule: String,
    /// Each coin with taint once.
    pub coins: Vec<Coin>,
    /// Where all of it is.
    pub sum: Sum,
    /// The transactions that spent tainted coins, in chain order.
    #[serde(default)]
    pub transactions: Vec<Move>,
}

/// One coin with taint.
#[derive(Clone, Debug, Deserialize)]
pub struct Coin {
    /// `txid:vout`.
    pub outpoint: String,
    /// The height it was made at, where that is known.
    pub height: Option<u32>,
    /// The time of that block.
    #[serde(default)]
    pub time: Option<i64>,
    /// What it is worth.
    pub value_sat: u64,
    /// Of that, what is tainted.
    pub taint_sat: u64,
    /// Of that, what this trace brought into it: less than all of it in a source only.
    #[serde(default)]
    pub carried_sat: Option<u64>,
    /// Fewest spends from a source; 0 for a source.
    pub hops: u32,
    /// What holds it.
    pub script: String,
    /// The same as an address, where it has one.
    pub address: Option<String>,
    /// What lists say of it.
    pub labels: Vec<String>,
    /// What became of it.
    pub state: State,
    /// What spent it.
    pub spent_by: Option<SpentBy>,
}

impl Coin {
    /// Its transaction and the index of the output.
    pub fn parts(&self) -> (&str, u32) {
        let (txid, vout) = self.outpoint.rsplit_once(':').unwrap_or((&self.outpoint, ""));
        (txid, vout.parse().unwrap_or_default())
    }

    /// What this trace brought into it; of a source, what came back.
    pub fn carried(&self) -> u64 {
        self.carried_sat.unwrap_or(if self.hops == 0 { 0 } else { self.taint_sat })
    }

    /// The transaction that took its taint on.
    pub fn taken_by(&self) -> Option<&SpentBy> {
        self.spent_by.as_ref().filter(|_| self.state == State::Spent)
    }
}

/// What became of a coin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Spent: its taint went on.
    Spent,
    /// Not spent.
    Unspent,
    /// Can never be spent.
    Unspendable,
    /// On a service's script.
    Service,
    /// On another flagged script, where the question stops.
    Flagged,
    /// Too little taint.
    BelowMinTaint,
    /// Too many hops.
    MaxHops,
    /// On an empty script.
    AnyoneCanSpend,
    /// The index did not look for its spend.
    NotFollowed,
}

impl State {
    /// As answers spell it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Spent => "spent",
            Self::Unspent => "unspent",
            Self::Unspendable => "unspendable",
            Self::Service => "service",
            Self::Flagged => "flagged",
            Self::BelowMinTaint => "below_min_taint",
            Self::MaxHops => "max_hops",
            Self::AnyoneCanSpend => "anyone_can_spend",
            Self::NotFollowed => "not_followed",
        }
    }
}

/// The input that spent a coin.
#[derive(Clone, Debug, Deserialize)]
pub struct SpentBy {
    /// The spending transaction.
    pub txid: String,
    /// Its input.
    pub vin: u32,
    /// Its block's height.
    pub height: u32,
}

/// Where all of it is: under every rule but `poison`, the parts add up to the source.
#[derive(Clone, Copy, Debug, Deserialize)]
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

/// One transaction that spent tainted coins.
#[derive(Clone, Debug, Deserialize)]
pub struct Move {
    /// Its id.
    pub txid: String,
    /// Its block's height.
    pub height: u32,
    /// Its index in that block.
    pub tx_index: u32,
    /// The time of that block.
    pub time: Option<i64>,
    /// What of its fee is tainted.
    pub fees_sat: u64,
}
