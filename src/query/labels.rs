//! Labels as answers show them.

use crate::index::values::EntryRow;
use crate::watchlist::Label;

/// The list a label comes from, by its file's name.
pub fn list_name(label: &Label) -> String {
    label.list.rsplit(['/', '\\']).next().unwrap_or_default().to_owned()
}

/// A label's text; where its list gives none, the list's name.
pub fn text(label: &Label) -> String {
    label.label.clone().unwrap_or_else(|| list_name(label))
}

/// The labels of an entry, each once, in the order of the lists.
pub fn texts(entry: Option<&EntryRow>) -> Vec<String> {
    let mut texts = Vec::new();
    for label in entry.map(|entry| entry.labels.as_slice()).unwrap_or_default() {
        let text = text(label);
        if !texts.contains(&text) {
            texts.push(text);
        }
    }
    texts
}
