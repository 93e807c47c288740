//! Below the height that an entry is scanned from, `screen` calls nothing clean, whatever the target and the proof.

use bitcoin::{OutPoint, ScriptBuf, Transaction};
use coinhound::query::Snapshot;
use coinhound::query::screen::{ChainLookup, NoLookup, ScreenRow, Screener, Verdict, Vouch};
use coinhound::sync::plan::wanted::WantedTrace;

use super::screen_expected::FakeLookup;
use crate::oracle::taint::{self, ListedScript};
use crate::support::chain::RegtestChain;
use crate::support::library::Library;
use crate::support::scripts::Shape;
use crate::support::source::Branch;
use crate::support::swept::SweptIndex;

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

/// How a target is asked for: in words, by which lookup, the target, where the caller says that it is confirmed.
type AskedBelow<'a> = (&'a str, &'a dyn ChainLookup, String, Option<Vouch>);

/// A lookup in an index of transactions, one among unspent outputs and recent blocks, and none.
fn lookups(case: &BelowFrom) -> (FakeLookup, FakeLookup, NoLookup) {
    let blocks = case.chain.blocks();
    (FakeLookup::new(blocks, &[], true), FakeLookup::new(blocks, &[], false), NoLookup("no node was asked".into()))
}

fn id(of: &Transaction) -> String {
    of.compute_txid().to_string()
}

fn coin(of: &Transaction, vout: u32) -> String {
    format!("{}:{vout}", of.compute_txid())
}

fn block(case: &BelowFrom, height: u32) -> Option<Vouch> {
    Some(Vouch::Block(case.chain.blocks()[height as usize].block_hash()))
}

fn one_row(screener: &mut Screener<'_>, target: &str, vouch: Option<Vouch>) -> ScreenRow {
    screener.screen(target, None, vouch).expect("a good target").remove(0)
}

/// Calls `check` with an index whose entries are all scanned from genesis, where each target is proven clean, then with one that scans
/// an entry from `from` only, where none is: it is the height that makes the difference.
fn with_both_indexes(case: &BelowFrom, from: u32, mut check: impl FnMut(&Snapshot, u32)) {
    for from in [0, from] {
        let index = case.index(from);
        check(&Library::open(index.writer().path()).snapshot, from);
    }
}

/// Fails unless a row of an index that scans an entry from `from` is clean exactly if that is genesis, and names the height otherwise.
fn assert_judged(row: &ScreenRow, from: u32, what: &str) {
    let verdict = if from == 0 { Verdict::None } else { Verdict::Unknown };
    assert_eq!(row.verdict, verdict, "{what}, from {from}: {row:?}");
    let names_it = row.why.contains(&format!("height {from}"));
    assert!(from == 0 || names_it, "{what}: '{}' doesn't name height {from}", row.why);
}

#[test]
fn below_the_height_of_an_entry_no_way_of_asking_gives_none() {
    let case = BelowFrom::new();
    let (txindex, pruned, no_lookup) = lookups(&case);
    let address = format!("script:{}", case.paid.to_hex_string());
    let (caller, hint) = (block(&case, case.height), Some(Vouch::Height(case.height)));
    let ways: [AskedBelow<'_>; 15] = [
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
        ("TXID, by the caller's height and the node", &pruned, id(&case.spent), hint),
    ];
    with_both_indexes(&case, case.height + 1, |snapshot, from| {
        for (what, lookup, target, vouch) in &ways {
            let mut screener = Screener::new(snapshot, *lookup).expect("the index reads");
            assert_judged(&one_row(&mut screener, target, *vouch), from, what);
            // To a caller who doesn't care about what happened below, all of them are clean, and the answer says from where on.
            let mut screener = Screener::new(snapshot, *lookup).expect("the index reads").since(Some(from));
            let row = one_row(&mut screener, target, *vouch);
            let says_it = row.why.starts_with(&format!("from height {from} on: "));
            // What the transaction pays is not known, and may be the script that is flagged from above.
            let is_unseen = from > 0 && *what == "TXID, by the caller" && row.why.contains("what it pays");
            assert!((row.verdict == Verdict::None && says_it) || is_unseen, "{what}, since {from}: {row:?}");
        }
    });
}

#[test]
fn below_the_height_of_an_entry_no_raw_transaction_is_clean() {
    let case = BelowFrom::new();
    let (txindex, pruned, no_lookup) = lookups(&case);
    let caller = block(&case, case.height);
    type RawWay<'a> = (&'a str, &'a dyn ChainLookup, &'a Transaction, Option<Vouch>);
    let ways: [RawWay<'_>; 4] = [
        ("raw, by an index of transactions", &txindex, &case.unspent, None),
        ("raw, by the caller", &no_lookup, &case.unspent, caller),
        ("a raw spend of it, by an index of transactions", &txindex, &case.waiting, None),
        ("a raw spend of it, by the unspent output", &pruned, &case.waiting, None),
    ];
    with_both_indexes(&case, case.height + 1, |snapshot, from| {
        for (what, lookup, transaction, vouch) in &ways {
            let hex = bitcoin::consensus::encode::serialize_hex::<Transaction>(transaction);
            let mut screener = Screener::new(snapshot, *lookup).expect("the index reads");
            assert_judged(&screener.raw(&hex, *vouch).expect("a good transaction"), from, what);
        }
    });
}

#[test]
fn a_coin_above_the_height_of_an_entry_is_not_clean_if_what_it_spends_is_older() {
    let case = BelowFrom::new();
    let (txindex, pruned, no_lookup) = lookups(&case);
    let ways: [AskedBelow<'_>; 3] = [
        ("TXID, by an index of transactions", &txindex, id(&case.later), None),
        ("TXID:VOUT, by the unspent output", &pruned, coin(&case.later, 0), None),
        ("TXID, by the caller", &no_lookup, id(&case.later), block(&case, case.height + 1)),
    ];
    with_both_indexes(&case, case.height + 1, |snapshot, from| {
        for (what, lookup, target, vouch) in &ways {
            let mut screener = Screener::new(snapshot, *lookup).expect("the index reads");
            assert_judged(&one_row(&mut screener, target, *vouch), from, what);
        }
    });
}

#[test]
fn a_flagged_script_is_found_below_the_height_of_another_entry() {
    let case = BelowFrom::new();
    with_both_indexes(&case, case.height + 1, |snapshot, _| {
        let no_lookup = NoLookup("no node was asked".into());
        let mut screener = Screener::new(snapshot, &no_lookup).expect("the index reads");
        let row = one_row(&mut screener, &coin(&case.recorded, 0), None);
        assert_eq!(row.verdict, Verdict::Flagged, "{row:?}");
    });
}
