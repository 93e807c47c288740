//! The coins that the generated chain can still spend, by age: of this block, of the last few, older.

use std::collections::VecDeque;

use bitcoin::OutPoint;

use crate::lock::Lock;
use crate::rng::Rng;

/// Blocks during which a coin counts as recent.
const RECENT_BLOCKS: usize = 6;
/// Inputs in a hundred that spend a coin of their own block.
const SAME_BLOCK_PERCENT: usize = 15;
/// Inputs in a hundred that spend a coin of the recent blocks. The rest spend old coins.
const RECENT_PERCENT: usize = 45;

/// An unspent output that the generator can spend.
#[derive(Clone, Copy, Debug)]
pub struct Coin {
    /// The output.
    pub outpoint: OutPoint,
    /// Its value in satoshis.
    pub value_sat: u64,
    /// Its script.
    pub lock: Lock,
}

/// All spendable coins.
#[derive(Debug, Default)]
pub struct Coins {
    same_block: Vec<Coin>,
    recent: VecDeque<Vec<Coin>>,
    old: Vec<Coin>,
}

impl Coins {
    /// Adds a coin of the block under construction.
    pub fn add(&mut self, coin: Coin) {
        self.same_block.push(coin);
    }

    /// Ends the block under construction: its coins become recent, and those of the oldest recent block old.
    pub fn end_block(&mut self) {
        self.recent.push_back(std::mem::take(&mut self.same_block));
        while self.recent.len() > RECENT_BLOCKS {
            self.old.extend(self.recent.pop_front().unwrap_or_default());
        }
    }

    /// Takes a coin out: some of this block, many of the recent ones, the others old. `None` if no coin is left.
    pub fn take(&mut self, rng: &mut Rng) -> Option<Coin> {
        let age = rng.below(100);
        if age < SAME_BLOCK_PERCENT
            && let Some(coin) = rng.take(&mut self.same_block)
        {
            return Some(coin);
        }
        if age < SAME_BLOCK_PERCENT + RECENT_PERCENT && !self.recent.is_empty() {
            let at = rng.below(self.recent.len());
            if let Some(coin) = rng.take(&mut self.recent[at]) {
                return Some(coin);
            }
        }
        if let Some(coin) = rng.take(&mut self.old) {
            return Some(coin);
        }
        self.recent.iter_mut().find_map(|block| rng.take(block)).or_else(|| rng.take(&mut self.same_block))
    }

    /// Old coins that are left.
    pub fn old(&self) -> usize {
        self.old.len()
    }
}
