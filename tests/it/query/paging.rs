//! Pages of `history` and `coins` list every row once, at any page size, and every format has the same rows.

use serde_json::{Value, json};

use crate::oracle::answers::{assert_rows, rows};
use crate::support::coverage::lasting;
use crate::support::program::Program;
use crate::support::scene::Scene;

const TIP: u32 = 130;

/// An index of a chain, with coins that are older than their script's flag too, and the rows that it must answer with.
struct Indexed {
    program: Program,
    history: Vec<Value>,
    coins: Vec<Value>,
    _scene: Scene,
}

impl Indexed {
    fn new() -> Self {
        let mut scene = Scene::regtest(7, TIP, 40);
        // Every third script is flagged from a height where its coins are being spent already.
        (0..).zip(&mut scene.list).for_each(|(n, (_, from))| *from = if n % 3 == 0 { 110 } else { 0 });
        let program = scene.program("index");
        program.backfill("the index");
        let (expected, all) = (scene.answers(TIP), scene.scripts());
        let (history, coins) = (expected.history(&all), expected.coins(&all));
        assert!(coins.iter().any(|coin| coin["height"].is_null()), "no coin is older than its script's flag");
        assert!(history.len() > 60, "only {} rows of history", history.len());
        Self { program, history, coins, _scene: scene }
    }

    fn rows_of(&self, command: &str) -> &[Value] {
        if command == "history" { &self.history } else { &self.coins }
    }

    /// The first `wanted` rows of `arguments`, read in pages of at most `limit` rows; there are `total` rows in all.
    fn read_pages(&self, arguments: &[&str], limit: usize, wanted: usize, total: usize) -> Vec<Value> {
        let (mut found, mut cursor) = (Vec::new(), None::<String>);
        let size = limit.to_string();
        while found.len() < wanted {
            let after: Vec<&str> = cursor.iter().flat_map(|cursor| ["--after", cursor]).collect();
            let (_, answer) = self.program.json(&[arguments, &["--limit", &size], &after].concat());
            let page = rows(&answer);
            assert!(!page.is_empty() && page.len() <= limit, "{arguments:?}, {after:?}: {} rows", page.len());
            found.extend_from_slice(page);
            cursor = answer["next"].as_str().map(str::to_owned);
            assert_eq!(cursor.is_some(), found.len() < total, "{arguments:?}: a cursor if more rows follow");
        }
        found
    }
}

#[test]
fn pages_of_any_size_hold_every_row_once() {
    let indexed = Indexed::new();
    for command in ["history", "coins"] {
        let expected = indexed.rows_of(command);
        let total = expected.len();
        for limit in [1, 2, 7, total - 1, total, total + 1] {
            // One row a page is slow, and some dozens of pages show it.
            let wanted = if limit == 1 { 45 } else { total };
            let found = indexed.read_pages(&[command, "all"], limit, wanted, total);
            assert_rows(&found, &expected[..found.len()], &format!("{command} in pages of {limit}"));
        }
        // An empty page has no cursor, and would look like the end.
        let empty = indexed.program.json(&[command, "all", "--limit", "0"]);
        assert_eq!(empty.0, 2, "{command} in pages of 0");
    }
}

#[test]
fn unspent_coins_are_paged_alike() {
    let indexed = Indexed::new();
    let unspent: Vec<_> = indexed.coins.iter().filter(|coin| coin["state"] == "unspent").cloned().collect();
    let found = indexed.read_pages(&["coins", "all", "--unspent"], 5, unspent.len(), unspent.len());
    assert_rows(&found, &unspent, "unspent coins");
}

#[test]
fn every_format_has_the_same_rows() {
    let indexed = Indexed::new();
    for command in ["history", "coins", "balance"] {
        let (code, answer) = indexed.program.json(&[command, "all"]);
        let expected = rows(&answer);
        if command != "balance" {
            assert_rows(expected, indexed.rows_of(command), command);
        }
        let (jsonl_code, lines) = indexed.program.jsonl(&[command, "all"]);
        assert_eq!(jsonl_code, code, "{command}");
        assert_eq!(lasting(&lines[0]["coverage"]), lasting(&answer["coverage"]), "{command}: the coverage comes first");
        let end = 1 + expected.len();
        assert_rows(&lines[1..end], expected, &format!("{command} as jsonl"));
        assert!(lines[end..].iter().all(|line| line.get("txid").or(line.get("script")).is_none()), "{command}");

        let out = indexed.program.run(&["--format", "csv", command, "all"]);
        assert_eq!(out.code, code, "{command}: {}", out.stderr);
        assert_csv(&out.stdout, expected, command);
        let side: Value = out.stderr.lines().rev().find_map(|line| serde_json::from_str(line).ok()).expect("coverage");
        assert_eq!(
            lasting(&side["coverage"]),
            lasting(&answer["coverage"]),
            "{command}: CSV's coverage goes to stderr"
        );

        let table = indexed.program.run(&[command, "all"]);
        assert_eq!(table.code, code, "{command}");
        assert!(table.stdout.contains(&format!("\n{} rows\n", expected.len())), "{command}: {}", table.stdout);
    }
}

/// Panics unless each cell of a CSV has the value of its row's field, with labels joined.
fn assert_csv(text: &str, expected: &[Value], command: &str) {
    let mut csv = csv::Reader::from_reader(text.as_bytes());
    let header = csv.headers().expect("a header").clone();
    let records: Vec<_> = csv.records().map(|record| record.expect("CSV")).collect();
    assert_eq!(records.len(), expected.len(), "{command} as CSV");
    for (record, row) in records.iter().zip(expected) {
        for (field, cell) in header.iter().zip(record) {
            let text = match field.split('.').fold(row, |value, name| &value[name]) {
                Value::Null => String::new(),
                Value::String(text) => text.clone(),
                Value::Array(texts) => texts.iter().filter_map(Value::as_str).collect::<Vec<_>>().join("; "),
                other => other.to_string(),
            };
            assert_eq!(cell, text, "{command} as CSV: {field} of {row}");
        }
    }
}

#[test]
fn a_text_that_is_no_cursor_is_wrong_usage() {
    let indexed = Indexed::new();
    for cursor in ["", "1", "1.2.3", "1.2.3.4.5", "a.b.c.d", "1.2.300.4", "-1.0.0.0"] {
        for command in ["history", "coins"] {
            let (code, answer) = indexed.program.json(&[command, "all", &format!("--after={cursor}")]);
            assert_eq!(code, 2, "{command} '{cursor}': {answer}");
        }
    }
    let (code, answer) = indexed.program.json(&["history", "all", "--after", "4294967295.0.0.0"]);
    assert_eq!((code, rows(&answer).len(), &answer["next"]), (0, 0, &json!(null)), "past the end");
}
