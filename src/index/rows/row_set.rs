//! Rows of several families together: those that a record makes, as the index has them or as they are to be.

use std::collections::{BTreeMap, BTreeSet};

use super::row::{IndexKey, IndexRow, typed};
use crate::index::error::Result;
use crate::index::schema::Family;

/// Rows by family and key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RowSet(BTreeMap<(Family, Vec<u8>), Vec<u8>>);

/// The families and keys of rows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeySet(BTreeSet<(Family, Vec<u8>)>);

/// The difference between two sets of rows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RowChanges {
    /// Rows to remove.
    pub(in crate::index) gone: KeySet,
    /// Rows to set: new ones, and those with another value.
    pub(in crate::index) put: RowSet,
}

impl RowSet {
    pub(in crate::index) fn insert<R: IndexRow>(&mut self, key: &R::Key, row: &R) {
        self.0.insert((R::FAMILY, key.key().as_ref().to_vec()), row.value());
    }

    pub(in crate::index) fn insert_raw(&mut self, family: Family, key: Vec<u8>, value: Vec<u8>) {
        self.0.insert((family, key), value);
    }

    /// Family, key and value of each, in order.
    pub(in crate::index) fn raw(&self) -> impl Iterator<Item = (Family, &[u8], &[u8])> {
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

    /// The changes that turn these rows into `new`.
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
    /// Whether the key is among these.
    pub(in crate::index) fn contains(&self, family: Family, key: &[u8]) -> bool {
        self.0.contains(&(family, key.to_vec()))
    }

    /// Family and key of each, in order.
    pub(in crate::index) fn raw(&self) -> impl Iterator<Item = (Family, &Vec<u8>)> {
        self.0.iter().map(|(family, key)| (*family, key))
    }
}

impl RowChanges {
    /// How many rows of one kind are set.
    pub fn count_put<R: IndexRow>(&self) -> u64 {
        self.put.count::<R>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::index::rows::sweeps::Sweep;

    fn sweeps(rows: &[(u32, u32)]) -> RowSet {
        let mut set = RowSet::default();
        for (id, next) in rows {
            set.insert(id, &Sweep::Main { next: *next });
        }
        set
    }

    #[test]
    fn changes_are_the_rows_that_go_and_those_with_another_value() {
        let (old, new) = (sweeps(&[(1, 10), (2, 20), (3, 30)]), sweeps(&[(2, 20), (3, 31), (4, 40)]));
        let changes = old.changes_to(&new);
        assert_eq!(changes, RowChanges { gone: sweeps(&[(1, 0)]).into_keys(), put: sweeps(&[(3, 31), (4, 40)]) });
        assert_eq!(changes.count_put::<Sweep>(), 2);
        assert_eq!(new.changes_to(&new), RowChanges::default());
    }

    #[test]
    fn rows_of_one_kind_are_those_of_its_family() {
        let mut set = sweeps(&[(7, 70), (5, 50)]);
        // The families that sort right before and right after that of sweeps.
        set.insert_raw(Family::Spends, vec![9], Vec::new());
        set.insert_raw(Family::Events, Vec::new(), Vec::new());
        let rows = set.rows::<Sweep>().collect::<Result<Vec<_>>>().unwrap();
        assert_eq!(rows, [(5, Sweep::Main { next: 50 }), (7, Sweep::Main { next: 70 })]);
        assert_eq!(set.count::<Sweep>(), 2);
    }
}
