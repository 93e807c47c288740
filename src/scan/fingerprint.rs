//! Fingerprints of outpoints: keyed 64-bit hashes by which a block's inputs are compared with the live coins. As two outpoints can
//! have one fingerprint, a match only makes a candidate.

use std::collections::HashSet;
use std::hash::{BuildHasher, BuildHasherDefault, Hasher};

use bitcoin::OutPoint;
use foldhash::quality::RandomState;

use super::bloom::Bloom;

/// Computes fingerprints, with a new random key in each process, so that outpoints can't be ground to collide.
#[derive(Clone, Default)]
pub struct OutPointHasher(RandomState);

impl OutPointHasher {
    /// The fingerprint of an outpoint in consensus encoding (36 bytes).
    pub fn of_bytes(&self, outpoint: &[u8]) -> u64 {
        self.0.hash_one(outpoint)
    }

    /// The fingerprint of `outpoint`.
    pub fn of(&self, outpoint: &OutPoint) -> u64 {
        self.of_bytes(&bitcoin::consensus::serialize(outpoint))
    }
}

/// A hasher that returns the fingerprint it is given, which is a hash already.
#[derive(Default)]
pub struct NoHash(u64);

impl Hasher for NoHash {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u64(&mut self, fingerprint: u64) {
        self.0 = fingerprint;
    }
}

/// A set of fingerprints that can grow and shrink.
pub type Fingerprints = HashSet<u64, BuildHasherDefault<NoHash>>;

/// An immutable set of coins by their fingerprints: compact, and quick to say no however large it is.
#[derive(Default)]
pub struct CoinSet {
    sorted: Vec<u64>,
    bloom: Bloom,
}

impl CoinSet {
    /// The set of `fingerprints`, given in any order.
    pub fn new(mut fingerprints: Vec<u64>) -> Self {
        fingerprints.sort_unstable();
        let mut bloom = Bloom::new(fingerprints.len());
        fingerprints.iter().for_each(|fingerprint| bloom.insert(*fingerprint));
        Self { sorted: fingerprints, bloom }
    }

    /// Whether a coin of the set has this fingerprint.
    #[inline]
    pub fn contains(&self, fingerprint: u64) -> bool {
        self.bloom.may_hold(fingerprint) && self.sorted.binary_search(&fingerprint).is_ok()
    }

    /// The number of fingerprints.
    pub fn len(&self) -> usize {
        self.sorted.len()
    }

    /// Whether the set is empty.
    #[cfg(feature = "testing")]
    pub fn is_empty(&self) -> bool {
        self.sorted.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_set_holds_its_coins_and_no_others() {
        let hasher = OutPointHasher::default();
        let outpoint = |vout| OutPoint { vout, ..OutPoint::null() };
        for count in [0_u32, 1, 3, 5000] {
            let coins = CoinSet::new((0..count).rev().map(|n| hasher.of(&outpoint(n * 2))).collect());
            assert_eq!((coins.len(), coins.is_empty()), (count as usize, count == 0));
            assert!(
                (0..count * 2 + 100)
                    .all(|n| { coins.contains(hasher.of(&outpoint(n))) == (n % 2 == 0 && n < count * 2) })
            );
        }
    }
}
