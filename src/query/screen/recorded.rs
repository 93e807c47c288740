//! Targets that the index holds: the coins of a script, and the outputs of a record.

use bitcoin::{OutPoint, Script, TxOut, Txid};

use super::coins::ledger::{Ledger, RecordedTx};
use super::evidence::history;
use super::evidence::lookup::ChainLookup;
use super::evidence::proof::{Evidence, ProvenBy, Silence, SilenceJudge};
use super::evidence::vouch::NamedPlace;
use super::row::findings::Findings;
use super::row::output_tally::CoinTally;
use super::row::screen_row::ScreenRow;
use crate::chain::ScriptHash;
use crate::index::keys::{CoinKey, TxPosition};
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
    let mut last: Option<(TxPosition, Txid)> = None;
    for made in snapshot.reader.keys::<ScriptCoin>(ScriptHash::of(script)) {
        let made = made?;
        // One transaction may pay the script thousands of times.
        let txid = match last {
            Some((at, txid)) if at == made.at => txid,
            _ => snapshot.record(made.at)?.txid(),
        };
        last = Some((made.at, txid));
        let key = CoinKey { outpoint: OutPoint { txid, vout: made.vout }, height: made.at.height };
        let coin = snapshot.reader.known::<Coin>(&key)?;
        tally.add(ledger, key, &listing, coin.value, &coin.columns)?;
    }
    let is_listed = listing.flagged_from.is_some();
    let found = Findings {
        is_listed,
        value_sat: None,
        flagged_outputs: None,
        proven_by: Some(ProvenBy::Index),
        ..tally.findings(ledger)?
    };
    let ruling = judge.rule(&Silence::of(Evidence::Script), || Ok(None))?;
    Ok(ScreenRow::new(target, found.bounded(false, judge.blind().is_some()), ruling))
}

/// The row of a record's outputs, or of one of them. `named` is where the caller says that it is confirmed.
pub fn transaction(
    ledger: &mut Ledger<'_>,
    (judge, lookup): (&SilenceJudge<'_>, &dyn ChainLookup),
    target: &str,
    recorded: &RecordedTx,
    only: Option<u32>,
    named: &NamedPlace,
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
    let silence = Silence {
        evidence: Evidence::Index(at.height),
        doubt: misplaced(ledger, recorded, named)?,
        flagged_inputs: *flagged_inputs,
    };
    let found = Findings {
        is_coin: only.is_some(),
        flagged_inputs: Some(*flagged_inputs),
        flagged_outputs: Some(*flagged_outputs),
        note: silence.doubt.clone(),
        proven_by: judge.proven_by(&silence.evidence)?,
        ..tally.findings(ledger)?
    };
    let found = found.with_cut(ledger, (*txid, at.height), history::spent(&record.transaction))?;
    let spends = history::spent(&record.transaction);
    let ruling = judge.rule(&silence, || history::doubt(snapshot, judge, lookup, spends))?;
    Ok(ScreenRow::new(target, found.bounded(false, judge.blind().is_some()), ruling))
}

/// What the index has against the place that the caller names for a record.
fn misplaced(ledger: &Ledger<'_>, recorded: &RecordedTx, named: &NamedPlace) -> Result<Option<String>> {
    let block = match named {
        NamedPlace::Unnamed => return Ok(None),
        NamedPlace::Nowhere(why) => return Ok(Some(why.clone())),
        NamedPlace::Block(block, _) => block,
    };
    // BIP30's twins are at two heights.
    let positions = ledger.snapshot.reader.positions(recorded.txid)?;
    let is_there = positions.iter().any(|at| at.height == block.height);
    let height = recorded.at.height;
    Ok((!is_there).then(|| format!("recorded at height {height}, not in block {block}, which the caller names")))
}
