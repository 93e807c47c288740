//! Writes the rows of a record: all of them where it is new, those that changed where the index has it, with the events for what the
//! rows say now and didn't before.

use bitcoin::Txid;
use bitcoin::block::Header;

use super::batch::Batch;
use super::events;
use crate::chain::BlockId;
use crate::index::derive::Derived;
use crate::index::events::{Reason, TxContext};
use crate::index::keys::TxPosition;
use crate::index::values::Record;
use crate::index::{IndexError, Result, RowSet, Touch};

/// Where a record is.
pub fn place(id: BlockId, header: &Header, at: TxPosition, txid: Txid) -> TxContext {
    TxContext { height: id.height, block: id.hash, time: header.time, txid, tx_index: at.tx_index }
}

/// Writes the rows of a record that is new.
///
/// # Errors
/// As all reads.
pub fn insert_record(batch: &mut Batch<'_>, place: TxContext, record: &Record, derived: &Derived) -> Result<()> {
    let facts = events::facts(batch.writer, place, record, &derived.rows)?;
    for event in events::changes(&events::Facts::new(), &facts, batch.course.seen, Reason::Retrace) {
        batch.step.append(&event)?;
    }
    batch.step.put_all(&derived.rows);
    batch.tally.touches += derived.rows.count::<Touch>();
    Ok(())
}

/// Writes the rows that changed of a record that the index has. If it is no longer a record, all of them are deleted.
///
/// # Errors
/// As all reads.
pub fn update_record(batch: &mut Batch<'_>, place: TxContext, record: &Record, derived: Derived) -> Result<()> {
    let at = TxPosition { height: place.height, tx_index: place.tx_index };
    let old = batch.step.rows_of(at, place.txid, record)?;
    let new = if derived.is_record { derived.rows } else { RowSet::default() };
    if old == new {
        return Ok(());
    }
    let before = match events::facts(batch.writer, place, record, &old) {
        // What damaged rows said can't be known: then everything is said again.
        Err(IndexError::Corrupt { .. }) => events::Facts::new(),
        facts => facts?,
    };
    let after = events::facts(batch.writer, place, record, &new)?;
    for event in events::changes(&before, &after, batch.course.seen, Reason::Retrace) {
        batch.step.append(&event)?;
    }
    let changes = old.changes_to(&new);
    batch.step.change_all(&changes);
    batch.tally.touches += changes.count_put::<Touch>();
    Ok(())
}
