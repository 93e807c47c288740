//! The labels that taint comes from, each with its share.

use std::collections::BTreeSet;

use serde::Serialize;

use super::ledger::{LabelSets, Ledger};
use crate::query::Result;
use crate::query::by_rule::ByRule;

/// How much of a target's taint comes from the scripts of one label.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LabelShare {
    /// The label.
    pub label: String,
    /// Taint by tracked rule, as if only this label's scripts were flagged.
    pub taint_sat: ByRule,
}

/// The share that each label has in `taint`, which comes from these sets of labels; the largest first. `part` gives the share of a
/// label that only some of it comes from.
///
/// # Errors
/// What `part` reports.
pub fn shares(
    ledger: &mut Ledger<'_>,
    label_sets: &LabelSets,
    taint: &ByRule,
    mut part: impl FnMut(&mut Ledger<'_>, &str) -> Result<ByRule>,
) -> Result<Vec<LabelShare>> {
    let sets: Vec<Vec<String>> = label_sets.iter().map(|number| ledger.labels(*number).to_vec()).collect();
    let labels: BTreeSet<&String> = sets.iter().flatten().collect();
    let mut shares = Vec::new();
    for label in labels {
        // Where every source has the label, its own trace is the trace of all of them.
        let is_whole = sets.iter().all(|labels| labels.contains(label));
        let taint_sat = if is_whole { taint.clone() } else { part(ledger, label)? };
        shares.push(LabelShare { label: label.clone(), taint_sat });
    }
    if shares.iter().any(|share| share.taint_sat.is_some()) {
        // The taint of a label alone may have been rounded or cut away on the way.
        shares.retain(|share| share.taint_sat.is_some());
    }
    // Stable: the same taint in the order of the labels.
    shares.sort_by_key(|share| std::cmp::Reverse(share.taint_sat.iter().map(|(_, taint)| taint).max()));
    Ok(shares)
}
