//! The part of a coin's taint that comes from one label is what a trace of that label alone finds on the coin.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};

use bitcoin::{OutPoint, Transaction};
use coinhound::index::ReadRows;
use coinhound::query::Snapshot;
use coinhound::query::at::Moment;
use coinhound::query::screen::{NoLookup, ScreenRow, Screener};
use coinhound::query::trace::{TraceOptions, trace};
use coinhound::sync::plan::wanted::WantedTrace;
use coinhound::trace::Rule;

use super::screen_expected::{UNASKED, screen, some, spend};
use crate::oracle::taint::{self, ListedScript};
use crate::support::chain::{RegtestChain, outputs};
use crate::support::library::Library;
use crate::support::scripts::Shape;
use crate::support::source::Branch;
use crate::support::swept::SweptIndex;
use crate::support::taint_cases::each;

/// The taint of each coin in the traces of some labels: by coin and height, by label, by rule.
type Parts = BTreeMap<(OutPoint, u32), BTreeMap<(String, Rule), u64>>;

/// What `trace label:X` finds on each coin when it was made, for each of these labels.
fn traced(snapshot: &Snapshot, labels: impl IntoIterator<Item = String>) -> Parts {
    let mut parts = Parts::new();
    for label in labels {
        let options = TraceOptions { rules: snapshot.trace.rules.clone(), ..TraceOptions::default() };
        let targets = [format!("label:{label}")];
        let tip = Moment::at(snapshot.tip.expect("an index with blocks").height);
        for of_rule in trace(snapshot, &targets, None, &options, tip).expect("a known label").rules {
            for coin in of_rule.coins {
                let Some(height) = coin.height else { continue };
                let script = bitcoin::ScriptBuf::from_hex(&coin.info.script).expect("hex");
                let entry = snapshot.entry(&script).expect("the index reads");
                // Flagged after it was made and before it was spent: the trace shows what it was worth when it was spent.
                let later = entry.is_some_and(|entry| entry.flagged && entry.from > height) && coin.hops == 0;
                let taint = if later { coin.carried_sat } else { coin.taint_sat };
                parts.entry((coin.outpoint, height)).or_default().insert((label.clone(), of_rule.rule), taint);
            }
        }
    }
    parts
}

/// Panics unless the row of a coin names the parts of the traces; returns how many of them there are.
fn assert_parts(snapshot: &Snapshot, row: &ScreenRow, at: OutPoint, parts: &Parts, what: &str) -> usize {
    let made = snapshot.reader.positions(at.txid).expect("the index reads").pop();
    let expected = made.and_then(|made| parts.get(&(at, made.height))).cloned().unwrap_or_default();
    for share in &row.sources {
        for rule in &snapshot.trace.rules {
            let part = expected.get(&(share.label.clone(), *rule)).copied().unwrap_or_default();
            assert_eq!(share.taint_sat.get(*rule), part, "{what}: {at}: {} under {rule}", share.label);
        }
    }
    for ((label, rule), part) in expected {
        let is_named = row.sources.iter().any(|share| share.label == label);
        assert!(is_named || part == 0, "{what}: {at}: {label} under {rule} isn't named, and has {part}");
    }
    row.sources.len()
}

#[test]
fn a_labels_part_is_what_its_own_trace_finds() {
    let shared = AtomicUsize::new(0);
    each(56, |case| {
        let snapshot = Library::open(case.index.writer().path()).snapshot;
        if snapshot.trace.rules.is_empty() {
            return;
        }
        let flagged = case.listed.iter().filter(|listed| listed.flagged.is_some());
        let labels: std::collections::BTreeSet<String> = flagged.map(|listed| listed.label.clone()).collect();
        let parts = traced(&snapshot, labels);
        let unasked = NoLookup(UNASKED.into());
        let new = || Screener::new(&snapshot, &unasked).expect("the index reads");
        let mut screener = new();
        let coins: Vec<OutPoint> = case.outputs.keys().copied().collect();
        for at in some(&mut case.rng, &coins, 200) {
            let row = screen(&mut screener, &at.to_string(), None);
            let named = assert_parts(&snapshot, &row, at, &parts, &case.name);
            shared.fetch_add(usize::from(named > 1), Ordering::Relaxed);
            // What was kept of the targets before changes nothing.
            assert_eq!(row, screen(&mut new(), &at.to_string(), None), "{}: {at}", case.name);
        }
    });
    assert!(shared.into_inner() > 20, "too few coins whose taint is of several labels");
}

/// Coins of many labels, merged, split and mixed again, so that the last coin descends from all of them.
struct Mixer {
    index: SweptIndex,
    labels: Vec<String>,
    /// Every coin, in chain order.
    coins: Vec<OutPoint>,
}

impl Mixer {
    fn new(labels: usize, width: usize, rounds: usize) -> Self {
        let mut chain = RegtestChain::regtest(57);
        let coinbases = chain.mature(labels.div_ceil(50));
        let script = |n: usize| chain.script(Shape::P2wpkh, u32::try_from(n).expect("few keys"));
        let flagged: Vec<_> = (0..labels).map(|n| (script(1 + n), 90_000_000)).collect();
        let paid: Vec<Transaction> =
            coinbases.iter().zip(flagged.chunks(50)).map(|(coin, pays)| chain.spend(&[*coin], pays)).collect();
        let sources: Vec<OutPoint> = paid.iter().flat_map(outputs).map(|(at, _)| at).collect();
        let value = labels as u64 * 90_000_000 / width as u64;
        let merged = spend(&sources, &vec![value; width]);
        let mut round: Vec<OutPoint> = outputs(&merged).map(|(at, _)| at).collect();
        let mut coins = [sources, round.clone()].concat();
        chain.mine(paid);
        chain.mine(vec![merged]);
        for number in 0..rounds {
            round.rotate_left(number);
            // Unequal halves, so that no two coins hold the same.
            let pays = [value - 10_000 * (number as u64 + 1), value + 10_000 * (number as u64)];
            let (mut transactions, mut made) = (Vec::new(), Vec::new());
            for pair in round.chunks(2) {
                let mixed = spend(pair, &pays[..pair.len()]);
                made.extend(outputs(&mixed).map(|(at, _)| at));
                transactions.push(mixed);
            }
            for some in transactions.chunks(1_000) {
                chain.mine(some.to_vec());
            }
            coins.extend(&made);
            round = made;
        }
        let last = spend(&round, &[value * width as u64 / 2]);
        coins.extend(outputs(&last).map(|(at, _)| at));
        chain.mine(vec![last]);
        let labels: Vec<String> = (0..labels).map(|n| format!("label {n}")).collect();
        let listed = flagged.iter().zip(&labels).map(|((script, _), label)| ListedScript {
            script: script.clone(),
            flagged: Some(0),
            service: false,
            label: label.clone(),
        });
        let listed: Vec<ListedScript> = listed.collect();
        let index = SweptIndex::fresh_tracking(
            &Branch::new(chain.blocks()),
            taint::entries(&listed),
            &WantedTrace { min_taint_sat: Some(1_000), ..WantedTrace::default() },
        );
        Self { index, labels, coins }
    }
}

#[test]
fn parts_of_many_labels_on_mixed_coins_are_those_of_their_traces() {
    let mixer = Mixer::new(60, 40, 8);
    let snapshot = Library::open(mixer.index.writer().path()).snapshot;
    let parts = traced(&snapshot, mixer.labels.iter().cloned());
    let unasked = NoLookup(UNASKED.into());
    // The last coin alone, then all of them from the last on, then in chain order.
    for coins in [&mixer.coins[mixer.coins.len() - 1..], &mixer.coins[..]] {
        for coins in [coins.iter().rev().copied().collect::<Vec<_>>(), coins.to_vec()] {
            let mut screener = Screener::new(&snapshot, &unasked).expect("the index reads");
            for at in coins {
                let row = screen(&mut screener, &at.to_string(), None);
                assert_parts(&snapshot, &row, at, &parts, "mixed");
            }
        }
    }
    let mut screener = Screener::new(&snapshot, &unasked).expect("the index reads");
    let last = mixer.coins[mixer.coins.len() - 1];
    assert_eq!(screen(&mut screener, &last.to_string(), None).sources.len(), mixer.labels.len());
}
