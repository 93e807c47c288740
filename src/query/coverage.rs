//! What an answer rests on: heights, tip, lists, trace. "Not scanned" must never look like "clean".

use std::collections::{BTreeMap, BTreeSet};

use bitcoin::BlockHash;
use serde::Serialize;

use super::Snapshot;
use super::labels::list_name;
use crate::chain::Height;
use crate::index::values::EntryRow;
use crate::trace::Rule;

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
    /// The entries, by the height they start from.
    by_from: BTreeMap<Height, Share>,
    unknown: u64,
    /// Whether the answer speaks for every flagged entry, so that a row that could not be read is a hole in it.
    pub whole: bool,
    /// Whether the answer is about how far the index got: then an entry that starts above the height asked about misses nothing.
    progress: bool,
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
    pub fn add(&mut self, entry: &EntryRow) {
        let share = self.by_from.entry(entry.from).or_default();
        share.entries += 1;
        share.lists.extend(entry.labels.iter().map(list_name));
    }

    /// Adds a script asked for that is no entry: nothing is known of it.
    pub fn add_unknown(&mut self) {
        self.unknown += 1;
    }

    /// What is missing of the entries up to height `asked`, when all of them are swept below `next`.
    fn gaps(&self, next: Height, asked: Height) -> Vec<Gap> {
        let mut shares: BTreeMap<(Height, Height), Share> = BTreeMap::new();
        for (from, share) in &self.by_from {
            let missing = if asked < *from && !self.progress {
                // The entry was never to be looked for down there.
                (0, asked)
            } else if next.max(*from) <= asked {
                (next.max(*from), asked)
            } else {
                continue;
            };
            let sum = shares.entry(missing).or_default();
            sum.entries += share.entries;
            sum.lists.extend(share.lists.iter().cloned());
        }
        if self.unknown > 0 {
            shares.entry((0, asked)).or_default().entries += self.unknown;
        }
        let gap = |((from, through), share): ((Height, Height), Share)| Gap {
            from,
            through,
            entries: share.entries,
            lists: share.lists.into_iter().collect(),
        };
        shares.into_iter().map(gap).collect()
    }

    /// The coverage, for the state after `asked`.
    pub fn coverage(&self, snapshot: &Snapshot, asked: Option<Height>) -> Coverage {
        let through = snapshot.next.checked_sub(1);
        let gaps = asked.map(|asked| self.gaps(snapshot.next, asked)).unwrap_or_default();
        let quarantined = snapshot.lists.quarantined();
        let unread = self.whole && quarantined > 0 && !snapshot.lists.quarantine_accepted;
        let known = !self.by_from.is_empty() && self.unknown == 0;
        let complete = known && asked.is_some() && gaps.is_empty() && !snapshot.lists_changed && !unread;
        Coverage {
            chain: snapshot.chain().name(),
            from: self.by_from.keys().next_back().copied(),
            through: through.filter(|_| !self.by_from.is_empty()),
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

#[cfg(test)]
mod tests {
    use super::*;

    fn basis(from: &[Height], unknown: u64) -> Basis {
        let mut basis = Basis { unknown, ..Basis::default() };
        for from in from {
            basis.by_from.entry(*from).or_default().entries += 1;
        }
        basis
    }

    #[test]
    fn gaps_are_what_is_missing_of_each_entry_and_nothing_else() {
        // entries' from, unknown targets, next height, height asked about → (from, through, entries)
        type Case = (&'static [Height], u64, Height, Height, &'static [(Height, Height, u64)]);
        let cases: [Case; 8] = [
            (&[0, 0], 0, 600, 599, &[]),
            (&[0, 0], 0, 301, 599, &[(301, 599, 2)]),
            (&[0], 0, 0, 599, &[(0, 599, 1)]),
            (&[0, 100], 0, 600, 50, &[(0, 50, 1)]),
            (&[1000], 0, 301, 600, &[(0, 600, 1)]),
            (&[0, 400, 500], 0, 301, 599, &[(301, 599, 1), (400, 599, 1), (500, 599, 1)]),
            (&[0, 100, 200], 0, 301, 599, &[(301, 599, 3)]),
            (&[0], 2, 600, 599, &[(0, 599, 2)]),
        ];
        let progress = Basis { progress: true, ..basis(&[0, 1000], 0) };
        assert!(progress.gaps(600, 599).is_empty(), "nothing is left to do");
        for (from, unknown, next, asked, expected) in cases {
            let gaps = basis(from, unknown).gaps(next, asked);
            let found: Vec<_> = gaps.iter().map(|gap| (gap.from, gap.through, gap.entries)).collect();
            assert_eq!(found, expected, "from {from:?}, next {next}, asked {asked}");
        }
    }
}
