//! Below the height that an entry is scanned from, `screen` calls nothing clean, whatever the target and the proof.

use bitcoin::{OutPoint, ScriptBuf, Transaction};
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

#[test]
fn below_the_height_of_an_entry_no_way_of_asking_gives_none() {
    let case = BelowFrom::new();
    let (txindex, pruned) =
        (FakeLookup::new(case.chain.blocks(), &[], true), FakeLookup::new(case.chain.blocks(), &[], false));
    let no_lookup = NoLookup("no node was asked".into());
    let id = |of: &Transaction| of.compute_txid().to_string();
    let coin = |of: &Transaction, vout: u32| format!("{}:{vout}", of.compute_txid());
    let address = format!("script:{}", case.paid.to_hex_string());
    let block = |height: u32| Some(Vouch::Block(case.chain.blocks()[height as usize].block_hash()));
    let (caller, hint) = (block(case.height), Some(Vouch::Height(case.height)));
    type Way<'a> = (&'a str, &'a dyn ChainLookup, String, Option<Vouch>);
    let ways: [Way<'_>; 15] = [
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
    let serialized = bitcoin::consensus::encode::serialize_hex::<Transaction>;
    type RawWay<'a> = (&'a str, &'a dyn ChainLookup, &'a Transaction, Option<Vouch>);
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
        for (what, lookup, target, vouch) in &ways {
            let mut screener = Screener::new(&snapshot, *lookup).expect("the index reads");
            assert(&screener.screen(target, None, *vouch).expect("a good target").remove(0), what);
            // To a caller who doesn't care about what happened below, all of them are clean, and the answer says from where on.
            let mut screener = Screener::new(&snapshot, *lookup).expect("the index reads").since(Some(from));
            let row = screener.screen(target, None, *vouch).expect("a good target").remove(0);
            let says_it = row.why.starts_with(&format!("from height {from} on: "));
            // What the transaction pays is not known, and may be the script that is flagged from above.
            let is_unseen = from > 0 && *what == "TXID, by the caller" && row.why.contains("what it pays");
            assert!((row.verdict == Verdict::None && says_it) || is_unseen, "{what}, since {from}: {row:?}");
        }
        for (what, lookup, transaction, vouch) in &raw_ways {
            let mut screener = Screener::new(&snapshot, *lookup).expect("the index reads");
            assert(&screener.raw(&serialized(transaction), *vouch).expect("a good transaction"), what);
        }
        // One block higher, everything is scanned for; but the coin that it spends is older.
        for (lookup, target, vouch) in [
            (&txindex as &dyn ChainLookup, id(&case.later), None),
            (&pruned, coin(&case.later, 0), None),
            (&no_lookup, id(&case.later), block(case.height + 1)),
        ] {
            let mut screener = Screener::new(&snapshot, lookup).expect("the index reads");
            assert(&screener.screen(&target, None, vouch).expect("a good target").remove(0), &target);
        }
        // What taints a transaction below is found all the same.
        let mut screener = Screener::new(&snapshot, &no_lookup).expect("the index reads");
        let row = screener.screen(&coin(&case.recorded, 0), None, None).expect("a good target").remove(0);
        assert_eq!(row.verdict, Verdict::Flagged, "{row:?}");
    }
}
