//! `coinhound events` on an index whose log a test writes: all formats, from any event on, and with `--follow`.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use bitcoin::ScriptBuf;
use coinhound::index::events::{Event, Fact, Happened, Seen};
use coinhound::index::keys::TouchKey;
use coinhound::index::raw::{Family, RawChanges, RawRows};
use coinhound::index::{Touch, Writer};
use coinhound::sync::plan::wanted::{Entries, WantedTrace};
use coinhound::watchlist::Role;
use serde_json::{Value, json};

use crate::support::files::copy_folder;
use crate::support::lists::entry;
use crate::support::program::{Program, RunningProgram};
use crate::support::random::{self, Rng};
use crate::support::source::{Branch, MemorySource};
use crate::support::swept::{SLOWEST, SweptIndex};
use crate::support::wait::PATIENCE;

/// A label that tries to clear the screen and to be a formula.
const NASTY: &str = "=1+1 \u{1b}[2J\u{202e}evil";

/// Every third of these scripts belongs to a service, the others are flagged.
fn entries(scripts: &[(ScriptBuf, u32)]) -> Entries {
    let listed = scripts.iter().enumerate().map(|(number, (script, _))| {
        let role = if number % 3 == 0 { Role::Service } else { Role::Flagged };
        entry(script, Some(0), &[(role, NASTY.to_owned())])
    });
    listed.collect()
}

/// An index whose log has events of every kind: its last blocks were replaced.
fn index_with_all_kinds() -> SweptIndex {
    let (mut chain, mut rng) = (random::chain(3, 125), Rng::new(3));
    let scripts = random::watchlist(&chain, &mut rng, 24);
    let trace = WantedTrace { rules: None, min_taint_sat: Some(1), max_hops: None };
    let branch = Branch::new(chain.blocks());
    let index = SweptIndex::fresh_tracking(&branch, entries(&scripts), &trace);
    let other = Branch::new(random::fork(&mut chain, &mut rng, 8, 1).blocks());
    let source = MemorySource::on(&other);
    index.sweep(&source, SLOWEST).expect("an honest source");
    index
}

/// An index with an empty log: the events of the sweep are removed.
fn index() -> SweptIndex {
    let (chain, mut rng) = (random::chain(1, 112), Rng::new(1));
    let scripts = random::watchlist(&chain, &mut rng, 40);
    let index = SweptIndex::fresh_tracking(
        &Branch::new(chain.blocks()),
        entries(&scripts),
        &WantedTrace { rules: Some(Vec::new()), min_taint_sat: None, max_hops: None },
    );
    let mut step = index.writer().step();
    for row in index.writer().raw_prefix(Family::Events, &[]) {
        step.raw_delete(Family::Events, &row.unwrap().0);
    }
    step.commit(true).unwrap();
    index
}

fn program(index: &Path) -> Program {
    Program::bare().with(&["--index", index.to_str().unwrap()])
}

/// Appends an event about the `number`th touch of the index; touches are repeated in a circle of 20.
fn append_touch(writer: &Writer, seq: u64, number: u64) {
    let touches = writer.range::<Touch>(..).map(|row| row.unwrap().0).take(20).collect::<Vec<TouchKey>>();
    assert_eq!(touches.len(), 20);
    let key = touches[usize::try_from(number % 20).unwrap()];
    let fact = Fact::Touch(key.kind, key.io_index);
    let mut step = writer.step();
    let what = Happened::Found { at: key.at, fact, revised: number >= 20 };
    step.put(&seq, &Event { what, seen: Seen::Tip });
    step.commit(true).unwrap();
}

/// The seq of the next line of `events --format jsonl`.
fn next_seq(running: &mut RunningProgram) -> u64 {
    let line = running.line(PATIENCE).expect("a line");
    serde_json::from_str::<Value>(&line).unwrap()["seq"].as_u64().unwrap()
}

#[test]
fn every_kind_of_event_is_printed_in_every_format() {
    let empty = index();
    let bare = program(empty.writer().path());
    assert_eq!(bare.json(&["events"]), (0, json!([])));
    assert_eq!(bare.jsonl(&["events"]), (0, vec![]));

    let index = index_with_all_kinds();
    let program = program(index.writer().path());
    let (code, lines) = program.jsonl(&["events"]);
    assert_eq!(code, 0);
    assert_eq!(program.json(&["events"]), (0, Value::Array(lines.clone())));
    let kinds: BTreeSet<_> = lines.iter().map(|line| line["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, BTreeSet::from(["caught_up", "moved", "reorg", "retracted", "service", "touch"]));
    let retracted: BTreeSet<_> = lines.iter().filter_map(|line| line["was"].as_str()).collect();
    assert_eq!(retracted, BTreeSet::from(["moved", "service", "touch"]));
    for (seq, line) in (1..).zip(&lines) {
        let keys: Vec<_> = line.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!((keys[0], &line["seq"]), ("seq", &json!(seq)));
        assert!(line["height"].is_u64() && line["block"].is_string(), "{line}");
        if let Some(script) = keys.iter().position(|key| *key == "script") {
            assert_eq!(keys[script + 1..script + 3], ["address", "labels"], "{line}");
            assert_eq!(line["labels"], json!([NASTY]), "{line}");
        }
        if line["kind"] == "moved" {
            assert_eq!((&line["labels"], &line["labels_complete"]), (&json!([NASTY]), &json!(true)), "{line}");
        }
    }

    let table = program.run(&["events"]);
    assert_eq!(table.code, 0);
    assert!(!table.stdout.contains(['\u{1b}', '\u{202e}']), "{}", table.stdout);
    for part in ["haircut 0.", "fifo ", "no longer holds (reorg)", "caught_up", "left the chain"] {
        assert!(table.stdout.contains(part), "{part}: {}", table.stdout);
    }
    assert_eq!(table.stdout.lines().count(), 1 + lines.len());
    let csv = program.run(&["--format", "csv", "events"]);
    let mut read = csv::Reader::from_reader(csv.stdout.as_bytes());
    let headers = read.headers().unwrap().clone();
    let fields: BTreeSet<&str> =
        lines.iter().flat_map(|line| line.as_object().unwrap().keys()).map(String::as_str).collect();
    assert_eq!(headers.iter().collect::<BTreeSet<_>>(), fields, "CSV has the fields of all kinds");
    let field = |name: &str| headers.iter().position(|header| header == name).unwrap();
    let rows: Vec<_> = read.records().map(Result::unwrap).collect();
    assert_eq!(rows.len(), lines.len());
    let first = lines.iter().position(|line| line["kind"] == "touch").unwrap();
    assert_eq!(&rows[first][field("labels")], "'=1+1 \\u{1b}[2J\\u{202e}evil", "a spreadsheet takes it for text");
    let reorg = lines.iter().position(|line| line["kind"] == "reorg").unwrap();
    assert_eq!((&rows[reorg][field("seq")], &rows[reorg][field("stale_height")]), (&*(reorg + 1).to_string(), "125"));
    assert!(csv.stderr.is_empty(), "{}", csv.stderr);
}

#[test]
fn removed_events_are_gone_and_reading_before_the_first_kept_one_says_so() {
    let index = index_with_all_kinds();
    let path = index.writer().path().to_owned();
    let all = program(&path).jsonl(&["events"]).1;
    let last = all.len() as u64;
    let kept = all.iter().position(|event| event["kind"] == "retracted").unwrap() as u64 + 2;
    // A writer has it open: one process writes at a time.
    let refused = program(&path).run(&["events", "--prune-before", &kept.to_string()]);
    assert!(refused.code != 0 && refused.stderr.contains("in use by process"), "{refused:#?}");
    let folder = tempfile::tempdir().unwrap();
    let copy = folder.path().join("index");
    copy_folder(&path, &copy);
    let program = program(&copy);
    for _ in 0..2 {
        let (code, answer) = program.json(&["events", "--prune-before", &kept.to_string()]);
        assert_eq!((code, &answer["first"]), (0, &json!(kept)), "{answer}");
        let (code, lines) = program.jsonl(&["events"]);
        assert_eq!((code, &lines[..]), (0, &all[usize::try_from(kept).unwrap() - 1..]), "what is kept reads as before");
    }
    let said = |since: u64| {
        let out = program.run(&["events", "--since", &since.to_string()]);
        (out.code, out.stderr.contains("removed by `events --prune-before`"))
    };
    assert_eq!((said(kept - 1), said(kept - 2), said(0)), ((0, false), (3, true), (3, true)));
    // What is above the log's end can't be removed, and the numbers go on.
    let (code, answer) = program.json(&["events", "--prune-before", "18446744073709551615"]);
    assert_eq!(
        (code, &answer["first"], &answer["removed"]),
        (0, &json!(last + 1), &json!(last + 1 - kept)),
        "{answer}"
    );
    let writer = Writer::open(&copy).unwrap();
    assert_eq!(writer.step().next_seq().unwrap(), last + 1);
    assert_eq!(writer.raw_prefix(Family::Former, &[]).count(), 0, "what was kept for these events alone is gone too");
}

#[test]
fn since_begins_after_the_event_that_it_names() {
    let index = index();
    let program = program(index.writer().path());
    (1..=5).for_each(|seq| append_touch(index.writer(), seq, seq));
    for (since, expected) in [("0", &[1, 2, 3, 4, 5][..]), ("3", &[4, 5]), ("5", &[]), ("18446744073709551615", &[])] {
        let (code, lines) = program.jsonl(&["events", "--since", since]);
        let seqs: Vec<_> = lines.iter().map(|line| line["seq"].as_u64().unwrap()).collect();
        assert_eq!((code, seqs.as_slice()), (0, expected), "{since}");
    }
    assert_eq!(program.run(&["events", "--since", "-1"]).code, 2);
}

#[test]
fn a_missing_index_is_the_same_error_as_for_other_questions() {
    for arguments in [&["events"][..], &["events", "--follow"]] {
        let program = Program::bare();
        let (code, answer) = program.json(arguments);
        assert_eq!(code, 1);
        assert_eq!(answer["error"], program.json(&["status"]).1["error"]);
    }
}

#[test]
fn follow_prints_events_once_and_in_order_and_ends_by_a_signal() {
    let index = index();
    let writer = index.writer();
    append_touch(writer, 1, 1);
    append_touch(writer, 2, 2);
    let program = program(writer.path());
    let mut running = program.spawn(&["--format", "jsonl", "events", "--follow", "--since", "1"]);
    assert_eq!(next_seq(&mut running), 2);
    for seq in 3..6 {
        append_touch(writer, seq, seq);
        assert_eq!(next_seq(&mut running), seq);
    }
    (6..300).for_each(|seq| append_touch(writer, seq, seq));
    (6..300).for_each(|seq| assert_eq!(next_seq(&mut running), seq));
    assert!(running.is_running());
    running.term();
    let out = running.wait(PATIENCE);
    assert_eq!((out.code, out.stderr.as_str()), (0, ""));

    // JSON is complete even if the command is stopped; `--since` may lie above the log's end.
    let mut running = program.spawn(&["--format", "json", "events", "--follow", "--since", "301"]);
    assert_eq!(running.line(PATIENCE).as_deref(), Some("["));
    assert!(running.line(Duration::ZERO).is_none(), "an event before there was one");
    (300..303).for_each(|seq| append_touch(writer, seq, seq));
    assert!(running.line(PATIENCE).unwrap().contains(r#""seq":302"#));
    running.int();
    let out = running.wait(PATIENCE);
    assert_eq!(out.code, 0);
    assert_eq!(serde_json::from_str::<Vec<Value>>(&out.stdout).unwrap().len(), 1);
}

#[test]
fn follow_ends_when_its_pipe_is_closed_though_no_event_comes() {
    let index = index();
    append_touch(index.writer(), 1, 1);
    let line = format!("{{ '{}' \"$@\"; echo code $? >&2; }} | head -n 1\n", env!("CARGO_BIN_EXE_coinhound"));
    let program = program(index.writer().path()).with_script(&line);
    let out = program.spawn(&["--format", "jsonl", "events", "--follow"]).wait(PATIENCE);
    assert_eq!((out.stdout.lines().count(), out.stderr.as_str()), (1, "code 0\n"));
}

#[test]
fn follow_fails_when_another_index_replaces_the_one_it_reads() {
    // The new log is shorter, as long, or longer: events would be missed or repeated.
    for (length, offset) in [(1, 0), (3, 7), (5, 7)] {
        assert_replacement_is_noticed(length, offset);
    }
}

fn assert_replacement_is_noticed(length: u64, offset: u64) {
    let (first, second) = (index(), index());
    (1..4).for_each(|seq| append_touch(first.writer(), seq, seq));
    for seq in 1..=length {
        append_touch(second.writer(), seq, seq + offset);
    }
    let dir = tempfile::tempdir().unwrap();
    let (path, next) = (dir.path().join("index"), dir.path().join("next"));
    // No writer is running, so a copy of the files is a valid index.
    copy_folder(first.writer().path(), &path);
    copy_folder(second.writer().path(), &next);
    let mut running = program(&path).spawn(&["--format", "jsonl", "events", "--follow"]);
    (1..4).for_each(|seq| assert_eq!(next_seq(&mut running), seq));
    std::fs::rename(&path, dir.path().join("old")).unwrap();
    std::fs::rename(&next, &path).unwrap();
    let out = running.wait(PATIENCE);
    assert_eq!(out.code, 1);
    // It may have looked at the moment between the two renames.
    assert!(out.stderr.contains("was replaced") || out.stderr.contains("there is no index"), "{}", out.stderr);
}
