//! `screen` never calls a target clean that it can't know to be clean; it follows taint through any number of hops and unconfirmed
//! parents.

use bitcoin::hashes::Hash;
use bitcoin::{Amount, BlockHash, OutPoint, ScriptBuf, Sequence, Transaction, TxIn, TxOut, Txid, Witness};
use coinhound::chain::BlockId;
use coinhound::index::Reader;
use coinhound::query::Snapshot;
use coinhound::query::screen::{ChainLookup, NoLookup, ScreenRow, Screener, Verdict};
use coinhound::sync::plan::wanted::WantedTrace;
use coinhound::trace::Rule;

use super::screen_expected::{Expected, FakeLookup};
use crate::oracle::taint::{self, ListedScript};
use crate::support::chain::{RegtestChain, outpoints, outputs};
use crate::support::library::Library;
use crate::support::lists::target;
use crate::support::scripts::Shape;
use crate::support::source::Branch;
use crate::support::swept::SweptIndex;
use crate::support::taint_cases::TaintCase;

/// A case with flagged scripts, all of which are swept, and with tracked rules.
fn silent_case() -> TaintCase {
    let cases = (0..).map(|number| TaintCase::draw(53, number));
    let good =
        |case: &TaintCase| Expected::of(case, case.tip()).silent && case.listed.iter().all(|of| of.flagged != Some(1));
    cases.into_iter().find(good).expect("a case that fits")
}

/// A silent case, and a coin of it that is clean: no record made or spent it, and its script isn't listed.
struct Hunt {
    case: TaintCase,
    snapshot: Snapshot,
    /// The greatest height that a script is flagged from.
    from: u32,
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
        let from = taint::flagged(&case.listed).values().copied().max().expect("a flagged script");
        let (with, without) = (FakeLookup::new(&case.blocks, &[], true), FakeLookup::new(&case.blocks, &[], false));
        let unknown_to_index = |at: &&OutPoint| {
            snapshot.reader.positions(at.txid).expect("the index reads").is_empty()
                && without.unspent.get(*at).is_some_and(|(_, block)| block.height >= from)
        };
        let clean = *case.outputs.keys().find(unknown_to_index).expect("most coins are clean");
        Self { case, snapshot, from, clean, with, without, unasked: NoLookup(UNASKED.into()) }
    }

    /// The row of a target.
    fn screen(&self, lookup: &dyn ChainLookup, target: &str, height: Option<u32>) -> ScreenRow {
        screen(&mut Screener::new(&self.snapshot, lookup).expect("the index reads"), target, height)
    }
}

/// The reason why no node was asked.
const UNASKED: &str = "no node was asked";

/// The row of a target.
fn screen(screener: &mut Screener<'_>, target: &str, height: Option<u32>) -> ScreenRow {
    screener.screen(target, None, height).expect("a good target").remove(0)
}

#[test]
fn a_false_none_is_hunted_and_not_found() {
    let hunt = Hunt::new();
    let Hunt { case, clean, with, without, unasked, .. } = &hunt;
    let (tip, height) = (case.tip(), without.unspent[clean].1.height);
    let mut typo = *clean;
    typo.txid = Txid::from_byte_array(typo.txid.to_byte_array().map(|byte| byte ^ 1));
    let beyond = OutPoint { vout: 1_000, ..*clean };
    // The lookup, the target, the caller's height, the verdict, and words of the reason.
    type Shot<'a> = (&'a dyn ChainLookup, String, Option<u32>, Verdict, &'a str);
    let shots: [Shot<'_>; 16] = [
        (without, clean.to_string(), None, Verdict::None, "confirmed"),
        (without, clean.txid.to_string(), None, Verdict::None, "confirmed"),
        (with, clean.txid.to_string(), None, Verdict::None, "confirmed"),
        (unasked, clean.to_string(), None, Verdict::Unknown, UNASKED),
        (unasked, clean.txid.to_string(), None, Verdict::Unknown, UNASKED),
        (unasked, clean.to_string(), Some(tip), Verdict::None, "according to --height"),
        (unasked, clean.to_string(), Some(tip + 1), Verdict::Unknown, "settled through"),
        (unasked, clean.txid.to_string(), Some(u32::MAX), Verdict::Unknown, "settled through"),
        (with, typo.to_string(), None, Verdict::Unknown, "existence not proven"),
        (with, typo.txid.to_string(), None, Verdict::Unknown, "existence not proven"),
        (without, typo.to_string(), None, Verdict::Unknown, "existence not proven"),
        (with, beyond.to_string(), None, Verdict::Unknown, "has no output 1000"),
        (without, beyond.to_string(), None, Verdict::Unknown, "existence not proven"),
        (unasked, typo.to_string(), Some(height), Verdict::None, "according to --height"),
        (with, clean.to_string(), Some(tip + 1), Verdict::Unknown, "settled through"),
        (without, clean.to_string(), Some(tip), Verdict::None, "according to --height"),
    ];
    for (lookup, target, height, verdict, words) in shots {
        let row = hunt.screen(lookup, &target, height);
        assert_eq!(row.verdict, verdict, "{target} {height:?}: {row:?}");
        assert!(row.why.contains(words), "{target} {height:?}: '{}' lacks '{words}'", row.why);
    }
    if hunt.from > 0 {
        let row = hunt.screen(unasked, &clean.to_string(), Some(hunt.from - 1));
        assert_eq!(row.verdict, Verdict::Unknown, "its script may be flagged from a greater height: {row:?}");
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
        let row = screen(&mut screener, target, Some(0));
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
        // Below that height nothing is proven.
        let from = flagged.values().copied().max().expect("a flagged script");
        let is_recorded = |at: &OutPoint| !reader.positions(at.txid).expect("the index reads").is_empty();
        let is_source = |at: &OutPoint, output: &TxOut, height: u32| {
            flagged.get(&output.script_pubkey).is_some_and(|from| *from <= height)
                && output.value.to_sat() > 1_000_000
                && is_recorded(at)
                && height > 0
        };
        let is_clean = |at: &OutPoint, output: &TxOut, height: u32| {
            height >= from
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

/// An index of a chain on which one script is flagged.
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
        // Many in one block, in several blocks.
        if number % 400 == 0 {
            chain.mine(std::mem::take(&mut waiting));
        }
    }
    chain.mine(waiting);
    let index = swept(&chain, &flagged);
    let snapshot = Library::open(index.writer().path()).snapshot;
    let unasked = NoLookup(UNASKED.into());
    let mut screener = Screener::new(&snapshot, &unasked).expect("the index reads");
    let last = OutPoint { txid: hop.compute_txid(), vout: 0 };
    let row = screen(&mut screener, &last.to_string(), None);
    assert_eq!((row.verdict, row.hops, row.path.len()), (Verdict::Derived, Some(1_000), 1_001), "{}", row.why);
    assert_eq!((row.path.first(), row.path.last()), (Some(&last), Some(&source)));
    let taint = row.taint_sat.expect("a taint");
    assert_eq!((taint.get(Rule::Haircut), taint.get(Rule::Fifo)), (left, left));
    // The script that all was peeled to holds the sum.
    let row = screen(&mut screener, &target(&peeled), None);
    assert_eq!((row.verdict, row.hops), (Verdict::Derived, Some(1)));
    assert_eq!(row.taint_sat.expect("a taint").get(Rule::Fifo), 1_000 * 500_000);
    assert_eq!((row.sources.len(), row.sources[0].label.as_str()), (1, "stolen"));
}

#[test]
fn taint_below_the_gate_is_none_and_the_frontier_says_how_much() {
    let mut chain = RegtestChain::regtest(55);
    let flagged = chain.script(Shape::P2wpkh, 1);
    let coin = chain.mature(1)[0];
    let theft = chain.spend(&[coin], &[(flagged.clone(), 200_000_000)]);
    // Without signatures, of which a thousand would take their time, and which aren't checked here.
    let split = spend(&[OutPoint { txid: theft.compute_txid(), vout: 0 }], &[99_999; 1_001]);
    let inputs: Vec<OutPoint> = outputs(&split).map(|(at, _)| at).collect();
    let merge = spend(&inputs, &[1_001 * 99_999]);
    let ids = [&split, &merge].map(Transaction::compute_txid);
    chain.mine(vec![theft, split]);
    chain.mine(vec![merge]);
    let index = swept(&chain, &flagged);
    let snapshot = Library::open(index.writer().path()).snapshot;
    let lookup = FakeLookup::new(chain.blocks(), &[], false);
    let mut screener = Screener::new(&snapshot, &lookup).expect("the index reads");
    for rule in [Rule::Haircut, Rule::Fifo] {
        assert_eq!(screener.frontier.get(rule), 1_001 * 99_999, "the sum of the cut coins, under {rule}");
    }
    let verdict = |screener: &mut Screener<'_>, txid: Txid| screen(screener, &format!("{txid}:0"), None).verdict;
    assert_eq!(verdict(&mut screener, ids[0]), Verdict::Derived, "a cut coin holds taint");
    assert_eq!(verdict(&mut screener, ids[1]), Verdict::None, "the taint of cut coins isn't passed on");
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
