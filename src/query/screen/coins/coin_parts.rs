//! What coins hold in the traces of single labels, as it is kept from one target to the next.

use std::collections::{BTreeMap, HashMap};

use crate::index::keys::CoinKey;
use crate::trace::Taint;

/// Bytes that the kept parts may take.
pub const KEPT_PARTS: usize = 64 << 20;

/// What one coin holds under one rule in the trace of one label.
#[derive(Clone)]
pub struct LabelTaint {
    /// Satoshis, hops, and where they lie.
    pub taint: Taint,
    /// Whether the rule follows the coin.
    pub is_followed: bool,
}

/// What one coin holds in one label's trace, by tracked rule.
pub type LabelTaints = Vec<Option<LabelTaint>>;

/// What each of some coins holds in one label's trace, by tracked rule.
pub type LabelHoldings = HashMap<CoinKey, LabelTaints, foldhash::quality::RandomState>;

/// What a coin holds in the trace of each label that its taint comes from, by the labels' numbers.
#[derive(Default)]
pub struct CoinParts(pub BTreeMap<u32, LabelTaints>);

impl CoinParts {
    /// Bytes that it takes, roughly.
    pub fn bytes(&self) -> usize {
        let columns = self.0.values().flatten().flatten();
        let segments: usize = columns.map(|held| size_of_val(&held.taint.segments[..])).sum();
        size_of::<(CoinKey, Self)>() + segments + self.0.len() * part_bytes(self.0.values().next().map_or(0, Vec::len))
    }
}

/// Bytes that the columns of one label take, without their segments.
pub fn part_bytes(rules: usize) -> usize {
    size_of::<(u32, LabelTaints)>() + rules * size_of::<Option<LabelTaint>>()
}
