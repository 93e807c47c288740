//! Writes the rows of a record: all of them where it is new, those that changed where the index has it, with the events for what the
//! rows say now and didn't before.

use super::batch::Batch;
use super::events::{self, Stated};
use super::place::Place;
use crate::index::derive::Derived;
use crate::index::events::Reason;
use crate::index::values::Record;
use crate::index::{IndexError, Result, RowSet, Touch};

/// Writes the rows of a record that is new.
///
/// # Errors
/// As all reads.
pub fn insert_record(batch: &mut Batch<'_>, place: &Place, derived: &Derived) -> Result<()> {
    events::log_new(&mut batch.step, place.at, &Stated::by(&derived.rows)?, batch.course.seen, false)?;
    batch.step.put_all(&derived.rows);
    batch.tally.touches += derived.rows.count::<Touch>();
    Ok(())
}

/// Writes the rows that changed of a record that the index has. If it is no longer a record, all of them are deleted.
///
/// # Errors
/// As all reads.
pub fn update_record(batch: &mut Batch<'_>, place: &Place, record: &Record, derived: Derived) -> Result<()> {
    let stays = derived.is_record;
    let old = batch.step.rows_of(place.at, place.txid, record)?;
    let new = if stays { derived.rows } else { RowSet::default() };
    if old == new {
        return Ok(());
    }
    let (step, seen) = (&mut batch.step, batch.course.seen);
    match Stated::by(&old) {
        Ok(before) if stays => events::log_changed(step, place, record, before, &Stated::by(&new)?, seen)?,
        Ok(before) => events::log_removed(step, place, record, before, (Reason::Retrace, seen))?,
        // What damaged rows said can't be known: then everything is said again.
        Err(IndexError::Corrupt { .. }) if stays => {
            events::log_new(step, place.at, &Stated::by(&new)?, seen, true)?;
        }
        Err(IndexError::Corrupt { .. }) => {
            events::log_removed(step, place, record, Stated::default(), (Reason::Retrace, seen))?;
        }
        Err(error) => return Err(error),
    }
    let changes = old.changes_to(&new);
    batch.step.change_all(&changes);
    batch.tally.touches += changes.count_put::<Touch>();
    Ok(())
}
