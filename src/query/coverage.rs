//! What an answer rests on: heights, tip, lists, trace. "Not scanned" must never look like "clean".

use std::collections::BTreeMap;

use bitcoin::BlockHash;
use serde::Serialize;

use super::Snapshot;
use super::labels::list_name;
use crate::chain::Height;
use crate::index::values::EntryRow;

/// The coverage of one answer (field by field: CLI.md).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Coverage {
    /// The chain.
    pub chain: &'static str,
    /// The greatest `from` of the entries; `None` where there are none.
    pub from: Option<Height>,
    /// The least height that all of them are swept through; `None` before the first block.
    pub through: Option<Height>,
    /// The index's last block.
    pub tip: Option<BlockHash>,
    /// Whether the answer is the whole answer.
    pub complete: bool,
    /// The version of the lists.
    pub lists: String,
    /// Whether the lists configured now are others.
    pub lists_changed: bool,
    /// Rows of the lists that could not be read.
    pub quarantined: u64,
    /// How coins are followed.
    pub trace: TraceCoverage,
    /// The missing ranges.
    pub gaps: Vec<Gap>,
}

/// How coins are followed, and up to where that is settled.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TraceCoverage {
    /// The tracked rules.
    pub rules: Vec<String>,
    /// The least taint followed.
    pub min_taint_sat: u64,
    /// The most hops followed.
    pub max_hops: Option<u32>,
    /// The height through which the trace is settled.
    pub settled: Option<Height>,
}

/// A missing range.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Gap {
    /// Its first height.
    pub from: Height,
    /// Its last height.
    pub through: Height,
    /// How many of the answer's entries miss it.
    pub entries: u64,
    /// The lists they are on.
    pub lists: Vec<String>,
}

/// What the coverage of one answer is computed from.
#[derive(Clone, Debug, Default)]
pub struct Basis {
    from: Option<Height>,
    entries: u64,
    unknown: u64,
    lists: BTreeMap<String, u64>,
    /// Whether the answer speaks for every flagged entry, so that a row that could not be read is a hole in it.
    pub whole: bool,
}

impl Basis {
    /// Adds an entry that the answer rests on.
    pub fn add(&mut self, entry: &EntryRow) {
        self.from = self.from.max(Some(entry.from));
        self.entries += 1;
        for label in &entry.labels {
            *self.lists.entry(list_name(label)).or_default() += 1;
        }
    }

    /// Adds a script asked for that is no entry: nothing is known of it.
    pub fn add_unknown(&mut self) {
        self.unknown += 1;
    }

    /// The coverage, for the state after `asked`.
    pub fn coverage(&self, snapshot: &Snapshot, asked: Option<Height>) -> Coverage {
        let through = snapshot.next.checked_sub(1);
        let mut gaps = Vec::new();
        if let Some(asked) = asked {
            let first = through.map_or(0, |through| through + 1);
            if self.entries > 0 && first <= asked {
                let lists = self.lists.keys().cloned().collect();
                gaps.push(Gap { from: first, through: asked, entries: self.entries, lists });
            }
            if self.unknown > 0 {
                gaps.push(Gap { from: 0, through: asked, entries: self.unknown, lists: Vec::new() });
            }
        }
        let quarantined = snapshot.lists.quarantined();
        let unread = self.whole && quarantined > 0 && !snapshot.lists.quarantine_accepted;
        let known = self.entries > 0 && self.unknown == 0;
        let complete = known && asked.is_some() && gaps.is_empty() && !snapshot.lists_changed && !unread;
        Coverage {
            chain: snapshot.chain().name(),
            from: self.from,
            through: through.filter(|_| self.entries > 0),
            tip: snapshot.tip.map(|tip| tip.hash),
            complete,
            lists: snapshot.lists.version(),
            lists_changed: snapshot.lists_changed,
            quarantined,
            trace: TraceCoverage {
                rules: snapshot.trace.rules.clone(),
                min_taint_sat: snapshot.trace.min_taint_sat,
                max_hops: snapshot.trace.max_hops,
                settled: through,
            },
            gaps,
        }
    }
}
