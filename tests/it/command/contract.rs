//! What docs/cli.md fixes for scripts: every field of every answer, where coverage stands in each format, and safe text.

use serde_json::{Value, json};

use crate::support::coverage::{ask_with_node, lasting};
use crate::support::small_index::{BLOCK_170, FIRST_PAYMENT, NASTY, PAYER, SmallIndex, UNLISTED};

/// Panics unless `value` has every field of `shape`, each of the kind that the shape names; more fields are allowed.
///
/// A `?` at the end of a kind allows null. An array has the shape of its elements, of which there must be at least one.
fn assert_shape(value: &Value, shape: &Value, path: &str) {
    match shape {
        Value::Object(fields) => fields.iter().for_each(|(name, shape)| {
            let field = value.get(name).unwrap_or_else(|| panic!("{path} has no field {name}: {value}"));
            assert_shape(field, shape, &format!("{path}.{name}"));
        }),
        Value::Array(shapes) => {
            let values = value.as_array().unwrap_or_else(|| panic!("{path} is no array: {value}"));
            assert!(!values.is_empty(), "{path} has no element to look at");
            values.iter().for_each(|value| assert_shape(value, &shapes[0], &format!("{path}[]")));
        }
        Value::String(kind) => assert_kind(value, kind, path),
        exactly => assert_eq!(value, exactly, "{path}"),
    }
}

fn assert_kind(value: &Value, kind: &str, path: &str) {
    let optional = kind.strip_suffix('?');
    if optional.is_some() && value.is_null() {
        return;
    }
    let is_hex = |text: &str| {
        text.len().is_multiple_of(2) && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
    };
    let text = value.as_str();
    let fits = match optional.unwrap_or(kind) {
        "number" => value.is_u64(),
        "seconds" => value.is_number(),
        "bool" => value.is_boolean(),
        "text" => text.is_some(),
        "hex" => text.is_some_and(is_hex),
        "hash" => text.is_some_and(|text| text.len() == 64 && is_hex(text)),
        "outpoint" => text.is_some_and(|text| text.split_once(':').is_some_and(|(txid, _)| txid.len() == 64)),
        "texts" => value.as_array().is_some_and(|texts| texts.iter().all(Value::is_string)),
        "array" => value.is_array(),
        "object" => value.is_object(),
        other => panic!("no kind is called {other}"),
    };
    assert!(fits, "{path} should be {kind}: {value}");
}

fn coverage() -> Value {
    json!({"chain": "text", "from": "number?", "through": "number?", "tip": "hash?", "tip_time": "number?",
        "age_s": "number?", "lag": "number?", "complete": "bool", "why": "texts",
        "lists": "hash", "lists_changed": "bool", "quarantined": "number", "gaps": "array",
        "trace": {"rules": "texts", "min_taint_sat": "number", "max_hops": "number?", "settled": "number?"}})
}

/// Every question with the shape of its answer.
fn questions() -> Vec<(Vec<&'static str>, Value)> {
    let script = |mut shape: Value| {
        let more = json!({"script": "hex", "address": "text?", "labels": "texts"});
        shape.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        shape
    };
    let balance = script(json!({"received_sat": "number?", "sent_sat": "number?", "balance_sat": "number?",
        "coins": "number?", "unspent": "number?", "first_height": "number?", "last_height": "number?"}));
    let history = script(json!({"height": "number", "block": "hash", "time": "number", "txid": "hash",
        "tx_index": "number", "kind": "text", "outpoint": "outpoint", "vin": "number?", "value_sat": "number",
        "balance_sat": "number?"}));
    let coins = script(json!({"outpoint": "outpoint", "height": "number?", "value_sat": "number",
        "coinbase": "bool?", "state": "text"}));
    let taint = json!({"haircut": "number", "fifo": "number"});
    let input = script(json!({"outpoint": "outpoint", "value_sat": "number", "taint_sat": taint}));
    let output = script(json!({"vout": "number", "value_sat": "number", "taint_sat": taint, "state": "text"}));
    let coin = script(json!({"outpoint": "outpoint", "height": "number?", "time": "number?", "value_sat": "number",
        "taint_sat": "number", "carried_sat": "number", "hops": "number", "state": "text"}));
    let sum = json!({"source_sat": "number", "unspent_sat": "number", "unspendable_sat": "number",
        "fees_sat": "number", "service_sat": "number", "flagged_sat": "number", "frontier_sat": "number"});
    let verdict = json!({"target": "text", "verdict": "text", "labels": "texts", "hops": "number?",
        "value_sat": "number?", "taint_sat": taint, "sources": "array", "path": "texts",
        "flagged_inputs": "number?", "flagged_outputs": "number?", "same_key": "array", "bound": "text?",
        "proven_by": "text?", "share": "object?", "below_threshold": "bool",
        "cut_coins": "array", "cut_sat": null, "why": "text"});
    vec![
        (
            vec!["status"],
            json!({"tip": {"height": 200, "hash": "hash", "time": "number"},
                "node": {"height": 200, "version": "text"}, "lag": 0, "entries": {"flagged": 1, "service": 1},
                "records": "number", "records_per_1000_blocks": "number", "touches": "number", "followed": "number", "live": "number",
                "index": {"path": "text", "format": 2, "bytes": "number"}}),
        ),
        (vec!["balance", PAYER], json!({"rows": [balance], "total_sat": "number?"})),
        (vec!["balance", UNLISTED], json!({"rows": [balance], "total_sat": null})),
        (vec!["history", PAYER], json!({"rows": [history]})),
        (vec!["coins", PAYER], json!({"rows": [coins]})),
        (
            vec!["tx", FIRST_PAYMENT],
            json!({"txid": "hash", "height": 170, "block": "hash", "time": "number", "tx_index": 1, "fee_sat": 0,
                "inputs": [input], "outputs": [output]}),
        ),
        (
            vec!["trace", PAYER],
            json!({"source": {"target": "text", "coins": ["outpoint"], "coins_sat": "number"},
                "at": {"height": 200, "hash": "hash", "time": "number"},
                "rules": [{"rule": "text", "coins": [coin], "sum": sum,
                    "frontier": {"anyone_can_spend_sat": "number", "max_hops_sat": "number",
                        "below_min_taint_sat": "number", "too_fragmented_sat": "number", "not_followed_sat": "number"},
                    "services": "array", "transactions": [{"txid": "hash", "height": "number", "tx_index": "number",
                        "time": "number", "inputs": [{"outpoint": "outpoint", "vin": "number", "taint_sat": "number"}],
                        "fees_sat": "number"}]}]}),
        ),
        (vec!["screen", FIRST_PAYMENT, PAYER], json!({"since": null, "gates": {"min_taint_sat": 100_000, "max_hops": null}, "frontier_sat": taint,
                "rows": [verdict], "tally": {"flagged": 2, "derived": 0, "same_key": 0, "unknown": 0, "none": 0,
                    "below_threshold": 0}})),
        (vec!["digest"], json!({"at": {"height": 200, "hash": "hash", "time": "number"}, "digest": "hash"})),
        (
            vec!["watch", "list"],
            json!({"rows": [{"script": "hex", "address": "text?", "roles": "texts", "from": 0, "through": 200,
                "labels": [{"list": "text", "role": "text", "line": "number"}]}]}),
        ),
    ]
    .into_iter()
    .map(|(arguments, mut shape)| {
        shape["coverage"] = coverage();
        (arguments, shape)
    })
    .collect()
}

#[test]
fn every_answer_has_every_field_of_the_contract() {
    let small = SmallIndex::without_index(200);
    let (code, answer) = small.program.json(&["backfill"]);
    assert_eq!(code, 0, "{answer}");
    let shape = json!({"coverage": coverage(), "from": 0, "through": 200, "blocks": 201, "blocks_read": 201,
        "lanes": ["text"], "touches": "number", "seconds": "seconds"});
    assert_shape(&answer, &shape, "backfill");
    for (arguments, shape) in questions() {
        let (_, answer) = if arguments == ["status"] {
            ask_with_node(&small.program, &arguments)
        } else {
            small.program.json(&arguments)
        };
        assert_shape(&answer, &shape, &arguments.join(" "));
    }
    std::fs::write(small.program.home().join("bad.txt"), format!("{UNLISTED} x\n{UNLISTED} x\nrubbish\n"))
        .expect("a file of the test");
    let (_, answer) = small.program.json(&["watch", "check", "bad.txt"]);
    let row = json!({"line": 3, "text": "text", "reason": "text"});
    let shape = json!({"files": [{"path": "text", "format": "text", "sha256": "hash", "rows": 3, "accepted": 1,
        "duplicates": 1, "other_chain": 0, "remarks": 0, "remarks_with_target": 0, "hidden": 0, "quarantined": [row]}]});
    assert_shape(&answer, &shape, "watch check");
    assert_eq!(answer["files"][0]["quarantined"][0]["text"], "rubbish");
}

#[test]
fn a_missing_range_is_a_gap_with_its_lists() {
    let small = SmallIndex::at(50);
    let (code, answer) = small.program.json(&["history", PAYER, "--at", "60"]);
    assert_eq!(code, 3);
    assert_eq!(
        answer["coverage"]["gaps"],
        json!([{"from": 51, "through": 60, "entries": 1, "lists": ["flagged.csv"]}])
    );
    assert_eq!(answer["coverage"]["complete"], false);
}

#[test]
fn the_first_payment_has_its_known_facts() {
    let small = SmallIndex::at(200);
    let (_, tx) = small.program.json(&["tx", FIRST_PAYMENT]);
    assert_eq!(
        (&tx["txid"], &tx["block"], &tx["time"]),
        (&json!(FIRST_PAYMENT), &json!(BLOCK_170), &json!(1_231_731_025))
    );
    let values: Vec<_> = tx["outputs"].as_array().expect("rows").iter().map(|row| row["value_sat"].clone()).collect();
    assert_eq!(values, [json!(1_000_000_000u64), json!(4_000_000_000u64)]);
    let coinbase = "0437cd7f8525ceed2324359c2d0ba26006d92d856a9c20fa0241106ee5a597c9:0";
    assert_eq!(tx["inputs"][0]["outpoint"], coinbase);
    let (_, history) = small.program.json(&["history", PAYER, "--limit", "3"]);
    let rows = history["rows"].as_array().expect("rows");
    let printed: Vec<_> =
        rows.iter().map(|row| (row["height"].as_u64(), row["kind"].as_str(), row["vin"].clone())).collect();
    // Within one block money goes out before it comes in.
    let expected = [
        (Some(9), Some("funding"), json!(null)),
        (Some(170), Some("spending"), json!(0)),
        (Some(170), Some("funding"), json!(null)),
    ];
    assert_eq!(printed, expected);
    assert_eq!((&rows[0]["outpoint"], &rows[1]["outpoint"]), (&json!(coinbase), &json!(coinbase)));
    assert_eq!(rows[2]["balance_sat"], 4_000_000_000u64);
    let (_, coins) = small.program.json(&["coins", PAYER, "--limit", "1"]);
    let spent_by = json!({"txid": FIRST_PAYMENT, "vin": 0, "height": 170});
    assert_eq!((&coins["rows"][0]["state"], &coins["rows"][0]["spent_by"]), (&json!("spent"), &spent_by));
}

#[test]
fn pages_put_together_are_the_whole_answer() {
    let small = SmallIndex::at(200);
    for question in ["history", "coins"] {
        let (_, whole) = small.program.json(&[question, "all"]);
        let whole = whole["rows"].as_array().expect("rows").clone();
        for size in ["1", "2", "3"] {
            let (mut rows, mut next) = (Vec::new(), None::<String>);
            loop {
                let after = next.iter().flat_map(|cursor| ["--after", cursor]);
                let arguments: Vec<_> = [question, "all", "--limit", size].into_iter().chain(after).collect();
                let (code, page) = small.program.json(&arguments);
                assert_eq!(code, 0, "{page}");
                rows.extend(page["rows"].as_array().expect("rows").clone());
                match page["next"].as_str() {
                    Some(cursor) => next = Some(cursor.to_owned()),
                    None => break,
                }
            }
            assert_eq!(rows, whole, "{question} by {size}");
        }
    }
}

#[test]
fn coverage_has_its_place_in_every_format() {
    let small = SmallIndex::at(200);
    for (arguments, _) in questions() {
        let (_, json) = small.program.json(&arguments);
        let (_, lines) = small.program.jsonl(&arguments);
        assert_eq!(lasting(&lines[0]["coverage"]), lasting(&json["coverage"]), "{arguments:?}");
        if let Some(rows) = json["rows"].as_array() {
            assert_eq!(lines[1..=rows.len()], rows[..], "{arguments:?}");
        }
        let csv = small.program.run(&[&["--format", "csv"], &arguments[..]].concat());
        let side = csv.stderr.lines().find_map(|line| serde_json::from_str::<Value>(line).ok());
        let side = side.expect("a line of JSON");
        assert_eq!(lasting(&side["coverage"]), lasting(&json["coverage"]), "{arguments:?}");
        assert!(!csv.stdout.contains("min_taint_sat"), "{arguments:?}: {}", csv.stdout);
        let table = small.program.run(&arguments).stdout;
        let foot = table.lines().rfind(|line| !line.starts_with(' ')).unwrap_or_default();
        assert!(foot.starts_with("coverage: main "), "{arguments:?}: {table}");
    }
}

#[test]
fn hostile_labels_are_escaped_in_tables_disarmed_in_csv_raw_in_json() {
    let small = SmallIndex::at(200);
    let mut shown = 0;
    for arguments in [
        &["balance", "all"][..],
        &["history", "all"],
        &["coins", "all"],
        &["tx", FIRST_PAYMENT],
        &["watch", "list"],
        &["trace", "all"],
        &["trace", "all", "--tree"],
        &["screen", PAYER, FIRST_PAYMENT],
    ] {
        let table = small.program.run(arguments);
        for out in [&table.stdout, &table.stderr] {
            assert!(!out.contains(['\u{1b}', '\u{202e}']), "{arguments:?}: {out:?}");
        }
        assert!(table.stdout.contains("\\u{1b}[2J\\u{202e}evil"), "{arguments:?}");
        if arguments.contains(&"--tree") {
            continue;
        }
        let json = small.program.json(arguments).1.to_string();
        assert!(json.contains(&json!(NASTY).to_string()), "{arguments:?}: {json}");
        let csv = small.program.run(&[&["--format", "csv"], arguments].concat()).stdout;
        for record in csv::Reader::from_reader(csv.as_bytes()).records() {
            for cell in record.expect("CSV").iter() {
                assert!(!cell.starts_with(['=', '+', '-', '@', '\t', '\r']), "{arguments:?}: {cell}");
                shown += usize::from(cell.starts_with("'="));
            }
        }
    }
    assert!(shown >= 5, "only {shown} labels with an apostrophe in CSV");
    let out = small.program.run(&["balance", "label:\u{1b}[31mred\u{202e}"]);
    assert!(out.code == 2 && !out.stderr.contains(['\u{1b}', '\u{202e}']), "{:?}", out.stderr);
}

#[test]
fn help_shows_only_what_works() {
    let small = SmallIndex::without_index(0);
    let commands = [
        "check", "watch", "backfill", "follow", "status", "balance", "history", "coins", "tx", "trace", "screen",
        "events", "digest", "verify", "retrace", "backup",
    ];
    let missing = ["export", "evidence", "man", "completions"];
    let listed = |text: &str, name: &str| text.lines().any(|line| line.trim_start().starts_with(&format!("{name} ")));
    let top = small.program.run(&["--help"]).stdout;
    for name in commands {
        assert!(listed(&top, name), "{name}: {top}");
        let help = small.program.run(&[name, "--help"]);
        assert!(help.code == 0 && help.stdout.contains("Usage: coinhound"), "{name}: {help:?}");
        for later in missing.into_iter().chain(["--as-of", "parquet"]) {
            let words = |text: &str| text.split(|c: char| !(c.is_alphanumeric() || c == '-')).any(|word| word == later);
            assert!(!words(&help.stdout), "`{name} --help` speaks of {later}: {}", help.stdout);
        }
    }
    for name in missing {
        assert!(!listed(&top, name), "{name}: {top}");
        assert_eq!(small.program.run(&[name]).code, 2, "{name}");
    }
}
