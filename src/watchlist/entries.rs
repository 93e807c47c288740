//! Listings of all files to one entry per script, with everything that anybody says of it.

use std::collections::{BTreeMap, BTreeSet, btree_map};

use bitcoin::ScriptBuf;

use super::{Label, List, Listing, Role};
use crate::chain::{Height, ScriptHash};

/// One script on the lists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The script.
    pub script: ScriptBuf,
    /// Every role that a label gives it; never empty.
    pub roles: BTreeSet<Role>,
    /// From which height on its touches are wanted.
    pub from: Height,
    /// Who says what, sorted, each once; never empty.
    pub labels: Vec<Label>,
}

impl Entry {
    /// The least height that a flagged label asks for (without one, that any label does), where a label without a height asks
    /// for `default`.
    pub fn from_with(&self, default: Height) -> Height {
        let flagged = self.roles.contains(&Role::Flagged);
        let asking = self.labels.iter().filter(|label| !flagged || label.role == Role::Flagged);
        asking.map(|label| label.from.unwrap_or(default)).min().unwrap_or(default)
    }
}

/// One entry per script. Its `from` is the least that a flagged label asks for (without one, that any label does), where a
/// label without a height asks for `default_from`.
pub fn merge(lists: impl IntoIterator<Item = List>, default_from: Height) -> BTreeMap<ScriptHash, Entry> {
    let mut entries = BTreeMap::new();
    for listing in lists.into_iter().flat_map(|list| list.listings) {
        let Listing { script, label } = listing;
        match entries.entry(ScriptHash::of(&script)) {
            btree_map::Entry::Occupied(mut entry) => {
                let entry: &mut Entry = entry.get_mut();
                entry.labels.push(label);
            }
            btree_map::Entry::Vacant(place) => {
                // Most scripts have one label, and there may be millions: room for one, where a push makes room for four.
                place.insert(Entry { script, roles: BTreeSet::new(), from: default_from, labels: vec![label] });
            }
        }
    }
    for entry in entries.values_mut() {
        entry.labels.sort_unstable();
        entry.labels.dedup();
        entry.roles = entry.labels.iter().map(|label| label.role).collect();
        entry.from = entry.from_with(default_from);
    }
    entries
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
            entry.labels.iter().map(|label| (label.list.as_str(), label.label.as_deref().unwrap_or(""))).collect();
        assert_eq!(labels, [("a", "x"), ("a", "z"), ("b", "x")]);
        assert_eq!(entry.roles, BTreeSet::from([Role::Flagged]));
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
        assert_eq!(entry.roles, BTreeSet::from([Role::Flagged, Role::Service]));
    }

    #[test]
    fn the_same_list_twice_is_as_good_as_once() {
        let text = format!("{A} x\n{B} y\n");
        assert_eq!(merge([list("l", &text)], 0), merge([list("l", &text), list("l", &text)], 0));
    }
}
