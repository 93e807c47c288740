//! Faults between the binary and a real node (FAULTS C): other blocks, flipped bits, cut, slow and broken answers, refusals, a new
//! cookie, another node. A run either goes on and ends with the index that an undisturbed one makes, or fails, says why, and leaves
//! whole blocks of a chain behind, from which the next run goes on. Nothing wrong is ever written.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bitcoin::{Block, BlockHash};
use tempfile::TempDir;

use crate::support::bitcoind::Bitcoind;
use crate::support::chain_facts::ChainFacts;
use crate::support::effort::is_long;
use crate::support::faults::{Consequence, Fault};
use crate::support::files::{copy_folder, text};
use crate::support::library::Library;
use crate::support::lists::List;
use crate::support::program::{Program, ProgramOutput};
use crate::support::proxy::{CANARY, InjectedFault, Proxy};
use crate::support::random::{self, Rng};

const LANES: [&str; 2] = ["rest", "rpc"];
/// Faults that a seed has by turn, so that eight seeds a lane are every kind once, and those that are drawn on top.
const BY_TURN: usize = 3;
const DRAWN: usize = 2;
const SEEDS: u64 = 16;
const SEEDS_LONG: u64 = 1000;
/// Seeds at work at once.
const WORKERS: usize = 2;
/// None of these faults holds a run for longer than some seconds.
const PATIENCE: Duration = Duration::from_secs(100);
/// Each run that fails has used up a fault at least, and so has each that had to begin again.
const RUNS: usize = 4 * (BY_TURN + DRAWN);

/// A branch on its node, and what undisturbed runs made of it, by list.
struct Side {
    /// Of its blocks, by height.
    hashes: Vec<BlockHash>,
    node: Bitcoind,
    whole: Vec<Program>,
}

/// Two branches that leave each other some blocks below the tip, of which the first is given up for the second. Lists, and what
/// can be told by them; an index on the first branch for each.
struct Scene {
    ours: Side,
    theirs: Side,
    lists: Vec<(List, Arc<ChainFacts>)>,
    stale: Vec<Program>,
    dir: TempDir,
}

impl Scene {
    /// The second branch has more work, or the second node calls the first, which has more, invalid.
    fn new(seed: u64, invalid: bool) -> Self {
        let (mut short, mut rng) = (random::chain(seed, 125), Rng::new(seed));
        let depth = 7;
        let long = random::fork(&mut short, &mut rng, depth, 2);
        let dir = tempfile::tempdir().expect("a folder for indexes");
        // What starts above the tip isn't covered there, which is for other tests to say.
        let fork = short.height() - depth;
        let lists = [0, fork].map(|most| {
            let mut list = random::watchlist(&short, &mut rng, 60);
            list.iter_mut().for_each(|(_, from)| *from = (*from).min(most));
            let mut chain_facts = ChainFacts::default();
            chain_facts.learn(short.blocks(), &list);
            chain_facts.learn(long.blocks(), &list);
            (list, Arc::new(chain_facts))
        });
        let indexes = |node: &Bitcoind, name: &str, arguments: &[&str]| {
            let program = |(number, (list, _)): (usize, &(List, _))| {
                let program = Program::new(node, dir.path().join(format!("{name}-{number}")));
                let program = program.watching(list);
                let out = program.run(arguments);
                assert_eq!(out.code, 0, "{name}: {out:?}");
                program
            };
            lists.iter().enumerate().map(program).collect::<Vec<_>>()
        };
        let (ours, theirs) = if invalid { (&long, &short) } else { (&short, &long) };
        let nodes = [(); 2].map(|()| Bitcoind::regtest());
        ours.submit_to(&nodes[0]);
        theirs.submit_to(&nodes[1]);
        if invalid {
            ours.submit_to(&nodes[1]);
            nodes[1].invalidate(ours.blocks()[fork as usize + 1].block_hash());
        }
        assert_eq!(nodes[1].best(), theirs.tip());
        // Below the stale branch's tip, so that it has to be walked down; and no less work than the other branch.
        let to = (ours.height() - 1).to_string();
        let stale = indexes(&nodes[0], "stale", &["backfill", "--to", &to]);
        let [ours, theirs] = [(ours, "ours"), (theirs, "theirs")].map(|(chain, name)| {
            let node = &nodes[usize::from(name == "theirs")];
            (chain.blocks().iter().map(Block::block_hash).collect(), indexes(node, name, &["backfill"]))
        });
        let [first, second] = nodes;
        let side = |(hashes, whole), node| Side { hashes, whole, node };
        let (ours, theirs) = (side(ours, first), side(theirs, second));
        Self { ours, theirs, lists: lists.into(), stale, dir }
    }

    /// Panics unless the index is that of one of the branches up to its last block; gives the height of that.
    fn assert_valid_prefix(&self, index: &Path, number: usize, what: &str) -> Option<u32> {
        if !index.exists() {
            return None;
        }
        let library = Library::open(index);
        let through = library.through()?;
        let found = library.snapshot.reader.header(through).expect("the index reads").expect("a tip has a header");
        let is_on = |side: &&Side| side.hashes.get(through as usize) == Some(&found.block_hash());
        let side = [&self.theirs, &self.ours].into_iter().find(is_on);
        let side = side.unwrap_or_else(|| panic!("{what}: block {through} of the index is no node's"));
        let expected = Library::open(side.whole[number].index()).digest(through);
        assert_eq!(library.digest(through), expected, "{what}: through {through}");
        Some(through)
    }

    /// Has one seed's faults happen, all of them; gives what happened.
    fn run(&self, proxy: &Proxy, seed: u64, from_stale: bool, faults: &[Fault]) -> Vec<InjectedFault> {
        let (mut rng, lane) = (Rng::new(seed), lane(seed));
        let number = rng.index(self.lists.len());
        let (list, chain_facts) = &self.lists[number];
        let folder = self.dir.path().join(format!("seed-{seed}"));
        let program = Program::through(&self.theirs.node, proxy.url(), folder.join("index"));
        let watch = text(&program.write_list(list)).to_owned();
        let (cookie, threads) = (proxy.cookie_file(), (1 + rng.below(4)).to_string());
        let cookie = cookie.to_str().expect("tests use plain paths");
        let batch = *rng.pick(&["1", "7", "500"]);
        let program = program
            .with(&["--rpc-cookie-file", cookie, "--watch", &watch, "--lane", lane, "--threads", &threads])
            .with_env("COINHOUND_SCAN_BATCH_BLOCKS", batch);
        let begin = |from_stale: bool| {
            if from_stale {
                copy_folder(self.stale[number].index(), program.index());
            }
        };
        begin(from_stale);
        let scene = format!("seed {seed}, {lane}, {threads} threads, {batch} a batch, stale: {from_stale}, {faults:?}");
        proxy.plan(seed, faults, chain_facts);
        let mut happened = Vec::new();
        for run in 0.. {
            assert!(run < RUNS, "{scene}: what is left never happens");
            let out = program.spawn(&["backfill"]).wait(PATIENCE);
            let done = proxy.done();
            let named: Vec<_> = done.iter().map(ToString::to_string).collect();
            let what = format!("{scene}, run {run}, {named:?}");
            judge(&out, &done, &what);
            self.assert_valid_prefix(program.index(), number, &what);
            happened.extend(done);
            if out.code == 0 {
                if proxy.hurry() == 0 {
                    break;
                }
                // There is nothing left to do in it for a fault to happen to.
                std::fs::remove_dir_all(program.index()).expect("the folder is ours");
                begin(from_stale && run % 2 == 0);
            }
        }
        // Without the proxy, the node as it is.
        let direct = Program::new(&self.theirs.node, program.index()).with(&["--watch", &watch]);
        let out = direct.run(&["backfill"]);
        assert_eq!(out.code, 0, "{scene}, at last: {out:?}");
        let through = self.assert_valid_prefix(program.index(), number, &scene);
        assert_eq!(through.map(|through| through as usize + 1), Some(self.theirs.hashes.len()), "{scene}, at last");
        std::fs::remove_dir_all(folder).expect("the folder is ours");
        happened
    }
}

/// Panics unless a run ended as the faults that happened to it say.
fn judge(out: &ProgramOutput, done: &[InjectedFault], what: &str) {
    let of = |test: fn(Consequence) -> bool| done.iter().any(|done| test(done.kind.fate()));
    match out.code {
        // What makes the run look again may also make it throw away what was wrong, unseen.
        0 => assert!(
            !of(|fate| matches!(fate, Consequence::Fails(_))) || of(|fate| matches!(fate, Consequence::Either(_))),
            "{what}: it went unseen: {out:?}"
        ),
        1 | 2 => {
            let words = done.iter().flat_map(|done| match done.kind.fate() {
                Consequence::Fails(words) | Consequence::Either(words) => words,
                Consequence::Survives => &[],
            });
            let said: Vec<_> = words.filter(|words| out.stderr.contains(**words)).collect();
            assert!(!said.is_empty(), "{what}: it says nothing of it: {out:?}");
            assert_eq!(out.code == 2, said.contains(&&"cannot serve"), "{what}: {out:?}");
        }
        _ => panic!("{what}: {out:?}"),
    }
    let printed = format!("{}{}", out.stdout, out.stderr);
    assert!(!printed.contains("panicked") && !printed.contains(CANARY), "{what}: {out:?}");
}

/// The lane of a seed.
fn lane(seed: u64) -> &'static str {
    LANES[usize::from(seed % 2 == 1)]
}

/// How many of its lane's seeds come before a seed.
fn turn(seed: u64) -> usize {
    usize::try_from(seed / 2).expect("few seeds")
}

/// Has the faults of all seeds happen, each once; gives how often each did, by lane.
fn all(
    scene: &Scene,
    seeds: u64,
    plan: impl Fn(u64) -> (bool, Vec<Fault>) + Sync,
) -> BTreeMap<(&'static str, Fault), u64> {
    let next = AtomicU64::new(0);
    let work = || {
        let proxy = Proxy::before([&scene.theirs.node, &scene.ours.node]);
        let mut happened = Vec::new();
        loop {
            let seed = next.fetch_add(1, Ordering::SeqCst);
            if seed >= seeds {
                return happened;
            }
            let (from_stale, mut faults) = plan(seed);
            let done = scene.run(&proxy, seed, from_stale, &faults);
            let mut kinds: Vec<_> = done.iter().map(|done| done.kind).collect();
            kinds.sort_unstable();
            faults.sort_unstable();
            assert_eq!(kinds, faults, "seed {seed}: each happens once");
            happened.extend(kinds.into_iter().map(|kind| (lane(seed), kind)));
        }
    };
    let mut counts = BTreeMap::new();
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..WORKERS).map(|_| scope.spawn(work)).collect();
        for worker in workers {
            let happened = worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            happened.into_iter().for_each(|key| *counts.entry(key).or_default() += 1);
        }
    });
    counts
}

/// Panics unless each kind happened in each lane.
fn assert_all_happened(counts: &BTreeMap<(&str, Fault), u64>, kinds: &[Fault]) {
    for lane in LANES {
        for kind in kinds {
            assert!(counts.contains_key(&(lane, *kind)), "{lane}: no {kind:?} happened: {counts:?}");
        }
    }
}

#[test]
fn whatever_a_node_answers_nothing_wrong_is_written_and_the_next_run_ends_right() {
    let seeds = if is_long() { SEEDS_LONG } else { SEEDS };
    let counts = all(&Scene::new(301, false), seeds, |seed| {
        let (mut rng, turn) = (Rng::new(seed), turn(seed));
        let by_turn = (0..BY_TURN).map(|at| Fault::ALL[(turn * BY_TURN + at) % Fault::ALL.len()]);
        let drawn: Vec<_> = (0..DRAWN).map(|_| *rng.pick(&Fault::ALL)).collect();
        // Each takes a minute.
        let stall = (is_long() && seed % 200 == 100).then_some(Fault::Stall);
        (rng.once_in(3), by_turn.chain(drawn).chain(stall).collect())
    });
    assert_all_happened(&counts, &Fault::ALL);
}

#[test]
fn a_branch_that_the_node_calls_invalid_is_left_whatever_else_it_answers() {
    const KINDS: [Fault; 6] = [
        Fault::AnotherAncestor,
        Fault::UnknownAncestor,
        Fault::AnotherHeader,
        Fault::FlippedHeader,
        Fault::Elsewhere,
        Fault::Refused,
    ];
    let seeds = if is_long() { SEEDS_LONG / 10 } else { 4 };
    let counts = all(&Scene::new(302, true), seeds, |seed| {
        let by_turn = KINDS.iter().cycle().skip(turn(seed) * 3).take(3);
        (true, by_turn.copied().collect())
    });
    assert_all_happened(&counts, &KINDS);
}
