//! Rows of `sums`: counts and amounts over other rows, so that `status`, `screen` and the coverage of everything flagged need not read
//! them all. Each step computes how its changes move the sums, and writes both in one batch; undoing a block moves them back.
//!
//! A row that does not read counts as none, here and in [`recounted_sums`](crate::index::View::recounted_sums), so that repairing it adds what it should have added.

use std::collections::{BTreeMap, BTreeSet};

use super::bytes::{Cursor, Malformed};
use super::entries::{Covered, Lowered};
use super::row::{IndexKey, IndexRow};
use crate::index::schema::Family;
use crate::trace::{Fate, Rule};

const ROLES: u8 = 0;
const COVERED: u8 = 1;
const LISTED: u8 = 2;
const RECORDS: u8 = 3;
const TOUCHES: u8 = 4;
const FOLLOWED: u8 = 5;
const LIVE: u8 = 6;
const TAINT: u8 = 7;

/// What a sum is of. Key of `sums`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum SumKey {
    /// Entries with these roles, as [`EntryRow::roles_byte`](super::entries::EntryRow::roles_byte) has them.
    Roles(u8),
    /// Flagged entries of which the index covers these heights.
    Covered(Covered),
    /// Those of them that are on the list of this name.
    Listed(Covered, String),
    /// Records.
    Records,
    /// Touches.
    Touches,
    /// Coins whose spend the index searches for, spent ones included.
    Followed,
    /// Of these, the unspent ones.
    Live,
    /// Satoshis of taint that coins of this fate hold under this rule.
    Taint(Rule, Fate),
}

impl IndexKey for SumKey {
    type Bytes = Vec<u8>;

    fn key(&self) -> Vec<u8> {
        match self {
            Self::Roles(roles) => vec![ROLES, *roles],
            Self::Covered(covered) => covered_key(COVERED, *covered),
            Self::Listed(covered, list) => [&covered_key(LISTED, *covered), list.as_bytes()].concat(),
            Self::Records => vec![RECORDS],
            Self::Touches => vec![TOUCHES],
            Self::Followed => vec![FOLLOWED],
            Self::Live => vec![LIVE],
            Self::Taint(rule, fate) => vec![TAINT, rule.byte(), *fate as u8],
        }
    }

    fn from_key(key: &[u8]) -> Result<Self, Malformed> {
        let mut cursor = Cursor::new(key);
        let key = match cursor.u8()? {
            ROLES => Self::Roles(cursor.u8()?),
            COVERED => Self::Covered(take_covered(&mut cursor)?),
            LISTED => {
                let covered = take_covered(&mut cursor)?;
                let list = String::from_utf8(cursor.rest().to_vec()).map_err(|_| Malformed)?;
                return Ok(Self::Listed(covered, list));
            }
            RECORDS => Self::Records,
            TOUCHES => Self::Touches,
            FOLLOWED => Self::Followed,
            LIVE => Self::Live,
            TAINT => Self::Taint(cursor.rule()?, cursor.fate()?),
            _ => return Err(Malformed),
        };
        cursor.end(key)
    }
}

fn covered_key(kind: u8, covered: Covered) -> Vec<u8> {
    let mut key = vec![kind];
    key.extend_from_slice(&covered.from.to_be_bytes());
    key.extend_from_slice(&covered.sweep.to_be_bytes());
    key.push(u8::from(covered.lowered.is_some()));
    if let Some(lowered) = covered.lowered {
        key.extend_from_slice(&lowered.from.to_be_bytes());
        key.extend_from_slice(&lowered.sweep.to_be_bytes());
    }
    key
}

fn take_covered(cursor: &mut Cursor<'_>) -> Result<Covered, Malformed> {
    let (from, sweep) = (cursor.u32()?, cursor.u32()?);
    let lowered = match cursor.flag()? {
        false => None,
        true => Some(Lowered { from: cursor.u32()?, sweep: cursor.u32()? }),
    };
    Ok(Covered { from, sweep, lowered })
}

/// A sum. A sum of 0 has no row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SumRow(pub u128);

impl IndexRow for SumRow {
    const FAMILY: Family = Family::Sums;
    type Key = SumKey;

    fn value(&self) -> Vec<u8> {
        self.0.to_be_bytes().to_vec()
    }

    fn from_value(value: &[u8]) -> Result<Self, Malformed> {
        let mut cursor = Cursor::new(value);
        let sum = u128::from_be_bytes(cursor.array()?);
        cursor.end(Self(sum))
    }
}

/// All sums of an index.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sums(pub(in crate::index) BTreeMap<SumKey, u128>);

/// Flagged entries of which the index covers the same heights.
pub struct CoveredGroup {
    /// The heights.
    pub covered: Covered,
    /// How many entries there are.
    pub entries: u64,
    /// The names of the lists that they are on.
    pub lists: BTreeSet<String>,
}

impl CoveredGroup {
    fn empty(covered: Covered) -> Self {
        Self { covered, entries: 0, lists: BTreeSet::new() }
    }
}

impl Sums {
    /// The sum of one kind; 0 where there is none.
    pub fn get(&self, key: &SumKey) -> u64 {
        self.0.get(key).map_or(0, |sum| u64::try_from(*sum).unwrap_or(u64::MAX))
    }

    /// Entries whose roles, as [`EntryRow::roles_byte`](super::entries::EntryRow::roles_byte) has them, fit.
    pub fn entries(&self, fits: impl Fn(u8) -> bool) -> u64 {
        let roles = self.0.keys().filter_map(|key| match key {
            SumKey::Roles(roles) if fits(*roles) => Some(self.get(key)),
            _ => None,
        });
        roles.sum()
    }

    /// The flagged entries, grouped by the heights that the index covers of them.
    pub fn groups(&self) -> Vec<CoveredGroup> {
        let mut groups: BTreeMap<Covered, CoveredGroup> = BTreeMap::new();
        for key in self.0.keys() {
            let (SumKey::Covered(covered) | SumKey::Listed(covered, _)) = key else { continue };
            let group = groups.entry(*covered).or_insert_with(|| CoveredGroup::empty(*covered));
            match key {
                SumKey::Listed(_, list) => {
                    group.lists.insert(list.clone());
                }
                _ => group.entries = self.get(key),
            }
        }
        groups.into_values().collect()
    }

    /// The first sum that differs from another's: its key, and both values.
    pub fn difference(&self, other: &Self) -> Option<(SumKey, u128, u128)> {
        let keys: BTreeSet<_> = self.0.keys().chain(other.0.keys()).collect();
        let mut pairs = keys.into_iter().map(|key| (key, self.exactly(key), other.exactly(key)));
        pairs.find(|(_, here, there)| here != there).map(|(key, here, there)| (key.clone(), here, there))
    }

    fn exactly(&self, key: &SumKey) -> u128 {
        self.0.get(key).copied().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_laid_out_as_the_schema_says_and_read_back() {
        let plain = Covered { from: 7, sweep: 1, lowered: None };
        let lowered = Covered { lowered: Some(Lowered { from: 3, sweep: 2 }), ..plain };
        for (key, hex) in [
            (SumKey::Roles(3), "0003".to_owned()),
            (SumKey::Covered(plain), "01000000070000000100".to_owned()),
            (SumKey::Covered(lowered), "010000000700000001010000000300000002".to_owned()),
            (SumKey::Listed(plain, "a.csv".into()), format!("02000000070000000100{}", const_hex::encode("a.csv"))),
            (SumKey::Records, "03".to_owned()),
            (SumKey::Touches, "04".to_owned()),
            (SumKey::Followed, "05".to_owned()),
            (SumKey::Live, "06".to_owned()),
            (SumKey::Taint(Rule::Fifo, Fate::MaxHops), "070204".to_owned()),
        ] {
            assert_eq!(const_hex::encode(key.key()), hex);
            assert_eq!(SumKey::from_key(&key.key()), Ok(key));
        }
        for bad in
            [&[][..], &[8], &[RECORDS, 0], &[TAINT, 9, 0], &[TAINT, 2, 99], &[COVERED, 0, 0, 0, 7, 0, 0, 0, 1, 2]]
        {
            assert_eq!(SumKey::from_key(bad), Err(Malformed), "{bad:?}");
        }
        assert_eq!(const_hex::encode(SumRow(258).value()), format!("{}0102", "00".repeat(14)));
        assert_eq!(
            (SumRow::from_value(&SumRow(258).value()), SumRow::from_value(&[0; 15])),
            (Ok(SumRow(258)), Err(Malformed))
        );
    }
}
