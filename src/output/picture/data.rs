//! The data within a page: the answer again, without repetition (each hash, script and label once; rows as arrays), and inert.
//!
//! `assets/flow.js` reads it: where a row's layout changes here, it changes there.

use std::collections::HashMap;

use serde::Serialize;
use serde_json::{Value, json};

use super::Caption;
use crate::output::cell::{escape, short_script};
use crate::query::Coverage;
use crate::query::trace::{RuleAnswer, TraceAnswer, TracedCoinRow};

/// The answer as the page reads it. All texts are escaped for the eye; `</script>` and its kin can't occur in it.
pub fn json(trace: &TraceAnswer, caption: &Caption) -> Result<String, serde_json::Error> {
    let mut names = Names::default();
    let rules: Vec<_> = trace.rules.iter().map(|answer| rule(answer, &mut names)).collect();
    let head = json!({
        "program": concat!("coinhound ", env!("CARGO_PKG_VERSION")),
        "command": escape(&caption.command),
        "target": escape(&trace.source.target),
        "coins_sat": trace.source.coins_sat,
        "at": trace.at.map(|at| at.height),
        "min_taint_sat": trace.gates.min_taint_sat,
        "max_hops": trace.gates.max_hops,
        "stop_flagged": trace.gates.stop_flagged,
        "unknown": texts(&trace.unknown),
        "coverage": coverage(&trace.coverage),
    });
    let Names { txids, scripts, .. } = names;
    let data = Data { head, rules, txids: txids.list, scripts: scripts.list };
    Ok(inert(&serde_json::to_string(&data)?))
}

/// JSON without characters that an HTML parser acts on.
fn inert(json: &str) -> String {
    let mut inert = String::with_capacity(json.len());
    for character in json.chars() {
        match character {
            '<' => inert.push_str("\\u003c"),
            '>' => inert.push_str("\\u003e"),
            '&' => inert.push_str("\\u0026"),
            other => inert.push(other),
        }
    }
    inert
}

#[derive(Serialize)]
struct Data {
    head: Value,
    rules: Vec<RuleData>,
    txids: Vec<String>,
    scripts: Vec<ScriptData>,
}

/// Script, address, labels.
#[derive(Clone, PartialEq, Eq, Hash, Serialize)]
struct ScriptData(String, Option<String>, Vec<String>);

#[derive(Serialize)]
struct RuleData {
    rule: &'static str,
    sum: Value,
    coins: Vec<CoinData>,
    moves: Vec<MoveData>,
}

/// Transaction, vout, height, time, value, taint, carried, hops, script, state, spending transaction, vin.
#[derive(Serialize)]
struct CoinData(
    usize,
    u32,
    Option<u32>,
    Option<u32>,
    u64,
    u64,
    u64,
    u32,
    usize,
    &'static str,
    Option<usize>,
    Option<u32>,
    Option<u32>,
);

/// Transaction, height, index in the block, time, tainted fee.
#[derive(Serialize)]
struct MoveData(usize, u32, u32, u32, u64);

/// Texts that rows refer to by number.
#[derive(Default)]
struct Names {
    txids: Table<String>,
    scripts: Table<ScriptData>,
}

struct Table<T> {
    list: Vec<T>,
    numbers: HashMap<T, usize>,
}

impl<T> Default for Table<T> {
    fn default() -> Self {
        Self { list: Vec::new(), numbers: HashMap::new() }
    }
}

impl<T: Clone + Eq + std::hash::Hash> Table<T> {
    fn number(&mut self, item: T) -> usize {
        if let Some(number) = self.numbers.get(&item) {
            return *number;
        }
        let number = self.list.len();
        self.list.push(item.clone());
        self.numbers.insert(item, number);
        number
    }
}

fn rule(answer: &RuleAnswer, names: &mut Names) -> RuleData {
    let sum = &answer.sum;
    let sum = json!({
        "source": sum.source_sat, "unspent": sum.unspent_sat, "unspendable": sum.unspendable_sat, "fees": sum.fees_sat,
        "service": sum.service_sat, "flagged": sum.flagged_sat, "frontier": sum.frontier_sat,
    });
    let coins = answer.coins.iter().map(|row| coin(row, names)).collect();
    let moves = answer.transactions.iter().map(|row| {
        MoveData(names.txids.number(row.txid.to_string()), row.height, row.tx_index, row.time, row.fees_sat)
    });
    let moves = moves.collect();
    RuleData { rule: answer.rule.name(), sum, coins, moves }
}

fn coin(coin: &TracedCoinRow, names: &mut Names) -> CoinData {
    let script = ScriptData(
        escape(&short_script(&coin.info.script)),
        coin.info.address.as_deref().map(escape),
        coin.info.labels.iter().map(|label| escape(label)).collect(),
    );
    let by = coin.spent_by.as_ref();
    CoinData(
        names.txids.number(coin.outpoint.txid.to_string()),
        coin.outpoint.vout,
        coin.height,
        coin.time,
        coin.value_sat,
        coin.taint_sat,
        coin.carried_sat,
        coin.hops,
        names.scripts.number(script),
        coin.state.name(),
        by.map(|by| names.txids.number(by.txid.to_string())),
        by.map(|by| by.vin),
        by.map(|by| by.height),
    )
}

fn coverage(coverage: &Coverage) -> Value {
    let gaps = coverage.gaps.iter().map(
        |gap| json!({ "from": gap.from, "through": gap.through, "entries": gap.entries, "lists": texts(&gap.lists) }),
    );
    json!({
        "chain": coverage.chain,
        "from": coverage.from,
        "through": coverage.through,
        "tip": coverage.tip,
        "complete": coverage.complete,
        "why": texts(&coverage.why),
        "lists": escape(&coverage.lists),
        "lists_changed": coverage.lists_changed,
        "quarantined": coverage.quarantined,
        "gaps": gaps.collect::<Vec<_>>(),
    })
}

fn texts(texts: &[String]) -> Vec<String> {
    texts.iter().map(|text| escape(text)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_within_the_data_is_spelled_out_and_reads_back_the_same() {
        let texts = ["</script><script>", "<!-- &lt;", "plain"];
        for text in texts {
            let data = inert(&json!({ "label": text }).to_string());
            assert!(!data.contains(['<', '>', '&']), "{data}");
            let read: Value = serde_json::from_str(&data).expect("JSON");
            assert_eq!(read["label"], text);
        }
    }
}
