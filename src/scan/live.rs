//! Fingerprints of outpoints: 64 keyed bits that tell a block's inputs from the coins looked for. A match is a candidate only.

use std::collections::HashSet;
use std::hash::{BuildHasher, BuildHasherDefault, Hasher};

use bitcoin::OutPoint;
use foldhash::quality::RandomState;

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

/// A set of fingerprints.
pub type Fingerprints = HashSet<u64, BuildHasherDefault<Identity>>;
