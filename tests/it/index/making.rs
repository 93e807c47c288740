//! A new index, and a copy of one, is made in its own folder, which may exist and be empty. A kill at any moment leaves something that the
//! next run finishes; a folder that holds anything else is not touched.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use coinhound::index::folder::{FolderState, folder_state};

use crate::support::crash::side_by_side;
use crate::support::effort::is_long;
use crate::support::files::text;
use crate::support::program::Program;
use crate::support::scene::Scene;
use crate::support::strace::{self, KillPoint};

fn scene() -> Scene {
    Scene::regtest(41, 30, 20).with_from_at_most(30)
}

/// Some of these points, spread evenly; in the long run all.
fn spread(points: &[KillPoint], count: usize) -> Vec<KillPoint> {
    let count = if is_long() { points.len() } else { count.min(points.len()) };
    (0..count).map(|at| points[at * points.len() / count].clone()).collect()
}

/// The files of a folder and their content.
fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let paths = fs::read_dir(folder).unwrap().map(|file| file.unwrap().path());
    paths.filter(|path| path.is_file()).map(|path| (path.clone(), fs::read(&path).unwrap())).collect()
}

/// Whether the folder holds files, and no index yet.
fn is_half_made(folder: &Path) -> bool {
    folder.exists() && !files(folder).is_empty() && folder_state(folder).unwrap() == FolderState::Absent
}

#[test]
fn an_index_is_made_in_a_folder_that_is_empty_or_a_mount_point() {
    let scene = scene();
    let fresh = scene.program("fresh");
    fresh.backfill("a new folder");

    let there = scene.program("there");
    fs::create_dir_all(there.index().join("lost+found")).unwrap();
    there.backfill("a folder that exists");
    assert_eq!(there.digest(), fresh.digest());
    let names: Vec<_> =
        fs::read_dir(there.index().parent().unwrap()).unwrap().map(|file| file.unwrap().file_name()).collect();
    assert!(
        names.iter().all(|name| ["fresh", "there", "list.csv"].contains(&&*name.to_string_lossy())),
        "something lies beside it: {names:?}"
    );

    let mounted = scene.program("mounted");
    fs::create_dir_all(mounted.index()).unwrap();
    let script = format!(
        "mount -t tmpfs none '{0}' && \"$0\" \"$@\" && \"$0\" --index '{0}' --format json digest",
        mounted.index().display()
    );
    let by = |means: &[&str]| {
        let words = [&["unshare"], means, &["sh", "-c", &script]].concat();
        let out = mounted.run_under(&words.iter().map(ToString::to_string).collect::<Vec<_>>(), &["backfill"]);
        (out.code == 0).then_some(out)
    };
    let out = by(&["--mount"]).or_else(|| by(&["--user", "--map-root-user", "--mount"])).expect("a mount of its own");
    assert!(out.stdout.contains(&fresh.digest()), "{out:#?}");
    assert!(files(mounted.index()).is_empty(), "the index lies in the mounted file system");
}

#[test]
fn p4_a_kill_while_an_index_is_made_leaves_what_the_next_run_finishes() {
    let scene = scene();
    let fresh = scene.program("fresh");
    let (out, trace) = strace::trace(&fresh, &["backfill"], fresh.index());
    assert_eq!(out.code, 0, "{out:#?}");
    let (digest, half_made) = (fresh.digest(), AtomicUsize::new(0));
    let points: Vec<_> = spread(&trace.points, 30).into_iter().enumerate().collect();
    side_by_side(&points, |(number, point)| {
        let program = scene.program(&format!("killed-{number}"));
        if number % 2 == 0 {
            fs::create_dir_all(program.index()).unwrap();
        }
        let out = strace::kill_at(&program, &["backfill"], point);
        assert!(out.code == -9 || out.code == 0, "{point}: {out:#?}");
        if is_half_made(program.index()) {
            half_made.fetch_add(1, Ordering::SeqCst);
            let out = program.run(&["status"]);
            assert!(out.code == 1 && out.stderr.contains("there is no index"), "{point}: {out:#?}");
        }
        program.backfill(&format!("killed at {point}"));
        assert_eq!(program.digest(), digest, "{point}");
        assert_eq!(program.json(&["verify"]).0, 0, "{point}");
    });
    assert!(half_made.into_inner() > 5, "no kill came while the index was made");
}

#[test]
fn a_kill_while_an_index_is_copied_leaves_what_the_next_copy_finishes() {
    let scene = scene();
    let program = scene.program("index");
    program.backfill("the original");
    let target = |number: usize| program.index().with_file_name(format!("copy-{number}"));
    let whole = target(999);
    let (out, trace) = strace::trace(&program, &["backup", text(&whole)], &whole);
    assert_eq!(out.code, 0, "{out:#?}");
    let half_made = AtomicUsize::new(0);
    let points: Vec<_> = spread(&trace.points, 20).into_iter().enumerate().collect();
    side_by_side(&points, |(number, point)| {
        let copy = target(*number);
        strace::kill_at(&program, &["backup", text(&copy)], point);
        if is_half_made(&copy) {
            half_made.fetch_add(1, Ordering::SeqCst);
        }
        if folder_state(&copy).unwrap() == FolderState::Absent {
            let out = program.run(&["backup", text(&copy)]);
            assert_eq!(out.code, 0, "{point}: {out:#?}");
        }
        let copied = Program::new(&scene.node, &copy);
        assert_eq!(copied.digest(), program.digest(), "{point}");
        assert_eq!(copied.json(&["verify"]).0, 0, "{point}");
    });
    assert!(half_made.into_inner() > 5, "no kill came while the copy was made");
}

#[test]
fn a_folder_that_holds_anything_else_is_not_touched() {
    let scene = scene();
    let original = scene.program("original");
    original.backfill("the original");
    for held in [&["thesis.doc"][..], &["MAKING", "thesis.doc"], &["MAKING", "000004.log", "photos.zip"]] {
        let program = scene.program(&held.join("-"));
        fs::create_dir_all(program.index()).unwrap();
        held.iter().for_each(|name| fs::write(program.index().join(name), name).unwrap());
        let before = files(program.index());
        let made = program.run(&["backfill"]);
        assert!(made.code != 0 && made.stderr.contains("is not a coinhound index"), "{held:?}: {made:#?}");
        let copied = original.run(&["backup", text(program.index())]);
        assert!(copied.code != 0 && copied.stderr.contains("is not empty"), "{held:?}: {copied:#?}");
        assert_eq!(files(program.index()), before, "{held:?}");
    }
}
