//! What a sweep looks for: the flagged scripts, and the coins on them that nobody has spent yet.
//!
//! Scripts don't change during a sweep. Coins do, in chain order, while blocks are scanned ahead in any order. So scanners use a
//! published set of coin fingerprints that may be stale, and whoever advances looks for the coins added since: a short list.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use bitcoin::{OutPoint, Script};

use crate::chain::{Height, ScriptHash};
use crate::index::derive::Flagged;
use crate::index::{IndexError, Result, View};
use crate::scan::{Fingerprints, OutPointHasher, Scripts};
use crate::sync::lists::Entries;
use crate::watchlist::Role;

/// The flagged scripts of an index, and the published coins.
pub struct Interest {
    /// The scripts, numbered.
    pub scripts: Scripts,
    /// Of each script, the height it is flagged from.
    from: Vec<Height>,
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
    pub coins: Fingerprints,
}

impl Interest {
    /// The interest of all flagged entries of an index, and its live coins.
    ///
    /// # Errors
    /// What reading reports.
    pub fn load(view: &View) -> Result<(Self, LiveCoins)> {
        let mut scripts = Scripts::default();
        let mut hashes: Vec<ScriptHash> = Vec::new();
        let mut from = Vec::new();
        for entry in view.flagged() {
            let (hash, script, height) = entry?;
            scripts.insert(&script);
            hashes.push(hash);
            from.push(height);
        }
        let interest = Self { scripts, from, hasher: OutPointHasher::default(), published: RwLock::default() };
        let mut live = LiveCoins::default();
        for coin in view.coins() {
            let (key, coin) = coin?;
            let outpoint = key.outpoint;
            // Entries come in the order of their hashes, so a script's number is its place among them.
            let number = hashes.binary_search(&coin.script).map_err(|_| IndexError::Damaged {
                path: view.path().to_owned(),
                detail: format!("coin {outpoint} is on a script that is no entry"),
            })?;
            let script = u32::try_from(number).expect("scripts are numbered by u32");
            if view.spender_of(&key)?.is_none() {
                live.coins.insert(outpoint, LiveCoin { value: coin.value, script });
            }
        }
        live.publish(&interest);
        Ok((interest, live))
    }

    /// The coins as last published.
    pub fn published(&self) -> Arc<Published> {
        Arc::clone(&self.published.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// What of the chain has to be read.
    pub fn needs(&self) -> Needs {
        Needs::from_heights(self.from.iter().copied())
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
    /// Those of an index's flagged entries.
    ///
    /// # Errors
    /// What reading reports.
    pub fn of(view: &View) -> Result<Self> {
        let heights = view.flagged().map(|entry| entry.map(|(_, _, from)| from)).collect::<Result<Vec<_>>>()?;
        Ok(Self::from_heights(heights.into_iter()))
    }

    /// Those of lists that no index has taken in yet.
    pub fn of_entries(entries: &Entries) -> Self {
        let flagged = entries.values().filter(|entry| entry.roles.contains(&Role::Flagged));
        Self::from_heights(flagged.map(|entry| entry.from))
    }

    fn from_heights(heights: impl Iterator<Item = Height> + Clone) -> Self {
        Self { blocks_from: heights.clone().min(), spent_from: heights.filter(|from| *from > 0).min() }
    }
}

impl Flagged for Interest {
    fn flagged_from(&self, script: &Script) -> Option<Height> {
        self.scripts.find(script.as_bytes()).map(|number| self.from[number as usize])
    }
}

/// A coin on a flagged script that no record spends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LiveCoin {
    /// Satoshis.
    pub value: u64,
    /// The number of its script in the interest.
    pub script: u32,
}

/// All live coins, exact; kept by the one thread that advances.
#[derive(Default)]
pub struct LiveCoins {
    coins: HashMap<OutPoint, LiveCoin, foldhash::quality::RandomState>,
    version: u64,
    /// Added since the last publication.
    recent: Fingerprints,
    /// Added between the publication before and the last.
    earlier: Vec<u64>,
    blocks_since: usize,
}

/// A scanner may be this many blocks ahead; a publication must be older than that before the next.
pub const WINDOW: usize = 48;
/// Below this it isn't worth publishing.
const RECENT_AT_LEAST: usize = 16;

impl LiveCoins {
    /// A coin, if it is live.
    pub fn get(&self, outpoint: &OutPoint) -> Option<LiveCoin> {
        self.coins.get(outpoint).copied()
    }

    /// Adds a coin; returns its fingerprint.
    pub fn insert(&mut self, interest: &Interest, outpoint: OutPoint, coin: LiveCoin) -> u64 {
        let fingerprint = interest.hasher.of(&outpoint);
        self.coins.insert(outpoint, coin);
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

    /// Counts a block; publishes the coins anew when many have come since and no scanner can still be two publications behind.
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
        let coins = self.coins.keys().map(|outpoint| interest.hasher.of(outpoint)).collect();
        let published = Arc::new(Published { version: self.version, coins });
        *interest.published.write().unwrap_or_else(PoisonError::into_inner) = published;
    }
}
