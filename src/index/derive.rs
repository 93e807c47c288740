//! From a record to all rows that it makes: the one place that computes them, for connecting, disconnecting and verifying alike.

use bitcoin::{OutPoint, Script, TxOut, Txid};

use super::error::Result;
use super::meta::TraceParameters;
use super::rows::keys::{CoinKey, ScriptKey, TouchKey, TouchKind, TxPosition, TxidKey};
use super::rows::row_set::{KeySet, RowSet};
use super::rows::values::{Coin, InputTaint, Record, Recorded, ScriptCoin, Spender, Touch};
use crate::chain::{Height, ScriptHash};
use crate::trace::{self, OutputKind, Rule, RuleTaint, TracedInput, TracedOutput};

/// What the entries say about a script.
pub trait Marks {
    /// The height from which it is flagged; `None` where it is not.
    fn flagged_from(&self, script: &Script) -> Option<Height>;

    /// Whether it belongs to a service.
    fn is_service(&self, script: &Script) -> bool;

    /// Whether a script is flagged at a height.
    fn is_flagged(&self, script: &Script, height: Height) -> bool {
        self.flagged_from(script).is_some_and(|from| from <= height)
    }
}

/// What follows from a transaction for the index.
pub struct Derived {
    /// Whether it is to be a record: it pays or spends from a flagged script, or spends a coin that a tracked rule follows.
    pub is_record: bool,
    /// The record's own row and all rows that are computed from it.
    pub rows: RowSet,
    /// The taint of each output, by rule; empty for an output without taint.
    pub made: Vec<Vec<RuleTaint>>,
}

impl Derived {
    /// Whether the index looks for the spend of an output; `flagged` says whether its script is flagged.
    pub fn follows(&self, vout: usize, flagged: bool) -> bool {
        flagged || self.made[vout].iter().any(RuleTaint::is_followed)
    }
}

/// Computes what follows from a transaction, from the entries, the parameters, and the coins that it spends, which `coin` looks up.
///
/// # Errors
/// Those of `coin`.
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
        // A coin on a flagged script is tainted as a whole, whatever it held.
        coins.push(if *whole || parameters.rules.is_empty() { None } else { coin(&input.previous_output)? });
    }
    let outputs = record.transaction.output.iter().map(|output| traced_output(output, marks, at.height));
    let outputs: Vec<TracedOutput> = outputs.collect();
    let mut made = vec![Vec::new(); outputs.len()];
    let mut taint_in = vec![Vec::new(); record.spent.len()];
    for rule in &parameters.rules {
        let inputs = record.spent.iter().zip(&whole).zip(&coins);
        let inputs: Vec<_> =
            inputs.map(|((spent, whole), coin)| traced_input(*rule, spent, *whole, coin.as_ref())).collect();
        for (input, taint_in) in inputs.iter().zip(&mut taint_in) {
            taint_in.extend(input_taint(*rule, input));
        }
        let passed = trace::pass(*rule, parameters.gates(), &inputs, &outputs);
        for (made, column) in made.iter_mut().zip(passed.outputs) {
            made.extend(column);
        }
    }
    let pays = outputs.iter().any(|output| output.kind.is_source());
    // A followed coin may have no taint under one rule, but it has some under another, or is a source.
    let spends = whole.iter().any(|whole| *whole) || taint_in.iter().any(|taint_in| !taint_in.is_empty());
    let rows = record_rows(at, txid, record, marks, &taint_in, &made);
    Ok(Derived { is_record: pays || spends, rows, made })
}

fn traced_output(output: &TxOut, marks: &impl Marks, height: Height) -> TracedOutput {
    let script = &output.script_pubkey;
    let kind = OutputKind::of_output(script, marks.is_flagged(script, height), marks.is_service(script));
    TracedOutput { value: output.value.to_sat(), kind }
}

fn traced_input<'a>(rule: Rule, spent: &TxOut, whole: bool, coin: Option<&'a Coin>) -> TracedInput<'a> {
    let column = coin.and_then(|coin| coin.columns.iter().find(|column| column.rule == rule));
    TracedInput { value: spent.value.to_sat(), whole, taint: column.and_then(RuleTaint::carried) }
}

fn input_taint(rule: Rule, input: &TracedInput<'_>) -> Option<InputTaint> {
    match input.taint {
        _ if input.whole => Some(InputTaint { rule, taint: input.value, hops: 0 }),
        Some(taint) => Some(InputTaint { rule, taint: taint.amount, hops: taint.hops }),
        None => None,
    }
}

/// The record's own row and all rows that are computed from it.
fn record_rows(
    at: TxPosition,
    txid: Txid,
    record: &Record,
    marks: &impl Marks,
    taint_in: &[Vec<InputTaint>],
    made: &[Vec<RuleTaint>],
) -> RowSet {
    let mut rows = RowSet::default();
    rows.insert(&at, record);
    rows.insert(&TxidKey { txid, at }, &Recorded);
    let coinbase = record.transaction.is_coinbase();
    for (((vin, input), spent), taint_in) in (0..).zip(&record.transaction.input).zip(&record.spent).zip(taint_in) {
        let spender = Spender { at, vin, taint: taint_in.clone() };
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

/// The keys of all rows that a record may have made, whatever the entries were.
pub fn keys(at: TxPosition, txid: Txid, record: &Record) -> KeySet {
    let taint_in = vec![Vec::new(); record.spent.len()];
    let made = vec![Vec::new(); record.transaction.output.len()];
    record_rows(at, txid, record, &Everything, &taint_in, &made).into_keys()
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
