//! Random chains and lists, an index of them that follows coins, and the taint oracle's answers about them.

use std::collections::{BTreeMap, BTreeSet};

use bitcoin::{Block, OutPoint, ScriptBuf, TxOut};
use coinhound::index::ReadRows;
use coinhound::index::meta::TraceParameters;
use coinhound::query::trace::{RuleAnswer, TracedCoinRow};
use coinhound::sync::plan::wanted::WantedTrace;
use coinhound::trace::Rule;

use crate::oracle::taint::{self, ListedScript, OracleCoin, OracleTrace, Question};
use crate::support::chain::outputs;
use crate::support::effort::each_case;
use crate::support::random::{self, Rng};
use crate::support::scripts::Shape;
use crate::support::source::Branch;
use crate::support::swept::SweptIndex;

/// Random lists of a chain's scripts: flagged ones, services, both. Many scripts share few labels.
fn draw_lists(blocks: &[Block], rng: &mut Rng) -> Vec<ListedScript> {
    let outputs = blocks.iter().flat_map(|block| &block.txdata).flat_map(|transaction| &transaction.output);
    let mut scripts: Vec<&ScriptBuf> =
        outputs.map(|output| &output.script_pubkey).collect::<BTreeSet<_>>().into_iter().collect();
    let mut listed = Vec::new();
    let count = 1 + rng.index(12);
    while !scripts.is_empty() && listed.len() < count {
        let script = scripts.swap_remove(rng.index(scripts.len())).clone();
        let from = if rng.once_in(3) { rng.below(blocks.len() as u64) } else { 0 };
        let from = u32::try_from(from).expect("a short chain");
        let (flagged, service) = match rng.below(6) {
            0 => (None, true),
            1 => (Some(from), true),
            _ => (Some(from), false),
        };
        listed.push(ListedScript { script, flagged, service, label: format!("label {}", rng.below(3)) });
    }
    listed
}

/// Random trace parameters.
fn parameters(rng: &mut Rng) -> TraceParameters {
    TraceParameters {
        rules: rng.pick(&[vec![], vec![Rule::Fifo], vec![Rule::Haircut, Rule::Fifo], Rule::ALL[1..].to_vec()]).clone(),
        min_taint_sat: *rng.pick(&[1, 1_000, 100_000, 100_000_000]),
        max_hops: *rng.pick(&[None, None, Some(1), Some(5)]),
    }
}

fn wanted(parameters: &TraceParameters) -> WantedTrace {
    WantedTrace {
        rules: Some(parameters.rules.clone()),
        min_taint_sat: Some(parameters.min_taint_sat),
        max_hops: Some(parameters.max_hops.into()),
    }
}

/// A chain, lists, and the index of both.
pub struct TaintCase {
    /// Names the case if a check fails.
    pub name: String,
    /// For whatever else a property draws.
    pub rng: Rng,
    /// The chain.
    pub blocks: Vec<Block>,
    /// The lists.
    pub listed: Vec<ListedScript>,
    /// The trace parameters of the index.
    pub parameters: TraceParameters,
    /// Every output of the chain.
    pub outputs: BTreeMap<OutPoint, TxOut>,
    followed: BTreeSet<(OutPoint, u32)>,
    /// Which shape of which key each script is.
    pub keys: BTreeMap<ScriptBuf, (Shape, u32)>,
    /// The index, swept to the tip.
    pub index: SweptIndex,
}

impl TaintCase {
    /// Draws the case of this number.
    pub fn draw(property: u64, number: u64) -> Self {
        let seed = property * 1_000_000 + number;
        let mut rng = Rng::new(seed);
        let height = if number.is_multiple_of(3) { 150 + rng.below(30) } else { 105 + rng.below(30) };
        let chain = random::chain(seed, u32::try_from(height).expect("a short chain"));
        let blocks = chain.blocks().to_vec();
        let (listed, parameters) = (draw_lists(&blocks, &mut rng), parameters(&mut rng));
        let index = SweptIndex::fresh_tracking(&Branch::new(&blocks), taint::entries(&listed), &wanted(&parameters));
        let followed = taint::followed(&blocks, &listed, &parameters);
        let all = blocks.iter().flat_map(|block| &block.txdata).flat_map(outputs);
        let outputs: BTreeMap<_, _> = all.map(|(at, output)| (at, output.clone())).collect();
        let known = |output: &TxOut| Some((output.script_pubkey.clone(), chain.wallet.recall(&output.script_pubkey)?));
        let keys = outputs.values().filter_map(known).collect();
        let name = format!("seed {seed}, height {height}, {} listed, {parameters:?}", listed.len());
        Self { name, rng, blocks, listed, parameters, outputs, followed, keys, index }
    }

    /// The same lists and parameters, swept to a lower height.
    pub fn index_to(&self, height: u32) -> SweptIndex {
        let blocks = Branch::new(&self.blocks[..=height as usize]);
        SweptIndex::fresh_tracking(&blocks, taint::entries(&self.listed), &wanted(&self.parameters))
    }

    /// The taint and the hops of each coin when it was made, under the index's gates, for each tracked rule. With a label, only the
    /// scripts of that label are sources.
    pub fn holdings(&self, label: Option<&str>) -> Vec<BTreeMap<OutPoint, (u64, u32)>> {
        let named = |listed: &&ListedScript| label.is_none_or(|label| listed.label == label);
        let sources: Vec<ListedScript> = self.listed.iter().filter(named).cloned().collect();
        let of = |rule: &Rule| {
            let ask = Question {
                scripts: taint::flagged(&sources),
                outpoints: BTreeSet::new(),
                rule: *rule,
                min_taint: self.parameters.min_taint_sat,
                max_hops: self.parameters.max_hops,
                stop_flagged: false,
                at: self.tip(),
            };
            let made = taint::trace(&self.blocks, &self.listed, &ask, &|_, _, _| true).made;
            made.into_iter().map(|((outpoint, _), (taint, hops, ..))| (outpoint, (taint, hops))).collect()
        };
        self.parameters.rules.iter().map(of).collect()
    }

    /// The chain's last height.
    pub fn tip(&self) -> u32 {
        u32::try_from(self.blocks.len() - 1).expect("a short chain")
    }

    /// A random target, as typed on the command line, and its sources: scripts and coins.
    pub fn target(&mut self) -> (String, BTreeMap<ScriptBuf, u32>, BTreeSet<OutPoint>) {
        let flagged = taint::flagged(&self.listed);
        let is_known = |at: &&OutPoint| !self.index.writer().positions(at.txid).expect("the index reads").is_empty();
        let known: Vec<OutPoint> = self.outputs.keys().filter(is_known).copied().collect();
        match self.rng.below(4) {
            0 if !flagged.is_empty() => {
                let script = self.rng.pick(&flagged.keys().cloned().collect::<Vec<_>>()).clone();
                let from = flagged[&script];
                (format!("script:{}", script.to_hex_string()), BTreeMap::from([(script, from)]), BTreeSet::new())
            }
            1 if !known.is_empty() => {
                let outpoint = *self.rng.pick(&known);
                (outpoint.to_string(), BTreeMap::new(), BTreeSet::from([outpoint]))
            }
            2 if !known.is_empty() => {
                let txid = self.rng.pick(&known).txid;
                let of = self.outputs.keys().filter(|at| at.txid == txid).copied().collect();
                (txid.to_string(), BTreeMap::new(), of)
            }
            _ => ("all".into(), flagged, BTreeSet::new()),
        }
    }

    /// The oracle's answer, as far as this index can see.
    pub fn expected(&self, ask: &Question) -> OracleTrace {
        let flagged = taint::flagged(&self.listed);
        let in_sight = |at: OutPoint, height, named| {
            let on_list = flagged.get(&self.outputs[&at].script_pubkey).is_some_and(|from| *from <= height);
            let is_spent = || self.index.writer().spender(&at).expect("the index reads").is_some();
            on_list || self.followed.contains(&(at, height)) || (named && is_spent())
        };
        taint::trace(&self.blocks, &self.listed, ask, &in_sight)
    }
}

/// Draws cases of a property and checks each.
pub fn each(property: u64, check: impl Fn(&mut TaintCase)) {
    let draw = |number| {
        let case = TaintCase::draw(property, number);
        (case.name.clone(), case)
    };
    each_case(10, draw, check);
}

/// Panics unless the answer under a rule is the oracle's.
pub fn assert_traced(found: &RuleAnswer, expected: &OracleTrace, what: &str) {
    let mut coins: Vec<&OracleCoin> = expected.coins.iter().filter(|coin| coin.taint > 0).collect();
    // Sources first, and among them those that are known by their spend alone; otherwise in chain order.
    coins.sort_by_key(|coin| (!coin.source, coin.by_spend.is_none(), coin.by_spend, coin.made, coin.outpoint.vout));
    let expected_rows: Vec<_> = coins
        .iter()
        .map(|coin| {
            let height = coin.made.map(|(height, _)| height);
            (coin.outpoint, height, coin.value, coin.taint, coin.carried, coin.hops, coin.state, coin.spent_by)
        })
        .collect();
    let row = |coin: &TracedCoinRow| {
        let spent_by = coin.spent_by.as_ref().map(|by| (by.txid, by.vin, by.height));
        let state = coin.state.name();
        (coin.outpoint, coin.height, coin.value_sat, coin.taint_sat, coin.carried_sat, coin.hops, state, spent_by)
    };
    let rows: Vec<_> = found.coins.iter().map(row).collect();
    for (at, (found, expected)) in rows.iter().zip(&expected_rows).enumerate() {
        assert_eq!(found, expected, "{what}: coin {at}");
    }
    assert_eq!(rows.len(), expected_rows.len(), "{what}: number of coins");
    let frontier = ["anyone_can_spend", "max_hops", "below_min_taint", "too_fragmented", "not_followed"]
        .map(|state| expected.sum(state));
    let sum = &found.sum;
    let parts =
        [sum.unspent_sat, sum.unspendable_sat, sum.service_sat, sum.flagged_sat, sum.frontier_sat, sum.fees_sat];
    let states = ["unspent", "unspendable", "service", "flagged"].map(|state| expected.sum(state));
    let [unspent, unspendable, service, flagged] = states;
    let expected_parts = [unspent, unspendable, service, flagged, frontier.iter().sum(), expected.fees];
    assert_eq!((parts, sum.source_sat), (expected_parts, expected.source()), "{what}: the sum");
    let reasons = &found.frontier;
    let reasons = [
        reasons.anyone_can_spend_sat,
        reasons.max_hops_sat,
        reasons.below_min_taint_sat,
        reasons.too_fragmented_sat,
        reasons.not_followed_sat,
    ];
    assert_eq!(reasons, frontier, "{what}: the frontier");
    if found.rule.conserves() {
        assert_eq!(sum.parts(), sum.source_sat, "{what}: the parts add up");
    }
    assert_flow(found, what);
}

/// Panics unless every coin that got taint was made by a transaction of the trace, whose inputs carried as much taint as its outputs
/// and its miner got.
fn assert_flow(found: &RuleAnswer, what: &str) {
    let mut got: BTreeMap<_, u64> = BTreeMap::new();
    for coin in found.coins.iter().filter(|coin| coin.carried_sat > 0) {
        // BIP30's twins share an id; these chains have none.
        *got.entry(coin.outpoint.txid).or_default() += coin.carried_sat;
    }
    let taints: BTreeMap<_, _> = found.coins.iter().map(|coin| (coin.outpoint, coin.taint_sat)).collect();
    for spend in &found.transactions {
        let carried: u64 = spend.inputs.iter().map(|input| input.taint_sat).sum();
        assert!(spend.inputs.iter().all(|input| taints[&input.outpoint] == input.taint_sat), "{what}: {spend:?}");
        let got = got.remove(&spend.txid).unwrap_or_default() + spend.fees_sat;
        assert!(!found.rule.conserves() || got == carried, "{what}: {} passed on {got} of {carried}", spend.txid);
    }
    assert!(got.is_empty(), "{what}: taint from nowhere in {got:?}");
    let services: u64 = found.services.iter().map(|service| service.taint_sat).sum();
    assert_eq!(services, found.sum.service_sat, "{what}: services");
}
