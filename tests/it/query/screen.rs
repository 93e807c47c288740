//! `screen`: verdicts, taint, labels and paths equal the taint oracle's on random chains, before and after confirmation.

use std::collections::BTreeSet;

use bitcoin::{OutPoint, ScriptBuf, TxOut};
use coinhound::index::ReadRows;
use coinhound::query::screen::{Screener, Verdict};
use coinhound::trace::Rule;

use super::screen_expected::{Expected, FakeLookup, Past, assert_path, heights, pasts, some};
use crate::oracle::taint;
use crate::support::chain::outputs;
use crate::support::library::Library;
use crate::support::lists::target;
use crate::support::taint_cases::{TaintCase, each};

/// The taint in coins that the index's gates cut off, by the oracle.
fn hidden(case: &TaintCase, rule: &Rule) -> u64 {
    let question = taint::Question {
        scripts: taint::flagged(&case.listed),
        outpoints: BTreeSet::new(),
        rule: *rule,
        min_taint: case.parameters.min_taint_sat,
        max_hops: case.parameters.max_hops,
        stop_flagged: false,
        at: case.tip(),
    };
    let trace = taint::trace(&case.blocks, &case.listed, &question, &|_, _, _| true);
    ["below_min_taint", "max_hops", "anyone_can_spend", "too_fragmented"].iter().map(|state| trace.sum(state)).sum()
}

#[test]
fn every_verdict_equals_the_oracles() {
    each(50, |case| {
        let snapshot = Library::open(case.index.writer().path()).snapshot;
        let lookup = FakeLookup::new(&case.blocks, &[], true);
        let mut screener = Screener::new(&snapshot, &lookup).expect("the index reads");
        let expected = Expected::of(case, case.tip());
        let pasts = pasts(case);
        let coins: Vec<OutPoint> = case.outputs.keys().copied().collect();
        for at in some(&mut case.rng, &coins, 60) {
            let what = format!("{}: {at}", case.name);
            let rows = screener.screen(&at.to_string(), None, None).expect("a good target");
            expected.assert(&rows[0], &[(at, &case.outputs[&at])], pasts[&at.txid], &what);
            assert_path(&rows[0], &[at], case, &what);
            assert_eq!(rows[0].value_sat, Some(case.outputs[&at].value.to_sat()), "{what}");
        }
        for at in some(&mut case.rng, &coins, 30) {
            let (what, txid) = (format!("{}: {}", case.name, at.txid), at.txid);
            let row = screener.screen(&txid.to_string(), None, None).expect("a good target").remove(0);
            let all: Vec<_> =
                case.outputs.range(OutPoint { txid, vout: 0 }..=OutPoint { txid, vout: u32::MAX }).collect();
            let all: Vec<(OutPoint, &TxOut)> = all.into_iter().map(|(at, output)| (*at, output)).collect();
            expected.assert(&row, &all, pasts[&txid], &what);
            assert_path(&row, &all.iter().map(|(at, _)| *at).collect::<Vec<_>>(), case, &what);
            let flagged = |output: &TxOut| expected.flagged.contains_key(&output.script_pubkey);
            let outputs = all.iter().filter(|(_, output)| flagged(output)).count() as u64;
            let (transaction, _) = &lookup.transactions[&txid];
            let spent = transaction.input.iter().filter_map(|input| case.outputs.get(&input.previous_output));
            let inputs = spent.filter(|output| flagged(output)).count() as u64;
            if row.verdict != Verdict::Unknown && !snapshot.reader.positions(txid).expect("it reads").is_empty() {
                assert_eq!((row.flagged_inputs, row.flagged_outputs), (Some(inputs), Some(outputs)), "{what}");
            }
        }
        let scripts: BTreeSet<&ScriptBuf> = case.outputs.values().map(|output| &output.script_pubkey).collect();
        let scripts: Vec<&ScriptBuf> = scripts.into_iter().collect();
        for script in some(&mut case.rng, &scripts, 20) {
            let what = format!("{}: {}", case.name, target(script));
            let row = screener.screen(&target(script), None, None).expect("a good target").remove(0);
            let on_it: Vec<_> = case.outputs.iter().filter(|(_, output)| output.script_pubkey == *script).collect();
            let on_it: Vec<(OutPoint, &TxOut)> = on_it.into_iter().map(|(at, output)| (*at, output)).collect();
            // The script's coins that the index hasn't seen may be as old as the chain.
            expected.assert(&row, &on_it, Past::default(), &what);
            assert_path(&row, &on_it.iter().map(|(at, _)| *at).collect::<Vec<_>>(), case, &what);
        }
        for rule in &case.parameters.rules {
            assert!(
                screener.frontier.get(*rule) >= hidden(case, rule),
                "{}: taint hidden in cut coins under {rule}",
                case.name
            );
        }
    });
}

#[test]
fn an_unconfirmed_transaction_is_judged_as_if_it_came_next() {
    each(51, |case| {
        let below = case.tip() - 1;
        let index = case.index_to(below);
        let snapshot = Library::open(index.writer().path()).snapshot;
        let block = &case.blocks[case.tip() as usize];
        let txindex = case.rng.once_in(2);
        let lookup = FakeLookup::new(&case.blocks[..=below as usize], &block.txdata[1..], txindex);
        let mut screener = Screener::new(&snapshot, &lookup).expect("the index reads");
        let expected = Expected::of(case, below);
        let pasts = pasts(case);
        for transaction in &block.txdata[1..] {
            let txid = transaction.compute_txid();
            // Without an index of transactions nothing shows what the spent coins descend from.
            let oldest = if txindex { pasts[&txid].oldest } else { 0 };
            let past = Past { oldest, ..pasts[&txid] };
            let all: Vec<_> = outputs(transaction).collect();
            let row = screener.screen(&txid.to_string(), None, None).expect("a good target").remove(0);
            expected.assert(&row, &all, past, &format!("{}: {txid} waits", case.name));
            assert_path(&row, &all.iter().map(|(at, _)| *at).collect::<Vec<_>>(), case, &case.name);
            let hex = bitcoin::consensus::encode::serialize_hex(transaction);
            let raw = screener.raw(&hex, None).expect("a good transaction");
            assert_eq!(raw, row, "{}: {txid} waits, raw", case.name);
            for (at, output) in &all {
                let row = screener.screen(&at.to_string(), None, None).expect("a good target").remove(0);
                expected.assert(&row, &[(*at, output)], past, &format!("{}: {at} waits", case.name));
            }
        }
    });
}

#[test]
fn no_verdict_of_none_is_reversed_by_blocks_that_existed() {
    each(52, |case| {
        let below = case.tip() - 1 - u32::try_from(case.rng.below(40)).expect("small");
        let index = case.index_to(below);
        let (lower, full) =
            (Library::open(index.writer().path()).snapshot, Library::open(case.index.writer().path()).snapshot);
        let lookup = FakeLookup::new(&case.blocks, &[], case.rng.once_in(2));
        let mut early = Screener::new(&lower, &lookup).expect("the index reads");
        let mut late = Screener::new(&full, &lookup).expect("the index reads");
        let heights = heights(case);
        let coins: Vec<OutPoint> = case.outputs.keys().copied().collect();
        let mut none = 0;
        for at in some(&mut case.rng, &coins, 150) {
            let target = at.to_string();
            let [before, after] =
                [&mut early, &mut late].map(|of| of.screen(&target, None, None).expect("good").remove(0));
            let what = format!("{}: {target} at {below}: {before:?}", case.name);
            match before.verdict {
                Verdict::None => {
                    assert!(heights[&at.txid] <= below, "{what}");
                    assert!(!matches!(after.verdict, Verdict::Flagged | Verdict::Derived), "{what}");
                    none += 1;
                }
                Verdict::Unknown => {}
                // A finding stays one.
                found => assert_eq!(after.verdict, found, "{what}"),
            }
        }
        let expected = Expected::of(case, below);
        // Coins that descend from none below a later height are few.
        let silent = expected.silent && expected.from == 0;
        assert!(none > 0 || !silent, "{}: no coin is clean", case.name);
    });
}
