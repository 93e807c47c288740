//! `coins`: the coins of the target, and what became of each.

use std::cell::RefCell;
use std::rc::Rc;

use bitcoin::OutPoint;
use serde::Serialize;

use super::cursor::RowCursor;
use super::facts::coin::Spending;
use super::facts::input::consumed_outpoint;
use super::facts::{CoinState, ScriptInfo, SpentBy, Txids};
use super::target::{EntriesWithRows, Targets};
use super::{Result, Rows, Snapshot};
use crate::chain::Height;
use crate::index::keys::{CoinKey, TouchKind, TxPosition};
use crate::index::values::{Coin, Record};
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
    let reader = Rc::new(CoinReader {
        snapshot,
        entries: EntriesWithRows::new(snapshot, targets)?,
        txids: Txids::new(snapshot),
        at,
        last: RefCell::new(None),
    });
    let older: Rows<'a, (RowCursor, CoinRow)> = if targets.has_older_coins() {
        let touches = ScriptRows::<Touch>::new(&snapshot.reader, &reader.entries.scripts, at)?;
        let reader = Rc::clone(&reader);
        Box::new(touches.filter_map(move |touch| reader.older(touch).transpose()))
    } else {
        Box::new(std::iter::empty())
    };
    let made = ScriptRows::<ScriptCoin>::new(&snapshot.reader, &reader.entries.scripts, at)?;
    let made = made.map(move |row| reader.made(&row?));
    let rows = older.chain(made).filter(move |row| match row {
        Ok((cursor, row)) => {
            after.is_none_or(|after| cursor.among_coins() > after.among_coins())
                && !(only_unspent && row.state != CoinState::Unspent)
        }
        Err(_) => true,
    });
    Ok(Box::new(rows))
}

/// From rows of `scripts` and `touches` to coins.
struct CoinReader<'a> {
    snapshot: &'a Snapshot,
    entries: EntriesWithRows<'a>,
    txids: Txids<'a>,
    at: Height,
    /// The record read last: touches of one transaction follow each other.
    last: RefCell<Option<(TxPosition, Rc<Record>)>>,
}

impl CoinReader<'_> {
    /// The coin that a `scripts` row names.
    fn made(&self, row: &RowOfScript<ScriptCoin>) -> Result<(RowCursor, CoinRow)> {
        let (snapshot, entry, made) = (self.snapshot, self.entries.get(row.script)?, row.key);
        let outpoint = OutPoint { txid: self.txids.get(made.at)?, vout: made.vout };
        let key = CoinKey { outpoint, height: made.at.height };
        let coin = snapshot.reader.known::<Coin>(&key)?;
        let spending = Spending::of(snapshot, &key, &entry.script, self.at)?;
        let row = CoinRow {
            outpoint: outpoint.to_string(),
            height: Some(key.height),
            value_sat: coin.value,
            info: ScriptInfo::of_entry(snapshot.chain(), &entry),
            coinbase: Some(coin.coinbase),
            state: spending.state(),
            spent_by: spending.spent_by(&self.txids)?,
        };
        Ok((RowCursor::made(made.at, made.vout), row))
    }

    /// The coin that a spending touch consumed, if the index never saw it made.
    fn older(&self, touch: Result<RowOfScript<Touch>, IndexError>) -> Result<Option<(RowCursor, CoinRow)>> {
        let RowOfScript { script, key, row: Touch { value } } = touch?;
        if key.kind == TouchKind::Funding {
            return Ok(None);
        }
        let entry = self.entries.get(script)?;
        let outpoint = consumed_outpoint(&*self.record(key.at)?, key.at, key.io_index)?;
        if self.snapshot.reader.coin_heights(&outpoint)?.iter().any(|height| *height >= self.entries.scripts[script].1)
        {
            return Ok(None);
        }
        let row = CoinRow {
            outpoint: outpoint.to_string(),
            height: None,
            value_sat: value,
            info: ScriptInfo::of_entry(self.snapshot.chain(), &entry),
            coinbase: None,
            state: CoinState::Spent,
            spent_by: Some(SpentBy { txid: self.txids.get(key.at)?, vin: key.io_index, height: key.at.height }),
        };
        Ok(Some((RowCursor::older(key.at, key.io_index), row)))
    }

    fn record(&self, at: TxPosition) -> Result<Rc<Record>> {
        let mut last = self.last.borrow_mut();
        if let Some((of, record)) = &*last
            && *of == at
        {
            return Ok(Rc::clone(record));
        }
        let record = Rc::new(self.snapshot.record(at)?);
        *last = Some((at, Rc::clone(&record)));
        Ok(record)
    }
}
