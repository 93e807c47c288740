//! The watchlists of the generated chain: their scripts, the blocks that touch them, and the true counts.

use std::collections::BTreeMap;

use crate::coins::Coin;
use crate::lock::Lock;
use crate::manifest::Touches;
use crate::rng::Rng;

/// The size of a list, and how often the chain touches it.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// Scripts on the list.
    pub entries: usize,
    /// Scripts of the list that the chain touches.
    pub active: usize,
    /// Full blocks for each block that touches the list.
    pub one_block_in: u32,
    /// Transactions that pay the list, in each block that touches it.
    pub payments: usize,
    /// Transactions that spend from the list, in each block that touches it.
    pub spends: usize,
}

/// The three lists. Few blocks touch them, as on the main chain: a lane that can skip blocks must have some to skip.
pub const SHAPES: [Shape; 3] = [
    Shape { entries: 6, active: 6, one_block_in: 90, payments: 20, spends: 18 },
    Shape { entries: 1_000, active: 150, one_block_in: 20, payments: 6, spends: 5 },
    Shape { entries: 100_000, active: 300, one_block_in: 10, payments: 4, spends: 3 },
];

/// A touch that a transaction is to make.
#[derive(Clone, Copy, Debug)]
pub struct Order {
    /// Index of the list, from 0: its place in [`SHAPES`].
    pub list: usize,
    /// How the transaction touches it.
    pub touch: Touch,
}

/// A way to touch a list.
#[derive(Clone, Copy, Debug)]
pub enum Touch {
    /// Pays a script of the list.
    Pay {
        /// With two outputs of the same value instead of one.
        twice: bool,
    },
    /// Spends a coin of the list, if there is one.
    Spend {
        /// And pays its script again.
        back: bool,
    },
}

/// One list while the chain is made.
#[derive(Debug)]
pub struct Watch {
    /// Its size, and how often it is touched.
    pub shape: Shape,
    /// Every script on it, in the file's order.
    pub entries: Vec<Lock>,
    /// The scripts that the chain pays.
    pub active: Vec<Lock>,
    /// Coins of the list that can be spent.
    pub coins: Vec<Coin>,
    /// Touches so far, by height.
    pub touches: BTreeMap<u32, Touches>,
    heights: Vec<u32>,
}

impl Watch {
    /// A list of `shape` for a chain whose full blocks are the `full` ones from height `first` on.
    pub fn new(shape: Shape, first: u32, full: u32, rng: &mut Rng) -> Self {
        let active: Vec<Lock> = (0..shape.active).map(|_| Lock::mixed(30, rng)).collect();
        // The rest never appear on the chain; most are of the shapes that real lists hold.
        let mut entries: Vec<Lock> = (shape.active..shape.entries).map(|_| Lock::mixed(80, rng)).collect();
        for lock in &active {
            entries.insert(rng.below(entries.len() + 1), *lock);
        }
        let slots = (full / shape.one_block_in).max(2).min(full);
        let slot = full / slots.max(1);
        let heights = (0..slots)
            .map(|i| first + i * slot + u32::try_from(rng.below(slot as usize)).expect("below a u32"))
            .collect();
        Self { shape, entries, active, coins: Vec::new(), touches: BTreeMap::new(), heights }
    }

    /// The touches of this list, whose index is `list`, that the block at `height` is to make; each with the place of its transaction.
    pub fn orders(&self, list: usize, height: u32, transactions: usize, rng: &mut Rng) -> Vec<(usize, Order)> {
        if !self.heights.contains(&height) {
            return Vec::new();
        }
        let pays = (0..self.shape.payments).map(|i| Touch::Pay { twice: i % 7 == 3 });
        let spends = (0..self.shape.spends).map(|i| Touch::Spend { back: i % 5 == 2 });
        pays.chain(spends).map(|touch| (rng.below(transactions), Order { list, touch })).collect()
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
