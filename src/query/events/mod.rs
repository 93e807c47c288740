//! `events`: the events of the log as they are printed, each made from the record that it is about.

mod labels;
mod message;
mod past;

use bitcoin::Network;
use serde_json::Value;

use super::Rows;
use crate::index::event_log::{first_seq, next_seq, since};
use crate::index::events::Event;
use crate::index::{IndexError, ReadRows, View};
use message::Renderer;

/// The events after `seq` that the log keeps, in order, each with its seq; addresses are those of `network`.
///
/// # Errors
/// What reading reports.
pub fn after(view: &View, network: Network, seq: u64) -> Result<Rows<'_, (u64, Value)>, IndexError> {
    let mut renderer = Renderer::new(view, network);
    Ok(Box::new(since(view, seq)?.map(move |row| {
        let (seq, event) = row?;
        Ok((seq, renderer.message(seq, &event)?))
    })))
}

/// The id of the fact of the event with number `seq`; `None` where the log doesn't have it.
///
/// # Errors
/// What reading reports.
pub fn id(view: &View, network: Network, seq: u64) -> Result<Option<String>, IndexError> {
    let event = view.get::<Event>(&seq)?;
    event.map(|event| Renderer::new(view, network).id(seq, &event)).transpose()
}

/// The seq of the last event; 0 in a log that never had one.
///
/// # Errors
/// What reading reports.
pub fn last_seq(view: &View) -> Result<u64, IndexError> {
    Ok(next_seq(view)?.saturating_sub(1))
}

/// The seq of the first event that the log keeps, where those after `seq` are asked for and some of them were removed.
///
/// # Errors
/// What reading reports.
pub fn removed_after(view: &View, seq: u64) -> Result<Option<u64>, IndexError> {
    let first = first_seq(view)?;
    Ok((first > seq.saturating_add(1)).then_some(first))
}
