//! `screen`: verdicts, taint, labels behind and paths are the naive tracer's; and nothing unseen is ever called clean.

use std::collections::{BTreeMap, BTreeSet};

use bitcoin::hashes::Hash;
use bitcoin::{Amount, Block, BlockHash, OutPoint, ScriptBuf, Sequence, Transaction, TxIn, TxOut, Txid, Witness};
use coinhound::chain::BlockId;
use coinhound::index::{ReadRows, Reader};
use coinhound::query::Snapshot;
use coinhound::query::screen::{ChainLookup, NoLookup, ScreenRow, Screener, Verdict};
use coinhound::sync::plan::wanted::WantedTrace;
use coinhound::trace::Rule;

use crate::oracle::taint::{self, ListedScript};
use crate::support::chain::{RegtestChain, outputs};
use crate::support::library::Library;
use crate::support::random::Rng;
use crate::support::scripts::Shape;
use crate::support::source::Branch;
use crate::support::swept::SweptIndex;
use crate::support::taint_cases::{TaintCase, each};

/// A node that knows some blocks, and transactions that wait.
#[derive(Default)]
struct FakeLookup {
    transactions: BTreeMap<Txid, (Transaction, Option<BlockId>)>,
    unspent: BTreeMap<OutPoint, (TxOut, BlockId)>,
    txindex: bool,
}

impl FakeLookup {
    fn new(blocks: &[Block], waiting: &[Transaction], txindex: bool) -> Self {
        let mut told = Self { txindex, ..Self::default() };
        for (height, block) in (0..).zip(blocks) {
            let id = BlockId { height, hash: block.block_hash() };
            for transaction in &block.txdata {
                transaction.input.iter().for_each(|input| drop(told.unspent.remove(&input.previous_output)));
                told.unspent.extend(outputs(transaction).map(|(at, output)| (at, (output.clone(), id))));
                told.transactions.insert(transaction.compute_txid(), (transaction.clone(), Some(id)));
            }
        }
        told.transactions.extend(waiting.iter().map(|waiting| (waiting.compute_txid(), (waiting.clone(), None))));
        told
    }
}

impl ChainLookup for FakeLookup {
    fn coin(&self, outpoint: OutPoint) -> Option<(TxOut, BlockId)> {
        self.unspent.get(&outpoint).cloned()
    }

    fn transaction(&self, txid: Txid) -> Option<(Transaction, Option<BlockId>)> {
        self.transactions.get(&txid).filter(|(_, block)| self.txindex || block.is_none()).cloned()
    }

    fn name(&self) -> String {
        "the test's node".into()
    }
}

/// Taint and hops of coins, for each tracked rule.
type Holdings = Vec<BTreeMap<OutPoint, (u64, u32)>>;

/// What the naive tracer knows of coins: of all sources, and of each label's.
struct Expected {
    rules: Vec<Rule>,
    all: Holdings,
    by_label: BTreeMap<String, Holdings>,
    flagged: BTreeMap<ScriptBuf, u32>,
    /// Whether finding nothing proves something.
    silent: bool,
    /// The height from which on every flagged script is scanned for: below it, finding nothing proves nothing.
    from: u32,
}

impl Expected {
    fn of(case: &TaintCase, swept_to: u32) -> Self {
        let flagged = taint::flagged(&case.listed);
        let labels: BTreeSet<String> = case.listed.iter().map(|listed| listed.label.clone()).collect();
        let by_label = labels.into_iter().map(|label| (label.clone(), case.holdings(Some(&label)))).collect();
        let silent = !flagged.is_empty() && flagged.values().all(|from| *from <= swept_to);
        let rules = case.parameters.rules.clone();
        let from = flagged.values().copied().max().unwrap_or_default();
        Self { silent: silent && !rules.is_empty(), all: case.holdings(None), rules, by_label, flagged, from }
    }

    fn taints(holdings: &Holdings, coins: &[OutPoint]) -> Vec<u64> {
        let sum =
            |of: &BTreeMap<OutPoint, (u64, u32)>| coins.iter().filter_map(|at| of.get(at)).map(|held| held.0).sum();
        holdings.iter().map(sum).collect()
    }

    /// Panics unless a row is what is to be said of these outputs, whose transactions are shown to be there; `lowest` is the least
    /// height that the answer rests on.
    fn assert(&self, row: &ScreenRow, coins: &[(OutPoint, &TxOut)], lowest: u32, what: &str) {
        let at: Vec<OutPoint> = coins.iter().map(|(at, _)| *at).collect();
        let taints = Self::taints(&self.all, &at);
        let is_flagged = |output: &TxOut| self.flagged.contains_key(&output.script_pubkey);
        let flagged = coins.iter().any(|(_, output)| is_flagged(output));
        let verdict = match taints.iter().any(|taint| *taint > 0) {
            _ if flagged => Verdict::Flagged,
            true => Verdict::Derived,
            false if self.silent && lowest >= self.from => Verdict::None,
            false => Verdict::Unknown,
        };
        assert_eq!(row.verdict, verdict, "{what}: {}", row.why);
        if let Some(found) = &row.taint_sat {
            let found: Vec<u64> = self.rules.iter().map(|rule| found.get(*rule)).collect();
            assert_eq!(found, taints, "{what}: taint");
        }
        let hops = at.iter().flat_map(|at| self.all.iter().filter_map(|of| of.get(at)));
        let hops = hops.filter(|(taint, _)| *taint > 0).map(|(_, hops)| *hops).min();
        assert_eq!(row.hops, if flagged { Some(0) } else { hops }, "{what}: hops");
        let expected: BTreeMap<_, _> = self
            .by_label
            .iter()
            .map(|(label, holdings)| (label.clone(), Self::taints(holdings, &at)))
            .filter(|(_, taints)| taints.iter().any(|taint| *taint > 0))
            .collect();
        let of = |row: &coinhound::query::screen::LabelShare| {
            (row.label.clone(), self.rules.iter().map(|rule| row.taint_sat.get(*rule)).collect::<Vec<_>>())
        };
        let found: BTreeMap<_, _> = row.sources.iter().map(of).collect();
        // Where each label alone is cut or rounded away, those behind are named without an amount.
        if !expected.is_empty() {
            assert_eq!(found, expected, "{what}: sources");
        }
        assert_eq!(row.sources.is_empty(), taints.iter().all(|taint| *taint == 0), "{what}: sources");
    }
}

/// Panics unless the path leads from one of these coins, input by input, to a source, in as many steps as it has hops.
fn assert_path(row: &ScreenRow, coins: &[OutPoint], case: &TaintCase, what: &str) {
    let transactions: BTreeMap<Txid, (u32, &Transaction)> = (0..)
        .zip(&case.blocks)
        .flat_map(|(height, block)| block.txdata.iter().map(move |of| (of.compute_txid(), (height, of))))
        .collect();
    let Some(first) = row.path.first() else {
        assert!(row.sources.is_empty(), "{what}: no path to what lies behind");
        return;
    };
    assert!(coins.contains(first), "{what}: the path begins elsewhere");
    for step in row.path.windows(2) {
        let (_, made) = transactions[&step[0].txid];
        assert!(made.input.iter().any(|input| input.previous_output == step[1]), "{what}: {step:?} is no step");
    }
    let last = row.path[row.path.len() - 1];
    let from = taint::flagged(&case.listed)[&case.outputs[&last].script_pubkey];
    let spent_at = row.path.len().checked_sub(2).map(|at| transactions[&row.path[at].txid].0);
    assert!(from <= spent_at.unwrap_or(transactions[&last.txid].0), "{what}: {last} is no source");
    if row.verdict == Verdict::Derived {
        assert_eq!(row.path.len(), row.hops.expect("derived has hops") as usize + 1, "{what}: as many steps as hops");
    }
}

/// The height of each transaction.
fn heights(case: &TaintCase) -> BTreeMap<Txid, u32> {
    let blocks = (0..).zip(&case.blocks);
    blocks.flat_map(|(height, block)| block.txdata.iter().map(move |of| (of.compute_txid(), height))).collect()
}

/// The least height of a confirmed coin that a transaction spends, itself or by the waiting ones that it descends from.
fn lowest_input(of: &Transaction, waiting: &BTreeMap<Txid, &Transaction>, heights: &BTreeMap<Txid, u32>) -> u32 {
    let inputs = of.input.iter().map(|input| match waiting.get(&input.previous_output.txid) {
        Some(parent) => lowest_input(parent, waiting, heights),
        None => heights[&input.previous_output.txid],
    });
    inputs.min().unwrap_or_default()
}

fn some<T: Copy>(rng: &mut Rng, of: &[T], count: usize) -> Vec<T> {
    (0..count.min(of.len())).map(|_| *rng.pick(of)).collect()
}

#[test]
fn every_verdict_is_the_naive_tracers() {
    each(50, |case| {
        let snapshot = Library::open(case.index.writer().path()).snapshot;
        let told = FakeLookup::new(&case.blocks, &[], true);
        let mut screener = Screener::new(&snapshot, &told).expect("the index reads");
        let expected = Expected::of(case, case.tip());
        let heights = heights(case);
        let coins: Vec<OutPoint> = case.outputs.keys().copied().collect();
        for at in some(&mut case.rng, &coins, 60) {
            let what = format!("{}: {at}", case.name);
            let rows = screener.screen(&at.to_string(), None, None).expect("a good target");
            expected.assert(&rows[0], &[(at, &case.outputs[&at])], heights[&at.txid], &what);
            assert_path(&rows[0], &[at], case, &what);
            assert_eq!(rows[0].value_sat, Some(case.outputs[&at].value.to_sat()), "{what}");
        }
        for at in some(&mut case.rng, &coins, 30) {
            let (what, txid) = (format!("{}: {}", case.name, at.txid), at.txid);
            let row = screener.screen(&txid.to_string(), None, None).expect("a good target").remove(0);
            let all: Vec<_> =
                case.outputs.range(OutPoint { txid, vout: 0 }..=OutPoint { txid, vout: u32::MAX }).collect();
            let all: Vec<(OutPoint, &TxOut)> = all.into_iter().map(|(at, output)| (*at, output)).collect();
            expected.assert(&row, &all, heights[&txid], &what);
            assert_path(&row, &all.iter().map(|(at, _)| *at).collect::<Vec<_>>(), case, &what);
            let flagged = |output: &TxOut| expected.flagged.contains_key(&output.script_pubkey);
            let outputs = all.iter().filter(|(_, output)| flagged(output)).count() as u64;
            let (transaction, _) = &told.transactions[&txid];
            let spent = transaction.input.iter().filter_map(|input| case.outputs.get(&input.previous_output));
            let inputs = spent.filter(|output| flagged(output)).count() as u64;
            if row.verdict != Verdict::Unknown && !snapshot.reader.positions(txid).expect("it reads").is_empty() {
                assert_eq!((row.flagged_inputs, row.flagged_outputs), (Some(inputs), Some(outputs)), "{what}");
            }
        }
        let scripts: BTreeSet<&ScriptBuf> = case.outputs.values().map(|output| &output.script_pubkey).collect();
        let scripts: Vec<&ScriptBuf> = scripts.into_iter().collect();
        for script in some(&mut case.rng, &scripts, 20) {
            let what = format!("{}: script {}", case.name, script.to_hex_string());
            let row = screener
                .screen(&format!("script:{}", script.to_hex_string()), None, None)
                .expect("a good target")
                .remove(0);
            let on_it: Vec<_> = case.outputs.iter().filter(|(_, output)| output.script_pubkey == *script).collect();
            let on_it: Vec<(OutPoint, &TxOut)> = on_it.into_iter().map(|(at, output)| (*at, output)).collect();
            // Coins of it that the index didn't see may be as old as the chain.
            expected.assert(&row, &on_it, 0, &what);
            assert_path(&row, &on_it.iter().map(|(at, _)| *at).collect::<Vec<_>>(), case, &what);
        }
        let sum = |rule: &Rule| {
            let ask = taint::Question {
                scripts: expected.flagged.clone(),
                outpoints: BTreeSet::new(),
                rule: *rule,
                min_taint: case.parameters.min_taint_sat,
                max_hops: case.parameters.max_hops,
                stop_flagged: false,
                at: case.tip(),
            };
            let traced = taint::trace(&case.blocks, &case.listed, &ask, &|_, _, _| true);
            ["below_min_taint", "max_hops", "anyone_can_spend"].iter().map(|state| traced.sum(state)).sum::<u64>()
        };
        for rule in &case.parameters.rules {
            assert!(screener.frontier.get(*rule) >= sum(rule), "{}: what cut coins hide under {rule}", case.name);
        }
    });
}

#[test]
fn what_waits_to_be_confirmed_is_judged_as_if_it_came_next() {
    each(51, |case| {
        let below = case.tip() - 1;
        let index = case.index_to(below);
        let snapshot = Library::open(index.writer().path()).snapshot;
        let block = &case.blocks[case.tip() as usize];
        let told = FakeLookup::new(&case.blocks[..=below as usize], &block.txdata[1..], case.rng.once_in(2));
        let mut screener = Screener::new(&snapshot, &told).expect("the index reads");
        let expected = Expected::of(case, below);
        let heights = heights(case);
        let waiting: BTreeMap<Txid, &Transaction> =
            block.txdata[1..].iter().map(|waiting| (waiting.compute_txid(), waiting)).collect();
        for transaction in &block.txdata[1..] {
            let lowest = lowest_input(transaction, &waiting, &heights);
            let txid = transaction.compute_txid();
            let all: Vec<_> = outputs(transaction).collect();
            let row = screener.screen(&txid.to_string(), None, None).expect("a good target").remove(0);
            expected.assert(&row, &all, lowest, &format!("{}: {txid} waits", case.name));
            assert_path(&row, &all.iter().map(|(at, _)| *at).collect::<Vec<_>>(), case, &case.name);
            let hex = bitcoin::consensus::encode::serialize_hex(transaction);
            let raw = screener.raw(&hex, None).expect("a good transaction");
            assert_eq!(raw, row, "{}: {txid} waits, raw", case.name);
            for (at, output) in &all {
                let row = screener.screen(&at.to_string(), None, None).expect("a good target").remove(0);
                expected.assert(&row, &[(*at, output)], lowest, &format!("{}: {at} waits", case.name));
            }
        }
    });
}

#[test]
fn no_verdict_of_none_is_taken_back_by_blocks_that_were_there() {
    each(52, |case| {
        let below = case.tip() - 1 - u32::try_from(case.rng.below(40)).expect("small");
        let index = case.index_to(below);
        let (lower, full) =
            (Library::open(index.writer().path()).snapshot, Library::open(case.index.writer().path()).snapshot);
        let told = FakeLookup::new(&case.blocks, &[], case.rng.once_in(2));
        let mut early = Screener::new(&lower, &told).expect("the index reads");
        let mut late = Screener::new(&full, &told).expect("the index reads");
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
                // What was found is found later too.
                found => assert_eq!(after.verdict, found, "{what}"),
            }
        }
        let expected = Expected::of(case, below);
        // Above the height that all is scanned from, some blocks have to be left.
        let silent = expected.silent && expected.from + 20 <= below;
        assert!(none > 0 || !silent, "{}: some coin is clean", case.name);
    });
}

/// A case that tracks something, with flagged scripts that begin at 0 and are all swept.
fn silent_case() -> TaintCase {
    let cases = (0..).map(|number| TaintCase::draw(53, number));
    let good =
        |case: &TaintCase| Expected::of(case, case.tip()).silent && case.listed.iter().all(|of| of.flagged != Some(1));
    cases.into_iter().find(good).expect("some case is like that")
}

#[test]
fn a_false_none_is_hunted_and_not_found() {
    let case = silent_case();
    let snapshot = Library::open(case.index.writer().path()).snapshot;
    let tip = case.tip();
    let from = taint::flagged(&case.listed).values().copied().max().expect("something is flagged");
    let (with, without) = (FakeLookup::new(&case.blocks, &[], true), FakeLookup::new(&case.blocks, &[], false));
    let nobody = NoLookup("nobody was asked".into());
    // A coin that no record made or spent, unspent and on no listed script.
    let unknown_to_index = |at: &&OutPoint| {
        snapshot.reader.positions(at.txid).expect("it reads").is_empty()
            && without.unspent.get(*at).is_some_and(|(_, block)| block.height >= from)
    };
    let clean = *case.outputs.keys().find(unknown_to_index).expect("most coins are clean");
    let height = without.unspent[&clean].1.height;
    let mut typo = clean;
    typo.txid = Txid::from_byte_array(typo.txid.to_byte_array().map(|byte| byte ^ 1));
    let beyond = OutPoint { vout: 1_000, ..clean };
    // Who is asked, target, the height that the caller says → verdict, and words of the reason.
    type Hunt<'a> = (&'a dyn ChainLookup, String, Option<u32>, Verdict, &'a str);
    let cases: [Hunt<'_>; 16] = [
        (&without, clean.to_string(), None, Verdict::None, "confirmed"),
        (&without, clean.txid.to_string(), None, Verdict::None, "confirmed"),
        (&with, clean.txid.to_string(), None, Verdict::None, "confirmed"),
        (&nobody, clean.to_string(), None, Verdict::Unknown, "nobody was asked"),
        (&nobody, clean.txid.to_string(), None, Verdict::Unknown, "nobody was asked"),
        (&nobody, clean.to_string(), Some(tip), Verdict::None, "according to --height"),
        (&nobody, clean.to_string(), Some(tip + 1), Verdict::Unknown, "settled through"),
        (&nobody, clean.txid.to_string(), Some(u32::MAX), Verdict::Unknown, "settled through"),
        (&with, typo.to_string(), None, Verdict::Unknown, "existence not proven"),
        (&with, typo.txid.to_string(), None, Verdict::Unknown, "existence not proven"),
        (&without, typo.to_string(), None, Verdict::Unknown, "existence not proven"),
        (&with, beyond.to_string(), None, Verdict::Unknown, "has no output 1000"),
        (&without, beyond.to_string(), None, Verdict::Unknown, "existence not proven"),
        (&nobody, typo.to_string(), Some(height), Verdict::None, "according to --height"),
        (&with, clean.to_string(), Some(tip + 1), Verdict::Unknown, "settled through"),
        (&without, clean.to_string(), Some(tip), Verdict::None, "according to --height"),
    ];
    for (outside, target, height, verdict, words) in cases {
        let mut screener = Screener::new(&snapshot, outside).expect("the index reads");
        let row = screener.screen(&target, None, height).expect("a good target").remove(0);
        assert_eq!(row.verdict, verdict, "{target} {height:?}: {row:?}");
        assert!(row.why.contains(words), "{target} {height:?}: '{}' lacks '{words}'", row.why);
    }
    if from > 0 {
        let mut screener = Screener::new(&snapshot, &nobody).expect("the index reads");
        let row = screener.screen(&clean.to_string(), None, Some(from - 1)).expect("a good target").remove(0);
        assert_eq!(row.verdict, Verdict::Unknown, "its script may be one that is flagged later: {row:?}");
    }

    // A node on another chain proves nothing about ours.
    let mut stale = FakeLookup::new(&case.blocks, &[], true);
    let hash = BlockHash::all_zeros();
    stale.unspent.values_mut().for_each(|(_, block)| block.hash = hash);
    stale.transactions.values_mut().for_each(|(_, block)| *block = block.map(|block| BlockId { hash, ..block }));
    let mut screener = Screener::new(&snapshot, &stale).expect("the index reads");
    for target in [clean.to_string(), clean.txid.to_string()] {
        let row = screener.screen(&target, None, None).expect("a good target").remove(0);
        assert_eq!(row.verdict, Verdict::Unknown, "{row:?}");
    }

    // Lists that changed since: nothing is proven any more, for anything.
    let changed =
        Snapshot::new(Reader::open(case.index.writer().path()).expect("it opens"), |_| true).expect("it reads");
    let mut screener = Screener::new(&changed, &with).expect("the index reads");
    assert!(!screener.coverage.complete);
    let nowhere = format!("script:{}", ScriptBuf::from_bytes(vec![0x51, 0x99]).to_hex_string());
    for target in [clean.to_string(), clean.txid.to_string(), nowhere.clone()] {
        let row = screener.screen(&target, None, None).expect("a good target").remove(0);
        assert_eq!(row.verdict, Verdict::Unknown, "{row:?}");
        assert!(row.why.contains("lists"), "{row:?}");
    }

    // Services alone: nothing is flagged, so nothing is looked for.
    let mut services = silent_case();
    services.listed.iter_mut().for_each(|listed| (listed.flagged, listed.service) = (None, true));
    let index = services.index_to(tip);
    let snapshot = Library::open(index.writer().path()).snapshot;
    let mut screener = Screener::new(&snapshot, &with).expect("the index reads");
    for target in [clean.to_string(), clean.txid.to_string(), nowhere] {
        let row = screener.screen(&target, None, Some(0)).expect("a good target").remove(0);
        assert_eq!((row.verdict, row.is_found()), (Verdict::Unknown, false), "{row:?}");
        assert!(row.why.contains("no entry is flagged"), "{row:?}");
    }
}

/// A transaction that spends these coins to one script.
fn spend(inputs: &[OutPoint], values: &[u64]) -> Transaction {
    let input = |at: &OutPoint| TxIn {
        previous_output: *at,
        script_sig: ScriptBuf::new(),
        sequence: Sequence::MAX,
        witness: Witness::new(),
    };
    let script_pubkey = ScriptBuf::from_bytes(vec![0x51, 0x75, 0x51]);
    let output = |value: &u64| TxOut { value: Amount::from_sat(*value), script_pubkey: script_pubkey.clone() };
    Transaction {
        version: bitcoin::transaction::Version::TWO,
        lock_time: bitcoin::absolute::LockTime::ZERO,
        input: inputs.iter().map(input).collect(),
        output: values.iter().map(output).collect(),
    }
}

#[test]
fn unconfirmed_parents_are_walked_back_and_an_unknown_one_is_never_clean() {
    let case = silent_case();
    let snapshot = Library::open(case.index.writer().path()).snapshot;
    let base = FakeLookup::new(&case.blocks, &[], false);
    let flagged = taint::flagged(&case.listed);
    let is_source = |at: &OutPoint, output: &TxOut, height: u32| {
        flagged.get(&output.script_pubkey).is_some_and(|from| *from <= height)
            && output.value.to_sat() > 1_000_000
            && !snapshot.reader.positions(at.txid).expect("it reads").is_empty()
    };
    let mut unspent = base.unspent.iter();
    let source = unspent.find(|(at, (output, block))| is_source(at, output, block.height) && block.height > 0);
    let (source, (output, _)) = source.expect("some flagged coin is unspent");
    let value = output.value.to_sat();
    let is_clean = |at: &OutPoint, output: &TxOut| {
        output.value.to_sat() > 1_000
            && !flagged.contains_key(&output.script_pubkey)
            && snapshot.reader.positions(at.txid).expect("it reads").is_empty()
    };
    // Below that height nothing is proven.
    let from = flagged.values().copied().max().expect("something is flagged");
    let mut high_enough = base.unspent.iter().filter(|(_, (_, block))| block.height >= from);
    let clean = high_enough.find(|(at, (output, _))| is_clean(at, output)).expect("most are clean");
    let (clean, clean_value) = (clean.0, clean.1.0.value.to_sat());
    let lost = OutPoint { txid: Txid::from_byte_array([7; 32]), vout: 0 };

    let tainted_parent = spend(&[*source], &[value / 2, value / 2]);
    let parent = |vout| OutPoint { txid: tainted_parent.compute_txid(), vout };
    let clean_parent = spend(&[*clean], &[900]);
    let clean_child = spend(&[OutPoint { txid: clean_parent.compute_txid(), vout: 0 }], &[800]);
    let tainted_child = spend(&[parent(1), *clean], &[value / 2 + clean_value]);
    let merged =
        spend(&[parent(0), OutPoint { txid: tainted_child.compute_txid(), vout: 0 }], &[2 * (value / 2) + clean_value]);
    let half_known = spend(&[parent(0), lost], &[value]);
    let unknown = spend(&[*clean, lost], &[value]);
    let no_such_output = spend(&[OutPoint { vout: 9, ..parent(0) }], &[1]);
    let waiting = [&tainted_parent, &clean_parent, &clean_child, &tainted_child, &merged].map(Clone::clone);
    let told = FakeLookup::new(&case.blocks, &waiting, false);
    let mut screener = Screener::new(&snapshot, &told).expect("the index reads");
    for (what, transaction, verdict, hops) in [
        ("a clean parent", &clean_child, Verdict::None, None),
        ("a tainted parent", &tainted_child, Verdict::Derived, Some(2)),
        ("both branches", &merged, Verdict::Derived, Some(2)),
        ("the parent itself", &tainted_parent, Verdict::Derived, Some(1)),
        ("an unknown parent beside a tainted one", &half_known, Verdict::Unknown, None),
        ("an unknown parent beside a clean one", &unknown, Verdict::Unknown, None),
        ("an output that isn't there", &no_such_output, Verdict::Unknown, None),
    ] {
        let hex = bitcoin::consensus::encode::serialize_hex(transaction);
        let row = screener.raw(&hex, None).expect("a good transaction");
        assert_eq!(row.verdict, verdict, "{what}: {row:?}");
        assert!(hops.is_none() || row.hops == hops, "{what}: {row:?}");
        assert_eq!(row.taint_sat.is_some(), verdict != Verdict::Unknown, "{what}: {row:?}");
        assert_eq!(row.why.contains("one input is tainted"), what.contains("a tainted one"), "{what}: {row:?}");
        if what == "both branches" {
            let rules = &case.parameters.rules;
            let gate = case.parameters.min_taint_sat;
            let whole = |rule: &Rule| row.taint_sat.as_ref().expect("exact").get(*rule) == 2 * (value / 2);
            assert!(value / 2 < gate || rules.iter().all(whole), "all of it came together again: {row:?}");
            assert_eq!(row.path.last(), Some(source), "{row:?}");
        }
    }
    // The coin of a chain of parents longer than any mempool's: the answer is no guess.
    let mut chain = vec![spend(&[*clean], &[900])];
    while chain.len() < 1_100 {
        let last = &chain[chain.len() - 1];
        chain.push(spend(&[OutPoint { txid: last.compute_txid(), vout: 0 }], &[900]));
    }
    let told = FakeLookup::new(&case.blocks, &chain, false);
    let mut screener = Screener::new(&snapshot, &told).expect("the index reads");
    for (length, verdict) in [(900, Verdict::None), (1_099, Verdict::Unknown)] {
        let row = screener.screen(&chain[length].compute_txid().to_string(), None, None).expect("good").remove(0);
        assert_eq!(row.verdict, verdict, "{length}: {row:?}");
    }
}

/// An index of a chain that is flagged at one script, with what is asked of it.
fn swept(chain: &RegtestChain, flagged: &ScriptBuf) -> SweptIndex {
    let listed = ListedScript { script: flagged.clone(), flagged: Some(0), service: false, label: "stolen".into() };
    SweptIndex::fresh_tracking(&Branch::new(chain.blocks()), taint::entries(&[listed]), &WantedTrace::default())
}

#[test]
fn a_thousand_hops_lead_back_to_the_source() {
    let mut chain = RegtestChain::regtest(54);
    let [flagged, peeled] = [1, 2].map(|n| chain.script(Shape::P2wpkh, n));
    let coin = chain.mature(1)[0];
    let value = 1_000_000_000;
    let mut hop = chain.spend(&[coin], &[(flagged.clone(), value)]);
    let source = OutPoint { txid: hop.compute_txid(), vout: 0 };
    let mut left = value;
    let mut waiting = vec![hop.clone()];
    for number in 1..=1_000_u32 {
        left -= 500_000;
        let last = OutPoint { txid: hop.compute_txid(), vout: 0 };
        let next = chain.script(Shape::P2wpkh, 10 + number);
        hop = chain.spend(&[last], &[(next, left), (peeled.clone(), 500_000)]);
        waiting.push(hop.clone());
        // Many in one block, and blocks in between.
        if number % 400 == 0 {
            chain.mine(std::mem::take(&mut waiting));
        }
    }
    chain.mine(waiting);
    let index = swept(&chain, &flagged);
    let snapshot = Library::open(index.writer().path()).snapshot;
    let nobody = NoLookup("nobody was asked".into());
    let mut screener = Screener::new(&snapshot, &nobody).expect("the index reads");
    let last = OutPoint { txid: hop.compute_txid(), vout: 0 };
    let row = screener.screen(&last.to_string(), None, None).expect("a good target").remove(0);
    assert_eq!((row.verdict, row.hops, row.path.len()), (Verdict::Derived, Some(1_000), 1_001), "{}", row.why);
    assert_eq!((row.path.first(), row.path.last()), (Some(&last), Some(&source)));
    let taint = row.taint_sat.expect("it is known");
    assert_eq!((taint.get(Rule::Haircut), taint.get(Rule::Fifo)), (left, left));
    // The address that all was peeled to holds the sum.
    let peeled = format!("script:{}", peeled.to_hex_string());
    let row = screener.screen(&peeled, None, None).expect("a good target").remove(0);
    assert_eq!((row.verdict, row.hops), (Verdict::Derived, Some(1)));
    assert_eq!(row.taint_sat.expect("it is known").get(Rule::Fifo), 1_000 * 500_000);
    assert_eq!((row.sources.len(), row.sources[0].label.as_str()), (1, "stolen"));
}

#[test]
fn what_hides_below_the_gate_is_none_and_the_frontier_says_how_much_that_can_be() {
    let mut chain = RegtestChain::regtest(55);
    let flagged = chain.script(Shape::P2wpkh, 1);
    let coin = chain.mature(1)[0];
    let theft = chain.spend(&[coin], &[(flagged.clone(), 200_000_000)]);
    // Nobody looks at signatures here, and a thousand of them take their time.
    let split = spend(&[OutPoint { txid: theft.compute_txid(), vout: 0 }], &[99_999; 1_001]);
    let inputs: Vec<OutPoint> = outputs(&split).map(|(at, _)| at).collect();
    let merge = spend(&inputs, &[1_001 * 99_999]);
    let ids = [&split, &merge].map(Transaction::compute_txid);
    chain.mine(vec![theft, split]);
    chain.mine(vec![merge]);
    let index = swept(&chain, &flagged);
    let snapshot = Library::open(index.writer().path()).snapshot;
    let told = FakeLookup::new(chain.blocks(), &[], false);
    let mut screener = Screener::new(&snapshot, &told).expect("the index reads");
    for rule in [Rule::Haircut, Rule::Fifo] {
        assert_eq!(screener.frontier.get(rule), 1_001 * 99_999, "all crumbs together, under {rule}");
    }
    let verdict = |screener: &mut Screener<'_>, txid: Txid| {
        screener.screen(&format!("{txid}:0"), None, None).expect("a good target").remove(0).verdict
    };
    assert_eq!(verdict(&mut screener, ids[0]), Verdict::Derived, "a cut coin holds taint");
    assert_eq!(verdict(&mut screener, ids[1]), Verdict::None, "what cut coins bring is nobody's taint");
}

/// A chain with transactions below, at and above a height, for lists of which one entry is scanned from there.
struct BelowFrom {
    chain: RegtestChain,
    flagged: [ScriptBuf; 2],
    paid: ScriptBuf,
    /// The height of the first three.
    height: u32,
    /// Pays a flagged script and a clean one: a record.
    recorded: Transaction,
    /// No record; its output is unspent.
    unspent: Transaction,
    /// No record; one spends its output one block later.
    spent: Transaction,
    /// No record, one block later.
    later: Transaction,
    /// Unconfirmed; spends the unspent output.
    waiting: Transaction,
}

impl BelowFrom {
    fn new() -> Self {
        let mut chain = RegtestChain::regtest(56);
        let [flagged, other, clean, paid] = [1, 2, 3, 4].map(|n| chain.script(Shape::P2wpkh, n));
        let coins = chain.mature(4);
        let out = |of: &Transaction, vout| OutPoint { txid: of.compute_txid(), vout };
        let recorded = chain.spend(&coins[..1], &[(flagged.clone(), 1_000_000_000), (clean.clone(), 3_900_000_000)]);
        let unspent = chain.spend(&coins[1..2], &[(paid.clone(), 4_900_000_000)]);
        let spent = chain.spend(&coins[2..3], &[(clean.clone(), 4_800_000_000)]);
        chain.mine(vec![recorded.clone(), unspent.clone(), spent.clone()]);
        let height = chain.height();
        let record = chain.spend(&[out(&recorded, 0), out(&spent, 0)], &[(clean.clone(), 5_700_000_000)]);
        let later = chain.spend(&coins[3..], &[(clean.clone(), 4_700_000_000)]);
        chain.mine(vec![record, later.clone()]);
        let waiting = chain.spend(&[out(&unspent, 0)], &[(clean, 4_600_000_000)]);
        Self { chain, flagged: [flagged, other], paid, height, recorded, unspent, spent, later, waiting }
    }

    /// An index whose second entry is scanned from this height.
    fn index(&self, from: u32) -> SweptIndex {
        let listed = self.flagged.iter().zip([0, from]).map(|(script, from)| ListedScript {
            script: script.clone(),
            flagged: Some(from),
            service: false,
            label: "stolen".into(),
        });
        let entries = taint::entries(&listed.collect::<Vec<_>>());
        SweptIndex::fresh_tracking(&Branch::new(self.chain.blocks()), entries, &WantedTrace::default())
    }
}

#[test]
fn below_the_height_that_an_entry_is_scanned_from_no_way_of_asking_gives_none() {
    let case = BelowFrom::new();
    let (txindex, pruned) =
        (FakeLookup::new(case.chain.blocks(), &[], true), FakeLookup::new(case.chain.blocks(), &[], false));
    let no_lookup = NoLookup("no node was asked".into());
    let id = |of: &Transaction| of.compute_txid().to_string();
    let coin = |of: &Transaction, vout: u32| format!("{}:{vout}", of.compute_txid());
    let address = format!("script:{}", case.paid.to_hex_string());
    let caller = Some(case.height);
    type Way<'a> = (&'a str, &'a dyn ChainLookup, String, Option<u32>);
    let ways: [Way<'_>; 14] = [
        ("a record's other output", &no_lookup, coin(&case.recorded, 1), None),
        ("TXID, by an index of transactions", &txindex, id(&case.unspent), None),
        ("TXID, by an unspent output", &pruned, id(&case.unspent), None),
        ("TXID, by the caller", &no_lookup, id(&case.unspent), caller),
        ("TXID of a spent one, by an index of transactions", &txindex, id(&case.spent), None),
        ("TXID:VOUT, by an index of transactions", &txindex, coin(&case.unspent, 0), None),
        ("TXID:VOUT, by the unspent output", &pruned, coin(&case.unspent, 0), None),
        ("TXID:VOUT, by the caller", &pruned, coin(&case.unspent, 0), caller),
        ("TXID:VOUT, spent by a record", &no_lookup, coin(&case.spent, 0), None),
        ("TXID:VOUT, spent by a record, by an index of transactions", &txindex, coin(&case.spent, 0), None),
        ("TXID:VOUT, spent by a record, by the caller", &no_lookup, coin(&case.spent, 0), caller),
        ("an address", &txindex, address.clone(), None),
        ("an address, without a node", &no_lookup, address.clone(), None),
        ("an address, by the caller", &pruned, address, caller),
    ];
    let serialized = bitcoin::consensus::encode::serialize_hex::<Transaction>;
    type RawWay<'a> = (&'a str, &'a dyn ChainLookup, &'a Transaction, Option<u32>);
    let raw_ways: [RawWay<'_>; 4] = [
        ("raw, by an index of transactions", &txindex, &case.unspent, None),
        ("raw, by the caller", &no_lookup, &case.unspent, caller),
        ("a raw spend of it, by an index of transactions", &txindex, &case.waiting, None),
        ("a raw spend of it, by the unspent output", &pruned, &case.waiting, None),
    ];
    // Where all is scanned from genesis, the same ways prove each of them clean: it is the height that makes the difference.
    for (from, verdict) in [(0, Verdict::None), (case.height + 1, Verdict::Unknown)] {
        let index = case.index(from);
        let snapshot = Library::open(index.writer().path()).snapshot;
        let assert = |row: &ScreenRow, what: &str| {
            assert_eq!(row.verdict, verdict, "{what}, from {from}: {row:?}");
            let names_it = row.why.contains(&format!("height {from}"));
            assert!(verdict == Verdict::None || names_it, "{what}: '{}' doesn't name height {from}", row.why);
        };
        for (what, lookup, target, height) in &ways {
            let mut screener = Screener::new(&snapshot, *lookup).expect("the index reads");
            assert(&screener.screen(target, None, *height).expect("a good target").remove(0), what);
        }
        for (what, lookup, transaction, height) in &raw_ways {
            let mut screener = Screener::new(&snapshot, *lookup).expect("the index reads");
            assert(&screener.raw(&serialized(transaction), *height).expect("a good transaction"), what);
        }
        // One block higher, everything is scanned for.
        let above = Some(case.height + 1);
        for (lookup, target, height) in [
            (&txindex as &dyn ChainLookup, id(&case.later), None),
            (&pruned, coin(&case.later, 0), None),
            (&no_lookup, id(&case.later), above),
        ] {
            let mut screener = Screener::new(&snapshot, lookup).expect("the index reads");
            let row = screener.screen(&target, None, height).expect("a good target").remove(0);
            assert_eq!(row.verdict, Verdict::None, "{target}, from {from}: {row:?}");
        }
        // What taints a transaction below is found all the same.
        let mut screener = Screener::new(&snapshot, &no_lookup).expect("the index reads");
        let row = screener.screen(&coin(&case.recorded, 0), None, None).expect("a good target").remove(0);
        assert_eq!(row.verdict, Verdict::Flagged, "{row:?}");
    }
}
