//! Reads from the index what a sweep over blocks needs before its first block: its live coins, and the scripts to match filters with.

use std::sync::Arc;

use bitcoin::OutPoint;

use crate::chain::Height;
use crate::index::keys::CoinKey;
use crate::index::values::Coin;
use crate::index::{ReadRows, Result, View};
use crate::scan::is_left_out;
use crate::sync::apply::advance::SweepState;
use crate::sync::fetch::coins::LiveCoins;
use crate::sync::fetch::filter_scripts::FilterScripts;
use crate::sync::fetch::source::Filtering;
use crate::sync::plan::interest::Interest;

/// Whether a coin was made below height `next`, is followed and unspent.
fn is_live(view: &View, next: Height, key: &CoinKey, coin: &Coin) -> Result<bool> {
    Ok(key.height < next && coin.is_followed() && view.spender_of(key)?.is_none())
}

/// The coins made below height `next` that are followed and unspent.
///
/// # Errors
/// As all reads.
pub fn live_coins(view: &View, next: Height) -> Result<LiveCoins> {
    let coins = view.range::<Coin>(..).filter_map(|row| {
        let live = row.and_then(|(key, coin)| Ok(is_live(view, next, &key, &coin)?.then_some(key.outpoint)));
        live.transpose()
    });
    coins.collect()
}

/// The scripts to match filters with: those that the sweep searches for, and those of its live coins. What other entries find among
/// its heights is in the index already. `None` where filters are not used, or there are too many scripts for them.
///
/// # Errors
/// As all reads.
pub fn filter_scripts(
    view: &View,
    interest: &Interest,
    live: &LiveCoins,
    filtering: Filtering,
) -> Result<Option<Arc<FilterScripts>>> {
    let Some(filters) = FilterScripts::new(filtering) else { return Ok(None) };
    if !filters.can_hold(interest.searched.saturating_add(live.len())) {
        return Ok(None);
    }
    interest.searched_scripts().for_each(|script| filters.add(script));
    if interest.scripts.iter().any(|(script, _)| is_left_out(script)) {
        tracing::info!(
            "some entries are on empty scripts or on scripts that begin with OP_RETURN, which filters leave out: a sweep that \
             searches for one of them reads every block"
        );
    }
    for outpoint in live.iter() {
        filters.add(&view.known_output(outpoint)?.script_pubkey);
    }
    Ok(Some(Arc::new(filters)))
}

/// Brings the state of a sweep, as of the block below height `next`, up to date with coins that have changed in the index since.
///
/// # Errors
/// As all reads.
pub fn refresh(view: &View, state: &mut SweepState, next: Height, outpoints: &[OutPoint]) -> Result<()> {
    for outpoint in outpoints {
        let mut live = false;
        // More than one of BIP30's twins.
        for row in view.prefix::<Coin>(*outpoint) {
            let (key, coin) = row?;
            live |= is_live(view, next, &key, &coin)?;
        }
        if !live {
            state.live.remove(outpoint);
        } else if !state.live.contains(outpoint) {
            state.live.insert(*outpoint);
            if let Some(filters) = &state.filters {
                filters.add(&view.known_output(outpoint)?.script_pubkey);
            }
        }
    }
    Ok(())
}
