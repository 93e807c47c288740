//! What an answer rests on: heights, tip, lists, trace. "Not scanned" must never look like "clean".

use std::collections::{BTreeMap, BTreeSet};

use bitcoin::BlockHash;
use serde::Serialize;

use super::Snapshot;

use crate::chain::Height;
use crate::index::entries::EntryRow;
use crate::index::sweeps::Sweeps;
use crate::trace::Rule;
use crate::watchlist::Label;

/// The coverage of one answer (field by field: docs/cli.md).
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
    pub rules: Vec<Rule>,
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
    /// The entries, by what is covered of them.
    shares: BTreeMap<Interval, Share>,
    unknown: u64,
    /// Whether the answer speaks for every flagged entry, so that a row that could not be read is a hole in it.
    pub whole: bool,
    /// Whether the answer is about how far the index got: then an entry that starts above the height asked about misses nothing.
    progress: bool,
    /// Whether the answer rests on taint, so that nothing is complete above where the trace is settled.
    pub traced: bool,
}

/// What of an entry is covered, and what its lists want besides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Interval {
    from: Height,
    next: Height,
    wanted: Option<Height>,
}

/// Some entries: how many, and the lists they are on.
#[derive(Clone, Debug, Default)]
struct Share {
    entries: u64,
    lists: BTreeSet<String>,
}

impl Basis {
    /// For an answer about how far the index got with everything.
    pub fn of_progress() -> Self {
        Self { progress: true, ..Self::default() }
    }

    /// Adds an entry that the answer rests on.
    pub fn add(&mut self, entry: &EntryRow, sweeps: &Sweeps) {
        let (from, wanted) = (entry.from, entry.lowered.map(|lowered| lowered.from));
        let share = self.shares.entry(Interval { from, next: sweeps.next(entry.sweep), wanted }).or_default();
        share.entries += 1;
        share.lists.extend(entry.labels.iter().map(Label::list_name));
    }

    /// Adds a script asked for that is no entry: nothing is known of it.
    pub fn add_unknown(&mut self) {
        self.unknown += 1;
    }

    /// What is missing of the entries up to height `asked`.
    fn gaps(&self, asked: Height) -> Vec<Gap> {
        let mut missing: BTreeMap<(Height, Height), Share> = BTreeMap::new();
        let mut add = |range: (Height, Height), share: &Share| {
            if range.0 <= range.1 {
                let sum = missing.entry(range).or_default();
                sum.entries += share.entries;
                sum.lists.extend(share.lists.iter().cloned());
            }
        };
        for (interval, share) in &self.shares {
            if asked < interval.wanted.unwrap_or(interval.from) && !self.progress {
                // The entry was never to be looked for down there.
                add((0, asked), share);
            } else if let (Some(wanted), Some(below)) = (interval.wanted, interval.from.checked_sub(1)) {
                add((wanted, below.min(asked)), share);
            }
            add((interval.next.max(interval.from), asked), share);
        }
        if self.unknown > 0 {
            add((0, asked), &Share { entries: self.unknown, lists: BTreeSet::new() });
        }
        let gap = |((from, through), share): ((Height, Height), Share)| Gap {
            from,
            through,
            entries: share.entries,
            lists: share.lists.into_iter().collect(),
        };
        missing.into_iter().map(gap).collect()
    }

    /// The coverage, for the state after `asked`.
    pub fn coverage(&self, snapshot: &Snapshot, asked: Option<Height>) -> Coverage {
        let through = self.shares.keys().map(|interval| interval.next).min().and_then(|next| next.checked_sub(1));
        let settled = snapshot.sweeps.settled().checked_sub(1);
        let gaps = asked.map(|asked| self.gaps(asked)).unwrap_or_default();
        let quarantined = snapshot.lists.quarantined();
        let unread = self.whole && quarantined > 0 && !snapshot.lists.quarantine_accepted;
        let known = !self.shares.is_empty() && self.unknown == 0;
        let unsettled = self.traced && asked.is_some_and(|asked| settled.is_none_or(|settled| settled < asked));
        let complete = known && asked.is_some() && gaps.is_empty() && !snapshot.lists_changed && !unread && !unsettled;
        Coverage {
            chain: snapshot.chain().name(),
            from: self.shares.keys().map(|interval| interval.from).max(),
            through,
            tip: snapshot.tip.map(|tip| tip.hash),
            complete,
            lists: snapshot.lists.version(),
            lists_changed: snapshot.lists_changed,
            quarantined,
            trace: TraceCoverage {
                rules: snapshot.trace.rules.clone(),
                min_taint_sat: snapshot.trace.min_taint_sat,
                max_hops: snapshot.trace.max_hops,
                settled,
            },
            gaps,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn basis(next: Height, from: &[(Height, Option<Height>)], unknown: u64) -> Basis {
        let mut basis = Basis { unknown, ..Basis::default() };
        for (from, wanted) in from {
            let interval = Interval { from: *from, next, wanted: *wanted };
            basis.shares.entry(interval).or_default().entries += 1;
        }
        basis
    }

    #[test]
    fn gaps_are_what_is_missing_of_each_entry_and_nothing_else() {
        // entries' from and wanted from, unknown targets, next height, height asked about → (from, through, entries)
        type Case = (&'static [(Height, Option<Height>)], u64, Height, Height, &'static [(Height, Height, u64)]);
        let cases: [Case; 12] = [
            (&[(0, None), (0, None)], 0, 600, 599, &[]),
            (&[(0, None), (0, None)], 0, 301, 599, &[(301, 599, 2)]),
            (&[(0, None)], 0, 0, 599, &[(0, 599, 1)]),
            (&[(0, None), (100, None)], 0, 600, 50, &[(0, 50, 1)]),
            (&[(1000, None)], 0, 301, 600, &[(0, 600, 1)]),
            (&[(0, None), (400, None), (500, None)], 0, 301, 599, &[(301, 599, 1), (400, 599, 1), (500, 599, 1)]),
            (&[(0, None), (100, None), (200, None)], 0, 301, 599, &[(301, 599, 3)]),
            (&[(0, None)], 2, 600, 599, &[(0, 599, 2)]),
            (&[(500, Some(100)), (0, None)], 0, 600, 599, &[(100, 499, 1)]),
            (&[(500, Some(100))], 0, 600, 300, &[(100, 300, 1)]),
            (&[(500, Some(100))], 0, 550, 599, &[(100, 499, 1), (550, 599, 1)]),
            (&[(500, Some(100))], 0, 600, 50, &[(0, 50, 1)]),
        ];
        let progress = Basis { progress: true, ..basis(600, &[(0, None), (1000, None)], 0) };
        assert!(progress.gaps(599).is_empty(), "nothing is left to do");
        for (from, unknown, next, asked, expected) in cases {
            let gaps = basis(next, from, unknown).gaps(asked);
            let found: Vec<_> = gaps.iter().map(|gap| (gap.from, gap.through, gap.entries)).collect();
            assert_eq!(found, expected, "from {from:?}, next {next}, asked {asked}");
        }
    }
}
