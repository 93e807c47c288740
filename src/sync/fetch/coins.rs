//! Unspent coins that a sweep follows: exact for the thread that applies blocks, published as fingerprints for those that search them.
//!
//! Coins come and go in chain order, while blocks are searched ahead of it, in any order. So a block is searched for the coins
//! published last, which may be stale; the thread that applies it searches it again for those made since, a short list
//! ([`LiveCoins::missed_by`]).

use std::borrow::Cow;
use std::collections::HashSet;
use std::sync::{Arc, RwLock};

use bitcoin::OutPoint;

use super::window::READ_AHEAD;
use crate::lock;
use crate::scan::{CoinSet, Fingerprints, OutPointHasher};

/// Coins made since the last publication, below which another one isn't worth its cost.
const PUBLISH_AT_LEAST: usize = 16;

/// The fingerprints of the coins as last published, shared by all threads of a sweep.
#[derive(Default)]
pub struct PublishedCoins {
    /// Makes the fingerprints of this sweep.
    pub hasher: OutPointHasher,
    latest: RwLock<Arc<CoinEdition>>,
}

/// The coins that were unspent at some moment.
#[derive(Default)]
pub struct CoinEdition {
    /// Counts publications.
    pub version: u64,
    /// The coins; some may have been spent since.
    pub coins: CoinSet,
}

impl PublishedCoins {
    /// The coins as last published.
    pub fn latest(&self) -> Arc<CoinEdition> {
        Arc::clone(&lock::read(&self.latest))
    }
}

/// All coins that are followed and that no record spends. Kept by the one thread that applies blocks.
pub struct LiveCoins {
    published: Arc<PublishedCoins>,
    coins: HashSet<OutPoint, foldhash::quality::RandomState>,
    version: u64,
    /// Made since the last publication.
    recent: Fingerprints,
    /// Made between the publication before and the last.
    earlier: Vec<u64>,
    blocks_since: usize,
}

impl FromIterator<OutPoint> for LiveCoins {
    /// These coins, published.
    fn from_iter<T: IntoIterator<Item = OutPoint>>(coins: T) -> Self {
        let mut live = Self {
            published: Arc::default(),
            coins: coins.into_iter().collect(),
            version: 0,
            recent: Fingerprints::default(),
            earlier: Vec::new(),
            blocks_since: 0,
        };
        live.publish();
        live
    }
}

impl LiveCoins {
    /// Where these coins are published.
    pub fn published(&self) -> &Arc<PublishedCoins> {
        &self.published
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.coins.len()
    }

    /// Whether there are none.
    #[cfg(feature = "testing")]
    pub fn is_empty(&self) -> bool {
        self.coins.is_empty()
    }

    /// All of them, in any order.
    pub fn iter(&self) -> impl Iterator<Item = &OutPoint> {
        self.coins.iter()
    }

    /// Whether a coin is among them.
    pub fn contains(&self, outpoint: &OutPoint) -> bool {
        self.coins.contains(outpoint)
    }

    /// Adds a coin; returns its fingerprint.
    pub fn insert(&mut self, outpoint: OutPoint) -> u64 {
        let fingerprint = self.published.hasher.of(&outpoint);
        self.coins.insert(outpoint);
        self.recent.insert(fingerprint);
        fingerprint
    }

    /// Removes a coin that was spent.
    pub fn remove(&mut self, outpoint: &OutPoint) {
        self.coins.remove(outpoint);
    }

    /// The coins that a block may have missed which was searched for publication `version`.
    pub fn missed_by(&self, version: u64) -> Cow<'_, Fingerprints> {
        if version == self.version {
            return Cow::Borrowed(&self.recent);
        }
        Cow::Owned(self.recent.iter().chain(&self.earlier).copied().collect())
    }

    /// Counts a block that was read ahead. Publishes the coins anew once many were made, but not before more than twice as many blocks
    /// were applied as are read ahead: then no block in flight was scanned against a publication older than the previous one.
    pub fn end_block(&mut self) {
        self.blocks_since += 1;
        let many = self.recent.len() > PUBLISH_AT_LEAST.max(self.published.latest().coins.len() / 4);
        if many && self.blocks_since > 2 * READ_AHEAD {
            self.publish();
        }
    }

    fn publish(&mut self) {
        self.version += 1;
        self.blocks_since = 0;
        self.earlier = self.recent.drain().collect();
        let coins = CoinSet::new(self.coins.iter().map(|outpoint| self.published.hasher.of(outpoint)).collect());
        *lock::write(&self.published.latest) = Arc::new(CoinEdition { version: self.version, coins });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outpoint(n: u32) -> OutPoint {
        OutPoint { vout: n, ..OutPoint::null() }
    }

    #[test]
    fn a_block_is_searched_for_every_coin_although_its_publication_is_stale() {
        let mut live: LiveCoins = (0..4).map(outpoint).collect();
        let published = Arc::clone(live.published());
        let mut searched = Vec::new();
        for height in 0..6 * u32::try_from(READ_AHEAD).unwrap() {
            // A block is searched now, and applied after as many others as are read ahead.
            searched.push(published.latest());
            for n in 0..3 {
                live.insert(outpoint(4 + 3 * height + n));
            }
            let applied = searched[searched.len().saturating_sub(READ_AHEAD)].as_ref();
            let missed = live.missed_by(applied.version);
            for coin in live.iter() {
                let fingerprint = published.hasher.of(coin);
                assert!(applied.coins.contains(fingerprint) || missed.contains(&fingerprint), "{coin} at {height}");
            }
            live.end_block();
        }
        assert!(published.latest().version > 2, "coins were published again while blocks were in flight");
    }
}
