//! A follower that stays: whatever a node, a disk or a list does, `follow` keeps running, says what it waits for, and ends only for a
//! signal, for settings that can't work and for an index that can't be used.

use std::time::Duration;

use bitcoin::ScriptBuf;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::bitcoind::Bitcoind;
use crate::support::files::text;
use crate::support::node_call::{NodeAnswer, NodeCall, method};
use crate::support::program::{Program, RunningProgram};
use crate::support::proxy::Proxy;
use crate::support::wait::{self, PATIENCE};

/// A list of one script, which the miner pays.
pub struct Mined {
    pub program: Program,
    pub(in crate::sync) _dir: TempDir,
}

/// The script that blocks pay in these tests.
pub fn script(n: u8) -> ScriptBuf {
    ScriptBuf::from_bytes([&[0x00, 0x14][..], &[n; 20]].concat())
}

/// Mines blocks to `script(n)`, and returns their hashes.
pub fn mine(node: &Bitcoind, blocks: u32, n: u8) -> Vec<String> {
    let descriptor = format!("raw({})", script(n).to_hex_string());
    let mined = node.rpc("generatetodescriptor", json!([blocks, descriptor]));
    mined.as_array().expect("hashes").iter().map(|hash| hash.as_str().expect("a hash").to_owned()).collect()
}

impl Mined {
    /// A program that watches `script(1)` at a node reached by this URL.
    pub fn through(node: &Bitcoind, url: String) -> Self {
        let dir = tempfile::tempdir().expect("a folder for the index");
        let program = Program::through(node, url, dir.path().join("index"));
        let list = program.watchlist(&[(script(1), "miner")]);
        Self { program: program.with(&["--watch", text(&list)]), _dir: dir }
    }

    pub fn follow(&self) -> RunningProgram {
        self.program.spawn(&["--format", "jsonl", "follow"])
    }

    pub fn status(&self) -> Value {
        self.program.json(&["status"]).1
    }

    /// Waits until the index has the node's tip, and the run still runs.
    pub fn await_tip(&self, node: &Bitcoind, running: &mut RunningProgram, what: &str) {
        let best = node.best().to_string();
        wait::until(&format!("{what}: the index has the node's tip"), || {
            assert!(running.is_running(), "{what}: follow ended: {}", running.log());
            self.program.has_index() && self.status()["tip"]["hash"] == best.as_str()
        });
    }

    /// Waits until `status` says that something is waited for whose error has these words, or with `None` that nothing is.
    pub fn await_waiting(&self, words: Option<&str>, what: &str) -> Value {
        let mut found = Value::Null;
        wait::until(&format!("{what}: status says that it waits: {words:?}"), || {
            found = self.status()["waiting"].clone();
            match words {
                Some(words) => found["error"].as_str().is_some_and(|error| error.contains(words)),
                None => found.is_null(),
            }
        });
        found
    }
}

/// Ends a run by SIGTERM, which it must do with exit 0; returns its log.
pub fn end(running: RunningProgram) -> String {
    running.term();
    let out = running.wait(PATIENCE);
    assert_eq!(out.code, 0, "{out:#?}");
    assert!(!out.stderr.contains("panicked"), "{}", out.stderr);
    out.stderr
}

type Spoil = fn(NodeAnswer) -> NodeAnswer;

fn page(_: NodeAnswer) -> NodeAnswer {
    NodeAnswer::of(200, "text/html", b"<html>Log in to your router</html>".to_vec())
}

fn failed(_: NodeAnswer) -> NodeAnswer {
    NodeAnswer::of(500, "text/html", b"<html>Internal Server Error</html>".to_vec())
}

fn half(answer: NodeAnswer) -> NodeAnswer {
    let body = answer.body[..answer.body.len() / 2].to_vec();
    answer.with_body(body)
}

fn flipped(answer: NodeAnswer) -> NodeAnswer {
    let mut body = answer.body.clone();
    // In the coinbase of a raw block, before its witness.
    let at = body.len() - 60;
    body[at] ^= 1;
    answer.with_body(body)
}

fn empty(answer: NodeAnswer) -> NodeAnswer {
    answer.with_body(Vec::new())
}

fn refused(code: i64) -> impl Fn(NodeAnswer) -> NodeAnswer {
    move |_| {
        let body = json!({"result": null, "error": {"code": code, "message": "for no reason"}, "id": 0});
        NodeAnswer::of(500, "application/json", body.to_string().into_bytes())
    }
}

fn null(answer: NodeAnswer) -> NodeAnswer {
    let id = serde_json::from_slice::<Value>(&answer.body).map(|body| body["id"].clone()).unwrap_or_default();
    let body = json!({"result": null, "error": null, "id": id}).to_string().into_bytes();
    answer.with_body(body)
}

#[test]
fn no_odd_answer_ends_a_follow_and_each_block_is_indexed_as_it_is() {
    let node = Bitcoind::regtest();
    mine(&node, 5, 1);
    let proxy = Proxy::before([&node, &node]);
    let cookie = proxy.cookie_file();
    let rest: [(&str, Spoil); 5] =
        [("500", failed), ("a web page", page), ("half", half), ("a flipped bit", flipped), ("nothing", empty)];
    let rpc: [(&str, Spoil); 6] = [
        ("500", failed),
        ("a web page", page),
        ("error -1", |answer| refused(-1)(answer)),
        ("error -32603", |answer| refused(-32603)(answer)),
        ("null", null),
        ("nothing", empty),
    ];
    std::thread::scope(|scope| {
        // One after the other, as they share the proxy.
        scope.spawn(|| {
            for (lane, cases) in [("rest", &rest[..]), ("rpc", &rpc[..])] {
                let mined = Mined::through(&node, proxy.url());
                let program = mined.program.with(&["--rpc-cookie-file", text(&cookie), "--lane", lane]);
                let mined = Mined { program, ..mined };
                let mut running = mined.follow();
                mined.await_tip(&node, &mut running, lane);
                for (name, spoil) in cases {
                    // One odd answer, then several in a row, more than one call is made again for.
                    for times in [1, 4] {
                        let what = format!("{lane}, {name}, {times} times");
                        proxy.spoil(times, |call| call.is_of_block() || call.is_of_headers(), *spoil);
                        mine(&node, 1, 1);
                        mined.await_tip(&node, &mut running, &what);
                    }
                }
                for (name, spoil) in &rpc {
                    let what = format!("{lane}, {name} to getblockchaininfo");
                    let concerns =
                        |call: &NodeCall| matches!(call, NodeCall::One(call) if method(call) == "getblockchaininfo");
                    proxy.spoil(7, concerns, *spoil);
                    mine(&node, 1, 1);
                    mined.await_tip(&node, &mut running, &what);
                    assert_eq!(proxy.unspoilt(), 0, "{what}");
                }
                end(running);
                assert!(mined.status()["waiting"].is_null());
                let fresh = mined.program.elsewhere();
                fresh.backfill(lane);
                assert_eq!(mined.program.digest(), fresh.digest(), "{lane}");
            }
        });
    });
}

#[test]
fn a_node_that_comes_back_without_rest_is_read_over_rpc_and_later_over_rest_again() {
    let mut node = Bitcoind::regtest();
    mine(&node, 5, 1);
    let mined = Mined::through(&node, node.rpc_url());
    let mut running = mined.follow();
    mined.await_tip(&node, &mut running, "at first");
    for (argument, lane) in [("-rest=0", "over lane rpc"), ("-rest=1", "over lane rest")] {
        node.restart_with(&[argument]);
        mine(&node, 2, 1);
        mined.await_tip(&node, &mut running, argument);
        running.await_log(lane);
    }
    end(running);
}

#[test]
fn what_a_follow_waits_for_stands_in_status_from_when_the_node_goes_until_it_is_back() {
    let mut node = Bitcoind::regtest();
    mine(&node, 5, 1);
    let mined = Mined::through(&node, node.rpc_url());
    let mut running = mined.follow();
    mined.await_tip(&node, &mut running, "at first");
    assert!(mined.status()["waiting"].is_null());
    node.stop();
    let waiting = mined.await_waiting(Some("no answer from the node"), "a node that is down");
    assert_eq!(waiting["for"], "the node");
    assert!(waiting["since"].as_u64().is_some_and(|since| since > 1_500_000_000), "{waiting}");
    // The wait counts from the same moment, and is logged once.
    std::thread::sleep(Duration::from_secs(6));
    assert_eq!(mined.status()["waiting"]["since"], waiting["since"]);
    assert_eq!(running.log().matches("waiting for it: no connection").count(), 1, "{}", running.log());
    node.start();
    mine(&node, 1, 1);
    mined.await_tip(&node, &mut running, "back");
    mined.await_waiting(None, "back");
    assert_eq!(end(running).matches("no longer waiting for the node").count(), 1);
    // A run that is started while the node is down says the same, and forgets it when it ends.
    node.stop();
    let running = mined.follow();
    mined.await_waiting(Some("no answer from the node"), "a start without a node");
    end(running);
    assert!(mined.status()["waiting"].is_null());
}

#[test]
fn a_follow_ends_for_settings_that_cant_work_at_its_start() {
    let node = Bitcoind::regtest_with(&["-rest=0"]);
    mine(&node, 1, 1);
    let mined = Mined::through(&node, node.rpc_url());
    let program = mined.program.with(&["--lane", "rest"]);
    let out = program.run(&["follow"]);
    assert_eq!(out.code, 2, "{out:?}");
    assert!(out.stderr.contains("rest=1"), "{out:?}");
}
