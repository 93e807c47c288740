//! `history`: every touch of the target in chain order, with its balance after each.

use bitcoin::{BlockHash, OutPoint, Txid};
use serde::Serialize;

use super::cursor::RowCursor;
use super::facts::ScriptInfo;
use super::facts::input::consumed_outpoint;
use super::target::{EntriesWithRows, Targets};
use super::{Result, Rows, Snapshot};
use crate::chain::Height;
use crate::index::keys::{TouchKind, TxPosition};
use crate::index::values::Record;
use crate::index::{RowOfScript, ScriptRows, Touch};

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
    /// The flagged script.
    #[serde(flatten)]
    pub info: ScriptInfo,
    /// The target's balance after this row; `None` where older coins may exist.
    pub balance_sat: Option<u64>,
}

/// The touches of the targets up to height `at`, those after a cursor if one is given, each with its own cursor.
///
/// # Errors
/// What reading reports, also from the rows.
pub fn history<'a>(
    snapshot: &'a Snapshot,
    targets: &'a Targets,
    at: Height,
    after: Option<RowCursor>,
) -> Result<Rows<'a, (RowCursor, HistoryRow)>> {
    let entries = EntriesWithRows::new(snapshot, targets)?;
    let touches = ScriptRows::<Touch>::new(&snapshot.reader, &entries.scripts, at)?;
    let balance = (!targets.has_older_coins()).then_some(0);
    let mut rows = HistoryRows { snapshot, entries, balance, last: None };
    Ok(Box::new(touches.filter_map(move |touch| match touch {
        Ok(touch) => rows.next(&touch, after).transpose(),
        Err(error) => Some(Err(error.into())),
    })))
}

/// From touches in chain order to rows.
struct HistoryRows<'a> {
    snapshot: &'a Snapshot,
    entries: EntriesWithRows<'a>,
    /// Satoshis after the last touch; `None` where older coins may exist.
    balance: Option<u64>,
    /// The record read last: touches of one transaction follow each other.
    last: Option<(TxPosition, Record, Txid)>,
}

impl HistoryRows<'_> {
    /// The next row with its cursor; `None` for one that isn't after the cursor `after`.
    fn next(
        &mut self,
        touch: &RowOfScript<Touch>,
        after: Option<RowCursor>,
    ) -> Result<Option<(RowCursor, HistoryRow)>> {
        let (key, value_sat) = (touch.key, touch.row.value);
        self.balance = self.balance.map(|before| match key.kind {
            TouchKind::Funding => before.saturating_add(value_sat),
            TouchKind::Spending => before.saturating_sub(value_sat),
        });
        let cursor = RowCursor::touch(key.at, key.kind, key.io_index);
        if after.is_some_and(|after| cursor <= after) {
            return Ok(None);
        }
        let (record, txid) = self.record(key.at)?;
        let outpoint = match key.kind {
            TouchKind::Funding => OutPoint { txid, vout: key.io_index },
            TouchKind::Spending => consumed_outpoint(record, key.at, key.io_index)?,
        };
        let (block, time) = self.snapshot.block(key.at.height)?;
        let entry = self.entries.get(touch.script)?;
        let row = HistoryRow {
            height: key.at.height,
            block,
            time,
            txid,
            tx_index: key.at.tx_index,
            kind: key.kind.name(),
            outpoint: outpoint.to_string(),
            vin: (key.kind == TouchKind::Spending).then_some(key.io_index),
            value_sat,
            info: ScriptInfo::of_entry(self.snapshot.chain(), &entry),
            balance_sat: self.balance,
        };
        Ok(Some((cursor, row)))
    }

    fn record(&mut self, at: TxPosition) -> Result<(&Record, Txid)> {
        if self.last.as_ref().is_none_or(|(last, ..)| *last != at) {
            let record = self.snapshot.record(at)?;
            let txid = record.txid();
            self.last = Some((at, record, txid));
        }
        let (_, record, txid) = self.last.as_ref().expect("it was just read");
        Ok((record, *txid))
    }
}
