//! Rows of `sums`: counts and amounts over other rows, so that `status`, `screen` and the coverage of everything flagged need not read
//! them all. Each step computes how its changes move the sums, and writes both in one batch; undoing a block moves them back.
//!
//! A row that does not read counts as none, here and in [`recount`], so that repairing it adds what it should have added.

use std::collections::{BTreeMap, BTreeSet};

use super::bytes::{Cursor, Malformed};
use super::entries::{Covered, EntryRow, Lowered};
use super::error::Result;
use super::raw::{RawChanges, RawRows};
use super::read::ReadRows;
use super::rows::{IndexKey, IndexRow};
use super::schema::{Family, row_height};
use super::step::{Changes, Step};
use super::values::Coin;
use super::view::View;
use crate::chain::Height;
use crate::trace::{Fate, Rule};
use crate::watchlist::Label;

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
    /// Entries with these roles, as [`EntryRow::roles_byte`] has them.
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
            TAINT => {
                let rule = Rule::from_byte(cursor.u8()?).ok_or(Malformed)?;
                Self::Taint(rule, *Fate::ALL.get(usize::from(cursor.u8()?)).ok_or(Malformed)?)
            }
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
    let lowered = match cursor.u8()? {
        0 => None,
        1 => Some(Lowered { from: cursor.u32()?, sweep: cursor.u32()? }),
        _ => return Err(Malformed),
    };
    Ok(Covered { from, sweep, lowered })
}

/// A sum. A sum of 0 has no row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sum(pub u128);

impl IndexRow for Sum {
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
pub struct Sums(BTreeMap<SumKey, u128>);

/// Flagged entries of which the index covers the same heights.
pub struct CoveredGroup {
    /// The heights.
    pub covered: Covered,
    /// How many entries there are.
    pub entries: u64,
    /// The names of the lists that they are on.
    pub lists: BTreeSet<String>,
}

impl Sums {
    /// The sum of one kind; 0 where there is none.
    pub fn get(&self, key: &SumKey) -> u64 {
        self.0.get(key).map_or(0, |sum| u64::try_from(*sum).unwrap_or(u64::MAX))
    }

    /// Entries whose roles, as [`EntryRow::roles_byte`] has them, fit.
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
            let none = || CoveredGroup { covered: *covered, entries: 0, lists: BTreeSet::new() };
            let group = groups.entry(*covered).or_insert_with(none);
            match key {
                SumKey::Listed(_, list) => {
                    group.lists.insert(list.clone());
                }
                _ => group.entries = self.get(key),
            }
        }
        groups.into_values().collect()
    }

    /// The first sum that differs from another's: what it is of, and both.
    pub fn difference(&self, other: &Self) -> Option<(SumKey, u128, u128)> {
        let keys: BTreeSet<_> = self.0.keys().chain(other.0.keys()).collect();
        let of = |sums: &Self, key| sums.0.get(key).copied().unwrap_or(0);
        let mut pairs = keys.into_iter().map(|key| (key, of(self, key), of(other, key)));
        pairs.find(|(_, here, there)| here != there).map(|(key, here, there)| (key.clone(), here, there))
    }
}

impl View {
    /// All sums. They are few, however many rows they are of.
    ///
    /// # Errors
    /// As all reads.
    pub fn sums(&self) -> Result<Sums> {
        let rows = self.range::<Sum>(..).map(|row| row.map(|(key, Sum(sum))| (key, sum)));
        Ok(Sums(rows.collect::<Result<_>>()?))
    }
}

/// Counts everything that there are sums of. Reads all rows.
///
/// # Errors
/// As all reads.
pub fn recount(view: &View) -> Result<Sums> {
    let mut tally = Tally::default();
    for row in view.raw_range(Family::Entries, &[], None) {
        tally.entry(Some(&row?.1), 1);
    }
    for (family, key) in COUNTED {
        for row in view.raw_range(family, &[], None) {
            row?;
            tally.add(key.clone(), 1);
        }
    }
    for row in view.raw_range(Family::Coins, &[], None) {
        let (key, value) = row?;
        let Some(outpoint) = key.get(..OUTPOINT) else { continue };
        let spend = view.raw_get(Family::Spends, outpoint)?;
        tally.coin(&key, Some(&value), spend.as_deref(), 1);
    }
    let counts = tally.0.into_iter().map(|(key, sum)| (key, u128::try_from(sum).unwrap_or(0)));
    Ok(Sums(counts.filter(|(_, sum)| *sum > 0).collect()))
}

/// Writes all sums anew, as they are counted.
///
/// # Errors
/// As all reads and [`Step::commit`].
pub fn mend(view: &View) -> Result<()> {
    let counted = recount(view)?;
    let mut step = Step::verbatim(view);
    for row in view.raw_range(Family::Sums, &[], None) {
        step.raw_delete(Family::Sums, &row?.0);
    }
    counted.0.iter().for_each(|(key, sum)| step.put(key, &Sum(*sum)));
    step.commit(true)
}

/// Families whose rows are counted, with the sum.
const COUNTED: [(Family, SumKey); 2] = [(Family::Txids, SumKey::Records), (Family::Touches, SumKey::Touches)];

/// Length of an outpoint, with which keys of `coins` begin.
const OUTPOINT: usize = 36;

/// The rows of `sums` that change together with `changes`: keys, and the new values.
///
/// # Errors
/// As all reads.
pub(super) fn moved(view: &View, changes: &Changes) -> Result<Vec<(SumKey, Sum)>> {
    let mut tally = Tally::default();
    for (key, new) in changes.of(Family::Entries) {
        tally.entry(view.raw_get(Family::Entries, key)?.as_deref(), -1);
        tally.entry(new.as_deref(), 1);
    }
    for (family, counted) in COUNTED {
        for (key, new) in changes.of(family) {
            let was = view.raw_get(family, key)?.is_some();
            tally.add(counted.clone(), i128::from(new.is_some()) - i128::from(was));
        }
    }
    spends(view, changes, &mut tally)?;
    coins(view, changes, &mut tally)?;
    let moved = tally.0.into_iter().filter(|(_, by)| *by != 0);
    let moved = moved.map(|(key, by)| {
        let before = view.get::<Sum>(&key)?.map_or(0, |Sum(sum)| sum);
        Ok((key, Sum(before.saturating_add_signed(by))))
    });
    moved.collect()
}

/// Tallies the coins that stay as they are, and whose spend changes.
fn spends(view: &View, changes: &Changes, tally: &mut Tally) -> Result<()> {
    let changed_coins = changes.of(Family::Coins);
    for (outpoint, new) in changes.of(Family::Spends) {
        let old = view.raw_get(Family::Spends, outpoint)?;
        if spent_at(old.as_deref()) == spent_at(new.as_deref()) {
            continue;
        }
        for row in view.raw_prefix(Family::Coins, outpoint) {
            let (key, value) = row?;
            if !changed_coins.contains_key(&*key) {
                tally.coin(&key, Some(&value), old.as_deref(), -1);
                tally.coin(&key, Some(&value), new.as_deref(), 1);
            }
        }
    }
    Ok(())
}

/// Tallies the coins that change.
fn coins(view: &View, changes: &Changes, tally: &mut Tally) -> Result<()> {
    for (key, new) in changes.of(Family::Coins) {
        let Some(outpoint) = key.get(..OUTPOINT) else { continue };
        let old = view.raw_get(Family::Coins, key)?;
        let old_spend = view.raw_get(Family::Spends, outpoint)?;
        let new_spend = changes.of(Family::Spends).get(outpoint).unwrap_or(&old_spend);
        tally.coin(key, old.as_deref(), old_spend.as_deref(), -1);
        tally.coin(key, new.as_deref(), new_spend.as_deref(), 1);
    }
    Ok(())
}

/// By how much sums change.
#[derive(Default)]
struct Tally(BTreeMap<SumKey, i128>);

impl Tally {
    fn add(&mut self, key: SumKey, by: i128) {
        *self.0.entry(key).or_default() += by;
    }

    /// Adds an entry, or takes it away.
    fn entry(&mut self, value: Option<&[u8]>, by: i128) {
        let Some(Ok(entry)) = value.map(EntryRow::from_value) else { return };
        self.add(SumKey::Roles(entry.roles_byte()), by);
        if entry.flagged {
            let covered = entry.covered();
            self.add(SumKey::Covered(covered), by);
            let lists: BTreeSet<_> = entry.labels.iter().map(Label::list_name).collect();
            lists.into_iter().for_each(|list| self.add(SumKey::Listed(covered, list), by));
        }
    }

    /// Adds a coin, or takes it away; `spend` is the row of the last spend of its outpoint.
    fn coin(&mut self, key: &[u8], value: Option<&[u8]>, spend: Option<&[u8]>, by: i128) {
        let Some(height) = value.and_then(|value| row_height(Family::Coins, key, value)) else { return };
        let Some(Ok(coin)) = value.map(Coin::from_value) else { return };
        for column in &coin.columns {
            self.add(SumKey::Taint(column.rule, column.fate), by * i128::from(column.taint.amount));
        }
        if coin.is_followed() {
            self.add(SumKey::Followed, by);
            // A spend below the height of the coin was of its BIP30 twin.
            if spent_at(spend).is_none_or(|spent| spent < height) {
                self.add(SumKey::Live, by);
            }
        }
    }
}

/// The height at which an outpoint was spent last.
fn spent_at(spend: Option<&[u8]>) -> Option<Height> {
    row_height(Family::Spends, &[], spend?)
}

#[cfg(test)]
mod tests {
    use bitcoin::hashes::Hash;
    use bitcoin::{OutPoint, Txid};

    use super::*;
    use crate::chain::ScriptHash;
    use crate::index::keys::{CoinKey, TxPosition};
    use crate::index::values::Spender;

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
        assert_eq!(const_hex::encode(Sum(258).value()), format!("{}0102", "00".repeat(14)));
        assert_eq!((Sum::from_value(&Sum(258).value()), Sum::from_value(&[0; 15])), (Ok(Sum(258)), Err(Malformed)));
    }

    /// Followed and live coins, as the sums have them and as counting gives them.
    fn coins_of(view: &View) -> (u64, u64) {
        let sums = view.sums().unwrap();
        assert_eq!(sums.difference(&recount(view).unwrap()), None);
        (sums.get(&SumKey::Followed), sums.get(&SumKey::Live))
    }

    #[test]
    fn of_twins_each_is_live_until_a_spend_above_it() {
        let folder = tempfile::tempdir().unwrap();
        let view = View::open_writable(folder.path(), true).unwrap();
        let outpoint = OutPoint { txid: Txid::from_byte_array([7; 32]), vout: 0 };
        let coin = Coin { value: 5, script: ScriptHash([1; 32]), coinbase: true, columns: Vec::new() };
        let at = |height| CoinKey { outpoint, height };
        let spend = |height| Spender { at: TxPosition::first(height), vin: 0, brought: Vec::new() };
        let change = |change: &dyn Fn(&mut Step<'_>)| {
            let mut step = Step::of(&view);
            change(&mut step);
            step.commit(false).unwrap();
            coins_of(&view)
        };
        assert_eq!(change(&|step| step.put(&at(3), &coin)), (1, 1));
        assert_eq!(change(&|step| step.put(&outpoint, &spend(5))), (1, 0));
        assert_eq!(change(&|step| step.put(&at(9), &coin)), (2, 1), "the elder's spend was not of the younger");
        assert_eq!(change(&|step| step.put(&outpoint, &spend(12))), (2, 0));
        assert_eq!(change(&|step| step.put(&outpoint, &spend(12))), (2, 0), "the same again");
        // Coin and spend change together.
        let both = |step: &mut Step<'_>| {
            step.delete::<Coin>(&at(9));
            step.put(&outpoint, &spend(5));
        };
        assert_eq!(change(&both), (1, 0));
        assert_eq!(change(&|step| step.delete::<Spender>(&outpoint)), (1, 1));
        assert_eq!(change(&|step| step.delete::<Coin>(&at(3))), (0, 0));
        assert_eq!(view.sums().unwrap(), Sums::default(), "sums of 0 have no row");
    }
}
