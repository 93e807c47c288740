//! A flipped bit anywhere in the database's files: every answer is right, or an error; never wrong, never a panic. A damaged
//! write-ahead log isn't taken for a shorter one: the last block that reached the disk is known from elsewhere.

use std::collections::BTreeMap;
use std::error::Error;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use coinhound::index::Reader;
use coinhound::index::digest::digest;
use coinhound::query::target::Targets;
use coinhound::query::{Snapshot, balance, coins, history, status};
use coinhound::sync::plan::open::open;
use coinhound::sync::plan::wanted::{Lists, Wanted};
use coinhound::sync::sweep::run::Pace;
use serde::Serialize;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::oracle::answers::rows;
use crate::support::bitcoind::Bitcoind;
use crate::support::crash::side_by_side;
use crate::support::effort::{is_long, say};
use crate::support::fake_node::FakeNode;
use crate::support::files::copy_folder;
use crate::support::lists::List;
use crate::support::lists::entries;
use crate::support::program::Program;
use crate::support::random::{self, Rng};
use crate::support::swept::{UNTRACKED, identity};

const TIP: u32 = 108;
const PACE: Pace = Pace { threads: 1, batch_blocks: 1 };

/// A chain, a list, and the answers of an index of them.
struct ExpectedAnswers {
    node: FakeNode,
    list: List,
    /// The answers after a block, or before the first one under `None`; made on demand.
    right: Mutex<BTreeMap<Option<u64>, Arc<Value>>>,
}

/// An index that no run changes.
struct UnchangedIndex<'a> {
    name: &'static str,
    dir: TempDir,
    truth: &'a ExpectedAnswers,
}

/// One bit of one file.
#[derive(Clone, Debug)]
struct BitFlip {
    file: PathBuf,
    byte: usize,
    bit: u32,
}

/// The results of flips: by kind of file, the number of right answers and of errors.
#[derive(Debug, Default)]
struct FlipCounts(Mutex<BTreeMap<(String, &'static str), usize>>);

impl ExpectedAnswers {
    fn new(seed: u64) -> Self {
        let chain = random::chain(seed, TIP);
        let mut list = random::watchlist(&chain, &mut Rng::new(seed), 40);
        list.iter_mut().for_each(|(_, from)| *from = (*from).min(TIP));
        Self { node: FakeNode::new(chain.blocks()), list, right: Mutex::default() }
    }

    /// The answers after the block at a height, or before any.
    fn after(&self, through: Option<u64>) -> Arc<Value> {
        let mut right = self.right.lock().expect("no job panicked here");
        let make = || {
            let dir = tempfile::tempdir().expect("a folder for the index");
            let index = dir.path().join("index");
            match through.map(|height| u32::try_from(height).expect("a height")) {
                None => drop(open(&index, &identity(), &wanted(&self.list)).expect("a new index")),
                to => drop(self.node.sweep(&index, &self.list, to, PACE).expect("an honest source")),
            }
            Arc::new(ask(&index).expect("a whole index"))
        };
        Arc::clone(right.entry(through).or_insert_with(make))
    }

    fn last(&self) -> Arc<Value> {
        self.after(Some(TIP.into()))
    }
}

impl<'a> UnchangedIndex<'a> {
    /// An index made by runs that ended at these heights: the last run is in the write-ahead log, the others are in tables.
    fn new(name: &'static str, truth: &'a ExpectedAnswers, stops: &[u32]) -> Self {
        let dir = tempfile::tempdir().expect("a folder for the index");
        let files = Self { name, dir, truth };
        for stop in stops {
            truth.node.sweep(&files.index(), &truth.list, Some(*stop), PACE).expect("an honest source");
        }
        assert_same(&ask(&files.index()).expect("a whole index"), &truth.last(), name);
        files
    }

    fn index(&self) -> PathBuf {
        self.dir.path().join("index")
    }

    /// About `count` random flips, spread over all files by size, with some in each.
    fn flips(&self, count: usize, rng: &mut Rng) -> Vec<BitFlip> {
        let names = fs::read_dir(self.index()).expect("a file of the index").map(|entry| entry.expect("it reads"));
        let mut files: Vec<_> =
            names.map(|entry| (entry.file_name().into(), entry.metadata().expect("it reads").len())).collect();
        // Files without rows: never read, or empty.
        let holds = |file: &PathBuf| !["LOCK", "HOLDER", "IDENTITY"].iter().any(|name| file == Path::new(name));
        files.retain(|(file, size)| *size > 0 && holds(file));
        files.sort();
        let share = |file: &PathBuf| match file.to_string_lossy() {
            // A damaged one is read for seconds, in case a writer is replacing it.
            name if name == "CURRENT" => 1,
            name if name.starts_with("OPTIONS") => 2,
            name if name.ends_with(".log") => count / 6,
            _ => count / files.len(),
        };
        let mut flips = Vec::new();
        for (file, size) in &files {
            let size = usize::try_from(*size).expect("a small file");
            let count = share(file).clamp(1, size);
            // A random byte of each of `count` parts.
            let byte = |part: usize| part * size / count;
            let flip = |part| {
                let within = (byte(part + 1) - byte(part)).max(1);
                BitFlip {
                    file: file.clone(),
                    byte: byte(part) + rng.index(within),
                    bit: u32::try_from(rng.below(8)).expect("few"),
                }
            };
            flips.extend((0..count).map(flip));
            // The first write of the last run is its goal, without which the index can't know what it lacks.
            let first = BitFlip { file: file.clone(), byte: size.min(20) - 1, bit: 0 };
            flips.extend(file.extension().is_some_and(|name| name == "log").then_some(first));
        }
        flips
    }

    /// A copy of the index with one bit flipped.
    fn damaged(&self, flip: &BitFlip) -> (TempDir, PathBuf) {
        let dir = tempfile::tempdir().expect("a folder for the index");
        let index = dir.path().join("index");
        copy_folder(&self.index(), &index);
        let path = index.join(&flip.file);
        let mut bytes = fs::read(&path).expect("a file of the index");
        bytes[flip.byte] ^= 1 << flip.bit;
        fs::write(&path, bytes).expect("a file of the test");
        (dir, index)
    }

    /// Panics if an answer of the damaged index is wrong, before or after another run.
    fn check(&self, flip: &BitFlip, tally: &FlipCounts) {
        let what = format!("{}, {flip:?}", self.name);
        let (_dir, index) = self.damaged(flip);
        match caught(&what, || ask(&index)) {
            Ok(answers) => {
                let through = answers["through"].as_u64();
                assert_same(&answers, &self.truth.after(through), &what);
                // All blocks had reached the disk, so an older state would be wrong.
                assert_eq!(through, Some(TIP.into()), "{what}: {}", answers["complete"]);
                tally.count(flip, "right");
            }
            Err(message) => {
                assert!(!message.is_empty(), "{what}");
                tally.count(flip, "error");
            }
        }
        // Reading changes nothing, so the next run meets the same damage.
        let swept = caught(&what, || self.truth.node.sweep(&index, &self.truth.list, None, PACE).map_err(Into::into));
        match swept.and_then(|_| caught(&what, || ask(&index))) {
            Ok(answers) => assert_same(&answers, &self.truth.last(), &format!("{what}, after a run")),
            Err(message) => assert!(!message.is_empty(), "{what}, after a run"),
        }
    }
}

/// The settings of `FakeNode::sweep`.
fn wanted(list: &List) -> Wanted {
    Wanted { lists: Some(Lists { entries: entries(list), ..Lists::default() }), trace: UNTRACKED, ..Wanted::default() }
}

/// Everything that an index answers, or the first error.
fn ask(index: &Path) -> Result<Value, Box<dyn Error>> {
    fn rows<T: Serialize, E: Error + 'static>(
        rows: impl Iterator<Item = Result<T, E>>,
    ) -> Result<Vec<Value>, Box<dyn Error>> {
        rows.map(|row| Ok(serde_json::to_value(row?)?)).collect()
    }
    let (snapshot, at) = (Snapshot::new(Reader::open(index)?, |_| false)?, u32::MAX);
    let targets = Targets::resolve(&snapshot, &["all".to_owned()], None)?;
    let history = rows(history::history(&snapshot, &targets, at, None)?.map(|row| row.map(|(_, row)| row)))?;
    let coins = rows(coins::coins(&snapshot, &targets, at, false, None)?.map(|row| row.map(|(_, row)| row)))?;
    let balances = rows(balance::balances(&snapshot, &targets, at))?;
    let mut status = serde_json::to_value(status::status(&snapshot, None)?)?;
    // The path and size differ, and so do `complete` and its reasons: the goal of the last run is lost with a log.
    let complete = status["coverage"]["complete"].take();
    (status["index"], status["coverage"]["gaps"]) = (Value::Null, Value::Null);
    (status["coverage"]["why"], status["coverage"]["age_s"]) = (Value::Null, Value::Null);
    let digest = snapshot.tip.map(|tip| digest(&snapshot.reader, tip.height)).transpose()?.flatten();
    let through = snapshot.tip.map(|tip| tip.height);
    let digest = digest.map(|digest| digest.to_string());
    Ok(json!({
        "through": through, "complete": complete, "digest": digest, "status": status, "balances": balances, "history": history,
        "coins": coins,
    }))
}

/// The result, with an error as text. Panics, naming `what`, if the part panics.
fn caught<T>(what: &str, part: impl FnOnce() -> Result<T, Box<dyn Error>>) -> Result<T, String> {
    let result = catch_unwind(AssertUnwindSafe(part)).unwrap_or_else(|_| panic!("{what}: it panicked"));
    result.map_err(|error| error.to_string())
}

/// Panics, naming the answer that differs.
fn assert_same(found: &Value, right: &Value, what: &str) {
    for name in ["through", "digest", "status", "balances", "history", "coins"] {
        assert_eq!(found[name], right[name], "{what}: {name}");
    }
}

impl FlipCounts {
    fn count(&self, flip: &BitFlip, what: &'static str) {
        let name = flip.file.to_string_lossy().into_owned();
        let kind = ["MANIFEST", "OPTIONS", "CURRENT"].iter().find(|kind| name.starts_with(**kind));
        let kind = kind.map_or_else(|| name.rsplit('.').next().unwrap_or_default().to_owned(), ToString::to_string);
        *self.0.lock().expect("no job panics here").entry((kind, what)).or_default() += 1;
    }

    fn of(&self, kind: &str, what: &str) -> usize {
        self.0.lock().expect("no job panicked").get(&(kind.to_owned(), what)).copied().unwrap_or_default()
    }
}

#[test]
fn a_flipped_bit_gives_the_right_answer_or_an_error() {
    let (truth, tally, mut rng) = (ExpectedAnswers::new(96), FlipCounts::default(), Rng::new(96));
    let count = if is_long() { 2500 } else { 60 };
    for (name, stops) in [("young", &[TIP][..]), ("worn", &[20, 40, 60, 80, 90, 95, 100, 102, TIP])] {
        let files = UnchangedIndex::new(name, &truth, stops);
        let flips = files.flips(count, &mut rng);
        side_by_side(&flips, |flip| files.check(flip, &tally));
    }
    for ((kind, fate), count) in &*tally.0.lock().expect("no job panicked") {
        say(&format!("{count} flips in {kind}: {fate}"));
    }
    for kind in ["sst", "MANIFEST"] {
        assert!(tally.of(kind, "error") > tally.of(kind, "right"), "{kind}: {tally:?}");
    }
    assert!(tally.of("sst", "right") > 0 && tally.of("OPTIONS", "error") == 0, "{tally:?}");
}

#[test]
fn the_program_reports_damage_and_never_panics() {
    let (truth, mut rng) = (ExpectedAnswers::new(97), Rng::new(97));
    let node = Bitcoind::regtest();
    random::chain(97, TIP).submit_to(&node);
    let files = UnchangedIndex::new("worn", &truth, &[30, 60, 90, 100, TIP]);
    let mut flips = files.flips(if is_long() { 300 } else { 30 }, &mut rng);
    if !is_long() {
        flips = flips.into_iter().step_by(3).collect();
    }
    side_by_side(&flips, |flip| {
        let (_dir, index) = files.damaged(flip);
        let program = Program::new(&node, index);
        for question in [&["history", "all"][..], &["digest"], &["status"], &["backfill"], &["history", "all"]] {
            let out = program.run(&[&["--format", "json"], question].concat());
            let what = format!("{flip:?}: {question:?}: {out:#?}");
            assert!([0, 3, 5].contains(&out.code) && !out.stderr.contains("panicked"), "{what}");
            let answer: Option<Value> = serde_json::from_str(&out.stdout).ok();
            match (out.code, answer) {
                (5, None) => assert!(out.stderr.contains("{\"error\""), "{what}"),
                (0 | 3, Some(answer)) => {
                    let right = truth.after(answer["coverage"]["through"].as_u64());
                    match question[0] {
                        "history" => assert_eq!(rows(&answer), rows_of(&right, "history"), "{what}"),
                        "digest" => assert_eq!(answer["digest"], right["digest"], "{what}"),
                        _ => {}
                    }
                }
                _ => panic!("neither an error nor an answer: {what}"),
            }
        }
    });
}

fn rows_of<'a>(answers: &'a Value, name: &str) -> &'a [Value] {
    answers[name].as_array().expect("a list of rows")
}
