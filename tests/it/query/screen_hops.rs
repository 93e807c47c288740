//! `screen` follows taint through any number of hops, and reports the taint that the gates cut off.

use bitcoin::{OutPoint, ScriptBuf, Transaction, Txid};
use coinhound::query::screen::{NoLookup, Screener, Verdict};
use coinhound::sync::plan::wanted::WantedTrace;
use coinhound::trace::Rule;

use super::screen_expected::{FakeLookup, UNASKED, screen, spend};
use crate::oracle::taint::{self, ListedScript};
use crate::support::chain::{RegtestChain, outputs};
use crate::support::library::Library;
use crate::support::lists::target;
use crate::support::scripts::Shape;
use crate::support::source::Branch;
use crate::support::swept::SweptIndex;

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
