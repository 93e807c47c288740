//! Which parts of the chain must be read.

use super::wanted::Entries;
use crate::chain::Height;
use crate::index::sweeps::MAIN_SWEEP;
use crate::index::{ReadRows, Result, View};
use crate::watchlist::Role;

/// Parts of the chain that must be read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Needs {
    /// The height of the first block to read; `None` where nothing is flagged, and headers are enough.
    pub blocks_from: Option<Height>,
    /// The height from which the spent outputs of every block are needed, since some script may hold coins older than the blocks read.
    pub spent_from: Option<Height>,
}

impl Needs {
    /// Those of lists that no index has taken in yet.
    pub fn of_entries(entries: &Entries) -> Self {
        let mut needs = Self::default();
        let flagged = entries.values().filter(|entry| entry.is(Role::Flagged));
        flagged.for_each(|entry| needs.add(entry.from, entry.from));
        needs
    }

    /// What the main sweep of an index still misses.
    ///
    /// # Errors
    /// As all reads.
    pub fn of_main(view: &View) -> Result<Self> {
        let sweeps = view.sweeps()?;
        let mut needs = Self::default();
        for entry in view.entry_heads() {
            let (_, entry) = entry?;
            if entry.flagged && sweeps.resolve(entry.sweep) == MAIN_SWEEP {
                needs.add(entry.from, entry.from.max(sweeps.main()));
            }
        }
        Ok(needs)
    }

    /// What an index still misses, by its entries and its sweeps.
    ///
    /// # Errors
    /// As all reads.
    pub fn missing(view: &View) -> Result<Self> {
        let sweeps = view.sweeps()?;
        let mut needs = Self::default();
        for entry in view.entry_heads() {
            let (_, entry) = entry?;
            if !entry.flagged {
                continue;
            }
            let lowered = entry.served_lowered().map(|lowered| (lowered.from, lowered.sweep));
            for (from, sweep) in [Some((entry.from, entry.sweep)), lowered].into_iter().flatten() {
                needs.add(from, from.max(sweeps.next(sweep)));
            }
        }
        let for_coins = sweeps.sides().into_iter().filter_map(|side| Some(side.blocks_from?.max(side.next)));
        needs.blocks_from = needs.blocks_from.into_iter().chain(for_coins).min();
        Ok(needs)
    }

    /// Adds those of a script that is flagged from a height on, as far as they lie at height `first` and above.
    pub(super) fn add(&mut self, from: Height, first: Height) {
        self.blocks_from = self.blocks_from.into_iter().chain([first]).min();
        // A script that is flagged from height 0 on has no coin that the index did not see made; any other may, and only spent outputs
        // show that one is spent.
        if from > 0 {
            self.spent_from = self.spent_from.into_iter().chain([first]).min();
        }
    }
}
