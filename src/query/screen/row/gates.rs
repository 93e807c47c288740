//! The gates in words. `none` claims that there is no link above them, so it has to name them; and where the index follows less far than
//! by default, every row says so.

use serde::Serialize;

use super::screen_row::{ScreenRow, Verdict};
use crate::chain::Height;
use crate::index::meta::TraceParameters;
use crate::query::by_rule::ByRule;
use crate::query::words::{btc, date};
use crate::query::{Result, Snapshot};

/// How far the index follows coins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct ScreenGates {
    /// Coins with less taint are not followed; satoshis.
    pub min_taint_sat: u64,
    /// Coins with more hops are not followed; `None` for no limit.
    pub max_hops: Option<u32>,
}

/// The gates in words, for the reasons of rows.
pub struct GateWords {
    /// What `none` claims.
    claim: String,
    /// What the gates are, where they are tighter than by default.
    tight: Option<String>,
}

impl GateWords {
    /// Those of an index that is settled through a height, and whose cut coins hold `frontier`.
    ///
    /// # Errors
    /// What reading reports.
    pub fn new(snapshot: &Snapshot, settled: Option<Height>, frontier: &ByRule) -> Result<Self> {
        let TraceParameters { min_taint_sat, max_hops, .. } = &snapshot.trace;
        let mut claim = format!("no link above {} BTC", btc(*min_taint_sat));
        if let Some(hops) = max_hops {
            claim += &format!(" within {hops} {} of a flagged script", if *hops == 1 { "hop" } else { "hops" });
        }
        if let Some(height) = settled {
            let (_, time) = snapshot.block(height)?;
            claim += &format!(", up to block {height} ({})", date(time));
        }
        if frontier.is_some() {
            claim += &format!("; the coins at which the index stopped following hold {}", frontier.words());
        }
        Ok(Self { claim, tight: tight(&snapshot.trace) })
    }

    /// Adds them to the reason of a row.
    pub fn add_to(&self, row: &mut ScreenRow) {
        let words = if row.verdict == Verdict::None { Some(&self.claim) } else { self.tight.as_ref() };
        if let Some(words) = words {
            row.why = format!("{}; {words}", row.why);
        }
    }
}

/// What the gates are, where they are tighter than those of a new index.
pub fn tight(gates: &TraceParameters) -> Option<String> {
    let default = TraceParameters::default();
    let taint = (gates.min_taint_sat > default.min_taint_sat)
        .then(|| format!("coins with less than {} BTC of taint", btc(gates.min_taint_sat)));
    let hops = gates.max_hops.map(|hops| format!("coins more than {hops} hops from a flagged script"));
    let cut: Vec<String> = taint.into_iter().chain(hops).collect();
    (!cut.is_empty()).then(|| format!("this index does not follow {}", cut.join(", nor ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gates_are_named_where_they_are_tighter_than_by_default() {
        let gates = |min_taint_sat, max_hops| tight(&TraceParameters { min_taint_sat, max_hops, ..Default::default() });
        assert_eq!((gates(100_000, None), gates(1, None)), (None, None));
        let words = gates(100_001, Some(0)).unwrap();
        assert!(words.contains("less than 0.00100001 BTC") && words.contains("more than 0 hops"), "{words}");
        assert!(gates(1, Some(5)).unwrap().contains("more than 5 hops"));
    }
}
