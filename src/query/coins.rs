//! `coins`: the coins of the target, and what became of each.

use serde::Serialize;

use super::history::{Cursor, Page};
use super::merge::{Merge, MergedRow};
use super::target::Targets;
use super::{Result, Rows, Snapshot, SpentBy, labels};
use crate::chain::Height;
use crate::index::entries::EntryRow;
use crate::index::keys::{CoinKey, ScriptKey, TouchKind};
use crate::index::{Family, View};

/// One coin.
#[derive(Clone, Debug, Serialize)]
pub struct CoinRow {
    /// The output.
    pub outpoint: String,
    /// The height it was made at; `None` for a coin older than the coverage.
    pub height: Option<Height>,
    /// Satoshis.
    pub value_sat: u64,
    /// The script that holds it, hex.
    pub script: String,
    /// The same as an address, where it has one.
    pub address: Option<String>,
    /// What lists say of it.
    pub labels: Vec<String>,
    /// Whether a coinbase made it; `None` for a coin older than the coverage.
    pub coinbase: Option<bool>,
    /// `spent`, `unspent` or `unspendable`.
    pub state: &'static str,
    /// The input that spent it.
    pub spent_by: Option<SpentBy>,
}

/// The coins of the targets after the block at `at`, in chain order; those older than the coverage, which only their spends
/// tell of, come first. Each has its cursor.
///
/// # Errors
/// What reading reports, also from the rows.
pub fn coins<'a>(
    snapshot: &'a Snapshot,
    targets: &'a Targets,
    at: Height,
    only_unspent: bool,
    page: &Page,
) -> Result<Rows<'a, (Cursor, CoinRow)>> {
    let hashes = targets.hashes();
    let older: Rows<'a, (Cursor, CoinRow)> = if targets.has_older_coins() {
        let spends = Merge::new(&snapshot.reader, Family::Touches, &hashes, at)?;
        Box::new(spends.filter_map(move |row| older_coin(snapshot, targets, row).transpose()))
    } else {
        Box::new(std::iter::empty())
    };
    let made = Merge::new(&snapshot.reader, Family::Scripts, &hashes, at)?;
    let made = made.map(move |row| made_coin(snapshot, targets, &row?, at));
    let after = page.after;
    let rows = older.chain(made).filter(move |row| match row {
        Ok((cursor, row)) => {
            after.is_none_or(|after| cursor.among_coins() > after.among_coins())
                && !(only_unspent && row.state != "unspent")
        }
        Err(_) => true,
    });
    Ok(Box::new(rows))
}

/// The coin a `scripts` row names.
fn made_coin(snapshot: &Snapshot, targets: &Targets, row: &MergedRow, at: Height) -> Result<(Cursor, CoinRow)> {
    let key = ScriptKey::from_key(&row.key).map_err(|_| View::corrupt(Family::Scripts, &row.key))?;
    let (_, entry) = &targets.entries[row.script];
    let txid = snapshot.record(key.at)?.txid();
    let outpoint = bitcoin::OutPoint { txid, vout: key.vout };
    let coin_key = CoinKey { outpoint, height: key.at.height };
    let coin = snapshot.reader.coin(&coin_key)?.ok_or_else(|| View::corrupt(Family::Coins, &coin_key.key()))?;
    let unspendable = snapshot.is_unspendable(&coin_key, &entry.script, at)?;
    let spent_by = if unspendable { None } else { snapshot.spent_by(&coin_key, at)? };
    let state = match (&spent_by, unspendable) {
        (_, true) => "unspendable",
        (Some(_), false) => "spent",
        (None, false) => "unspent",
    };
    let cursor = Cursor::made(key.at, key.vout);
    let row =
        coin_row(snapshot, entry, &outpoint, coin.value, (Some(key.at.height), Some(coin.coinbase)), state, spent_by);
    Ok((cursor, row))
}

/// The coin that a spending touch consumed, if the index never saw it made.
fn older_coin(snapshot: &Snapshot, targets: &Targets, row: Result<MergedRow>) -> Result<Option<(Cursor, CoinRow)>> {
    let row = row?;
    let (key, value) = super::history::read(&row)?;
    if key.kind == TouchKind::Funding {
        return Ok(None);
    }
    let (_, entry) = &targets.entries[row.script];
    let record = snapshot.record(key.at)?;
    let input = record.transaction.input.get(key.io_index as usize);
    let outpoint = input.ok_or_else(|| View::corrupt(Family::Records, &key.at.key()))?.previous_output;
    if snapshot.reader.coin_heights(&outpoint)?.iter().any(|height| *height >= entry.from) {
        return Ok(None);
    }
    let spent_by = SpentBy { txid: record.txid(), vin: key.io_index, height: key.at.height };
    let cursor = Cursor::older(key.at, key.io_index);
    Ok(Some((cursor, coin_row(snapshot, entry, &outpoint, value, (None, None), "spent", Some(spent_by)))))
}

fn coin_row(
    snapshot: &Snapshot,
    entry: &EntryRow,
    outpoint: &bitcoin::OutPoint,
    value_sat: u64,
    (height, coinbase): (Option<Height>, Option<bool>),
    state: &'static str,
    spent_by: Option<SpentBy>,
) -> CoinRow {
    CoinRow {
        outpoint: outpoint.to_string(),
        height,
        value_sat,
        script: entry.script.to_hex_string(),
        address: snapshot.address(&entry.script),
        labels: labels::texts(Some(entry)),
        coinbase,
        state,
        spent_by,
    }
}
