//! The row of a transaction that the index doesn't hold, by the coins that it spends.

use std::rc::Rc;

use super::coins::ledger::Ledger;
use super::evidence::proof::{Ruling, Silence, SilenceJudge};
use super::package::Package;
use super::package::taint::TracedPackage;
use super::row::findings::Findings;
use super::row::output_tally::OutputTally;
use super::row::screen_row::ScreenRow;
use crate::chain::Height;
use crate::query::Result;
use crate::query::by_rule::ByRule;

/// The row of the last transaction of a package, or of one of its outputs, where finding nothing would prove what `ruling` says.
///
/// # Errors
/// What reading reports, as in all that follow.
pub fn row(
    ledger: &mut Ledger<'_>,
    judge: &SilenceJudge<'_>,
    target: (&str, Option<usize>),
    package: Package,
    silence: &Silence,
    ruling: Ruling,
) -> Result<ScreenRow> {
    let (target, only) = target;
    let traced = TracedPackage::new(ledger, package)?;
    let Some((last, held)) = traced.package.transactions.last().zip(traced.held.last()) else {
        return Ok(ScreenRow::nothing_known(target, "it spends nothing and pays nothing"));
    };
    let wanted: Vec<usize> = only.map_or_else(|| (0..last.outputs.len()).collect(), |only| vec![only]);
    let rules = &ledger.snapshot.trace.rules;
    let mut tally = OutputTally::new(rules);
    for vout in &wanted {
        let value = last.transaction.output[*vout].value.to_sat();
        let is_tainted = tally.add(ledger, &last.outputs[*vout], value, &held[*vout].columns)?;
        if is_tainted || held[*vout].is_reached {
            tally.add_sources(Rc::clone(&held[*vout].label_sets));
        }
    }
    if only.is_none() {
        for origin in &last.inputs {
            traced.package.listing(origin).map(|listing| tally.add_same_key(ledger, listing)).transpose()?;
        }
        tally.add_keys_shown(ledger, &last.transaction)?;
    }
    let sources = tally.sources(ledger, &traced.package.coins(), |ledger, label, holdings| {
        let held = traced.held_of_label(ledger, label, holdings)?;
        let mut sum = ByRule::none(rules);
        wanted.iter().for_each(|vout| sum.add(&ByRule::of_columns(rules, &held[*vout].columns)));
        Ok(sum)
    })?;
    let reached = wanted.iter().copied().find(|vout| held[*vout].is_reached);
    // Taint that may come to nothing beside an unknown input still came from somewhere.
    let nearest = match (tally.nearest(), reached) {
        (Some((number, rule)), _) => Some((wanted[number], rule, None)),
        (None, Some(vout)) => traced.nearest_input(ledger)?.map(|(hops, rule)| (vout, rule, Some(hops))),
        (None, None) => None,
    };
    let path = match nearest {
        Some((vout, rule, _)) => traced.path(ledger, vout, rule)?,
        None => Vec::new(),
    };
    let found = tally.findings();
    let listed = last.outputs.iter().filter(|listing| listing.flagged_from.is_some()).count() as u64;
    // Where every entry was scanned for, a spend of a flagged coin would have made it a record.
    let knows_inputs = traced.package.knows_inputs()
        || silence.flagged_inputs > 0
        || (ruling.is_clean() && judge.is_scanned_at(&silence.evidence));
    let found = Findings {
        is_coin: only.is_some(),
        hops: found.hops.or(nearest.and_then(|(.., hops)| hops)),
        sources,
        path,
        flagged_inputs: knows_inputs.then_some(silence.flagged_inputs),
        flagged_outputs: Some(listed),
        is_reached: reached.is_some(),
        note: silence.doubt.clone(),
        proven_by: judge.proven_by(&silence.evidence)?,
        ..found
    };
    let txid = last.transaction.compute_txid();
    let found = found.with_cut(ledger, (txid, Height::MAX), traced.package.spent())?;
    let found = found.bounded(!last.is_exact, judge.blind().is_some());
    Ok(ScreenRow::new(target, found, ruling))
}
