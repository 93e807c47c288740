//! The naive tracer: docs/design.md, "Trace", over the whole chain, slow and obvious, transaction by transaction, one rule at a time.
//!
//! Of coinhound it uses the rules themselves, which have their own tests, and nothing around them.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use bitcoin::{Block, OutPoint, ScriptBuf, Transaction, TxOut, Txid};
use coinhound::chain::ScriptHash;
use coinhound::index::meta::TraceParameters;
use coinhound::sync::plan::change::Entries;
use coinhound::trace::{Part, Rule, Segment};
use coinhound::watchlist::entries::Entry;
use coinhound::watchlist::{Label, Role};

/// A script on a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedScript {
    /// The script.
    pub script: ScriptBuf,
    /// The height it is flagged from; `None` where it isn't flagged.
    pub flagged: Option<u32>,
    /// Whether it is a service's.
    pub service: bool,
    /// The one label it has.
    pub label: String,
}

/// The lists as entries.
pub fn entries(listed: &[ListedScript]) -> Entries {
    let entry = |listed: &ListedScript| {
        let roles: BTreeSet<Role> = [(listed.flagged.is_some(), Role::Flagged), (listed.service, Role::Service)]
            .into_iter()
            .filter_map(|(has, role)| has.then_some(role))
            .collect();
        let label = |role: &Role| Label {
            list: "list.csv".into(),
            label: Some(listed.label.clone()),
            source: None,
            category: None,
            role: *role,
            from: listed.flagged,
            line: 1,
            extra: BTreeMap::new(),
        };
        let (script, from, labels) =
            (listed.script.clone(), listed.flagged.unwrap_or(0), roles.iter().map(label).collect());
        (ScriptHash::of(&script), Entry { script, from, labels })
    };
    listed.iter().map(entry).collect()
}

/// The flagged scripts, each with its height.
pub fn flagged(listed: &[ListedScript]) -> BTreeMap<ScriptBuf, u32> {
    listed.iter().filter_map(|listed| Some((listed.script.clone(), listed.flagged?))).collect()
}

/// What an index of these lists and parameters follows: the coins that some tracked rule does, with all flagged scripts as sources.
pub fn followed(blocks: &[Block], listed: &[ListedScript], parameters: &TraceParameters) -> BTreeSet<(OutPoint, u32)> {
    let mut followed = BTreeSet::new();
    for rule in &parameters.rules {
        let ask = Question {
            scripts: flagged(listed),
            outpoints: BTreeSet::new(),
            rule: *rule,
            min_taint: parameters.min_taint_sat,
            max_hops: parameters.max_hops,
            stop_flagged: false,
            at: u32::MAX,
        };
        let made = trace(blocks, listed, &ask, &|_, _, _| true).made;
        followed.extend(made.into_iter().filter(|(_, (.., fate))| *fate == "followed").map(|(coin, _)| coin));
    }
    followed
}

/// What is traced, and how far.
#[derive(Clone, Debug)]
pub struct Question {
    /// Scripts that are sources, each from a height on.
    pub scripts: BTreeMap<ScriptBuf, u32>,
    /// Coins that are sources.
    pub outpoints: BTreeSet<OutPoint>,
    /// The rule.
    pub rule: Rule,
    /// Coins with less taint aren't followed.
    pub min_taint: u64,
    /// Coins with more hops aren't followed.
    pub max_hops: Option<u32>,
    /// Whether it stops at flagged scripts that are no source.
    pub stop_flagged: bool,
    /// The last block.
    pub at: u32,
}

/// A coin of a trace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OracleCoin {
    /// The output.
    pub outpoint: OutPoint,
    /// Height and index of the transaction that made it; `None` where it became a source by its spend alone.
    pub made: Option<(u32, u32)>,
    /// The input that made it a source by spending it: height, transaction, input.
    pub by_spend: Option<(u32, u32, u32)>,
    /// Its value.
    pub value: u64,
    /// Its script.
    pub script: ScriptBuf,
    /// Whether it is a source.
    pub source: bool,
    /// Its taint.
    pub taint: u64,
    /// What followed taint brought into it.
    pub carried: u64,
    /// Fewest spends from a source.
    pub hops: u32,
    /// Runs of tainted and clean satoshis, where there are several.
    pub segments: Vec<Segment>,
    /// What became of it, as answers spell it.
    pub state: &'static str,
    /// The input that spent it: transaction, input, height.
    pub spent_by: Option<(Txid, u32, u32)>,
}

/// What a coin was when it was made: taint, hops, segments, fate.
pub type Made = (u64, u32, Vec<Segment>, &'static str);

/// What came of a trace.
#[derive(Debug, Default)]
pub struct OracleTrace {
    /// In the order in which they came up.
    pub coins: Vec<OracleCoin>,
    /// Paid to miners.
    pub fees: u64,
    /// Of each coin what it was when it was made, before later blocks had their say.
    pub made: BTreeMap<(OutPoint, u32), Made>,
    /// Transactions that spent a followed coin: height, index.
    pub moves: BTreeSet<(u32, u32)>,
}

impl OracleTrace {
    /// The value of the sources, less what came back into them.
    pub fn source(&self) -> u64 {
        self.coins.iter().filter(|coin| coin.source).map(|coin| coin.value - coin.carried).sum()
    }

    /// The taint in coins of this state.
    pub fn sum(&self, state: &str) -> u64 {
        self.coins.iter().filter(|coin| coin.state == state).map(|coin| coin.taint).sum()
    }
}

/// An unspent output, and its place among the coins of the trace if it is one.
struct Unspent {
    output: TxOut,
    coin: Option<usize>,
}

/// Traces. `in_sight` says of a coin that the trace follows (outpoint, height, whether it was named as a source) whether the
/// index looked for its spend.
pub fn trace(
    blocks: &[Block],
    listed: &[ListedScript],
    ask: &Question,
    in_sight: &dyn Fn(OutPoint, u32, bool) -> bool,
) -> OracleTrace {
    let mut tracer = TaintOracle { listed, ask, in_sight, utxo: HashMap::new(), traced: OracleTrace::default() };
    for (height, block) in (0..=ask.at).zip(blocks) {
        for (tx_index, transaction) in (0..).zip(&block.txdata) {
            tracer.apply(height, tx_index, transaction);
        }
    }
    tracer.traced
}

struct TaintOracle<'a> {
    listed: &'a [ListedScript],
    ask: &'a Question,
    in_sight: &'a dyn Fn(OutPoint, u32, bool) -> bool,
    utxo: HashMap<OutPoint, Unspent>,
    traced: OracleTrace,
}

impl TaintOracle<'_> {
    fn apply(&mut self, height: u32, tx_index: u32, transaction: &Transaction) {
        let txid = transaction.compute_txid();
        // Value, taint, hops, segments of each input.
        let mut inputs: Vec<(u64, u64, u32, Vec<Segment>)> = Vec::new();
        for (vin, input) in (0..).zip(&transaction.input).filter(|_| tx_index > 0) {
            let at = input.previous_output;
            let Unspent { output, coin } = self.utxo.remove(&at).expect("the test's chain spends what it has");
            let value = output.value.to_sat();
            let coin = if self.is_source(&output.script_pubkey, height) || self.ask.outpoints.contains(&at) {
                Some(self.become_source(coin, at, &output, (height, tx_index, vin)))
            } else {
                coin
            };
            let Some(coin) = coin.map(|coin| &mut self.traced.coins[coin]) else {
                inputs.push((value, 0, 0, Vec::new()));
                continue;
            };
            if coin.state != "unspent" {
                inputs.push((value, 0, 0, Vec::new()));
                continue;
            }
            coin.state = "spent";
            coin.spent_by = Some((txid, vin, height));
            inputs.push((value, coin.taint, coin.hops, coin.segments.clone()));
            self.traced.moves.insert((height, tx_index));
        }
        let parts: Vec<Part<'_>> =
            inputs.iter().map(|(value, taint, _, segments)| Part { value: *value, taint: *taint, segments }).collect();
        let values: Vec<u64> = transaction.output.iter().map(|output| output.value.to_sat()).collect();
        let hops = inputs.iter().filter(|(_, taint, ..)| *taint > 0).map(|(_, _, hops, _)| hops + 1).min();
        let shares = hops.map(|_| self.ask.rule.spread(&parts, &values));
        self.traced.fees += shares.as_ref().map_or(0, |shares| shares.fee);
        for (vout, output) in (0..).zip(&transaction.output) {
            let outpoint = OutPoint { txid, vout };
            let share = shares.as_ref().map(|shares| shares.outputs[vout as usize].clone()).unwrap_or_default();
            let source = self.is_source(&output.script_pubkey, height) || self.ask.outpoints.contains(&outpoint);
            let coin = if source {
                let fate = "followed";
                Some(self.make(
                    (height, tx_index),
                    outpoint,
                    output,
                    true,
                    (output.value.to_sat(), 0, Vec::new(), fate),
                    share.taint,
                ))
            } else if share.taint > 0 {
                let hops = hops.expect("a share comes from some input");
                let fate = self.fate(&output.script_pubkey, height, share.taint, hops);
                let made = (share.taint, hops, share.segments, fate);
                Some(self.make((height, tx_index), outpoint, output, false, made, share.taint))
            } else {
                None
            };
            let elder = self.utxo.insert(outpoint, Unspent { output: output.clone(), coin });
            if let Some(elder) = elder.and_then(|elder| elder.coin).map(|elder| &mut self.traced.coins[elder])
                && !matches!(elder.state, "flagged" | "service")
            {
                elder.state = "unspendable";
            }
        }
    }

    fn is_source(&self, script: &ScriptBuf, height: u32) -> bool {
        self.ask.scripts.get(script).is_some_and(|from| *from <= height)
    }

    /// The first that fits, of a coin that is no source.
    fn fate(&self, script: &ScriptBuf, height: u32, taint: u64, hops: u32) -> &'static str {
        let listed = self.listed.iter().find(|listed| listed.script == *script);
        let flagged = listed.and_then(|listed| listed.flagged).is_some_and(|from| from <= height);
        if self.ask.stop_flagged && flagged {
            "flagged"
        } else if listed.is_some_and(|listed| listed.service) {
            "service"
        } else if is_unspendable(script) {
            "unspendable"
        } else if script.is_empty() {
            "anyone_can_spend"
        } else if self.ask.max_hops.is_some_and(|most| hops > most) {
            "max_hops"
        } else if taint < self.ask.min_taint {
            "below_min_taint"
        } else {
            "followed"
        }
    }

    /// Notes a coin; what became of it is open unless its fate is not to be followed.
    fn make(
        &mut self,
        at: (u32, u32),
        outpoint: OutPoint,
        output: &TxOut,
        source: bool,
        made: Made,
        carried: u64,
    ) -> usize {
        let (taint, hops, segments, fate) = made.clone();
        let state = match fate {
            "followed" if at.0 == 0 || is_unspendable(&output.script_pubkey) => "unspendable",
            "followed" if (self.in_sight)(outpoint, at.0, self.ask.outpoints.contains(&outpoint)) => "unspent",
            "followed" => "not_followed",
            other => other,
        };
        self.traced.made.insert((outpoint, at.0), made);
        let (value, script) = (output.value.to_sat(), output.script_pubkey.clone());
        let (made, by_spend, spent_by) = (Some(at), None, None);
        self.traced.coins.push(OracleCoin {
            outpoint,
            made,
            by_spend,
            value,
            script,
            source,
            taint,
            carried,
            hops,
            segments,
            state,
            spent_by,
        });
        self.traced.coins.len() - 1
    }

    /// A coin older than the height its script is flagged from becomes a source by being spent.
    fn become_source(&mut self, coin: Option<usize>, outpoint: OutPoint, output: &TxOut, by: (u32, u32, u32)) -> usize {
        let at = coin.unwrap_or_else(|| {
            let (value, script) = (output.value.to_sat(), output.script_pubkey.clone());
            let coin = OracleCoin {
                outpoint,
                made: None,
                by_spend: None,
                value,
                script,
                source: false,
                taint: 0,
                carried: 0,
                hops: 0,
                segments: Vec::new(),
                state: "unspent",
                spent_by: None,
            };
            self.traced.coins.push(coin);
            self.traced.coins.len() - 1
        });
        let coin = &mut self.traced.coins[at];
        if !coin.source {
            (coin.source, coin.state, coin.by_spend) = (true, "unspent", Some(by));
            (coin.carried, coin.taint, coin.hops, coin.segments) = (coin.taint, coin.value, 0, Vec::new());
        }
        at
    }
}

/// Nobody can ever spend what this script holds.
fn is_unspendable(script: &ScriptBuf) -> bool {
    script.as_bytes().first() == Some(&0x6a) || script.len() > 10_000
}
