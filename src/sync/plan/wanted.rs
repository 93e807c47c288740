//! What lists and settings ask of an index.

use std::collections::BTreeMap;

use crate::chain::{Height, ScriptHash};
use crate::index::meta::{TakenLists, TraceParameters};
use crate::trace::{HopLimit, Rule};
use crate::watchlist::entries::Entry;

/// Entries by the hash of their script.
pub type Entries = BTreeMap<ScriptHash, Entry>;

/// The content of all lists of the settings.
#[derive(Clone, Debug, Default)]
pub struct Lists {
    /// All lists merged, one entry per script.
    pub entries: Entries,
    /// The record that an index keeps of the files.
    pub taken: TakenLists,
}

/// What lists and settings ask for.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// The lists; `None` leaves the entries as they are.
    pub lists: Option<Lists>,
    /// How far coins are to be followed.
    pub trace: WantedTrace,
    /// Whether entries that are no longer on any list are dropped.
    pub forget: bool,
    /// Whether a list may lose more than a tenth of its rows, and gates may tighten.
    pub accept_shrink: bool,
    /// The lowest height whose block the node has. What entries need below it stays a gap: no sweep begins there.
    pub served_from: Height,
    /// Whether new entries are searched for in new blocks at once, and in past blocks by a sweep of their own. Where the main sweep is
    /// far from the tip it is quicker to let that sweep come up to it first.
    pub at_once: bool,
}

/// How far coins are to be followed; a `None` leaves a parameter as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WantedTrace {
    /// The tracked rules.
    pub rules: Option<Vec<Rule>>,
    /// Coins with less taint are not followed; satoshis.
    pub min_taint_sat: Option<u64>,
    /// Coins further from their source are not followed.
    pub max_hops: Option<HopLimit>,
}

impl WantedTrace {
    /// The parameters wanted, for an index that has `known`.
    pub fn over(&self, known: &TraceParameters) -> TraceParameters {
        let default = TraceParameters::default();
        // An index that tracked nothing so far tracks what a new one does.
        let rules = if known.rules.is_empty() { default.rules } else { known.rules.clone() };
        let mut rules = self.rules.clone().unwrap_or(rules);
        rules.sort_unstable();
        rules.dedup();
        TraceParameters {
            rules,
            min_taint_sat: self.min_taint_sat.unwrap_or(known.min_taint_sat).max(1),
            max_hops: self.max_hops.map_or(known.max_hops, HopLimit::most),
        }
    }
}
