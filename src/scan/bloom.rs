//! A Bloom filter in front of a large set: one word of memory settles nearly every lookup of what isn't in the set.
//!
//! Each member sets four bits of one word (a blocked Bloom filter; Putze, Sanders and Singler, 2007). The loads of many lookups don't
//! depend on each other, so a processor waits for several at once instead of one after the other.

/// Bits for each member. With 12, about one in 100 hashes that aren't members passes.
const BITS_EACH: usize = 12;

/// A Bloom filter over keyed 64-bit hashes.
#[derive(Default)]
pub struct Bloom {
    words: Vec<u64>,
}

impl Bloom {
    /// An empty filter with room for `members` hashes.
    pub fn new(members: usize) -> Self {
        Self { words: vec![0; members.saturating_mul(BITS_EACH).div_ceil(64)] }
    }

    /// Adds a hash.
    pub fn insert(&mut self, hash: u64) {
        let at = self.word_of(hash);
        if let Some(word) = self.words.get_mut(at) {
            *word |= bits(hash);
        }
    }

    /// Whether `hash` may have been inserted; `false` is certain.
    #[inline]
    pub fn may_hold(&self, hash: u64) -> bool {
        let bits = bits(hash);
        self.words.get(self.word_of(hash)).is_some_and(|word| word & bits == bits)
    }

    /// Memory held, in bytes.
    #[cfg(feature = "testing")]
    pub fn bytes(&self) -> usize {
        self.words.capacity() * size_of::<u64>()
    }

    /// Maps the upper half of the hash evenly onto the words.
    #[inline]
    fn word_of(&self, hash: u64) -> usize {
        let words = self.words.len() as u64;
        usize::try_from(((hash >> 32) * words) >> 32).unwrap_or(usize::MAX)
    }
}

/// Four bits of a word, chosen by the lower half of the hash.
#[inline]
fn bits(hash: u64) -> u64 {
    (1 << (hash & 63)) | (1 << (hash >> 6 & 63)) | (1 << (hash >> 12 & 63)) | (1 << (hash >> 18 & 63))
}

#[cfg(test)]
mod tests {
    use std::hash::BuildHasher;

    use foldhash::quality::RandomState;

    use super::*;

    #[test]
    fn every_member_is_held_and_few_others_are() {
        let hasher = RandomState::default();
        for members in [1_u64, 2, 100, 10_000, 300_000] {
            let mut bloom = Bloom::new(usize::try_from(members).unwrap());
            (0..members).for_each(|n| bloom.insert(hasher.hash_one(n)));
            assert!((0..members).all(|n| bloom.may_hold(hasher.hash_one(n))), "{members}");
            if members >= 10_000 {
                let others = 100_000;
                let passed = (members..members + others).filter(|n| bloom.may_hold(hasher.hash_one(*n))).count();
                assert!(passed < 1500, "{passed} of {others} others pass among {members}");
            }
        }
    }

    #[test]
    fn an_empty_filter_holds_nothing() {
        let mut bloom = Bloom::new(0);
        bloom.insert(7);
        assert!(!bloom.may_hold(7) && !Bloom::default().may_hold(0));
    }
}
