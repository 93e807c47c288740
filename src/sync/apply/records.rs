//! A record's rows: put where it is new, changed where it was known, with the messages of what they say now and didn't before.

use bitcoin::Txid;
use bitcoin::block::Header;

use super::events;
use crate::chain::BlockId;
use crate::index::derive::Derived;
use crate::index::events::{Place, Reason, Seen};
use crate::index::keys::TxPosition;
use crate::index::values::Record;
use crate::index::{IndexError, Result, RowSet, Step, Touch, View};

/// Where a record stands.
pub fn place(id: BlockId, header: &Header, at: TxPosition, txid: Txid) -> Place {
    Place { height: id.height, block: id.hash, time: header.time, txid, tx_index: at.tx_index }
}

/// Puts the rows of a record that is new; returns how many touches are among them.
///
/// # Errors
/// What reading reports.
pub fn put(
    view: &View,
    step: &mut Step<'_>,
    place: Place,
    record: &Record,
    derived: &Derived,
    seen: Seen,
) -> Result<u64> {
    let facts = events::facts(view, place, record, &derived.rows)?;
    for event in events::changes(&events::Facts::new(), &facts, seen, Reason::Retrace) {
        step.tell(&event)?;
    }
    step.put_all(&derived.rows);
    Ok(derived.rows.count::<Touch>())
}

/// Puts what changed of the rows of a record that was known, which may be none any more; returns how many touches are among it.
///
/// # Errors
/// What reading reports.
pub fn again(
    view: &View,
    step: &mut Step<'_>,
    place: Place,
    record: &Record,
    derived: Derived,
    seen: Seen,
) -> Result<u64> {
    let at = TxPosition { height: place.height, tx_index: place.tx_index };
    let old = step.brought(at, place.txid, record)?;
    let new = if derived.is_record { derived.rows } else { RowSet::default() };
    if old == new {
        return Ok(0);
    }
    // What damaged rows told nobody knows any more.
    let before = match events::facts(view, place, record, &old) {
        Err(IndexError::Corrupt { .. }) => events::Facts::new(),
        facts => facts?,
    };
    let after = events::facts(view, place, record, &new)?;
    for event in events::changes(&before, &after, seen, Reason::Retrace) {
        step.tell(&event)?;
    }
    let changes = old.changes_to(&new);
    step.change_all(&changes);
    Ok(changes.count_put::<Touch>())
}
