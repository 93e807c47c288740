//! `screen` never calls a target clean that it can't know to be clean; it follows taint through any number of hops and unconfirmed
//! parents.

use bitcoin::hashes::Hash;
use bitcoin::{BlockHash, OutPoint, ScriptBuf, TxOut, Txid};
use coinhound::chain::BlockId;
use coinhound::index::{ReadRows, Reader};
use coinhound::query::Snapshot;
use coinhound::query::screen::{Bound, ChainLookup, NoLookup, ScreenRow, Screener, Verdict, Vouch};
use coinhound::trace::Rule;

use super::screen_expected::{Expected, FakeLookup, UNASKED, screen, spend};
use crate::oracle::taint;
use crate::support::chain::outpoints;
use crate::support::library::Library;
use crate::support::lists::target;
use crate::support::taint_cases::TaintCase;

/// A case with flagged scripts, all of which are swept from genesis on, and with tracked rules.
fn silent_case() -> TaintCase {
    let cases = (0..).map(|number| TaintCase::draw(53, number));
    let good = |case: &TaintCase| {
        let expected = Expected::of(case, case.tip());
        expected.silent
            && expected.from == 0
            && case.parameters.min_taint_sat <= 100_000
            && case.parameters.max_hops.is_none()
    };
    cases.into_iter().find(good).expect("a case that fits")
}

/// A silent case, and a coin of it that is clean: no record made or spent it, and its script isn't listed.
struct Hunt {
    case: TaintCase,
    snapshot: Snapshot,
    clean: OutPoint,
    /// Nodes with and without txindex, and none.
    with: FakeLookup,
    without: FakeLookup,
    unasked: NoLookup,
}

impl Hunt {
    fn new() -> Self {
        let case = silent_case();
        let snapshot = Library::open(case.index.writer().path()).snapshot;
        let same_key = Expected::of(&case, case.tip()).same_key;
        let (with, without) = (FakeLookup::new(&case.blocks, &[], true), FakeLookup::new(&case.blocks, &[], false));
        let unknown_to_index = |at: &&OutPoint| {
            snapshot.reader.positions(at.txid).expect("the index reads").is_empty()
                && without
                    .unspent
                    .get(*at)
                    .is_some_and(|(output, block)| block.height > 1 && !same_key.contains(&output.script_pubkey))
        };
        let clean = *case.outputs.keys().find(unknown_to_index).expect("most coins are clean");
        Self { case, snapshot, clean, with, without, unasked: NoLookup(UNASKED.into()) }
    }

    /// The row of a target.
    fn screen(&self, lookup: &dyn ChainLookup, target: &str, vouch: Option<Vouch>) -> ScreenRow {
        screen(&mut Screener::new(&self.snapshot, lookup).expect("the index reads"), target, vouch)
    }
}

#[test]
fn a_false_none_is_hunted_and_not_found() {
    let hunt = Hunt::new();
    let Hunt { case, clean, with, without, unasked, .. } = &hunt;
    let (tip, height) = (case.tip(), without.unspent[clean].1.height);
    let mut typo = *clean;
    typo.txid = Txid::from_byte_array(typo.txid.to_byte_array().map(|byte| byte ^ 1));
    let beyond = OutPoint { vout: 1_000, ..*clean };
    let at = |height| Some(Vouch::Height(height));
    let block = |height: u32| Some(Vouch::Block(case.blocks[height as usize].block_hash()));
    let nowhere = Some(Vouch::Block(BlockHash::all_zeros()));
    // The lookup, the target, the caller's word, the verdict, and words of the reason.
    type Shot<'a> = (&'a dyn ChainLookup, String, Option<Vouch>, Verdict, &'a str);
    let shots: [Shot<'_>; 25] = [
        (without, clean.to_string(), None, Verdict::None, "according to the node"),
        (without, clean.txid.to_string(), None, Verdict::None, "according to the node"),
        (with, clean.txid.to_string(), None, Verdict::None, "according to the node"),
        (unasked, clean.to_string(), None, Verdict::Unknown, UNASKED),
        (unasked, clean.txid.to_string(), None, Verdict::Unknown, UNASKED),
        (unasked, clean.to_string(), at(height), Verdict::Unknown, "proves nothing"),
        (unasked, clean.to_string(), at(tip), Verdict::Unknown, "proves nothing"),
        (unasked, clean.to_string(), block(height), Verdict::None, "according to the caller"),
        (unasked, clean.txid.to_string(), block(height), Verdict::None, "according to the caller"),
        (unasked, clean.to_string(), nowhere, Verdict::Unknown, "not on the index's chain"),
        (without, clean.to_string(), at(height), Verdict::None, "according to the node"),
        (without, clean.txid.to_string(), at(height), Verdict::None, "according to the node"),
        (without, clean.txid.to_string(), block(height), Verdict::None, "according to the node"),
        (without, clean.to_string(), at(height - 1), Verdict::Unknown, "which the caller names"),
        (without, clean.txid.to_string(), block(height - 1), Verdict::Unknown, "it is not in block"),
        (unasked, clean.to_string(), at(tip + 1), Verdict::Unknown, "settled through"),
        (unasked, clean.txid.to_string(), at(u32::MAX), Verdict::Unknown, "settled through"),
        (with, clean.to_string(), at(tip + 1), Verdict::Unknown, "settled through"),
        (with, typo.to_string(), None, Verdict::Unknown, "existence not proven"),
        (with, typo.txid.to_string(), None, Verdict::Unknown, "existence not proven"),
        (without, typo.to_string(), None, Verdict::Unknown, "existence not proven"),
        (with, beyond.to_string(), None, Verdict::Unknown, "has no output 1000"),
        (without, beyond.to_string(), None, Verdict::Unknown, "existence not proven"),
        (unasked, typo.to_string(), at(height), Verdict::Unknown, "proves nothing"),
        (without, typo.to_string(), block(height), Verdict::Unknown, "it is not in block"),
    ];
    for (lookup, target, vouch, verdict, words) in shots {
        let row = hunt.screen(lookup, &target, vouch);
        assert_eq!(row.verdict, verdict, "{target} {vouch:?}: {row:?}");
        assert!(row.why.contains(words), "{target} {vouch:?}: '{}' lacks '{words}'", row.why);
    }
}

#[test]
fn a_node_on_another_chain_proves_nothing() {
    let hunt = Hunt::new();
    let mut stale = FakeLookup::new(&hunt.case.blocks, &[], true);
    let hash = BlockHash::all_zeros();
    stale.unspent.values_mut().for_each(|(_, block)| block.hash = hash);
    stale.transactions.values_mut().for_each(|(_, block)| *block = block.map(|block| BlockId { hash, ..block }));
    for target in [hunt.clean.to_string(), hunt.clean.txid.to_string()] {
        let row = hunt.screen(&stale, &target, None);
        assert_eq!(row.verdict, Verdict::Unknown, "{row:?}");
    }
}

#[test]
fn lists_that_changed_or_flag_nothing_prove_nothing() {
    let hunt = Hunt::new();
    let index = Reader::open(hunt.case.index.writer().path()).expect("the index opens");
    let changed = Snapshot::new(index, |_| true).expect("the index reads");
    let mut screener = Screener::new(&changed, &hunt.with).expect("the index reads");
    assert!(!screener.coverage.complete);
    let unlisted = target(&ScriptBuf::from_bytes(vec![0x51, 0x99]));
    let targets = [hunt.clean.to_string(), hunt.clean.txid.to_string(), unlisted];
    for target in &targets {
        let row = screen(&mut screener, target, None);
        assert_eq!(row.verdict, Verdict::Unknown, "{row:?}");
        assert!(row.why.contains("lists"), "{row:?}");
    }

    // Services alone: no script is flagged.
    let mut services = silent_case();
    services.listed.iter_mut().for_each(|listed| (listed.flagged, listed.service) = (None, true));
    let index = services.index_to(hunt.case.tip());
    let snapshot = Library::open(index.writer().path()).snapshot;
    let mut screener = Screener::new(&snapshot, &hunt.with).expect("the index reads");
    for target in &targets {
        let row = screen(&mut screener, target, Some(Vouch::Height(0)));
        assert_eq!((row.verdict, row.is_found()), (Verdict::Unknown, false), "{row:?}");
        assert!(row.why.contains("no entry is flagged"), "{row:?}");
    }
}

/// A silent case with an unspent tainted coin and a clean one.
struct Parents {
    case: TaintCase,
    source: OutPoint,
    source_sat: u64,
    clean: OutPoint,
    clean_sat: u64,
}

impl Parents {
    fn new() -> Self {
        let case = silent_case();
        let reader = Library::open(case.index.writer().path()).snapshot.reader;
        let unspent = FakeLookup::new(&case.blocks, &[], false).unspent;
        let flagged = taint::flagged(&case.listed);
        let same_key = Expected::of(&case, case.tip()).same_key;
        let is_recorded = |at: &OutPoint| !reader.positions(at.txid).expect("the index reads").is_empty();
        let is_source = |at: &OutPoint, output: &TxOut, height: u32| {
            flagged.get(&output.script_pubkey).is_some_and(|from| *from <= height)
                && output.value.to_sat() > 1_000_000
                && is_recorded(at)
                && height > 0
        };
        let is_clean = |at: &OutPoint, output: &TxOut, height: u32| {
            height > 0
                && !same_key.contains(&output.script_pubkey)
                && output.value.to_sat() > 1_000
                && !flagged.contains_key(&output.script_pubkey)
                && !is_recorded(at)
        };
        let find = |fits: &dyn Fn(&OutPoint, &TxOut, u32) -> bool| {
            let found = unspent.iter().find(|(at, (output, block))| fits(at, output, block.height));
            found.map(|(at, (output, _))| (*at, output.value.to_sat()))
        };
        let (source, source_sat) = find(&is_source).expect("an unspent coin on a flagged script");
        let (clean, clean_sat) = find(&is_clean).expect("most coins are clean");
        Self { case, source, source_sat, clean, clean_sat }
    }

    /// A row of each unconfirmed transaction, which descend from both coins.
    fn assert_rows(&self) {
        let Self { case, source, source_sat: value, clean, clean_sat } = self;
        let lost = OutPoint { txid: Txid::from_byte_array([7; 32]), vout: 0 };
        let tainted_parent = spend(&[*source], &[value / 2, value / 2]);
        let [first, second] = outpoints(&tainted_parent);
        let clean_parent = spend(&[*clean], &[900]);
        let clean_child = spend(&outpoints::<1>(&clean_parent), &[800]);
        let tainted_child = spend(&[second, *clean], &[value / 2 + clean_sat]);
        let [child] = outpoints(&tainted_child);
        let merged = spend(&[first, child], &[2 * (value / 2) + clean_sat]);
        let half_known = spend(&[first, lost], &[*value]);
        let unknown = spend(&[*clean, lost], &[*value]);
        let no_such_output = spend(&[OutPoint { vout: 9, ..first }], &[1]);
        let waiting = [&tainted_parent, &clean_parent, &clean_child, &tainted_child, &merged].map(Clone::clone);
        let snapshot = Library::open(case.index.writer().path()).snapshot;
        let lookup = FakeLookup::new(&case.blocks, &waiting, false);
        let mut screener = Screener::new(&snapshot, &lookup).expect("the index reads");
        for (what, transaction, verdict, hops) in [
            ("a clean parent", &clean_child, Verdict::None, None),
            ("a tainted parent", &tainted_child, Verdict::Derived, Some(2)),
            ("both branches", &merged, Verdict::Derived, Some(2)),
            ("the parent itself", &tainted_parent, Verdict::Derived, Some(1)),
            ("an unknown parent beside a tainted one", &half_known, Verdict::Derived, Some(2)),
            ("an unknown parent beside a clean one", &unknown, Verdict::Unknown, None),
            ("an output that isn't there", &no_such_output, Verdict::Unknown, None),
        ] {
            let hex = bitcoin::consensus::encode::serialize_hex(transaction);
            let row = screener.raw(&hex, None).expect("a good transaction");
            assert_eq!(row.verdict, verdict, "{what}: {row:?}");
            assert!(hops.is_none() || row.hops == hops, "{what}: {row:?}");
            assert_eq!(row.taint_sat.is_some(), verdict == Verdict::Derived, "{what}: {row:?}");
            let is_lower = row.bound == Some(Bound::Lower) && row.why.contains("at least");
            assert_eq!(is_lower, what.contains("a tainted one"), "{what}: {row:?}");
            if what == "both branches" {
                let whole = |rule: &Rule| row.taint_sat.as_ref().expect("exact").get(*rule) == 2 * (value / 2);
                let is_cut = value / 2 < case.parameters.min_taint_sat;
                assert!(is_cut || case.parameters.rules.iter().all(whole), "the taint of both branches: {row:?}");
                assert_eq!(row.path.last(), Some(source), "{row:?}");
            }
        }
    }
}

#[test]
fn unconfirmed_parents_are_followed_and_an_unknown_one_is_never_clean() {
    let parents = Parents::new();
    parents.assert_rows();
    // A chain of parents longer than a mempool allows is never guessed at.
    let mut chain = vec![spend(&[parents.clean], &[900])];
    while chain.len() < 1_100 {
        chain.push(spend(&outpoints::<1>(&chain[chain.len() - 1]), &[900]));
    }
    let snapshot = Library::open(parents.case.index.writer().path()).snapshot;
    let lookup = FakeLookup::new(&parents.case.blocks, &chain, false);
    let mut screener = Screener::new(&snapshot, &lookup).expect("the index reads");
    for (length, verdict) in [(900, Verdict::None), (1_099, Verdict::Unknown)] {
        let row = screen(&mut screener, &chain[length].compute_txid().to_string(), None);
        assert_eq!(row.verdict, verdict, "{length}: {row:?}");
    }
}
