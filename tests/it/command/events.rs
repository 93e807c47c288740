//! `coinhound events` on an index whose log a test writes: all formats, from any event on, and with `--follow`.

use std::path::Path;
use std::time::Duration;

use bitcoin::hashes::Hash;
use bitcoin::{BlockHash, ScriptBuf, Txid};
use coinhound::index::Writer;
use coinhound::index::events::{Event, Fact, Reason, Seen, TxContext};
use coinhound::index::raw::{Family, RawChanges, RawRows};
use serde_json::{Value, json};

use crate::support::files::copy_folder;
use crate::support::lists::List;
use crate::support::program::{Program, RunningProgram};
use crate::support::random;
use crate::support::source::Branch;
use crate::support::swept::SweptIndex;

const PATIENCE: Duration = Duration::from_secs(20);
/// A label that tries to clear the screen and to be a formula.
const NASTY: &str = "=1+1 \u{1b}[2J\u{202e}evil";
/// A version 1 witness program, which has an address.
const ANCHOR: &str = "51024e73";

fn list() -> List {
    vec![(ScriptBuf::from_hex(ANCHOR).unwrap(), 0)]
}

/// An index with an empty log: the events of the sweep are removed.
fn index() -> SweptIndex {
    let index = SweptIndex::fresh(&Branch::new(random::chain(1, 3).blocks()), &list());
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

fn place(number: u8) -> TxContext {
    let (block, txid) = (BlockHash::from_byte_array([number; 32]), Txid::from_byte_array([number; 32]));
    TxContext { height: u32::from(number), block, time: 1_700_000_000, txid, tx_index: 1 }
}

fn touch(number: u8) -> Event {
    let at = place(number);
    let outpoint = format!("{}:0", at.txid);
    let fact = Fact::Touch {
        at,
        touch: "funding".into(),
        outpoint,
        vin: None,
        value_sat: 150_000_000,
        script: ANCHOR.into(),
        labels: vec![NASTY.into()],
    };
    Event { id: format!("touch:{number}"), fact, seen: Seen::Tip }
}

/// An event of every kind, as JSON.
fn one_of_each() -> Vec<Value> {
    let at = place(9);
    let taint = json!([{"rule": "haircut", "taint_sat": 5, "hops": 1}, {"rule": "fifo", "taint_sat": 0, "hops": 1}]);
    let place = json!({"height": at.height, "block": at.block, "time": at.time, "txid": at.txid, "tx_index": 1});
    let at_place = |fields: Value| {
        let mut all = place.as_object().unwrap().clone();
        all.extend(fields.as_object().unwrap().clone());
        Value::Object(all)
    };
    let event = |fact| serde_json::to_value(Event { id: "x".into(), fact, seen: Seen::Sweep }).unwrap();
    let to = json!([{"outpoint": "b:1", "value_sat": 7, "script": "6a", "taint": taint},
        {"outpoint": "b:2", "value_sat": 8, "script": ANCHOR, "taint": taint}]);
    vec![
        serde_json::to_value(touch(1)).unwrap(),
        at_place(json!({"id": "m", "kind": "moved", "vin": 0, "from": "a:0", "value_sat": 6, "taint": taint, "to": to,
            "outputs": 2, "seen": "tip"})),
        at_place(json!({"id": "s", "kind": "service", "outpoint": "b:1", "value_sat": 7, "script": "6a",
            "labels": [NASTY], "taint": taint, "seen": "tip"})),
        event(Fact::Retracted { was: "touch".into(), reason: Reason::Reorg }),
        event(Fact::Reorg { fork: 7, stale_tip: at.block, stale_height: 9 }),
        event(Fact::CaughtUp { height: 9, block: at.block }),
    ]
}

fn append(writer: &Writer, seq: u64, event: &Value) {
    let mut step = writer.step();
    step.raw_put(Family::Events, &seq.to_be_bytes(), event.to_string().as_bytes());
    step.commit(true).unwrap();
}

fn append_touch(writer: &Writer, seq: u64) {
    append(writer, seq, &serde_json::to_value(touch(u8::try_from(seq % 200).unwrap())).unwrap());
}

/// The seq of the next line of `events --format jsonl`.
fn next_seq(running: &mut RunningProgram) -> u64 {
    let line = running.line(PATIENCE).expect("a line");
    serde_json::from_str::<Value>(&line).unwrap()["seq"].as_u64().unwrap()
}

#[test]
fn every_kind_of_event_is_printed_in_every_format() {
    let index = index();
    let program = program(index.writer().path());
    let (code, none) = program.json(&["events"]);
    assert_eq!((code, none), (0, json!([])));
    assert_eq!(program.jsonl(&["events"]), (0, vec![]));

    let events = one_of_each();
    (1..).zip(&events).for_each(|(seq, event)| append(index.writer(), seq, event));
    let (code, lines) = program.jsonl(&["events"]);
    assert_eq!(code, 0);
    assert_eq!(program.json(&["events"]), (0, Value::Array(lines.clone())));
    assert_eq!(lines.len(), events.len());
    let address = "bcrt1pfeesnyr2tx";
    for ((seq, line), event) in (1..).zip(&lines).zip(&events) {
        assert_eq!(line.as_object().unwrap().keys().next().unwrap(), "seq");
        assert_eq!(line["seq"], json!(seq));
        assert_eq!((&line["id"], &line["kind"], &line["seen"]), (&event["id"], &event["kind"], &event["seen"]));
        for (name, value) in
            event.as_object().unwrap().iter().filter(|(name, _)| !["to", "outputs"].contains(&name.as_str()))
        {
            assert_eq!(&line[name], value, "{name} of {line}");
        }
    }
    assert_eq!(lines[0]["address"], json!(address));
    let keys: Vec<_> = lines[0].as_object().unwrap().keys().map(String::as_str).collect();
    let script = keys.iter().position(|key| *key == "script").unwrap();
    assert_eq!(keys[script + 1], "address");
    assert_eq!((&lines[1]["to"][0]["address"], &lines[1]["to"][1]["address"]), (&Value::Null, &json!(address)));
    assert_eq!(lines[2]["address"], Value::Null);

    let table = program.run(&["events"]);
    assert_eq!(table.code, 0);
    assert!(!table.stdout.contains(['\u{1b}', '\u{202e}']), "{}", table.stdout);
    for part in
        ["1.50000000", address, "haircut 0.00000005, fifo 0.00000000", "touch x no longer holds (reorg)", "caught_up"]
    {
        assert!(table.stdout.contains(part), "{part}: {}", table.stdout);
    }
    assert_eq!(table.stdout.lines().count(), 1 + events.len());
    let csv = program.run(&["--format", "csv", "events"]);
    let mut read = csv::Reader::from_reader(csv.stdout.as_bytes());
    let mut field = |name: &str| read.headers().unwrap().iter().position(|header| header == name).unwrap();
    let (seq, labels, stale_height) = (field("seq"), field("labels"), field("stale_height"));
    let rows: Vec<_> = read.records().map(Result::unwrap).collect();
    assert_eq!(rows.len(), events.len());
    assert_eq!(&rows[0][labels], "'=1+1 \\u{1b}[2J\\u{202e}evil", "a spreadsheet takes it for text");
    assert_eq!((&rows[4][seq], &rows[4][stale_height]), ("5", "9"));
    assert!(csv.stderr.is_empty(), "{}", csv.stderr);
}

#[test]
fn since_begins_after_the_event_that_it_names() {
    let index = index();
    let program = program(index.writer().path());
    (1..=5).for_each(|seq| append_touch(index.writer(), seq));
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
    append_touch(writer, 1);
    append_touch(writer, 2);
    let program = program(writer.path());
    let mut running = program.spawn(&["--format", "jsonl", "events", "--follow", "--since", "1"]);
    assert_eq!(next_seq(&mut running), 2);
    for seq in 3..6 {
        append_touch(writer, seq);
        assert_eq!(next_seq(&mut running), seq);
    }
    (6..300).for_each(|seq| append_touch(writer, seq));
    (6..300).for_each(|seq| assert_eq!(next_seq(&mut running), seq));
    assert!(running.is_running());
    running.term();
    let out = running.wait(PATIENCE);
    assert_eq!((out.code, out.stderr.as_str()), (0, ""));

    // JSON is complete even if the command is stopped; `--since` may lie above the log's end.
    let mut running = program.spawn(&["--format", "json", "events", "--follow", "--since", "301"]);
    assert_eq!(running.line(PATIENCE).as_deref(), Some("["));
    assert!(running.line(Duration::ZERO).is_none(), "an event before there was one");
    (300..303).for_each(|seq| append_touch(writer, seq));
    assert!(running.line(PATIENCE).unwrap().contains(r#""seq":302"#));
    running.int();
    let out = running.wait(PATIENCE);
    assert_eq!(out.code, 0);
    assert_eq!(serde_json::from_str::<Vec<Value>>(&out.stdout).unwrap().len(), 1);
}

#[test]
fn follow_ends_when_its_pipe_is_closed_though_no_event_comes() {
    let index = index();
    append_touch(index.writer(), 1);
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
    (1..4).for_each(|seq| append_touch(first.writer(), seq));
    for seq in 1..=length {
        let number = u8::try_from(seq + offset).unwrap();
        append(second.writer(), seq, &serde_json::to_value(touch(number)).unwrap());
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
