//! Coins and outputs as the tests of the rules write them.

use super::share::Part;
use super::{Gates, OutputKind, Segment, Taint, TracedInput, TracedOutput};

/// Gates that every tainted coin passes.
pub const OPEN: Gates = Gates { min_taint: 1, max_hops: None };

/// Outputs of these values that no gate stops.
pub fn plain(values: &[u64]) -> Vec<TracedOutput> {
    values.iter().map(|value| TracedOutput { value: *value, kind: OutputKind::Plain }).collect()
}

/// A coin as runs of satoshis.
#[derive(Clone, Debug)]
pub struct Lot {
    /// Satoshis.
    pub value: u64,
    /// Its taint, with the segments that a coin keeps.
    pub taint: Taint,
}

impl Lot {
    /// The coin of these runs, each tainted or clean; neighbours are merged.
    pub fn of(runs: &[(bool, u64)]) -> Self {
        let mut segments: Vec<Segment> = Vec::new();
        for (tainted, length) in runs.iter().copied().filter(|(_, length)| *length > 0) {
            match segments.last_mut().filter(|last| last.tainted == tainted) {
                Some(last) => last.length += length,
                None => segments.push(Segment { tainted, length }),
            }
        }
        let value = segments.iter().map(|run| run.length).sum();
        let amount = segments.iter().filter(|run| run.tainted).map(|run| run.length).sum();
        if segments.len() < 2 {
            segments.clear();
        }
        Self { value, taint: Taint { amount, hops: 0, segments } }
    }

    /// A coin of the same value, all clean.
    pub fn washed(&self) -> Self {
        Self::of(&[(false, self.value)])
    }

    /// The coin as an input of a transaction.
    pub fn input(&self) -> TracedInput<'_> {
        TracedInput { value: self.value, whole: false, taint: Some(&self.taint) }
    }

    /// The coin as a rule sees it.
    pub fn part(&self) -> Part<'_> {
        Part { value: self.value, taint: self.taint.amount, segments: &self.taint.segments }
    }

    /// Its satoshis one by one.
    pub fn satoshis(&self) -> Vec<bool> {
        if self.taint.segments.is_empty() {
            return vec![self.taint.amount > 0; usize::try_from(self.value).unwrap()];
        }
        self.taint.segments.iter().flat_map(|run| vec![run.tainted; usize::try_from(run.length).unwrap()]).collect()
    }
}
