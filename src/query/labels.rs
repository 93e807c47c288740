//! Labels as answers show them.

use crate::index::entries::EntryRow;

/// The labels of an entry, if there is one: each once, in the order of the lists.
pub fn texts(entry: Option<&EntryRow>) -> Vec<String> {
    entry.map(EntryRow::label_texts).unwrap_or_default()
}
