//! `tx`: one transaction of the index, input by input and output by output.

use bitcoin::{BlockHash, OutPoint, TxOut, Txid};
use serde::Serialize;

use super::at::{AtBlock, Moment};
use super::by_rule::ByRule;
use super::coverage::{Basis, Coverage};
use super::facts::coin::Spending;
use super::facts::input::input_taint;
use super::facts::script::ScriptListing;
use super::facts::{CoinState, ScriptInfo, SpentBy, Txids};
use super::{Result, Snapshot};
use crate::chain::Height;
use crate::index::ReadRows;
use crate::index::keys::{CoinKey, TxPosition};
use crate::index::values::Record;
use crate::trace::RuleTaint;

/// A transaction, or where the index holds none of that id, only the question.
#[derive(Clone, Debug, Serialize)]
pub struct TxAnswer {
    /// What it rests on.
    pub coverage: Coverage,
    /// The block after which the state is asked about, where the question names one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at: Option<AtBlock>,
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
    /// The script of that output.
    #[serde(flatten)]
    pub info: ScriptInfo,
    /// Whether the index holds the transaction that made it; else value and script are the node's word.
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
    /// Its script.
    #[serde(flatten)]
    pub info: ScriptInfo,
    /// Taint by tracked rule; `None` where nothing is tracked.
    pub taint_sat: Option<ByRule>,
    /// `spent`, `unspent`, `unspendable`, or `not_followed` where the index doesn't search for its spend.
    pub state: CoinState,
    /// The input that spent it, where a record shows it.
    pub spent_by: Option<SpentBy>,
}

/// The transaction as of a moment; of BIP30's twins, the later one.
///
/// # Errors
/// What reading reports.
pub fn transaction(snapshot: &Snapshot, txid: Txid, moment: Moment) -> Result<TxAnswer> {
    let basis = Basis::of_flagged(snapshot)?.traced();
    let mut answer =
        match snapshot.reader.positions(txid)?.into_iter().rfind(|position| position.height <= moment.last()) {
            Some(position) => recorded(snapshot, position, moment.last(), basis.coverage(snapshot, moment))?,
            None => not_recorded(txid, basis.of_absent_transaction().coverage(snapshot, moment)),
        };
    answer.at = moment.named_block(snapshot)?;
    Ok(answer)
}

fn not_recorded(txid: Txid, coverage: Coverage) -> TxAnswer {
    TxAnswer {
        coverage,
        at: None,
        txid,
        height: None,
        block: None,
        time: None,
        tx_index: None,
        fee_sat: None,
        inputs: Vec::new(),
        outputs: Vec::new(),
    }
}

fn recorded(snapshot: &Snapshot, position: TxPosition, at: Height, coverage: Coverage) -> Result<TxAnswer> {
    let record = snapshot.record(position)?;
    let (block, time) = snapshot.block(position.height)?;
    let txid = record.txid();
    let inputs = (0..record.spent.len()).map(|vin| input_row(snapshot, &record, position, vin));
    let txids = Txids::new(snapshot);
    let outputs = (0..).zip(&record.transaction.output).map(|(vout, output)| {
        let coin = CoinKey { outpoint: OutPoint { txid, vout }, height: position.height };
        output_row(&txids, snapshot, &coin, output, at)
    });
    Ok(TxAnswer {
        coverage,
        at: None,
        txid,
        height: Some(position.height),
        block: Some(block),
        time: Some(time),
        tx_index: Some(position.tx_index),
        fee_sat: record.fee(),
        inputs: inputs.collect::<Result<_>>()?,
        outputs: outputs.collect::<Result<_>>()?,
    })
}

fn input_row(snapshot: &Snapshot, record: &Record, at: TxPosition, vin: usize) -> Result<InputRow> {
    let spent = &record.spent[vin];
    let outpoint = record.transaction.input[vin].previous_output;
    let rules = &snapshot.trace.rules;
    let taint_sat = match rules.is_empty() {
        true => None,
        false => Some(ByRule::of_input(rules, &input_taint(snapshot, record, at, vin)?)),
    };
    Ok(InputRow {
        outpoint: outpoint.to_string(),
        value_sat: spent.value.to_sat(),
        info: ScriptListing::read(snapshot, &spent.script_pubkey)?.info(snapshot.chain()),
        proven: !snapshot.reader.positions(outpoint.txid)?.is_empty(),
        taint_sat,
    })
}

fn output_row(txids: &Txids<'_>, snapshot: &Snapshot, coin: &CoinKey, output: &TxOut, at: Height) -> Result<OutputRow> {
    let listing = ScriptListing::read(snapshot, &output.script_pubkey)?;
    let spending = Spending::of(snapshot, coin, &output.script_pubkey, at)?;
    let columns = snapshot.reader.coin(coin)?.map(|row| row.columns).unwrap_or_default();
    let rules = &snapshot.trace.rules;
    // The spends of a flagged script are touches, which the index has whether or not a rule follows the coin.
    let is_followed = listing.is_flagged_at(coin.height) || columns.iter().any(RuleTaint::is_followed);
    Ok(OutputRow {
        vout: coin.outpoint.vout,
        value_sat: output.value.to_sat(),
        info: listing.info(snapshot.chain()),
        taint_sat: (!rules.is_empty()).then(|| ByRule::of_columns(rules, &columns)),
        state: match spending {
            Spending::Unspent if !is_followed => CoinState::NotFollowed,
            ref spending => spending.state(),
        },
        spent_by: spending.spent_by(txids)?,
    })
}
