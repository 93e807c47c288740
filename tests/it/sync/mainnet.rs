//! P8 on the real chain: every output script of mainnet's heights 0 to 599 is listed, and every answer, field by field and at
//! every height, is the naive model's.

use std::collections::BTreeSet;

use bitcoin::{Block, Network, ScriptBuf};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::oracle::answers::{Answers, List, assert_rows, rows, scripts, without_taint, write_list};
use crate::support::bitcoind::Bitcoind;
use crate::support::library::Library;
use crate::support::program::Program;
use crate::support::records::mainnet;

const TIP: u32 = 599;

/// Every output script of the chain, each once, from height 0.
fn every_script(blocks: &[Block]) -> List {
    let outputs = blocks.iter().flat_map(|block| &block.txdata).flat_map(|transaction| &transaction.output);
    let distinct: BTreeSet<_> = outputs.map(|output| output.script_pubkey.clone()).collect();
    distinct.into_iter().map(|script| (script, 0)).collect()
}

struct Scene {
    blocks: Vec<Block>,
    list: List,
    node: Bitcoind,
    dir: TempDir,
}

impl Scene {
    fn new() -> Self {
        let blocks = mainnet();
        let list = every_script(&blocks);
        let node = Bitcoind::mainnet_offline();
        node.feed_mainnet(TIP);
        Self { blocks, list, node, dir: tempfile::tempdir().expect("a folder for indexes") }
    }

    fn program(&self, name: &str) -> Program {
        let program = Program::new(&self.node, self.dir.path().join(name));
        let list = write_list(&program, &self.list);
        program.with(&["--watch", &list])
    }

    fn at(&self, height: u32) -> Answers<'_> {
        Answers::at(&self.blocks, Network::Bitcoin, &self.list, height)
    }
}

fn target(script: &ScriptBuf) -> String {
    format!("script:{}", script.to_hex_string())
}

#[test]
fn every_script_of_the_first_600_blocks_is_answered_as_the_model_does() {
    let scene = Scene::new();
    let program = scene.program("index");
    let expected = scene.at(TIP);
    let all = scripts(&scene.list);
    let (code, answer) = program.json(&["backfill"]);
    assert_eq!(code, 0, "{answer}");
    let counts = ["from", "through", "blocks", "blocks_read", "touches", "stopped"].map(|name| answer[name].clone());
    let touches = expected.model.touches.len();
    assert_eq!(counts, [json!(0), json!(TIP), json!(600), json!(600), json!(touches), json!(false)]);
    assert_eq!((touches, all.len()), (627 + 25, scene.list.len()), "all outputs, all spends");

    // Through the binary: all of it, and some scripts by themselves.
    let ask = |command: &str, target: &str| {
        let (code, answer) = program.json(&[command, target]);
        assert_eq!(code, 0, "{command} {target}: {answer}");
        let coverage = &answer["coverage"];
        let tip = scene.blocks[TIP as usize].block_hash();
        for (field, value) in [
            ("chain", json!("main")),
            ("from", json!(0)),
            ("through", json!(TIP)),
            ("tip", json!(tip)),
            ("complete", json!(true)),
            ("lists_changed", json!(false)),
            ("quarantined", json!(0)),
            ("gaps", json!([])),
        ] {
            assert_eq!(coverage[field], value, "{command} {target}: coverage.{field}");
        }
        answer
    };
    assert_rows(rows(&ask("history", "all")), &expected.history(&all), "history all");
    assert_rows(rows(&ask("coins", "all")), &expected.coins(&all), "coins all");
    let balances = ask("balance", "all");
    assert_rows(rows(&balances), &expected.balances(&all), "balance all");
    let issued = 600 * 50 * 100_000_000_u64;
    assert_eq!(balances["total_sat"], issued, "what all coinbases made is on some listed script");
    for script in all.iter().step_by(100) {
        let (one, target) = (std::slice::from_ref(script), target(script));
        assert_rows(rows(&ask("history", &target)), &expected.history(one), &target);
        assert_rows(rows(&ask("coins", &target)), &expected.coins(one), &target);
        assert_rows(rows(&ask("balance", &target)), &expected.balances(one), &target);
    }
    for record in expected.model.records.iter().step_by(150).chain(expected.model.records.last()) {
        let answer = ask("tx", &record.txid.to_string());
        assert_eq!(without_taint(answer), expected.tx(record.txid));
    }

    // Through the library: each script and each transaction.
    let library = Library::open(program.index());
    for script in &all {
        let (one, target) = (std::slice::from_ref(script), target(script));
        assert_rows(&library.history(&target, TIP), &expected.history(one), &target);
        assert_rows(&library.coins(&target, TIP), &expected.coins(one), &target);
        assert_rows(&library.balances(&target, TIP), &expected.balances(one), &target);
    }
    for record in &expected.model.records {
        assert_eq!(library.tx(record.txid, TIP), expected.tx(record.txid));
    }

    // What is known of this chain from elsewhere.
    let genesis = scene.blocks[0].txdata[0].output[0].script_pubkey.clone();
    let coins = library.coins(&target(&genesis), TIP);
    assert_eq!((coins.len(), &coins[0]["state"], &coins[0]["coinbase"]), (1, &json!("unspendable"), &json!(true)));
    let block_9 = scene.blocks[9].txdata[0].output[0].script_pubkey.clone();
    let heights: Vec<Value> = library.history(&target(&block_9), TIP).iter().map(|row| row["height"].clone()).collect();
    for height in [9, 170, 181, 182, 183, 248] {
        assert!(heights.contains(&json!(height)), "block 9's coins move at {height}: {heights:?}");
    }
}

#[test]
fn the_state_after_every_height_is_the_models() {
    let scene = Scene::new();
    let program = scene.program("index");
    assert_eq!(program.json(&["backfill"]).0, 0);
    let all = scripts(&scene.list);
    let library = Library::open(program.index());
    // The first payments, chains of spends within a block, and quiet stretches between.
    let by_command = [0, 1, 9, 170, 171, 248, 546, 598, TIP];
    for height in 0..=TIP {
        let expected = scene.at(height);
        let what = format!("at {height}");
        let (history, coins) = (expected.history(&all), expected.coins(&all));
        assert_rows(&library.history("all", height), &history, &what);
        assert_rows(&library.coins("all", height), &coins, &what);
        assert_rows(&library.balances("all", height), &expected.balances(&all), &what);
        if by_command.contains(&height) {
            let at = height.to_string();
            for (command, expected) in [("history", history), ("coins", coins), ("balance", expected.balances(&all))] {
                let (code, answer) = program.json(&[command, "all", "--at", &at]);
                assert_eq!((code, &answer["coverage"]["complete"]), (0, &json!(true)), "{command} {what}");
                assert_rows(rows(&answer), &expected, &format!("{command} {what}"));
            }
            for record in expected.model.records.iter().rev().take(3) {
                assert_eq!(library.tx(record.txid, height), expected.tx(record.txid), "{what}");
            }
        }
    }
    // A height that nobody has looked at yet is no answer about it.
    for command in ["history", "coins", "balance", "digest"] {
        let target = if command == "digest" { None } else { Some("all") };
        let arguments: Vec<&str> = [command].into_iter().chain(target).chain(["--at", "600"]).collect();
        let (code, answer) = program.json(&arguments);
        assert_eq!((code, &answer["coverage"]["complete"]), (3, &json!(false)), "{command}: {answer}");
    }
}

#[test]
fn both_lanes_any_threads_and_any_batch_give_one_digest() {
    let scene = Scene::new();
    let mut digests = BTreeSet::new();
    for (number, (lane, threads, batch)) in
        [("rest", 1, 500), ("rest", 2, 7), ("rest", 8, 1), ("rpc", 1, 7), ("rpc", 8, 500)].into_iter().enumerate()
    {
        let program = scene.program(&format!("index-{number}"));
        let program = program.with(&["--lane", lane, "--threads", &threads.to_string()]);
        let program = program.with_env("COINHOUND_SCAN_BATCH_BLOCKS", &batch.to_string());
        let (code, answer) = program.json(&["backfill"]);
        assert_eq!((code, &answer["lanes"]), (0, &json!([lane])), "{answer}");
        let (code, answer) = program.json(&["digest"]);
        assert_eq!((code, &answer["at"]), (0, &json!(TIP)));
        digests.insert(answer["digest"].to_string());
    }
    assert_eq!(digests.len(), 1, "{digests:?}");
}
