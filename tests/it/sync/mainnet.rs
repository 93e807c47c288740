//! P8 on the real chain: every output script of mainnet's heights 0 to 599 is listed, and every answer, field by field and at
//! every height, equals the naive model's.

use std::collections::BTreeSet;

use bitcoin::Block;
use serde_json::{Value, json};

use crate::oracle::answers::{Answers, assert_rows, rows, without_taint};
use crate::support::library::Library;
use crate::support::lists::{List, target};
use crate::support::program::Program;
use crate::support::scene::Scene;

const TIP: u32 = 599;

/// Every output script of the chain, flagged from genesis on.
fn every_script(blocks: &[Block]) -> List {
    let outputs = blocks.iter().flat_map(|block| &block.txdata).flat_map(|transaction| &transaction.output);
    let distinct: BTreeSet<_> = outputs.map(|output| output.script_pubkey.clone()).collect();
    distinct.into_iter().map(|script| (script, 0)).collect()
}

fn scene() -> Scene {
    let scene = Scene::mainnet();
    let list = every_script(&scene.blocks);
    scene.with_list(list)
}

/// Asks a question, whose answer must be complete, and returns the answer.
fn ask(scene: &Scene, program: &Program, command: &str, target: &str) -> Value {
    let (code, answer) = program.json(&[command, target]);
    assert_eq!(code, 0, "{command} {target}: {answer}");
    for (field, value) in [
        ("chain", json!("main")),
        ("from", json!(0)),
        ("through", json!(TIP)),
        ("tip", json!(scene.blocks[TIP as usize].block_hash())),
        ("complete", json!(true)),
        ("lists_changed", json!(false)),
        ("quarantined", json!(0)),
        ("gaps", json!([])),
    ] {
        assert_eq!(answer["coverage"][field], value, "{command} {target}: coverage.{field}");
    }
    answer
}

/// Through the program: all scripts together, some scripts alone, some transactions.
fn assert_program_answers(scene: &Scene, program: &Program, expected: &Answers<'_>) {
    let ask = |command: &str, target: &str| ask(scene, program, command, target);
    let all = scene.scripts();
    assert_rows(rows(&ask("history", "all")), &expected.history(&all), "history all");
    assert_rows(rows(&ask("coins", "all")), &expected.coins(&all), "coins all");
    let balances = ask("balance", "all");
    assert_rows(rows(&balances), &expected.balances(&all), "balance all");
    let issued = 600 * 50 * 100_000_000_u64;
    assert_eq!(balances["total_sat"], issued, "every coinbase paid a listed script");
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
}

/// Facts about this chain that are known from elsewhere.
fn assert_known_facts(scene: &Scene, library: &Library) {
    let paid_by = |height: usize| target(&scene.blocks[height].txdata[0].output[0].script_pubkey);
    let coins = library.coins(&paid_by(0), TIP);
    assert_eq!((coins.len(), &coins[0]["state"], &coins[0]["coinbase"]), (1, &json!("unspendable"), &json!(true)));
    let heights: Vec<Value> = library.history(&paid_by(9), TIP).iter().map(|row| row["height"].clone()).collect();
    for height in [9, 170, 181, 182, 183, 248] {
        assert!(heights.contains(&json!(height)), "block 9's coins move at {height}: {heights:?}");
    }
}

#[test]
fn every_script_of_the_first_600_blocks_is_answered_like_the_model() {
    let scene = scene();
    let program = scene.program("index");
    let expected = scene.answers(TIP);
    let answer = program.backfill("the first 600 blocks");
    let counts = ["from", "through", "blocks", "blocks_read", "touches", "stopped"].map(|name| answer[name].clone());
    let touches = expected.model.touches.len();
    assert_eq!(counts, [json!(0), json!(TIP), json!(600), json!(600), json!(touches), json!(false)]);
    assert_eq!((touches, scene.scripts().len()), (627 + 25, scene.list.len()), "all outputs, all spends");
    assert_program_answers(&scene, &program, &expected);

    // Through the library: each script and each transaction.
    let library = Library::open(program.index());
    for script in &scene.scripts() {
        expected.assert_script(&library, script, TIP, "alone");
    }
    expected.assert_transactions(&library, TIP, "the first 600 blocks");
    assert_known_facts(&scene, &library);
}

#[test]
fn the_state_after_every_height_is_the_models() {
    let scene = scene();
    let program = scene.program("index");
    program.backfill("the first 600 blocks");
    let all = scene.scripts();
    let library = Library::open(program.index());
    // The first payments, chains of spends within a block, and quiet stretches between them.
    let by_command = [0, 1, 9, 170, 171, 248, 546, 598, TIP];
    for height in 0..=TIP {
        let expected = scene.answers(height);
        let what = format!("at {height}");
        expected.assert_all(&library, height, &what);
        if by_command.contains(&height) {
            let at = height.to_string();
            for (command, expected) in [
                ("history", expected.history(&all)),
                ("coins", expected.coins(&all)),
                ("balance", expected.balances(&all)),
            ] {
                let (code, answer) = program.json(&[command, "all", "--at", &at]);
                assert_eq!((code, &answer["coverage"]["complete"]), (0, &json!(true)), "{command} {what}");
                assert_rows(rows(&answer), &expected, &format!("{command} {what}"));
            }
            for record in expected.model.records.iter().rev().take(3) {
                assert_eq!(library.tx(record.txid, height), expected.tx(record.txid), "{what}");
            }
        }
    }
    // A height that hasn't been scanned yet has no complete answer.
    for command in ["history", "coins", "balance", "digest"] {
        let target = if command == "digest" { None } else { Some("all") };
        let arguments: Vec<&str> = [command].into_iter().chain(target).chain(["--at", "600"]).collect();
        let (code, answer) = program.json(&arguments);
        assert_eq!((code, &answer["coverage"]["complete"]), (3, &json!(false)), "{command}: {answer}");
    }
}

#[test]
fn both_lanes_any_threads_and_any_batch_give_one_digest() {
    let scene = scene();
    let mut digests = BTreeSet::new();
    for (number, (lane, threads, batch)) in
        [("rest", 1, 500), ("rest", 2, 7), ("rest", 8, 1), ("rpc", 1, 7), ("rpc", 8, 500)].into_iter().enumerate()
    {
        let program = scene.program(&format!("index-{number}"));
        let program = program.with(&["--lane", lane, "--threads", &threads.to_string()]);
        let program = program.with_env("COINHOUND_SCAN_BATCH_BLOCKS", &batch.to_string());
        assert_eq!(program.backfill(lane)["lanes"], json!([lane]));
        let (code, answer) = program.json(&["digest"]);
        assert_eq!((code, &answer["at"]["height"]), (0, &json!(TIP)));
        digests.insert(answer["digest"].to_string());
    }
    assert_eq!(digests.len(), 1, "{digests:?}");
}
