//! P2, P3, P8 on random chains: scripts of every shape, chains of spends within a block, several touches in one transaction,
//! lists whose scripts start at any height. Every lane, thread count and batch size gives one digest, and the rows equal the model's.

use std::collections::BTreeSet;

use bitcoin::ScriptBuf;
use serde_json::{Value, json};

use crate::oracle::answers::rows;
use crate::oracle::touches::TouchKind;
use crate::support::chain::{RegtestChain, Template, outpoints};
use crate::support::files::text;
use crate::support::library::Library;
use crate::support::lists::{List, from_genesis, target};
use crate::support::program::Program;
use crate::support::random::Rng;
use crate::support::scene::Scene;
use crate::support::scripts::Shape;

/// Coinbases are spent from height 101 on: above that, blocks are busy.
const TIP: u32 = 150;

/// Lane, threads, blocks in a batch.
type LaneUse = (&'static str, u32, u32);

fn every_way() -> Vec<LaneUse> {
    let of_lane = |lane| [1, 2, 8].into_iter().flat_map(move |threads| [1, 7, 500].map(|batch| (lane, threads, batch)));
    ["rest", "rpc"].into_iter().flat_map(of_lane).collect()
}

fn program(scene: &Scene, name: &str, (lane, threads, batch): LaneUse) -> Program {
    let program = scene.program(name).with(&["--lane", lane, "--threads", &threads.to_string()]);
    // The model knows touches only, so no coin may hold enough taint to be followed.
    let program = program.with(&["--min-taint", "2100000000000001"]);
    program.with_env("COINHOUND_SCAN_BATCH_BLOCKS", &batch.to_string())
}

/// Backfills, compares everything with the model as of the tip and of some heights, and returns the digest.
fn check(scene: &Scene, program: &Program, what: &str) -> String {
    let (tip, list) = (scene.tip(), &scene.list);
    let expected = scene.answers(tip);
    let answer = program.backfill(what);
    let least = list.iter().map(|(_, from)| *from).min().expect("a list isn't empty");
    let counts = ["through", "blocks", "blocks_read", "touches"].map(|name| answer[name].clone());
    let read = (tip + 1).saturating_sub(least);
    let touches = expected.model.touches.len();
    assert_eq!(counts, [json!(tip), json!(tip + 1), json!(read), json!(touches)], "{what}");
    let library = Library::open(program.index());
    for script in &scene.scripts() {
        expected.assert_script(&library, script, tip, what);
    }
    expected.assert_transactions(&library, tip, what);
    for height in (0..=tip).step_by(13).chain([tip]) {
        scene.answers(height).assert_all(&library, height, &format!("{what}: at {height}"));
    }
    program.digest()
}

#[test]
fn every_lane_thread_count_and_batch_size_gives_one_digest() {
    let mut scene = Scene::regtest(1, TIP, 40);
    let mixed = scene.list.clone();
    assert!(mixed.iter().any(|(_, from)| *from > 100) && mixed.iter().any(|(_, from)| *from == 0));
    for (list, kind) in [(from_genesis(&mixed), "from-0"), (mixed, "mixed")] {
        scene.list = list;
        let mut digests = BTreeSet::new();
        for (number, way) in every_way().into_iter().enumerate() {
            let program = program(&scene, &format!("{kind}-{number}"), way);
            // One is compared with the model, and the others with it.
            digests.insert(if number == 0 {
                check(&scene, &program, kind)
            } else {
                program.backfill(&format!("{kind} {way:?}"));
                program.digest()
            });
            assert_eq!(digests.len(), 1, "{kind} {way:?}");
        }
    }
}

#[test]
fn random_chains_and_lists_are_answered_like_the_model() {
    let ways = every_way();
    for seed in 10..16 {
        let mut rng = Rng::new(seed);
        let count = if seed % 3 == 0 { 400 } else { 3 + rng.index(40) };
        let mut scene = Scene::regtest(seed, TIP, count);
        if seed % 2 == 0 {
            scene.list = from_genesis(&scene.list);
        }
        let way = *rng.pick(&ways);
        let program = program(&scene, "index", way);
        check(&scene, &program, &format!("seed {seed}, {count} scripts, {way:?}"));
    }
}

/// Asks about a script, and returns the answer, which must have this exit code.
fn ask(program: &Program, command: &str, script: &ScriptBuf, code: i32) -> Value {
    let (found, answer) = program.json(&[command, &target(script)]);
    assert_eq!(found, code, "{command}: {answer}");
    answer
}

/// Two outputs of one transaction to one script: one is spent below the script's `from`, the other above it.
#[test]
fn a_script_listed_from_a_height_misses_what_was_before_and_says_so() {
    let mut chain = RegtestChain::regtest(3);
    let (old, new, other) = (chain.script(Shape::P2wpkh, 1), chain.script(Shape::P2trKey, 2), chain.miner());
    let money = chain.mature(1);
    let split = chain.spend(&money, &[(old.clone(), 1000), (old.clone(), 2000), (old.clone(), 4000)]);
    let [first, second, third] = outpoints(&split);
    chain.mine(vec![split]);
    let before = chain.spend(&[first], &[(new.clone(), 900)]);
    chain.mine(vec![before]);
    let from = chain.height() + 1;
    let above = chain.spend(&[second], &[(new.clone(), 800), (old.clone(), 1100)]);
    chain.mine(vec![above]);
    let list = vec![(old.clone(), from), (new.clone(), 0), (other, from + 50)];
    let scene = Scene::of(&chain).with_list(list);
    let mut digests = BTreeSet::new();
    for (number, way) in [("rest", 2, 500), ("rpc", 2, 1)].into_iter().enumerate() {
        let program = program(&scene, &format!("index-{number}"), way);
        digests.insert(check(&scene, &program, &format!("{way:?}")));
        // The touches from that height on are all known, so the history is complete; earlier balances are not known.
        let history = ask(&program, "history", &old, 0);
        assert_eq!(history["coverage"]["from"], from);
        let kinds: Vec<_> = rows(&history).iter().map(|row| [&row["kind"], &row["value_sat"]]).collect();
        assert_eq!(kinds, [[&json!("spending"), &json!(2000)], [&json!("funding"), &json!(1100)]]);
        assert!(rows(&history).iter().all(|row| row["balance_sat"].is_null()), "{history}");
        let balance = ask(&program, "balance", &old, 3);
        let sums = ["received_sat", "sent_sat", "balance_sat"].map(|name| rows(&balance)[0][name].clone());
        assert_eq!((sums, &balance["total_sat"]), ([json!(1100), json!(2000), Value::Null], &Value::Null));
        let coins = ask(&program, "coins", &old, 3);
        let known: Vec<_> = rows(&coins).iter().map(|row| (&row["outpoint"], &row["height"])).collect();
        let older = (&json!(second.to_string()), &Value::Null);
        assert_eq!(known[0], older, "a coin from below that height is known by its spend");
        assert_eq!((known.len(), known[1].1), (2, &json!(from)));
        assert!(!coins.to_string().contains(&third.to_string()), "the third coin can't be known");
        for command in ["history", "balance", "coins"] {
            assert_eq!(ask(&program, command, &new, 0)["coverage"]["from"], 0);
        }
        // A list that starts above the tip has no coverage there.
        let (code, answer) = program.json(&["history", "all"]);
        let expected = if from + 50 <= scene.tip() { 0 } else { 3 };
        assert_eq!((code, &answer["coverage"]["from"]), (expected, &json!(from + 50)), "through {}", scene.tip());
    }
    assert_eq!(digests.len(), 1);
}

#[test]
fn a_height_comes_from_the_row_or_the_flag_or_the_command() {
    let scene = Scene::regtest(4, 120, 12);
    let scripts: Vec<ScriptBuf> = scene.list.iter().map(|(script, _)| script.clone()).collect();
    let from_105: List = scripts.iter().map(|script| (script.clone(), 105)).collect();
    let scene = scene.with_list(from_105.clone());
    let mut digests = Vec::new();
    for way in ["row", "flag", "command"] {
        let program = Program::new(&scene.node, scene.path(way));
        let named: Vec<_> = scripts.iter().map(|script| (script, "")).collect();
        let plain = text(&program.watchlist(&named)).to_owned();
        let (watch, from) = match way {
            "row" => (text(&program.write_list(&from_105)).to_owned(), None),
            "flag" => (format!("{plain},from=105"), None),
            _ => (plain, Some(["--from", "105"])),
        };
        let program = program.with(&["--watch", &watch]);
        let arguments: Vec<&str> = ["backfill"].into_iter().chain(from.into_iter().flatten()).collect();
        assert_eq!(program.json(&arguments).0, 0, "{way}");
        digests.push(program.digest());
        let touches = scene.answers(120).model.touches;
        let answer = program.json(&["history", "all"]).1;
        assert_eq!(rows(&answer).len(), touches.len(), "{way}");
        assert!(touches.iter().any(|touch| touch.kind == TouchKind::Spending));
        // Without the command's `--from` the next run leaves the entries where they are.
        assert_eq!(program.backfill(way)["blocks"], json!(0), "{way}");
    }
    assert!(digests.iter().all(|digest| *digest == digests[0]), "{digests:?}");
}

#[test]
fn one_block_with_everything_in_it() {
    let mut chain = RegtestChain::regtest(5);
    let [a, b, c] = [Shape::P2pkh, Shape::P2wsh, Shape::P2trScript].map(|shape| chain.script(shape, 1));
    let money = chain.mature(2);
    // A coinbase that pays two listed scripts, one of them twice with equal values.
    let coinbase = vec![(a.clone(), 7), (b.clone(), 5), (a.clone(), 7)];
    // A chain of spends within the block, back to the script where it came from.
    let first = chain.spend(&money, &[(a.clone(), 1000), (a.clone(), 1000), (b.clone(), 500), (chain.miner(), 9)]);
    let [a0, a1, b0, m0] = outpoints(&first);
    let second = chain.spend(&[a1, b0, a0], &[(a.clone(), 1500), (c.clone(), 0), (c.clone(), 1)]);
    let [a2, c0, c1] = outpoints(&second);
    // It spends listed coins and an unlisted one, and pays no listed script.
    let third = chain.spend(&[c1, m0, a2, c0], &[(chain.miner(), 100)]);
    let [last] = outpoints(&third);
    // It doesn't touch, though its parent does.
    let fourth = chain.spend(&[last], &[(chain.miner(), 50)]);
    let transactions = vec![first, second, third, fourth];
    chain.mine_template(Template { transactions, coinbase, ..Template::default() });
    chain.mine_empty(1);
    let list: List = [a, b, c].map(|script| (script, 0)).to_vec();
    let mut scene = Scene::of(&chain).with_list(list.clone());
    let expected = scene.answers(scene.tip());
    assert_eq!((expected.model.touches.len(), expected.model.records.len()), (3 + 3 + 6 + 3, 4), "by hand");
    for (number, way) in [("rest", 1, 1), ("rpc", 8, 500)].into_iter().enumerate() {
        let program = program(&scene, &format!("index-{number}"), way);
        check(&scene, &program, &format!("{way:?}"));
    }
    // Listed from that block on, and from the one after it.
    for (from, touches) in [(scene.tip() - 1, 15), (scene.tip(), 0)] {
        scene.list = list.iter().map(|(script, _)| (script.clone(), from)).collect();
        let program = program(&scene, &format!("from-{from}"), ("rest", 2, 7));
        check(&scene, &program, &format!("from {from}"));
        assert_eq!(Library::open(program.index()).history("all", scene.tip()).len(), touches);
    }
}
