//! Runs of the program that are killed, each on a copy of a prepared index. What a kill leaves must be a valid index, and the run that
//! resumes must end like an undisturbed one. A scenario is data: the runs, their nodes, which stand still, and their lists.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use coinhound::chain::BlockId;
use coinhound::index::folder::{FolderState, folder_state};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::bitcoind::Bitcoind;
use crate::support::coverage::ask_with_node;
use crate::support::files::{copy_folder, text};
use crate::support::library::Library;
use crate::support::lists::{List, csv};
use crate::support::program::{Program, ProgramOutput};
use crate::support::random::Rng;
use crate::support::settled_index::{SettledIndex, assert_events, derived};
use crate::support::strace::{self, KillPoint, SyscallTrace};
use crate::support::swept::assert_same_rows;
use crate::support::wait::PATIENCE;

/// One run of the program.
#[derive(Clone, Copy, Debug)]
pub struct Run {
    /// The number of its node.
    pub node: usize,
    /// The number of its list.
    pub list: usize,
    /// The command and its arguments.
    pub arguments: &'static [&'static str],
}

/// Runs that prepare an index, and the run that is killed.
#[derive(Clone, Copy, Debug)]
pub struct Scenario {
    /// Names it in failures.
    pub name: &'static str,
    /// The undisturbed runs before it, in order.
    pub before: &'static [Run],
    /// The run that is killed; the same command resumes it.
    pub killed: Run,
}

/// Nodes whose chains don't change, lists, and a folder for indexes.
pub struct CrashRig {
    nodes: Vec<Bitcoind>,
    lists: Vec<String>,
    batch: String,
    dir: TempDir,
    made: AtomicUsize,
}

/// How far a killed run had got.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// There was no index yet.
    Making,
    /// It had not logged a reorg.
    Scanning,
    /// It had logged a reorg, and the index had no block of the better branch.
    Disconnecting,
    /// The index had a block of the better branch.
    Connecting,
    /// A sweep for new entries was below the tip.
    Sweeping,
}

/// The kills of a test.
#[derive(Debug, Default)]
pub struct KillCounts {
    /// Number of kills, by whether the run was resuming after a kill, and how far it had got.
    kills: Mutex<BTreeMap<(bool, Stage), usize>>,
    /// Number of runs that ended before they were killed.
    missed: AtomicUsize,
}

/// A scenario with the index before the run that is killed, and the one that the run must end with.
pub struct PreparedScenario<'a> {
    rig: &'a CrashRig,
    scenario: Scenario,
    /// Folder of the index before the run.
    pub start: PathBuf,
    /// The index before the run, if there is one.
    before: Option<SettledIndex>,
    /// The index after an undisturbed run.
    after: SettledIndex,
    /// The system calls by which an undisturbed run changes the index's files.
    pub trace: SyscallTrace,
    /// Duration of an undisturbed run.
    pub takes: Duration,
}

impl CrashRig {
    /// A rig with these nodes and lists; runs write batches of at most `batch` blocks.
    pub fn new(nodes: Vec<Bitcoind>, lists: &[List], batch: usize) -> Self {
        let dir = tempfile::Builder::new().prefix("coinhound-crash-").tempdir().expect("a folder for indexes");
        let write = |(number, list): (usize, &List)| {
            let path = dir.path().join(format!("list-{number}.csv"));
            fs::write(&path, csv(list)).expect("a folder of the test");
            text(&path).to_owned()
        };
        let lists = lists.iter().enumerate().map(write).collect();
        Self { nodes, lists, batch: batch.to_string(), dir, made: AtomicUsize::new(0) }
    }

    /// A new folder; its index is called `index`.
    fn folder(&self) -> PathBuf {
        let folder = self.dir.path().join(self.made.fetch_add(1, Ordering::SeqCst).to_string());
        fs::create_dir(&folder).expect("a folder of the test");
        folder
    }

    /// The program as a run has it, on the index in `folder`.
    pub fn program(&self, run: &Run, folder: &Path) -> Program {
        let program = Program::new(&self.nodes[run.node], folder.join("index"));
        let program = program.with(&["--watch", &self.lists[run.list], "--threads", "2", "--lane", "rest"]);
        program.with_env("COINHOUND_SCAN_BATCH_BLOCKS", &self.batch)
    }

    /// Prepares a scenario.
    pub fn prepare(&self, scenario: Scenario) -> PreparedScenario<'_> {
        let (start, end) = (self.folder(), self.folder());
        for run in scenario.before {
            assert_done(&self.program(run, &start).run(&arguments(run)), scenario.name);
        }
        let before = start.join("index").exists().then(|| SettledIndex::open(&start.join("index")));
        copy_folder(&start, &end);
        let begun = Instant::now();
        assert_done(&self.program(&scenario.killed, &end).run(&arguments(&scenario.killed)), scenario.name);
        let takes = begun.elapsed();
        let after = SettledIndex::open(&end.join("index"));
        let counted = self.folder();
        copy_folder(&start, &counted);
        let (out, trace) =
            strace::trace(&self.program(&scenario.killed, &counted), &arguments(&scenario.killed), &counted);
        assert_done(&out, scenario.name);
        let again = SettledIndex::open(&counted.join("index"));
        assert_eq!(again.last(), after.last(), "{}: two undisturbed runs differ", scenario.name);
        PreparedScenario { rig: self, scenario, start, before, after, trace, takes }
    }
}

/// Whether a folder has no index, or one that isn't made yet.
fn is_absent(index: &Path) -> bool {
    folder_state(index).expect("nothing else lies there") == FolderState::Absent
}

/// The arguments of a run, which answers in JSON.
fn arguments(run: &Run) -> Vec<&'static str> {
    ["--format", "json"].into_iter().chain(run.arguments.iter().copied()).collect()
}

fn assert_done(out: &ProgramOutput, what: &str) {
    assert_eq!(out.code, 0, "{what}: {out:#?}");
}

impl PreparedScenario<'_> {
    /// `count` of the run's kill points, spread evenly; all of them if there are fewer.
    pub fn spread(&self, count: usize) -> Vec<KillPoint> {
        let all = &self.trace.points;
        let step = |at: usize| all[at * all.len() / count].clone();
        if count >= all.len() { all.clone() } else { (0..count).map(step).collect() }
    }

    /// A copy of the index before the run, in a new folder.
    pub fn fresh(&self) -> PathBuf {
        let folder = self.rig.folder();
        copy_folder(&self.start, &folder);
        folder
    }

    /// The height from which a run must resume if this block is the index's tip.
    pub fn next(&self, tip: Option<BlockId>) -> u32 {
        let heights = 0..=tip.map_or(0, |tip| tip.height);
        let shared = |height: &u32| {
            let hash = self.before.as_ref().and_then(|before| before.hashes.get(*height as usize));
            hash.is_some_and(|hash| self.after.has(BlockId { height: *height, hash: *hash }))
        };
        match tip {
            None => 0,
            Some(tip) if self.after.has(tip) => tip.height + 1,
            Some(_) => heights.rev().find(shared).expect("genesis is shared") + 1,
        }
    }

    /// The program as the killed run has it, on the index in `folder`.
    pub fn program(&self, folder: &Path) -> Program {
        self.rig.program(&self.scenario.killed, folder)
    }

    /// The arguments of the killed run.
    pub fn arguments(&self) -> Vec<&'static str> {
        arguments(&self.scenario.killed)
    }

    /// Kills the run at the first of these points, and the runs that resume it at the others; then lets one run to its end.
    pub fn kill_at(&self, points: &[&KillPoint], tally: &KillCounts) {
        let named: Vec<_> = points.iter().map(ToString::to_string).collect();
        let what = format!("{}, killed at {}", self.scenario.name, named.join(", then at "));
        let folder = self.fresh();
        for (number, point) in points.iter().enumerate() {
            let out = strace::kill_at(&self.program(&folder), &self.arguments(), point);
            if !self.assert_left(&folder, &out, number > 0, tally, &what) {
                break;
            }
        }
        self.assert_resumes(&folder, &what);
    }

    /// Kills the run after a random time, and the runs that resume it `more` times. If `aimed`, the time starts when the run logs a
    /// reorg.
    pub fn kill_by_chance(&self, rng: &mut Rng, more: usize, aimed: bool, tally: &KillCounts) {
        let what = format!("{}, killed by chance{}", self.scenario.name, if aimed { " in a reorg" } else { "" });
        let folder = self.fresh();
        for number in 0..=more {
            let program = self.program(&folder);
            let log = program.home().join("stderr.txt");
            let line = format!("exec \"$0\" \"$@\" 2>'{}'", log.display());
            let mut running = program.spawn_under(&["sh".to_owned(), "-c".to_owned(), line], &self.arguments());
            let undoes = || fs::read_to_string(&log).is_ok_and(|text| text.contains("disconnecting"));
            let end = Instant::now() + PATIENCE;
            while aimed && running.is_running() && !undoes() && Instant::now() < end {
                std::thread::sleep(Duration::from_micros(200));
            }
            // The reorg takes a part of the run's time.
            let range = self.takes / if aimed { 4 } else { 1 };
            let micros = u64::try_from(range.as_micros()).expect("a short run");
            std::thread::sleep(Duration::from_micros(rng.below(micros.max(1))));
            running.kill();
            let mut out = running.wait(PATIENCE);
            out.stderr = fs::read_to_string(&log).unwrap_or_default();
            if !self.assert_left(&folder, &out, number > 0, tally, &what) {
                break;
            }
        }
        self.assert_resumes(&folder, &what);
    }

    /// Panics unless the run was killed, or ended before that, and left a valid index; counts it. Returns whether it was killed.
    fn assert_left(&self, folder: &Path, out: &ProgramOutput, again: bool, tally: &KillCounts, what: &str) -> bool {
        assert!(!out.stderr.contains("panicked"), "{what}: {out:#?}");
        if out.code != -9 {
            assert_eq!(out.code, 0, "{what}: {out:#?}");
            tally.missed.fetch_add(1, Ordering::SeqCst);
            return false;
        }
        let tip = self.assert_valid(folder, what);
        let gone_on = |tip: BlockId| self.before.as_ref().is_some_and(|before| !before.has(tip));
        let index = folder.join("index");
        let stage = match tip {
            _ if is_absent(&index) => Stage::Making,
            _ if !Library::open(&index).snapshot.sweeps.sides().is_empty() => Stage::Sweeping,
            Some(tip) if gone_on(tip) => Stage::Connecting,
            _ if out.stderr.contains("disconnecting") => Stage::Disconnecting,
            _ => Stage::Scanning,
        };
        *lock(&tally.kills).entry((again, stage)).or_default() += 1;
        true
    }

    /// Panics unless the index, as of its own last block, equals the one before or after an undisturbed run; returns that block.
    pub fn assert_valid(&self, folder: &Path, what: &str) -> Option<BlockId> {
        let index = folder.join("index");
        if is_absent(&index) {
            assert!(self.before.is_none(), "{what}: the index is gone");
            return None;
        }
        let library = Library::try_open(&index).unwrap_or_else(|error| panic!("{what}: {error}"));
        let tip = library.snapshot.tip?;
        let Some(height) = library.snapshot.sweeps.settled().min(tip.height + 1).checked_sub(1) else {
            return Some(tip);
        };
        let block =
            BlockId { height, hash: library.snapshot.block(height).expect("each block up to the tip has a header").0 };
        if !library.snapshot.sweeps.sides().is_empty() {
            // While a sweep is below the tip, the entries still have their old heights, but the derived rows are there.
            assert_same_rows(
                &derived(&library, height),
                &derived(&self.after.library, height),
                &format!("{what}: up to {block}"),
            );
            return Some(tip);
        }
        let digest = library.digest(height).unwrap_or_else(|| panic!("{what}: no digest at {block}"));
        let known = [self.before.as_ref(), Some(&self.after)].into_iter().flatten().filter(|still| still.has(block));
        let known: BTreeSet<_> = known.map(|still| still.digest(height)).collect();
        assert!(known.contains(&digest), "{what}: at {block}, {digest} is none of {known:?}");
        Some(tip)
    }

    /// Resumes the run without a kill, panics unless it ends like an undisturbed one, and returns its answer. Removes the folder.
    pub fn assert_resumes(&self, folder: &Path, what: &str) -> Value {
        let (code, answer) = self.program(folder).json(self.scenario.killed.arguments);
        assert_eq!((code, &answer["coverage"]["complete"]), (0, &json!(true)), "{what}: {answer}");
        let tip = self.assert_valid(folder, what).expect("there is a block");
        let found = (tip, Library::open(&folder.join("index")).digest(tip.height).expect("it was there a moment ago"));
        assert_eq!(found, self.after.last(), "{what}: another index than an undisturbed run makes");
        assert_events(&Library::open(&folder.join("index")), &self.after.library, what);
        let (code, status) = ask_with_node(&self.program(folder), &["status"]);
        let expected = json!({"height": tip.height, "hash": tip.hash.to_string(), "time": status["tip"]["time"]});
        let found = (code, &status["coverage"]["complete"], &status["tip"], &status["lag"]);
        assert_eq!(found, (0, &json!(true), &expected, &json!(0)), "{what}: {status}");
        fs::remove_dir_all(folder).expect("a folder of the test");
        answer
    }
}

impl KillCounts {
    /// Number of kills for which `fits` is true; it is given whether the run was resuming, and its stage.
    pub fn kills(&self, fits: impl Fn(bool, Stage) -> bool) -> usize {
        lock(&self.kills).iter().filter(|((again, stage), _)| fits(*again, *stage)).map(|(_, count)| count).sum()
    }

    /// Number of runs that ended before they were killed.
    pub fn missed(&self) -> usize {
        self.missed.load(Ordering::SeqCst)
    }
}

impl fmt::Display for KillCounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (all, again) = (self.kills(|_, _| true), self.kills(|again, _| again));
        write!(f, "{all} kills, {again} of them in resumed runs; {} runs ended before their kill", self.missed())?;
        for stage in [Stage::Making, Stage::Scanning, Stage::Disconnecting, Stage::Connecting, Stage::Sweeping] {
            write!(f, "; {stage:?}: {}", self.kills(|_, at| at == stage))?;
        }
        Ok(())
    }
}

/// Does these jobs, two at a time.
pub fn side_by_side<T: Sync>(jobs: &[T], job: impl Fn(&T) + Sync) {
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while let Some(one) = jobs.get(next.fetch_add(1, Ordering::SeqCst)) {
                    job(one);
                }
            });
        }
    });
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}
