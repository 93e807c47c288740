//! BIP158 basic filters: does a block involve any of these scripts? A yes may be a false positive. A no is certain if the filter is
//! the right one, which `node::filters` proves by its filter header (BIP157).
//!
//! A filter is a Golomb-Rice coded set: N values in `0..N × M`, ascending, each written as its distance from the one before
//! (decoded in `golomb`).

use bitcoin::BlockHash;
use fearless_simd::{Level, dispatch};

use super::golomb::{BitReader, LEAST};
use super::needles::Needles;

/// BIP158's parameter M: one lookup in M is a false positive.
const M: u64 = 784_931;
/// Above every number of values: BIP158 has N in 32 bits.
const MOST_VALUES: u64 = 1 << 32;
/// Up to this number of needles, they are sorted and merged with the filter's values; above, each is looked up among the values. At
/// some 100 both take equally long (measured, `benches/kernels.rs`).
const FEW: usize = 100;
/// Bits of the map for each value: about one needle in 16 that isn't in the filter has to be searched for.
const MAP_BITS: usize = 16;

/// Why bytes are not a filter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GcsError {
    /// N is missing, or too large for BIP158.
    #[error("the filter does not say how many values it has")]
    NoCount,
    /// The data end before N values.
    #[error("the filter claims {claimed} values, and its {bytes} bytes end before them")]
    Short {
        /// N, as the filter states it.
        claimed: u64,
        /// Bytes behind N.
        bytes: usize,
    },
    /// Bytes are left over behind the last value.
    #[error("the filter has {0} bytes too many")]
    Long(usize),
    /// A value is not below N × M.
    #[error("the filter has a value out of its range")]
    Range,
}

/// One block's filter, not yet decoded.
#[derive(Clone, Copy, Debug)]
pub struct Filter<'a> {
    len: usize,
    data: &'a [u8],
}

impl<'a> Filter<'a> {
    /// Reads N; the values are decoded when they are needed.
    ///
    /// # Errors
    /// [`GcsError`] if N is missing or too large, if the data are too short for N values, or if data follow an N of 0.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, GcsError> {
        let (claimed, data) = compact_size(bytes).filter(|(count, _)| *count < MOST_VALUES).ok_or(GcsError::NoCount)?;
        let short = GcsError::Short { claimed, bytes: data.len() };
        let len = usize::try_from(claimed).map_err(|_| short)?;
        if len > data.len() * 8 / LEAST as usize {
            return Err(short);
        }
        if len == 0 && !data.is_empty() {
            return Err(GcsError::Long(data.len()));
        }
        Ok(Self { len, data })
    }

    /// N, the number of values: at most one for each script of the block.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether N is 0.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// N × M: all values are below it.
    fn range(&self) -> u64 {
        self.len as u64 * M
    }

    /// Passes the values to `each`, ascending, until it returns true; returns whether it did. Inlined, so that it is compiled for the
    /// instructions that `dispatch!` chooses.
    #[inline(always)]
    fn visit(&self, mut each: impl FnMut(u64) -> bool) -> Result<bool, GcsError> {
        let mut bits = BitReader { data: self.data, at: 0 };
        let (mut left, mut value) = (self.len, 0);
        while left > 0 {
            // Two values a step as long as whole words can be read, which is nearly always.
            let mut ahead = bits.ahead();
            while left >= 2
                && let Some([first, second]) = ahead.two_distances()
            {
                left -= 2;
                let before = value + first;
                value = before + second;
                if each(before) || each(value) {
                    return Ok(true);
                }
            }
            bits.at = ahead.at();
            if left > 0 {
                left -= 1;
                value += bits.distance().ok_or(self.short())?;
                if each(value) {
                    return Ok(true);
                }
            }
        }
        match self.data.len().saturating_sub(bits.at.div_ceil(8)) {
            0 => Ok(false),
            more => Err(GcsError::Long(more)),
        }
    }

    fn short(&self) -> GcsError {
        GcsError::Short { claimed: self.len as u64, bytes: self.data.len() }
    }
}

/// Matches filters against scripts. Reuses its memory from one filter to the next; each thread has its own.
pub struct Matcher {
    /// Hashes of the needles.
    hashes: Vec<u64>,
    /// Values of the filter.
    values: Vec<u64>,
    /// One bit for each range of values.
    map: Vec<u64>,
    /// The SIMD instructions that this processor has.
    level: Level,
}

impl Default for Matcher {
    fn default() -> Self {
        Self { hashes: Vec::new(), values: Vec::new(), map: Vec::new(), level: Level::new() }
    }
}

impl Matcher {
    /// Whether the filter `bytes` of block `block` has one of `needles`. For a script that isn't in the block this is true with a
    /// probability of 1/784,931. Scripts that filters leave out ([`Needles::left_out`]) don't count.
    ///
    /// # Errors
    /// [`GcsError`] if the bytes are no filter. Bytes behind the value that decides are not checked.
    pub fn matches(&mut self, bytes: &[u8], block: BlockHash, needles: &Needles) -> Result<bool, GcsError> {
        let filter = Filter::parse(bytes)?;
        if filter.is_empty() || needles.is_empty() {
            return Ok(false);
        }
        if needles.len() <= FEW { self.by_order(filter, block, needles) } else { self.by_map(filter, block, needles) }
    }

    /// For few needles: sorts their hashes and merges them with the filter's values, up to the highest hash.
    fn by_order(&mut self, filter: Filter<'_>, block: BlockHash, needles: &Needles) -> Result<bool, GcsError> {
        let Self { hashes, level, .. } = self;
        hashes.clear();
        needles.hash_to_range(block, filter.range(), |some| {
            hashes.extend_from_slice(some);
            false
        });
        hashes.sort_unstable();
        // Above every value: ends the walk.
        hashes.push(u64::MAX);
        dispatch!(*level, _ => has_any(filter, hashes))
    }

    /// For many needles: decodes the filter's values and marks each on a map that fits in the processor's cache. Then, needle by needle
    /// and unsorted, searches only for a hash whose mark is set.
    fn by_map(&mut self, filter: Filter<'_>, block: BlockHash, needles: &Needles) -> Result<bool, GcsError> {
        let Self { values, map, level, .. } = self;
        let bits = (filter.len() * MAP_BITS).next_power_of_two().max(64);
        let shift = (u64::BITS - filter.range().leading_zeros()).saturating_sub(bits.trailing_zeros());
        map.clear();
        map.resize(bits / 64, 0);
        values.clear();
        dispatch!(*level, _ => decode(filter, shift, values, map))?;
        Ok(needles.hash_to_range(block, filter.range(), |some| {
            some.iter().any(|hash| {
                let (word, bit) = position_on_map(*hash, shift);
                map[word] & bit != 0 && values.binary_search(hash).is_ok()
            })
        }))
    }
}

/// Whether a value of `filter` is among `hashes`, which are ascending and end with [`u64::MAX`].
#[inline(always)]
fn has_any(filter: Filter<'_>, hashes: &[u64]) -> Result<bool, GcsError> {
    let mut hashes = hashes.iter().copied();
    let mut next = hashes.next().unwrap_or(u64::MAX);
    let mut found = false;
    filter.visit(|value| {
        while next < value {
            next = hashes.next().unwrap_or(u64::MAX);
        }
        found = next == value;
        found || next == u64::MAX
    })?;
    Ok(found)
}

/// Decodes all values of `filter` into `values`, and marks each on `map`.
#[inline(always)]
fn decode(filter: Filter<'_>, shift: u32, values: &mut Vec<u64>, map: &mut [u64]) -> Result<(), GcsError> {
    let beyond = filter.visit(|value| {
        let (word, bit) = position_on_map(value, shift);
        let Some(word) = map.get_mut(word) else { return true };
        *word |= bit;
        values.push(value);
        false
    })?;
    if beyond { Err(GcsError::Range) } else { Ok(()) }
}

/// The word of the map and the bit in it that stand for a value.
#[inline(always)]
fn position_on_map(value: u64, shift: u32) -> (usize, u64) {
    let bit = value >> shift;
    (usize::try_from(bit / 64).unwrap_or(usize::MAX), 1 << (bit % 64))
}

/// Splits off a number in the Bitcoin protocol's compact size encoding.
#[expect(clippy::little_endian_bytes, reason = "the order of the protocol")]
fn compact_size(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let (first, rest) = bytes.split_first()?;
    let width = match first {
        0xfd => 2,
        0xfe => 4,
        0xff => 8,
        small => return Some((u64::from(*small), rest)),
    };
    let (number, rest) = rest.split_at_checked(width)?;
    let mut wide = [0; 8];
    wide[..width].copy_from_slice(number);
    Some((u64::from_le_bytes(wide), rest))
}

#[cfg(test)]
mod tests;
