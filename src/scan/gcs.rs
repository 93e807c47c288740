//! BIP158 basic filters: may a block matter to these scripts? A yes may be wrong, a no never is, if the filter is the right one:
//! that is proven elsewhere, by its header (`node::filters`).
//!
//! A filter is a Golomb-Rice coded set: some number of values in `0..number × M`, ascending, each written as its distance from
//! the one before (how, is in `golomb`).

use bitcoin::BlockHash;
use fearless_simd::{Level, dispatch};

use super::golomb::{Bits, LEAST};
use super::needles::Needles;

/// One false match in so many.
const M: u64 = 784_931;
/// BIP158 has the number of values in 32 bits.
const MOST_VALUES: u64 = 1 << 32;
/// Up to so many needles are sorted; more are looked up, one by one, among the values. Both take as long at some 100.
const FEW: usize = 100;
/// Bits of the map for each value: one in so many needles that aren't there has to be searched for.
const MAP_BITS: usize = 16;

/// What is wrong with a filter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GcsError {
    /// Its number of values can't be read, or can't be.
    #[error("the filter does not say how many values it has")]
    NoCount,
    /// It claims more values than it holds.
    #[error("the filter claims {claimed} values, and its {bytes} bytes end before them")]
    Short {
        /// Its claim.
        claimed: u64,
        /// Its bytes, without that number.
        bytes: usize,
    },
    /// Bytes are left when all values are read.
    #[error("the filter has {0} bytes too many")]
    Long(usize),
    /// A value is beyond the range that its number of values gives.
    #[error("the filter has a value out of its range")]
    Range,
}

/// One block's filter, as its bytes have it.
#[derive(Clone, Copy, Debug)]
pub struct Filter<'a> {
    len: usize,
    data: &'a [u8],
}

impl<'a> Filter<'a> {
    /// Reads the number of values; the values themselves are read when they are needed.
    ///
    /// # Errors
    /// [`GcsError`], where that number can't be, or is none and bytes follow, or the bytes can't hold so many.
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

    /// How many values it has: at most one for each script of the block.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// What its values lie below.
    fn range(&self) -> u64 {
        self.len as u64 * M
    }

    /// Hands over its values, ascending, until `each` says to stop; returns whether it did. What calls it says for which
    /// processors it is compiled.
    #[inline(always)]
    fn visit(&self, mut each: impl FnMut(u64) -> bool) -> Result<bool, GcsError> {
        let mut bits = Bits { data: self.data, at: 0 };
        let (mut left, mut value) = (self.len, 0);
        while left > 0 {
            // Two values a step while whole words are there to read from: nearly always.
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

/// Finds out which filters have any of some scripts. Keeps its memory from one filter to the next: one for each thread.
pub struct Matcher {
    places: Vec<u64>,
    values: Vec<u64>,
    map: Vec<u64>,
    /// What this processor can do.
    level: Level,
}

impl Default for Matcher {
    fn default() -> Self {
        Self { places: Vec::new(), values: Vec::new(), map: Vec::new(), level: Level::new() }
    }
}

impl Matcher {
    /// Whether the filter `bytes`, of block `block`, has one of `needles`, or seems to: a script that it lacks is taken for one
    /// that it has in one of 784,931 filters. Says nothing of scripts that filters leave out ([`Needles::left_out`]).
    ///
    /// # Errors
    /// [`GcsError`], where the bytes are no filter. Bytes behind those that decide are not looked at.
    pub fn matches(&mut self, bytes: &[u8], block: BlockHash, needles: &Needles) -> Result<bool, GcsError> {
        let filter = Filter::parse(bytes)?;
        if filter.is_empty() || needles.is_empty() {
            return Ok(false);
        }
        if needles.len() <= FEW { self.by_order(filter, block, needles) } else { self.by_map(filter, block, needles) }
    }

    /// For few needles: both sides in ascending order, side by side, no further than the last needle.
    fn by_order(&mut self, filter: Filter<'_>, block: BlockHash, needles: &Needles) -> Result<bool, GcsError> {
        let Self { places, level, .. } = self;
        places.clear();
        needles.places(block, filter.range(), |some| {
            places.extend_from_slice(some);
            false
        });
        places.sort_unstable();
        // Above every value: ends the walk, and is no place.
        places.push(u64::MAX);
        dispatch!(*level, _ => meets(filter, places))
    }

    /// For many needles: the filter's values once, each marked on a map that fits the processor's cache; then needle by needle,
    /// unsorted, and a search only for those whose mark is there.
    fn by_map(&mut self, filter: Filter<'_>, block: BlockHash, needles: &Needles) -> Result<bool, GcsError> {
        let Self { values, map, level, .. } = self;
        let bits = (filter.len() * MAP_BITS).next_power_of_two().max(64);
        let shift = (u64::BITS - filter.range().leading_zeros()).saturating_sub(bits.trailing_zeros());
        map.clear();
        map.resize(bits / 64, 0);
        values.clear();
        dispatch!(*level, _ => draw(filter, shift, values, map))?;
        let drawn = |place: &u64| {
            let (word, bit) = on_map(*place, shift);
            map[word] & bit != 0 && values.binary_search(place).is_ok()
        };
        Ok(needles.places(block, filter.range(), |some| some.iter().any(drawn)))
    }
}

/// Whether a value of `filter` is among `places`: ascending, the last of them [`u64::MAX`].
#[inline(always)]
fn meets(filter: Filter<'_>, places: &[u64]) -> Result<bool, GcsError> {
    let mut places = places.iter().copied();
    let mut next = places.next().unwrap_or(u64::MAX);
    let mut met = false;
    filter.visit(|value| {
        while next < value {
            next = places.next().unwrap_or(u64::MAX);
        }
        met = next == value;
        met || next == u64::MAX
    })?;
    Ok(met)
}

/// Reads all values of `filter` into `values`, and marks each on `map`.
#[inline(always)]
fn draw(filter: Filter<'_>, shift: u32, values: &mut Vec<u64>, map: &mut [u64]) -> Result<(), GcsError> {
    let beyond = filter.visit(|value| {
        let (word, bit) = on_map(value, shift);
        let Some(word) = map.get_mut(word) else { return true };
        *word |= bit;
        values.push(value);
        false
    })?;
    if beyond { Err(GcsError::Range) } else { Ok(()) }
}

/// Where a value is marked: the map's word, and the bit in it.
#[inline(always)]
fn on_map(value: u64, shift: u32) -> (usize, u64) {
    let bit = value >> shift;
    (usize::try_from(bit / 64).unwrap_or(usize::MAX), 1 << (bit % 64))
}

/// A count as the Bitcoin protocol writes it, and what follows it.
#[expect(clippy::little_endian_bytes, reason = "the protocol's order")]
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
