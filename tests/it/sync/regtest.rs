//! P2, P3, P8 on random chains: scripts of every shape, chains of spends within a block, several touches in one transaction;
//! lists whose scripts start at any height. Every lane, thread count and batch size gives one digest, and rows are the model's.

use std::collections::BTreeSet;

use bitcoin::{Network, ScriptBuf};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::oracle::answers::{Answers, List, assert_rows, rows, scripts, write_list};
use crate::oracle::touches::TouchKind;
use crate::support::bitcoind::Bitcoind;
use crate::support::chain::{RegtestChain, Template, outputs};
use crate::support::library::Library;
use crate::support::program::Program;
use crate::support::random::{self, Rng};
use crate::support::scripts::Shape;

/// Above 100 coinbases are spent, so that blocks are busy.
const TIP: u32 = 150;

struct Scene {
    chain: RegtestChain,
    node: Bitcoind,
    dir: TempDir,
}

impl Scene {
    fn of(chain: RegtestChain) -> Self {
        let node = Bitcoind::regtest();
        chain.submit_to(&node);
        Self { chain, node, dir: tempfile::tempdir().expect("a folder for indexes") }
    }

    fn program(&self, name: &str, list: &[(ScriptBuf, u32)], (lane, threads, batch): Pace) -> Program {
        let program = Program::new(&self.node, self.dir.path().join(name));
        let list = write_list(&program, list);
        // The model knows touches only: no coin holds so much taint that it would be followed beyond them.
        let program = program.with(&["--watch", &list, "--lane", lane, "--threads", &threads.to_string()]);
        let program = program.with(&["--min-taint", "2100000000000001"]);
        program.with_env("COINHOUND_SCAN_BATCH_BLOCKS", &batch.to_string())
    }

    fn at(&self, list: &[(ScriptBuf, u32)], height: u32) -> Answers<'_> {
        Answers::at(self.chain.blocks(), Network::Regtest, list, height)
    }
}

/// Lane, threads, blocks in a batch.
type Pace = (&'static str, u32, u32);

fn every_pace() -> Vec<Pace> {
    let of_lane = |lane| [1, 2, 8].into_iter().flat_map(move |threads| [1, 7, 500].map(|batch| (lane, threads, batch)));
    ["rest", "rpc"].into_iter().flat_map(of_lane).collect()
}

fn digest(program: &Program) -> String {
    let (code, answer) = program.json(&["digest"]);
    assert_eq!(code, 0, "{answer}");
    answer["digest"].as_str().expect("a digest").to_owned()
}

/// Backfills, compares everything with the model as of the tip and of some heights; gives the digest.
fn check(scene: &Scene, program: &Program, list: &[(ScriptBuf, u32)], what: &str) -> String {
    let tip = scene.chain.height();
    let expected = scene.at(list, tip);
    let (code, answer) = program.json(&["backfill"]);
    assert_eq!(code, 0, "{what}: {answer}");
    let least = list.iter().map(|(_, from)| *from).min().expect("a list isn't empty");
    let counts = ["through", "blocks", "blocks_read", "touches"].map(|name| answer[name].clone());
    let read = (tip + 1).saturating_sub(least);
    let touches = expected.model.touches.len();
    assert_eq!(counts, [json!(tip), json!(tip + 1), json!(read), json!(touches)], "{what}");
    let all = scripts(list);
    let library = Library::open(program.index());
    for script in &all {
        let (one, target) = (std::slice::from_ref(script), format!("script:{}", script.to_hex_string()));
        assert_rows(&library.history(&target, tip), &expected.history(one), &format!("{what}: {target}"));
        assert_rows(&library.coins(&target, tip), &expected.coins(one), &format!("{what}: {target}"));
    }
    for record in &expected.model.records {
        assert_eq!(library.tx(record.txid, tip), expected.tx(record.txid), "{what}");
    }
    for height in (0..=tip).step_by(13).chain([tip]) {
        let (expected, what) = (scene.at(list, height), format!("{what}: at {height}"));
        assert_rows(&library.history("all", height), &expected.history(&all), &what);
        assert_rows(&library.coins("all", height), &expected.coins(&all), &what);
        assert_rows(&library.balances("all", height), &expected.balances(&all), &what);
    }
    digest(program)
}

fn from_start(list: &[(ScriptBuf, u32)]) -> List {
    list.iter().map(|(script, _)| (script.clone(), 0)).collect()
}

#[test]
fn every_lane_thread_count_and_batch_size_gives_one_digest() {
    let scene = Scene::of(random::chain(1, TIP));
    let mixed = random::watchlist(&scene.chain, &mut Rng::new(1), 40);
    assert!(mixed.iter().any(|(_, from)| *from > 100) && mixed.iter().any(|(_, from)| *from == 0));
    for (list, kind) in [(from_start(&mixed), "from-0"), (mixed, "mixed")] {
        let mut digests = BTreeSet::new();
        for (number, pace) in every_pace().into_iter().enumerate() {
            let program = scene.program(&format!("{kind}-{number}"), &list, pace);
            // One is compared with the model, and the others with it.
            digests.insert(if number == 0 {
                check(&scene, &program, &list, kind)
            } else {
                assert_eq!(program.json(&["backfill"]).0, 0, "{kind} {pace:?}");
                digest(&program)
            });
            assert_eq!(digests.len(), 1, "{kind} {pace:?}");
        }
    }
}

#[test]
fn random_chains_and_lists_are_answered_as_the_model_does() {
    let paces = every_pace();
    for seed in 10..16 {
        let mut rng = Rng::new(seed);
        let scene = Scene::of(random::chain(seed, TIP));
        let count = if seed % 3 == 0 { 400 } else { 3 + rng.index(40) };
        let list = random::watchlist(&scene.chain, &mut rng, count);
        let list = if seed % 2 == 0 { from_start(&list) } else { list };
        let pace = *rng.pick(&paces);
        let program = scene.program("index", &list, pace);
        check(&scene, &program, &list, &format!("seed {seed}, {count} scripts, {pace:?}"));
    }
}

/// Two coinbases of one script; one is spent below its `from`, one above.
#[test]
fn a_script_listed_from_a_height_misses_what_was_before_and_says_so() {
    let mut chain = RegtestChain::regtest(3);
    let (old, new, other) = (chain.script(Shape::P2wpkh, 1), chain.script(Shape::P2trKey, 2), chain.miner());
    let money = chain.mature(1);
    let split = chain.spend(&money, &[(old.clone(), 1000), (old.clone(), 2000), (old.clone(), 4000)]);
    let [first, second, third] = [0, 1, 2].map(|vout| outputs(&split).nth(vout).expect("three outputs").0);
    chain.mine(vec![split]);
    let before = chain.spend(&[first], &[(new.clone(), 900)]);
    chain.mine(vec![before]);
    let from = chain.height() + 1;
    let above = chain.spend(&[second], &[(new.clone(), 800), (old.clone(), 1100)]);
    chain.mine(vec![above]);
    let list = vec![(old.clone(), from), (new.clone(), 0), (other, from + 50)];
    let scene = Scene::of(chain);
    let tip = scene.chain.height();
    let mut digests = BTreeSet::new();
    for (number, pace) in [("rest", 2, 500), ("rpc", 2, 1)].into_iter().enumerate() {
        let program = scene.program(&format!("index-{number}"), &list, pace);
        digests.insert(check(&scene, &program, &list, &format!("{pace:?}")));
        let ask = |command: &str, script: &ScriptBuf, code: i32| {
            let (found, answer) = program.json(&[command, &format!("script:{}", script.to_hex_string())]);
            assert_eq!(found, code, "{command}: {answer}");
            answer
        };
        // The touches from there on are all known, so the history is whole; what it held before is not.
        let history = ask("history", &old, 0);
        assert_eq!(history["coverage"]["from"], from);
        let kinds: Vec<_> = rows(&history).iter().map(|row| [&row["kind"], &row["value_sat"]]).collect();
        assert_eq!(kinds, [[&json!("spending"), &json!(2000)], [&json!("funding"), &json!(1100)]]);
        assert!(rows(&history).iter().all(|row| row["balance_sat"].is_null()), "{history}");
        let balance = ask("balance", &old, 3);
        let sums = ["received_sat", "sent_sat", "balance_sat"].map(|name| rows(&balance)[0][name].clone());
        assert_eq!((sums, &balance["total_sat"]), ([json!(1100), json!(2000), Value::Null], &Value::Null));
        let coins = ask("coins", &old, 3);
        let known: Vec<_> = rows(&coins).iter().map(|row| (&row["outpoint"], &row["height"])).collect();
        assert_eq!(
            known[0],
            (&json!(second.to_string()), &Value::Null),
            "older than what was read, known by its spend"
        );
        assert_eq!((known.len(), known[1].1), (2, &json!(from)));
        assert!(!coins.to_string().contains(&third.to_string()), "nobody can know of the third");
        for (command, code) in [("history", 0), ("balance", 0), ("coins", 0)] {
            assert_eq!(ask(command, &new, code)["coverage"]["from"], 0);
        }
        // A list that starts above the tip was never looked for there.
        let (code, answer) = program.json(&["history", "all"]);
        let expected = if from + 50 <= tip { 0 } else { 3 };
        assert_eq!((code, &answer["coverage"]["from"]), (expected, &json!(from + 50)), "through {tip}");
    }
    assert_eq!(digests.len(), 1);
}

#[test]
fn a_height_comes_from_the_row_or_the_flag_or_the_command() {
    let scene = Scene::of(random::chain(4, 120));
    let scripts: Vec<ScriptBuf> =
        random::watchlist(&scene.chain, &mut Rng::new(4), 12).into_iter().map(|(script, _)| script).collect();
    let at = |from: u32| scripts.iter().map(|script| (script.clone(), from)).collect::<List>();
    let mut digests = Vec::new();
    for way in ["row", "flag", "command"] {
        let program = Program::new(&scene.node, scene.dir.path().join(way));
        let named: Vec<_> = scripts.iter().map(|script| (script, "")).collect();
        let plain = program.watchlist(&named).to_str().expect("tests use plain paths").to_owned();
        let (watch, from) = match way {
            "row" => (write_list(&program, &at(105)), None),
            "flag" => (format!("{plain},from=105"), None),
            _ => (plain, Some(["--from", "105"])),
        };
        let program = program.with(&["--watch", &watch]);
        let arguments: Vec<&str> = ["backfill"].into_iter().chain(from.into_iter().flatten()).collect();
        assert_eq!(program.json(&arguments).0, 0, "{way}");
        digests.push(digest(&program));
        let touches = scene.at(&at(105), 120).model.touches;
        let answer = program.json(&["history", "all"]).1;
        assert_eq!(rows(&answer).len(), touches.len(), "{way}");
        assert!(touches.iter().any(|touch| touch.kind == TouchKind::Spending));
        // Run again without its wish, the command's entries stay where they were.
        let (code, again) = program.json(&["backfill"]);
        assert_eq!((code, &again["blocks"]), (0, &json!(0)), "{way}: {again}");
    }
    assert!(digests.iter().all(|digest| *digest == digests[0]), "{digests:?}");
}

#[test]
fn one_block_with_everything_in_it() {
    let mut chain = RegtestChain::regtest(5);
    let [a, b, c] = [Shape::P2pkh, Shape::P2wsh, Shape::P2trScript].map(|shape| chain.script(shape, 1));
    let money = chain.mature(2);
    // A coinbase that pays two listed scripts, one of them twice with equal values.
    let pays = [(a.clone(), 7), (b.clone(), 5), (a.clone(), 7)];
    // A chain of spends within the block, back to where it came from.
    let first = chain.spend(&money, &[(a.clone(), 1000), (a.clone(), 1000), (b.clone(), 500), (chain.miner(), 9)]);
    let [a0, a1, b0, m0] = [0, 1, 2, 3].map(|vout| outputs(&first).nth(vout).expect("four outputs").0);
    let second = chain.spend(&[a1, b0, a0], &[(a.clone(), 1500), (c.clone(), 0), (c.clone(), 1)]);
    let [a2, c0, c1] = [0, 1, 2].map(|vout| outputs(&second).nth(vout).expect("three outputs").0);
    // It spends listed coins, an unlisted one, and pays nobody that is listed.
    let third = chain.spend(&[c1, m0, a2, c0], &[(chain.miner(), 100)]);
    let last = outputs(&third).next().expect("one output").0;
    // It touches nothing, though its parent did.
    let fourth = chain.spend(&[last], &[(chain.miner(), 50)]);
    let transactions = vec![first, second, third, fourth];
    chain.mine_template(Template { transactions, coinbase: pays.to_vec(), ..Template::default() });
    chain.mine_empty(1);
    let list: List = [a, b, c].map(|script| (script, 0)).to_vec();
    let scene = Scene::of(chain);
    let expected = scene.at(&list, scene.chain.height());
    assert_eq!((expected.model.touches.len(), expected.model.records.len()), (3 + 3 + 6 + 3, 4), "by hand");
    for (number, pace) in [("rest", 1, 1), ("rpc", 8, 500)].into_iter().enumerate() {
        let program = scene.program(&format!("index-{number}"), &list, pace);
        check(&scene, &program, &list, &format!("{pace:?}"));
    }
    // Listed from that block on, and from the one after: nothing of it.
    for (from, touches) in [(scene.chain.height() - 1, 15), (scene.chain.height(), 0)] {
        let later: List = list.iter().map(|(script, _)| (script.clone(), from)).collect();
        let program = scene.program(&format!("from-{from}"), &later, ("rest", 2, 7));
        check(&scene, &program, &later, "later");
        assert_eq!(Library::open(program.index()).history("all", scene.chain.height()).len(), touches);
    }
}
