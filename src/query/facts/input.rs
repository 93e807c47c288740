//! Inputs: the coin that each consumed, and the taint that it carried into its transaction.

use bitcoin::OutPoint;

use crate::index::keys::TxPosition;
use crate::index::values::{InputTaint, Record};
use crate::index::{IndexError, ReadRows};
use crate::query::{Result, Snapshot};

/// The outpoint that input `vin` of the record at `at` consumed.
///
/// # Errors
/// [`crate::index::IndexError::Corrupt`] where the record lacks that input, though a row names it.
pub fn consumed_outpoint(record: &Record, at: TxPosition, vin: u32) -> Result<OutPoint> {
    let input = record.transaction.input.get(vin as usize);
    Ok(input.ok_or_else(|| IndexError::corrupt::<Record>(&at))?.previous_output)
}

/// The taint that input `vin` of the record at `at` carried in, for each tracked rule under which it carried any.
///
/// # Errors
/// What reading reports.
pub fn input_taint(snapshot: &Snapshot, record: &Record, at: TxPosition, vin: usize) -> Result<Vec<InputTaint>> {
    let outpoint = record.transaction.input[vin].previous_output;
    if let Some(spender) = snapshot.reader.spender(&outpoint)?.filter(|spender| spender.at == at) {
        return Ok(spender.taint);
    }
    // BIP30: the row has the last spend of an outpoint only. This one was of the elder twin, whose own row still has what it held.
    let spent = &record.spent[vin];
    let rules = snapshot.trace.rules.iter();
    if snapshot.entry(&spent.script_pubkey)?.is_some_and(|entry| entry.is_flagged_at(at.height)) {
        return Ok(rules.map(|rule| InputTaint { rule: *rule, taint: spent.value.to_sat(), hops: 0 }).collect());
    }
    let Some((_, coin)) = snapshot.reader.coin_at(&outpoint, at.height)? else { return Ok(Vec::new()) };
    let columns = coin.columns.iter().filter_map(|column| Some((column.rule, column.carried()?)));
    Ok(columns.map(|(rule, taint)| InputTaint { rule, taint: taint.amount, hops: taint.hops }).collect())
}
