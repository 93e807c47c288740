//! What sweeps have loaded is kept: new blocks and reorgs interrupt a sweep below the tip as often as they like, and nothing is loaded
//! again. And however fast blocks come, that sweep makes its way.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use bitcoin::ScriptBuf;
use coinhound::chain::ScriptHash;
use coinhound::index::{ReadRows, Touch};
use coinhound::sync::apply::batch::RunTally;
use coinhound::sync::plan::change::plan;
use coinhound::sync::plan::wanted::{Lists, Wanted, WantedTrace};
use coinhound::sync::sweep::run::{Interrupts, Observer, Pace};
use coinhound::sync::sweep::sweeper::Sweeper;

use crate::support::chain::RegtestChain;
use crate::support::lists::{List, entries};
use crate::support::log_capture::logs_of;
use crate::support::random::{self, Rng};
use crate::support::source::{Branch, MemorySource, SharedSource, SourceCall};
use crate::support::swept::{NoObserver, SweptIndex, assert_same_rows};

const PACE: Pace = Pace { threads: 2, batch_blocks: 50 };
const TRACE: WantedTrace = WantedTrace { rules: None, min_taint_sat: Some(1), max_hops: None };

/// The first heights of the stretches of a run.
#[derive(Default)]
struct Stretches(Vec<u32>);

impl Observer for Stretches {
    fn begin(&mut self, first: u32, _last: u32, _tally: &RunTally) {
        self.0.push(first);
    }
    fn passed(&mut self, _height: u32, _tally: &RunTally) {}
    fn end(&mut self) {}
}

/// A chain whose coins move from height 101 on, with lists of some of its scripts, and of some more.
fn case() -> (RegtestChain, List, List) {
    let (mut chain, mut rng) = (random::chain(77, 160), Rng::new(77));
    let all = random::watchlist(&chain, &mut rng, 40);
    let all: List = all.into_iter().map(|(script, _): (ScriptBuf, u32)| (script, 0)).collect();
    random::grow(&mut chain, &mut rng, 240);
    (chain, all[..20].to_vec(), all)
}

/// Takes a list into the index of a running sweeper, as `follow` does.
fn take_in(index: &SweptIndex, sweeper: &mut Sweeper<'_>, list: &List) {
    let lists = Some(Lists { entries: entries(list), ..Lists::default() });
    let wanted = Wanted { lists, trace: TRACE, at_once: true, ..Wanted::default() };
    plan(index.writer(), &wanted).expect("a list that grows").apply(index.writer()).expect("the index takes it");
    sweeper.reload_entries();
}

fn count(log: &[String], words: &str) -> usize {
    log.iter().filter(|line| line.contains(words)).count()
}

#[test]
fn entries_and_coins_are_loaded_once_however_often_blocks_and_reorgs_interrupt_a_sweep() {
    let (mut chain, few, all) = case();
    let (long, mut rng) = (Branch::new(chain.blocks()), Rng::new(78));
    let fork = Branch::new(random::fork(&mut chain, &mut rng, 6, 1).blocks());
    // The node's tip moves up by a block with every tenth block that is read, and at last to another branch.
    let start = long.height() - 20;
    let mut moves: Vec<_> =
        (start + 1..=long.height()).map(|height| long.up_to(height)).chain([Arc::clone(&fork)]).rev().collect();
    let (armed, bell) = (Arc::<AtomicBool>::default(), Arc::<AtomicBool>::default());
    let (is_armed, rung, mut read) = (Arc::clone(&armed), Arc::clone(&bell), 0);
    let source = MemorySource::hooked(&long.up_to(start), move |memory, _, call, _| {
        let is_below = matches!(call, SourceCall::Block(id) if id.height <= start);
        read += usize::from(is_below && is_armed.load(Ordering::SeqCst));
        if rung.load(Ordering::SeqCst) {
            // The next comes some blocks after the last was seen.
            read = 0;
        } else if read >= 10
            && let Some(next) = moves.pop()
        {
            read = 0;
            memory.switch(&next);
            rung.store(true, Ordering::SeqCst);
        }
        Ok(())
    });
    let index = SweptIndex::tracking(entries(&few), &TRACE);
    let mut sweeper = Sweeper::new(index.writer(), Arc::new(SharedSource(Arc::clone(&source))), PACE, &source.stop);
    sweeper.listen(Interrupts { tip: Some(bell), ..Interrupts::default() });
    sweeper.run(None, &mut NoObserver).expect("an honest source");
    sweeper.at_tip();
    take_in(&index, &mut sweeper, &all);
    armed.store(true, Ordering::SeqCst);
    let stretches = Mutex::new(Stretches::default());
    let log = logs_of(|| {
        let mut stretches = stretches.lock().expect("no other holder");
        sweeper.run(None, &mut *stretches).expect("an honest source");
        sweeper.preload().expect("the index reads");
    });
    let Stretches(first) = stretches.into_inner().expect("no holder panicked");
    assert_eq!(index.tip(), Some(fork.height()), "all moves were made");
    let (below, at_tip) = first.iter().partition::<Vec<u32>, _>(|first| **first <= start);
    assert!(below.len() >= 15 && at_tip.len() >= 15, "the sweep below ran {below:?}, the main one {at_tip:?}");
    assert_eq!(count(&log, "reorg: block"), 1, "{log:#?}");
    // The main sweep's scripts are loaded once when the lists have changed, and once when the other sweep has joined it.
    let loads = [
        ("loaded the scripts of sweep 0", 2),
        ("loaded the live coins of sweep 0", 0),
        ("loaded the scripts of sweep 1", 1),
        ("loaded the live coins of sweep 1", 1),
    ];
    for (words, times) in loads {
        assert_eq!(count(&log, words), times, "{words}: {log:#?}");
    }
    assert!(sweeper.keeps_what_the_index_holds().expect("the index reads"));
    let fresh = SweptIndex::fresh_tracking(&fork, entries(&all), &TRACE);
    assert_same_rows(&index.rows(), &fresh.rows(), "after all interruptions");
}

/// What the index holds of a script above a height, whenever the main sweep has passed that height, and below which height all is swept.
struct Finds<'a> {
    index: &'a SweptIndex,
    script: ScriptHash,
    above: u32,
    first: u32,
    found: Vec<(usize, u32)>,
}

impl Observer for Finds<'_> {
    fn begin(&mut self, first: u32, _last: u32, _tally: &RunTally) {
        self.first = first;
    }
    fn passed(&mut self, _height: u32, _tally: &RunTally) {}
    fn end(&mut self) {
        if self.first > self.above {
            let writer = self.index.writer();
            let keys = writer.range::<Touch>(..).map(|row| row.expect("the index reads").0);
            let touches = keys.filter(|key| key.script == self.script && key.at.height > self.above).count();
            self.found.push((touches, writer.sweeps().expect("the index reads").settled()));
        }
    }
}

#[test]
fn a_new_entry_is_found_in_new_blocks_before_its_past_is_swept() {
    let (mut chain, few, all) = case();
    let before = chain.height();
    let (script, _) = all[30].clone();
    chain.mine_paying(Vec::new(), &[(script.clone(), 1_000_000)]);
    let (short, whole) = (Branch::new(&chain.blocks()[..=before as usize]), Branch::new(chain.blocks()));
    let (armed, bell) = (Arc::<AtomicBool>::default(), Arc::<AtomicBool>::default());
    let (is_armed, rung) = (Arc::clone(&armed), Arc::clone(&bell));
    let source = MemorySource::hooked(&short, move |memory, _, call, _| {
        if matches!(call, SourceCall::Block(_)) && is_armed.swap(false, Ordering::SeqCst) {
            memory.switch(&whole);
            rung.store(true, Ordering::SeqCst);
        }
        Ok(())
    });
    let index = SweptIndex::tracking(entries(&few), &TRACE);
    let mut sweeper = Sweeper::new(index.writer(), Arc::new(SharedSource(Arc::clone(&source))), PACE, &source.stop);
    sweeper.listen(Interrupts { tip: Some(bell), ..Interrupts::default() });
    sweeper.run(None, &mut NoObserver).expect("an honest source");
    take_in(&index, &mut sweeper, &all);
    armed.store(true, Ordering::SeqCst);
    let mut finds =
        Finds { index: &index, script: ScriptHash::of(&script), above: before, first: 0, found: Vec::new() };
    sweeper.run(None, &mut finds).expect("an honest source");
    let (touches, settled) = finds.found[0];
    assert!(touches > 0, "the new block pays the new entry");
    assert!(settled < before, "its past is still to be swept: from {settled} on");
    let fresh = SweptIndex::fresh_tracking(&Branch::new(chain.blocks()), entries(&all), &TRACE);
    assert_same_rows(&index.rows(), &fresh.rows(), "when all is swept");
}

#[test]
fn a_sweep_below_the_tip_passes_a_hundred_heights_between_two_blocks_however_fast_these_come() {
    const LEAST: u32 = 100;
    let (chain, few, all) = case();
    let branch = Branch::new(chain.blocks());
    // At every call the node seems to have a new block.
    let bell = Arc::<AtomicBool>::default();
    let rung = Arc::clone(&bell);
    let source = MemorySource::hooked(&branch, move |_, _, _, _| {
        rung.store(true, Ordering::SeqCst);
        Ok(())
    });
    let index = SweptIndex::tracking(entries(&few), &TRACE);
    let mut sweeper = Sweeper::new(index.writer(), Arc::new(SharedSource(Arc::clone(&source))), PACE, &source.stop);
    sweeper.listen(Interrupts { tip: Some(bell), least_heights: LEAST, ..Interrupts::default() });
    sweeper.run(None, &mut NoObserver).expect("an honest source");
    take_in(&index, &mut sweeper, &all);
    let (began, mut stretches) = (Instant::now(), Stretches::default());
    sweeper.run(None, &mut stretches).expect("an honest source");
    let Stretches(first) = stretches;
    // A stretch that takes a second may be interrupted earlier.
    let slow = usize::try_from(began.elapsed().as_secs()).expect("seconds");
    let most = usize::try_from(branch.height() / LEAST).expect("a few") + 2 + slow;
    assert!(first.len() > 2, "nothing interrupts it: {first:?}");
    assert!(first.len() <= most, "it is interrupted too often: {first:?}");
    let fresh = SweptIndex::fresh_tracking(&branch, entries(&all), &TRACE);
    assert_same_rows(&index.rows(), &fresh.rows(), "after all interruptions");
}
