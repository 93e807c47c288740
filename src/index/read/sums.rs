//! Reads the sums, and counts anew what they are of.

use std::collections::{BTreeMap, BTreeSet};

use super::view::View;
use crate::chain::Height;
use crate::index::error::Result;
use crate::index::raw::RawRows;
use crate::index::rows::entries::EntryRow;
use crate::index::rows::row::IndexRow;
use crate::index::rows::sums::{SumKey, SumRow, Sums};
use crate::index::rows::values::Coin;
use crate::index::schema::{Family, row_height};
use crate::watchlist::Label;

/// Families whose rows are counted, with the sum.
pub(in crate::index) const COUNTED: [(Family, SumKey); 2] =
    [(Family::Txids, SumKey::Records), (Family::Touches, SumKey::Touches)];

/// Length of an outpoint, with which keys of `coins` begin.
pub(in crate::index) const OUTPOINT: usize = 36;

impl View {
    /// All sums. They are few, however many rows they are of.
    ///
    /// # Errors
    /// As all reads.
    pub fn sums(&self) -> Result<Sums> {
        let rows = self.range::<SumRow>(..).map(|row| row.map(|(key, SumRow(sum))| (key, sum)));
        Ok(Sums(rows.collect::<Result<_>>()?))
    }

    /// Counts everything that there are sums of. Reads all rows.
    ///
    /// # Errors
    /// As all reads.
    pub fn recounted_sums(&self) -> Result<Sums> {
        let mut counter = SumCounter::default();
        for row in self.raw_range(Family::Entries, &[], None) {
            counter.entry(Some(&row?.1), 1);
        }
        for (family, key) in COUNTED {
            for row in self.raw_range(family, &[], None) {
                row?;
                counter.add(key.clone(), 1);
            }
        }
        for row in self.raw_range(Family::Coins, &[], None) {
            let (key, value) = row?;
            let Some(outpoint) = key.get(..OUTPOINT) else { continue };
            let spend = self.raw_get(Family::Spends, outpoint)?;
            counter.coin(&key, Some(&value), spend.as_deref(), 1);
        }
        let counts = counter.0.into_iter().map(|(key, sum)| (key, u128::try_from(sum).unwrap_or(0)));
        Ok(Sums(counts.filter(|(_, sum)| *sum > 0).collect()))
    }
}

/// By how much sums change.
#[derive(Default)]
pub(in crate::index) struct SumCounter(pub(in crate::index) BTreeMap<SumKey, i128>);

impl SumCounter {
    pub(in crate::index) fn add(&mut self, key: SumKey, by: i128) {
        *self.0.entry(key).or_default() += by;
    }

    /// Adds an entry, or takes it away.
    pub(in crate::index) fn entry(&mut self, value: Option<&[u8]>, by: i128) {
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
    pub(in crate::index) fn coin(&mut self, key: &[u8], value: Option<&[u8]>, spend: Option<&[u8]>, by: i128) {
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
pub(in crate::index) fn spent_at(spend: Option<&[u8]>) -> Option<Height> {
    row_height(Family::Spends, &[], spend?)
}
