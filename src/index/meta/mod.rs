//! Rows of `meta`: what the index was made from and for, and how far the last run was to get.

mod identity;
mod taken_lists;
mod waiting;

use bitcoin::BlockHash;
use bitcoin::hashes::Hash;
use serde::{Deserialize, Serialize};

use super::error::Result;
use super::raw::{RawChanges, RawRows};
use super::read::view::View;
use super::rows::row::corrupt;
use super::schema::Family;
use crate::chain::Height;
use crate::trace::{Gates, Rule};

pub use identity::Identity;
pub use taken_lists::{TakenList, TakenLists};
pub use waiting::{Waiter, Waiting, put_waiting, waiting};

const TRACE_KEY: &[u8] = b"trace";
const LISTS_KEY: &[u8] = b"lists";
const GOAL_KEY: &[u8] = b"goal";
const CAUGHT_UP_KEY: &[u8] = b"caught_up";
const EVENTS_FROM_KEY: &[u8] = b"events_from";

/// How far coins are followed, and under which rules. Without a rule, only coins on flagged scripts are followed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TraceParameters {
    /// The tracked rules, in the order of their bytes.
    pub rules: Vec<Rule>,
    /// A coin with less taint is not followed, in satoshis.
    pub min_taint_sat: u64,
    /// A coin more spends away from its source is not followed; `None` for no limit.
    pub max_hops: Option<u32>,
}

impl TraceParameters {
    /// How far coins are followed under every rule.
    pub fn gates(&self) -> Gates {
        Gates { min_taint: self.min_taint_sat.max(1), max_hops: self.max_hops }
    }
}

impl Default for TraceParameters {
    fn default() -> Self {
        Self { rules: vec![Rule::Haircut, Rule::Fifo], min_taint_sat: 100_000, max_hops: None }
    }
}

/// Writes the trace parameters.
pub fn put_trace(step: &mut impl RawChanges, parameters: &TraceParameters) {
    step.raw_put(Family::Meta, TRACE_KEY, &serde_json::to_vec(parameters).expect("strings and numbers"));
}

/// Writes the lists that were taken in.
pub fn put_lists(step: &mut impl RawChanges, lists: &TakenLists) {
    step.raw_put(Family::Meta, LISTS_KEY, &serde_json::to_vec(lists).expect("strings and numbers"));
}

/// The trace parameters.
///
/// # Errors
/// [`super::IndexError::Corrupt`] where there are none.
pub fn trace(view: &View) -> Result<TraceParameters> {
    read_json(view, TRACE_KEY)
}

/// The lists that were taken in.
///
/// # Errors
/// [`super::IndexError::Corrupt`] where there are none.
pub fn lists(view: &View) -> Result<TakenLists> {
    read_json(view, LISTS_KEY)
}

/// Writes the height that a run is to reach. Until it does, the heights between are a gap in the coverage.
pub fn put_goal(step: &mut impl RawChanges, goal: Height) {
    step.raw_put(Family::Meta, GOAL_KEY, &goal.to_be_bytes());
}

/// The height that the last run was to reach.
///
/// # Errors
/// [`super::IndexError::Corrupt`].
pub fn goal(view: &View) -> Result<Option<Height>> {
    let Some(value) = view.raw_get(Family::Meta, GOAL_KEY)? else { return Ok(None) };
    let bytes = value.try_into().map_err(|_| corrupt(Family::Meta, GOAL_KEY))?;
    Ok(Some(Height::from_be_bytes(bytes)))
}

/// Writes the tip of the last `caught_up` event.
pub fn put_caught_up(step: &mut impl RawChanges, tip: BlockHash) {
    step.raw_put(Family::Meta, CAUGHT_UP_KEY, tip.as_byte_array());
}

/// Removes the tip of the last `caught_up` event, so that the next one is written at whatever tip.
pub fn forget_caught_up(step: &mut impl RawChanges) {
    step.raw_delete(Family::Meta, CAUGHT_UP_KEY);
}

/// The tip of the last `caught_up` event.
///
/// # Errors
/// [`super::IndexError::Corrupt`].
pub fn caught_up(view: &View) -> Result<Option<BlockHash>> {
    let Some(value) = view.raw_get(Family::Meta, CAUGHT_UP_KEY)? else { return Ok(None) };
    BlockHash::from_slice(&value).map(Some).map_err(|_| corrupt(Family::Meta, CAUGHT_UP_KEY))
}

/// Writes the seq of the first event that the log keeps.
pub(super) fn put_events_from(step: &mut impl RawChanges, seq: u64) {
    step.raw_put(Family::Meta, EVENTS_FROM_KEY, &seq.to_be_bytes());
}

/// The seq of the first event that the log keeps: 1 where none was ever removed.
///
/// # Errors
/// [`super::IndexError::Corrupt`].
pub(super) fn events_from(view: &View) -> Result<u64> {
    let Some(value) = view.raw_get(Family::Meta, EVENTS_FROM_KEY)? else { return Ok(1) };
    let bytes = value.try_into().map_err(|_| corrupt(Family::Meta, EVENTS_FROM_KEY))?;
    Ok(u64::from_be_bytes(bytes))
}

fn read_json<T: serde::de::DeserializeOwned>(view: &View, key: &[u8]) -> Result<T> {
    let value = view.raw_get(Family::Meta, key)?.unwrap_or_default();
    serde_json::from_slice(&value).map_err(|_| corrupt(Family::Meta, key))
}
