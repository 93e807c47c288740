//! Pages of `history` and `coins` walk through every row once, at any page size; and all formats say the same.

use bitcoin::Network;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::oracle::answers::{Answers, assert_rows, rows, scripts, write_list};
use crate::support::bitcoind::Bitcoind;
use crate::support::program::Program;
use crate::support::random::{self, Rng};

const TIP: u32 = 130;

/// A chain in an index, with coins older than the lists' heights too; the rows it must answer with.
struct Scene {
    program: Program,
    history: Vec<Value>,
    coins: Vec<Value>,
    _node: Bitcoind,
    _dir: TempDir,
}

impl Scene {
    fn new() -> Self {
        let chain = random::chain(7, TIP);
        // Every third starts where coins are spent already.
        let drawn = random::watchlist(&chain, &mut Rng::new(7), 40).into_iter().zip(0..);
        let list: Vec<_> = drawn.map(|((script, _), n)| (script, if n % 3 == 0 { 110 } else { 0 })).collect();
        let node = Bitcoind::regtest();
        chain.submit_to(&node);
        let dir = tempfile::tempdir().expect("a folder for the index");
        let program = Program::new(&node, dir.path().join("index"));
        let watch = write_list(&program, &list);
        let program = program.with(&["--watch", &watch]);
        assert_eq!(program.json(&["backfill"]).0, 0);
        let expected = Answers::at(chain.blocks(), Network::Regtest, &list, TIP);
        let all = scripts(&list);
        let (history, coins) = (expected.history(&all), expected.coins(&all));
        assert!(coins.iter().any(|coin| coin["height"].is_null()) && history.len() > 60, "a chain worth the name");
        Self { program, history, coins, _node: node, _dir: dir }
    }

    fn rows_of(&self, command: &str) -> &[Value] {
        if command == "history" { &self.history } else { &self.coins }
    }
}

#[test]
fn pages_of_any_size_hold_every_row_once() {
    let scene = Scene::new();
    for command in ["history", "coins"] {
        let expected = scene.rows_of(command);
        for limit in [1, 2, 7, expected.len() - 1, expected.len(), expected.len() + 1] {
            let (mut found, mut cursor) = (Vec::new(), None);
            let size = limit.to_string();
            // One a page is slow; some dozens of pages show it.
            let wanted = if limit == 1 { 45 } else { expected.len() };
            while found.len() < wanted {
                let mut arguments = vec![command, "all", "--limit", &size];
                arguments.extend(cursor.iter().flat_map(|cursor: &String| ["--after", cursor]));
                let (_, answer) = scene.program.json(&arguments);
                let page = rows(&answer);
                assert!(!page.is_empty() && page.len() <= limit, "{command} by {limit}");
                found.extend_from_slice(page);
                cursor = answer["next"].as_str().map(str::to_owned);
                assert_eq!(
                    cursor.is_some(),
                    found.len() < expected.len(),
                    "{command} by {limit}: a page follows or not"
                );
            }
            assert_rows(&found, &expected[..found.len()], &format!("{command} by {limit}"));
        }
        // A page of nothing has no cursor, and would look like the end.
        assert_eq!(scene.program.json(&[command, "all", "--limit", "0"]).0, 2, "{command} by 0");
    }
}

#[test]
fn unspent_coins_are_paged_alike() {
    let scene = Scene::new();
    let unspent: Vec<_> = scene.coins.iter().filter(|coin| coin["state"] == "unspent").cloned().collect();
    let (mut found, mut cursor) = (Vec::new(), None);
    while found.len() < unspent.len() {
        let mut arguments = vec!["coins", "all", "--unspent", "--limit", "5"];
        arguments.extend(cursor.iter().flat_map(|cursor: &String| ["--after", cursor]));
        let (_, answer) = scene.program.json(&arguments);
        found.extend_from_slice(rows(&answer));
        cursor = answer["next"].as_str().map(str::to_owned);
        assert_eq!(cursor.is_some(), found.len() < unspent.len());
    }
    assert_rows(&found, &unspent, "unspent coins");
}

#[test]
fn every_format_has_the_same_rows() {
    let scene = Scene::new();
    for command in ["history", "coins", "balance"] {
        let (code, answer) = scene.program.json(&[command, "all"]);
        let expected = rows(&answer);
        if command != "balance" {
            assert_rows(expected, scene.rows_of(command), command);
        }
        let (jsonl_code, lines) = scene.program.jsonl(&[command, "all"]);
        assert_eq!(jsonl_code, code, "{command}");
        assert_eq!(lines[0]["coverage"], answer["coverage"], "{command}: the coverage comes first");
        let end = 1 + expected.len();
        assert_rows(&lines[1..end], expected, &format!("{command} as jsonl"));
        assert!(lines[end..].iter().all(|line| line.get("txid").or(line.get("script")).is_none()), "{command}");

        let out = scene.program.run(&["--format", "csv", command, "all"]);
        assert_eq!(out.code, code, "{command}: {}", out.stderr);
        let mut csv = csv::Reader::from_reader(out.stdout.as_bytes());
        let header = csv.headers().expect("a header").clone();
        let records: Vec<_> = csv.records().map(|record| record.expect("CSV")).collect();
        assert_eq!(records.len(), expected.len(), "{command} as CSV");
        for (record, row) in records.iter().zip(expected) {
            for (field, cell) in header.iter().zip(record) {
                let value = field.split('.').fold(row, |value, name| &value[name]);
                let text = match value {
                    Value::Null => String::new(),
                    Value::String(text) => text.clone(),
                    Value::Array(texts) => {
                        let texts: Vec<_> = texts.iter().filter_map(Value::as_str).collect();
                        texts.join("; ")
                    }
                    other => other.to_string(),
                };
                assert_eq!(cell, text, "{command} as CSV: {field} of {row}");
            }
        }
        let side: Value = out.stderr.lines().rev().find_map(|line| serde_json::from_str(line).ok()).expect("coverage");
        assert_eq!(side["coverage"], answer["coverage"], "{command}: CSV's coverage goes to stderr");

        let table = scene.program.run(&[command, "all"]);
        assert_eq!(table.code, code, "{command}");
        assert!(table.stdout.contains(&format!("\n{} rows\n", expected.len())), "{command}: {}", table.stdout);
    }
}

#[test]
fn a_cursor_that_is_none_is_wrong_usage() {
    let scene = Scene::new();
    for cursor in ["", "1", "1.2.3", "1.2.3.4.5", "a.b.c.d", "1.2.300.4", "-1.0.0.0"] {
        for command in ["history", "coins"] {
            let (code, answer) = scene.program.json(&[command, "all", &format!("--after={cursor}")]);
            assert_eq!(code, 2, "{command} '{cursor}': {answer}");
        }
    }
    let (code, answer) = scene.program.json(&["history", "all", "--after", "4294967295.0.0.0"]);
    assert_eq!((code, rows(&answer).len(), &answer["next"]), (0, 0, &json!(null)), "past the end");
}
