//! The answers of `history`, `coins`, `balance` and `tx`, field by field as in docs/cli.md, computed from the naive model.

use std::collections::{BTreeMap, BTreeSet};

use bitcoin::{Address, Block, Network, OutPoint, Script, ScriptBuf, Transaction, TxOut, Txid};
use serde_json::{Value, json};

use crate::oracle::touches::{Model, ModelCoin, SpendState, Spender, Touch, TouchKind, is_unspendable};
use crate::support::library::Library;
use crate::support::lists::{label, scripts, target};

/// The answers after the block at some height.
pub struct Answers<'a> {
    blocks: &'a [Block],
    network: Network,
    /// The model that they are computed from.
    pub model: Model,
    transactions: BTreeMap<Txid, &'a Transaction>,
    spenders: BTreeMap<OutPoint, Spender>,
}

impl<'a> Answers<'a> {
    /// The answers after the block at `height`, with the scripts of `list` flagged.
    pub fn at(blocks: &'a [Block], network: Network, list: &[(ScriptBuf, u32)], height: u32) -> Self {
        let blocks = &blocks[..=height as usize];
        let model = Model::new(blocks, list);
        let records = model.records.iter();
        let transactions: BTreeMap<_, _> = records
            .map(|record| (record.txid, &blocks[record.height as usize].txdata[record.tx_index as usize]))
            .collect();
        let mut spenders = BTreeMap::new();
        for record in model.records.iter().filter(|record| record.tx_index > 0) {
            let (txid, height, tx_index) = (record.txid, record.height, record.tx_index);
            for (vin, input) in (0..).zip(&transactions[&txid].input) {
                spenders.insert(input.previous_output, Spender { txid, vin, height, tx_index });
            }
        }
        Self { blocks, network, model, transactions, spenders }
    }

    fn address(&self, script: &Script) -> Value {
        Address::from_script(script, self.network).map_or(Value::Null, |address| address.to_string().into())
    }

    fn labels(&self, script: &ScriptBuf) -> Value {
        if self.model.flagged.contains_key(script) { json!([label(script)]) } else { json!([]) }
    }

    /// The rows of `history`.
    pub fn history(&self, scripts: &[ScriptBuf]) -> Vec<Value> {
        let row = |(touch, balance): &(Touch, Option<u64>)| {
            let block = &self.blocks[touch.height as usize];
            let (kind, vin) = match touch.kind {
                TouchKind::Spending => ("spending", Some(touch.io_index)),
                TouchKind::Funding => ("funding", None),
            };
            json!({
                "height": touch.height, "block": block.block_hash(), "time": block.header.time, "txid": touch.txid,
                "tx_index": touch.tx_index, "kind": kind, "outpoint": touch.outpoint.to_string(), "vin": vin,
                "value_sat": touch.value_sat, "script": touch.script.to_hex_string(),
                "address": self.address(&touch.script), "labels": self.labels(&touch.script), "balance_sat": balance,
            })
        };
        self.model.history(scripts).iter().map(row).collect()
    }

    /// The rows of `coins`: first the coins older than the lists' heights, which are known by their spends alone.
    pub fn coins(&self, scripts: &[ScriptBuf]) -> Vec<Value> {
        let made: BTreeSet<_> = self.model.coins.iter().map(|coin| coin.outpoint).collect();
        let asked: BTreeSet<_> = scripts.iter().collect();
        let touches = self.model.touches.iter().filter(|touch| asked.contains(&touch.script));
        let older = touches.filter(|touch| touch.kind == TouchKind::Spending && !made.contains(&touch.outpoint));
        let older = older.map(|touch| {
            json!({
                "outpoint": touch.outpoint.to_string(), "height": null, "value_sat": touch.value_sat,
                "script": touch.script.to_hex_string(), "address": self.address(&touch.script),
                "labels": self.labels(&touch.script), "coinbase": null, "state": "spent",
                "spent_by": {"txid": touch.txid, "vin": touch.io_index, "height": touch.height},
            })
        });
        let coins = self.model.coins.iter().filter(|coin| asked.contains(&coin.script));
        older.chain(coins.map(|coin| self.coin(coin))).collect()
    }

    fn coin(&self, coin: &ModelCoin) -> Value {
        let spent_by = coin.spent_by.filter(|_| coin.state == SpendState::Spent);
        json!({
            "outpoint": coin.outpoint.to_string(), "height": coin.height, "value_sat": coin.value_sat,
            "script": coin.script.to_hex_string(), "address": self.address(&coin.script),
            "labels": self.labels(&coin.script), "coinbase": coin.coinbase, "state": state(coin.state),
            "spent_by": spent_by.map(|by| spender(&by)),
        })
    }

    /// The rows of `balance`, in this order.
    pub fn balances(&self, scripts: &[ScriptBuf]) -> Vec<Value> {
        scripts.iter().map(|script| self.balance(script)).collect()
    }

    fn balance(&self, script: &ScriptBuf) -> Value {
        let sums = self.model.balance(script);
        let lost = |coin: &&ModelCoin| coin.script == *script && coin.state == SpendState::Unspendable;
        let unspendable: u64 = self.model.coins.iter().filter(lost).map(|coin| coin.value_sat).sum();
        json!({
            "script": script.to_hex_string(), "address": self.address(script), "labels": self.labels(script),
            "known": true, "received_sat": sums.received_sat, "sent_sat": sums.sent_sat,
            "balance_sat": sums.balance_sat, "unspendable_sat": unspendable, "coins": sums.coins,
            "unspent": sums.unspent, "first_height": sums.first_height, "last_height": sums.last_height,
        })
    }

    /// The answer of `tx` for a recorded transaction, without coverage and taint; of BIP30's twins the later one.
    pub fn tx(&self, txid: Txid) -> Value {
        let record = self.model.records.iter().rfind(|record| record.txid == txid).expect("the model has the record");
        let transaction = self.transactions[&txid];
        let sum = |outputs: &[TxOut]| outputs.iter().map(|output| output.value.to_sat()).sum::<u64>();
        let block = &self.blocks[record.height as usize];
        let inputs = transaction.input.iter().zip(&record.spent).map(|(input, spent)| {
            json!({
                "outpoint": input.previous_output.to_string(), "value_sat": spent.value.to_sat(),
                "script": spent.script_pubkey.to_hex_string(), "address": self.address(&spent.script_pubkey),
                "labels": self.labels(&spent.script_pubkey),
                "proven": self.transactions.contains_key(&input.previous_output.txid),
            })
        });
        let outputs = (0..).zip(&transaction.output).map(|(vout, output)| {
            let (state, spent_by) = self.output(OutPoint { txid, vout }, output, record.height);
            json!({
                "vout": vout, "value_sat": output.value.to_sat(), "script": output.script_pubkey.to_hex_string(),
                "address": self.address(&output.script_pubkey), "labels": self.labels(&output.script_pubkey),
                "state": state, "spent_by": spent_by,
            })
        });
        let fee = (record.tx_index > 0).then(|| sum(&record.spent) - sum(&transaction.output));
        json!({
            "txid": txid, "height": record.height, "block": block.block_hash(), "time": block.header.time,
            "tx_index": record.tx_index, "fee_sat": fee, "inputs": inputs.collect::<Vec<_>>(),
            "outputs": outputs.collect::<Vec<_>>(),
        })
    }

    /// State and spender of an output of a record, as far as the records show them: the spend of an unlisted coin is only known if
    /// its spender touches a listed script.
    fn output(&self, at: OutPoint, output: &TxOut, height: u32) -> (&'static str, Value) {
        let coin = self.model.coins.iter().find(|coin| coin.outpoint == at && coin.height == height);
        if let Some(coin) = coin {
            let answer = self.coin(coin);
            return (state(coin.state), answer["spent_by"].clone());
        }
        if height == 0 || is_unspendable(&output.script_pubkey) {
            return ("unspendable", Value::Null);
        }
        match self.spenders.get(&at) {
            Some(by) => ("spent", spender(by)),
            None => ("not_followed", Value::Null),
        }
    }

    /// Panics unless the index answers the same about all flagged scripts as of `height`, which may lie above its tip.
    pub fn assert_all(&self, library: &Library, height: u32, what: &str) {
        let all: Vec<(ScriptBuf, u32)> = self.model.flagged.clone().into_iter().collect();
        self.assert_target(library, ("all", &scripts(&all)), height, what);
    }

    /// The same for one script.
    pub fn assert_script(&self, library: &Library, script: &ScriptBuf, height: u32, what: &str) {
        let target = target(script);
        self.assert_target(library, (&target, std::slice::from_ref(script)), height, &format!("{what}: {target}"));
    }

    fn assert_target(&self, library: &Library, of: (&str, &[ScriptBuf]), height: u32, what: &str) {
        let (target, scripts) = of;
        assert_rows(&library.history(target, height), &self.history(scripts), what);
        assert_rows(&library.coins(target, height), &self.coins(scripts), what);
        assert_rows(&library.balances(target, height), &self.balances(scripts), what);
    }

    /// Panics unless `tx` answers the same about every recorded transaction. BIP30's twins share an id: of those only the later
    /// one is asked for.
    pub fn assert_transactions(&self, library: &Library, height: u32, what: &str) {
        for record in &self.model.records {
            assert_eq!(library.tx(record.txid, height), self.tx(record.txid), "{what}");
        }
    }
}

fn state(state: SpendState) -> &'static str {
    match state {
        SpendState::Spent => "spent",
        SpendState::Unspent => "unspent",
        SpendState::Unspendable => "unspendable",
    }
}

fn spender(by: &Spender) -> Value {
    json!({"txid": by.txid, "vin": by.vin, "height": by.height})
}

/// Panics, naming the first row that differs, unless both are the same.
pub fn assert_rows(found: &[Value], expected: &[Value], what: &str) {
    for (at, (found, expected)) in found.iter().zip(expected).enumerate() {
        assert_eq!(found, expected, "{what}: row {at}");
    }
    assert_eq!(found.len(), expected.len(), "{what}: number of rows");
}

/// An answer of `tx` without what the model doesn't know: coverage and taint.
pub fn without_taint(mut answer: Value) -> Value {
    let remove = |value: &mut Value, name: &str| value.as_object_mut().and_then(|object| object.shift_remove(name));
    remove(&mut answer, "coverage").expect("every answer has a coverage");
    for side in ["inputs", "outputs"] {
        let rows = answer[side].as_array_mut().expect("inputs and outputs");
        rows.iter_mut().for_each(|row| drop(remove(row, "taint_sat").expect("a taint, or null")));
    }
    answer
}

/// The rows of a JSON answer.
pub fn rows(answer: &Value) -> &[Value] {
    answer["rows"].as_array().unwrap_or_else(|| panic!("no rows: {answer}"))
}
