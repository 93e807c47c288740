//! `tx`: one transaction of the index, input by input and output by output.

use bitcoin::{BlockHash, OutPoint, Script, Txid};
use serde::Serialize;

use super::by_rule::ByRule;
use super::coverage::{Basis, Coverage};
use super::{Result, Snapshot, SpentBy, labels};
use crate::chain::Height;
use crate::index::entries::EntryRow;
use crate::index::keys::{CoinKey, TxPosition};
use crate::index::values::Record;
use crate::trace::RuleTaint;

/// A transaction, or where the index holds none of that id, only the question.
#[derive(Clone, Debug, Serialize)]
pub struct TxAnswer {
    /// What it rests on.
    pub coverage: Coverage,
    /// The transaction asked for.
    pub txid: Txid,
    /// Its block's height; `None` where the index holds no such transaction.
    pub height: Option<Height>,
    /// Its block.
    pub block: Option<BlockHash>,
    /// Its block's time, Unix seconds.
    pub time: Option<u32>,
    /// Its index in the block.
    pub tx_index: Option<u32>,
    /// Satoshis; `None` for a coinbase.
    pub fee_sat: Option<u64>,
    /// In order; a coinbase's is left out.
    pub inputs: Vec<InputRow>,
    /// In order.
    pub outputs: Vec<OutputRow>,
}

/// One input.
#[derive(Clone, Debug, Serialize)]
pub struct InputRow {
    /// The output it consumes.
    pub outpoint: String,
    /// Satoshis.
    pub value_sat: u64,
    /// The script of that output, hex.
    pub script: String,
    /// The same as an address, where it has one.
    pub address: Option<String>,
    /// What lists say of it.
    pub labels: Vec<String>,
    /// Whether the index holds the transaction that made it; else value and script are as the node told them.
    pub proven: bool,
    /// Taint by tracked rule, as it came in; `None` where nothing is tracked.
    pub taint_sat: Option<ByRule>,
}

/// One output.
#[derive(Clone, Debug, Serialize)]
pub struct OutputRow {
    /// Its index.
    pub vout: u32,
    /// Satoshis.
    pub value_sat: u64,
    /// Its script, hex.
    pub script: String,
    /// The same as an address, where it has one.
    pub address: Option<String>,
    /// What lists say of it.
    pub labels: Vec<String>,
    /// Taint by tracked rule; `None` where nothing is tracked.
    pub taint_sat: Option<ByRule>,
    /// `spent`, `unspent`, `unspendable`, or `not_followed` where its spend isn't looked for.
    pub state: &'static str,
    /// The input that spent it, where a record tells.
    pub spent_by: Option<SpentBy>,
}

/// The transaction as of the state after `at`; of BIP30's twins, the later one.
///
/// # Errors
/// What reading reports.
pub fn transaction(snapshot: &Snapshot, txid: Txid, at: Height) -> Result<TxAnswer> {
    let mut basis = Basis::default();
    basis.traced = true;
    for entry in snapshot.reader.entries() {
        let (_, entry) = entry?;
        if entry.flagged {
            basis.add(&entry, &snapshot.sweeps);
        }
    }
    let position = snapshot.reader.positions(txid)?.into_iter().rfind(|position| position.height <= at);
    let Some(position) = position else {
        basis.add_unknown();
        let coverage = basis.coverage(snapshot, Some(at));
        let (inputs, outputs) = (Vec::new(), Vec::new());
        return Ok(TxAnswer {
            coverage,
            txid,
            height: None,
            block: None,
            time: None,
            tx_index: None,
            fee_sat: None,
            inputs,
            outputs,
        });
    };
    let record = snapshot.record(position)?;
    let (block, time) = snapshot.block(position.height)?;
    let inputs =
        (0..record.spent.len()).map(|vin| input_row(snapshot, &record, position, vin)).collect::<Result<_>>()?;
    let outputs = (0..).zip(&record.transaction.output);
    let outputs =
        outputs.map(|(vout, output)| output_row(snapshot, OutPoint { txid, vout }, output, position.height, at));
    Ok(TxAnswer {
        coverage: basis.coverage(snapshot, Some(at)),
        txid,
        height: Some(position.height),
        block: Some(block),
        time: Some(time),
        tx_index: Some(position.tx_index),
        fee_sat: record.fee(),
        inputs,
        outputs: outputs.collect::<Result<_>>()?,
    })
}

fn input_row(snapshot: &Snapshot, record: &Record, at: TxPosition, vin: usize) -> Result<InputRow> {
    let spent = &record.spent[vin];
    let outpoint = record.transaction.input[vin].previous_output;
    let shown = Shown::of(snapshot, &spent.script_pubkey)?;
    Ok(InputRow {
        outpoint: outpoint.to_string(),
        value_sat: spent.value.to_sat(),
        script: shown.script,
        address: shown.address,
        labels: shown.labels,
        proven: !snapshot.reader.positions(outpoint.txid)?.is_empty(),
        taint_sat: brought(snapshot, record, at, vin)?,
    })
}

/// What an input brought, by tracked rule.
fn brought(snapshot: &Snapshot, record: &Record, at: TxPosition, vin: usize) -> Result<Option<ByRule>> {
    let (rules, outpoint) = (&snapshot.trace.rules, record.transaction.input[vin].previous_output);
    if rules.is_empty() {
        return Ok(None);
    }
    // The row tells the last spend of an outpoint: after a BIP30 twin's, the coin itself has to tell.
    if let Some(spender) = snapshot.reader.spender(&outpoint)?.filter(|spender| spender.at == at) {
        let of = |rule| spender.brought.iter().find(|brought| brought.rule == rule).map_or(0, |brought| brought.taint);
        return Ok(Some(ByRule::of(rules, |_, rule| of(rule))));
    }
    let spent = &record.spent[vin];
    let entry = snapshot.entry(&spent.script_pubkey)?;
    if entry.is_some_and(|entry| entry.flagged && entry.from <= at.height) {
        return Ok(Some(ByRule::of(rules, |_, _| spent.value.to_sat())));
    }
    let mut columns = match snapshot.reader.coin_heights(&outpoint)?.into_iter().rfind(|height| *height <= at.height) {
        Some(height) => snapshot.reader.coin(&CoinKey { outpoint, height })?.map(|coin| coin.columns),
        None => None,
    }
    .unwrap_or_default();
    columns.retain(RuleTaint::is_followed);
    Ok(Some(ByRule::of_columns(rules, &columns)))
}

fn output_row(
    snapshot: &Snapshot,
    outpoint: OutPoint,
    output: &bitcoin::TxOut,
    height: Height,
    at: Height,
) -> Result<OutputRow> {
    let shown = Shown::of(snapshot, &output.script_pubkey)?;
    let coin = CoinKey { outpoint, height };
    let unspendable = snapshot.is_unspendable(&coin, &output.script_pubkey, at)?;
    let spent_by = if unspendable { None } else { snapshot.spent_by(&coin, at)? };
    let row = snapshot.reader.coin(&coin)?;
    let columns = row.map(|row| row.columns).unwrap_or_default();
    let flagged = shown.entry.as_ref().is_some_and(|entry| entry.flagged && entry.from <= height);
    let looked_for = flagged || columns.iter().any(RuleTaint::is_followed);
    let state = match (&spent_by, unspendable) {
        (_, true) => "unspendable",
        (Some(_), false) => "spent",
        (None, false) if looked_for => "unspent",
        (None, false) => "not_followed",
    };
    Ok(OutputRow {
        vout: outpoint.vout,
        value_sat: output.value.to_sat(),
        script: shown.script,
        address: shown.address,
        labels: shown.labels,
        taint_sat: (!snapshot.trace.rules.is_empty()).then(|| ByRule::of_columns(&snapshot.trace.rules, &columns)),
        state,
        spent_by,
    })
}

/// A script as answers show it.
struct Shown {
    script: String,
    address: Option<String>,
    labels: Vec<String>,
    entry: Option<EntryRow>,
}

impl Shown {
    fn of(snapshot: &Snapshot, script: &Script) -> Result<Self> {
        let entry = snapshot.entry(script)?;
        Ok(Self {
            script: script.to_hex_string(),
            address: snapshot.address(script),
            labels: labels::texts(entry.as_ref()),
            entry,
        })
    }
}
