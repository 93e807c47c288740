//! Reads Golomb-Rice coded distances (BIP158): the quotient in unary (ones, then a zero), then the lower [`P`] bits.
//!
//! There are two readers. [`WordReader`] reads two distances a step, from whole words, if both are short. [`BitReader`] reads any
//! distance, one at a time, and checks for the end of the data.

/// Bits of a distance that are not in unary (BIP158's parameter P).
const P: u32 = 19;
/// The fewest bits that a distance takes.
pub(super) const LEAST: u32 = P + 1;

/// Reads bits, the highest of a byte first.
pub(super) struct BitReader<'a> {
    pub(super) data: &'a [u8],
    /// Bits read so far.
    pub(super) at: usize,
}

impl<'a> BitReader<'a> {
    /// Reads the next distance, however long; `None` if the data end before it does.
    pub(super) fn distance(&mut self) -> Option<u64> {
        let end = self.data.len() * 8;
        let mut upper = 0;
        loop {
            let (word, valid) = self.word();
            let ones = word.leading_ones().min(valid);
            upper += u64::from(ones);
            self.at += ones as usize;
            if self.at >= end {
                return None;
            }
            if ones < valid {
                break;
            }
        }
        self.at += 1;
        let lower = self.word().0 >> (u64::BITS - P);
        self.at += P as usize;
        (self.at <= end).then_some((upper << P) + lower)
    }

    /// The faster reader, from the same position on.
    pub(super) fn ahead(&self) -> WordReader<'a> {
        let (word, valid) = self.word();
        // The last byte of the word is read again, so that `bits` is below 64.
        WordReader { data: self.data, word, bits: valid - 8, next: self.at / 8 + 7 }
    }

    /// The next bits at the top of a word, and their number: at least 57. Zeros follow the end of the data.
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

/// Reads from whole words.
pub(super) struct WordReader<'a> {
    data: &'a [u8],
    /// The next bits of the data, at the top. The bits below those that `bits` counts are zeros or data too.
    word: u64,
    /// How many bits of `word` count as read; below 64.
    bits: u32,
    /// Offset of the byte that follows those bits.
    next: usize,
}

impl WordReader<'_> {
    /// Reads the next two distances. Returns `None`, and reads nothing, within eight bytes of the end or if the two don't fit in one
    /// word.
    #[inline(always)]
    pub(super) fn two_distances(&mut self) -> Option<[u64; 2]> {
        let more = u64::from_be_bytes(*self.data.get(self.next..)?.first_chunk()?);
        // Counts the whole bytes that fit. Some bits of one more are written too; the next step writes the same bits there again.
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

    /// Bits read so far, from the beginning of the data.
    pub(super) fn at(&self) -> usize {
        self.next * 8 - self.bits as usize
    }
}

/// The distance at the top of `word`: `ones` ones, a zero, and the lower bits.
#[inline(always)]
fn distance(word: u64, ones: u32) -> u64 {
    (u64::from(ones) << P) + ((word << ones << 1) >> (u64::BITS - P))
}
