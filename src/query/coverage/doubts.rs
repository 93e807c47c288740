//! Why an answer is not complete: one sentence for each reason, with the way out. What now has to do with it is in
//! [`crate::query::now`].

use super::basis::Basis;
use crate::chain::Height;
use crate::query::Snapshot;

/// What of an index may keep an answer from being complete, besides its entries.
#[derive(Clone, Debug)]
pub(super) struct IndexState {
    /// Whether the configured lists differ from those that were taken in.
    pub lists_changed: bool,
    /// Rows of the lists that could not be read, and whose loss was not accepted.
    pub unread: u64,
    /// Whether any rule is tracked.
    pub tracks: bool,
    /// The height of the last block.
    pub tip: Option<Height>,
    /// The height through which the trace is settled.
    pub settled: Option<Height>,
    /// Why the sweeps below the tip stand still.
    pub held: Option<String>,
}

impl IndexState {
    pub fn of(snapshot: &Snapshot) -> Self {
        let unread = if snapshot.lists.quarantine_accepted { 0 } else { snapshot.lists.quarantined() };
        Self {
            lists_changed: snapshot.lists_changed,
            unread,
            tracks: !snapshot.trace.rules.is_empty(),
            tip: snapshot.tip.map(|tip| tip.height),
            settled: snapshot.sweeps.settled().checked_sub(1),
            held: snapshot.held.as_ref().map(|held| held.error.clone()),
        }
    }
}

impl Basis {
    /// Why an answer about the state after the block at `asked` is not complete, now apart.
    pub(super) fn doubts(&self, index: &IndexState, asked: Option<Height>) -> Vec<String> {
        let mut why = self.doubts_of_lists(index);
        if self.followed && !index.tracks {
            why.push("this index follows no coins; run `coinhound backfill` with `--track`".to_owned());
        }
        match (index.tip, asked) {
            (Some(tip), Some(asked)) => why.extend(self.doubts_of_heights(index, tip, asked)),
            _ => why.push("the index has no block yet; run `coinhound backfill`".to_owned()),
        }
        if let Some(from) = self.from().filter(|from| self.every_coin && *from > 0) {
            why.push(format!(
                "coins that are older than height {from}, from which some entries are scanned, may be missing; remove `from` from the \
                 lists, then run `coinhound backfill`"
            ));
        }
        why
    }

    fn doubts_of_lists(&self, index: &IndexState) -> Vec<String> {
        let mut why = Vec::new();
        if self.is_empty() && self.unknown == 0 {
            why.push(
                "no entry is flagged, so the index scans for nothing; put scripts on a list, then run `coinhound backfill`".to_owned(),
            );
        }
        if index.lists_changed {
            why.push("the lists configured now are not those the index took in; run `coinhound backfill`".to_owned());
        }
        if self.whole && index.unread > 0 {
            why.push(format!(
                "rows of the lists could not be read ({}), so nothing was searched for them; `coinhound watch check` shows them: mend \
                 them, or run `coinhound backfill --accept-quarantined`",
                index.unread
            ));
        }
        if self.unknown > 0 {
            why.push(format!(
                "the index knows nothing of {}; put the scripts on a list, then run `coinhound backfill`",
                counted(self.unknown, "target", "targets")
            ));
        }
        if self.absent {
            why.push(
                "the index holds no such transaction: either it touches no flagged script and spends no coin that is \
                 followed, or it doesn't exist; ask the node for it"
                    .to_owned(),
            );
        }
        why
    }

    fn doubts_of_heights(&self, index: &IndexState, tip: Height, asked: Height) -> Vec<String> {
        let mut why = Vec::new();
        if tip < asked {
            why.push(format!(
                "the index ends at height {tip}, below height {asked}, which is asked about; run `coinhound backfill`"
            ));
        }
        // A gap of unknown targets has a reason of its own, and so has one above the tip.
        let gaps = self.gaps_of_entries(asked.min(tip));
        if let Some(gap) = gaps.first() {
            let more = match gaps.len() - 1 {
                0 => String::new(),
                1 => ", and one more range".to_owned(),
                more => format!(", and {more} more ranges"),
            };
            let advice = match self.from() {
                Some(from) if from > asked => "lower the `from` of the lists, then run `coinhound backfill`",
                _ => "run `coinhound backfill`",
            };
            why.push(format!(
                "heights {} to {} are not scanned for {}{more}; {advice}",
                gap.from,
                gap.through,
                counted(gap.entries, "entry", "entries")
            ));
        }
        if let Some(held) = index.held.as_ref().filter(|_| !gaps.is_empty()) {
            why.push(format!("the blocks of that gap can't be read now: {held}"));
        }
        if self.traced && index.settled < Some(asked.min(tip)) {
            let settled =
                index.settled.map_or("at no height".to_owned(), |settled| format!("through height {settled}"));
            why.push(format!(
                "the trace is settled {settled} only, and height {} is asked about; run `coinhound backfill`",
                asked.min(tip)
            ));
        }
        why
    }
}

fn counted(count: u64, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An index with nothing against it, whose last block is 599.
    const GOOD: IndexState =
        IndexState { lists_changed: false, unread: 0, tracks: true, tip: Some(599), settled: Some(599), held: None };
    const ALL: &[(Height, Option<Height>)] = &[(0, None), (0, None)];

    /// The basis, the index, the height asked about; words of each reason.
    type DoubtCase = (Basis, IndexState, Option<Height>, &'static [&'static str]);

    fn check(cases: Vec<DoubtCase>) {
        for (basis, index, asked, words) in cases {
            let why = basis.doubts(&index, asked);
            assert_eq!(why.len(), words.len(), "{basis:?} {index:?} {asked:?}: {why:?}");
            for (reason, words) in why.iter().zip(words) {
                assert!(reason.contains(words), "'{reason}' lacks '{words}'");
            }
        }
    }

    fn basis(next: Height) -> Basis {
        Basis::of(next, ALL, 0)
    }

    fn every_coin(from: Height) -> Basis {
        let mut basis = Basis::of(600, &[(0, None), (from, None)], 0);
        basis.needs_every_coin();
        basis
    }

    #[test]
    fn each_reason_in_lists_and_settings_is_said_by_itself_and_none_without_cause() {
        check(vec![
            (basis(600), GOOD, Some(599), &[]),
            (basis(600).whole().traced().followed(), GOOD, Some(599), &[]),
            (basis(600).progress(), GOOD, Some(0), &[]),
            (Basis::default(), GOOD, Some(599), &["no entry is flagged"]),
            (Basis::of(600, &[], 2), GOOD, Some(599), &["knows nothing of 2 targets"]),
            (Basis::of(600, ALL, 1), GOOD, Some(599), &["knows nothing of 1 target;"]),
            (basis(600).of_absent_transaction(), GOOD, Some(599), &["holds no such transaction"]),
            (basis(600), IndexState { lists_changed: true, ..GOOD }, Some(599), &["the lists configured now"]),
            (basis(600).whole(), IndexState { unread: 1, ..GOOD }, Some(599), &["could not be read (1)"]),
            (basis(600), IndexState { unread: 1, ..GOOD }, Some(599), &[]),
            (basis(600).followed(), IndexState { tracks: false, ..GOOD }, Some(599), &["follows no coins"]),
            (basis(600).traced(), IndexState { tracks: false, ..GOOD }, Some(599), &[]),
        ]);
    }

    #[test]
    fn each_reason_in_heights_is_said_by_itself_and_none_without_cause() {
        check(vec![
            (basis(0), IndexState { tip: None, settled: None, ..GOOD }, None, &["no block yet"]),
            (basis(0), IndexState { tip: None, settled: None, ..GOOD }, Some(5), &["no block yet"]),
            (basis(600), GOOD, None, &["no block yet"]),
            (basis(600), GOOD, Some(600), &["ends at height 599, below height 600"]),
            (basis(600), GOOD, Some(Height::MAX), &["ends at height 599, below height 4294967295"]),
            (basis(600).traced(), GOOD, Some(700), &["ends at height 599, below height 700"]),
            (basis(599), GOOD, Some(598), &[]),
            (basis(599), GOOD, Some(599), &["heights 599 to 599 are not scanned for 2 entries; run"]),
            (basis(300), GOOD, Some(700), &["below height 700", "heights 300 to 599 are not scanned"]),
            (Basis::of(600, &[(0, None), (100, None)], 0), GOOD, Some(100), &[]),
            (
                Basis::of(600, &[(0, None), (100, None)], 0),
                GOOD,
                Some(99),
                &["heights 0 to 99 are not scanned for 1 entry; lower"],
            ),
            (
                Basis::of(600, &[(500, Some(100))], 0),
                GOOD,
                Some(599),
                &["heights 100 to 499 are not scanned for 1 entry; run"],
            ),
            (Basis::of(300, &[(0, None), (400, None)], 0), GOOD, Some(599), &["for 1 entry, and one more range"]),
            (
                Basis::of(300, &[(0, None), (400, None), (500, None)], 0),
                GOOD,
                Some(599),
                &["for 1 entry, and 2 more ranges"],
            ),
        ]);
    }

    #[test]
    fn each_reason_in_the_trace_is_said_by_itself_and_all_reasons_together() {
        check(vec![
            (basis(600).traced(), IndexState { settled: Some(598), ..GOOD }, Some(598), &[]),
            (
                basis(600).traced(),
                IndexState { settled: Some(598), ..GOOD },
                Some(599),
                &["settled through height 598 only"],
            ),
            (basis(600).traced(), IndexState { settled: None, ..GOOD }, Some(0), &["settled at no height only"]),
            (basis(600), IndexState { settled: Some(598), ..GOOD }, Some(599), &[]),
            (every_coin(0), GOOD, Some(599), &[]),
            (every_coin(1), GOOD, Some(599), &["older than height 1,"]),
            (Basis::of(600, &[(1, None)], 0), GOOD, Some(599), &[]),
            (
                basis(300).whole().traced().followed(),
                IndexState {
                    lists_changed: true,
                    unread: 2,
                    tracks: false,
                    tip: Some(599),
                    settled: Some(299),
                    held: None,
                },
                Some(599),
                &[
                    "the lists configured now",
                    "could not be read (2)",
                    "follows no coins",
                    "heights 300 to 599",
                    "settled through height 299",
                ],
            ),
        ]);
    }
}
