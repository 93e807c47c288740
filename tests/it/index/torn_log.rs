//! A write-ahead log whose end is missing or damaged is refused by every command, each naming the way to go on from what is left; the run
//! that accepts it says what was lost, and ends with the same digest.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use coinhound::index::lost_tail::accept_lost_tail;

use crate::support::files::copy_folder;
use crate::support::program::Program;
use crate::support::scene::Scene;

const WAY_OUT: &str = "`coinhound backfill --accept-lost-tail`";

fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let paths = fs::read_dir(folder).unwrap().map(|file| file.unwrap().path());
    paths.map(|path| (path.clone(), fs::read(&path).unwrap())).collect()
}

/// The log that holds the last writes.
fn log(folder: &Path) -> PathBuf {
    let logs = files(folder)
        .into_iter()
        .filter(|(path, bytes)| path.extension().is_some_and(|end| end == "log") && !bytes.is_empty());
    logs.map(|(path, _)| path).max().expect("a log")
}

/// An index that two runs made, so that the first one's rows are in tables and the second one's in the log.
fn prepared(scene: &Scene) -> Program {
    let program = scene.program("index");
    assert_eq!(program.run(&["backfill", "--to", "60"]).code, 0);
    program.backfill("the rest");
    program
}

fn assert_refused(program: &Program, what: &str) {
    let tables = |folder: &Path| {
        let mut files = files(folder);
        files.retain(|path, _| path.extension().is_some_and(|end| end == "sst" || end == "log"));
        files
    };
    let before = tables(program.index());
    for arguments in
        [&["backfill"][..], &["follow"], &["status"], &["history", "all"], &["digest"], &["events"], &["retrace"]]
    {
        let out = program.run(arguments);
        assert!(out.code == 5 && out.stdout.is_empty(), "{what}: {arguments:?}: {out:#?}");
        let (said, other) = (out.stderr.find(WAY_OUT), out.stderr.find("estore a backup"));
        assert!(said.is_some() && said < other.or(Some(usize::MAX)), "{what}: {arguments:?}: {out:#?}");
    }
    assert_eq!(tables(program.index()), before, "{what}: a refused run changed the log or a table");
}

#[test]
fn a_log_that_lost_its_end_is_gone_on_with_when_that_is_accepted() {
    let scene = Scene::regtest(43, 110, 40).with_from_at_most(110);
    let whole = prepared(&scene);
    let digest = whole.digest();
    let length = fs::metadata(log(whole.index())).unwrap().len();
    type LogHarm = Box<dyn Fn(&Path)>;
    let cut = |by: u64| -> LogHarm {
        Box::new(move |path| {
            let file = fs::File::options().write(true).open(path).unwrap();
            file.set_len(length.checked_sub(by).unwrap()).unwrap();
        })
    };
    let flip = |at: u64| -> LogHarm {
        Box::new(move |path| {
            let mut bytes = fs::read(path).unwrap();
            bytes[usize::try_from(at).unwrap()] ^= 0x10;
            fs::write(path, bytes).unwrap();
        })
    };
    let gone: LogHarm = Box::new(|path| fs::remove_file(path).unwrap());
    let harms: [(&str, LogHarm); 6] = [
        ("a byte is missing", cut(1)),
        ("a third is missing", cut(length / 3)),
        ("all is missing", cut(length)),
        ("a byte in the middle is damaged", flip(length / 2)),
        ("a byte at the end is damaged", flip(length - 2)),
        ("the log is gone", gone),
    ];
    for (number, (what, harm)) in harms.into_iter().enumerate() {
        let program = scene.program(&format!("index-{number}"));
        copy_folder(whole.index(), program.index());
        harm(&log(program.index()));
        assert_refused(&program, what);
        let out = program.run(&["backfill", "--accept-lost-tail"]);
        assert_eq!(out.code, 0, "{what}: {out:#?}");
        assert!(out.stderr.contains("the end of the index's log was lost"), "{what}: {out:#?}");
        assert_eq!(program.digest(), digest, "{what}");
        assert_eq!(program.json(&["verify"]).0, 0, "{what}");
        assert_eq!(program.run(&["status"]).code, 0, "{what}");
        // Accepting it again changes nothing.
        assert_eq!(accept_lost_tail(program.index()).unwrap(), None, "{what}");
        let out = program.run(&["backfill", "--accept-lost-tail"]);
        assert!(out.code == 0 && out.stderr.contains("nothing was lost"), "{what}: {out:#?}");
    }
}
