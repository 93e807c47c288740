//! The entries that an answer speaks for, gathered, and how far they were scanned.

use std::collections::{BTreeMap, BTreeSet};

use super::report::Gap;
use crate::chain::Height;
use crate::index::entries::{Covered, EntryRow};
use crate::index::sums::CoveredGroup;
use crate::index::sweeps::Sweeps;
use crate::query::{Result, Snapshot};
use crate::watchlist::Label;

/// What the coverage of one answer is computed from.
#[derive(Clone, Debug, Default)]
pub struct Basis {
    /// The entries, grouped by the heights that are covered.
    groups: BTreeMap<Interval, EntryGroup>,
    /// Scripts and transactions asked for that the index did not scan for.
    pub(super) unknown: u64,
    /// Whether the answer is about a transaction that the index doesn't hold.
    pub(super) absent: bool,
    /// Whether the answer speaks for every flagged entry, so that a row that could not be read is a hole in it.
    pub(in crate::query) whole: bool,
    /// Whether the answer is about the progress of the index: then nothing is missing of an entry that starts above the height asked
    /// about.
    progress: bool,
    /// Whether the answer rests on taint, so that nothing is complete above where the trace is settled.
    pub(super) traced: bool,
    /// Whether the answer rests on all coins being followed that hold taint.
    pub(super) followed: bool,
    /// Whether the answer needs every coin of its entries, so that one older than an entry's `from` is missing.
    pub(super) every_coin: bool,
}

/// The heights that are covered of an entry, and the height that its lists want it to begin at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Interval {
    from: Height,
    next: Height,
    wanted: Option<Height>,
}

/// A number of entries, and the lists they are on.
#[derive(Clone, Debug, Default)]
struct EntryGroup {
    entries: u64,
    lists: BTreeSet<String>,
}

impl Basis {
    /// For an answer that rests on every flagged entry.
    ///
    /// # Errors
    /// What reading reports.
    pub fn of_flagged(snapshot: &Snapshot) -> Result<Self> {
        let mut basis = Self::default();
        basis.add_flagged(snapshot)?;
        Ok(basis)
    }

    /// The same for an answer about the progress of the index.
    #[must_use]
    pub fn progress(self) -> Self {
        Self { progress: true, ..self }
    }

    /// The same for an answer that speaks for every flagged entry.
    #[must_use]
    pub fn whole(self) -> Self {
        Self { whole: true, ..self }
    }

    /// The same for an answer that rests on taint.
    #[must_use]
    pub fn traced(self) -> Self {
        Self { traced: true, ..self }
    }

    /// The same for an answer that rests on all coins being followed that hold taint.
    #[must_use]
    pub fn followed(self) -> Self {
        Self { followed: true, ..self }
    }

    /// Makes it the basis of an answer that needs every coin of its entries.
    pub fn needs_every_coin(&mut self) {
        self.every_coin = true;
    }

    /// The same for an answer about a transaction that the index doesn't hold.
    #[must_use]
    pub fn of_absent_transaction(self) -> Self {
        Self { absent: true, ..self }
    }

    /// Adds every flagged entry. Reads the sums of the index, not the entries: there may be millions.
    ///
    /// # Errors
    /// What reading reports.
    pub fn add_flagged(&mut self, snapshot: &Snapshot) -> Result<()> {
        for CoveredGroup { covered, entries, lists } in snapshot.reader.sums()?.groups() {
            let group = self.group(covered.joined(&snapshot.sweeps), &snapshot.sweeps);
            group.entries += entries;
            group.lists.extend(lists);
        }
        Ok(())
    }

    /// For an answer that speaks for every flagged entry, and for the unknown scripts asked for.
    ///
    /// # Errors
    /// What reading reports.
    pub fn of_all(self, snapshot: &Snapshot) -> Result<Self> {
        let mut basis = Self { groups: BTreeMap::new(), whole: true, ..self };
        basis.add_flagged(snapshot)?;
        Ok(basis)
    }

    /// Whether some of the entries are scanned from a height above 0 only, so that older coins of theirs may exist.
    pub fn has_older_coins(&self) -> bool {
        self.groups.keys().any(|interval| interval.from > 0)
    }

    /// Adds an entry that the answer rests on.
    pub fn add(&mut self, entry: &EntryRow, sweeps: &Sweeps) {
        let group = self.group(entry.covered(), sweeps);
        group.entries += 1;
        group.lists.extend(entry.labels.iter().map(Label::list_name));
    }

    /// The group of the entries of which these heights are covered.
    fn group(&mut self, covered: Covered, sweeps: &Sweeps) -> &mut EntryGroup {
        let (from, wanted) = (covered.from, covered.lowered.map(|lowered| lowered.from));
        self.groups.entry(Interval { from, next: sweeps.next(covered.sweep), wanted }).or_default()
    }

    /// Adds a script asked for that is no flagged entry: the index did not scan for it.
    pub fn add_unknown(&mut self) {
        self.unknown += 1;
    }

    /// The ranges up to height `asked` that were not scanned, for unknown targets too.
    pub(super) fn gaps(&self, asked: Height) -> Vec<Gap> {
        let mut missing = self.missing(asked);
        if self.unknown > 0 {
            let unknown = EntryGroup { entries: self.unknown, lists: BTreeSet::new() };
            add_missing(&mut missing, (0, asked), &unknown);
        }
        listed(missing)
    }

    /// The ranges up to height `asked` that were not scanned for the entries.
    pub(super) fn gaps_of_entries(&self, asked: Height) -> Vec<Gap> {
        listed(self.missing(asked))
    }

    fn missing(&self, asked: Height) -> BTreeMap<(Height, Height), EntryGroup> {
        let mut missing = BTreeMap::new();
        for (interval, group) in &self.groups {
            if asked < interval.wanted.unwrap_or(interval.from) && !self.progress {
                // The entry is not scanned for at this height at all.
                add_missing(&mut missing, (0, asked), group);
            } else if let (Some(wanted), Some(below)) = (interval.wanted, interval.from.checked_sub(1)) {
                // Its `from` was lowered, and a side sweep has yet to scan what lies between.
                add_missing(&mut missing, (wanted, below.min(asked)), group);
            }
            add_missing(&mut missing, (interval.next.max(interval.from), asked), group);
        }
        missing
    }

    /// Whether it has no entry.
    pub(super) fn is_empty(&self) -> bool {
        self.groups.is_empty()
    }

    /// The greatest `from` of the entries.
    pub(super) fn from(&self) -> Option<Height> {
        self.groups.keys().map(|interval| interval.from).max()
    }

    /// The height through which all of the entries are scanned; `None` without entries, and before the first block.
    pub(super) fn through(&self) -> Option<Height> {
        self.groups.keys().map(|interval| interval.next).min().and_then(|next| next.checked_sub(1))
    }
}

/// Missing ranges as gaps, the lowest first.
fn listed(missing: BTreeMap<(Height, Height), EntryGroup>) -> Vec<Gap> {
    let gaps = missing.into_iter().map(|((from, through), group)| Gap {
        from,
        through,
        entries: group.entries,
        lists: group.lists.into_iter().collect(),
    });
    gaps.collect()
}

/// Adds entries to those that miss a range of heights, unless the range is empty.
fn add_missing(missing: &mut BTreeMap<(Height, Height), EntryGroup>, range: (Height, Height), group: &EntryGroup) {
    if range.0 <= range.1 {
        let sum = missing.entry(range).or_default();
        sum.entries += group.entries;
        sum.lists.extend(group.lists.iter().cloned());
    }
}

#[cfg(test)]
impl Basis {
    /// Of entries with these `from` and wanted `from`, all scanned up to the height `next`, and some unknown targets.
    pub(super) fn of(next: Height, from: &[(Height, Option<Height>)], unknown: u64) -> Self {
        let mut basis = Self { unknown, ..Self::default() };
        for (from, wanted) in from {
            let interval = Interval { from: *from, next, wanted: *wanted };
            basis.groups.entry(interval).or_default().entries += 1;
        }
        basis
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gaps_are_what_is_missing_of_each_entry_and_nothing_else() {
        // entries' from and wanted from, unknown targets, next height, height asked about → (from, through, entries)
        type GapCase = (&'static [(Height, Option<Height>)], u64, Height, Height, &'static [(Height, Height, u64)]);
        let cases: [GapCase; 13] = [
            (&[(0, None), (0, None)], 0, 600, 599, &[]),
            (&[(0, None), (0, None)], 0, 301, 599, &[(301, 599, 2)]),
            (&[(0, None)], 0, 0, 599, &[(0, 599, 1)]),
            (&[(0, None), (100, None)], 0, 600, 50, &[(0, 50, 1)]),
            (&[(1000, None)], 0, 301, 600, &[(0, 600, 1)]),
            (&[(0, None), (400, None), (500, None)], 0, 301, 599, &[(301, 599, 1), (400, 599, 1), (500, 599, 1)]),
            (&[(0, None), (100, None), (200, None)], 0, 301, 599, &[(301, 599, 3)]),
            (&[(0, None)], 2, 600, 599, &[(0, 599, 2)]),
            (&[(0, None)], 1, 600, 599, &[(0, 599, 1)]),
            (&[(500, Some(100)), (0, None)], 0, 600, 599, &[(100, 499, 1)]),
            (&[(500, Some(100))], 0, 600, 300, &[(100, 300, 1)]),
            (&[(500, Some(100))], 0, 550, 599, &[(100, 499, 1), (550, 599, 1)]),
            (&[(500, Some(100))], 0, 600, 50, &[(0, 50, 1)]),
        ];
        let progress = Basis { progress: true, ..Basis::of(600, &[(0, None), (1000, None)], 0) };
        assert!(progress.gaps(599).is_empty(), "nothing is left to do");
        for (from, unknown, next, asked, expected) in cases {
            let gaps = Basis::of(next, from, unknown).gaps(asked);
            let found: Vec<_> = gaps.iter().map(|gap| (gap.from, gap.through, gap.entries)).collect();
            assert_eq!(found, expected, "from {from:?}, next {next}, asked {asked}");
        }
    }
}
