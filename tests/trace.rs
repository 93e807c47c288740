//! `trace` is the naive tracer's answer: coins, taint, hops, states and sums, for every rule, on random chains, lists and gates.

mod common;

use std::collections::{BTreeMap, BTreeSet};

use bitcoin::{Block, OutPoint, ScriptBuf, TxOut};
use coinhound::index::meta::TraceParameters;
use coinhound::query::Snapshot;
use coinhound::query::trace::{self, RuleAnswer, TraceAnswer};
use coinhound::trace::Rule;

use common::blocks::outputs;
use common::indexed::{self, Indexed};
use common::random::{self, Rng};
use common::swept::watched;
use common::tracer::{Ask, Coin, Listed, Traced};

/// Random lists over the scripts of a chain: flagged, services, both; few labels for many.
fn listed(blocks: &[Block], rng: &mut Rng) -> Vec<Listed> {
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
        listed.push(Listed { script, flagged, service, label: format!("label {}", rng.below(3)) });
    }
    listed
}

/// What an index tracks.
fn parameters(rng: &mut Rng) -> TraceParameters {
    TraceParameters {
        rules: rng.pick(&[vec![], vec![Rule::Fifo], vec![Rule::Haircut, Rule::Fifo], Rule::ALL[1..].to_vec()]).clone(),
        min_taint_sat: *rng.pick(&[1, 1_000, 100_000, 100_000_000]),
        max_hops: *rng.pick(&[None, None, Some(1), Some(5)]),
    }
}

/// A chain, lists, and the index of both.
struct Case {
    name: String,
    rng: Rng,
    blocks: Vec<Block>,
    listed: Vec<Listed>,
    parameters: TraceParameters,
    outputs: BTreeMap<OutPoint, TxOut>,
    index: Indexed,
}

impl Case {
    fn draw(property: u64, number: u64) -> Self {
        let seed = property * 1_000_000 + number;
        let mut rng = Rng::new(seed);
        let height = if number.is_multiple_of(3) { 150 + rng.below(30) } else { 105 + rng.below(30) };
        let blocks = random::chain(seed, u32::try_from(height).expect("a short chain")).blocks().to_vec();
        let (listed, parameters) = (listed(&blocks, &mut rng), parameters(&mut rng));
        let index = Indexed::new(&blocks, &listed, &parameters);
        let all = blocks.iter().flat_map(|block| &block.txdata).flat_map(outputs);
        let outputs = all.map(|(at, output)| (at, output.clone())).collect();
        let name = format!("seed {seed}, height {height}, {} listed, {parameters:?}", listed.len());
        Self { name, rng, blocks, listed, parameters, outputs, index }
    }

    fn tip(&self) -> u32 {
        u32::try_from(self.blocks.len() - 1).expect("a short chain")
    }

    /// A target of any kind, as typed, and the sources it means.
    fn target(&mut self) -> (String, BTreeMap<ScriptBuf, u32>, BTreeSet<OutPoint>) {
        let flagged: BTreeMap<_, _> =
            self.listed.iter().filter_map(|listed| Some((listed.script.clone(), listed.flagged?))).collect();
        let known: Vec<OutPoint> = {
            let snapshot = indexed::ask(&self.index.path());
            let known = |at: &&OutPoint| !snapshot.reader.positions(at.txid).expect("the index reads").is_empty();
            self.outputs.keys().filter(known).copied().collect()
        };
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

    fn expected(&self, ask: &Ask) -> Traced {
        let in_sight =
            |at: OutPoint, height, named| self.index.in_sight(&self.outputs[&at].script_pubkey, at, height, named);
        common::tracer::trace(&self.blocks, &self.listed, ask, &in_sight)
    }
}

/// Draws cases of a property.
fn each(property: u64, check: impl Fn(&mut Case)) {
    let cases = std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(24);
    for number in 0..cases {
        let mut case = Case::draw(property, number);
        watched(&case.name.clone(), || check(&mut case));
    }
}

/// Panics unless the answer under a rule is the naive tracer's.
fn assert_traced(found: &RuleAnswer, expected: &Traced, what: &str) {
    let mut coins: Vec<&Coin> = expected.coins.iter().filter(|coin| coin.taint > 0).collect();
    // Sources first; among them those that only their spends tell of; all else in chain order.
    coins.sort_by_key(|coin| (!coin.source, coin.by_spend.is_none(), coin.by_spend, coin.made, coin.outpoint.vout));
    let expected_rows: Vec<_> = coins
        .iter()
        .map(|coin| {
            let height = coin.made.map(|(height, _)| height);
            (coin.outpoint, height, coin.value, coin.taint, coin.carried, coin.hops, coin.state, coin.spent_by)
        })
        .collect();
    let row = |coin: &trace::CoinRow| {
        let spent_by = coin.spent_by.as_ref().map(|by| (by.txid, by.vin, by.height));
        let state = coin.state.name();
        (coin.outpoint, coin.height, coin.value_sat, coin.taint_sat, coin.carried_sat, coin.hops, state, spent_by)
    };
    let rows: Vec<_> = found.coins.iter().map(row).collect();
    for (at, (found, expected)) in rows.iter().zip(&expected_rows).enumerate() {
        assert_eq!(found, expected, "{what}: coin {at}");
    }
    assert_eq!(rows.len(), expected_rows.len(), "{what}: as many coins");
    let frontier = ["anyone_can_spend", "max_hops", "below_min_taint", "not_followed"].map(|state| expected.sum(state));
    let sum = &found.sum;
    let parts =
        [sum.unspent_sat, sum.unspendable_sat, sum.service_sat, sum.flagged_sat, sum.frontier_sat, sum.fees_sat];
    let states = ["unspent", "unspendable", "service", "flagged"].map(|state| expected.sum(state));
    let [unspent, unspendable, service, flagged] = states;
    let expected_parts = [unspent, unspendable, service, flagged, frontier.iter().sum(), expected.fees];
    assert_eq!((parts, sum.source_sat), (expected_parts, expected.source()), "{what}: the sum");
    let reasons = &found.frontier;
    let reasons =
        [reasons.anyone_can_spend_sat, reasons.max_hops_sat, reasons.below_min_taint_sat, reasons.not_followed_sat];
    assert_eq!(reasons, frontier, "{what}: the frontier");
    if found.rule.conserves() {
        assert_eq!(sum.parts(), sum.source_sat, "{what}: the parts add up");
    }
    assert_flow(found, what);
}

/// Panics unless every coin with taint from elsewhere lies behind a transaction whose inputs are coins of the trace, and what
/// these bring is what its coins and the miner got.
fn assert_flow(found: &RuleAnswer, what: &str) {
    let mut got: BTreeMap<_, u64> = BTreeMap::new();
    for coin in found.coins.iter().filter(|coin| coin.carried_sat > 0) {
        // BIP30's twins share an id; these chains have none.
        *got.entry(coin.outpoint.txid).or_default() += coin.carried_sat;
    }
    let taints: BTreeMap<_, _> = found.coins.iter().map(|coin| (coin.outpoint, coin.taint_sat)).collect();
    for spend in &found.transactions {
        let brought: u64 = spend.inputs.iter().map(|input| input.taint_sat).sum();
        assert!(spend.inputs.iter().all(|input| taints[&input.outpoint] == input.taint_sat), "{what}: {spend:?}");
        let got = got.remove(&spend.txid).unwrap_or_default() + spend.fees_sat;
        assert!(!found.rule.conserves() || got == brought, "{what}: {} passed {got} of {brought}", spend.txid);
    }
    assert!(got.is_empty(), "{what}: taint from nowhere in {got:?}");
    let services: u64 = found.services.iter().map(|service| service.taint_sat).sum();
    assert_eq!(services, found.sum.service_sat, "{what}: services");
}

fn ask(snapshot: &Snapshot, target: &str, ask: &trace::Ask, at: u32) -> TraceAnswer {
    trace::trace(snapshot, &[target.to_owned()], None, ask, Some(at)).expect("a good question")
}

#[test]
fn every_trace_is_the_naive_tracers() {
    each(40, |case| {
        let snapshot = indexed::ask(&case.index.path());
        for _ in 0..8 {
            let (target, scripts, outpoints) = case.target();
            let at = if case.rng.once_in(3) {
                u32::try_from(case.rng.below(u64::from(case.tip()) + 1)).expect("short")
            } else {
                case.tip()
            };
            let own = case.rng.once_in(2);
            let asked = trace::Ask {
                rules: Rule::ALL.to_vec(),
                min_taint: own.then(|| *case.rng.pick(&[1, 10_000, 1_000_000_000])),
                max_hops: (own && case.rng.once_in(2)).then(|| *case.rng.pick(&[0, 2, 8])),
                stop_flagged: case.rng.once_in(3),
            };
            let answer = ask(&snapshot, &target, &asked, at);
            let mut in_sight = true;
            for (rule, found) in Rule::ALL.into_iter().zip(&answer.rules) {
                let ask = Ask {
                    scripts: scripts.clone(),
                    outpoints: outpoints.clone(),
                    rule,
                    min_taint: asked.min_taint.unwrap_or(case.parameters.min_taint_sat),
                    max_hops: asked.max_hops.or(case.parameters.max_hops),
                    stop_flagged: asked.stop_flagged,
                    at,
                };
                assert_eq!(found.rule, rule);
                let expected = case.expected(&ask);
                in_sight &= expected.sum("not_followed") == 0;
                assert_traced(found, &expected, &format!("{}: {target} at {at} under {rule}, {asked:?}", case.name));
            }
            let has_gap = !answer.coverage.gaps.is_empty() || case.listed.iter().all(|listed| listed.flagged.is_none());
            assert_eq!(answer.coverage.complete, in_sight && !has_gap, "{}: {target} at {at}", case.name);
        }
    });
}
