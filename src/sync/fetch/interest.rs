//! What a sweep looks for: flagged scripts, and followed coins that nobody has spent yet.
//!
//! Scripts don't change during a sweep. Coins do, in chain order, while blocks are scanned ahead in any order. So scanners use a
//! published set of coin fingerprints that may be stale, and whoever advances looks for the coins added since: a short list.

use std::collections::HashSet;
use std::sync::{Arc, PoisonError, RwLock};

use bitcoin::{OutPoint, Script};

use super::sought::{MOST, Sought};
use super::source::Filtering;
use crate::chain::Height;
use crate::index::derive::Marks;
use crate::index::entries::EntryRow;
use crate::index::sweeps::{MAIN_SWEEP, Sweeps};
use crate::index::{ReadRows, Result, View};
use crate::scan::is_left_out;
use crate::scan::{CoinSet, Fingerprints, OutPointHasher, ScriptMap, ScriptMapBuilder};
use crate::sync::plan::change::Entries;
use crate::watchlist::Role;

/// The scripts that count for one sweep, and the published coins.
pub struct Interest {
    /// The flagged scripts.
    pub scripts: ScriptMap<Flagged>,
    /// How many of them blocks are looked through for.
    own: usize,
    /// Where tracing stops.
    services: ScriptMap<()>,
    /// What filters are asked for, where they are.
    pub sought: Option<Sought>,
    /// What of the chain has to be read for it.
    pub needs: Needs,
    /// Makes the fingerprints of this process.
    pub hasher: OutPointHasher,
    published: RwLock<Arc<Published>>,
}

/// The fingerprints of the coins that were live at some moment.
#[derive(Default)]
pub struct Published {
    /// Counts publications.
    pub version: u64,
    /// The coins; may hold some that were spent since.
    pub coins: CoinSet,
}

/// What a sweep knows of a flagged script, in four bytes: there may be ten million.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flagged(u32);

impl Flagged {
    /// No chain comes to this height in forty thousand years.
    const NEVER: Height = Height::MAX >> 1;

    /// From which height on, and whether blocks are looked through for it.
    fn new(from: Height, own: bool) -> Self {
        Self(from.min(Self::NEVER) << 1 | u32::from(own))
    }

    fn from(self) -> Height {
        self.0 >> 1
    }

    fn is_own(self) -> bool {
        self.0 & 1 == 1
    }
}

/// The height from which an entry counts for the sweep `of`, and whether that sweep is to look for it in blocks.
///
/// The main sweep, also while others are below it, goes by its own entries: the others read its blocks again for theirs. One below
/// it is the lowest while it runs, so whatever the others look for is covered where it is.
fn share(entry: &EntryRow, sweeps: &Sweeps, of: u32) -> Option<(Height, bool)> {
    let own = sweeps.resolve(entry.sweep) == of;
    if of == MAIN_SWEEP {
        return own.then_some((entry.from, true));
    }
    match entry.lowered {
        Some(lowered) => Some((lowered.from, own || sweeps.resolve(lowered.sweep) == of)),
        None => Some((entry.from, own)),
    }
}

impl Interest {
    /// The interest of the sweep `of`, without coins.
    ///
    /// # Errors
    /// What reading reports.
    pub fn load(view: &View, sweeps: &Sweeps, of: u32) -> Result<Self> {
        let (mut scripts, mut services) = (ScriptMapBuilder::default(), ScriptMapBuilder::default());
        let mut needs = Needs::default();
        let mut own = 0;
        for entry in view.entry_heads() {
            let (_, entry) = entry?;
            if entry.service {
                services.push(&entry.script, ());
            }
            if let Some((from, looked_for)) = share(&entry, sweeps, of).filter(|_| entry.flagged) {
                scripts.push(&entry.script, Flagged::new(from, looked_for));
                if looked_for {
                    own += 1;
                    needs.add(from, from);
                }
            }
        }
        let (scripts, services) = (scripts.build(), services.build());
        let hasher = OutPointHasher::default();
        Ok(Self { scripts, own, services, sought: None, needs, hasher, published: RwLock::default() })
    }

    /// Gets ready to ask filters: for the sweep's own scripts, and for those of its live coins. What other entries find in the
    /// sweep's range is in the index already.
    ///
    /// # Errors
    /// What reading reports.
    pub fn seek(&mut self, view: &View, live: &LiveCoins, filtering: Filtering) -> Result<()> {
        let most = match filtering {
            Filtering::Off => return Ok(()),
            Filtering::WherePays => MOST,
            Filtering::Always => usize::MAX,
        };
        if self.own.saturating_add(live.coins.len()) > most {
            return Ok(());
        }
        let sought = Sought::new(most);
        let own = self.scripts.iter().filter(|(_, flagged)| flagged.is_own());
        own.for_each(|(script, _)| sought.add(script));
        if self.scripts.iter().any(|(script, _)| is_left_out(script)) {
            tracing::info!(
                "some entries are on empty scripts or on such as begin with OP_RETURN, of which filters say nothing: where one of \
                 them is looked for, every block is read"
            );
        }
        for outpoint in &live.coins {
            let output = view.known_output(outpoint)?;
            sought.add(&output.script_pubkey);
        }
        self.sought = Some(sought);
        Ok(())
    }

    /// The height of the first block to read, also for the sake of coins alone, which need blocks from `coins_from` on.
    pub fn blocks_from(&self, coins_from: Option<Height>) -> Option<Height> {
        self.needs.blocks_from.into_iter().chain(coins_from).min()
    }

    /// The coins as last published.
    pub fn published(&self) -> Arc<Published> {
        Arc::clone(&self.published.read().unwrap_or_else(PoisonError::into_inner))
    }
}

/// What of the chain a sweep has to read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Needs {
    /// The height of the first block to read; `None` where nothing is flagged, and headers suffice.
    pub blocks_from: Option<Height>,
    /// The height from which every block's spent outputs are needed, since some script may have coins older than what is read.
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

    /// What is missing of an index whose entries and sweeps are these, as far as its scripts tell.
    ///
    /// # Errors
    /// What reading reports.
    pub fn missing(view: &View) -> Result<Self> {
        let sweeps = view.sweeps()?;
        let mut needs = Self::default();
        for entry in view.entry_heads() {
            let (_, entry) = entry?;
            if !entry.flagged {
                continue;
            }
            let wishes = [Some((entry.from, entry.sweep)), entry.lowered.map(|lowered| (lowered.from, lowered.sweep))];
            for (from, sweep) in wishes.into_iter().flatten() {
                needs.add(from, from.max(sweeps.next(sweep)));
            }
        }
        let of_coins = sweeps.sides().into_iter().filter_map(|side| Some(side.blocks_from?.max(side.next)));
        needs.blocks_from = needs.blocks_from.into_iter().chain(of_coins).min();
        Ok(needs)
    }

    /// Adds those of a script flagged from a height on, as far as they lie at `first` and above.
    fn add(&mut self, from: Height, first: Height) {
        let least = |known: Option<Height>| known.into_iter().chain([first]).min();
        self.blocks_from = least(self.blocks_from);
        if from > 0 {
            self.spent_from = least(self.spent_from);
        }
    }
}

impl Marks for Interest {
    fn flagged_from(&self, script: &Script) -> Option<Height> {
        self.scripts.find(script.as_bytes()).map(Flagged::from)
    }

    fn is_service(&self, script: &Script) -> bool {
        self.services.find(script.as_bytes()).is_some()
    }
}

/// All live coins, exact: followed, and spent by no record. Kept by the one thread that advances.
#[derive(Default)]
pub struct LiveCoins {
    coins: HashSet<OutPoint, foldhash::quality::RandomState>,
    version: u64,
    /// Added since the last publication.
    recent: Fingerprints,
    /// Added between the publication before and the last.
    earlier: Vec<u64>,
    blocks_since: usize,
}

/// A scanner may be this many blocks ahead, of those that are read (`room` sees to it). Between two publications lie twice as many,
/// so that no block comes that was scanned before the last but one.
pub const WINDOW: usize = 48;
/// Below this it isn't worth publishing.
const RECENT_AT_LEAST: usize = 16;

impl LiveCoins {
    /// Those made below `next`, published to `interest`.
    ///
    /// # Errors
    /// What reading reports.
    pub fn load(view: &View, interest: &Interest, next: Height) -> Result<Self> {
        let mut live = Self::default();
        for coin in view.coins() {
            let (key, coin) = coin?;
            if key.height < next && coin.is_followed() && view.spender_of(&key)?.is_none() {
                live.coins.insert(key.outpoint);
            }
        }
        live.publish(interest);
        Ok(live)
    }

    /// Whether a coin is live.
    pub fn contains(&self, outpoint: &OutPoint) -> bool {
        self.coins.contains(outpoint)
    }

    /// Adds a coin; returns its fingerprint.
    pub fn insert(&mut self, interest: &Interest, outpoint: OutPoint) -> u64 {
        let fingerprint = interest.hasher.of(&outpoint);
        self.coins.insert(outpoint);
        self.recent.insert(fingerprint);
        fingerprint
    }

    /// Removes a coin that was spent.
    pub fn remove(&mut self, outpoint: &OutPoint) {
        self.coins.remove(outpoint);
    }

    /// The coins that a block scanned under publication `version` may have missed.
    pub fn missed_by(&self, version: u64) -> std::borrow::Cow<'_, Fingerprints> {
        if version == self.version {
            return std::borrow::Cow::Borrowed(&self.recent);
        }
        std::borrow::Cow::Owned(self.recent.iter().chain(&self.earlier).copied().collect())
    }

    /// Counts a block that was read ahead; publishes the coins anew when many have come since and no scanner can still be two
    /// publications behind.
    pub fn end_block(&mut self, interest: &Interest) {
        self.blocks_since += 1;
        let many = self.recent.len() > RECENT_AT_LEAST.max(interest.published().coins.len() / 4);
        if many && self.blocks_since > 2 * WINDOW {
            self.publish(interest);
        }
    }

    fn publish(&mut self, interest: &Interest) {
        self.version += 1;
        self.blocks_since = 0;
        self.earlier = self.recent.drain().collect();
        let coins = CoinSet::new(self.coins.iter().map(|outpoint| interest.hasher.of(outpoint)).collect());
        let published = Arc::new(Published { version: self.version, coins });
        *interest.published.write().unwrap_or_else(PoisonError::into_inner) = published;
    }
}
