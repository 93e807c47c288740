//! `trace` and `screen` as they are typed: the first money that moved on the real chain; what waits in a real node's mempool; exit
//! codes, formats, and a file of targets.

use std::collections::BTreeSet;

use bitcoin::consensus::encode::serialize_hex;
use coinhound::trace::Rule;
use serde_json::{Value, json};

use crate::oracle::taint::{self, ListedScript, Question};
use crate::support::bitcoind::Bitcoind;
use crate::support::chain::RegtestChain;
use crate::support::program::Program;
use crate::support::records::mainnet;
use crate::support::scripts::Shape;
use crate::support::small_index::{FIRST_PAYMENT, PAYER, SERVICE, SmallIndex, UNLISTED};

const BTC: u64 = 100_000_000;
/// Nobody's transaction.
const NOBODY: &str = "0000000000000000000000000000000000000000000000000000000000000007";
/// Block 5's coinbase, which nobody has spent.
const UNTOUCHED: &str = "63522845d294ee9b0188ae5cac91bf389a0c3723f084ca1025e7d9cdfe481ce1";

/// The rows of a trace's answer as the naive tracer has them.
fn naive(ask: &Question, listed: &[ListedScript]) -> (Vec<Value>, u64, u64) {
    let traced = taint::trace(&mainnet(), listed, ask, &|_, _, _| true);
    let mut coins: Vec<_> = traced.coins.iter().filter(|coin| coin.taint > 0).collect();
    coins.sort_by_key(|coin| (!coin.source, coin.made, coin.outpoint.vout));
    let row = |coin: &&taint::OracleCoin| {
        let spent_by = coin.spent_by.map(|(txid, vin, height)| json!({"txid": txid, "vin": vin, "height": height}));
        json!({"outpoint": coin.outpoint, "height": coin.made.map(|made| made.0), "value_sat": coin.value,
            "taint_sat": coin.taint, "hops": coin.hops, "script": coin.script.to_hex_string(), "state": coin.state,
            "spent_by": spent_by})
    };
    (coins.iter().map(row).collect(), traced.source(), traced.fees)
}

#[test]
fn block_nines_fifty_bitcoins_are_followed_to_where_they_are() {
    let small = SmallIndex::at(599);
    let (code, answer) = small.program.json(&["trace", PAYER, "--rule", "poison,haircut,fifo", "--rule", "lifo,tiho"]);
    assert_eq!((code, &answer["coverage"]["complete"], &answer["at"]), (0, &json!(true), &json!(599)), "{answer}");
    assert_eq!(answer["source"]["coins_sat"], 195 * BTC, "with all the change that came back");
    let service = mainnet()[0].txdata[0].output[0].script_pubkey.clone();
    let payer = mainnet()[9].txdata[0].output[0].script_pubkey.clone();
    let listed = [
        ListedScript { script: payer.clone(), flagged: Some(0), service: false, label: String::new() },
        ListedScript {
            script: bitcoin::ScriptBuf::new_p2pkh(&service.p2pk_public_key().expect("a key").pubkey_hash()),
            flagged: None,
            service: true,
            label: String::new(),
        },
    ];
    let mut heights = BTreeSet::new();
    for (rule, found) in Rule::ALL.into_iter().zip(answer["rules"].as_array().expect("rules")) {
        let ask = Question {
            scripts: taint::flagged(&listed),
            outpoints: BTreeSet::new(),
            rule,
            min_taint: 100_000,
            max_hops: None,
            stop_flagged: false,
            at: 599,
        };
        let (rows, source, fees) = naive(&ask, &listed);
        assert_eq!(found["rule"], rule.name());
        let coins = found["coins"].as_array().expect("coins");
        assert_eq!(coins.len(), rows.len(), "{rule}");
        for (coin, expected) in coins.iter().zip(&rows) {
            for (field, value) in expected.as_object().expect("a row") {
                assert_eq!(coin[field], *value, "{rule}: {field} of {coin}");
            }
            heights.extend(coin["spent_by"]["height"].as_u64());
            heights.extend(coin["height"].as_u64());
        }
        let sum = &found["sum"];
        assert_eq!((&sum["source_sat"], &sum["fees_sat"]), (&json!(source), &json!(fees)), "{rule}: {sum}");
        if rule.conserves() {
            assert_eq!(sum["source_sat"], 50 * BTC, "{rule}: fifty, not 195");
            let parts: u64 = sum.as_object().expect("a sum").values().skip(1).filter_map(Value::as_u64).sum();
            assert_eq!(parts, 50 * BTC, "{rule}: {sum}");
        }
    }
    for height in [9, 170, 181, 182, 183, 187, 221, 248, 496] {
        assert!(heights.contains(&height), "the money moves at {height}: {heights:?}");
    }

    // Hal Finney's ten bitcoins, a coin that no list has.
    let hal = format!("{FIRST_PAYMENT}:0");
    let (code, answer) = small.program.json(&["trace", &hal, "--rule", "fifo"]);
    assert_eq!(
        (code, &answer["source"]["coins"], &answer["source"]["coins_sat"]),
        (0, &json!([hal]), &json!(10 * BTC)),
        "{answer}"
    );
    let (code, answer) = small.program.json(&["trace", FIRST_PAYMENT, "--rule", "fifo", "--at", "175"]);
    assert_eq!((code, &answer["source"]["coins_sat"], &answer["at"]), (0, &json!(50 * BTC), &json!(175)), "{answer}");
    assert_eq!(answer["rules"][0]["sum"]["unspent_sat"], 50 * BTC, "{answer}");

    // Tighter gates than the index's, wider ones, and a stop.
    let (_, answer) = small.program.json(&["--max-hops", "0", "trace", PAYER, "--rule", "fifo"]);
    let sum = &answer["rules"][0]["sum"];
    assert_eq!((&answer["gates"]["max_hops"], &sum["source_sat"]), (&json!(0), &json!(50 * BTC)), "{answer}");
    assert_eq!(answer["rules"][0]["frontier"]["max_hops_sat"], sum["frontier_sat"], "{answer}");
    assert!(sum["frontier_sat"].as_u64() > Some(0), "{answer}");
}

#[test]
fn traces_are_told_in_every_format_and_end_with_the_code_of_their_answer() {
    let small = SmallIndex::at(200);
    let (program, coin) = (&small.program, format!("{FIRST_PAYMENT}:0"));
    let cases: [(&[&str], i32, &str); 16] = [
        (&["trace", PAYER], 0, "unspent"),
        (&["trace", PAYER, "--tree"], 0, "└"),
        (&["trace", "all", "--stop", "flagged"], 0, "stopping at other flagged scripts"),
        (&["trace", &coin], 0, "1 source coin"),
        (&["trace", FIRST_PAYMENT, PAYER], 0, "source coins"),
        (&["trace", PAYER, "--at", "100"], 0, "after block 100"),
        (&["trace", PAYER, "--at", "201"], 3, "NOT COMPLETE"),
        (&["trace", UNLISTED], 3, "unknown"),
        (&["trace", SERVICE], 3, "unknown"),
        (&["trace", NOBODY], 3, "unknown"),
        (&["trace", &format!("{FIRST_PAYMENT}:2")], 2, "has no output 2"),
        (&["trace", &format!("{FIRST_PAYMENT}:x")], 2, "no address"),
        (&["trace", "label:nope"], 2, "no flagged entry has the label"),
        (&["trace", PAYER, "--rule", "magic"], 2, "use poison, haircut, fifo, lifo or tiho"),
        (&["trace", PAYER, "--stop", "anywhere"], 2, "flagged"),
        (&["trace"], 2, "TARGET"),
    ];
    for (arguments, code, words) in cases {
        let out = program.run(arguments);
        let said = format!("{}{}", out.stdout, out.stderr);
        assert_eq!(out.code, code, "{arguments:?}: {said}");
        assert!(said.contains(words), "{arguments:?} doesn't say '{words}': {said}");
    }
    let (_, json) = program.json(&["trace", PAYER]);
    let (_, lines) = program.jsonl(&["trace", PAYER]);
    let coins: Vec<&Value> = json["rules"]
        .as_array()
        .expect("rules")
        .iter()
        .flat_map(|rule| rule["coins"].as_array().expect("coins"))
        .collect();
    assert_eq!(lines[0]["coverage"], json["coverage"]);
    assert_eq!(lines[0]["source"], json["source"]);
    for (line, coin) in lines[1..=coins.len()].iter().zip(&coins) {
        assert_eq!((&line["outpoint"], &line["taint_sat"]), (&coin["outpoint"], &coin["taint_sat"]));
    }
    assert_eq!(lines[coins.len() + 1]["rules"][1]["sum"], json["rules"][1]["sum"]);
    let csv = program.run(&["--format", "csv", "trace", PAYER]);
    assert_eq!(csv.stdout.lines().count(), coins.len() + 1, "{}", csv.stdout);
    assert!(csv.stdout.starts_with("rule,outpoint,height,"), "{}", csv.stdout);
    assert!(csv.stderr.contains("\"coverage\""), "{}", csv.stderr);
    for (format, begins) in [("dot", "digraph"), ("graphml", "<?xml"), ("html", "<!doctype html>")] {
        let out = program.run(&["--format", format, "trace", PAYER]);
        let begin: String = out.stdout.chars().take(200).collect::<String>().to_lowercase();
        assert!(out.code == 0 && begin.contains(begins), "{format}: {} {begin}", out.stderr);
        assert!(out.stdout.contains(&FIRST_PAYMENT[..8]), "{format} shows where it went");
    }
}

#[test]
fn screen_finds_what_is_there_proves_what_is_not_and_says_so_by_its_code() {
    let small = SmallIndex::at(200);
    let program = &small.program;
    let (hal, change) = (format!("{FIRST_PAYMENT}:0"), format!("{FIRST_PAYMENT}:1"));
    let untouched = format!("{UNTOUCHED}:0");
    let (code, answer) =
        program.json(&["screen", PAYER, &hal, &change, FIRST_PAYMENT, &untouched, UNTOUCHED, UNLISTED, NOBODY]);
    let column = |name: &str| -> Vec<Value> {
        answer["rows"].as_array().expect("rows").iter().map(|row| row[name].clone()).collect()
    };
    assert_eq!(code, 4, "{answer}");
    assert_eq!(
        column("verdict"),
        ["flagged", "derived", "flagged", "flagged", "none", "none", "none", "unknown"].map(Value::from),
        "{answer}"
    );
    assert_eq!(column("hops")[..4], [0, 1, 0, 0].map(Value::from), "{answer}");
    assert_eq!(column("taint_sat")[1], json!({"haircut": 10 * BTC, "fifo": 10 * BTC}), "{answer}");
    assert_eq!(column("flagged_inputs")[3..6], [json!(1), json!(0), json!(0)], "{answer}");
    assert_eq!(column("flagged_outputs")[3], json!(1), "{answer}");
    let path = column("path")[1].as_array().expect("a path").clone();
    assert_eq!((path.len(), &path[0]), (2, &json!(hal)), "{answer}");
    assert_eq!(column("sources")[1][0]["taint_sat"], json!({"haircut": 10 * BTC, "fifo": 10 * BTC}), "{answer}");
    assert!(
        column("why")[6].as_str().is_some_and(|why| why.contains("another script of the same key is listed")),
        "{answer}"
    );
    assert!(answer["frontier_sat"]["haircut"].is_u64(), "{answer}");

    let nasty = "not a target \u{1b}[2J";
    let file = program.home().join("targets.txt");
    let text = format!(
        "# deposits\n\n{hal}\n  {UNTOUCHED}\n{UNTOUCHED}:0 5\n{UNTOUCHED}:0,9999\n{nasty}\nlabel:nope\n{NOBODY}:1\n"
    );
    std::fs::write(&file, text).expect("the folder is ours");
    let file = file.to_str().expect("a plain path");
    let (code, answer) = program.json(&["screen", "--file", file]);
    let rows = answer["rows"].as_array().expect("rows");
    let verdicts: Vec<&str> = rows.iter().filter_map(|row| row["verdict"].as_str()).collect();
    assert_eq!(
        (code, verdicts),
        (4, vec!["derived", "none", "none", "unknown", "unknown", "unknown", "unknown"]),
        "{answer}"
    );
    assert!(rows[5]["why"].as_str().is_some_and(|why| why.contains("no flagged entry has the label")), "{answer}");
    let table = program.run(&["screen", "--file", file]);
    assert!(!table.stdout.contains('\u{1b}') && table.stdout.contains("7 rows"), "{}", table.stdout);
    assert!(table.stdout.contains("\nfrontier: haircut 0.00000000 BTC, fifo 0.00000000 BTC\n"), "{}", table.stdout);
    let csv = program.run(&["--format", "csv", "screen", "--file", file]);
    assert_eq!(csv.stdout.lines().count(), 8, "{}", csv.stdout);
    let (_, lines) = program.jsonl(&["screen", "--file", file]);
    assert_eq!(lines[1..8], rows[..], "jsonl has the same rows");

    let raw = serialize_hex(&mainnet()[170].txdata[1]);
    let coinbase = serialize_hex(&mainnet()[5].txdata[0]);
    let cases: [(&[&str], i32, &str); 16] = [
        (&["screen", &untouched], 0, "none"),
        (&["screen", UNLISTED], 0, "another script of the same key"),
        (&["screen", SERVICE], 0, "An exchange"),
        (&["screen", NOBODY], 3, "existence not proven"),
        (&["screen", &untouched, NOBODY], 3, "unknown"),
        (&["screen", &hal, NOBODY], 4, "unknown"),
        (&["screen", &untouched, "--height", "5"], 0, "according to --height"),
        (&["screen", &untouched, "--height", "201"], 3, "settled through 200"),
        (&["screen", "--raw-tx", &raw], 4, "flagged"),
        (&["screen", "--raw-tx", &coinbase, "--height", "5"], 0, "none"),
        (&["screen", "--raw-tx", "zz"], 2, "no transaction in hex"),
        (&["screen", "lord"], 2, "nor label:TEXT"),
        (&["screen", "label:nope"], 2, "no flagged entry has the label"),
        (&["screen", "all"], 4, "flagged"),
        (&["screen", "--file", "nowhere.txt"], 1, "nowhere.txt"),
        (&["screen"], 2, "TARGET"),
    ];
    for (arguments, code, words) in cases {
        let out = program.run(arguments);
        let said = format!("{}{}", out.stdout, out.stderr);
        assert_eq!(out.code, code, "{arguments:?}: {said}");
        assert!(said.contains(words), "{arguments:?} doesn't say '{words}': {said}");
    }
}

#[test]
fn what_is_in_the_index_needs_no_node_and_the_rest_is_unknown_without_one() {
    let mut small = SmallIndex::at(200);
    small.node.stop();
    let program = &small.program;
    let (hal, untouched) = (format!("{FIRST_PAYMENT}:0"), format!("{UNTOUCHED}:0"));
    let (code, answer) = program.json(&["screen", &hal, PAYER, UNLISTED, FIRST_PAYMENT, &untouched, UNTOUCHED]);
    let verdicts: Vec<&str> =
        answer["rows"].as_array().expect("rows").iter().filter_map(|row| row["verdict"].as_str()).collect();
    assert_eq!((code, verdicts), (4, vec!["derived", "flagged", "none", "flagged", "unknown", "unknown"]), "{answer}");
    let why = answer["rows"][4]["why"].as_str().expect("a reason");
    assert!(why.contains("the node could not be asked"), "{why}");
    let (code, answer) = program.json(&["screen", &untouched, "--height", "5"]);
    assert_eq!((code, &answer["rows"][0]["verdict"]), (0, &json!("none")), "{answer}");
}

#[test]
fn a_deposit_that_waits_in_the_mempool_is_judged_by_what_it_spends() {
    let mut chain = RegtestChain::regtest(95);
    let flagged = chain.script(Shape::P2wpkh, 1);
    let plain = [2, 3, 4].map(|n| chain.script(Shape::P2wpkh, n));
    let coins = chain.mature(3);
    let pay = chain.spend(&coins[..1], &[(flagged.clone(), 10 * BTC), (plain[0].clone(), 39 * BTC)]);
    let txid = pay.compute_txid();
    chain.mine(vec![pay]);
    chain.mine_empty(1);
    let out = |txid, vout| bitcoin::OutPoint { txid, vout };
    for arguments in [&["-txindex=1"][..], &[]] {
        let node = Bitcoind::regtest_with(arguments);
        chain.submit_to(&node);
        let folder = tempfile::tempdir().expect("a folder for the index");
        let program = Program::new(&node, folder.path().join("index"));
        let program = program.watching(&[(flagged.clone(), 0)]);
        let (code, answer) = program.json(&["backfill"]);
        assert_eq!(code, 0, "{answer}");
        let send =
            |transaction: &bitcoin::Transaction| node.rpc("sendrawtransaction", json!([serialize_hex(transaction), 0]));
        // Flagged money goes on, is mixed with clean money, and is deposited; a clean deposit beside it.
        let first = chain.spend(&[out(txid, 0)], &[(plain[1].clone(), 10 * BTC - 1_000)]);
        let mixed = chain.spend(&[out(first.compute_txid(), 0), coins[1]], &[(plain[2].clone(), 50 * BTC)]);
        let clean = chain.spend(&coins[2..3], &[(plain[2].clone(), 49 * BTC)]);
        let mut lonely = mixed.clone();
        lonely.input[0].previous_output.txid = NOBODY.parse().expect("an id");
        for transaction in [&first, &mixed, &clean] {
            send(transaction);
        }
        let id = |transaction: &bitcoin::Transaction| transaction.compute_txid().to_string();
        let (code, answer) = program.json(&[
            "screen",
            &id(&mixed),
            &id(&clean),
            &format!("{}:0", id(&first)),
            &format!("{}:1", id(&clean)),
        ]);
        let rows = answer["rows"].as_array().expect("rows");
        let verdicts: Vec<&str> = rows.iter().filter_map(|row| row["verdict"].as_str()).collect();
        assert_eq!((code, verdicts), (4, vec!["derived", "none", "derived", "unknown"]), "{arguments:?}: {answer}");
        assert_eq!(rows[0]["taint_sat"]["fifo"], 10 * BTC - 1_000, "{arguments:?}: {answer}");
        assert_eq!(
            rows[0]["path"],
            json!([out(mixed.compute_txid(), 0), out(first.compute_txid(), 0), out(txid, 0)]),
            "{answer}"
        );
        assert_eq!((&rows[0]["hops"], &rows[0]["flagged_inputs"]), (&json!(2), &json!(0)), "{arguments:?}: {answer}");
        assert!(rows[1]["why"].as_str().is_some_and(|why| why.contains("not confirmed yet")), "{answer}");
        let (code, answer) = program.json(&["screen", "--raw-tx", &serialize_hex(&lonely)]);
        assert_eq!((code, &answer["rows"][0]["verdict"]), (3, &json!("unknown")), "{arguments:?}: {answer}");
        // Confirmed above what is settled: nothing more is proven than before.
        let waiting = [first, mixed.clone(), clean.clone()];
        let mut longer = chain.clone();
        longer.mine(waiting.to_vec());
        node.submit(&longer.blocks()[longer.height() as usize]);
        // The node's index of transactions follows by itself.
        let follows = |index: &Value| index["best_block_height"] == longer.height();
        while !node.rpc("getindexinfo", json!([])).as_object().expect("indexes").values().all(follows) {
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        let (code, answer) = program.json(&["screen", &format!("{}:0", id(&mixed)), &format!("{}:0", id(&clean))]);
        let rows = answer["rows"].as_array().expect("rows");
        let found = if arguments.is_empty() { ("unknown", 3) } else { ("derived", 4) };
        assert_eq!((rows[0]["verdict"].as_str(), code), (Some(found.0), found.1), "{arguments:?}: {answer}");
        assert_eq!(rows[1]["verdict"], "unknown", "{arguments:?}: {answer}");
        assert_eq!(program.json(&["backfill"]).0, 0);
        let (_, answer) = program.json(&["screen", &format!("{}:0", id(&mixed)), &format!("{}:0", id(&clean))]);
        let verdicts: Vec<&str> =
            answer["rows"].as_array().expect("rows").iter().filter_map(|row| row["verdict"].as_str()).collect();
        assert_eq!(verdicts, ["derived", "none"], "{arguments:?}: {answer}");
    }
}

#[test]
fn what_lies_below_the_height_that_is_scanned_from_is_unknown_by_every_way_to_ask() {
    let small = SmallIndex::with_options(200, ",from=100");
    small.backfill();
    let program = &small.program;
    let untouched = format!("{UNTOUCHED}:0");
    let coinbase = &mainnet()[5].txdata[0];
    let raw = serialize_hex(coinbase);
    let script = format!("script:{}", coinbase.output[0].script_pubkey.to_hex_string());
    let file = program.home().join("targets.txt");
    let text = format!("{UNTOUCHED}\n{untouched}\n{untouched} 5\n{UNTOUCHED},5\n{script}\n");
    std::fs::write(&file, text).expect("the folder is ours");
    let file = file.to_str().expect("a plain path");
    let ways: [(&[&str], usize); 8] = [
        (&["screen", UNTOUCHED], 1),
        (&["screen", &untouched], 1),
        (&["screen", UNTOUCHED, "--height", "5"], 1),
        (&["screen", &untouched, "--height", "5"], 1),
        (&["screen", "--raw-tx", &raw], 1),
        (&["screen", "--raw-tx", &raw, "--height", "5"], 1),
        (&["screen", &script], 1),
        (&["screen", "--file", file], 5),
    ];
    for (arguments, count) in ways {
        let (code, answer) = program.json(arguments);
        let rows = answer["rows"].as_array().expect("rows");
        let unknown = rows.iter().filter(|row| row["verdict"] == "unknown" && row["taint_sat"].is_null()).count();
        assert_eq!((code, unknown, rows.len()), (3, count, count), "{arguments:?}: {answer}");
    }
    // What the index holds is found, wherever it lies.
    let (code, answer) = program.json(&["screen", FIRST_PAYMENT]);
    assert_eq!((code, &answer["rows"][0]["verdict"]), (4, &json!("flagged")), "{answer}");
}
