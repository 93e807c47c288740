//! `trace` is the naive tracer's answer: coins, taint, hops, states and sums, for every rule, on random chains, lists and gates.

mod common;

use std::collections::{BTreeMap, BTreeSet};

use coinhound::query::Snapshot;
use coinhound::query::trace::{self, RuleAnswer, TraceAnswer};
use coinhound::query::tx::transaction;
use coinhound::trace::Rule;

use common::asker::Asker;
use common::traced::each;
use common::tracer::{self, Ask, Coin, Traced};

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
        let snapshot = Asker::open(case.index.writer().path()).0;
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
                max_hops: own.then(|| *case.rng.pick(&[None, Some(0), Some(2), Some(8)])),
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
                    max_hops: asked.max_hops.unwrap_or(case.parameters.max_hops),
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

#[test]
fn tx_tells_the_taint_of_each_input_and_output() {
    each(41, |case| {
        let snapshot = Asker::open(case.index.writer().path()).0;
        let ask = |rule| Ask {
            scripts: tracer::flagged(&case.listed),
            outpoints: BTreeSet::new(),
            rule,
            min_taint: case.parameters.min_taint_sat,
            max_hops: case.parameters.max_hops,
            stop_flagged: false,
            at: case.tip(),
        };
        let rules = &case.parameters.rules;
        let traced: BTreeMap<_, _> = rules.iter().map(|rule| (*rule, case.expected(&ask(*rule)))).collect();
        let moved =
            |traced: &Traced| traced.coins.iter().filter(|coin| coin.taint > 0 && coin.spent_by.is_some()).count();
        let (mut seen, moved) = (0, traced.values().map(moved).sum::<usize>());
        for (height, block) in (0..).zip(&case.blocks) {
            for transaction_of_block in &block.txdata {
                let txid = transaction_of_block.compute_txid();
                let answer = transaction(&snapshot, txid, case.tip()).expect("the index reads");
                if answer.height.is_none() {
                    continue;
                }
                for (rule, traced) in &traced {
                    for (vin, input) in (0..).zip(&answer.inputs) {
                        let brought = traced.coins.iter().find(|coin| coin.spent_by == Some((txid, vin, height)));
                        let brought = brought.map_or(0, |coin| coin.taint);
                        let found = input.taint_sat.as_ref().expect("something is tracked").get(*rule);
                        assert_eq!(found, brought, "{}: {txid}, input {vin} under {rule}", case.name);
                        seen += usize::from(found > 0);
                    }
                    for output in &answer.outputs {
                        let outpoint = bitcoin::OutPoint { txid, vout: output.vout };
                        let made = traced.made.get(&(outpoint, height)).map_or(0, |(taint, ..)| *taint);
                        let found = output.taint_sat.as_ref().expect("something is tracked").get(*rule);
                        assert_eq!(found, made, "{}: {outpoint} under {rule}", case.name);
                    }
                }
                assert!(!rules.is_empty() || answer.outputs.iter().all(|output| output.taint_sat.is_none()));
            }
        }
        assert_eq!(seen, moved, "{}: each tainted coin that was spent is some input", case.name);
    });
}
