//! Targets that the index holds: the coins of a script, and the outputs of a record.

use bitcoin::{OutPoint, Script, TxOut};

use super::findings::{CoinTally, Findings};
use super::ledger::{Ledger, RecordedTx};
use super::proof::{Evidence, SilenceJudge};
use super::row::ScreenRow;
use crate::chain::ScriptHash;
use crate::index::keys::CoinKey;
use crate::index::values::Coin;
use crate::index::{ReadRows, ScriptCoin};
use crate::query::Result;

/// The row of a script: of all coins that it ever held.
///
/// # Errors
/// What reading reports, as in all that follow.
pub fn script(ledger: &mut Ledger<'_>, judge: &SilenceJudge<'_>, target: &str, script: &Script) -> Result<ScreenRow> {
    let snapshot = ledger.snapshot;
    let listing = ledger.listing(script)?;
    let mut tally = CoinTally::new(&snapshot.trace.rules);
    tally.add_script(ledger, &listing)?;
    for made in snapshot.reader.keys::<ScriptCoin>(ScriptHash::of(script)) {
        let made = made?;
        let txid = snapshot.record(made.at)?.txid();
        let key = CoinKey { outpoint: OutPoint { txid, vout: made.vout }, height: made.at.height };
        let coin = snapshot.reader.known::<Coin>(&key)?;
        tally.add(ledger, key, &listing, coin.value, &coin.columns)?;
    }
    let is_listed = listing.flagged_from.is_some();
    let found = Findings { is_listed, value_sat: None, flagged_outputs: None, ..tally.findings(ledger)? };
    Ok(ScreenRow::new(target, found, judge.script()))
}

/// The row of a record's outputs, or of one of them.
pub fn transaction(
    ledger: &mut Ledger<'_>,
    judge: &SilenceJudge<'_>,
    target: &str,
    recorded: &RecordedTx,
    only: Option<u32>,
) -> Result<ScreenRow> {
    let RecordedTx { txid, at, record, flagged_inputs, flagged_outputs } = recorded;
    let all = (0..).zip(&record.transaction.output);
    let outputs: Vec<(u32, &TxOut)> = all.filter(|(vout, _)| only.is_none_or(|only| only == *vout)).collect();
    if let Some(vout) = only.filter(|_| outputs.is_empty()) {
        return Ok(ScreenRow::nothing_known(target, format!("the transaction has no output {vout}")));
    }
    let snapshot = ledger.snapshot;
    let mut tally = CoinTally::new(&snapshot.trace.rules);
    for (vout, output) in outputs {
        let listing = ledger.listing(&output.script_pubkey)?;
        let key = CoinKey { outpoint: OutPoint { txid: *txid, vout }, height: at.height };
        let columns = snapshot.reader.coin(&key)?.map(|coin| coin.columns).unwrap_or_default();
        tally.add(ledger, key, &listing, output.value.to_sat(), &columns)?;
    }
    for spent in record.spent.iter().filter(|_| only.is_none()) {
        let listing = ledger.listing(&spent.script_pubkey)?;
        tally.add_spent(ledger, &listing)?;
    }
    let found = Findings {
        flagged_inputs: Some(*flagged_inputs),
        flagged_outputs: Some(*flagged_outputs),
        ..tally.findings(ledger)?
    };
    Ok(ScreenRow::new(target, found, judge.confirmed(Evidence::Record(at.height))?))
}
