//! What sweeps keep in memory from one stretch to the next: their scripts and their live coins. With long lists and many coins loading
//! them takes seconds, and so they are loaded once, however often a sweep is interrupted and whatever happens to the coins meanwhile.

use std::sync::Arc;

use super::preload;
use crate::chain::Height;
use crate::index::sweeps::{MAIN_SWEEP, Sweeps};
use crate::index::{Result, View};
use crate::sync::apply::advance::SweepState;
use crate::sync::apply::moved::MovedCoins;
use crate::sync::fetch::source::Filtering;
use crate::sync::plan::interest::Interest;

/// What the main sweep keeps, and the one below it that ran last.
#[derive(Default)]
pub struct KeptSweeps(Vec<KeptSweep>);

struct KeptSweep {
    /// The sweep's id.
    id: u32,
    /// Its scripts: the same until the lists change or another sweep joins it.
    interest: Option<Arc<Interest>>,
    /// Its state before the block at height `next`, as it would be loaded from the index; `None` where it isn't known.
    state: Option<SweepState>,
    next: Height,
}

impl KeptSweeps {
    /// The scripts of a sweep, which are kept from here on.
    ///
    /// # Errors
    /// As all reads.
    pub fn interest(&mut self, view: &View, sweeps: &Sweeps, id: u32) -> Result<Arc<Interest>> {
        let kept = self.of(id);
        if let Some(interest) = &kept.interest {
            return Ok(Arc::clone(interest));
        }
        let interest = Arc::new(Interest::load(view, sweeps, id)?);
        tracing::debug!("loaded the scripts of sweep {id}: {} to search for", interest.searched);
        kept.interest = Some(Arc::clone(&interest));
        Ok(interest)
    }

    /// Takes the state of a sweep that is to go on at height `next` with these scripts.
    ///
    /// # Errors
    /// As all reads.
    pub fn take_state(
        &mut self,
        view: &View,
        interest: &Interest,
        (id, next): (u32, Height),
        filtering: Filtering,
    ) -> Result<SweepState> {
        let kept = self.of(id);
        let (live, filters) = match kept.state.take().filter(|_| kept.next == next) {
            Some(SweepState { live, filters }) => (live, filters),
            None => {
                let live = preload::live_coins(view, next)?;
                tracing::debug!("loaded the live coins of sweep {id}: {}", live.len());
                (live, None)
            }
        };
        let filters = match filters {
            Some(filters) => Some(filters),
            None => preload::filter_scripts(view, interest, &live, filtering)?,
        };
        Ok(SweepState { live, filters })
    }

    /// Keeps the state of a sweep that is to go on at height `next`.
    pub fn keep_state(&mut self, (id, next): (u32, Height), state: Option<SweepState>) {
        let kept = self.of(id);
        (kept.state, kept.next) = (state, next);
    }

    /// Brings the states up to date with coins that other work has changed, where `sweeps` are as they stand since.
    ///
    /// # Errors
    /// As all reads.
    pub fn refresh(&mut self, view: &View, sweeps: &Sweeps, moved: MovedCoins) -> Result<()> {
        let Some(outpoints) = moved.outpoints() else {
            self.0.iter_mut().for_each(|kept| kept.state = None);
            return Ok(());
        };
        for kept in &mut self.0 {
            // A reorg lowers sweeps.
            kept.next = kept.next.min(sweeps.next(kept.id));
            if let Some(state) = &mut kept.state {
                preload::refresh(view, state, kept.next, &outpoints)?;
            }
        }
        Ok(())
    }

    /// Forgets all scripts: entries or sweeps have changed. Coins have not.
    pub fn forget_scripts(&mut self) {
        for kept in &mut self.0 {
            kept.interest = None;
            if let Some(state) = &mut kept.state {
                state.filters = None;
            }
        }
    }

    /// Forgets the sweeps that have joined another one.
    pub fn forget_joined(&mut self, sweeps: &Sweeps) {
        self.0.retain(|kept| sweeps.resolve(kept.id) == kept.id);
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// Whether each state is as it would be loaded.
    #[cfg(feature = "testing")]
    pub fn are_exact(&self, view: &View) -> Result<bool> {
        for kept in &self.0 {
            let Some(state) = &kept.state else { continue };
            let loaded = preload::live_coins(view, kept.next)?;
            if loaded.len() != state.live.len() || !loaded.iter().all(|outpoint| state.live.contains(outpoint)) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// What a sweep keeps. Of those below the main one only the last is kept: another one begins only where it is below, and has to
    /// come up to it first.
    fn of(&mut self, id: u32) -> &mut KeptSweep {
        self.0.retain(|kept| kept.id == MAIN_SWEEP || id == MAIN_SWEEP || kept.id == id);
        let at = self.0.iter().position(|kept| kept.id == id).unwrap_or_else(|| {
            self.0.push(KeptSweep { id, interest: None, state: None, next: 0 });
            self.0.len() - 1
        });
        &mut self.0[at]
    }
}
