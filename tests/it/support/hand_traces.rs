//! Answers of `trace` made by hand: every state, rare answers, a chain of peels.

use serde_json::{Value, json};

/// The fields of a coin's row.
struct CoinFields<'a> {
    at: (&'a str, u32, u32),
    value: u64,
    taint: u64,
    carried: u64,
    hops: u32,
    labels: &'a [&'a str],
    state: &'a str,
    by: Option<(&'a str, u32, u32)>,
}

const BASE: i64 = 1_231_006_505;

fn txid(name: &str) -> String {
    let hex: String = name.bytes().map(|byte| format!("{byte:02x}")).collect();
    format!("{hex:0>64}")
}

fn coin(coin: &CoinFields<'_>) -> Value {
    let (name, vout, height) = coin.at;
    let holder: u64 = name.bytes().map(u64::from).sum::<u64>() * 100 + u64::from(vout);
    json!({
        "outpoint": format!("{}:{vout}", txid(name)), "height": height, "time": BASE + i64::from(height) * 600, "value_sat": coin.value,
        "taint_sat": coin.taint, "carried_sat": coin.carried, "hops": coin.hops, "script": format!("76a914{holder:040x}88ac"),
        "address": format!("1Made{holder:028x}"), "labels": coin.labels, "state": coin.state,
        "spent_by": coin.by.map(|(name, vin, height)| json!({"txid": txid(name), "vin": vin, "height": height})),
    })
}

fn moved(name: &str, height: u32, fees: u64) -> Value {
    json!({"txid": txid(name), "height": height, "tx_index": 1, "time": BASE + i64::from(height) * 600, "inputs": [], "fees_sat": fees})
}

fn answer(rules: &Value) -> Value {
    json!({
        "coverage": {
            "chain": "main", "from": 0, "through": 599, "tip": txid("tip"), "tip_time": 1_231_990_000, "age_s": 5, "node": null, "lag": null, "complete": true, "why": [], "lists": txid("lists"), "lists_changed": false,
            "quarantined": 0, "trace": {"rules": ["haircut", "fifo"], "min_taint_sat": 100_000, "max_hops": null, "settled": 599}, "gaps": [],
        },
        "source": {"target": "label:by hand", "coins": [], "coins_sat": 0}, "at": {"height": 599, "hash": txid("tip"), "time": 1_231_990_000},
        "gates": {"min_taint_sat": 100_000, "max_hops": 7, "stop_flagged": true}, "unknown": [], "rules": rules,
    })
}

/// The answer under one rule; the sum is computed from the coins and the fees.
fn rule(name: &str, coins: &[Value], moves: &[Value]) -> Value {
    let total = |states: &[&str]| -> u64 {
        let found = coins.iter().filter(|coin| states.contains(&coin["state"].as_str().unwrap_or_default()));
        found.filter_map(|coin| coin["taint_sat"].as_u64()).sum()
    };
    let sources = coins.iter().filter(|coin| coin["hops"] == 0);
    let source: u64 =
        sources.map(|coin| coin["taint_sat"].as_u64().unwrap_or(0) - coin["carried_sat"].as_u64().unwrap_or(0)).sum();
    let fees: u64 = moves.iter().filter_map(|row| row["fees_sat"].as_u64()).sum();
    json!({
        "rule": name, "coins": coins, "transactions": moves, "services": [],
        "frontier": {
            "anyone_can_spend_sat": total(&["anyone_can_spend"]), "max_hops_sat": total(&["max_hops"]),
            "below_min_taint_sat": total(&["below_min_taint"]), "too_fragmented_sat": total(&["too_fragmented"]),
            "not_followed_sat": total(&["not_followed"]),
        },
        "sum": {
            "source_sat": source, "unspent_sat": total(&["unspent"]), "unspendable_sat": total(&["unspendable"]), "fees_sat": fees,
            "service_sat": total(&["service"]), "flagged_sat": total(&["flagged"]),
            "frontier_sat": total(&["anyone_can_spend", "max_hops", "below_min_taint", "too_fragmented", "not_followed"]),
        },
    })
}

/// A transaction with an output in every state, and change to a flagged script; under a rule that conserves taint and one that doesn't;
/// incomplete for every possible reason.
pub fn states() -> Value {
    let outputs = [
        ("unspent", 100_000_000, &[][..]),
        ("service", 70_000_000, &["Exchange A"][..]),
        ("flagged", 50_000_000, &["Ransomware"][..]),
        ("unspendable", 10_000_000, &[][..]),
        ("anyone_can_spend", 20_000_000, &[][..]),
        ("max_hops", 30_000_000, &[][..]),
        ("below_min_taint", 5_000_000, &[][..]),
        ("not_followed", 15_000_000, &[][..]),
    ];
    let rules = ["haircut", "poison"].map(|name| {
        let whole = name == "poison";
        let source = |at, value, carried, state, by| {
            coin(&CoinFields { at, value, taint: value, carried, hops: 0, labels: &["Theft"], state, by })
        };
        let mut coins = vec![
            source(("first", 0, 9), 500_000_000, 0, "spent", Some(("move", 0, 170))),
            source(("second", 1, 12), 100_000_000, 0, "unspent", None),
            source(("move", 8, 170), 150_000_000, if whole { 150_000_000 } else { 120_000_000 }, "unspent", None),
        ];
        for (vout, (state, taint, labels)) in (0..).zip(outputs) {
            let (value, at) = (taint * 2, ("move", vout, 170));
            let taint = if whole { value } else { taint };
            coins.push(coin(&CoinFields { at, value, taint, carried: taint, hops: 1, labels, state, by: None }));
        }
        rule(name, &coins, &[moved("move", 170, if whole { 160_000_000 } else { 80_000_000 })])
    });
    let mut answer = answer(&json!(rules));
    answer["coverage"]["complete"] = json!(false);
    answer["coverage"]["why"] =
        json!(["the spends of some coins were not looked for: not followed", "the lists changed"]);
    answer["coverage"]["lists_changed"] = json!(true);
    answer["coverage"]["quarantined"] = json!(3);
    answer["coverage"]["gaps"] = json!([{"from": 313, "through": 599, "entries": 17, "lists": ["list.txt"]}]);
    answer["unknown"] = json!(["label:nobody"]);
    answer
}

/// A chain of small payments, each from the change of the one before.
pub fn peel_chain(length: u32) -> Value {
    let names: Vec<_> = (0..=length).map(|number| format!("peel{number}")).collect();
    let (mut coins, mut moves, mut left) = (Vec::new(), Vec::new(), 100_000_000_000_u64);
    for number in 0..length {
        let (name, next) = (names[number as usize].as_str(), names[number as usize + 1].as_str());
        let by = Some((next, 0, 101 + number));
        let (at, carried, labels) = ((name, 0, 100 + number), if number == 0 { 0 } else { left }, &["Theft"][..]);
        let labels = if number == 0 { labels } else { &[] };
        coins.push(coin(&CoinFields {
            at,
            value: left,
            taint: left,
            carried,
            hops: number,
            labels,
            state: "spent",
            by,
        }));
        let paid = left / 200;
        let (state, labels) = if number % 4 == 0 { ("service", &["Exchange A"][..]) } else { ("unspent", &[][..]) };
        let at = (next, 1, 101 + number);
        coins.push(coin(&CoinFields {
            at,
            value: paid,
            taint: paid,
            carried: paid,
            hops: number + 1,
            labels,
            state,
            by: None,
        }));
        moves.push(moved(next, 101 + number, 1_000));
        left -= paid + 1_000;
    }
    let at = (names[length as usize].as_str(), 0, 100 + length);
    coins.push(coin(&CoinFields {
        at,
        value: left,
        taint: left,
        carried: left,
        hops: length,
        labels: &[],
        state: "unspent",
        by: None,
    }));
    answer(&json!([rule("haircut", &coins, &moves)]))
}

/// Rare answers, by name.
pub fn strange() -> Vec<(&'static str, Value)> {
    let source = |at, value, carried, state, by| {
        coin(&CoinFields { at, value, taint: value, carried, hops: 0, labels: &["Theft"], state, by })
    };
    let unspent = |at, taint, hops| {
        coin(&CoinFields { at, value: taint, taint, carried: taint, hops, labels: &[], state: "unspent", by: None })
    };
    let one = |coins: &[Value], moves: &[Value]| answer(&json!([rule("fifo", coins, moves)]));
    let mut nothing = answer(&json!([rule("fifo", &[], &[])]));
    nothing["at"] = Value::Null;
    for field in ["from", "through", "tip"] {
        nothing["coverage"][field] = Value::Null;
    }
    let mut older = source(("old", 0, 0), 900, 0, "spent", Some(("move", 0, 400)));
    older["height"] = Value::Null;
    older["time"] = Value::Null;
    let back = [
        source(("a", 0, 1), 1_000, 0, "spent", Some(("b", 0, 2))),
        source(("b", 0, 2), 990, 990, "spent", Some(("c", 0, 3))),
        unspent(("c", 0, 3), 985, 1),
    ];
    let most = 2_100_000_000_000_000;
    vec![
        ("an index without a block", nothing),
        ("no rule", answer(&json!([]))),
        ("never moved", one(&[source(("a", 0, 9), 5_000_000_000, 0, "unspent", None)], &[])),
        ("older than the coverage", one(&[older, unspent(("move", 0, 400), 890, 1)], &[moved("move", 400, 10)])),
        (
            "two twins",
            one(
                &[source(("twin", 0, 10), 50, 0, "unspendable", None), source(("twin", 0, 20), 50, 0, "unspent", None)],
                &[],
            ),
        ),
        ("a source of nothing", one(&[source(("a", 0, 9), 0, 0, "spent", Some(("b", 0, 10)))], &[moved("b", 10, 0)])),
        ("all of it a fee", one(&[source(("a", 0, 9), 77, 0, "spent", Some(("b", 0, 10)))], &[moved("b", 10, 77)])),
        ("back to itself", one(&back, &[moved("b", 2, 10), moved("c", 3, 5)])),
        (
            "all bitcoins",
            one(
                &[source(("a", 0, 1), most, 0, "spent", Some(("b", 0, 2))), unspent(("b", 0, 2), most, 1)],
                &[moved("b", 2, 0)],
            ),
        ),
    ]
}
