//! The rows that are computed from records, as the index has them: which records a row may come from, which rows a record has, and
//! whether these are the rows that it makes.

use std::collections::BTreeMap;

use bitcoin::Txid;

use super::step::Step;
use crate::chain::Height;
use crate::index::derive;
use crate::index::error::Result;
use crate::index::raw::{RawChanges, RawRows};
use crate::index::read::read_rows::ReadRows;
use crate::index::read::view::View;
use crate::index::rows::keys::{CoinKey, TxPosition};
use crate::index::rows::row::{IndexKey, IndexRow, corrupt};
use crate::index::rows::row_set::{KeySet, RowSet};
use crate::index::rows::values::{Record, Spender};
use crate::index::schema::{Family, row_height};

/// A family whose rows are computed from records.
#[derive(Clone, Copy)]
pub struct DerivedFamily<'a> {
    view: &'a View,
    family: Family,
}

/// A row of such a family.
pub struct DerivedRow {
    family: Family,
    key: Box<[u8]>,
    value: Box<[u8]>,
}

/// A row that a record makes, and that the index lacks or has with another value. Key and values are in hex.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowMismatch {
    /// Its family.
    pub family: &'static str,
    /// Its key.
    pub key: String,
    /// The value that the record makes.
    pub expected: String,
    /// The value in the index; `None` where there is no such row.
    pub found: Option<String>,
}

impl View {
    /// The families whose rows are computed from records.
    pub fn derived_families(&self) -> [DerivedFamily<'_>; Family::DERIVED.len()] {
        Family::DERIVED.map(|family| DerivedFamily { view: self, family })
    }
}

impl DerivedFamily<'_> {
    /// Its name in the database.
    pub fn name(&self) -> &'static str {
        self.family.name()
    }

    /// Its rows, in key order.
    pub fn rows(&self) -> impl Iterator<Item = Result<DerivedRow>> {
        let family = self.family;
        self.view.raw_range(family, &[], None).map(move |row| {
            let (key, value) = row?;
            Ok(DerivedRow { family, key, value })
        })
    }
}

impl DerivedRow {
    /// Its key, in hex.
    pub fn key_hex(&self) -> String {
        const_hex::encode(&self.key)
    }

    /// The height of the block that it comes from.
    ///
    /// # Errors
    /// [`crate::index::IndexError::Corrupt`] where it is too short.
    pub fn height(&self) -> Result<Height> {
        row_height(self.family, &self.key, &self.value).ok_or_else(|| corrupt(self.family, &self.key))
    }

    /// The positions of the records that it may come from, which its bytes say; `None` where they do not read.
    ///
    /// # Errors
    /// As all reads.
    pub fn origins(&self, view: &View) -> Result<Option<Vec<TxPosition>>> {
        Ok(match self.family {
            Family::Spends => position(self.value.get(..8)),
            Family::Coins => match CoinKey::from_key(&self.key) {
                Ok(coin) => {
                    let made = view.positions(coin.outpoint.txid)?;
                    Some(made.into_iter().filter(|at| at.height == coin.height).collect())
                }
                Err(_) => None,
            },
            _ => position(self.key.get(32..40)),
        })
    }

    /// As [`Self::origins`].
    ///
    /// # Errors
    /// [`crate::index::IndexError::Corrupt`] where its bytes do not read; as all reads.
    pub fn known_origins(&self, view: &View) -> Result<Vec<TxPosition>> {
        self.origins(view)?.ok_or_else(|| corrupt(self.family, &self.key))
    }

    /// Whether its family and key are among these.
    pub fn is_in(&self, keys: &KeySet) -> bool {
        keys.contains(self.family, &self.key)
    }
}

impl Step<'_> {
    /// The rows that a record has, with pending changes. Of BIP30's twins, the `spends` row is that of the later spend, and not a row of
    /// the earlier record.
    ///
    /// # Errors
    /// As all reads.
    pub fn rows_of(&self, at: TxPosition, txid: Txid, record: &Record) -> Result<RowSet> {
        let mut rows = RowSet::default();
        for (family, key) in derive::keys(at, txid, record).raw() {
            if let Some(value) = self.raw_get(family, key)?
                && (family != Family::Spends || value.get(..8) == Some(&at.key()[..]))
            {
                rows.insert_raw(family, key.clone(), value);
            }
        }
        Ok(rows)
    }

    /// Removes a row.
    pub fn delete_derived(&mut self, row: &DerivedRow) {
        self.raw_delete(row.family, &row.key);
    }
}

impl RowSet {
    /// The first of these rows, which the record at `at` makes, that the index lacks or has with another value. The others are added to
    /// `counted`, by family.
    ///
    /// # Errors
    /// As all reads.
    pub fn mismatch(
        &self,
        view: &View,
        at: TxPosition,
        counted: &mut BTreeMap<&'static str, u64>,
    ) -> Result<Option<RowMismatch>> {
        for (family, key, expected) in self.raw() {
            let found = view.raw_get(family, key)?;
            match &found {
                Some(found) if found == expected => {
                    *counted.entry(family.name()).or_default() += 1;
                    continue;
                }
                // Of BIP30's twins, the spend of the later one.
                Some(found) if family == Family::Spends && is_spent_later(found, at) => continue,
                _ => {}
            }
            let [key, expected] = [key, expected].map(const_hex::encode);
            let found = found.map(const_hex::encode);
            return Ok(Some(RowMismatch { family: family.name(), key, expected, found }));
        }
        Ok(None)
    }
}

/// The position that these bytes are, alone.
fn position(bytes: Option<&[u8]>) -> Option<Vec<TxPosition>> {
    TxPosition::from_key(bytes?).ok().map(|at| vec![at])
}

fn is_spent_later(found: &[u8], at: TxPosition) -> bool {
    Spender::from_value(found).is_ok_and(|spender| spender.at > at)
}
