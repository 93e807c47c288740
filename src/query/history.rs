//! `history`: every touch of the target in chain order, with its balance after each.

use bitcoin::{BlockHash, Script, Txid};
use serde::Serialize;

use super::merge::{Merge, MergedRow};
use super::target::Targets;
use super::{QueryError, Result, Rows, Snapshot, labels};
use crate::chain::Height;
use crate::index::keys::{TouchKey, TouchKind, TxPosition};
use crate::index::values::{Record, amount_from_value};
use crate::index::{Family, View};

/// One touch.
#[derive(Clone, Debug, Serialize)]
pub struct HistoryRow {
    /// Its block's height.
    pub height: Height,
    /// Its block.
    pub block: BlockHash,
    /// Its block's time, Unix seconds.
    pub time: u32,
    /// The touching transaction.
    pub txid: Txid,
    /// Its index in the block.
    pub tx_index: u32,
    /// `funding` or `spending`.
    pub kind: &'static str,
    /// The output made, or the output consumed.
    pub outpoint: String,
    /// The consuming input.
    pub vin: Option<u32>,
    /// Satoshis that came in or went out.
    pub value_sat: u64,
    /// The flagged script, hex.
    pub script: String,
    /// The same as an address, where it has one.
    pub address: Option<String>,
    /// What lists say of it.
    pub labels: Vec<String>,
    /// The target's balance after this row; `None` where older coins may exist.
    pub balance_sat: Option<u64>,
}

/// Which part of a long answer is wanted.
#[derive(Clone, Debug, Default)]
pub struct Page {
    /// Rows at most.
    pub limit: Option<u64>,
    /// The cursor of the row before the first.
    pub after: Option<Cursor>,
}

/// A place in a history: height, transaction, kind and input or output, as `HEIGHT.TX.KIND.INDEX`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cursor {
    at: TxPosition,
    kind: u8,
    io_index: u32,
}

impl Cursor {
    /// Reads what an earlier answer gave as `next`.
    ///
    /// # Errors
    /// [`QueryError::Usage`].
    pub fn parse(text: &str) -> Result<Self> {
        let number = |part: Option<&str>| part.and_then(|part| part.parse::<u32>().ok());
        let mut parts = text.split('.');
        let cursor = (|| {
            let at = TxPosition { height: number(parts.next())?, tx_index: number(parts.next())? };
            let kind = u8::try_from(number(parts.next())?).ok()?;
            Some(Self { at, kind, io_index: number(parts.next())? })
        })();
        let cursor = cursor.filter(|_| parts.next().is_none());
        cursor.ok_or_else(|| {
            QueryError::Usage(format!("'{text}' is no cursor; take it from `next` of the answer before"))
        })
    }

    /// The place of a coin known by its spend only.
    pub fn older(at: TxPosition, vin: u32) -> Self {
        Self { at, kind: 0, io_index: vin }
    }

    /// Orders coins: those known by their spend only before all others.
    pub fn among_coins(self) -> (bool, Self) {
        (self.kind == Self::MADE, self)
    }

    /// The place of a coin that the index saw made.
    pub fn made(at: TxPosition, vout: u32) -> Self {
        Self { at, kind: Self::MADE, io_index: vout }
    }

    const MADE: u8 = 2;
}

impl std::fmt::Display for Cursor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}.{}.{}", self.at.height, self.at.tx_index, self.kind, self.io_index)
    }
}

/// The touches of the targets up to height `at`, after the page's cursor, each with its own cursor.
///
/// # Errors
/// What reading reports, also from the rows.
pub fn history<'a>(
    snapshot: &'a Snapshot,
    targets: &'a Targets,
    at: Height,
    page: &Page,
) -> Result<Rows<'a, (Cursor, HistoryRow)>> {
    let merge = Merge::new(&snapshot.reader, Family::Touches, &targets.hashes(), at)?;
    let after = page.after;
    let mut balance = (!targets.has_older_coins()).then_some(0u64);
    let mut recent: Option<(TxPosition, Record, Txid)> = None;
    let rows = merge.filter_map(move |row| {
        let row = match row {
            Ok(row) => row,
            Err(error) => return Some(Err(error)),
        };
        let (key, value) = match read(&row) {
            Ok(touch) => touch,
            Err(error) => return Some(Err(error)),
        };
        balance = balance.map(|before| match key.kind {
            TouchKind::Funding => before.saturating_add(value),
            TouchKind::Spending => before.saturating_sub(value),
        });
        let cursor = Cursor { at: key.at, kind: u8::from(key.kind == TouchKind::Funding), io_index: key.io_index };
        if after.is_some_and(|after| cursor <= after) {
            return None;
        }
        Some(history_row(snapshot, targets, &row, key, value, balance, &mut recent).map(|row| (cursor, row)))
    });
    Ok(Box::new(rows))
}

/// A touch as its row has it: the key and the satoshis.
///
/// # Errors
/// [`crate::index::IndexError::Corrupt`].
pub fn read(row: &MergedRow) -> Result<(TouchKey, u64)> {
    let corrupt = |_| View::corrupt(Family::Touches, &row.key);
    Ok((TouchKey::from_key(&row.key).map_err(corrupt)?, amount_from_value(&row.value).map_err(corrupt)?))
}

fn history_row(
    snapshot: &Snapshot,
    targets: &Targets,
    row: &MergedRow,
    key: TouchKey,
    value_sat: u64,
    balance_sat: Option<u64>,
    recent: &mut Option<(TxPosition, Record, Txid)>,
) -> Result<HistoryRow> {
    let (_, entry) = &targets.entries[row.script];
    let (_, record, txid) = match recent.take() {
        Some(kept) if kept.0 == key.at => recent.insert(kept),
        _ => {
            let record = snapshot.record(key.at)?;
            let txid = record.txid();
            recent.insert((key.at, record, txid))
        }
    };
    let (block, time) = snapshot.block(key.at.height)?;
    let outpoint = match key.kind {
        TouchKind::Funding => bitcoin::OutPoint { txid: *txid, vout: key.io_index },
        TouchKind::Spending => {
            let input = record.transaction.input.get(key.io_index as usize);
            input.ok_or_else(|| View::corrupt(Family::Records, &key.at.key()))?.previous_output
        }
    };
    let script: &Script = &entry.script;
    Ok(HistoryRow {
        height: key.at.height,
        block,
        time,
        txid: *txid,
        tx_index: key.at.tx_index,
        kind: match key.kind {
            TouchKind::Funding => "funding",
            TouchKind::Spending => "spending",
        },
        outpoint: outpoint.to_string(),
        vin: (key.kind == TouchKind::Spending).then_some(key.io_index),
        value_sat,
        script: script.to_hex_string(),
        address: snapshot.address(script),
        labels: labels::texts(Some(entry)),
        balance_sat,
    })
}
