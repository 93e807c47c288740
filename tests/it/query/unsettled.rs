//! `screen` beside a sweep of new entries that has not begun: blocks above the settled height prove no place, and what their transactions
//! spend is looked at as if they were unconfirmed.

use bitcoin::consensus::encode::serialize_hex;
use bitcoin::{OutPoint, Transaction};
use coinhound::query::screen::{Screener, Verdict};
use coinhound::sync::plan::wanted::{Lists, Wanted, WantedTrace};

use super::screen_expected::{FakeLookup, screen};
use crate::oracle::taint::{self, ListedScript};
use crate::support::chain::RegtestChain;
use crate::support::library::Library;
use crate::support::scripts::Shape;
use crate::support::source::Branch;
use crate::support::swept::SweptIndex;

fn first(of: &Transaction) -> [OutPoint; 1] {
    [OutPoint { txid: of.compute_txid(), vout: 0 }]
}

#[test]
fn above_the_settled_height_no_record_proves_a_place_and_no_coin_is_clean_unseen() {
    let mut chain = RegtestChain::regtest(58);
    let [known, new, clean] = [1, 2, 3].map(|n| chain.script(Shape::P2wpkh, n));
    let coins = chain.mature(2);
    let stolen = chain.spend(&coins[..1], &[(new.clone(), 4_900_000_000)]);
    chain.mine(vec![stolen.clone()]);
    let moved = chain.spend(&first(&stolen), &[(clean.clone(), 4_800_000_000)]);
    let recorded = chain.spend(&coins[1..], &[(known.clone(), 4_900_000_000)]);
    chain.mine(vec![moved.clone(), recorded.clone()]);
    // The new entry is flagged from this block on, so the one below is the last that is settled.
    let from = chain.height();
    let waiting = chain.spend(&first(&moved), &[(clean, 4_700_000_000)]);
    let listed = [(known, 0), (new, from)].map(|(script, from)| ListedScript {
        script,
        flagged: Some(from),
        service: false,
        label: "stolen".into(),
    });
    let branch = Branch::new(chain.blocks());
    let mut index = SweptIndex::fresh_tracking(&branch, taint::entries(&listed[..1]), &WantedTrace::default());
    let entries = taint::entries(&listed);
    index.want(Wanted { lists: Some(Lists { entries, ..Lists::default() }), ..Wanted::default() });
    let snapshot = Library::open(index.writer().path()).snapshot;
    let node = FakeLookup::new(chain.blocks(), std::slice::from_ref(&waiting), true);
    let mut screener = Screener::new(&snapshot, &node).expect("the index reads");
    assert_eq!(screener.coverage.trace.settled, Some(from - 1));
    let row = screen(&mut screener, &recorded.compute_txid().to_string(), None);
    assert_eq!((row.verdict, row.proven_by), (Verdict::Flagged, None), "{row:?}");
    for spend in [&moved, &waiting] {
        let row = screen(&mut screener, &spend.compute_txid().to_string(), None);
        assert_eq!((row.verdict, row.proven_by), (Verdict::Derived, None), "{row:?}");
    }
    let row = screener.raw(&serialize_hex(&waiting), None).expect("a good transaction");
    assert_eq!(row.verdict, Verdict::Derived, "{row:?}");
}
