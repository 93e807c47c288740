//! `trace` answers like the taint oracle: coins, taint, hops, states and sums, for every rule, on random chains, lists and gates.

use std::collections::{BTreeMap, BTreeSet};

use coinhound::query::Snapshot;
use coinhound::query::at::Moment;
use coinhound::query::trace::{self, TraceAnswer};
use coinhound::query::tx::transaction;
use coinhound::trace::{HopLimit, Rule};

use crate::oracle::taint::{self, OracleTrace, Question};
use crate::support::library::Library;
use crate::support::taint_cases::{assert_traced, each};

fn ask(snapshot: &Snapshot, target: &str, ask: &trace::TraceOptions, at: u32) -> TraceAnswer {
    trace::trace(snapshot, &[target.to_owned()], None, ask, Moment::at(at)).expect("a good question")
}

#[test]
fn every_trace_equals_the_oracles() {
    each(40, |case| {
        let snapshot = Library::open(case.index.writer().path()).snapshot;
        for _ in 0..8 {
            let (target, scripts, outpoints) = case.target();
            let at = if case.rng.once_in(3) {
                u32::try_from(case.rng.below(u64::from(case.tip()) + 1)).expect("short")
            } else {
                case.tip()
            };
            let own = case.rng.once_in(2);
            let asked = trace::TraceOptions {
                rules: Rule::ALL.to_vec(),
                min_taint: own.then(|| *case.rng.pick(&[1, 10_000, 1_000_000_000])),
                max_hops: own.then(|| HopLimit::from(*case.rng.pick(&[None, Some(0), Some(2), Some(8)]))),
                stop_flagged: case.rng.once_in(3),
            };
            let answer = ask(&snapshot, &target, &asked, at);
            let mut in_sight = true;
            for (rule, found) in Rule::ALL.into_iter().zip(&answer.rules) {
                let ask = Question {
                    scripts: scripts.clone(),
                    outpoints: outpoints.clone(),
                    rule,
                    min_taint: asked.min_taint.unwrap_or(case.parameters.min_taint_sat),
                    max_hops: asked.max_hops.map_or(case.parameters.max_hops, HopLimit::most),
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
fn tx_has_the_taint_of_each_input_and_output() {
    each(41, |case| {
        let snapshot = Library::open(case.index.writer().path()).snapshot;
        let ask = |rule| Question {
            scripts: taint::flagged(&case.listed),
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
            |traced: &OracleTrace| traced.coins.iter().filter(|coin| coin.taint > 0 && coin.spent_by.is_some()).count();
        let (mut seen, moved) = (0, traced.values().map(moved).sum::<usize>());
        for (height, block) in (0..).zip(&case.blocks) {
            for transaction_of_block in &block.txdata {
                let txid = transaction_of_block.compute_txid();
                let answer = transaction(&snapshot, txid, Moment::at(case.tip())).expect("the index reads");
                if answer.height.is_none() {
                    continue;
                }
                for (rule, traced) in &traced {
                    for (vin, input) in (0..).zip(&answer.inputs) {
                        let spent = traced.coins.iter().find(|coin| coin.spent_by == Some((txid, vin, height)));
                        let taint = spent.map_or(0, |coin| coin.taint);
                        let found = input.taint_sat.as_ref().expect("something is tracked").get(*rule);
                        assert_eq!(found, taint, "{}: {txid}, input {vin} under {rule}", case.name);
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
        assert_eq!(seen, moved, "{}: some spent tainted coins are no inputs", case.name);
    });
}
