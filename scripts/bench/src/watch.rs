//! The watchlists of the generated chain: which scripts are on them, where the chain touches them, and the true counts.

use std::collections::BTreeMap;

use crate::coins::Coin;
use crate::lock::{Kind, Lock};
use crate::manifest::Touches;
use crate::rng::Rng;

/// How large a list is, and how its touches lie on the chain.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// Scripts on the list.
    pub entries: usize,
    /// Scripts of those that the chain touches.
    pub active: usize,
    /// One block in so many is touched.
    pub one_block_in: u32,
    /// Transactions that pay the list, per touched block.
    pub payments: usize,
    /// Transactions that spend from the list, per touched block.
    pub spends: usize,
}

/// The three lists. Few blocks are touched, as on the main chain: a lane that can skip blocks must have some to skip.
pub const SHAPES: [Shape; 3] = [
    Shape { entries: 6, active: 6, one_block_in: 90, payments: 20, spends: 18 },
    Shape { entries: 1_000, active: 150, one_block_in: 20, payments: 6, spends: 5 },
    Shape { entries: 100_000, active: 300, one_block_in: 10, payments: 4, spends: 3 },
];

/// What a transaction is to do to a list.
#[derive(Clone, Copy, Debug)]
pub struct Order {
    /// The list, by its place in [`SHAPES`].
    pub list: usize,
    /// What to do.
    pub deed: Deed,
}

/// One way to touch a list.
#[derive(Clone, Copy, Debug)]
pub enum Deed {
    /// Pays a flagged script; when `twice`, with two outputs of the same value.
    Pay {
        /// Two outputs instead of one.
        twice: bool,
    },
    /// Spends a flagged coin, if there is one; when `back`, pays its script again.
    Spend {
        /// Pays the script again.
        back: bool,
    },
}

/// One list while the chain is made.
#[derive(Debug)]
pub struct Watch {
    /// Its measures.
    pub shape: Shape,
    /// Every script on it, in the file's order.
    pub entries: Vec<Lock>,
    /// Those of them that the chain pays.
    pub active: Vec<Lock>,
    /// Flagged coins that can be spent.
    pub coins: Vec<Coin>,
    /// What has been touched, by height.
    pub touches: BTreeMap<u32, Touches>,
    heights: Vec<u32>,
}

impl Watch {
    /// A list of `shape` for a chain whose full blocks are the `full` ones from height `first` on.
    pub fn new(shape: Shape, first: u32, full: u32, rng: &mut Rng) -> Self {
        let mut mixed = |dead_percent| {
            let kind = if rng.chance(dead_percent) { Kind::dead(rng) } else { Kind::alive(rng) };
            Lock::new(kind, rng)
        };
        let active: Vec<Lock> = (0..shape.active).map(|_| mixed(30)).collect();
        // The rest never appear on the chain; most are of the shapes that real lists hold.
        let mut entries: Vec<Lock> = (shape.active..shape.entries).map(|_| mixed(80)).collect();
        for lock in &active {
            entries.insert(rng.below(entries.len() + 1), *lock);
        }
        let slots = (full / shape.one_block_in).max(2).min(full);
        let slot = full / slots.max(1);
        let heights = (0..slots).map(|i| first + i * slot + rng.below(slot as usize) as u32).collect();
        Self { shape, entries, active, coins: Vec::new(), touches: BTreeMap::new(), heights }
    }

    /// What the transactions of the block at `height` are to do to this list, the `list`th; by their place in the block.
    pub fn orders(&self, list: usize, height: u32, transactions: usize, rng: &mut Rng) -> Vec<(usize, Order)> {
        if !self.heights.contains(&height) {
            return Vec::new();
        }
        let pays = (0..self.shape.payments).map(|i| Deed::Pay { twice: i % 7 == 3 });
        let spends = (0..self.shape.spends).map(|i| Deed::Spend { back: i % 5 == 2 });
        pays.chain(spends).map(|deed| (rng.below(transactions), Order { list, deed })).collect()
    }

    /// Counts an output at `height` that pays this list.
    pub fn count_funding(&mut self, height: u32) {
        self.touches.entry(height).or_default().fundings += 1;
    }

    /// Counts an input at `height` that spends from this list.
    pub fn count_spending(&mut self, height: u32) {
        self.touches.entry(height).or_default().spendings += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn touched_blocks_lie_within_the_full_ones_and_spread_over_them() {
        for full in [1, 2, 40, 720] {
            for shape in SHAPES {
                let watch = Watch::new(Shape { entries: shape.active, ..shape }, 130, full, &mut Rng::new(9));
                assert!(watch.heights.iter().all(|h| (130..130 + full).contains(h)), "{full}: {:?}", watch.heights);
                assert!(watch.heights.is_sorted());
                assert!(!watch.heights.is_empty());
            }
        }
    }
}
