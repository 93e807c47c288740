//! The coins that some work has changed in the index, for those who keep coins of it in memory.

use bitcoin::OutPoint;

use crate::index::Step;

/// With more of them, loading all coins again is about as quick.
const MOST: usize = 50_000;

/// The outpoints of the coins that were made, changed, spent or removed, as far as they are few.
#[derive(Default)]
pub struct MovedCoins {
    outpoints: Vec<OutPoint>,
    too_many: bool,
}

impl MovedCoins {
    /// Adds those of a step that is about to be written.
    pub fn add(&mut self, step: &Step<'_>) {
        if self.too_many {
            return;
        }
        self.outpoints.extend(step.moved_coins().take(MOST + 1 - self.outpoints.len()));
        if self.outpoints.len() > MOST {
            *self = Self { outpoints: Vec::new(), too_many: true };
        }
    }

    /// The outpoints, each once; `None` if there are too many to know.
    pub fn outpoints(mut self) -> Option<Vec<OutPoint>> {
        self.outpoints.sort_unstable();
        self.outpoints.dedup();
        (!self.too_many).then_some(self.outpoints)
    }
}
