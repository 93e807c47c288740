//! Listings of all files to one entry per script, with everything that anybody says of it.

use std::collections::BTreeMap;

use bitcoin::ScriptBuf;
use rayon::prelude::*;

use super::{Label, List, Listing, Role};
use crate::chain::{Height, ScriptHash};

/// One script on the lists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The script.
    pub script: ScriptBuf,
    /// From which height on its touches are wanted.
    pub from: Height,
    /// Who says what, sorted, each once; never empty.
    pub labels: Vec<Label>,
}

impl Entry {
    /// Whether a label gives it that role; one does at least.
    pub fn is(&self, role: Role) -> bool {
        self.labels.iter().any(|label| label.role == role)
    }

    /// The least height that a flagged label asks for (without one, that any label does), where a label without a height asks
    /// for `default`.
    pub fn from_with(&self, default: Height) -> Height {
        let flagged = self.is(Role::Flagged);
        let asking = self.labels.iter().filter(|label| !flagged || label.role == Role::Flagged);
        asking.map(|label| label.from.unwrap_or(default)).min().unwrap_or(default)
    }
}

/// One entry per script. Its `from` is the least that a flagged label asks for (without one, that any label does), where a
/// label without a height asks for `default_from`.
pub fn merge(lists: impl IntoIterator<Item = List>, default_from: Height) -> BTreeMap<ScriptHash, Entry> {
    let mut listings: Vec<Option<Listing>> = lists.into_iter().flat_map(|list| list.listings).map(Some).collect();
    let hash = |(at, listing): (usize, &Option<Listing>)| Some((ScriptHash::of(&listing.as_ref()?.script), at));
    // Places are sorted, not listings, which are large.
    let mut order: Vec<_> = listings.par_iter().enumerate().filter_map(hash).collect();
    order.par_sort_unstable();
    let mut order = order.into_iter().peekable();
    let next = || {
        let (hash, at) = order.next()?;
        let Listing { script, label } = listings[at].take()?;
        // Most scripts have one label, and there may be millions: room for one.
        let mut labels = vec![label];
        while let Some((_, at)) = order.next_if(|(next, _)| *next == hash) {
            labels.extend(listings[at].take().map(|listing| listing.label));
        }
        labels.sort_unstable();
        labels.dedup();
        let mut entry = Entry { script, from: default_from, labels };
        entry.from = entry.from_with(default_from);
        Some((hash, entry))
    };
    std::iter::from_fn(next).collect()
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
    fn the_least_height_of_the_flagged_labels_counts() {
        let from = |rows: &str| only(merge([list("l", &format!("address,role,from\n{rows}"))], 50)).from;
        assert_eq!(from(&format!("{A},,\n")), 50);
        assert_eq!(from(&format!("{A},,70\n{A},,60\n")), 60);
        assert_eq!(from(&format!("{A},,70\n{A},,\n")), 50, "a label without a height asks for the default");
        assert_eq!(from(&format!("{A},,70\n{A},service,10\n")), 70, "a service's height doesn't count beside a flag");
        assert_eq!(from(&format!("{A},service,80\n{A},service,90\n")), 80);
    }

    #[test]
    fn both_roles_are_kept() {
        let entry = only(merge([list("l", &format!("address,role\n{A},service\n{A},flagged\n"))], 0));
        assert!(entry.is(Role::Flagged) && entry.is(Role::Service));
    }

    #[test]
    fn the_same_list_twice_is_as_good_as_once() {
        let text = format!("{A} x\n{B} y\n");
        assert_eq!(merge([list("l", &text)], 0), merge([list("l", &text), list("l", &text)], 0));
    }
}
