//! Faults between the program and a real node: other blocks, flipped bits, cut, slow and broken answers, refusals, a new cookie,
//! another node. A run either survives them and ends like an undisturbed one, or fails with a reason and leaves a valid index, which
//! the next run resumes. Nothing wrong is ever written.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bitcoin::{Block, BlockHash};
use tempfile::TempDir;

use coinhound::index::ReadRows;
use coinhound::index::folder::{FolderState, folder_state};

use crate::support::bitcoind::Bitcoind;
use crate::support::chain_facts::ChainFacts;
use crate::support::effort::is_long;
use crate::support::faults::{Consequence, Fault};
use crate::support::files::{copy_folder, text};
use crate::support::library::Library;
use crate::support::lists::{List, from_at_most};
use crate::support::program::{Program, ProgramOutput};
use crate::support::proxy::{CANARY, InjectedFault, Proxy};
use crate::support::random::{self, Rng};
use crate::support::wait::{self, PATIENCE};

const LANES: [&str; 2] = ["rest", "rpc"];
/// Faults that each seed has in turn, so that eight seeds on a lane have every fault once.
const BY_TURN: usize = 3;
/// Random faults that each seed has besides.
const DRAWN: usize = 2;
const SEEDS: u64 = 16;
const SEEDS_LONG: u64 = 1000;
/// Seeds that run at the same time.
const WORKERS: usize = 2;
/// Each run that fails, or that starts anew, uses up one fault at least.
const RUNS: usize = 4 * (BY_TURN + DRAWN);

/// A branch on its node, and the indexes that undisturbed runs made of it, by list.
struct Side {
    /// Hashes of its blocks, by height.
    hashes: Vec<BlockHash>,
    node: Bitcoind,
    whole: Vec<Program>,
}

/// Two branches that part some blocks below the tip; the chain moves from the first to the second. Lists, each with the facts that
/// decide which faults can be detected; and for each list an index on the first branch.
struct TwoBranches {
    ours: Side,
    theirs: Side,
    lists: Vec<(List, Arc<ChainFacts>)>,
    stale: Vec<Program>,
    dir: TempDir,
}

impl TwoBranches {
    /// The second branch has more work, or the second node calls the first, which has more, invalid.
    fn new(seed: u64, invalid: bool) -> Self {
        let (mut short, mut rng) = (random::chain(seed, 125), Rng::new(seed));
        let depth = 7;
        let long = random::fork(&mut short, &mut rng, depth, 2);
        let dir = tempfile::tempdir().expect("a folder for indexes");
        let fork = short.height() - depth;
        let lists = [0, fork].map(|most| {
            let list = from_at_most(most, random::watchlist(&short, &mut rng, 60));
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
        // Its tip is one block below the stale branch's, so that the run has to walk down the branch, and has as much work as the other.
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

    /// Panics unless the index is valid for one of the branches as of its own last block; returns the height of that block.
    fn assert_valid_prefix(&self, index: &Path, number: usize, what: &str) -> Option<u32> {
        if folder_state(index).expect("nothing else lies there") == FolderState::Absent {
            return None;
        }
        let library = Library::open(index);
        let through = library.through()?;
        let found = library.snapshot.reader.header(through).expect("the index reads").expect("the tip has a header");
        let is_on = |side: &&Side| side.hashes.get(through as usize) == Some(&found.block_hash());
        let side = [&self.theirs, &self.ours].into_iter().find(is_on);
        let side = side.unwrap_or_else(|| panic!("{what}: block {through} of the index is no node's"));
        let expected = Library::open(side.whole[number].index()).digest(through);
        assert_eq!(library.digest(through), expected, "{what}: through {through}");
        Some(through)
    }

    /// Lets all faults of a seed happen, and returns them.
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
            assert!(run < RUNS, "{scene}: some faults never happen");
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
                // The index is complete: the faults that are left need a new one.
                std::fs::remove_dir_all(program.index()).expect("a folder of the test");
                begin(from_stale && run % 2 == 0);
            }
        }
        // Without the proxy.
        let direct = Program::new(&self.theirs.node, program.index()).with(&["--watch", &watch]);
        let out = direct.run(&["backfill"]);
        assert_eq!(out.code, 0, "{scene}, at the end: {out:?}");
        let through = self.assert_valid_prefix(program.index(), number, &scene);
        assert_eq!(through.map(|through| through as usize + 1), Some(self.theirs.hashes.len()), "{scene}, at the end");
        std::fs::remove_dir_all(program.index()).expect("a folder of the test");
        self.follow(proxy, seed, (number, from_stale), &program, (faults, &scene));
        std::fs::remove_dir_all(folder).expect("a folder of the test");
        happened
    }

    /// Lets the faults happen to a `follow`, as far as it makes such calls: it is alive at the end, and has caught up.
    fn follow(
        &self,
        proxy: &Proxy,
        seed: u64,
        (number, from_stale): (usize, bool),
        program: &Program,
        (faults, scene): (&[Fault], &str),
    ) {
        if from_stale {
            copy_folder(self.stale[number].index(), program.index());
        }
        // A lane that is named and found closed at the start is a wrong setting.
        let following = program.replaced_after("--lane", "auto");
        proxy.plan(seed, faults, &self.lists[number].1);
        proxy.hurry();
        let mut running = following.spawn(&["--format", "jsonl", "follow"]);
        let best = self.theirs.node.best();
        wait::until(&format!("{scene}: follow has caught up"), || {
            assert!(running.is_running(), "{scene}: follow ended: {}", running.log());
            program.has_index() && Library::open(program.index()).snapshot.tip.is_some_and(|tip| tip.hash == best)
        });
        running.term();
        let out = running.wait(PATIENCE);
        assert_eq!(out.code, 0, "{scene}: follow: {out:?}");
        assert!(!out.stderr.contains("panicked") && !out.stderr.contains(CANARY), "{scene}: follow: {out:?}");
        let done: Vec<_> = proxy.done().iter().map(ToString::to_string).collect();
        assert!(self.assert_valid_prefix(program.index(), number, &format!("{scene}, follow, {done:?}")).is_some());
    }
}

/// Panics unless a run ended as the faults that happened to it require.
fn judge(out: &ProgramOutput, done: &[InjectedFault], what: &str) {
    // The answer says how far the node is where it can be known, and never fails for it.
    let of = |test: fn(Consequence) -> bool| {
        done.iter().filter(|done| !done.is_last).any(|done| test(done.kind.consequence()))
    };
    match out.code {
        // A fault after which the run reads again may hide a wrong answer before that.
        0 => assert!(
            !of(|fate| matches!(fate, Consequence::Fails(_))) || of(|fate| matches!(fate, Consequence::Either(_))),
            "{what}: the fault went unnoticed: {out:?}"
        ),
        1 | 2 => {
            let words = done.iter().flat_map(|done| match done.kind.consequence() {
                Consequence::Fails(words) | Consequence::Either(words) => words,
                Consequence::Survives => &[],
            });
            let said: Vec<_> = words.filter(|words| out.stderr.contains(**words)).collect();
            assert!(!said.is_empty(), "{what}: no message names the fault: {out:?}");
            assert_eq!(out.code == 2, said.contains(&&"cannot serve"), "{what}: {out:?}");
        }
        // All is scanned, and then a node on the other branch says how far it is.
        3 => assert!(done.iter().any(|done| done.kind == Fault::Elsewhere), "{what}: {out:?}"),
        _ => panic!("{what}: {out:?}"),
    }
    let printed = format!("{}{}", out.stdout, out.stderr);
    assert!(!printed.contains("panicked") && !printed.contains(CANARY), "{what}: {out:?}");
}

/// The lane of a seed: odd seeds have the second.
fn lane(seed: u64) -> &'static str {
    LANES[usize::from(seed % 2 == 1)]
}

/// Number of seeds before this one on the same lane.
fn turn(seed: u64) -> usize {
    usize::try_from(seed / 2).expect("few seeds")
}

/// Lets the faults of all seeds happen, each once; returns the number of each, by lane.
fn all(
    branches: &TwoBranches,
    seeds: u64,
    plan: impl Fn(u64) -> (bool, Vec<Fault>) + Sync,
) -> BTreeMap<(&'static str, Fault), u64> {
    let next = AtomicU64::new(0);
    let work = || {
        let proxy = Proxy::before([&branches.theirs.node, &branches.ours.node]);
        let mut happened = Vec::new();
        loop {
            let seed = next.fetch_add(1, Ordering::SeqCst);
            if seed >= seeds {
                return happened;
            }
            let (from_stale, mut faults) = plan(seed);
            let done = branches.run(&proxy, seed, from_stale, &faults);
            let mut kinds: Vec<_> = done.iter().map(|done| done.kind).collect();
            kinds.sort_unstable();
            faults.sort_unstable();
            assert_eq!(kinds, faults, "seed {seed}: each fault happens once");
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

/// Panics unless each fault happened on each lane.
fn assert_all_happened(counts: &BTreeMap<(&str, Fault), u64>, kinds: &[Fault]) {
    for lane in LANES {
        for kind in kinds {
            assert!(counts.contains_key(&(lane, *kind)), "{lane}: no {kind:?} happened: {counts:?}");
        }
    }
}

#[test]
fn whatever_a_node_answers_nothing_wrong_is_written() {
    let seeds = if is_long() { SEEDS_LONG } else { SEEDS };
    let counts = all(&TwoBranches::new(301, false), seeds, |seed| {
        let (mut rng, turn) = (Rng::new(seed), turn(seed));
        let by_turn = (0..BY_TURN).map(|at| Fault::ALL[(turn * BY_TURN + at) % Fault::ALL.len()]);
        let drawn: Vec<_> = (0..DRAWN).map(|_| *rng.pick(&Fault::ALL)).collect();
        // A stall takes a minute.
        let stall = (is_long() && seed % 200 == 100).then_some(Fault::Stall);
        (rng.once_in(3), by_turn.chain(drawn).chain(stall).collect())
    });
    assert_all_happened(&counts, &Fault::ALL);
}

#[test]
fn a_branch_that_the_node_calls_invalid_is_left_despite_any_fault() {
    const KINDS: [Fault; 6] = [
        Fault::AnotherAncestor,
        Fault::UnknownAncestor,
        Fault::AnotherHeader,
        Fault::FlippedHeader,
        Fault::Elsewhere,
        Fault::Refused,
    ];
    let seeds = if is_long() { SEEDS_LONG / 10 } else { 4 };
    let counts = all(&TwoBranches::new(302, true), seeds, |seed| {
        let by_turn = KINDS.iter().cycle().skip(turn(seed) * 3).take(3);
        (true, by_turn.copied().collect())
    });
    assert_all_happened(&counts, &KINDS);
}
