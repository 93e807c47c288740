//! The indexes at which a descriptor with a wildcard is derived.

use std::str::FromStr;

use super::reason::Reason;

/// Most scripts that one text may stand for.
pub const LIMIT: u64 = 1_000_000;

/// Indexes of a ranged descriptor, both ends included, below 2^31.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    start: u32,
    end: u32,
}

impl Range {
    /// What a descriptor without a wildcard is derived at.
    pub const ONE: Self = Self { start: 0, end: 0 };

    /// From `start` to `end`, both included.
    ///
    /// # Errors
    /// [`Reason::BadRange`] if `start` is above `end`, or `end` is no unhardened index (BIP32: below 2^31).
    pub fn new(start: u32, end: u32) -> Result<Self, Reason> {
        if start > end || end >= 1 << 31 { Err(Reason::BadRange) } else { Ok(Self { start, end }) }
    }

    /// First index.
    pub fn start(self) -> u32 {
        self.start
    }

    /// Last index.
    pub fn end(self) -> u32 {
        self.end
    }

    /// How many indexes.
    pub fn count(self) -> u64 {
        u64::from(self.end) - u64::from(self.start) + 1
    }
}

impl FromStr for Range {
    type Err = Reason;

    fn from_str(text: &str) -> Result<Self, Reason> {
        let (start, end) = text.split_once('-').ok_or(Reason::BadRange)?;
        let number = |text: &str| match text.trim() {
            digits if digits.bytes().all(|byte| byte.is_ascii_digit()) => digits.parse().map_err(|_| Reason::BadRange),
            _ => Err(Reason::BadRange),
        };
        Self::new(number(start)?, number(end)?)
    }
}
