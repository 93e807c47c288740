//! An index of another chain, of another format, damaged or in use is refused with advice, and never replaced by a new one.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use coinhound::index::Writer;
use coinhound::index::raw::{Family, RawChanges};

use crate::support::bitcoind::Bitcoind;
use crate::support::files::text;
use crate::support::program::{Program, ProgramOutput};
use crate::support::small_index::{PAYER, SmallIndex};

/// The files of a folder and their content.
fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let entries = fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("the folder reads").path());
    entries.map(|path| (path.clone(), fs::read(path).expect("the folder reads"))).collect()
}

/// Runs each command that opens an index.
fn all_commands(program: &Program) -> Vec<(Vec<&'static str>, ProgramOutput)> {
    let commands: [&[&str]; 7] = [
        &["backfill"],
        &["status"],
        &["watch", "list"],
        &["balance", "all"],
        &["history", "all"],
        &["coins", "all"],
        &["digest"],
    ];
    // At the same time, since some of them wait for a writer that may be running.
    std::thread::scope(|scope| {
        let running = commands.map(|arguments| (arguments, scope.spawn(move || program.run(arguments))));
        running.map(|(arguments, run)| (arguments.to_vec(), run.join().expect("the run ended"))).into_iter().collect()
    })
}

fn assert_refused(program: &Program, words: &[&str]) {
    let before = files(program.index());
    for (arguments, out) in all_commands(program) {
        assert_eq!(out.code, 5, "{arguments:?}: {out:#?}");
        assert_eq!(out.stdout, "", "{arguments:?}");
        for word in words {
            assert!(out.stderr.contains(word), "{arguments:?} doesn't say '{word}': {}", out.stderr);
        }
    }
    let after = files(program.index());
    // RocksDB writes some files at each open; the rows are in the tables.
    for (path, bytes) in before.iter().filter(|(path, _)| path.extension().is_some_and(|name| name == "sst")) {
        assert_eq!(after.get(path), Some(bytes), "{} was changed or removed", path.display());
    }
}

#[test]
fn a_folder_that_holds_something_else_is_left_untouched() {
    let small = SmallIndex::without_index(10);
    fs::create_dir_all(small.program.index()).expect("a file of the test");
    fs::write(small.program.index().join("thesis.doc"), "two years of work").expect("a file of the test");
    let before = files(small.program.index());
    assert_refused(&small.program, &["is not a coinhound index", "--index DIR"]);
    assert_eq!(files(small.program.index()), before);
    let folder = small.program.index().parent().expect("a folder");
    let names: Vec<_> = fs::read_dir(folder)
        .expect("a file of the test")
        .map(|entry| entry.expect("a file of the test").file_name())
        .collect();
    assert_eq!(names, ["index"], "files were made beside it");
    let out = small.program.run(&["check"]);
    assert!(out.code == 1 && out.stdout.contains("is not a coinhound index"), "{out:#?}");
}

#[test]
fn a_file_in_place_of_the_index_is_refused() {
    let small = SmallIndex::without_index(10);
    fs::write(small.program.index(), "a file").expect("a file of the test");
    for (arguments, out) in all_commands(&small.program) {
        assert!(out.code == 1 && out.stderr.contains("index"), "{arguments:?}: {out:#?}");
    }
    assert_eq!(fs::read(small.program.index()).expect("a file of the test"), b"a file");
}

#[test]
fn an_index_of_another_chain_is_refused_by_every_command() {
    let small = SmallIndex::at(10);
    let node = Bitcoind::regtest();
    let program = Program::new(&node, small.program.index());
    fs::write(program.home().join("list.txt"), "script:51\n").expect("a file of the test");
    assert_refused(&program.with(&["--watch", "list.txt"]), &["is of main, not of regtest", "--chain"]);
}

#[test]
fn another_format_is_refused_by_every_command() {
    for (bytes, shown) in [(&1u32.to_be_bytes()[..], "has format 1"), (b"new!", "has format"), (b"", "format unknown")]
    {
        let small = SmallIndex::at(10);
        let writer = Writer::open(small.program.index()).expect("the index opens");
        let mut step = writer.step();
        step.raw_put(Family::Meta, b"format", bytes);
        step.commit(true).expect("there is space");
        drop(writer);
        assert_refused(&small.program, &[shown, "reads format 2", "use the version that wrote it"]);
    }
}

#[test]
fn lost_or_cut_files_are_reported_as_damage() {
    type FileHarm = fn(&Path);
    fn each(folder: &Path, part: &str, act: impl Fn(&Path)) {
        let paths: Vec<_> = files(folder).into_keys().filter(|path| path.to_string_lossy().contains(part)).collect();
        assert!(!paths.is_empty(), "no file is called {part}");
        paths.iter().for_each(|path| act(path));
    }
    let harms: [(&str, FileHarm); 6] = [
        ("CURRENT is gone", |folder| {
            each(folder, "CURRENT", |path| fs::remove_file(path).expect("a file of the test"))
        }),
        ("CURRENT is empty", |folder| each(folder, "CURRENT", |path| fs::write(path, "").expect("a file of the test"))),
        ("the MANIFEST is gone", |folder| {
            each(folder, "MANIFEST", |path| fs::remove_file(path).expect("a file of the test"))
        }),
        ("the MANIFEST is cut", |folder| each(folder, "MANIFEST", |path| cut(path, 40))),
        ("a table is gone", |folder| each(folder, ".sst", |path| fs::remove_file(path).expect("a file of the test"))),
        ("a table is cut", |folder| each(folder, ".sst", |path| cut(path, 100))),
    ];
    let small = SmallIndex::at(30);
    // A second run moves the rows of the write-ahead log into tables.
    small.backfill();
    let whole = files(small.program.index());
    for (what, harm) in harms {
        fs::remove_dir_all(small.program.index()).expect("a file of the test");
        fs::create_dir(small.program.index()).expect("a file of the test");
        whole.iter().for_each(|(path, bytes)| fs::write(path, bytes).expect("a file of the test"));
        harm(small.program.index());
        for (arguments, out) in all_commands(&small.program) {
            assert_eq!((out.code, out.stdout.as_str()), (5, ""), "{what}: {arguments:?}: {out:#?}");
            assert!(out.stderr.contains("is damaged"), "{what}: {arguments:?}: {}", out.stderr);
            assert!(out.stderr.contains("estore a backup"), "{what}: {arguments:?}: {}", out.stderr);
        }
    }
}

fn cut(path: &Path, length: u64) {
    fs::File::options().write(true).open(path).and_then(|file| file.set_len(length)).expect("a file of the test");
}

#[test]
fn a_changed_byte_is_noticed_or_changes_no_answer() {
    let small = SmallIndex::at(200);
    small.backfill();
    let questions = [&["history", PAYER][..], &["coins", PAYER], &["digest"]];
    // As of a block, since an answer about now has the age of the index's last block in it.
    let ask = |question: &[&str]| small.program.run(&[&["--format", "json"], question, &["--at", "200"]].concat());
    let right: Vec<_> = questions.iter().map(|question| ask(question)).collect();
    let mut noticed = 0;
    for (path, bytes) in files(small.program.index()) {
        let name = path.file_name().expect("a file").to_string_lossy().into_owned();
        if !(name.ends_with(".sst") || name.starts_with("MANIFEST")) {
            continue;
        }
        for part in [1, 5] {
            let mut changed = bytes.clone();
            let at = bytes.len() * part / 10;
            changed[at] ^= 0x10;
            fs::write(&path, &changed).expect("a file of the test");
            for (question, right) in questions.iter().zip(&right) {
                let out = ask(question);
                if out.code == 5 {
                    noticed += 1;
                    assert!(out.stderr.contains("{\"error\""), "{name} byte {at}: {out:#?}");
                    // Rows printed before the damage was found are no valid JSON, so they can't be taken for an answer.
                    let cut_off = serde_json::from_str::<serde_json::Value>(&out.stdout).is_err();
                    assert!(cut_off, "{name} byte {at}: {out:#?}");
                } else {
                    assert_eq!((out.code, &out.stdout), (right.code, &right.stdout), "{name} byte {at}: {question:?}");
                }
            }
        }
        fs::write(&path, &bytes).expect("a file of the test");
    }
    assert!(noticed > 10, "only {noticed} of the changes were noticed");
}

#[test]
fn an_index_in_use_names_the_process_and_still_answers_questions() {
    let small = SmallIndex::at(30);
    let writer = Writer::open(small.program.index()).expect("the index opens");
    let out = small.program.run(&["backfill"]);
    assert_eq!(out.code, 1, "{out:#?}");
    let holder = format!("in use by process {}", std::process::id());
    assert!(out.stderr.contains(&holder), "{}", out.stderr);
    for (arguments, out) in all_commands(&small.program).into_iter().skip(1) {
        assert_eq!(out.code, 0, "{arguments:?}: {out:#?}");
    }
    drop(writer);
    small.backfill();
}

#[test]
fn a_backup_is_complete_and_never_overwrites_anything() {
    let small = SmallIndex::at(200);
    let folder = small.program.index().parent().expect("a folder");
    let copy = folder.join("deep/copy");
    let path = text(&copy);
    assert_eq!(small.program.run(&["backup", path]).code, 0);
    let moved = Program::new(&small.node, &copy);
    for question in [&["history", "all"][..], &["digest"]] {
        let (ours, theirs) = (small.program.json(question), moved.json(question));
        assert_eq!((ours.0, &ours.1["rows"], &ours.1["digest"]), (theirs.0, &theirs.1["rows"], &theirs.1["digest"]));
    }
    let before = files(&copy);
    for target in [path, text(small.program.index()), text(small.program.home())] {
        let out = small.program.run(&["backup", target]);
        assert!(out.code == 1 && out.stderr.contains("is not empty"), "{target}: {out:#?}");
    }
    assert_eq!(files(&copy), before);
}
