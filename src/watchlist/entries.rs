//! Merges the listings of all lists into entries: one per script, with all its labels.

use std::collections::BTreeMap;

use bitcoin::ScriptBuf;
use rayon::prelude::*;

use super::{Label, List, Listing, Role};
use crate::chain::{Height, ScriptHash};

/// One script on the lists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The script, which is matched exactly.
    pub script: ScriptBuf,
    /// The height from which blocks are scanned for it.
    pub from: Height,
    /// What the lists say about it: sorted, without duplicates, never empty.
    pub labels: Vec<Label>,
}

impl Entry {
    /// Whether one of its labels has that role.
    pub fn is(&self, role: Role) -> bool {
        self.labels.iter().any(|label| label.role == role)
    }

    /// The lowest `from` of its flagged labels, or of all its labels if none is flagged. A label without `from` counts as `default`.
    pub fn lowest_from(&self, default: Height) -> Height {
        let flagged = self.is(Role::Flagged);
        let counting = self.labels.iter().filter(|label| !flagged || label.role == Role::Flagged);
        counting.map(|label| label.from.unwrap_or(default)).min().unwrap_or(default)
    }
}

/// Makes one entry per script, with `from` as by [`Entry::lowest_from`].
pub fn merge(lists: impl IntoIterator<Item = List>, default_from: Height) -> BTreeMap<ScriptHash, Entry> {
    let mut listings: Vec<Option<Listing>> = lists.into_iter().flat_map(|list| list.listings).map(Some).collect();
    // Positions are sorted, as listings are large.
    let hashed = listings.par_iter().enumerate();
    let mut order: Vec<_> =
        hashed.filter_map(|(at, listing)| Some((ScriptHash::of(&listing.as_ref()?.script), at))).collect();
    order.par_sort_unstable();
    let mut order = order.into_iter().peekable();
    let entries = std::iter::from_fn(|| {
        let (hash, at) = order.next()?;
        let Listing { script, label } = listings[at].take()?;
        // There may be millions of scripts, most with one label: memory for one.
        let mut labels = vec![label];
        while let Some((_, at)) = order.next_if(|(next, _)| *next == hash) {
            labels.extend(listings[at].take().map(|listing| listing.label));
        }
        labels.sort_unstable();
        labels.dedup();
        let mut entry = Entry { script, from: default_from, labels };
        entry.from = entry.lowest_from(default_from);
        Some((hash, entry))
    });
    entries.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chain::Chain;
    use crate::watchlist::{ListOptions, read};

    const A: &str = "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa";
    const B: &str = "3P14159f73E4gFr7JterCCQh9QjiTjiZrG";

    fn list(path: &str, text: &str) -> List {
        read(&mut text.as_bytes(), path, Chain::Main, &ListOptions::default()).unwrap()
    }

    fn only(entries: BTreeMap<ScriptHash, Entry>) -> Entry {
        assert_eq!(entries.len(), 1);
        entries.into_values().next().unwrap()
    }

    #[test]
    fn a_script_in_several_lists_keeps_all_its_labels() {
        let entries = merge([list("b", &format!("{A} x\n{B} y\n")), list("a", &format!("{A} x\n{A} z\n"))], 0);
        assert_eq!(entries.len(), 2);
        let script = crate::watchlist::script::parse(A, Chain::Main, None).unwrap().remove(0);
        let entry = &entries[&ScriptHash::of(&script)];
        assert_eq!(entry.script, script);
        let labels: Vec<_> =
            entry.labels.iter().map(|label| (&*label.list, label.label.as_deref().unwrap_or(""))).collect();
        assert_eq!(labels, [("a", "x"), ("a", "z"), ("b", "x")]);
        assert!(entry.is(Role::Flagged) && !entry.is(Role::Service));
    }

    #[test]
    fn the_lowest_height_of_the_flagged_labels_counts() {
        let from = |rows: &str| only(merge([list("l", &format!("address,role,from\n{rows}"))], 50)).from;
        assert_eq!(from(&format!("{A},,\n")), 50);
        assert_eq!(from(&format!("{A},,70\n{A},,60\n")), 60);
        assert_eq!(from(&format!("{A},,70\n{A},,\n")), 50, "a label without a height counts as the default");
        assert_eq!(
            from(&format!("{A},,70\n{A},service,10\n")),
            70,
            "the height of a service label doesn't count beside a flagged one"
        );
        assert_eq!(from(&format!("{A},service,80\n{A},service,90\n")), 80);
    }

    #[test]
    fn both_roles_are_kept() {
        let entry = only(merge([list("l", &format!("address,role\n{A},service\n{A},flagged\n"))], 0));
        assert!(entry.is(Role::Flagged) && entry.is(Role::Service));
    }

    #[test]
    fn the_same_list_twice_makes_the_same_entries() {
        let text = format!("{A} x\n{B} y\n");
        assert_eq!(merge([list("l", &text)], 0), merge([list("l", &text), list("l", &text)], 0));
    }
}
