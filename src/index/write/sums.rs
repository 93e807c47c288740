//! How the changes of a step move the sums: computed from the changes and the rows before, and written in the same batch.

use super::changes::Changes;
use crate::index::error::Result;
use crate::index::raw::RawRows;
use crate::index::read::read_rows::ReadRows;
use crate::index::read::sums::{COUNTED, OUTPOINT, SumCounter, spent_at};
use crate::index::read::view::View;
use crate::index::rows::sums::{SumKey, SumRow};
use crate::index::schema::Family;

/// The rows of `sums` that change together with `changes`: keys, and the new values.
///
/// # Errors
/// As all reads.
pub(in crate::index) fn moved(view: &View, changes: &Changes) -> Result<Vec<(SumKey, SumRow)>> {
    let mut counter = SumCounter::default();
    for (key, new) in changes.of(Family::Entries) {
        counter.entry(view.raw_get(Family::Entries, key)?.as_deref(), -1);
        counter.entry(new.as_deref(), 1);
    }
    for (family, counted) in COUNTED {
        for (key, new) in changes.of(family) {
            let was = view.raw_get(family, key)?.is_some();
            counter.add(counted.clone(), i128::from(new.is_some()) - i128::from(was));
        }
    }
    spends(view, changes, &mut counter)?;
    coins(view, changes, &mut counter)?;
    let moved = counter.0.into_iter().filter(|(_, by)| *by != 0);
    let moved = moved.map(|(key, by)| {
        let before = view.get::<SumRow>(&key)?.map_or(0, |SumRow(sum)| sum);
        Ok((key, SumRow(before.saturating_add_signed(by))))
    });
    moved.collect()
}

/// Tallies the coins that stay as they are, and whose spend changes.
fn spends(view: &View, changes: &Changes, counter: &mut SumCounter) -> Result<()> {
    let changed_coins = changes.of(Family::Coins);
    for (outpoint, new) in changes.of(Family::Spends) {
        let old = view.raw_get(Family::Spends, outpoint)?;
        if spent_at(old.as_deref()) == spent_at(new.as_deref()) {
            continue;
        }
        for row in view.raw_prefix(Family::Coins, outpoint) {
            let (key, value) = row?;
            if !changed_coins.contains_key(&*key) {
                counter.coin(&key, Some(&value), old.as_deref(), -1);
                counter.coin(&key, Some(&value), new.as_deref(), 1);
            }
        }
    }
    Ok(())
}

/// Tallies the coins that change.
fn coins(view: &View, changes: &Changes, counter: &mut SumCounter) -> Result<()> {
    for (key, new) in changes.of(Family::Coins) {
        let Some(outpoint) = key.get(..OUTPOINT) else { continue };
        let old = view.raw_get(Family::Coins, key)?;
        let old_spend = view.raw_get(Family::Spends, outpoint)?;
        let new_spend = changes.of(Family::Spends).get(outpoint).unwrap_or(&old_spend);
        counter.coin(key, old.as_deref(), old_spend.as_deref(), -1);
        counter.coin(key, new.as_deref(), new_spend.as_deref(), 1);
    }
    Ok(())
}
