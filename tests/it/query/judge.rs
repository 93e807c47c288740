//! `screen` against a real node: however a target is asked for, `none` needs evidence of where it is confirmed, and a history
//! that was scanned.

use bitcoin::consensus::encode::serialize_hex;
use bitcoin::hashes::Hash;
use bitcoin::{OutPoint, ScriptBuf, Transaction, Txid};
use serde_json::{Value, json};

use crate::support::bitcoind::Bitcoind;
use crate::support::chain::{RegtestChain, outpoints};
use crate::support::files::text;
use crate::support::program::Program;
use crate::support::scene::Scene;
use crate::support::scripts::Shape;
use crate::support::wait;

const BTC: u64 = 100_000_000;

/// The exit code and the only row of an answer.
fn ask(program: &Program, arguments: &[&str]) -> (i32, Value) {
    let (code, answer) = program.json(&[&["screen"], arguments].concat());
    let rows = answer["rows"].as_array().unwrap_or_else(|| panic!("{arguments:?}: {answer}"));
    assert_eq!(rows.len(), 1, "{arguments:?}: {answer}");
    (code, rows[0].clone())
}

/// Panics unless a question has this verdict with its exit code; returns the row.
fn expect(program: &Program, arguments: &[&str], verdict: &str, what: &str) -> Value {
    let (code, row) = ask(program, arguments);
    assert_eq!(row["verdict"], verdict, "{what}: {arguments:?}: {row}");
    // A flagged output is a hit for its transaction, and none for another coin of it.
    let is_coin = row["target"].as_str().is_some_and(|target| target.as_bytes().get(64) == Some(&b':'));
    let sides = if is_coin { &["flagged_inputs"][..] } else { &["flagged_inputs", "flagged_outputs"] };
    let touches = sides.iter().any(|side| row[side].as_u64().is_some_and(|n| n > 0));
    let expected = match verdict {
        "none" => 0,
        "unknown" if !touches => 3,
        _ => 4,
    };
    assert_eq!(code, expected, "{what}: {arguments:?}: {row}");
    row
}

fn id(transaction: &Transaction) -> String {
    transaction.compute_txid().to_string()
}

fn coin(transaction: &Transaction, vout: u32) -> String {
    format!("{}:{vout}", transaction.compute_txid())
}

/// A node for the chain, with and without an index of transactions.
fn nodes(chain: &RegtestChain) -> Vec<(&'static str, Bitcoind)> {
    let nodes = vec![("txindex", Bitcoind::regtest_with(&["-txindex=1"])), ("no txindex", Bitcoind::regtest())];
    for (_, node) in &nodes {
        chain.submit_to(node);
        await_txindex(node);
    }
    nodes
}

fn await_txindex(node: &Bitcoind) {
    wait::until("the node's indexes are at its tip", || {
        let indexes = node.rpc("getindexinfo", json!([]));
        indexes.as_object().expect("indexes").values().all(|index| index["best_block_height"] == node.height())
    });
}

/// A chain with a flagged coin, whose index ends before the block that moves it; and the same chain on another branch.
struct Moved {
    /// Through the block that pays the flagged script, and the one above it.
    before: RegtestChain,
    /// The same with another last block, which moves the coin, and one more above it.
    after: RegtestChain,
    flagged: ScriptBuf,
    /// It spends the flagged coin, in the last block but one of the later chain.
    spend: Transaction,
    /// It spends a clean coin, in the same block.
    clean: Transaction,
    /// It spends a clean coin, in the last block of the earlier chain only.
    stale: Transaction,
}

impl Moved {
    fn new() -> Self {
        let mut before = RegtestChain::regtest(211);
        // A script that shows no key when it is spent: that would be a finding by itself.
        let flagged = before.script(Shape::P2wsh, 1);
        let plain = [2, 3, 4].map(|n| before.script(Shape::P2wpkh, n));
        let coins = before.mature(3);
        let paid = before.spend(&coins[..1], &[(flagged.clone(), 10 * BTC), (plain[0].clone(), 39 * BTC)]);
        before.mine(vec![paid.clone()]);
        let fork = before.height();
        let mut after = before.fork_at(fork);
        let stale = before.spend(&coins[1..2], &[(plain[1].clone(), 49 * BTC)]);
        before.mine(vec![stale.clone()]);
        let spend = after.spend(&outpoints::<1>(&paid), &[(plain[1].clone(), 9 * BTC), (plain[2].clone(), BTC / 2)]);
        let clean = after.spend(&coins[2..3], &[(plain[2].clone(), 49 * BTC)]);
        after.mine(vec![spend.clone(), clean.clone()]);
        after.mine_empty(1);
        Self { before, after, flagged, spend, clean, stale }
    }
}

#[test]
fn after_a_reorg_no_stale_block_makes_anything_clean() {
    let moved = Moved::new();
    let Moved { before, after, flagged, spend, clean, stale } = &moved;
    let height = before.height().to_string();
    let (ours, theirs) = (before.tip().to_string(), after.blocks()[before.height() as usize].block_hash().to_string());
    let (raw, raw_clean) = (serialize_hex(spend), serialize_hex(clean));
    for (what, node) in nodes(before) {
        let scene = Scene::on(node, before).with_list(vec![(flagged.clone(), 0)]);
        let program = scene.program("index");
        program.backfill(what);
        // Before: the stale transaction is confirmed, by whomever is asked.
        let row = expect(&program, &[&coin(stale, 0)], "none", what);
        assert_eq!(row["proven_by"], "node", "{what}: {row}");
        after.submit_to(&scene.node);
        await_txindex(&scene.node);
        for target in [&id(spend), &coin(spend, 0), &coin(spend, 1)] {
            for said in [&[][..], &["--height", &height], &["--block", &ours], &["--block", &theirs]] {
                let row = expect(&program, &[&[target.as_str()], said].concat(), "derived", what);
                assert_eq!((&row["flagged_inputs"], &row["bound"]), (&json!(1), &json!("exact")), "{what}: {row}");
            }
        }
        for said in [&[][..], &["--height", &height], &["--block", &ours], &["--block", &theirs]] {
            let row = expect(&program, &[&["--raw-tx", &raw], said].concat(), "derived", what);
            assert_eq!((&row["hops"], &row["flagged_inputs"]), (&json!(1), &json!(1)), "{what}: {row}");
            // Nothing is against the clean one, and nothing proves it clean: it is in no block of the index's chain.
            expect(&program, &[&[id(clean).as_str()], said].concat(), "unknown", what);
            expect(&program, &[&[coin(clean, 0).as_str()], said].concat(), "unknown", what);
            expect(&program, &[&["--raw-tx", &raw_clean], said].concat(), "unknown", what);
        }
        for said in [&["--height", &height], &["--block", &ours]] {
            expect(&program, &[&[coin(stale, 0).as_str()], &said[..]].concat(), "unknown", what);
        }
        program.backfill(what);
        expect(&program, &[&id(spend)], "derived", what);
        for target in [&id(clean), &coin(clean, 0)] {
            for said in [&[][..], &["--height", &height], &["--block", &theirs]] {
                let row = expect(&program, &[&[target.as_str()], said].concat(), "none", what);
                assert_eq!(row["proven_by"], "node", "{what}: {row}");
            }
            let row = expect(&program, &[target.as_str(), "--block", &ours], "unknown", what);
            assert!(row["why"].as_str().is_some_and(|why| why.contains("not on the index's chain")), "{what}: {row}");
        }
        expect(&program, &["--raw-tx", &raw_clean], "none", what);
    }
}

#[test]
fn a_height_alone_proves_nothing_and_a_block_is_the_callers_word() {
    let moved = Moved::new();
    let Moved { before, flagged, stale, spend, .. } = &moved;
    let mut scene = Scene::of(before).with_list(vec![(flagged.clone(), 0)]);
    let program = scene.program("index");
    program.backfill("");
    let (height, block) = (before.height().to_string(), before.tip().to_string());
    let below = (before.height() - 1).to_string();
    let lower = before.blocks()[before.height() as usize - 1].block_hash().to_string();
    let nonsense = Txid::from_byte_array([7; 32]).to_string();
    let raw = serialize_hex(stale);
    // In one run: where there is no node, each run waits for it.
    let ask_all = |said: &[&str], verdict: &str, proven_by: Value, words: &str| {
        let (by_id, by_coin) = (id(stale), coin(stale, 0));
        let (_, answer) = program.json(&[&["screen", &by_id, &by_coin, "--raw-tx", &raw], said].concat());
        let rows = answer["rows"].as_array().unwrap_or_else(|| panic!("{said:?}: {answer}"));
        assert_eq!(rows.len(), 3, "{said:?}: {answer}");
        for row in rows {
            assert_eq!((&row["verdict"], &row["proven_by"]), (&json!(verdict), &proven_by), "{said:?}: {row}");
            assert!(row["why"].as_str().is_some_and(|why| why.contains(words)), "{said:?}: {row}");
        }
    };
    ask_all(&[], "none", json!("node"), "according to the node");
    ask_all(&["--height", &height], "none", json!("node"), "according to the node");
    ask_all(&["--block", &block], "none", json!("node"), "according to the node");
    // The node knows better than the caller.
    ask_all(&["--height", &below], "unknown", json!(null), "");
    ask_all(&["--block", &lower], "unknown", json!(null), "");
    ask_all(&["--height", "4000"], "unknown", json!(null), "settled through");
    for said in [&["--height", &height][..], &["--block", &block], &["--height", "0"]] {
        expect(&program, &[&[nonsense.as_str()], said].concat(), "unknown", "no such transaction");
    }
    // A transaction that waits is in no block, whatever the caller says; what it spends is what counts.
    let waiting = serialize_hex(spend);
    scene.node.rpc("sendrawtransaction", json!([waiting, 0]));
    for said in [&[][..], &["--height", &height], &["--block", &block]] {
        expect(&program, &[&[id(spend).as_str()], said].concat(), "derived", "waiting");
        let row = expect(&program, &[&["--raw-tx", &waiting], said].concat(), "derived", "waiting, raw");
        assert_eq!(row["flagged_inputs"], 1, "{row}");
    }
    scene.node.stop();
    ask_all(&["--height", &height], "unknown", json!(null), "");
    ask_all(&["--block", &block], "none", json!("caller"), "according to the caller");
    expect(&program, &[&nonsense, "--height", &height], "unknown", "no such transaction, no node");
    // The index holds the coin that it spends: that beats the caller's word, too.
    for said in [&["--height", &height], &["--block", &block]] {
        let row = expect(&program, &[&["--raw-tx", &waiting], &said[..]].concat(), "derived", "raw, no node");
        assert_eq!(row["flagged_inputs"], 1, "{row}");
    }
}

#[test]
fn in_a_file_a_number_means_something_only_where_a_header_names_it() {
    let moved = Moved::new();
    let Moved { before, flagged, stale, .. } = &moved;
    let scene = Scene::of(before).with_list(vec![(flagged.clone(), 0)]);
    let program = scene.program("index");
    program.backfill("");
    let nonsense = Txid::from_byte_array([7; 32]).to_string();
    let (height, block) = (before.height(), before.tip());
    let wrong = before.blocks()[1].block_hash();
    let verdicts = |content: String| -> Vec<String> {
        let file = program.home().join("targets.csv");
        std::fs::write(&file, content).expect("a file of the test");
        let (_, answer) = program.json(&["screen", "--file", text(&file)]);
        let rows = answer["rows"].as_array().unwrap_or_else(|| panic!("{answer}"));
        rows.iter().map(|row| row["verdict"].as_str().expect("a verdict").to_owned()).collect()
    };
    let stale = id(stale);
    // The commonest export there is: an id and the number of an output. Without a header the number may be anything, so it is asked about.
    assert_eq!(verdicts(format!("{nonsense},0\n{stale},0\n")), ["unknown", "unknown"]);
    assert_eq!(verdicts(format!("txid,vout\n{nonsense},0\n{stale},0\n")), ["unknown", "none"]);
    assert_eq!(
        verdicts(format!("txid,height\n{nonsense},0\n{stale},{height}\n{stale},1\n")),
        ["unknown", "none", "unknown"]
    );
    assert_eq!(
        verdicts(format!("txid,block\n{nonsense},{block}\n{stale},{block}\n{stale},{wrong}\n")),
        ["unknown", "none", "unknown"]
    );
}

/// Entries of which one is scanned from a later height only, and what a thief did below it.
struct Late {
    chain: RegtestChain,
    /// Flagged from `from` on.
    late: ScriptBuf,
    /// Flagged from genesis on.
    early: ScriptBuf,
    from: u32,
    /// It spends a coin of the late script, below `from`, to two plain scripts.
    theft: Transaction,
    /// It does the same, and pays the early script: a record.
    recorded: Transaction,
    /// It spends the first output of the theft, above `from`, and pays the early script: a record.
    later: Transaction,
    /// It spends the second output of the theft, above `from`.
    moved: Transaction,
    /// It spends the output of `moved`, and waits.
    waiting: Transaction,
    /// What the theft paid.
    paid: [ScriptBuf; 2],
    /// A coinbase above `from`.
    coinbase: Transaction,
}

impl Late {
    fn new() -> Self {
        let mut chain = RegtestChain::regtest(212);
        // As above.
        let late = chain.script(Shape::P2wsh, 1);
        let [early, a, b, c] = [2, 3, 4, 5].map(|n| chain.script(Shape::P2wpkh, n));
        let coins = chain.mature(2);
        let paid = chain.spend(&coins, &[(late.clone(), 50 * BTC), (late.clone(), 49 * BTC)]);
        chain.mine(vec![paid.clone()]);
        let [first, second] = outpoints(&paid);
        let theft = chain.spend(&[first], &[(a.clone(), 20 * BTC), (b.clone(), 29 * BTC)]);
        let recorded = chain.spend(&[second], &[(early.clone(), BTC), (c.clone(), 47 * BTC)]);
        chain.mine(vec![theft.clone(), recorded.clone()]);
        chain.mine_empty(4);
        let from = chain.height();
        let [stolen, rest] = outpoints(&theft);
        let later = chain.spend(&[stolen], &[(early.clone(), BTC), (c.clone(), 18 * BTC)]);
        let moved = chain.spend(&[rest], &[(c, 28 * BTC)]);
        chain.mine(vec![later.clone(), moved.clone()]);
        let coinbase = chain.blocks()[chain.height() as usize].txdata[0].clone();
        chain.mine_empty(1);
        let waiting = chain.spend(&outpoints::<1>(&moved), &[(a.clone(), 27 * BTC)]);
        Self { chain, late, early, from, theft, recorded, later, moved, waiting, paid: [a, b], coinbase }
    }

    fn list(&self) -> Vec<(ScriptBuf, u32)> {
        vec![(self.late.clone(), self.from), (self.early.clone(), 0)]
    }
}

#[test]
fn below_the_height_of_an_entry_nothing_is_proven_and_since_says_what_is_left_out() {
    let case = Late::new();
    let (from, theft) = (case.from.to_string(), case.from - 4);
    let block = case.chain.blocks()[theft as usize].block_hash().to_string();
    let theft = theft.to_string();
    let raw = [&case.theft, &case.moved, &case.waiting].map(serialize_hex);
    let addresses = case.paid.each_ref().map(|script| format!("script:{}", script.to_hex_string()));
    for (what, node) in nodes(&case.chain) {
        let scene = Scene::on(node, &case.chain).with_list(case.list());
        let program = scene.program("index");
        program.backfill(what);
        scene.node.rpc("sendrawtransaction", json!([raw[2], 0]));
        let ways: Vec<Vec<String>> = [
            vec![id(&case.theft)],
            vec![id(&case.theft), "--block".into(), block.clone()],
            vec![coin(&case.theft, 0)],
            vec![coin(&case.theft, 1)],
            vec![coin(&case.later, 1)],
            vec![id(&case.moved)],
            vec![coin(&case.moved, 0)],
            vec![id(&case.waiting)],
            vec![coin(&case.waiting, 0)],
            vec!["--raw-tx".into(), raw[0].clone()],
            vec!["--raw-tx".into(), raw[1].clone()],
            vec!["--raw-tx".into(), raw[2].clone()],
            vec![addresses[0].clone()],
            vec![addresses[1].clone()],
        ]
        .into();
        for way in &ways {
            let way: Vec<&str> = way.iter().map(String::as_str).collect();
            for said in [&[][..], &["--since", &theft], &["--since", "1"]] {
                let row = expect(&program, &[&way[..], said].concat(), "unknown", what);
                let why = row["why"].as_str().expect("a reason");
                // Without an index of transactions the node doesn't know spent ones.
                assert!(why.contains(&format!("height {from}")) || why.contains("existence"), "{what}: {way:?}: {row}");
            }
            let (code, row) = ask(&program, &[&way[..], &["--since", &from]].concat());
            let says_it = row["why"].as_str().is_some_and(|why| why.starts_with(&format!("from height {from} on: ")));
            let is_unseen = what == "no txindex"
                && row["why"].as_str().is_some_and(|why| why.contains("existence") || why.contains("what it pays"));
            assert!((code == 0 && row["verdict"] == "none" && says_it) || is_unseen, "{what}: {way:?}: {code} {row}");
        }
        // Beside a flagged input no row says none, whatever the caller cares about.
        for said in [&[][..], &["--since", &from]] {
            let row = expect(&program, &[&[coin(&case.recorded, 1).as_str()], said].concat(), "unknown", what);
            assert_eq!(row["flagged_inputs"], 1, "{what}: {row}");
        }
        // New money comes from nowhere.
        let row = expect(&program, &[&coin(&case.coinbase, 0)], "none", what);
        assert_eq!((&row["proven_by"], &row["flagged_inputs"]), (&json!("node"), &json!(0)), "{what}: {row}");
        let (code, answer) = program.json(&["screen", &coin(&case.coinbase, 0), "--since", &from]);
        assert_eq!((code, &answer["since"]), (0, &json!(case.from)), "{what}: {answer}");
    }
}

#[test]
fn a_tainted_coin_beside_an_unknown_one_is_derived_with_what_it_holds_at_least() {
    let moved = Moved::new();
    let Moved { before, flagged, spend, .. } = &moved;
    let scene = Scene::of(before).with_list(vec![(flagged.clone(), 0)]);
    let program = scene.program("index");
    let out = program.run(&["backfill", "--track", "haircut,fifo,lifo,tiho"]);
    assert_eq!(out.code, 0, "{out:?}");
    let lost = OutPoint { txid: Txid::from_byte_array([7; 32]), vout: 0 };
    let mut odd = spend.clone();
    odd.input.push(odd.input[0].clone());
    odd.input[1].previous_output = lost;
    let row = expect(&program, &["--raw-tx", &serialize_hex(&odd)], "derived", "tainted, unknown");
    assert_eq!((&row["bound"], &row["hops"], &row["flagged_inputs"]), (&json!("lower"), &json!(1), &json!(1)), "{row}");
    // 10 BTC are tainted, and 9.5 BTC are paid.
    let taint = &row["taint_sat"];
    assert_eq!(
        (&taint["fifo"], &taint["lifo"], &taint["tiho"]),
        (&json!(19 * BTC / 2), &json!(0), &json!(19 * BTC / 2)),
        "{row}"
    );
    let haircut = taint["haircut"].as_u64().expect("satoshis");
    assert!(haircut > 0 && haircut < 1_000, "{row}");
    assert!(
        row["path"].as_array().is_some_and(|path| path.len() == 2) && row["sources"][0]["label"].is_string(),
        "{row}"
    );
    odd.input.swap(0, 1);
    let row = expect(&program, &["--raw-tx", &serialize_hex(&odd)], "derived", "unknown, tainted");
    assert_eq!((&row["taint_sat"]["fifo"], &row["taint_sat"]["lifo"]), (&json!(0), &json!(19 * BTC / 2)), "{row}");
    // Known to the last coin, it is exact.
    let row = expect(&program, &["--raw-tx", &serialize_hex(spend)], "derived", "tainted");
    assert_eq!((&row["bound"], &row["taint_sat"]["lifo"]), (&json!("exact"), &json!(19 * BTC / 2)), "{row}");
    // And without a known taint an unknown coin is no finding.
    odd.input.remove(1);
    let row = expect(&program, &["--raw-tx", &serialize_hex(&odd)], "unknown", "unknown alone");
    assert_eq!((&row["bound"], &row["taint_sat"]), (&json!(null), &json!(null)), "{row}");
}

#[test]
fn above_the_settled_height_a_coin_is_shown_with_its_whole_transaction() {
    let mut chain = RegtestChain::regtest(213);
    let [flagged, other] = [1, 2].map(|n| chain.script(Shape::P2wpkh, n));
    let coins = chain.mature(2);
    let paid = chain.spend(&coins[..1], &[(flagged.clone(), 10 * BTC), (other.clone(), 39 * BTC)]);
    chain.mine(vec![paid.clone()]);
    let below = chain.height();
    let outputs = [(flagged.clone(), 4 * BTC), (other, 3 * BTC), (flagged.clone(), 2 * BTC)];
    let spend = chain.spend(&outpoints::<1>(&paid), &outputs);
    chain.mine(vec![spend.clone()]);
    for (what, node) in nodes(&chain) {
        let scene = Scene::on(node, &chain).with_list(vec![(flagged.clone(), 0)]);
        let program = scene.program("index");
        let out = program.run(&["backfill", "--to", &below.to_string()]);
        assert!(out.code == 0 || out.code == 3, "{out:?}");
        let (_, whole) = ask(&program, &[&id(&spend)]);
        assert_eq!((&whole["verdict"], &whole["flagged_outputs"]), (&json!("flagged"), &json!(2)), "{what}: {whole}");
        for (vout, verdict, value) in [(0, "flagged", 4), (1, "derived", 3), (2, "flagged", 2)] {
            let row = expect(&program, &[&coin(&spend, vout)], verdict, what);
            for same in ["flagged_inputs", "flagged_outputs", "bound"] {
                assert_eq!(row[same], whole[same], "{what}: {same}: {row}");
            }
            let taint = json!({"haircut": value * BTC, "fifo": value * BTC});
            assert_eq!((&row["taint_sat"], &row["sources"][0]["taint_sat"]), (&taint, &taint), "{what}: {row}");
            assert!(row["path"].as_array().is_some_and(|path| !path.is_empty()), "{what}: {row}");
        }
    }
}

#[test]
fn a_transaction_that_can_never_be_confirmed_is_not_clean() {
    let mut chain = RegtestChain::regtest(214);
    let [flagged, other, third] = [1, 2, 3].map(|n| chain.script(Shape::P2wpkh, n));
    let coins = chain.mature(2);
    let paid = chain.spend(&coins[..1], &[(flagged.clone(), 10 * BTC), (other.clone(), 39 * BTC)]);
    chain.mine(vec![paid.clone()]);
    let [_, change] = outpoints(&paid);
    // The change goes back to the flagged script: a record spends a clean coin.
    let back = chain.spend(&[change], &[(flagged.clone(), 38 * BTC)]);
    chain.mine(vec![back.clone()]);
    chain.mine_empty(1);
    let rival = chain.spend(&[change], &[(third, 38 * BTC)]);
    let scene = Scene::of(&chain).with_list(vec![(flagged, 0)]);
    let program = scene.program("index");
    program.backfill("");
    let row = expect(&program, &["--raw-tx", &serialize_hex(&rival)], "unknown", "a double spend");
    let words = format!("which {} has spent", id(&back));
    assert!(row["why"].as_str().is_some_and(|why| why.contains(&words)), "{row}");
    // Of a recorded transaction the raw one says the same as its id.
    let (_, by_id) = ask(&program, &[&id(&back)]);
    let (_, raw) = ask(&program, &["--raw-tx", &serialize_hex(&back)]);
    assert_eq!(by_id, raw);
    // What a record spends is confirmed, with or without a node.
    let spent = coins[0].to_string();
    let row = expect(&program, &[&spent], "none", "spent in a record");
    assert_eq!(row["proven_by"], "index", "{row}");
    let row = expect(&program, &[&coins[0].txid.to_string()], "none", "an output is spent in a record");
    assert_eq!(row["proven_by"], "index", "{row}");
}
