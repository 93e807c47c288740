//! Events: what a record's rows say that users wait for: touches, followed coins that moved, services reached.
//!
//! What the rows of a record say is read from them, old or new. A fact that only the new rows say is logged, one that only the old ones
//! say is retracted, and one that both say with different numbers is logged again, as revised. What the old ones said is kept for the
//! events about it (`index::former`). An event is a few dozen bytes, however large the transaction.

use std::collections::{BTreeMap, BTreeSet};

use super::place::Place;
use crate::index::events::{Event, Fact, Happened, Reason, Seen};
use crate::index::former::{Former, FormerKey, MovedTaint, Received, RemovedRecord};
use crate::index::keys::TxPosition;
use crate::index::values::{Coin, Record, Spender};
use crate::index::{ReadRows, Result, RowSet, Step, Touch};
use crate::trace::RuleTaint;

/// What the rows of a record say.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Stated {
    /// The touches.
    touches: BTreeSet<Fact>,
    /// The taint that it moved, and which outputs of it pay a service.
    taint: MovedTaint,
}

impl Stated {
    /// Reads it from a record's rows.
    ///
    /// # Errors
    /// [`crate::index::IndexError::Corrupt`] for a row that is not laid out as the schema says.
    pub fn by(rows: &RowSet) -> Result<Self> {
        let mut stated = Self::default();
        for row in rows.rows::<Touch>() {
            let (key, _) = row?;
            stated.touches.insert(Fact::Touch(key.kind, key.io_index));
        }
        for row in rows.rows::<Spender>() {
            let (_, spender) = row?;
            if !spender.taint.is_empty() {
                stated.taint.inputs.insert(spender.vin, spender.taint);
            }
        }
        if stated.taint.inputs.is_empty() {
            return Ok(stated);
        }
        for row in rows.rows::<Coin>() {
            let (key, coin) = row?;
            if !coin.columns.is_empty() {
                stated.taint.outputs.insert(key.outpoint.vout, coin.columns.iter().map(received).collect());
            }
        }
        Ok(stated)
    }

    fn facts(&self) -> BTreeSet<Fact> {
        let mut facts = self.touches.clone();
        if !self.taint.inputs.is_empty() {
            facts.insert(Fact::Moved);
        }
        let services = self.taint.outputs.iter().filter(|(_, taint)| taint.iter().any(Received::reaches_service));
        facts.extend(services.map(|(vout, _)| Fact::Service(*vout)));
        facts
    }

    /// Whether another statement has the same numbers for a fact that both make.
    fn agrees(&self, other: &Self, fact: Fact) -> bool {
        match fact {
            // Script and value are those of the transaction.
            Fact::Touch(..) => true,
            Fact::Moved => self.taint.has_numbers_of(&other.taint),
            Fact::Service(vout) => self.taint.outputs.get(&vout) == other.taint.outputs.get(&vout),
        }
    }
}

fn received(column: &RuleTaint) -> Received {
    Received { rule: column.rule, taint: column.taint.amount, hops: column.taint.hops, fate: column.fate }
}

/// Logs what a new record says; where `again`, it may have been logged before.
///
/// # Errors
/// As all reads, as in all that follow.
pub fn log_new(step: &mut Step<'_>, at: TxPosition, stated: &Stated, seen: Seen, again: bool) -> Result<()> {
    for fact in stated.facts() {
        step.append(&Event { what: Happened::Found { at, fact, revised: again }, seen })?;
    }
    Ok(())
}

/// Logs what a record that stays says now and didn't before.
///
/// # Errors
/// As all reads.
pub fn log_changed(
    step: &mut Step<'_>,
    place: &Place,
    record: &Record,
    before: Stated,
    after: &Stated,
    seen: Seen,
) -> Result<()> {
    let at = place.at;
    let (old, new) = (before.facts(), after.facts());
    let gone: Vec<Fact> = old.difference(&new).copied().collect();
    let mut changed = new;
    changed.retain(|fact| !old.contains(fact) || !before.agrees(after, *fact));
    if !gone.is_empty() || changed.iter().any(|fact| old.contains(fact)) {
        let parents = parents(step, at, record, &before.taint)?;
        let former = Former { retractions: count(&gone), removed: None, taint: before.taint, parents };
        retract(step, at, &gone, &former, (Reason::Retrace, seen))?;
    }
    for fact in changed {
        step.append(&Event { what: Happened::Found { at, fact, revised: old.contains(&fact) }, seen })?;
    }
    Ok(())
}

/// Retracts all that a record said which is removed.
///
/// # Errors
/// As all reads.
pub fn log_removed(
    step: &mut Step<'_>,
    place: &Place,
    record: &Record,
    before: Stated,
    why: (Reason, Seen),
) -> Result<()> {
    let gone: Vec<Fact> = before.facts().into_iter().collect();
    let removed = Some(RemovedRecord { block: place.block, time: place.time, record: record.clone() });
    let parents = parents(step, place.at, record, &before.taint)?;
    let former = Former { retractions: count(&gone), removed, taint: before.taint, parents };
    retract(step, place.at, &gone, &former, why)
}

fn retract(
    step: &mut Step<'_>,
    at: TxPosition,
    gone: &[Fact],
    former: &Former,
    (reason, seen): (Reason, Seen),
) -> Result<()> {
    // The seq of the first retraction: events before it are about `former`, those after the retractions about what comes then.
    let key = FormerKey { at, seq: step.next_seq()? };
    step.put(&key, former);
    for fact in gone {
        step.append(&Event { what: Happened::Retracted { at, fact: *fact, reason }, seen })?;
    }
    Ok(())
}

fn count(gone: &[Fact]) -> u32 {
    u32::try_from(gone.len()).expect("a transaction has fewer inputs and outputs than that")
}

/// Where the records are that made the coins of a record's tainted inputs, sources apart.
fn parents(step: &Step<'_>, at: TxPosition, record: &Record, taint: &MovedTaint) -> Result<BTreeMap<u32, TxPosition>> {
    let mut parents = BTreeMap::new();
    for vin in taint.derived_inputs() {
        let Some(input) = record.transaction.input.get(vin as usize) else { continue };
        let made = step.positions(input.previous_output.txid)?;
        // Of BIP30's twins, the one made last by then.
        parents.extend(made.into_iter().rfind(|made| *made < at).map(|made| (vin, made)));
    }
    Ok(parents)
}
