//! The coverage of an index whose entries are scanned from several heights, and some of them not yet.

use coinhound::index::sweeps::{MAIN_SWEEP, Sweep};
use coinhound::index::{Reader, meta};
use coinhound::query::at::{At, Moment};
use coinhound::query::coverage::Basis;
use coinhound::query::{Coverage, Snapshot};
use coinhound::sync::plan::wanted::{Entries, Lists, Wanted, WantedTrace};

use crate::oracle::taint::{self, ListedScript};
use crate::support::chain::RegtestChain;
use crate::support::library::Library;
use crate::support::scripts::Shape;
use crate::support::source::{Branch, MemorySource};
use crate::support::swept::{SLOWEST, SweptIndex, UNTRACKED};

/// Height of the chain's last block.
const TIP: u32 = 20;

fn chain() -> RegtestChain {
    let mut chain = RegtestChain::regtest(57);
    chain.mine_empty(TIP);
    chain
}

/// One entry for each of these heights, flagged from there.
fn entries(chain: &RegtestChain, from: &[u32]) -> Entries {
    let listed = (1..).zip(from).map(|(number, from)| ListedScript {
        script: chain.script(Shape::P2wpkh, number),
        flagged: Some(*from),
        service: false,
        label: "stolen".into(),
    });
    taint::entries(&listed.collect::<Vec<_>>())
}

/// An index that was swept with entries from these heights, and then took in more of them.
fn taken_in(chain: &RegtestChain, from: &[u32], more: &[u32], at_once: bool) -> SweptIndex {
    let mut index =
        SweptIndex::fresh_tracking(&Branch::new(chain.blocks()), entries(chain, from), &WantedTrace::default());
    let entries = entries(chain, &[from, more].concat());
    index.want(Wanted { lists: Some(Lists { entries, ..Lists::default() }), at_once, ..Wanted::default() });
    index
}

fn coverage(index: &SweptIndex) -> Coverage {
    let snapshot = Library::open(index.writer().path()).snapshot;
    let basis = Basis::of_flagged(&snapshot).expect("the index reads").whole().traced().followed();
    basis.coverage(&snapshot, Moment::now(&snapshot))
}

/// The greatest `from`, the heights through which entries are scanned and the trace is settled, and the gaps.
type Scanned = (Option<u32>, Option<u32>, Option<u32>, Vec<(u32, u32, u64)>);

fn scanned(found: &Coverage) -> Scanned {
    let gaps = found.gaps.iter().map(|gap| (gap.from, gap.through, gap.entries)).collect();
    (found.from, found.through, found.trace.settled, gaps)
}

#[test]
fn it_says_from_where_and_through_where_every_entry_is_scanned() {
    let chain = chain();
    let index = taken_in(&chain, &[0, 0, 7], &[], false);
    let found = coverage(&index);
    assert_eq!(scanned(&found), (Some(7), Some(TIP), Some(TIP), Vec::new()));
    assert!(found.complete, "{:?}", found.why);
    // Two more, whose sweep has not begun.
    let found = coverage(&taken_in(&chain, &[0, 0, 7], &[5, 5], false));
    assert_eq!(scanned(&found), (Some(7), Some(4), Some(4), vec![(5, TIP, 2)]));
    assert!(!found.complete);
}

#[test]
fn entries_that_new_blocks_are_searched_for_lack_their_past_until_the_sweep_below_has_met_it() {
    let chain = chain();
    let index = taken_in(&chain, &[0], &[5], true);
    let found = coverage(&index);
    assert_eq!((scanned(&found).3, found.complete), (vec![(5, TIP, 1)], false), "{:?}", found.why);
    index.sweep(&MemorySource::on(&Branch::new(chain.blocks())), SLOWEST).expect("an honest source");
    let found = coverage(&index);
    assert_eq!(scanned(&found), (Some(5), Some(TIP), Some(TIP), Vec::new()));
    assert!(found.complete, "{:?}", found.why);
}

#[test]
fn a_run_that_was_to_reach_further_keeps_answers_about_now_incomplete() {
    let index = taken_in(&chain(), &[0], &[], false);
    let mut step = index.writer().step();
    meta::put_goal(&mut step, TIP + 5);
    step.commit(true).expect("the index writes");
    let found = coverage(&index);
    assert!(!found.complete && found.why[0].contains("below height 25"), "{:?}", found.why);
}

#[test]
fn a_date_at_or_after_the_last_block_asks_about_the_block_above_it() {
    let index = taken_in(&chain(), &[0], &[], false);
    let snapshot = Library::open(index.writer().path()).snapshot;
    let time = i64::from(snapshot.tip_time.expect("the index has blocks"));
    for (date, height) in [(time - 1, TIP - 1), (time, TIP + 1), (time + 1, TIP + 1), (i64::MAX, TIP + 1)] {
        let moment = At::Time(date).resolve(&snapshot).expect("a date after the first block");
        assert_eq!(moment, Moment { height: Some(height), is_now: false }, "{date}");
        let coverage = Basis::of_flagged(&snapshot).expect("the index reads").coverage(&snapshot, moment);
        assert_eq!(coverage.complete, height < TIP, "{date}: {:?}", coverage.why);
    }
}

#[test]
fn an_index_that_follows_nothing_or_starts_above_genesis_says_so() {
    let chain = chain();
    let index = SweptIndex::fresh_tracking(&Branch::new(chain.blocks()), entries(&chain, &[1]), &UNTRACKED);
    let found = coverage(&index);
    assert!(!found.complete && found.why[0].contains("follows no coins"), "{:?}", found.why);
    let snapshot = Library::open(index.writer().path()).snapshot;
    assert!(
        Basis::of_flagged(&snapshot).expect("the index reads").has_older_coins(),
        "one may be in the genesis block"
    );
}

#[test]
fn an_index_whose_main_sweep_is_not_above_its_last_block_is_damaged() {
    let index = taken_in(&chain(), &[0], &[], false);
    let mut step = index.writer().step();
    step.put(&MAIN_SWEEP, &Sweep::Main { next: TIP });
    step.commit(true).expect("the index writes");
    let reader = Reader::open(index.writer().path()).expect("the index opens");
    assert!(Snapshot::new(reader, |_| false).is_err_and(|error| error.to_string().contains("sweeps")));
}
