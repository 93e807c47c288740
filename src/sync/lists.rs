//! What the lists say against what the index knows.

use std::collections::BTreeMap;

use crate::chain::ScriptHash;
use crate::index::values::{EntryRow, MAIN_SWEEP};
use crate::index::{Result, View};
use crate::watchlist::Role;
use crate::watchlist::entries::Entry;

/// Entries by the hash of their script.
pub type Entries = BTreeMap<ScriptHash, Entry>;

/// The row an entry gets in a new index.
pub fn row(entry: &Entry) -> EntryRow {
    EntryRow {
        script: entry.script.clone(),
        flagged: entry.roles.contains(&Role::Flagged),
        service: entry.roles.contains(&Role::Service),
        from: entry.from,
        sweep: MAIN_SWEEP,
        labels: entry.labels.clone(),
    }
}

/// The entries, with those that no list gives a height starting where the index has them start: a default of today says nothing
/// about what was taken in earlier.
///
/// # Errors
/// What reading the index reports.
pub fn keep_known_heights(entries: &Entries, view: &View) -> Result<Entries> {
    let mut entries = entries.clone();
    for (script, entry) in &mut entries {
        if let Some(known) = view.entry(*script)? {
            entry.from = entry.from_with(known.from);
        }
    }
    Ok(entries)
}

/// How the lists differ from an index.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Difference {
    /// Scripts the index doesn't know.
    pub new: u64,
    /// Entries no list names any more.
    pub gone: u64,
    /// Entries with other roles or another `from`.
    pub changed: u64,
    /// Entries with other labels only.
    pub relabelled: u64,
}

impl Difference {
    /// Compares.
    ///
    /// # Errors
    /// What reading the index reports.
    pub fn between(entries: &Entries, view: &View) -> Result<Self> {
        let mut difference = Self::default();
        let mut seen = 0;
        for known in view.entries() {
            let (script, known) = known?;
            let Some(now) = entries.get(&script).map(row) else {
                difference.gone += 1;
                continue;
            };
            seen += 1;
            if now == known {
                continue;
            }
            let labels_only = EntryRow { labels: known.labels.clone(), ..now } == known;
            *(if labels_only { &mut difference.relabelled } else { &mut difference.changed }) += 1;
        }
        difference.new = entries.len() as u64 - seen;
        Ok(difference)
    }

    /// Whether rows of the chain depend on it.
    pub fn needs_sweep(&self) -> bool {
        Self { relabelled: 0, ..*self } != Self::default()
    }
}

impl std::fmt::Display for Difference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let parts =
            [(self.new, "new"), (self.gone, "gone"), (self.changed, "changed"), (self.relabelled, "with other labels")];
        let words: Vec<_> =
            parts.iter().filter(|(count, _)| *count > 0).map(|(count, word)| format!("{count} {word}")).collect();
        write!(f, "{} (entries)", words.join(", "))
    }
}
