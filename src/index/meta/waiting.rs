//! What a run waits for, so that other commands can say why the index doesn't move on.

use serde::{Deserialize, Serialize};

use super::read_json;
use crate::index::error::Result;
use crate::index::raw::{RawChanges, RawRows};
use crate::index::read::view::View;
use crate::index::schema::Family;

/// What waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Waiter {
    /// The whole run: no block is indexed.
    Run,
    /// The sweeps below the main one: new blocks are indexed, and entries that were added later have a gap.
    Below,
    /// Heights that no sweep covers, since the node has pruned their blocks: a gap of entries that were added later.
    Unserved,
}

impl Waiter {
    fn key(self) -> &'static [u8] {
        match self {
            Self::Run => b"waiting",
            Self::Below => b"waiting_below",
            Self::Unserved => b"waiting_unserved",
        }
    }
}

/// What is waited for, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Waiting {
    /// What is waited for, in words.
    #[serde(rename = "for")]
    pub what: String,
    /// Since when, Unix seconds.
    pub since: u64,
    /// The last error.
    pub error: String,
}

impl Waiting {
    /// Waits from now on.
    pub fn now(what: impl Into<String>, error: impl ToString) -> Self {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        Self { what: what.into(), since: now.map_or(0, |now| now.as_secs()), error: error.to_string() }
    }
}

/// Writes what is waited for, or with `None` that nothing is.
pub fn put_waiting(step: &mut impl RawChanges, waiter: Waiter, waiting: Option<&Waiting>) {
    match waiting {
        Some(waiting) => {
            let value = serde_json::to_vec(waiting).expect("strings and numbers");
            step.raw_put(Family::Meta, waiter.key(), &value);
        }
        None => step.raw_delete(Family::Meta, waiter.key()),
    }
}

/// What is waited for, if anything is.
///
/// # Errors
/// [`crate::index::IndexError::Corrupt`].
pub fn waiting(view: &View, waiter: Waiter) -> Result<Option<Waiting>> {
    match view.raw_get(Family::Meta, waiter.key())? {
        Some(_) => read_json(view, waiter.key()).map(Some),
        None => Ok(None),
    }
}
