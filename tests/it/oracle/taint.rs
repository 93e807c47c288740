//! The taint oracle: what `trace` must answer (docs/design.md, "Trace"), over the whole chain, one transaction and one rule at a time.
//!
//! Of coinhound it uses the taint rules themselves, which have their own tests, and nothing around them.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use bitcoin::{Block, OutPoint, ScriptBuf, Transaction, TxOut, Txid};
use coinhound::index::meta::TraceParameters;
use coinhound::sync::plan::wanted::Entries;
use coinhound::trace::{Part, Rule, Segment};
use coinhound::watchlist::Role;

use crate::oracle::touches::is_unspendable;
use crate::support::lists::entry;

/// A coin keeps no more runs of tainted and clean satoshis than this (docs/taint.md).
pub const MOST_SEGMENTS: usize = 1_024;

/// A script on a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedScript {
    /// The script.
    pub script: ScriptBuf,
    /// Height it is flagged from; `None` if it isn't flagged.
    pub flagged: Option<u32>,
    /// Whether it belongs to a service.
    pub service: bool,
    /// Its only label.
    pub label: String,
}

/// The index entries of these scripts.
pub fn entries(listed: &[ListedScript]) -> Entries {
    let of = |listed: &ListedScript| {
        let roles = [(listed.flagged.is_some(), Role::Flagged), (listed.service, Role::Service)];
        let roles = roles.into_iter().filter(|(has, _)| *has).map(|(_, role)| (role, listed.label.clone()));
        entry(&listed.script, listed.flagged, &roles.collect::<Vec<_>>())
    };
    listed.iter().map(of).collect()
}

/// The flagged scripts with the height each is flagged from.
pub fn flagged(listed: &[ListedScript]) -> BTreeMap<ScriptBuf, u32> {
    listed.iter().filter_map(|listed| Some((listed.script.clone(), listed.flagged?))).collect()
}

/// The coins that an index of these lists and parameters follows: those that some tracked rule follows, with all flagged scripts
/// as sources.
pub fn followed(blocks: &[Block], listed: &[ListedScript], parameters: &TraceParameters) -> BTreeSet<(OutPoint, u32)> {
    let mut followed = BTreeSet::new();
    for rule in &parameters.rules {
        let question = Question {
            scripts: flagged(listed),
            outpoints: BTreeSet::new(),
            rule: *rule,
            min_taint: parameters.min_taint_sat,
            max_hops: parameters.max_hops,
            stop_flagged: false,
            at: u32::MAX,
        };
        let made = trace(blocks, listed, &question, &|_, _, _| true).made;
        followed.extend(made.into_iter().filter(|(_, (.., fate))| *fate == "followed").map(|(coin, _)| coin));
    }
    followed
}

/// The sources of a trace and its limits.
#[derive(Clone, Debug)]
pub struct Question {
    /// Scripts whose coins are sources, each from this height on.
    pub scripts: BTreeMap<ScriptBuf, u32>,
    /// Coins that are sources.
    pub outpoints: BTreeSet<OutPoint>,
    /// How taint passes from inputs to outputs.
    pub rule: Rule,
    /// Coins with less taint (satoshis) aren't followed.
    pub min_taint: u64,
    /// Coins with more hops aren't followed.
    pub max_hops: Option<u32>,
    /// Whether the trace stops at flagged scripts that aren't sources.
    pub stop_flagged: bool,
    /// Height of the last block that is read.
    pub at: u32,
}

/// A coin of a trace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OracleCoin {
    /// The output.
    pub outpoint: OutPoint,
    /// Height and index of the transaction that made it; `None` if it is older than its script's flag and became a source when it
    /// was spent.
    pub made: Option<(u32, u32)>,
    /// The input that made it a source by spending it: height, transaction, input.
    pub by_spend: Option<(u32, u32, u32)>,
    /// Value in satoshis.
    pub value: u64,
    /// Its script.
    pub script: ScriptBuf,
    /// Whether it is a source.
    pub source: bool,
    /// Taint in satoshis.
    pub taint: u64,
    /// Taint in satoshis that followed coins passed into it.
    pub carried: u64,
    /// Fewest spends from a source.
    pub hops: u32,
    /// Runs of tainted and clean satoshis, if there are several.
    pub segments: Vec<Segment>,
    /// Its state, as answers spell it.
    pub state: &'static str,
    /// The input that spent it: transaction, input, height.
    pub spent_by: Option<(Txid, u32, u32)>,
}

/// What a coin was when it was made: taint, hops, segments, fate.
pub type Made = (u64, u32, Vec<Segment>, &'static str);

/// The result of a trace.
#[derive(Debug, Default)]
pub struct OracleTrace {
    /// In the order in which the trace met them.
    pub coins: Vec<OracleCoin>,
    /// Tainted satoshis paid to miners.
    pub fees: u64,
    /// What each coin was when it was made, before later blocks changed its state.
    pub made: BTreeMap<(OutPoint, u32), Made>,
    /// Transactions that spent a followed coin: height, index.
    pub moves: BTreeSet<(u32, u32)>,
}

impl OracleTrace {
    /// The value of the sources, less the taint that came back into them.
    pub fn source(&self) -> u64 {
        self.coins.iter().filter(|coin| coin.source).map(|coin| coin.value - coin.carried).sum()
    }

    /// The taint in coins of this state.
    pub fn sum(&self, state: &str) -> u64 {
        self.coins.iter().filter(|coin| coin.state == state).map(|coin| coin.taint).sum()
    }
}

/// An unspent output, and its index among the coins of the trace if it is one.
struct Unspent {
    output: TxOut,
    coin: Option<usize>,
}

/// The taint that an input brings.
struct InputTaint {
    value: u64,
    taint: u64,
    hops: u32,
    segments: Vec<Segment>,
}

/// Traces. `in_sight` says whether the index looked for the spend of a coin that the trace follows; it is given the outpoint, the
/// height, and whether the coin was named as a source.
pub fn trace(
    blocks: &[Block],
    listed: &[ListedScript],
    question: &Question,
    in_sight: &dyn Fn(OutPoint, u32, bool) -> bool,
) -> OracleTrace {
    let mut oracle = TaintOracle { listed, question, in_sight, utxo: HashMap::new(), trace: OracleTrace::default() };
    for (height, block) in (0..=question.at).zip(blocks) {
        for (tx_index, transaction) in (0..).zip(&block.txdata) {
            oracle.apply((height, tx_index), transaction);
        }
    }
    oracle.trace
}

/// A trace under way.
struct TaintOracle<'a> {
    listed: &'a [ListedScript],
    question: &'a Question,
    in_sight: &'a dyn Fn(OutPoint, u32, bool) -> bool,
    utxo: HashMap<OutPoint, Unspent>,
    trace: OracleTrace,
}

impl TaintOracle<'_> {
    /// Applies a transaction, which is at this height and index.
    fn apply(&mut self, at: (u32, u32), transaction: &Transaction) {
        let txid = transaction.compute_txid();
        let inputs = if at.1 == 0 { Vec::new() } else { self.spend_inputs(at, txid, transaction) };
        let part = |input| {
            let InputTaint { value, taint, segments, .. }: &InputTaint = input;
            Part { value: *value, taint: *taint, segments }
        };
        let parts: Vec<Part<'_>> = inputs.iter().map(part).collect();
        let values: Vec<u64> = transaction.output.iter().map(|output| output.value.to_sat()).collect();
        let hops = inputs.iter().filter(|input| input.taint > 0).map(|input| input.hops + 1).min();
        let shares = hops.map(|_| self.question.rule.spread(&parts, &values));
        self.trace.fees += shares.as_ref().map_or(0, |shares| shares.fee);
        for (vout, output) in (0..).zip(&transaction.output) {
            let outpoint = OutPoint { txid, vout };
            let share = shares.as_ref().map(|shares| shares.outputs[vout as usize].clone()).unwrap_or_default();
            let coin = if self.is_source(outpoint, &output.script_pubkey, at.0) {
                let made = (output.value.to_sat(), 0, Vec::new(), "followed");
                Some(self.make(at, outpoint, output, made, Some(share.taint)))
            } else if share.taint > 0 {
                let hops = hops.expect("a share comes from an input");
                let fate = self.fate(&output.script_pubkey, at.0, (share.taint, hops, share.segments.len()));
                let segments = if share.segments.len() > MOST_SEGMENTS { Vec::new() } else { share.segments };
                Some(self.make(at, outpoint, output, (share.taint, hops, segments, fate), None))
            } else {
                None
            };
            // BIP30: a coin with the same outpoint is overwritten.
            let elder = self.utxo.insert(outpoint, Unspent { output: output.clone(), coin });
            if let Some(elder) = elder.and_then(|elder| elder.coin).map(|elder| &mut self.trace.coins[elder])
                && !matches!(elder.state, "flagged" | "service")
            {
                elder.state = "unspendable";
            }
        }
    }

    /// Spends what a transaction's inputs name, and returns the taint that each input brings.
    fn spend_inputs(
        &mut self,
        (height, tx_index): (u32, u32),
        txid: Txid,
        transaction: &Transaction,
    ) -> Vec<InputTaint> {
        let mut inputs = Vec::new();
        for (vin, input) in (0..).zip(&transaction.input) {
            let outpoint = input.previous_output;
            let Unspent { output, mut coin } = self.utxo.remove(&outpoint).expect("a coin of the test's chain");
            if self.is_source(outpoint, &output.script_pubkey, height) {
                coin = Some(self.become_source(coin, outpoint, &output, (height, tx_index, vin)));
            }
            let mut brought = InputTaint { value: output.value.to_sat(), taint: 0, hops: 0, segments: Vec::new() };
            if let Some(coin) = coin.map(|coin| &mut self.trace.coins[coin])
                && coin.state == "unspent"
            {
                coin.state = "spent";
                coin.spent_by = Some((txid, vin, height));
                (brought.taint, brought.hops, brought.segments) = (coin.taint, coin.hops, coin.segments.clone());
                self.trace.moves.insert((height, tx_index));
            }
            inputs.push(brought);
        }
        inputs
    }

    fn is_source(&self, outpoint: OutPoint, script: &ScriptBuf, height: u32) -> bool {
        let by_script = self.question.scripts.get(script).is_some_and(|from| *from <= height);
        by_script || self.question.outpoints.contains(&outpoint)
    }

    /// The fate of a coin that isn't a source: the first that applies.
    fn fate(&self, script: &ScriptBuf, height: u32, (taint, hops, segments): (u64, u32, usize)) -> &'static str {
        let listed = self.listed.iter().find(|listed| listed.script == *script);
        let flagged = listed.and_then(|listed| listed.flagged).is_some_and(|from| from <= height);
        if self.question.stop_flagged && flagged {
            "flagged"
        } else if listed.is_some_and(|listed| listed.service) {
            "service"
        } else if is_unspendable(script) {
            "unspendable"
        } else if script.is_empty() {
            "anyone_can_spend"
        } else if self.question.max_hops.is_some_and(|most| hops > most) {
            "max_hops"
        } else if taint < self.question.min_taint {
            "below_min_taint"
        } else if segments > MOST_SEGMENTS {
            "too_fragmented"
        } else {
            "followed"
        }
    }

    /// Adds a coin; a source says how much taint is carried into it. Later blocks decide the state of a coin that is followed.
    fn make(
        &mut self,
        at: (u32, u32),
        outpoint: OutPoint,
        output: &TxOut,
        made: Made,
        into_source: Option<u64>,
    ) -> usize {
        self.trace.made.insert((outpoint, at.0), made.clone());
        let (taint, hops, segments, fate) = made;
        let state = match fate {
            "followed" if at.0 == 0 || is_unspendable(&output.script_pubkey) => "unspendable",
            "followed" if (self.in_sight)(outpoint, at.0, self.question.outpoints.contains(&outpoint)) => "unspent",
            "followed" => "not_followed",
            other => other,
        };
        let coin = OracleCoin {
            made: Some(at),
            source: into_source.is_some(),
            taint,
            carried: into_source.unwrap_or(taint),
            hops,
            segments,
            state,
            ..OracleCoin::unmade(outpoint, output)
        };
        self.trace.coins.push(coin);
        self.trace.coins.len() - 1
    }

    /// Makes a coin a source that is older than the height its script is flagged from: its spend does that.
    fn become_source(&mut self, coin: Option<usize>, outpoint: OutPoint, output: &TxOut, by: (u32, u32, u32)) -> usize {
        let at = coin.unwrap_or_else(|| {
            self.trace.coins.push(OracleCoin::unmade(outpoint, output));
            self.trace.coins.len() - 1
        });
        let coin = &mut self.trace.coins[at];
        if !coin.source {
            (coin.source, coin.state, coin.by_spend) = (true, "unspent", Some(by));
            (coin.carried, coin.taint, coin.hops, coin.segments) = (coin.taint, coin.value, 0, Vec::new());
        }
        at
    }
}

impl OracleCoin {
    /// A coin that the trace hasn't seen made, without taint.
    fn unmade(outpoint: OutPoint, output: &TxOut) -> Self {
        Self {
            outpoint,
            made: None,
            by_spend: None,
            value: output.value.to_sat(),
            script: output.script_pubkey.clone(),
            source: false,
            taint: 0,
            carried: 0,
            hops: 0,
            segments: Vec::new(),
            state: "unspent",
            spent_by: None,
        }
    }
}
