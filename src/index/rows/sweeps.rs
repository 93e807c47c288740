//! Rows of `sweeps`: how far each sweep has come, and which have become one.
//!
//! The main sweep stands at the tip. A change of lists or parameters starts another sweep below it, which goes up over the records that
//! the index has and the blocks that it needs. Where it meets the next sweep, the two are one from there on, and its row only says so.

use std::collections::BTreeMap;

use super::bytes::{Cursor, Malformed};
use super::row::IndexRow;
use crate::chain::Height;
use crate::index::schema::Family;

/// The id of the main sweep.
pub const MAIN_SWEEP: u32 = 0;

const MAIN: u8 = 0;
const SIDE: u8 = 1;
const JOINED: u8 = 2;

/// How far a sweep has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sweep {
    /// The sweep that follows the tip.
    Main {
        /// The next height to sweep.
        next: Height,
    },
    /// A sweep below it.
    Side {
        /// The next height to sweep.
        next: Height,
        /// The height from which it reads blocks for the sake of coins alone: of some coin that is followed now, and was not before,
        /// the spend has to be found. `None` where only its entries need blocks.
        blocks_from: Option<Height>,
    },
    /// A sweep that met another one.
    Joined {
        /// The other's id.
        into: u32,
    },
}

impl IndexRow for Sweep {
    const FAMILY: Family = Family::Sweeps;
    /// The sweep's id.
    type Key = u32;

    fn value(&self) -> Vec<u8> {
        let (number, kind) = match *self {
            Self::Main { next } => (next, MAIN),
            Self::Side { next, .. } => (next, SIDE),
            Self::Joined { into } => (into, JOINED),
        };
        let mut row = number.to_be_bytes().to_vec();
        row.push(kind);
        if let Self::Side { blocks_from, .. } = self {
            row.extend_from_slice(&blocks_from.unwrap_or(Height::MAX).to_be_bytes());
        }
        row
    }

    fn from_value(value: &[u8]) -> Result<Self, Malformed> {
        let mut cursor = Cursor::new(value);
        let number = cursor.u32()?;
        let sweep = match cursor.u8()? {
            MAIN => Self::Main { next: number },
            SIDE => {
                let blocks_from = Some(cursor.u32()?).filter(|height| *height != Height::MAX);
                Self::Side { next: number, blocks_from }
            }
            JOINED => Self::Joined { into: number },
            _ => return Err(Malformed),
        };
        cursor.end(sweep)
    }
}

/// A sweep below the main one, with its id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SideSweep {
    /// The key of its row.
    pub id: u32,
    /// The next height to sweep.
    pub next: Height,
    /// The height from which it reads blocks for the sake of coins alone, as in [`Sweep::Side`].
    pub blocks_from: Option<Height>,
}

impl SideSweep {
    /// Its row.
    pub fn row(self) -> Sweep {
        Sweep::Side { next: self.next, blocks_from: self.blocks_from }
    }
}

/// All sweeps of an index, by id.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sweeps(BTreeMap<u32, Sweep>);

impl FromIterator<(u32, Sweep)> for Sweeps {
    fn from_iter<T: IntoIterator<Item = (u32, Sweep)>>(rows: T) -> Self {
        Self(rows.into_iter().collect())
    }
}

impl Sweeps {
    /// The id of the sweep that sweep `id` is part of now: its own, unless it has joined another one.
    pub fn resolve(&self, id: u32) -> u32 {
        let mut at = id;
        // Bounded, since damaged rows could name each other in a ring.
        for _ in 0..self.0.len() {
            match self.0.get(&at) {
                Some(Sweep::Joined { into }) => at = *into,
                _ => break,
            }
        }
        at
    }

    /// The next height of a sweep, or of the one it is part of.
    pub fn next(&self, id: u32) -> Height {
        match self.0.get(&self.resolve(id)) {
            Some(Sweep::Main { next } | Sweep::Side { next, .. }) => *next,
            // Of a damaged row: says that nothing is covered.
            Some(Sweep::Joined { .. }) | None => 0,
        }
    }

    /// The next height of the main sweep.
    pub fn main(&self) -> Height {
        self.next(MAIN_SWEEP)
    }

    /// The sweeps below the main one, lowest first, then by id.
    pub fn sides(&self) -> Vec<SideSweep> {
        let sides = self.iter().filter_map(|(id, sweep)| match sweep {
            Sweep::Side { next, blocks_from } => Some(SideSweep { id, next, blocks_from }),
            Sweep::Main { .. } | Sweep::Joined { .. } => None,
        });
        let mut sides: Vec<_> = sides.collect();
        sides.sort_by_key(|side| (side.next, side.id));
        sides
    }

    /// Everything below this height is settled: all sweeps have passed it.
    pub fn settled(&self) -> Height {
        self.sides().first().map_or(Height::MAX, |side| side.next).min(self.main())
    }

    /// An id that no sweep has.
    pub fn fresh(&self) -> u32 {
        self.0.keys().next_back().map_or(MAIN_SWEEP, |last| last + 1)
    }

    /// One row.
    pub fn get(&self, id: u32) -> Option<Sweep> {
        self.0.get(&id).copied()
    }

    /// All rows, by id.
    pub fn iter(&self) -> impl Iterator<Item = (u32, Sweep)> + '_ {
        self.0.iter().map(|(id, sweep)| (*id, *sweep))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_laid_out_as_the_schema_says_and_read_back() {
        for (sweep, expected) in [
            (Sweep::Main { next: 600 }, "0000025800"),
            (Sweep::Side { next: 600, blocks_from: None }, "0000025801ffffffff"),
            (Sweep::Side { next: 600, blocks_from: Some(9) }, "000002580100000009"),
            (Sweep::Joined { into: 0 }, "0000000002"),
        ] {
            assert_eq!(const_hex::encode(sweep.value()), expected);
            assert_eq!(Sweep::from_value(&sweep.value()), Ok(sweep));
        }
        for bad in ["", "00000258", "0000025803", "000002580000", "0000025801"] {
            assert_eq!(Sweep::from_value(&const_hex::decode(bad).unwrap()), Err(Malformed), "{bad}");
        }
    }

    #[test]
    fn a_joined_sweep_is_where_the_other_is() {
        let rows = [
            (0, Sweep::Main { next: 900 }),
            (1, Sweep::Joined { into: 3 }),
            (2, Sweep::Side { next: 40, blocks_from: None }),
            (3, Sweep::Joined { into: 0 }),
            (4, Sweep::Side { next: 30, blocks_from: Some(7) }),
        ];
        let sweeps = Sweeps::from_iter(rows);
        assert_eq!([0, 1, 2, 3, 4].map(|id| sweeps.next(id)), [900, 900, 40, 900, 30]);
        let lowest = SideSweep { id: 4, next: 30, blocks_from: Some(7) };
        assert_eq!(sweeps.sides(), [lowest, SideSweep { id: 2, next: 40, blocks_from: None }]);
        assert_eq!((sweeps.settled(), sweeps.fresh()), (30, 5));
        let damaged = Sweeps::from_iter([
            (0, Sweep::Main { next: 9 }),
            (1, Sweep::Joined { into: 2 }),
            (2, Sweep::Joined { into: 1 }),
        ]);
        assert_eq!(damaged.next(1), 0, "a ring of names leads nowhere, and says that nothing is covered");
    }
}
