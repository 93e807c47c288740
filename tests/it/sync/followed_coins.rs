//! P1 to P6, P8, P9 for an index that follows coins: lists, services and gates change at any time, the chain reorganizes, runs are
//! interrupted. Afterwards the index equals a new one, and the naive model. There is no node; a failure names its seed.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use coinhound::sync::fetch::source::Filtering;
use coinhound::sync::plan::change::plan;
use coinhound::sync::plan::wanted::{Lists, Wanted, WantedTrace};
use coinhound::sync::sweep::run::{Interrupts, Pace};
use coinhound::sync::sweep::sweeper::Sweeper;
use coinhound::trace::{HopLimit, Rule};

use crate::oracle::index_rows::{RolesByScript, ScriptRoles, entries};
use crate::support::chain::{RegtestChain, outpoints};
use crate::support::scripts::Shape;
use crate::support::source::{Branch, MemorySource, SharedSource};
use crate::support::swept::{NoObserver, SweptIndex, UNTRACKED, assert_same_rows};
use crate::sync::follow_case::{FollowCase, each, records};

/// A source that requests a stop at the call of this number.
fn stopping(branch: &Arc<Branch>, at: usize) -> Arc<MemorySource> {
    MemorySource::hooked(branch, move |memory, number, _, _| {
        if number == at {
            memory.stop.request();
        }
        Ok(())
    })
}

#[test]
fn p3_p8_threads_and_batches_dont_matter_and_the_index_is_the_models() {
    each(103, |case| {
        for _ in 0..2 {
            let pace = case.pace();
            let index = SweptIndex::tracking(entries(&case.state), &case.trace);
            index.sweep(&MemorySource::on(&case.branch), pace).expect("an honest source");
            case.assert_fresh(&index, &format!("{pace:?}"));
        }
    });
}

#[test]
fn p5_p6_reorgs_leave_no_trace() {
    each(105, |case| {
        let mut index = SweptIndex::tracking(entries(&case.state), &case.trace);
        index.sweep(&MemorySource::on(&case.branch), case.pace()).expect("an honest source");
        let before = index.rows();
        let fork = case.below(case.branch.height());
        index.undo(fork);
        index.sweep(&MemorySource::on(&case.branch), case.pace()).expect("an honest source");
        assert_same_rows(&index.rows(), &before, &format!("{}: undone to {fork}", case.name));
        for _ in 0..2 {
            case.reorg(100);
            index.sweep(&MemorySource::on(&case.branch), case.pace()).expect("an honest source");
            case.assert_fresh(&index, "after a reorg");
            index.reopen();
        }
    });
}

#[test]
fn p1_changed_lists_services_and_gates_give_a_new_index() {
    each(101, |case| {
        let mut index = SweptIndex::tracking(entries(&case.state), &case.trace);
        index.sweep(&MemorySource::on(&case.branch), case.pace()).expect("an honest source");
        for step in 0..3 {
            case.change();
            index.want(case.wanted());
            case.model().assert_covered(index.writer(), &format!("{}: step {step}, before", case.name));
            index.sweep(&MemorySource::on(&case.branch), case.pace()).expect("an honest source");
            case.assert_fresh(&index, &format!("step {step}: {:?} {:?}", case.state, case.trace));
        }
    });
}

#[test]
fn p1_p4_p9_also_with_stops_reorgs_and_new_blocks_between() {
    each(104, |case| {
        let mut index = SweptIndex::tracking(entries(&case.state), &case.trace);
        for step in 0..8 {
            let source = stopping(&case.branch, case.rng.index(3 * case.branch.blocks.len()));
            let outcome = index.sweep(&source, case.pace()).expect("a stop is no failure");
            let what = format!("{}: step {step}, stopped {}", case.name, outcome.stopped);
            // A run that was stopped before it disconnected the old branch still has that branch's touches.
            let tip = index.writer().tip().expect("the index reads");
            if tip.is_some_and(|tip| tip.height <= case.branch.height() && case.branch.id(tip.height) == tip) {
                case.model().assert_covered(index.writer(), &what);
            }
            match case.rng.below(5) {
                0 => case.reorg(20),
                1 => case.grow(),
                _ => {}
            }
            if case.rng.once_in(3) {
                index.reopen();
            }
            if !case.rng.once_in(3) {
                case.change();
                index.want(case.wanted());
            }
        }
        index.want(case.wanted());
        index.sweep(&MemorySource::on(&case.branch), case.pace()).expect("an honest source");
        case.assert_fresh(&index, "at the end");
    });
}

/// The source of a case, with filters, which may request a stop.
fn filtered(case: &mut FollowCase, at: Option<usize>) -> Arc<MemorySource> {
    let source = stopping(&case.branch, at.unwrap_or(usize::MAX));
    source.filter(*case.rng.pick(&[Filtering::Always, Filtering::Always, Filtering::WherePays]));
    source
}

#[test]
fn p2_blocks_that_filters_rule_out_are_not_missed() {
    let (ruled_out, read) = (AtomicU64::new(0), AtomicU64::new(0));
    each(102, |case| {
        let mut index = SweptIndex::tracking(entries(&case.state), &case.trace);
        let source = filtered(case, None);
        let outcome = index.sweep(&source, case.pace()).expect("an honest source");
        ruled_out.fetch_add(outcome.tally.blocks - outcome.tally.blocks_read, Ordering::Relaxed);
        read.fetch_add(outcome.tally.blocks_read, Ordering::Relaxed);
        case.assert_fresh(&index, "at first");
        for step in 0..6 {
            match case.rng.below(5) {
                0 => case.reorg(20),
                1 => case.grow(),
                _ => {}
            }
            if case.rng.once_in(2) {
                case.change();
            }
            index.want(case.wanted());
            let at = case.rng.index(2 * case.branch.blocks.len());
            let source = filtered(case, Some(at));
            let outcome = index.sweep(&source, case.pace()).expect("a stop is no failure");
            if !outcome.stopped {
                case.assert_fresh(&index, &format!("step {step}: {:?} {:?}", case.state, case.trace));
            }
        }
        index.sweep(&filtered(case, None), case.pace()).expect("an honest source");
        case.assert_fresh(&index, "at the end");
    });
    let (ruled_out, read) = (ruled_out.into_inner(), read.into_inner());
    assert!(ruled_out > 100 && read > 100, "{ruled_out} blocks were ruled out, {read} read");
}

/// Wider gates make the index follow a coin that is spent in its own block. The filter of that block matches nothing else, so it
/// rules the block out.
#[test]
fn p2_a_newly_followed_coin_spent_in_its_own_block_is_not_missed() {
    let mut chain = RegtestChain::regtest(8);
    let [flagged, second, third] = [1, 2, 3].map(|n| chain.script(Shape::P2wpkh, n));
    let money = chain.mature(1);
    let funding = chain.spend(&money, &[(flagged.clone(), 1_000_000)]);
    let [source] = outpoints(&funding);
    chain.mine(vec![funding]);
    let moves = chain.spend(&[source], &[(second, 900_000)]);
    let [moved] = outpoints(&moves);
    let moves_on = chain.spend(&[moved], &[(third.clone(), 800_000)]);
    let [last] = outpoints(&moves_on);
    chain.mine(vec![moves, moves_on]);
    chain.mine_empty(3);
    let on = chain.spend(&[last], &[(third, 700_000)]);
    chain.mine(vec![on]);
    let branch = Branch::new(chain.blocks());
    let state = RolesByScript::from([(flagged, ScriptRoles { flagged: true, service: false, from: 0 })]);
    let gates = |min_taint_sat| WantedTrace {
        rules: Some(vec![Rule::Haircut]),
        min_taint_sat: Some(min_taint_sat),
        max_hops: Some(HopLimit::Unlimited),
    };
    let source = MemorySource::on(&branch);
    source.filter(Filtering::Always);
    let mut index = SweptIndex::tracking(entries(&state), &gates(950_000));
    let pace = Pace { threads: 2, batch_blocks: 3 };
    let records = |index: &SweptIndex| records(&index.rows());
    index.sweep(&source, pace).expect("an honest source");
    assert_eq!(records(&index), 2);
    index.want(Wanted {
        lists: Some(Lists { entries: entries(&state), ..Lists::default() }),
        trace: gates(1),
        ..Wanted::default()
    });
    index.sweep(&source, pace).expect("an honest source");
    let fresh = SweptIndex::fresh_tracking(&branch, entries(&state), &gates(1));
    assert_eq!(records(&fresh), 4);
    assert_same_rows(&index.rows(), &fresh.rows(), "with wider gates");
}

#[test]
fn p1_an_index_that_tracked_nothing_is_widened_by_the_next_run() {
    each(106, |case| {
        let mut index = SweptIndex::tracking(entries(&case.state), &UNTRACKED);
        index.sweep(&MemorySource::on(&case.branch), case.pace()).expect("an honest source");
        case.trace = WantedTrace::default();
        index.want(Wanted { accept_shrink: false, ..case.wanted() });
        index.sweep(&MemorySource::on(&case.branch), case.pace()).expect("an honest source");
        case.assert_fresh(&index, "widened");
    });
}

/// A source whose tip moves up by a block at the call of this number: a sweep below the tip gives way to it.
fn moving(branch: &Arc<Branch>, at: usize) -> Arc<MemorySource> {
    let (short, whole) = (branch.up_to(branch.height() - 1), Arc::clone(branch));
    MemorySource::hooked(&short, move |memory, number, _, _| {
        if number == at {
            memory.switch(&whole);
        }
        Ok(())
    })
}

#[test]
fn p1_p4_entries_from_a_lower_height_survive_interrupted_sweeps() {
    each(107, |case| {
        // Coins move from height 101 on: some are made below the old height and spent above it to unlisted scripts.
        let height = case.branch.height();
        let from = if height > 110 { (101 + height) / 2 } else { height / 2 };
        case.state.values_mut().for_each(|listed| *listed = ScriptRoles { flagged: true, service: false, from });
        case.trace = WantedTrace { min_taint_sat: Some(1), max_hops: Some(HopLimit::Unlimited), ..case.trace.clone() };
        let mut index = SweptIndex::tracking(entries(&case.state), &case.trace);
        index.sweep(&MemorySource::on(&case.branch), case.pace()).expect("an honest source");
        for listed in case.state.values_mut() {
            listed.from = u32::try_from(case.rng.below(u64::from(listed.from) + 1)).expect("small");
        }
        index.want(case.wanted());
        let mut last = 0;
        while last < height {
            index.sweep_to(Some(last), &MemorySource::on(&case.branch), case.pace()).expect("an honest source");
            case.model().assert_covered(index.writer(), &format!("{}: to {last}", case.name));
            index.reopen();
            last += 1 + case.below(9);
        }
        index.sweep(&MemorySource::on(&case.branch), case.pace()).expect("an honest source");
        case.assert_fresh(&index, "lowered");
    });
}

#[test]
fn p1_a_new_service_ends_the_traces_through_it() {
    each(108, |case| {
        case.trace = WantedTrace { min_taint_sat: Some(1), max_hops: Some(HopLimit::Unlimited), ..case.trace.clone() };
        case.state.values_mut().for_each(|listed| (listed.flagged, listed.service) = (true, false));
        let mut index = SweptIndex::tracking(entries(&case.state), &case.trace);
        index.sweep(&MemorySource::on(&case.branch), case.pace()).expect("an honest source");
        // Unlisted scripts that hold taint.
        let listed: Vec<_> = case.state.keys().cloned().collect();
        let others: Vec<_> = case.scripts.iter().filter(|script| !listed.contains(script)).cloned().collect();
        let model = case.model();
        for script in others.into_iter().filter(|script| model.holds_coins(script)).take(3) {
            case.state.insert(script, ScriptRoles { flagged: false, service: true, from: 0 });
        }
        index.want(case.wanted());
        index.sweep(&MemorySource::on(&case.branch), case.pace()).expect("an honest source");
        case.assert_fresh(&index, "new services");
    });
}

#[test]
fn p1_a_new_block_comes_first_and_the_sweep_below_resumes() {
    each(109, |case| {
        let short = case.branch.up_to(case.branch.height() - 1);
        let mut index = SweptIndex::tracking(entries(&case.state), &case.trace);
        index.sweep(&MemorySource::on(&short), case.pace()).expect("an honest source");
        case.change();
        index.want(case.wanted());
        let source = moving(&case.branch, case.rng.index(2 * case.branch.blocks.len()));
        index.sweep(&source, case.pace()).expect("an honest source");
        index.sweep(&MemorySource::on(&case.branch), case.pace()).expect("an honest source");
        case.assert_fresh(&index, "a new block between");
    });
}

/// Branches that a source switches to, each at the call of its number; each time the sweeper is interrupted for a new tip.
type Moves = Arc<Mutex<VecDeque<(usize, Arc<Branch>)>>>;

fn moved_by(moves: &Moves, bell: &Arc<AtomicBool>, branch: &Arc<Branch>) -> Arc<MemorySource> {
    let (moves, bell) = (Arc::clone(moves), Arc::clone(bell));
    MemorySource::hooked(branch, move |memory, number, _, _| {
        let mut moves = moves.lock().expect("no holder panicked");
        while moves.front().is_some_and(|(at, _)| *at <= number) {
            let (_, branch) = moves.pop_front().expect("a branch");
            memory.switch(&branch);
            bell.store(true, Ordering::SeqCst);
        }
        Ok(())
    })
}

/// One sweeper, as `follow` has it: what it caches from one block to the next must not become stale.
#[test]
fn p1_p5_a_long_lived_sweeper_caches_nothing_stale() {
    let check = |case: &mut FollowCase| {
        let index = SweptIndex::tracking(entries(&case.state), &case.trace);
        let (moves, bell) = (Moves::default(), Arc::<AtomicBool>::default());
        let source = moved_by(&moves, &bell, &case.branch);
        source.filter(*case.rng.pick(&[Filtering::Off, Filtering::Off, Filtering::WherePays, Filtering::Always]));
        let mut sweeper =
            Sweeper::new(index.writer(), Arc::new(SharedSource(Arc::clone(&source))), case.pace(), &source.stop);
        sweeper.listen(Interrupts { tip: Some(Arc::clone(&bell)), ..Interrupts::default() });
        sweeper.run(None, &mut NoObserver).expect("an honest source");
        for step in 0..6 {
            if case.rng.once_in(3) {
                sweeper.at_tip();
            }
            if !case.rng.once_in(3) {
                case.change();
                let plan = plan(index.writer(), &case.wanted()).expect("a change that is accepted");
                plan.apply(index.writer()).expect("the index takes it");
                sweeper.reload_entries();
            }
            let mut at = source.calls();
            for _ in 0..case.below(4) {
                at += case.rng.index(20);
                match case.rng.below(4) {
                    0 => case.reorg(10),
                    _ => case.grow(),
                }
                moves.lock().expect("no holder panicked").push_back((at, Arc::clone(&case.branch)));
            }
            sweeper.run(None, &mut NoObserver).expect("an honest source");
            assert!(sweeper.keeps_what_the_index_holds().expect("the index reads"), "{}: step {step}", case.name);
            if case.rng.once_in(2) {
                sweeper.preload().expect("the index reads");
            }
            // Branches that it was to switch to, but it ended before.
            moves.lock().expect("no holder panicked").clear();
            source.switch(&case.branch);
            sweeper.run(None, &mut NoObserver).expect("an honest source");
            assert!(sweeper.keeps_what_the_index_holds().expect("the index reads"), "{}: step {step}", case.name);
            case.assert_fresh(&index, &format!("step {step}: {:?} {:?}", case.state, case.trace));
        }
    };
    // Something stale that matters is rare: two sets of cases.
    each(110, check);
    each(111, check);
}
