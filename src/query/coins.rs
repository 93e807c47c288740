//! `coins`: the coins of the target, and what became of each.

use bitcoin::OutPoint;
use serde::Serialize;

use super::cursor::RowCursor;
use super::facts::coin::Spending;
use super::facts::input::consumed_outpoint;
use super::facts::{CoinState, ScriptInfo, SpentBy};
use super::target::Targets;
use super::{Result, Rows, Snapshot};
use crate::chain::Height;
use crate::index::keys::{CoinKey, TouchKind};
use crate::index::values::Coin;
use crate::index::{IndexError, ReadRows, RowOfScript, ScriptCoin, ScriptRows, Touch};

/// One coin.
#[derive(Clone, Debug, Serialize)]
pub struct CoinRow {
    /// The output.
    pub outpoint: String,
    /// The height it was made at; `None` for a coin older than the coverage.
    pub height: Option<Height>,
    /// Satoshis.
    pub value_sat: u64,
    /// The script that holds it.
    #[serde(flatten)]
    pub info: ScriptInfo,
    /// Whether a coinbase made it; `None` for a coin older than the coverage.
    pub coinbase: Option<bool>,
    /// `spent`, `unspent` or `unspendable`.
    pub state: CoinState,
    /// The input that spent it.
    pub spent_by: Option<SpentBy>,
}

/// The coins of the targets after the block at `at`, in chain order; those older than the coverage, which only their spends
/// show, come first. Each has its cursor.
///
/// # Errors
/// What reading reports, also from the rows.
pub fn coins<'a>(
    snapshot: &'a Snapshot,
    targets: &'a Targets,
    at: Height,
    only_unspent: bool,
    after: Option<RowCursor>,
) -> Result<Rows<'a, (RowCursor, CoinRow)>> {
    let hashes = targets.hashes();
    let older: Rows<'a, (RowCursor, CoinRow)> = if targets.has_older_coins() {
        let touches = ScriptRows::<Touch>::new(&snapshot.reader, &hashes, at)?;
        Box::new(touches.filter_map(move |touch| older_coin(snapshot, targets, touch).transpose()))
    } else {
        Box::new(std::iter::empty())
    };
    let made = ScriptRows::<ScriptCoin>::new(&snapshot.reader, &hashes, at)?;
    let made = made.map(move |row| made_coin(snapshot, targets, &row?, at));
    let rows = older.chain(made).filter(move |row| match row {
        Ok((cursor, row)) => {
            after.is_none_or(|after| cursor.among_coins() > after.among_coins())
                && !(only_unspent && row.state != CoinState::Unspent)
        }
        Err(_) => true,
    });
    Ok(Box::new(rows))
}

/// The coin that a `scripts` row names.
fn made_coin(
    snapshot: &Snapshot,
    targets: &Targets,
    row: &RowOfScript<ScriptCoin>,
    at: Height,
) -> Result<(RowCursor, CoinRow)> {
    let (_, entry) = &targets.entries[row.script];
    let made = row.key;
    let txid = snapshot.record(made.at)?.txid();
    let key = CoinKey { outpoint: OutPoint { txid, vout: made.vout }, height: made.at.height };
    let coin = snapshot.reader.known::<Coin>(&key)?;
    let spending = Spending::of(snapshot, &key, &entry.script, at)?;
    let row = CoinRow {
        outpoint: key.outpoint.to_string(),
        height: Some(key.height),
        value_sat: coin.value,
        info: ScriptInfo::of_entry(snapshot.chain(), entry),
        coinbase: Some(coin.coinbase),
        state: spending.state(),
        spent_by: spending.spent_by(snapshot)?,
    };
    Ok((RowCursor::made(made.at, made.vout), row))
}

/// The coin that a spending touch consumed, if the index never saw it made.
fn older_coin(
    snapshot: &Snapshot,
    targets: &Targets,
    touch: Result<RowOfScript<Touch>, IndexError>,
) -> Result<Option<(RowCursor, CoinRow)>> {
    let RowOfScript { script, key, row: Touch { value } } = touch?;
    if key.kind == TouchKind::Funding {
        return Ok(None);
    }
    let (_, entry) = &targets.entries[script];
    let record = snapshot.record(key.at)?;
    let outpoint = consumed_outpoint(&record, key.at, key.io_index)?;
    if snapshot.reader.coin_heights(&outpoint)?.iter().any(|height| *height >= entry.from) {
        return Ok(None);
    }
    let row = CoinRow {
        outpoint: outpoint.to_string(),
        height: None,
        value_sat: value,
        info: ScriptInfo::of_entry(snapshot.chain(), entry),
        coinbase: None,
        state: CoinState::Spent,
        spent_by: Some(SpentBy { txid: record.txid(), vin: key.io_index, height: key.at.height }),
    };
    Ok(Some((RowCursor::older(key.at, key.io_index), row)))
}
