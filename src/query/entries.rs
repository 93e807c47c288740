//! `watch list`: the entries of the index.

use serde::Serialize;

use super::{Rows, Snapshot};
use crate::chain::Height;
use crate::index::entries::EntryRow;
use crate::watchlist::Label;

/// One entry, as the index knows it.
#[derive(Clone, Debug, Serialize)]
pub struct EntryAnswer {
    /// Its script, hex.
    pub script: String,
    /// The same as an address, where it has one.
    pub address: Option<String>,
    /// `flagged`, `service`, or both.
    pub roles: Vec<&'static str>,
    /// The first height it is complete from.
    pub from: Height,
    /// The height it is complete through; `None` before any.
    pub through: Option<Height>,
    /// Its labels.
    pub labels: Vec<Label>,
    /// The texts of its labels.
    pub label_texts: Vec<String>,
}

/// All entries, by the hash of their script.
pub fn entries(snapshot: &Snapshot) -> Rows<'_, EntryAnswer> {
    Box::new(snapshot.reader.entries().map(|entry| {
        let (_, entry) = entry?;
        Ok(entry_answer(snapshot, entry))
    }))
}

fn entry_answer(snapshot: &Snapshot, entry: EntryRow) -> EntryAnswer {
    let roles = [(entry.flagged, "flagged"), (entry.service, "service")];
    EntryAnswer {
        script: entry.script.to_hex_string(),
        address: snapshot.address(&entry.script),
        roles: roles.iter().filter(|(has, _)| *has).map(|(_, role)| *role).collect(),
        from: entry.from,
        through: snapshot.sweeps.next(entry.sweep).checked_sub(1),
        label_texts: entry.label_texts(),
        labels: entry.labels,
    }
}
