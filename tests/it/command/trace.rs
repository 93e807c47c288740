//! `trace` as it is typed: the first payments on the real chain, exit codes and formats.

use std::collections::BTreeSet;

use coinhound::trace::Rule;
use serde_json::{Value, json};

use crate::command::exit_codes::check;
use crate::oracle::taint::{self, ListedScript, Question};
use crate::support::coverage::lasting;
use crate::support::records::mainnet;
use crate::support::small_index::{FIRST_PAYMENT, PAYER, SERVICE, SmallIndex, UNLISTED};

const BTC: u64 = 100_000_000;
/// The id of no transaction.
const UNKNOWN_TXID: &str = "0000000000000000000000000000000000000000000000000000000000000007";

/// The rows of a trace's answer, the value of its sources and its fees, by the taint oracle.
fn expected(ask: &Question, listed: &[ListedScript]) -> (Vec<Value>, u64, u64) {
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
fn block_nines_fifty_bitcoins_are_traced() {
    let small = SmallIndex::at(599);
    let (code, answer) = small.program.json(&["trace", PAYER, "--rule", "poison,haircut,fifo", "--rule", "lifo,tiho"]);
    assert_eq!(
        (code, &answer["coverage"]["complete"], &answer["at"]["height"]),
        (0, &json!(true), &json!(599)),
        "{answer}"
    );
    assert_eq!(answer["source"]["coins_sat"], 195 * BTC, "with all change that came back");
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
        let (rows, source, fees) = expected(&ask, &listed);
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
        assert!(heights.contains(&height), "a coin moves at {height}: {heights:?}");
    }
}

#[test]
fn hal_finneys_ten_bitcoins_are_traced_though_no_list_has_them() {
    let small = SmallIndex::at(599);
    let hal = format!("{FIRST_PAYMENT}:0");
    let (code, answer) = small.program.json(&["trace", &hal, "--rule", "fifo"]);
    assert_eq!(
        (code, &answer["source"]["coins"], &answer["source"]["coins_sat"]),
        (0, &json!([hal]), &json!(10 * BTC)),
        "{answer}"
    );
    let (code, answer) = small.program.json(&["trace", FIRST_PAYMENT, "--rule", "fifo", "--at", "175"]);
    assert_eq!(
        (code, &answer["source"]["coins_sat"], &answer["at"]["height"]),
        (0, &json!(50 * BTC), &json!(175)),
        "{answer}"
    );
    assert_eq!(answer["rules"][0]["sum"]["unspent_sat"], 50 * BTC, "{answer}");
}

#[test]
fn gates_tighter_than_the_indexs_leave_their_part_at_the_frontier() {
    let small = SmallIndex::at(599);
    let (_, answer) = small.program.json(&["--max-hops", "0", "trace", PAYER, "--rule", "fifo"]);
    let sum = &answer["rules"][0]["sum"];
    assert_eq!((&answer["gates"]["max_hops"], &sum["source_sat"]), (&json!(0), &json!(50 * BTC)), "{answer}");
    assert_eq!(answer["rules"][0]["frontier"]["max_hops_sat"], sum["frontier_sat"], "{answer}");
    assert!(sum["frontier_sat"].as_u64() > Some(0), "{answer}");
}

#[test]
fn traces_are_printed_in_every_format_with_the_right_exit_code() {
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
        (&["trace", UNKNOWN_TXID], 3, "unknown"),
        (&["trace", &format!("{FIRST_PAYMENT}:2")], 2, "has no output 2"),
        (&["trace", &format!("{FIRST_PAYMENT}:x")], 2, "no address"),
        (&["trace", "label:nope"], 2, "no flagged entry has the label"),
        (&["trace", PAYER, "--rule", "magic"], 2, "use poison, haircut, fifo, lifo or tiho"),
        (&["trace", PAYER, "--stop", "anywhere"], 2, "flagged"),
        (&["trace"], 2, "TARGET"),
    ];
    check(program, &cases);
    let (_, json) = program.json(&["trace", PAYER]);
    let (_, lines) = program.jsonl(&["trace", PAYER]);
    let coins: Vec<&Value> = json["rules"]
        .as_array()
        .expect("rules")
        .iter()
        .flat_map(|rule| rule["coins"].as_array().expect("coins"))
        .collect();
    assert_eq!(lasting(&lines[0]["coverage"]), lasting(&json["coverage"]));
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
        assert!(out.stdout.contains(&FIRST_PAYMENT[..8]), "{format} doesn't show the payment");
    }
}
