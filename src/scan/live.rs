//! Fingerprints of outpoints: 64 keyed bits that tell a block's inputs from the coins looked for. A match is a candidate only.

use std::collections::HashSet;
use std::hash::{BuildHasher, BuildHasherDefault, Hasher};

use bitcoin::OutPoint;
use foldhash::quality::RandomState;

use super::bloom::Bloom;

/// Makes fingerprints; keyed anew in each process, so that nobody can grind outpoints that collide.
#[derive(Clone, Default)]
pub struct OutPointHasher(RandomState);

impl OutPointHasher {
    /// The fingerprint of an outpoint in consensus encoding, 36 bytes.
    pub fn of_bytes(&self, outpoint: &[u8]) -> u64 {
        self.0.hash_one(outpoint)
    }

    /// The same, of a typed outpoint.
    pub fn of(&self, outpoint: &OutPoint) -> u64 {
        self.of_bytes(&bitcoin::consensus::serialize(outpoint))
    }
}

/// Passes a fingerprint through: it is a hash already.
#[derive(Default)]
pub struct Identity(u64);

impl Hasher for Identity {
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

/// A set of fingerprints that grows and shrinks.
pub type Fingerprints = HashSet<u64, BuildHasherDefault<Identity>>;

/// A set of fingerprints that stays as it is: quick to miss, however large, and compact.
#[derive(Default)]
pub struct Coins {
    sorted: Vec<u64>,
    bloom: Bloom,
}

impl Coins {
    /// Of these, in any order.
    pub fn new(mut fingerprints: Vec<u64>) -> Self {
        fingerprints.sort_unstable();
        let mut bloom = Bloom::new(fingerprints.len());
        fingerprints.iter().for_each(|fingerprint| bloom.insert(*fingerprint));
        Self { sorted: fingerprints, bloom }
    }

    /// Whether a fingerprint is among them.
    #[inline]
    pub fn contains(&self, fingerprint: u64) -> bool {
        self.bloom.may_hold(fingerprint) && self.sorted.binary_search(&fingerprint).is_ok()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.sorted.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.sorted.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn coins_are_told_from_others() {
        let hasher = OutPointHasher::default();
        let outpoint = |vout| OutPoint { vout, ..OutPoint::null() };
        for count in [0_u32, 1, 3, 5000] {
            let coins = Coins::new((0..count).rev().map(|n| hasher.of(&outpoint(n * 2))).collect());
            assert_eq!((coins.len(), coins.is_empty()), (count as usize, count == 0));
            assert!(
                (0..count * 2 + 100)
                    .all(|n| { coins.contains(hasher.of(&outpoint(n))) == (n % 2 == 0 && n < count * 2) })
            );
        }
    }
}
