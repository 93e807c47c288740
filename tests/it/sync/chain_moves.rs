//! A node whose chain changes between any two calls is followed, a node that is behind is waited for, and one whose answers never
//! make a chain ends the run. In each case the index is valid for some chain, and the next run resumes it.

use std::sync::Arc;

use bitcoin::BlockHash;
use bitcoin::block::Header;
use bitcoin::hashes::Hash;
use coinhound::chain::header::HeaderError;
use coinhound::sync::SyncError;
use coinhound::sync::sweep::run::Pace;

use crate::support::effort::watched;
use crate::support::lists::List;
use crate::support::random::{self, Rng};
use crate::support::records::mainnet;
use crate::support::source::{Branch, MemorySource, SourceAnswer, SourceCall};
use crate::support::swept::{SweptIndex, assert_same_rows};

const QUICK: Pace = Pace { threads: 2, batch_blocks: 7 };

/// Three branches: the second leaves the first, and the third leaves both deeper; each has more work than the one before.
fn branches(seed: u64) -> (Vec<Arc<Branch>>, List) {
    let (mut chain, mut rng) = (random::chain(seed, 108), Rng::new(seed));
    let mut second = random::fork(&mut chain, &mut rng, 3, 1);
    let third = random::fork(&mut second, &mut rng, 8, 1);
    let list = random::watchlist(&chain, &mut rng, 40);
    ([chain, second, third].iter().map(|chain| Branch::new(chain.blocks())).collect(), list)
}

/// Panics unless the index is valid for the chain as of its own tip, and a run completes it from there.
fn assert_recovers(index: &mut SweptIndex, branch: &Arc<Branch>, list: &List, what: &str) {
    let full = SweptIndex::fresh(branch, list);
    if let Some(tip) = index.tip() {
        assert_eq!(index.digest(tip), full.digest(tip), "{what}");
        index.assert_counts(&branch.blocks[..=tip as usize], list, what);
    }
    index.reopen();
    index.sweep(&MemorySource::on(branch), QUICK).expect("an honest source");
    assert_same_rows(&index.rows(), &full.rows(), what);
}

/// Changes headers.
type HeaderChange = fn(&mut Vec<Header>);

/// A source that changes the headers of the first `times` calls.
fn with_headers(branch: &Arc<Branch>, times: usize, change: HeaderChange) -> Arc<MemorySource> {
    let mut left = times;
    MemorySource::hooked(branch, move |_, _, call, answer| {
        if let (SourceCall::Headers(_, 2..), SourceAnswer::Headers(headers)) = (call, answer)
            && left > 0
        {
            left -= 1;
            change(headers);
        }
        Ok(())
    })
}

#[test]
fn headers_that_never_make_a_chain_end_the_run() {
    let changes: [(&str, HeaderChange); 4] = [
        ("one that doesn't link", |headers| {
            if let Some(header) = headers.get_mut(3) {
                header.prev_blockhash = BlockHash::all_zeros();
            }
        }),
        ("none", |headers| headers.clear()),
        ("too many", |headers| {
            if let Some(last) = headers.last().copied() {
                headers.push(last);
            }
        }),
        ("of other heights", |headers| headers.reverse()),
    ];
    let never = |what: &str, change: HeaderChange| {
        let (branches, list) = branches(70);
        let (branch, mut index) = (&branches[0], SweptIndex::new(&list));
        let error = index.sweep(&with_headers(branch, usize::MAX, change), QUICK).expect_err(what);
        assert!(matches!(error, SyncError::Unsteady { .. }), "{what}: {error}");
        assert_recovers(&mut index, branch, &list, what);
        // If it happens once or twice, it was a reorg between two calls.
        let before = index.rows();
        index.undo(0);
        index.sweep(&with_headers(branch, 2, change), QUICK).expect(what);
        assert_same_rows(&index.rows(), &before, what);
    };
    std::thread::scope(|scope| {
        for (what, change) in changes {
            scope.spawn(move || watched(what, || never(what, change)));
        }
    });
}

#[test]
fn a_chain_with_another_genesis_is_never_taken_for_a_reorg() {
    let (branches, list) = branches(71);
    let (index, other) = (SweptIndex::fresh(&branches[0], &list), Branch::new(&mainnet()[..300]));
    let before = index.rows();
    watched("another genesis", || {
        let error = index.sweep(&MemorySource::on(&other), QUICK).expect_err("another chain");
        assert!(matches!(error, SyncError::Unsteady { .. }), "{error}");
        assert_same_rows(&index.rows(), &before, "blocks were disconnected");
    });
}

#[test]
fn a_header_without_its_work_is_refused() {
    let (branches, list) = branches(74);
    watched("no work", || {
        let (branch, mut index) = (&branches[0], SweptIndex::new(&list));
        let source = with_headers(branch, usize::MAX, |headers| {
            if let Some(header) = headers.get_mut(50) {
                while header.validate_pow(header.target()).is_ok() {
                    header.nonce += 1;
                }
            }
        });
        let error = index.sweep(&source, QUICK).expect_err("no work");
        assert!(matches!(error, SyncError::Header(HeaderError::NoWork { height: 50, .. })), "{error}");
        assert_recovers(&mut index, branch, &list, "no work");
    });
}

/// A source that switches to the next of these branches after each of these calls.
fn moving(branches: &[Arc<Branch>], after: Vec<usize>) -> Arc<MemorySource> {
    let (first, rest) = branches.split_first().expect("some branches");
    let rest = rest.to_vec();
    MemorySource::hooked(first, move |memory, number, _, _| {
        for (to, after) in rest.iter().zip(&after) {
            if *after == number {
                memory.switch(to);
            }
        }
        Ok(())
    })
}

#[test]
fn a_chain_that_changes_between_any_two_calls_is_followed() {
    let (branches, list) = branches(72);
    let last = &branches[2];
    let expected = SweptIndex::fresh(last, &list).rows();
    let of_first = SweptIndex::fresh(&branches[0], &list);
    // From an empty index: while the first branch is read.
    for after in [0, 1, 2, 3, 4, 5, 20, 60, 100, 150, 200, 230] {
        let what = format!("from nothing, after {after}");
        watched(&what, || {
            let index = SweptIndex::new(&list);
            let mut pace = QUICK;
            pace.batch_blocks = 1 + after;
            index.sweep(&moving(&branches, vec![after, after + 2]), pace).expect("only a reorg");
            // The run may have ended before the last change.
            index.sweep(&MemorySource::on(last), pace).expect("an honest source");
            assert_same_rows(&index.rows(), &expected, &what);
        });
    }
    // From the first branch's tip: while the second is compared with it, and while it is read.
    for after in 0..25 {
        let what = format!("from the first, after {after}");
        watched(&what, || {
            let id = last.id(last.height());
            of_first.undo(0);
            of_first.sweep(&MemorySource::on(&branches[0]), QUICK).expect("an honest source");
            of_first.sweep(&moving(&branches[1..], vec![after]), QUICK).expect("only a reorg");
            of_first.sweep(&MemorySource::on(last), QUICK).expect("an honest source");
            assert_eq!(of_first.writer().tip().expect("the index reads"), Some(id));
            assert_same_rows(&of_first.rows(), &expected, &what);
        });
    }
}

#[test]
fn a_node_that_is_behind_is_waited_for_and_no_block_is_disconnected() {
    let (branches, list) = branches(73);
    let [first, second] = [&branches[0], &branches[1]];
    let equal = second.up_to(first.height());
    let behind = [("shorter", first.up_to(50)), ("genesis", first.up_to(0)), ("of equal work", Arc::clone(&equal))];
    let index = SweptIndex::fresh(first, &list);
    let before = index.rows();
    for (what, chain) in &behind {
        watched(what, || {
            let mut waits = 0;
            let source = MemorySource::hooked(chain, move |memory, _, call, _| {
                waits += usize::from(matches!(call, SourceCall::Invalid(_)));
                if waits == 2 {
                    memory.stop.request();
                }
                Ok(())
            });
            let outcome = index.sweep(&source, QUICK).expect("a stop is no error");
            assert!(outcome.stopped && outcome.tally.blocks == 0, "{what}: {outcome:?}");
            assert_same_rows(&index.rows(), &before, what);
        });
    }
    // It catches up, with the same chain and with a better one.
    for (what, then) in [("the same", first), ("a better one", second)] {
        watched(what, || {
            let next = Arc::clone(then);
            let source = MemorySource::hooked(&first.up_to(50), move |memory, _, call, _| {
                if matches!(call, SourceCall::Invalid(_)) {
                    memory.switch(&next);
                }
                Ok(())
            });
            assert!(!index.sweep(&source, QUICK).expect("an honest source").stopped);
            assert_same_rows(&index.rows(), &SweptIndex::fresh(then, &list).rows(), what);
        });
    }
}

/// A node that indexes its blocks anew lacks some for a moment.
#[test]
fn blocks_that_were_missing_for_a_moment_are_no_reorg() {
    let (branches, list) = branches(75);
    let branch = &branches[0];
    let expected = SweptIndex::fresh(branch, &list).rows();
    for lacking in 1..6 {
        let what = format!("{lacking} empty answers");
        watched(&what, || {
            let (index, mut left) = (SweptIndex::fresh(&branch.up_to(100), &list), lacking);
            let source = MemorySource::hooked(branch, move |_, _, call, answer| {
                if let (SourceCall::Headers(_, 1), SourceAnswer::Headers(headers)) = (call, answer)
                    && left > 0
                {
                    left -= 1;
                    headers.clear();
                }
                Ok(())
            });
            let outcome = index.sweep(&source, QUICK).expect("an honest source");
            assert_eq!(outcome.undone, 0, "{what}");
            assert_same_rows(&index.rows(), &expected, &what);
        });
    }
}
