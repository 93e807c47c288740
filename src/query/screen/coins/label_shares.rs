//! The labels that taint comes from, each with its share.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::coin_parts::LabelHoldings;
use super::label_parts;
use super::ledger::{LabelSets, Ledger};
use crate::index::keys::CoinKey;
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

/// The share that each label has in `taint`, which is that of `coins` and comes from these sets of labels; the largest first. `part`
/// gives the share of a label that only some of it comes from, of what the coins hold in that label's trace.
///
/// # Errors
/// What reading, or `part`, reports.
pub fn shares<'a>(
    ledger: &mut Ledger<'a>,
    label_sets: &LabelSets,
    taint: &ByRule,
    coins: &[CoinKey],
    mut part: impl FnMut(&mut Ledger<'a>, &str, &LabelHoldings) -> Result<ByRule>,
) -> Result<Vec<LabelShare>> {
    let mut parts: BTreeMap<String, ByRule> = BTreeMap::new();
    let mut partial: BTreeSet<String> = BTreeSet::new();
    let sets: Vec<&[u32]> = label_sets.iter().map(|set| ledger.labels.of_set(*set)).collect();
    for label in sets.iter().copied().flatten().collect::<BTreeSet<_>>() {
        let name = ledger.labels.name(*label).to_owned();
        // Where every source has the label, its own trace is the trace of all of them.
        if sets.iter().all(|labels| labels.contains(label)) {
            parts.insert(name, taint.clone());
        } else {
            partial.insert(name);
        }
    }
    if !partial.is_empty() {
        label_parts::for_each_label(ledger, coins, |ledger, label, holdings| {
            if partial.remove(label) {
                parts.insert(label.to_owned(), part(ledger, label, holdings)?);
            }
            Ok(())
        })?;
    }
    // A label of which nothing is on the confirmed coins may have a script in the transaction itself.
    for label in partial {
        let share = part(ledger, &label, &LabelHoldings::default())?;
        parts.insert(label, share);
    }
    let shares = parts.into_iter().map(|(label, taint_sat)| LabelShare { label, taint_sat });
    let mut shares: Vec<LabelShare> = shares.collect();
    if shares.iter().any(|share| share.taint_sat.is_some()) {
        // The taint of a label alone may have been rounded or cut away on the way.
        shares.retain(|share| share.taint_sat.is_some());
    }
    // Stable: the same taint in the order of the labels.
    shares.sort_by_key(|share| std::cmp::Reverse(share.taint_sat.iter().map(|(_, taint)| taint).max()));
    Ok(shares)
}
