//! Runs of the binary that are killed, from a copy of a prepared index each; what is left must be valid, and the run that goes on
//! must end as if nothing had happened. A scenario is data: which runs against which frozen node, with which list.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use coinhound::chain::BlockId;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::bitcoind::Bitcoind;
use crate::support::files::copy_folder;
use crate::support::library::Library;
use crate::support::lists::{List, csv};
use crate::support::program::{Program, ProgramOutput};
use crate::support::random::Rng;
use crate::support::settled_index::{SettledIndex, assert_messages, derived};
use crate::support::strace::{self, KillPoint, SyscallTrace};
use crate::support::swept::assert_same_rows;

const PATIENCE: Duration = Duration::from_secs(120);

/// One run of the binary.
#[derive(Clone, Copy, Debug)]
pub struct Run {
    /// Which of the field's nodes it speaks to.
    pub node: usize,
    /// Which of the field's lists it is given.
    pub list: usize,
    /// Its command.
    pub arguments: &'static [&'static str],
}

/// Runs that prepare an index, and the one that is killed.
#[derive(Clone, Copy, Debug)]
pub struct Scenario {
    /// For messages.
    pub name: &'static str,
    /// Undisturbed, in this order.
    pub before: &'static [Run],
    /// The victim; given once more, it goes on.
    pub act: Run,
}

/// Nodes that stand still, lists, and a folder for indexes.
pub struct CrashRig {
    nodes: Vec<Bitcoind>,
    lists: Vec<String>,
    batch: String,
    dir: TempDir,
    made: AtomicUsize,
}

/// How far the killed run had come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// No index had its name yet.
    Making,
    /// It had said nothing of a block that must be undone.
    Scanning,
    /// It had said which blocks it undoes, and no block of the better branch was in.
    Disconnecting,
    /// A block of the better branch was in.
    Connecting,
    /// A sweep for what lists ask anew was below the tip.
    Sweeping,
}

/// How often runs were killed.
#[derive(Debug, Default)]
pub struct KillCounts {
    /// By how far the run had come, and whether it was one that went on after a kill.
    kills: Mutex<BTreeMap<(bool, Stage), usize>>,
    /// Runs that ended before they got to the point of their kill.
    missed: AtomicUsize,
}

/// A scenario made ready: the index before the victim's run, and what that run must come to.
pub struct PreparedScenario<'a> {
    field: &'a CrashRig,
    scenario: Scenario,
    pub start: PathBuf,
    /// The index before the victim's run, if there was one, and after an undisturbed one.
    before: Option<SettledIndex>,
    after: SettledIndex,
    /// What an undisturbed run does to the index's files.
    pub trace: SyscallTrace,
    /// How long one takes.
    pub takes: Duration,
}

impl CrashRig {
    /// Of these nodes and lists; runs write batches of at most `batch` blocks.
    pub fn new(nodes: Vec<Bitcoind>, lists: &[List], batch: usize) -> Self {
        let dir = tempfile::Builder::new().prefix("coinhound-crash-").tempdir().expect("a folder for indexes");
        let write = |(number, list): (usize, &List)| {
            let path = dir.path().join(format!("list-{number}.csv"));
            fs::write(&path, csv(list)).expect("the folder is ours");
            path.to_str().expect("tests use plain paths").to_owned()
        };
        let lists = lists.iter().enumerate().map(write).collect();
        Self { nodes, lists, batch: batch.to_string(), dir, made: AtomicUsize::new(0) }
    }

    /// A new folder, in which the index will be called `index`.
    fn folder(&self) -> PathBuf {
        let folder = self.dir.path().join(self.made.fetch_add(1, Ordering::SeqCst).to_string());
        fs::create_dir(&folder).expect("the folder is ours");
        folder
    }

    /// The binary as an act has it, on the index in `folder`.
    pub fn program(&self, act: &Run, folder: &Path) -> Program {
        let program = Program::new(&self.nodes[act.node], folder.join("index"));
        let program = program.with(&["--watch", &self.lists[act.list], "--threads", "2", "--lane", "rest"]);
        program.with_env("COINHOUND_SCAN_BATCH_BLOCKS", &self.batch)
    }

    /// Makes a scenario ready.
    pub fn prepare(&self, scenario: Scenario) -> PreparedScenario<'_> {
        let (start, end) = (self.folder(), self.folder());
        for act in scenario.before {
            assert_done(&self.program(act, &start).run(&arguments(act)), scenario.name);
        }
        let before = start.join("index").exists().then(|| SettledIndex::open(&start.join("index")));
        copy_folder(&start, &end);
        let begun = Instant::now();
        assert_done(&self.program(&scenario.act, &end).run(&arguments(&scenario.act)), scenario.name);
        let takes = begun.elapsed();
        let after = SettledIndex::open(&end.join("index"));
        let counted = self.folder();
        copy_folder(&start, &counted);
        let (out, trace) = strace::trace(&self.program(&scenario.act, &counted), &arguments(&scenario.act), &counted);
        assert_done(&out, scenario.name);
        let again = SettledIndex::open(&counted.join("index"));
        assert_eq!(again.last(), after.last(), "{}: two undisturbed runs differ", scenario.name);
        PreparedScenario { field: self, scenario, start, before, after, trace, takes }
    }
}

/// A command's words; JSON is what tests read.
fn arguments(act: &Run) -> Vec<&'static str> {
    ["--format", "json"].into_iter().chain(act.arguments.iter().copied()).collect()
}

fn assert_done(out: &ProgramOutput, what: &str) {
    assert_eq!(out.code, 0, "{what}: {out:#?}");
}

impl PreparedScenario<'_> {
    /// So many of the run's points, spread over all of it; all where there are no more.
    pub fn spread(&self, count: usize) -> Vec<KillPoint> {
        let all = &self.trace.points;
        let step = |at: usize| all[at * all.len() / count].clone();
        if count >= all.len() { all.clone() } else { (0..count).map(step).collect() }
    }

    /// A copy of the index as it is before the victim's run, in a new folder.
    pub fn fresh(&self) -> PathBuf {
        let folder = self.field.folder();
        copy_folder(&self.start, &folder);
        folder
    }

    /// The height from which on a run must go on that finds this block at the index's tip.
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

    /// The victim, on the index in `folder`.
    pub fn program(&self, folder: &Path) -> Program {
        self.field.program(&self.scenario.act, folder)
    }

    /// The victim's words.
    pub fn arguments(&self) -> Vec<&'static str> {
        arguments(&self.scenario.act)
    }

    /// Kills the run at each of these points in turn, the first in the run itself, the others in the runs that go on; then lets one
    /// go on to its end.
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
        self.assert_goes_on(&folder, &what);
    }

    /// Kills the run after a random time, and so many times more the run that goes on. With `aimed` the time runs from when it says
    /// what it undoes.
    pub fn kill_by_chance(&self, rng: &mut Rng, more: usize, aimed: bool, tally: &KillCounts) {
        let what = format!("{}, killed by chance{}", self.scenario.name, if aimed { " as it undoes" } else { "" });
        let folder = self.fresh();
        for number in 0..=more {
            let program = self.program(&folder);
            let log = program.home().join("stderr.txt");
            let line = format!("exec \"$0\" \"$@\" 2>'{}'", log.display());
            let mut running = program.spawn_under(&["sh".to_owned(), "-c".to_owned(), line], &self.arguments());
            let undoes = || fs::read_to_string(&log).is_ok_and(|text| text.contains("undoing"));
            let end = Instant::now() + PATIENCE;
            while aimed && running.is_running() && !undoes() && Instant::now() < end {
                std::thread::sleep(Duration::from_micros(200));
            }
            // What follows the word takes a part of the run's time.
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
        self.assert_goes_on(&folder, &what);
    }

    /// Panics unless a run that was to be killed was, or came to its end, and left a valid index; counts it. False where it came to
    /// its end.
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
            _ if !index.exists() => Stage::Making,
            _ if !Library::open(&index).snapshot.sweeps.sides().is_empty() => Stage::Sweeping,
            Some(tip) if gone_on(tip) => Stage::Connecting,
            _ if out.stderr.contains("undoing") => Stage::Disconnecting,
            _ => Stage::Scanning,
        };
        *lock(&tally.kills).entry((again, stage)).or_default() += 1;
        true
    }

    /// Panics unless the index is that of a valid chain, as it is after some block before or after the run; gives its last block.
    pub fn assert_valid(&self, folder: &Path, what: &str) -> Option<BlockId> {
        let index = folder.join("index");
        if !index.exists() {
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
            // Its entries have their new heights only where the sweep has met the next; what it derived is there.
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

    /// Runs the victim undisturbed, and panics unless it comes to what it must; gives its answer. Removes the folder.
    pub fn assert_goes_on(&self, folder: &Path, what: &str) -> Value {
        let (code, answer) = self.program(folder).json(self.scenario.act.arguments);
        assert_eq!((code, &answer["coverage"]["complete"]), (0, &json!(true)), "{what}: {answer}");
        let tip = self.assert_valid(folder, what).expect("there is a block");
        let found = (tip, Library::open(&folder.join("index")).digest(tip.height).expect("it was there a moment ago"));
        assert_eq!(found, self.after.last(), "{what}: as if nothing had happened");
        assert_messages(&Library::open(&folder.join("index")), &self.after.library, what);
        let (code, status) = self.program(folder).json(&["status"]);
        let expected = json!({"height": tip.height, "hash": tip.hash.to_string(), "time": status["tip"]["time"]});
        let found = (code, &status["coverage"]["complete"], &status["tip"], &status["lag"]);
        assert_eq!(found, (0, &json!(true), &expected, &json!(0)), "{what}: {status}");
        fs::remove_dir_all(folder).expect("the folder is ours");
        answer
    }
}

impl KillCounts {
    /// All kills that fit.
    pub fn kills(&self, fits: impl Fn(bool, Stage) -> bool) -> usize {
        lock(&self.kills).iter().filter(|((again, stage), _)| fits(*again, *stage)).map(|(_, count)| count).sum()
    }

    /// Runs that ended before they were killed.
    pub fn missed(&self) -> usize {
        self.missed.load(Ordering::SeqCst)
    }
}

impl fmt::Display for KillCounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (all, again) = (self.kills(|_, _| true), self.kills(|again, _| again));
        write!(f, "{all} kills, {again} of them in a recovery; {} runs ended before", self.missed())?;
        for stage in [Stage::Making, Stage::Scanning, Stage::Disconnecting, Stage::Connecting, Stage::Sweeping] {
            write!(f, "; {stage:?}: {}", self.kills(|_, at| at == stage))?;
        }
        Ok(())
    }
}

/// Does these jobs two at a time.
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
