//! Rows of several families together: those that a record brings, as they are or as they are to be.

use std::collections::{BTreeMap, BTreeSet};

use super::rows::{IndexKey, IndexRow, typed};
use super::schema::Family;
use super::{Result, Step};

/// Rows by family and key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RowSet(BTreeMap<(Family, Vec<u8>), Vec<u8>>);

/// The families and keys of rows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeySet(BTreeSet<(Family, Vec<u8>)>);

/// What turns some rows into others.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RowChanges {
    /// Rows to remove.
    gone: KeySet,
    /// Rows to set: new ones, and those with another value.
    put: RowSet,
}

impl RowSet {
    pub(super) fn insert<R: IndexRow>(&mut self, key: &R::Key, row: &R) {
        self.0.insert((R::FAMILY, key.key().as_ref().to_vec()), row.value());
    }

    pub(super) fn insert_raw(&mut self, family: Family, key: Vec<u8>, value: Vec<u8>) {
        self.0.insert((family, key), value);
    }

    /// Family, key and value of each, in order.
    pub(super) fn raw(&self) -> impl Iterator<Item = (Family, &[u8], &[u8])> {
        self.0.iter().map(|((family, key), value)| (*family, key.as_slice(), value.as_slice()))
    }

    /// The rows of one kind, in key order.
    pub fn rows<R: IndexRow>(&self) -> impl Iterator<Item = Result<(R::Key, R)>> {
        self.of(R::FAMILY).map(typed::<R>)
    }

    /// How many rows of one kind there are.
    pub fn count<R: IndexRow>(&self) -> u64 {
        self.of(R::FAMILY).map(|_| 1).sum()
    }

    fn of(&self, family: Family) -> impl Iterator<Item = (&Vec<u8>, &Vec<u8>)> {
        let from = self.0.range((family, Vec::new())..);
        from.take_while(move |((of, _), _)| *of == family).map(|((_, key), value)| (key, value))
    }

    /// What turns these rows into `new`.
    pub fn changes_to(&self, new: &Self) -> RowChanges {
        let gone = self.0.keys().filter(|row| !new.0.contains_key(*row)).cloned().collect();
        let put = new.0.iter().filter(|(row, value)| self.0.get(*row) != Some(*value));
        let put = put.map(|(row, value)| (row.clone(), value.clone())).collect();
        RowChanges { gone: KeySet(gone), put: Self(put) }
    }

    /// The keys of all rows.
    pub fn into_keys(self) -> KeySet {
        KeySet(self.0.into_keys().collect())
    }
}

impl KeySet {
    /// Whether a row is one of these.
    pub(super) fn contains(&self, family: Family, key: &[u8]) -> bool {
        self.0.contains(&(family, key.to_vec()))
    }

    /// Family and key of each, in order.
    pub(super) fn iter(&self) -> impl Iterator<Item = (Family, &Vec<u8>)> {
        self.0.iter().map(|(family, key)| (*family, key))
    }
}

impl RowChanges {
    /// How many rows of one kind are set.
    pub fn count_put<R: IndexRow>(&self) -> u64 {
        self.put.count::<R>()
    }
}

impl Step<'_> {
    /// Sets rows.
    pub fn put_all(&mut self, rows: &RowSet) {
        for (family, key, value) in rows.raw() {
            self.raw_put(family, key, value);
        }
    }

    /// Removes rows.
    pub fn delete_all(&mut self, keys: &KeySet) {
        for (family, key) in keys.iter() {
            self.raw_delete(family, key);
        }
    }

    /// Removes and sets rows.
    pub fn change_all(&mut self, changes: &RowChanges) {
        self.delete_all(&changes.gone);
        self.put_all(&changes.put);
    }
}
