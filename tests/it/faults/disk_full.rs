//! A disk that is full ends a run with a clear word, at whatever write; what is left is valid, and once there is space the next run
//! goes on from there.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::json;
use tempfile::TempDir;

use crate::support::bitcoind::Bitcoind;
use crate::support::crash::{CrashRig, PreparedScenario, Run, Scenario, side_by_side};
use crate::support::files::copy_folder;
use crate::support::program::ProgramOutput;
use crate::support::random::{self, Rng};
use crate::support::strace;

const BACKFILL: Run = Run { node: 0, list: 0, arguments: &["backfill"] };
const FIRST: Scenario = Scenario { name: "first backfill", before: &[], act: BACKFILL };
const REORG: Scenario = Scenario { name: "reorg", before: &[BACKFILL], act: Run { node: 1, ..BACKFILL } };

fn field() -> CrashRig {
    let (mut ours, mut rng) = (random::chain(95, 112), Rng::new(95));
    let theirs = random::fork(&mut ours, &mut rng, 9, 1);
    let mut list = random::watchlist(&ours, &mut rng, 60);
    list.iter_mut().for_each(|(_, from)| *from = (*from).min(103));
    let nodes = vec![Bitcoind::regtest(), Bitcoind::regtest()];
    ours.submit_to(&nodes[0]);
    theirs.submit_to(&nodes[1]);
    CrashRig::new(nodes, &[list], 1)
}

/// Panics unless the run said that the disk is full and left a valid index; then has the next one go on, with space.
fn assert_stopped_and_goes_on(
    prepared: &PreparedScenario<'_>,
    folder: &Path,
    out: &ProgramOutput,
    free: impl FnOnce(),
    what: &str,
) {
    assert_eq!((out.code, out.stdout.as_str()), (1, ""), "{what}: {out:#?}");
    assert!(out.stderr.contains("the disk under ") && out.stderr.contains(" is full; free some"), "{what}: {out:#?}");
    let next = prepared.next(prepared.assert_valid(folder, what));
    free();
    let answer = prepared.assert_goes_on(folder, what);
    let through = answer["through"].as_u64().expect("a height");
    let found = [&answer["from"], &answer["blocks"]];
    assert_eq!(found, [&json!(next), &json!(through + 1 - u64::from(next))], "{what}: it goes on: {answer}");
}

/// A small file system of its own, seen through the process that keeps it; gone with that.
struct SmallDisk {
    keeper: Child,
    /// Where it is mounted, for the keeper alone.
    _at: TempDir,
    root: PathBuf,
}

impl SmallDisk {
    /// `None` where the kernel lets this user mount nothing, not even in a namespace of its own.
    fn new(mebibytes: usize) -> Option<Self> {
        [&["--mount"][..], &["--user", "--map-root-user", "--mount"]]
            .iter()
            .find_map(|means| Self::by(means, mebibytes))
    }

    fn by(means: &[&str], mebibytes: usize) -> Option<Self> {
        let at = tempfile::tempdir().expect("a folder to mount on");
        let script = format!("mount -t tmpfs -o size={mebibytes}m none \"$0\" && echo ready && exec sleep 3600");
        let mut command = Command::new("unshare");
        command.args(means).args(["sh", "-c", &script]).arg(at.path());
        let mut keeper = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().ok()?;
        let mut said = String::new();
        BufReader::new(keeper.stdout.take()?).read_line(&mut said).ok()?;
        let inside = at.path().strip_prefix("/").expect("temporary folders have whole paths");
        let root = Path::new("/proc").join(keeper.id().to_string()).join("root").join(inside);
        let disk = Self { keeper, _at: at, root };
        (said == "ready\n").then_some(disk)
    }

    fn ballast(&self) -> PathBuf {
        self.root.join("ballast")
    }

    /// Takes away what fills it up.
    fn free(&self) {
        fs::remove_file(self.ballast()).expect("it is there");
    }

    /// Fills it up, but for so many bytes.
    fn leave(&self, bytes: u64) {
        let size = fill(&self.ballast());
        let kept = size.saturating_sub(bytes);
        fs::File::options().write(true).open(self.ballast()).and_then(|file| file.set_len(kept)).expect("it is ours");
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // It may have ended by itself.
        self.keeper.kill().ok();
        self.keeper.wait().ok();
    }
}

/// What the small disk gives out.
const PAGE: u64 = 4096;

/// Writes a file until the disk is full; gives its size.
fn fill(path: &Path) -> u64 {
    let (mut file, page) = (fs::File::create(path).expect("it is ours"), [0x55; 4096]);
    while file.write_all(&page).is_ok() {}
    file.metadata().expect("it is there").len()
}

/// The victim's run on a small disk with so many bytes left, from a copy of the prepared index.
fn run_with(disk: &SmallDisk, prepared: &PreparedScenario<'_>, bytes: u64) -> (PathBuf, ProgramOutput) {
    let folder = disk.root.join("run");
    fs::create_dir(&folder).expect("there is space");
    copy_folder(&prepared.start, &folder);
    disk.leave(bytes);
    let out = prepared.program(&folder).run(&prepared.arguments());
    (folder, out)
}

#[test]
fn a_disk_that_fills_up_ends_the_run_and_the_next_one_goes_on() {
    let field = field();
    let Some(disk) = SmallDisk::new(64) else {
        // Then the kernel's word is put in its mouth, at every write that there is.
        return fail_writes(&field, usize::MAX);
    };
    for (scenario, count) in [(FIRST, 12), (REORG, 8)] {
        let prepared = field.prepare(scenario);
        // Doubled until it is enough, then halved.
        let is_enough = |bytes: u64| {
            let (folder, out) = run_with(&disk, &prepared, bytes);
            disk.free();
            fs::remove_dir_all(folder).expect("it is ours");
            out.code == 0
        };
        let mut enough = PAGE;
        while !is_enough(enough) {
            enough *= 2;
        }
        let mut short = enough / 2;
        while enough - short > PAGE {
            let middle = (enough + short) / 2;
            *(if is_enough(middle) { &mut enough } else { &mut short }) = middle;
        }
        for bytes in (0..count).map(|at| at * short / count) {
            let what = format!("{}, {bytes} bytes of {enough} left", scenario.name);
            let (folder, out) = run_with(&disk, &prepared, bytes);
            assert_stopped_and_goes_on(&prepared, &folder, &out, || disk.free(), &what);
        }
    }
}

#[test]
fn a_write_for_which_there_is_no_space_ends_the_run_and_the_next_one_goes_on() {
    fail_writes(&field(), 12);
}

/// Has the disk be full from each of the run's writes on, or from so many of them.
fn fail_writes(field: &CrashRig, count: usize) {
    for scenario in [FIRST, REORG] {
        let prepared = field.prepare(scenario);
        let writes = prepared.trace.writes;
        let count = count.min(writes);
        let points: Vec<usize> = (0..count).map(|at| 1 + at * writes / count).collect();
        side_by_side(&points, |nth| {
            let folder = prepared.fresh();
            let what = format!("{}, full from write {nth} of {writes}", scenario.name);
            let out =
                strace::full_from(&prepared.program(&folder), &prepared.arguments(), *nth, &prepared.trace, &folder);
            assert_stopped_and_goes_on(&prepared, &folder, &out, || (), &what);
        });
    }
}
