//! P1 to P6, P8, P9 with coins followed: lists, services and gates that change at any time, reorgs, runs broken off. An index with
//! such a past is one that never had it, and the naive model's. Without a node; seeds are named where one fails.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use bitcoin::ScriptBuf;
use coinhound::audit::verify::verify;
use coinhound::index::events::{Event, Fact, since};
use coinhound::index::meta::{TakenLists, TraceParameters};
use coinhound::sync::fetch::source::Filtering;
use coinhound::sync::plan::change::{Wanted, WantedTrace, plan};
use coinhound::sync::sweep::sweeper::{Bells, Pace, Sweeper};
use coinhound::trace::Rule;

use crate::oracle::index_rows::{IndexRows, RolesByScript, ScriptRoles, entries};
use crate::support::chain::{RegtestChain, outputs};
use crate::support::effort::each_case;
use crate::support::random::{self, Rng};
use crate::support::scripts::Shape;
use crate::support::source::{Branch, MemorySource, SharedSource};
use crate::support::swept::{NoObserver, RowMap, SweptIndex, UNTRACKED, assert_same_rows};

/// A chain, what is asked of it, and an index with a past.
struct FollowCase {
    name: String,
    rng: Rng,
    chain: RegtestChain,
    branch: Arc<Branch>,
    scripts: Vec<ScriptBuf>,
    state: RolesByScript,
    trace: WantedTrace,
}

impl FollowCase {
    fn draw(property: u64, number: u64) -> Self {
        let seed = property * 1_000_000 + number;
        let mut rng = Rng::new(seed);
        let height = u32::try_from(if number.is_multiple_of(3) { 20 + rng.below(90) } else { 110 + rng.below(60) })
            .expect("short");
        let chain = random::chain(seed, height);
        let transactions = chain.blocks().iter().flat_map(|block| &block.txdata);
        let outputs = transactions.flat_map(|transaction| &transaction.output);
        let mut scripts: Vec<ScriptBuf> = outputs.map(|output| output.script_pubkey.clone()).collect();
        scripts.sort();
        scripts.dedup();
        let branch = Branch::new(chain.blocks());
        let name = format!("seed {seed}, height {height}");
        let mut case =
            Self { name, rng, chain, branch, scripts, state: RolesByScript::new(), trace: WantedTrace::default() };
        case.redraw_trace();
        for _ in 0..=case.rng.below(4) {
            case.list_one();
        }
        case
    }

    fn below(&mut self, bound: u32) -> u32 {
        u32::try_from(self.rng.below(u64::from(bound))).expect("below a small number")
    }

    fn pace(&mut self) -> Pace {
        Pace { threads: *self.rng.pick(&[1, 2, 4]), batch_blocks: *self.rng.pick(&[1, 3, 16, 500]) }
    }

    fn redraw_trace(&mut self) {
        let sets: [&[Rule]; 5] = [
            &[Rule::Haircut, Rule::Fifo],
            &[Rule::Haircut, Rule::Fifo],
            &[Rule::Fifo],
            &[Rule::Haircut, Rule::Lifo, Rule::Tiho],
            &[Rule::Haircut],
        ];
        let hops = *self.rng.pick(&[None, None, Some(0), Some(1), Some(4)]);
        self.trace = WantedTrace {
            rules: Some(self.rng.pick(&sets).to_vec()),
            min_taint_sat: Some(*self.rng.pick(&[1, 100_000, 10_000_000, 1_000_000_000])),
            max_hops: Some(hops),
        };
    }

    fn list_one(&mut self) {
        let script = self.rng.pick(&self.scripts).clone();
        let from = if self.rng.once_in(2) { 0 } else { self.below(self.branch.height() + 10) };
        let service = self.rng.once_in(4);
        let flagged = !service || self.rng.once_in(3);
        self.state.insert(script, ScriptRoles { flagged, service, from });
    }

    /// Something changes on the lists or of the gates; a known entry begins no higher than before.
    fn change(&mut self) {
        let before = self.state.clone();
        for _ in 0..=self.rng.below(3) {
            let known: Vec<ScriptBuf> = self.state.keys().cloned().collect();
            let picked = (!known.is_empty()).then(|| self.rng.pick(&known).clone());
            match (self.rng.below(9), picked) {
                (0..=3, _) | (_, None) => self.list_one(),
                (4, Some(script)) => drop(self.state.remove(&script)),
                (5, Some(script)) => {
                    let listed = self.state.get_mut(&script).expect("it is there");
                    listed.from = u32::try_from(self.rng.below(u64::from(listed.from) + 1)).expect("small");
                }
                (6, Some(script)) => {
                    let listed = self.state.get_mut(&script).expect("it is there");
                    listed.service = !listed.service || !listed.flagged;
                }
                (7, Some(script)) => {
                    let listed = self.state.get_mut(&script).expect("it is there");
                    listed.flagged = !listed.flagged || !listed.service;
                }
                (_, Some(_)) => self.redraw_trace(),
            }
        }
        for (script, listed) in &mut self.state {
            if let Some(old) = before.get(script).filter(|old| old.flagged && listed.flagged) {
                listed.from = listed.from.min(old.from);
            }
        }
    }

    fn wanted(&self) -> Wanted {
        let lists = Some((entries(&self.state), TakenLists::default()));
        Wanted { lists, trace: self.trace.clone(), forget: true, accept_shrink: true }
    }

    fn parameters(&self) -> TraceParameters {
        self.trace.over(&TraceParameters::default())
    }

    fn model(&self) -> IndexRows {
        IndexRows::new(&self.branch.blocks, &self.state, &self.parameters())
    }

    /// Leaves the chain somewhere, for one with more work.
    fn reorg(&mut self, most: u32) {
        let depth = 1 + self.below(self.chain.height().min(most));
        let longer = 1 + self.below(4);
        self.chain = random::fork(&mut self.chain, &mut self.rng, depth, longer);
        self.branch = Branch::new(self.chain.blocks());
    }

    /// More blocks come.
    fn grow(&mut self) {
        let more = 1 + self.below(4);
        random::grow(&mut self.chain, &mut self.rng, more);
        self.branch = Branch::new(self.chain.blocks());
    }

    fn fresh(&self) -> SweptIndex {
        SweptIndex::fresh_tracking(&self.branch, entries(&self.state), &self.trace)
    }

    /// Panics unless the index is a fresh one's equal, the model's, and its log tells what a fresh one's tells.
    fn assert_fresh(&self, index: &SweptIndex, what: &str) {
        let (what, fresh) = (format!("{}: {what}", self.name), self.fresh());
        let rows = index.rows();
        let verified = verify(index.writer()).expect("the index reads");
        assert!(verified.as_ref().is_ok_and(|verified| verified.records == records(&rows)), "{what}: {verified:?}");
        self.model().assert_rows(&rows, &what);
        assert_same_rows(&rows, &fresh.rows(), &what);
        let height = self.branch.height();
        assert_eq!(index.digest(height), fresh.digest(height), "{what}");
        let (told, expected) = (told(index, &what), told(&fresh, &what));
        for (id, fact) in &expected {
            assert_eq!(told.get(id), Some(fact), "{what}: {id}");
        }
        for id in told.keys() {
            assert!(expected.contains_key(id), "{what}: {id} was not taken back");
        }
    }
}

fn records(rows: &RowMap) -> u64 {
    rows.keys().filter(|(family, _)| *family == "records").count() as u64
}

/// What holds after all messages: of each fact its last message, unless that takes it back. Panics unless they are numbered one by one.
fn told(index: &SweptIndex, what: &str) -> BTreeMap<String, Fact> {
    let mut holds = BTreeMap::new();
    for (expected, event) in (1..).zip(since(index.writer(), 0)) {
        let (seq, Event { id, mut fact, .. }) = event.expect("the log reads");
        if let Fact::Touch { labels, .. } | Fact::Service { labels, .. } = &mut fact {
            // Those of the moment it was told.
            labels.clear();
        }
        assert_eq!(seq, expected, "{what}: messages are numbered one by one");
        match fact {
            Fact::Retracted { .. } => {
                assert!(holds.remove(&id).is_some(), "{what}: {id} was taken back, and nobody had told it");
            }
            Fact::Reorg { .. } | Fact::CaughtUp { .. } => {}
            fact => {
                assert_ne!(holds.get(&id), Some(&fact), "{what}: {id} was told twice");
                holds.insert(id, fact);
            }
        }
    }
    holds
}

fn each(property: u64, check: impl Fn(&mut FollowCase)) {
    let draw = |number| {
        let case = FollowCase::draw(property, number);
        (case.name.clone(), case)
    };
    each_case(12, draw, check);
}

/// A source that asks for a stop at the call of this number.
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
            index.sweep(&MemorySource::on(&case.branch), pace).expect("a sane source");
            case.assert_fresh(&index, &format!("{pace:?}"));
        }
    });
}

#[test]
fn p5_p6_reorgs_leave_no_trace() {
    each(105, |case| {
        let mut index = SweptIndex::tracking(entries(&case.state), &case.trace);
        index.sweep(&MemorySource::on(&case.branch), case.pace()).expect("a sane source");
        let before = index.rows();
        let fork = case.below(case.branch.height());
        index.undo(fork);
        index.sweep(&MemorySource::on(&case.branch), case.pace()).expect("a sane source");
        assert_same_rows(&index.rows(), &before, &format!("{}: undone to {fork}", case.name));
        for _ in 0..2 {
            case.reorg(100);
            index.sweep(&MemorySource::on(&case.branch), case.pace()).expect("a sane source");
            case.assert_fresh(&index, "after a reorg");
            index.reopen();
        }
    });
}

#[test]
fn p1_lists_services_and_gates_that_change_end_as_if_they_had_always_been_so() {
    each(101, |case| {
        let mut index = SweptIndex::tracking(entries(&case.state), &case.trace);
        index.sweep(&MemorySource::on(&case.branch), case.pace()).expect("a sane source");
        for step in 0..3 {
            case.change();
            index.want(case.wanted());
            case.model().assert_covered(index.writer(), &format!("{}: step {step}, before", case.name));
            index.sweep(&MemorySource::on(&case.branch), case.pace()).expect("a sane source");
            case.assert_fresh(&index, &format!("step {step}: {:?} {:?}", case.state, case.trace));
        }
    });
}

#[test]
fn p1_p4_p9_so_they_do_with_stops_reorgs_and_new_blocks_between() {
    each(104, |case| {
        let mut index = SweptIndex::tracking(entries(&case.state), &case.trace);
        for step in 0..8 {
            let source = stopping(&case.branch, case.rng.index(3 * case.branch.blocks.len()));
            let outcome = index.sweep(&source, case.pace()).expect("a stop is no failure");
            let what = format!("{}: step {step}, stopped {}", case.name, outcome.stopped);
            // A run stopped before it undid the old branch still tells of that.
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
        index.sweep(&MemorySource::on(&case.branch), case.pace()).expect("a sane source");
        case.assert_fresh(&index, "at the end");
    });
}

/// The source of a case, which has filters and may ask for a stop.
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
        let outcome = index.sweep(&source, case.pace()).expect("a sane source");
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
        index.sweep(&filtered(case, None), case.pace()).expect("a sane source");
        case.assert_fresh(&index, "at the end");
    });
    let (ruled_out, read) = (ruled_out.into_inner(), read.into_inner());
    assert!(ruled_out > 100 && read > 100, "{ruled_out} blocks were ruled out, {read} read");
}

/// Wider gates make a coin count whose spend is in the same block. Nothing else of that block is sought, so its filter rules it out.
#[test]
fn p2_a_coin_that_is_followed_now_and_spent_in_its_own_block_is_not_missed() {
    let mut chain = RegtestChain::regtest(8);
    let [flagged, second, third] = [1, 2, 3].map(|n| chain.script(Shape::P2wpkh, n));
    let money = chain.mature(1);
    let first = |transaction: &bitcoin::Transaction| outputs(transaction).next().expect("an output").0;
    let funding = chain.spend(&money, &[(flagged.clone(), 1_000_000)]);
    let source = first(&funding);
    chain.mine(vec![funding]);
    let moves = chain.spend(&[source], &[(second, 900_000)]);
    let moved = first(&moves);
    let moves_on = chain.spend(&[moved], &[(third.clone(), 800_000)]);
    let last = first(&moves_on);
    chain.mine(vec![moves, moves_on]);
    chain.mine_empty(3);
    let on = chain.spend(&[last], &[(third, 700_000)]);
    chain.mine(vec![on]);
    let branch = Branch::new(chain.blocks());
    let state = RolesByScript::from([(flagged, ScriptRoles { flagged: true, service: false, from: 0 })]);
    let gates = |min_taint_sat| WantedTrace {
        rules: Some(vec![Rule::Haircut]),
        min_taint_sat: Some(min_taint_sat),
        max_hops: Some(None),
    };
    let source = MemorySource::on(&branch);
    source.filter(Filtering::Always);
    let mut index = SweptIndex::tracking(entries(&state), &gates(950_000));
    let pace = Pace { threads: 2, batch_blocks: 3 };
    let records = |index: &SweptIndex| records(&index.rows());
    index.sweep(&source, pace).expect("a sane source");
    assert_eq!(records(&index), 2);
    index.want(Wanted { lists: Some((entries(&state), TakenLists::default())), trace: gates(1), ..Wanted::default() });
    index.sweep(&source, pace).expect("a sane source");
    let fresh = SweptIndex::fresh_tracking(&branch, entries(&state), &gates(1));
    assert_eq!(records(&fresh), 4);
    assert_same_rows(&index.rows(), &fresh.rows(), "with wider gates");
}

#[test]
fn p1_an_index_that_tracked_nothing_is_widened_by_the_next_run() {
    each(106, |case| {
        let mut index = SweptIndex::tracking(entries(&case.state), &UNTRACKED);
        index.sweep(&MemorySource::on(&case.branch), case.pace()).expect("a sane source");
        case.trace = WantedTrace::default();
        index.want(Wanted { accept_shrink: false, ..case.wanted() });
        index.sweep(&MemorySource::on(&case.branch), case.pace()).expect("a sane source");
        case.assert_fresh(&index, "widened");
    });
}

/// A source whose tip moves a block further at the call of this number: a sweep below the tip lets it go first.
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
fn p1_p4_entries_that_begin_lower_are_swept_for_however_often_the_sweep_is_broken_off() {
    each(107, |case| {
        // Coins move from 101 on: some that are made below the old height are moved on above it, off the list.
        let height = case.branch.height();
        let from = if height > 110 { (101 + height) / 2 } else { height / 2 };
        case.state.values_mut().for_each(|listed| *listed = ScriptRoles { flagged: true, service: false, from });
        case.trace = WantedTrace { min_taint_sat: Some(1), max_hops: Some(None), ..case.trace.clone() };
        let mut index = SweptIndex::tracking(entries(&case.state), &case.trace);
        index.sweep(&MemorySource::on(&case.branch), case.pace()).expect("a sane source");
        for listed in case.state.values_mut() {
            listed.from = u32::try_from(case.rng.below(u64::from(listed.from) + 1)).expect("small");
        }
        index.want(case.wanted());
        let mut last = 0;
        while last < height {
            index.sweep_to(Some(last), &MemorySource::on(&case.branch), case.pace()).expect("a sane source");
            case.model().assert_covered(index.writer(), &format!("{}: to {last}", case.name));
            index.reopen();
            last += 1 + case.below(9);
        }
        index.sweep(&MemorySource::on(&case.branch), case.pace()).expect("a sane source");
        case.assert_fresh(&index, "lowered");
    });
}

#[test]
fn p1_a_service_that_is_new_ends_what_was_followed_through_it() {
    each(108, |case| {
        case.trace = WantedTrace { min_taint_sat: Some(1), max_hops: Some(None), ..case.trace.clone() };
        case.state.values_mut().for_each(|listed| (listed.flagged, listed.service) = (true, false));
        let mut index = SweptIndex::tracking(entries(&case.state), &case.trace);
        index.sweep(&MemorySource::on(&case.branch), case.pace()).expect("a sane source");
        // Scripts that hold taint, on no list until now.
        let listed: Vec<_> = case.state.keys().cloned().collect();
        let others: Vec<_> = case.scripts.iter().filter(|script| !listed.contains(script)).cloned().collect();
        let model = case.model();
        for script in others.into_iter().filter(|script| model.holds_coins(script)).take(3) {
            case.state.insert(script, ScriptRoles { flagged: false, service: true, from: 0 });
        }
        index.want(case.wanted());
        index.sweep(&MemorySource::on(&case.branch), case.pace()).expect("a sane source");
        case.assert_fresh(&index, "new services");
    });
}

#[test]
fn p1_a_new_block_goes_first_and_the_sweep_below_goes_on() {
    each(109, |case| {
        let short = case.branch.up_to(case.branch.height() - 1);
        let mut index = SweptIndex::tracking(entries(&case.state), &case.trace);
        index.sweep(&MemorySource::on(&short), case.pace()).expect("a sane source");
        case.change();
        index.want(case.wanted());
        let source = moving(&case.branch, case.rng.index(2 * case.branch.blocks.len()));
        index.sweep(&source, case.pace()).expect("a sane source");
        index.sweep(&MemorySource::on(&case.branch), case.pace()).expect("a sane source");
        case.assert_fresh(&index, "a new block between");
    });
}

/// Branches that a source is switched to one after the other, each at the call of its number; then a bell rings.
type Moves = Arc<Mutex<VecDeque<(usize, Arc<Branch>)>>>;

fn moved_by(moves: &Moves, bell: &Arc<AtomicBool>, branch: &Arc<Branch>) -> Arc<MemorySource> {
    let (moves, bell) = (Arc::clone(moves), Arc::clone(bell));
    MemorySource::hooked(branch, move |memory, number, _, _| {
        let mut moves = moves.lock().expect("nobody failed with it");
        while moves.front().is_some_and(|(at, _)| *at <= number) {
            let (_, branch) = moves.pop_front().expect("it was there");
            memory.switch(&branch);
            bell.store(true, Ordering::SeqCst);
        }
        Ok(())
    })
}

/// One sweeper, as a program that follows has it: what it keeps from one block to the next must not outlive what it was read from.
#[test]
fn p1_p5_a_sweeper_that_lives_on_while_lists_change_and_blocks_come_and_go_remembers_nothing_stale() {
    let check = |case: &mut FollowCase| {
        let index = SweptIndex::tracking(entries(&case.state), &case.trace);
        let (moves, bell) = (Moves::default(), Arc::<AtomicBool>::default());
        let source = moved_by(&moves, &bell, &case.branch);
        source.filter(*case.rng.pick(&[Filtering::Off, Filtering::Off, Filtering::WherePays, Filtering::Always]));
        let mut sweeper =
            Sweeper::new(index.writer(), Arc::new(SharedSource(Arc::clone(&source))), case.pace(), &source.stop);
        sweeper.listen(Bells { tip: Some(Arc::clone(&bell)), ..Bells::default() });
        sweeper.run(None, &mut NoObserver).expect("a sane source");
        for step in 0..6 {
            if case.rng.once_in(3) {
                sweeper.at_tip();
            }
            if !case.rng.once_in(3) {
                case.change();
                let plan = plan(index.writer(), &case.wanted()).expect("a change that is accepted");
                plan.apply(index.writer()).expect("the index takes it");
                sweeper.look_again();
            }
            let mut at = source.calls();
            for _ in 0..case.below(4) {
                at += case.rng.index(20);
                match case.rng.below(4) {
                    0 => case.reorg(10),
                    _ => case.grow(),
                }
                moves.lock().expect("nobody failed with it").push_back((at, Arc::clone(&case.branch)));
            }
            sweeper.run(None, &mut NoObserver).expect("a sane source");
            if case.rng.once_in(2) {
                sweeper.get_ready().expect("the index reads");
            }
            // What was to come while it ran, and it was done before.
            moves.lock().expect("nobody failed with it").clear();
            source.switch(&case.branch);
            sweeper.run(None, &mut NoObserver).expect("a sane source");
            case.assert_fresh(&index, &format!("step {step}: {:?} {:?}", case.state, case.trace));
        }
    };
    // Much has to meet for a thing to be stale and to matter.
    each(110, check);
    each(111, check);
}
