//! From a record to every row it brings: the one place that says so, for doing, undoing and checking alike.

use bitcoin::{OutPoint, Script, Txid};

use super::Result;
use super::keys::{CoinKey, ScriptKey, TouchKey, TouchKind, TxPosition, TxidKey};
use super::meta::TraceParameters;
use super::row_set::{KeySet, RowSet};
use super::rows::{Recorded, ScriptCoin, Touch};
use super::values::{Brought, Coin, Record, Spender};
use crate::chain::{Height, ScriptHash};
use crate::trace::{self, OutputKind, Rule, RuleTaint, TracedInput, TracedOutput};

/// What the entries say of a script.
pub trait Marks {
    /// The height from which it is flagged; `None` where it isn't.
    fn flagged_from(&self, script: &Script) -> Option<Height>;

    /// Whether it is a service's.
    fn is_service(&self, script: &Script) -> bool;

    /// Whether a script is flagged at a height.
    fn is_flagged(&self, script: &Script, height: Height) -> bool {
        self.flagged_from(script).is_some_and(|from| from <= height)
    }
}

/// What a transaction is to the index.
pub struct Derived {
    /// Whether it is a record: it touches, or spends a coin that some tracked rule follows.
    pub is_record: bool,
    /// The record's own row and all that are computed from it.
    pub rows: RowSet,
    /// What each output holds, by rule; empty where it holds nothing.
    pub made: Vec<Vec<RuleTaint>>,
}

impl Derived {
    /// Whether the spend of an output is looked for; `flagged` says whether it is on a flagged script.
    pub fn follows(&self, vout: usize, flagged: bool) -> bool {
        flagged || self.made[vout].iter().any(RuleTaint::is_followed)
    }
}

/// Works out what a record is and brings, from the entries, the parameters, and the coins it spends, which `coin` finds.
///
/// # Errors
/// What `coin` reports.
pub fn derive(
    coin: impl Fn(&OutPoint) -> Result<Option<Coin>>,
    parameters: &TraceParameters,
    marks: &impl Marks,
    at: TxPosition,
    txid: Txid,
    record: &Record,
) -> Result<Derived> {
    let whole: Vec<bool> =
        record.spent.iter().map(|output| marks.is_flagged(&output.script_pubkey, at.height)).collect();
    let mut coins = Vec::with_capacity(record.spent.len());
    for (input, whole) in record.transaction.input.iter().zip(&whole) {
        // What a coin held doesn't matter where its script is flagged.
        coins.push(if *whole || parameters.rules.is_empty() { None } else { coin(&input.previous_output)? });
    }
    let kind = |output: &bitcoin::TxOut| {
        let service = marks.is_service(&output.script_pubkey);
        OutputKind::of_output(&output.script_pubkey, marks.is_flagged(&output.script_pubkey, at.height), service)
    };
    let outputs: Vec<_> = record
        .transaction
        .output
        .iter()
        .map(|output| TracedOutput { value: output.value.to_sat(), kind: kind(output) })
        .collect();
    let mut made = vec![Vec::new(); outputs.len()];
    let mut brought = vec![Vec::new(); record.spent.len()];
    for rule in &parameters.rules {
        let inputs = record.spent.iter().zip(&whole).zip(&coins);
        let inputs: Vec<_> = inputs.map(|((spent, whole), coin)| input(*rule, spent, *whole, coin.as_ref())).collect();
        for (input, brought) in inputs.iter().zip(&mut brought) {
            brought.extend(carries(*rule, input));
        }
        let passed = trace::pass(*rule, parameters.gates(), &inputs, &outputs);
        for (made, column) in made.iter_mut().zip(passed.outputs) {
            made.extend(column);
        }
    }
    let pays = outputs.iter().any(|output| output.kind.is_source());
    // A followed coin may hold nothing under a rule, but under some rule it holds something, or is a source.
    let spends = whole.iter().any(|whole| *whole) || brought.iter().any(|brought| !brought.is_empty());
    let rows = rows(at, txid, record, marks, &brought, &made);
    Ok(Derived { is_record: pays || spends, rows, made })
}

fn input<'a>(rule: Rule, spent: &bitcoin::TxOut, whole: bool, coin: Option<&'a Coin>) -> TracedInput<'a> {
    let column = coin.and_then(|coin| coin.columns.iter().find(|column| column.rule == rule));
    TracedInput { value: spent.value.to_sat(), whole, taint: column.and_then(RuleTaint::carried) }
}

fn carries(rule: Rule, input: &TracedInput<'_>) -> Option<Brought> {
    match input.taint {
        _ if input.whole => Some(Brought { rule, taint: input.value, hops: 0 }),
        Some(taint) => Some(Brought { rule, taint: taint.amount, hops: taint.hops }),
        None => None,
    }
}

/// The record's own row and all that are computed from it.
fn rows(
    at: TxPosition,
    txid: Txid,
    record: &Record,
    marks: &impl Marks,
    brought: &[Vec<Brought>],
    made: &[Vec<RuleTaint>],
) -> RowSet {
    let mut rows = RowSet::default();
    rows.insert(&at, record);
    rows.insert(&TxidKey { txid, at }, &Recorded);
    let coinbase = record.transaction.is_coinbase();
    for (((vin, input), spent), brought) in (0..).zip(&record.transaction.input).zip(&record.spent).zip(brought) {
        let spender = Spender { at, vin, brought: brought.clone() };
        rows.insert(&input.previous_output, &spender);
        if marks.is_flagged(&spent.script_pubkey, at.height) {
            let script = ScriptHash::of(&spent.script_pubkey);
            let key = TouchKey { script, at, kind: TouchKind::Spending, io_index: vin };
            rows.insert(&key, &Touch { value: spent.value.to_sat() });
        }
    }
    for ((vout, output), made) in (0..).zip(&record.transaction.output).zip(made) {
        let flagged = marks.is_flagged(&output.script_pubkey, at.height);
        if !flagged && made.is_empty() {
            continue;
        }
        let script = ScriptHash::of(&output.script_pubkey);
        let value = output.value.to_sat();
        if flagged {
            rows.insert(&TouchKey { script, at, kind: TouchKind::Funding, io_index: vout }, &Touch { value });
        }
        let key = CoinKey { outpoint: OutPoint { txid, vout }, height: at.height };
        let coin = Coin { value, script, coinbase, columns: made.clone() };
        rows.insert(&key, &coin);
        rows.insert(&ScriptKey { script, at, vout }, &ScriptCoin);
    }
    rows
}

/// The keys of all rows that a record may have brought, whatever the entries were.
pub fn keys(at: TxPosition, txid: Txid, record: &Record) -> KeySet {
    let brought = vec![Vec::new(); record.spent.len()];
    let made = vec![Vec::new(); record.transaction.output.len()];
    rows(at, txid, record, &Everything, &brought, &made).into_keys()
}

/// As if every script were flagged from the first block on.
struct Everything;

impl Marks for Everything {
    fn flagged_from(&self, _script: &Script) -> Option<Height> {
        Some(0)
    }

    fn is_service(&self, _script: &Script) -> bool {
        false
    }
}
