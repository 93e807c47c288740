//! Many short runs leave few tables, and a run opens as many files as the system lets it.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use coinhound::index::raw::{Family, RawChanges};
use coinhound::index::sweeps::{MAIN_SWEEP, Sweep};
use coinhound::index::{ReadRows, Reader, Writer};

use crate::support::effort::is_long;
use crate::support::scene::Scene;
use crate::support::swept::identity;
use crate::support::wait;

fn tables(folder: &Path) -> BTreeSet<String> {
    let names = fs::read_dir(folder).unwrap().map(|file| file.unwrap().file_name().to_string_lossy().into_owned());
    names.filter(|name| name.ends_with(".sst")).collect()
}

#[test]
fn a_job_that_runs_for_every_block_leaves_few_tables() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("index");
    let made = Writer::create(&path, &identity(), |writer| {
        let mut step = writer.step();
        step.put(&MAIN_SWEEP, &Sweep::Main { next: 0 });
        step.commit(true)
    });
    drop(made.unwrap());
    let runs = if is_long() { 1_000 } else { 150 };
    for run in 0..runs {
        let writer = Writer::open(&path).unwrap();
        let mut step = writer.step();
        // Each run writes to every family, one row after the others and one between them.
        for family in Family::ALL.into_iter().filter(|family| *family != Family::Sweeps) {
            for key in [u64::from(run), u64::from(run).wrapping_mul(0x9e37_79b9_7f4a_7c15)] {
                step.raw_put(family, format!("run {key:020}").as_bytes(), &[7; 100]);
            }
        }
        step.put(&MAIN_SWEEP, &Sweep::Main { next: run + 1 });
        step.commit(true).unwrap();
        drop(writer);
        let left = tables(&path).len();
        assert!(left < 30, "{left} tables after {} runs", run + 1);
    }
    let reader = Reader::open(&path).unwrap();
    assert_eq!(reader.sweeps().unwrap().main(), runs);
    drop(reader);
    // A run that writes nothing rewrites nothing, but for the rows that the last one left in the log.
    drop(Writer::open(&path).unwrap());
    let before = tables(&path);
    drop(Writer::open(&path).unwrap());
    assert_eq!(tables(&path), before);
}

#[test]
fn a_run_may_open_as_many_files_as_the_system_allows_at_most() {
    let scene = Scene::regtest(42, 20, 10).with_from_at_most(20);
    let program = scene.program("index");
    let low = |words: &str| ["sh".to_owned(), "-c".to_owned(), format!("ulimit -S -n 64; {words} exec \"$0\" \"$@\"")];
    let out = program.run_under(&low(""), &["backfill"]);
    assert_eq!(out.code, 0, "{out:#?}");
    let running = program.spawn_under(&low(""), &["events", "--follow"]);
    let limits = format!("/proc/{}/limits", running.pid());
    wait::until("the limit is raised", || {
        let text = fs::read_to_string(&limits).unwrap_or_default();
        let line = text.lines().find(|line| line.starts_with("Max open files")).unwrap_or_default().to_owned();
        let numbers: Vec<_> = line.split_whitespace().skip(3).take(2).collect();
        numbers.len() == 2 && numbers[0] == numbers[1] && numbers[0] != "64"
    });
    running.term();
    // The signal may come before the program handles it: then it ends by it.
    assert!(matches!(running.wait(wait::PATIENCE).code, 0 | -15));
    // And where that is few, it does with them.
    let few = low("ulimit -H -n 256;");
    for arguments in [&["backfill"][..], &["status"]] {
        let out = program.run_under(&few, arguments);
        assert_eq!(out.code, 0, "{arguments:?}: {out:#?}");
    }
}
