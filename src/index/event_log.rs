//! The event log: each event is written in the batch of the rows that it is about. The log is appended to, and its oldest part may be
//! removed.

use super::error::Result;
use super::meta;
use super::read::view::View;
use super::rows::events::Event;

/// The seq of the first event that the log keeps; that of the next event where it keeps none.
///
/// # Errors
/// As all reads.
pub fn first_seq(view: &View) -> Result<u64> {
    meta::events_from(view)
}

/// The seq of the next event.
///
/// # Errors
/// As all reads.
pub fn next_seq(view: &View) -> Result<u64> {
    // Where all events were removed, numbers go on.
    let after_last = view.last_key::<Event>()?.map_or(1, |seq| seq.saturating_add(1));
    Ok(after_last.max(first_seq(view)?))
}

/// The events after seq `since` that the log keeps, in order, each with its seq.
///
/// # Errors
/// As all reads.
pub fn since(view: &View, since: u64) -> Result<impl Iterator<Item = Result<(u64, Event)>>> {
    let first = since.saturating_add(1).max(first_seq(view)?);
    // No event has the greatest number of all: then `since` names the last event there can be.
    Ok(view.range::<Event>(first..).filter(move |row| !matches!(row, Ok((seq, _)) if *seq <= since)))
}
