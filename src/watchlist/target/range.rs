//! The indexes at which a descriptor with a wildcard is derived.

use std::str::FromStr;

use super::refusal::Refusal;

/// The most scripts that one text may stand for.
pub const LIMIT: u64 = 1_000_000;

/// Indexes from `start` to `end`, both included, below 2^31.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    start: u32,
    end: u32,
}

impl Range {
    /// The one index at which a descriptor without a wildcard is derived.
    pub const ONE: Self = Self { start: 0, end: 0 };

    /// From `start` to `end`, both included.
    ///
    /// # Errors
    /// [`Refusal::BadRange`] if `start` is above `end`, or `end` is not below 2^31, where hardened indexes begin (BIP32).
    pub fn new(start: u32, end: u32) -> Result<Self, Refusal> {
        if start > end || end >= 1 << 31 { Err(Refusal::BadRange) } else { Ok(Self { start, end }) }
    }

    pub(super) fn start(self) -> u32 {
        self.start
    }

    pub(super) fn end(self) -> u32 {
        self.end
    }

    /// The number of indexes.
    pub(super) fn count(self) -> u64 {
        u64::from(self.end) - u64::from(self.start) + 1
    }
}

impl FromStr for Range {
    type Err = Refusal;

    /// Parses `A-B`.
    fn from_str(text: &str) -> Result<Self, Refusal> {
        let (start, end) = text.split_once('-').ok_or(Refusal::BadRange)?;
        Self::new(parse_index(start)?, parse_index(end)?)
    }
}

fn parse_index(text: &str) -> Result<u32, Refusal> {
    match text.trim() {
        digits if digits.bytes().all(|byte| byte.is_ascii_digit()) => digits.parse().map_err(|_| Refusal::BadRange),
        _ => Err(Refusal::BadRange),
    }
}
