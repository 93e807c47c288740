//! `follow` at a real node's tip: new blocks, reorgs, a node that restarts, lists that change, signals.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use bitcoin::ScriptBuf;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::bitcoind::Bitcoind;
use crate::support::files::text;
use crate::support::program::{Program, RunningProgram};
use crate::support::wait::{self, PATIENCE};

/// A regtest node whose miner's script is listed, and the program that follows it.
struct Followed {
    node: Bitcoind,
    program: Program,
    list: PathBuf,
    _dir: TempDir,
}

fn script(n: u8) -> ScriptBuf {
    ScriptBuf::from_bytes([&[0x00, 0x14][..], &[n; 20]].concat())
}

impl Followed {
    fn new() -> Self {
        let (node, dir) = (Bitcoind::regtest(), tempfile::tempdir().expect("a folder for the index"));
        mine(&node, 5, 1);
        let program = Program::new(&node, dir.path().join("index"));
        let list = program.watchlist(&[(script(1), "miner")]);
        let program = program.with(&["--watch", text(&list)]);
        Self { node, program, list, _dir: dir }
    }

    fn start(&self) -> RunningProgram {
        self.program.spawn(&["--format", "jsonl", "follow"])
    }

    /// Panics unless the index is the one that a new run makes.
    fn assert_fresh(&self) {
        let fresh = self.program.elsewhere();
        fresh.backfill("a new index");
        assert_eq!(self.program.digest(), fresh.digest());
        assert_eq!(self.program.json(&["verify", "--node"]).0, 0);
    }
}

/// Mines blocks to `script(n)`, and returns their hashes.
fn mine(node: &Bitcoind, blocks: u32, n: u8) -> Vec<String> {
    let descriptor = format!("raw({})", script(n).to_hex_string());
    let mined = node.rpc("generatetodescriptor", json!([blocks, descriptor]));
    mined.as_array().expect("hashes").iter().map(|hash| hash.as_str().expect("a hash").to_owned()).collect()
}

/// Waits for an event that fits, and returns it.
fn await_event(running: &mut RunningProgram, what: &str, fits: impl Fn(&Value) -> bool) -> Value {
    let end = Instant::now() + PATIENCE;
    while Instant::now() < end {
        let Some(line) = running.line(Duration::from_secs(1)) else {
            assert!(running.is_running(), "{what}: follow ended: {}", running.log());
            continue;
        };
        let event: Value = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"));
        if fits(&event) {
            return event;
        }
    }
    panic!("{what}: no such event");
}

fn is_touch(event: &Value, block: &str) -> bool {
    event["kind"] == "touch" && event["block"] == *block
}

fn end(running: RunningProgram) {
    running.term();
    let out = running.wait(PATIENCE);
    assert_eq!(out.code, 0, "{out:#?}");
}

#[test]
fn blocks_reorgs_restarts_and_outages_are_followed_and_logged() {
    let mut followed = Followed::new();
    let mut running = followed.start();
    let caught_up = await_event(&mut running, "catching up", |event| event["kind"] == "caught_up");
    assert_eq!((&caught_up["height"], &caught_up["seen"]), (&5.into(), &"sweep".into()));
    let mined = mine(&followed.node, 2, 1);
    let touch = await_event(&mut running, "a block", |event| is_touch(event, &mined[1]));
    assert_eq!((&touch["seen"], &touch["height"], &touch["touch"]), (&"tip".into(), &7.into(), &"funding".into()));
    // Three blocks replace two.
    followed.node.rpc("invalidateblock", json!([mined[0]]));
    let others = mine(&followed.node, 3, 2);
    let reorg = await_event(&mut running, "a reorg", |event| event["kind"] == "reorg");
    assert_eq!(reorg["fork"], 5);
    let gone = await_event(&mut running, "a retraction", |event| event["kind"] == "retracted");
    assert_eq!((&gone["was"], &gone["reason"]), (&"touch".into(), &"reorg".into()));
    let mined = mine(&followed.node, 1, 1);
    await_event(&mut running, "after a reorg", |event| is_touch(event, &mined[0]));
    assert_eq!(others.len(), 3);
    // The node restarts with a new cookie.
    followed.node.restart();
    let mined = mine(&followed.node, 1, 1);
    await_event(&mut running, "after a restart", |event| is_touch(event, &mined[0]));
    end(running);
    followed.assert_fresh();
    // The log has every event once, numbered without a gap.
    let (code, events) = followed.program.jsonl(&["events"]);
    assert_eq!(code, 0);
    let seqs: Vec<u64> = events.iter().map(|event| event["seq"].as_u64().expect("a number")).collect();
    assert_eq!(seqs, (1..=seqs.len() as u64).collect::<Vec<_>>());
    // Blocks that came while no program followed.
    let mined = mine(&followed.node, 3, 1);
    let mut running = followed.start();
    let touch = await_event(&mut running, "while away", |event| is_touch(event, &mined[0]));
    assert_eq!(touch["seen"], "sweep");
    end(running);
}

#[test]
fn lists_are_read_again_when_they_change_and_keep_their_last_good_state() {
    let followed = Followed::new();
    mine(&followed.node, 3, 2);
    let mut running = followed.start();
    await_event(&mut running, "catching up", |event| event["kind"] == "caught_up");
    let first = fs::read_to_string(&followed.list).expect("a file of the test");
    let write = |text: &str| fs::write(&followed.list, text).expect("a file of the test");
    let line = format!("script:{} second\n", script(2).to_hex_string());
    // Half of a line makes the list unusable.
    write(&format!("{first}{}", &line[..20]));
    let mined = mine(&followed.node, 1, 1);
    await_event(&mut running, "with half a list", |event| is_touch(event, &mined[0]));
    let (code, answer) = followed.program.json(&["balance", "all"]);
    assert_eq!((code, &answer["coverage"]["lists_changed"]), (3, &true.into()), "{answer}");
    write(&format!("{first}{line}"));
    let hex = script(2).to_hex_string();
    let touch = await_event(&mut running, "a new entry's past", |event| event["script"] == *hex);
    assert_eq!((&touch["height"], &touch["seen"]), (&6.into(), &"sweep".into()));
    let mined = mine(&followed.node, 1, 2);
    let touch = await_event(&mut running, "a new entry's new block", |event| is_touch(event, &mined[0]));
    assert_eq!(touch["seen"], "tip");
    // An entry that is removed from a list stays in the index: a running program never forgets one.
    write(&line);
    std::thread::sleep(Duration::from_secs(3));
    let mined = mine(&followed.node, 1, 1);
    await_event(&mut running, "an entry that no list names", |event| is_touch(event, &mined[0]));
    end(running);
    write(&format!("{first}{line}"));
    let (code, answer) = followed.program.json(&["backfill"]);
    assert_eq!((code, &answer["blocks"]), (0, &0.into()), "{answer}");
    followed.assert_fresh();
}

#[test]
fn a_signal_ends_it_while_it_catches_up_and_while_the_node_is_away() {
    let mut followed = Followed::new();
    mine(&followed.node, 400, 2);
    let running = followed.start();
    wait::until("there is an index", || followed.program.has_index());
    end(running);
    followed.node.stop();
    let mut running = followed.start();
    running.await_log("waiting for it");
    end(running);
}
