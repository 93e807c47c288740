//! A full disk ends a run with a clear message, whichever write fails. The index is valid then, and once there is space the next run
//! resumes it.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::json;

use crate::support::bitcoind::Bitcoind;
use crate::support::crash::{CrashRig, PreparedScenario, Run, Scenario, side_by_side};
use crate::support::files::copy_folder;
use crate::support::lists::from_at_most;
use crate::support::program::ProgramOutput;
use crate::support::random::{self, Rng};
use crate::support::small_disk::{PAGE, SmallDisk};
use crate::support::strace;

const BACKFILL: Run = Run { node: 0, list: 0, arguments: &["backfill"] };
const FIRST: Scenario = Scenario { name: "first backfill", before: &[], killed: BACKFILL };
const REORG: Scenario = Scenario { name: "reorg", before: &[BACKFILL], killed: Run { node: 1, ..BACKFILL } };

fn rig() -> CrashRig {
    let (mut ours, mut rng) = (random::chain(95, 112), Rng::new(95));
    let theirs = random::fork(&mut ours, &mut rng, 9, 1);
    let list = from_at_most(103, random::watchlist(&ours, &mut rng, 60));
    let nodes = vec![Bitcoind::regtest(), Bitcoind::regtest()];
    ours.submit_to(&nodes[0]);
    theirs.submit_to(&nodes[1]);
    CrashRig::new(nodes, &[list], 1)
}

/// Panics unless the run reported a full disk and left a valid index, and the next run resumes it once `free` has made space.
fn assert_stopped_and_resumes(
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
    let answer = prepared.assert_resumes(folder, what);
    let through = answer["through"].as_u64().expect("a height");
    let found = [&answer["from"], &answer["blocks"]];
    assert_eq!(found, [&json!(next), &json!(through + 1 - u64::from(next))], "{what}: where it resumes: {answer}");
}

/// The run on a small disk with `bytes` left, on a copy of the prepared index.
fn run_with(disk: &SmallDisk, prepared: &PreparedScenario<'_>, bytes: u64) -> (PathBuf, ProgramOutput) {
    let folder = disk.root().join("run");
    fs::create_dir(&folder).expect("an empty disk");
    copy_folder(&prepared.start, &folder);
    disk.leave(bytes);
    let out = prepared.program(&folder).run(&prepared.arguments());
    (folder, out)
}

#[test]
fn a_disk_that_fills_up_ends_the_run_and_the_next_one_resumes() {
    let rig = rig();
    let Some(disk) = SmallDisk::new(64) else {
        // Without a mount, strace makes each write fail as on a full disk.
        return fail_writes(&rig, usize::MAX);
    };
    for (scenario, count) in [(FIRST, 12), (REORG, 8)] {
        let prepared = rig.prepare(scenario);
        // The space that a run needs: doubled until it is enough, then bisected.
        let is_enough = |bytes: u64| {
            let (folder, out) = run_with(&disk, &prepared, bytes);
            disk.free();
            fs::remove_dir_all(folder).expect("a file of the test");
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
            assert_stopped_and_resumes(&prepared, &folder, &out, || disk.free(), &what);
        }
    }
}

#[test]
fn a_write_without_space_ends_the_run_and_the_next_one_resumes() {
    fail_writes(&rig(), 12);
}

/// Makes the disk full from a write on, for `count` of the run's writes, or for all of them.
fn fail_writes(rig: &CrashRig, count: usize) {
    for scenario in [FIRST, REORG] {
        let prepared = rig.prepare(scenario);
        let writes = prepared.trace.writes;
        let count = count.min(writes);
        let points: Vec<usize> = (0..count).map(|at| 1 + at * writes / count).collect();
        side_by_side(&points, |nth| {
            let folder = prepared.fresh();
            let what = format!("{}, full from write {nth} of {writes}", scenario.name);
            let out =
                strace::full_from(&prepared.program(&folder), &prepared.arguments(), *nth, &prepared.trace, &folder);
            assert_stopped_and_resumes(&prepared, &folder, &out, || (), &what);
        });
    }
}
