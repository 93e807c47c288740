//! Distances in Golomb-Rice code, as BIP158 has them: the upper part in unary (ones, then a zero), then the lower [`P`] bits.
//!
//! Read two ways: [`Ahead`] does it two distances a step, from whole words and for short ones only; [`Bits`] does any, one by one,
//! and looks where the data end.

/// Bits of a distance that are not in unary.
const P: u32 = 19;
/// Bits that a distance takes at least.
pub(super) const LEAST: u32 = P + 1;

/// Bits to read, the first of a byte being its highest.
pub(super) struct Bits<'a> {
    /// The bytes they are in.
    pub(super) data: &'a [u8],
    /// How many have been read.
    pub(super) at: usize,
}

impl<'a> Bits<'a> {
    /// The next distance, however long; `None` where the data end before it does.
    pub(super) fn distance(&mut self) -> Option<u64> {
        let end = self.data.len() * 8;
        let mut upper = 0;
        loop {
            let (word, sure) = self.word();
            let ones = word.leading_ones().min(sure);
            upper += u64::from(ones);
            self.at += ones as usize;
            if self.at >= end {
                return None;
            }
            if ones < sure {
                break;
            }
        }
        self.at += 1;
        let lower = self.word().0 >> (u64::BITS - P);
        self.at += P as usize;
        (self.at <= end).then_some((upper << P) + lower)
    }

    /// Goes on from here, faster.
    pub(super) fn ahead(&self) -> Ahead<'a> {
        let (word, sure) = self.word();
        // One byte of the word is read again, so that it never holds all 64 bits.
        Ahead { data: self.data, word, bits: sure - 8, next: self.at / 8 + 7 }
    }

    /// The next bits at the top of a word, and how many: 57 at least. Behind the end there are zeros.
    fn word(&self) -> (u64, u32) {
        let rest = self.data.get(self.at / 8..).unwrap_or_default();
        let bytes = rest.first_chunk().copied().unwrap_or_else(|| {
            let mut bytes = [0; 8];
            bytes[..rest.len()].copy_from_slice(rest);
            bytes
        });
        let past = u32::try_from(self.at % 8).expect("a remainder of 8 is small");
        (u64::from_be_bytes(bytes) << past, u64::BITS - past)
    }
}

/// Reads ahead, whole words at a time.
pub(super) struct Ahead<'a> {
    data: &'a [u8],
    /// Bits that were read and not used, at the top; below them there may be more of the same.
    word: u64,
    /// How many are at the top: below 64.
    bits: u32,
    /// The byte that comes after those bits.
    next: usize,
}

impl Ahead<'_> {
    /// The next two distances; `None`, and nothing used, near the end of the data and where they are too long for one word.
    #[inline(always)]
    pub(super) fn two_distances(&mut self) -> Option<[u64; 2]> {
        let more = u64::from_be_bytes(*self.data.get(self.next..)?.first_chunk()?);
        // As many whole bytes as there is room for; of one more, some bits come along, and come again next time.
        self.word |= more >> self.bits;
        self.next += ((u64::BITS - 1 - self.bits) / 8) as usize;
        self.bits |= 56;

        let first = self.word.leading_ones();
        let rest = self.word.unbounded_shl(first + LEAST);
        let second = rest.leading_ones();
        let used = first + second + 2 * LEAST;
        if used > self.bits {
            return None;
        }
        let two = [distance(self.word, first), distance(rest, second)];
        self.word = rest << (second + LEAST);
        self.bits -= used;
        Some(two)
    }

    /// How many bits have been used, since the data's beginning.
    pub(super) fn at(&self) -> usize {
        self.next * 8 - self.bits as usize
    }
}

/// The distance at the top of `word`: so many ones, a zero, its lower bits.
#[inline(always)]
fn distance(word: u64, ones: u32) -> u64 {
    (u64::from(ones) << P) + ((word << ones << 1) >> (u64::BITS - P))
}
