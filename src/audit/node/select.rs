//! Chooses the coins and heights of an index that are compared with the node.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;

use bitcoin::ScriptBuf;

use crate::chain::{Height, ScriptHash};
use crate::index::keys::{CoinKey, TxPosition};
use crate::index::values::{Coin, Record};
use crate::index::{IndexError, ReadRows, View};
use crate::trace::flow::is_unspendable;

/// The coins that an index has unspent and that the node's UTXO set must contain: coins on flagged scripts and coins that a tracked
/// rule follows, without those that can never be spent.
pub fn unspent(view: &View) -> impl Iterator<Item = Result<(CoinKey, Coin), IndexError>> + '_ {
    view.range::<Coin>(..).filter_map(|coin| match coin {
        Ok((key, coin)) => is_unspent(view, &key, &coin).map(|is| is.then_some((key, coin))).transpose(),
        Err(error) => Some(Err(error)),
    })
}

fn is_unspent(view: &View, key: &CoinKey, coin: &Coin) -> Result<bool, IndexError> {
    // The genesis coinbase is in no UTXO set.
    if key.height == 0 || view.spender_of(key)?.is_some() {
        return Ok(false);
    }
    let entry = view.entry(coin.script)?;
    if entry.as_ref().is_some_and(|entry| is_unspendable(&entry.script)) {
        return Ok(false);
    }
    let flagged = entry.is_some_and(|entry| entry.is_flagged_at(key.height));
    // BIP30: a later coin has taken its place.
    Ok((flagged || coin.is_followed()) && view.coin_heights(&key.outpoint)?.last() == Some(&key.height))
}

pub(super) fn is_flagged(view: &View, script: ScriptHash, height: Height) -> Result<bool, IndexError> {
    Ok(view.entry(script)?.is_some_and(|entry| entry.is_flagged_at(height)))
}

pub(super) fn can_be_scanned(script: &ScriptBuf) -> bool {
    !script.is_empty() && !is_unspendable(script)
}

/// Up to `count` of these heights, drawn from `seed`: one half from all of them, the other from those with records.
///
/// # Errors
/// What reading reports.
pub fn sample(
    view: &View,
    heights: RangeInclusive<Height>,
    count: usize,
    seed: u64,
) -> Result<BTreeSet<Height>, IndexError> {
    let (first, last) = heights.into_inner();
    let mut drawn = BTreeSet::new();
    let Some(others) = last.checked_sub(first) else { return Ok(drawn) };
    let mut state = seed;
    // Where few blocks have records, the same heights are drawn again.
    for turn in 0..count.saturating_mul(4) {
        if drawn.len() >= count || drawn.len() > others as usize {
            break;
        }
        let offset = u32::try_from(next(&mut state) % (u64::from(others) + 1)).unwrap_or(others);
        let height = match turn % 2 {
            0 => Some(first + offset),
            _ => with_record(view, first + offset)?.filter(|height| *height <= last),
        };
        drawn.extend(height);
    }
    Ok(drawn)
}

/// The first height from `first` on that has a record.
fn with_record(view: &View, first: Height) -> Result<Option<Height>, IndexError> {
    Ok(view.first_key::<Record>(TxPosition::first(first)..)?.map(|at| at.height))
}

/// SplitMix64 (Steele, Lea, Flood 2014).
fn next(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut mixed = *state;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}
