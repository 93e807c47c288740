//! An open index: rows by their types, over the bytes that RocksDB keeps. What the writer and the readers share.

use std::fs;
use std::ops::RangeBounds;
use std::path::{Path, PathBuf};

use bitcoin::block::Header;
use rocksdb::{ColumnFamily, DB, Direction, IteratorMode, ReadOptions};

use super::bytes::Malformed;
use super::database::{OpenMode, check_synced, open_read_only, open_writable, prefix_length, storage_error};
use super::entries::EntryRow;
use super::error::{IndexError, Result};
use super::raw::{RawRow, RawRows};
use super::read::ReadRows;
use super::rows::{IndexRow, byte_range, checked, typed, typed_key};
use super::schema::Family;
use super::values::Touch;
use crate::chain::{BlockId, ScriptHash};

/// An open index, read-only or not.
pub struct View {
    database: DB,
    path: PathBuf,
}

impl View {
    /// Opens an existing index for writing, or with `create` makes an empty one in an empty folder.
    pub(super) fn open_writable(path: &Path, create: bool) -> Result<Self> {
        let mode = if create { OpenMode::Create } else { OpenMode::Write };
        Ok(Self { database: open_writable(path, mode)?, path: path.to_owned() })
    }

    /// Opens an index for writing whose log lost its end, as it was before that.
    pub(super) fn open_cut(path: &Path) -> Result<Self> {
        Ok(Self { database: open_writable(path, OpenMode::WriteCut)?, path: path.to_owned() })
    }

    /// Opens an index without changing a file. The state it shows is not proven to be consistent: see `reader`.
    pub(super) fn open_read_only(path: &Path) -> Result<Self> {
        Ok(Self { database: open_read_only(path)?, path: path.to_owned() })
    }

    /// The index's folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn database(&self) -> &DB {
        &self.database
    }

    pub(super) fn handle(&self, family: Family) -> &ColumnFamily {
        self.database.cf_handle(family.name()).expect("every family was opened")
    }

    /// The rows of a family from key `start` on, in key order, up to but without `end`.
    pub(super) fn raw_range<'a>(
        &'a self,
        family: Family,
        start: &[u8],
        end: Option<Vec<u8>>,
    ) -> impl Iterator<Item = Result<RawRow>> + use<'a> {
        self.raw_rows(family, start, end, in_key_order())
    }

    fn raw_rows<'a>(
        &'a self,
        family: Family,
        start: &[u8],
        end: Option<Vec<u8>>,
        mut options: ReadOptions,
    ) -> impl Iterator<Item = Result<RawRow>> + use<'a> {
        if let Some(end) = end {
            options.set_iterate_upper_bound(end);
        }
        let rows =
            self.database.iterator_cf_opt(self.handle(family), options, IteratorMode::From(start, Direction::Forward));
        rows.map(|row| row.map_err(|error| storage_error(&self.path, error)))
    }

    fn raw_last(&self, family: Family) -> Result<Option<RawRow>> {
        let mut rows = self.database.iterator_cf_opt(self.handle(family), in_key_order(), IteratorMode::End);
        rows.next().transpose().map_err(|error| storage_error(&self.path, error))
    }

    /// The rows whose keys lie in `range`, in key order.
    pub fn range<R: IndexRow>(&self, range: impl RangeBounds<R::Key>) -> impl Iterator<Item = Result<(R::Key, R)>> {
        let (start, end) = byte_range(&range);
        self.raw_range(R::FAMILY, &start, end).map(|row| typed::<R>(row?))
    }

    /// The first key in a range.
    ///
    /// # Errors
    /// As all reads.
    pub fn first_key<R: IndexRow>(&self, range: impl RangeBounds<R::Key>) -> Result<Option<R::Key>> {
        let (start, end) = byte_range(&range);
        let first = self.raw_range(R::FAMILY, &start, end).next();
        first.map(|row| typed_key::<R>(&row?.0)).transpose()
    }

    /// The last row of a family.
    ///
    /// # Errors
    /// As all reads.
    pub fn last<R: IndexRow>(&self) -> Result<Option<(R::Key, R)>> {
        self.raw_last(R::FAMILY)?.map(typed::<R>).transpose()
    }

    /// The last key of a family.
    ///
    /// # Errors
    /// As all reads.
    pub fn last_key<R: IndexRow>(&self) -> Result<Option<R::Key>> {
        self.raw_last(R::FAMILY)?.map(|(key, _)| typed_key::<R>(&key)).transpose()
    }

    /// The scripts that have touches, in order. Passes one row of each.
    pub fn touched_scripts(&self) -> impl Iterator<Item = Result<ScriptHash>> + '_ {
        let mut next = Some(Vec::new());
        std::iter::from_fn(move || {
            let row = self.raw_range(Touch::FAMILY, &next.take()?, None).next()?;
            Some(row.and_then(|(key, _)| {
                let script = typed_key::<Touch>(&key)?.script;
                next = after_prefix(&script.0);
                Ok(script)
            }))
        })
    }

    /// The last block whose header is here.
    ///
    /// # Errors
    /// As all reads.
    pub fn tip(&self) -> Result<Option<BlockId>> {
        let last = self.last::<Header>()?;
        Ok(last.map(|(height, header)| BlockId { height, hash: header.block_hash() }))
    }

    /// All entries, by script hash, their intervals joined where they have met.
    pub fn entries(&self) -> impl Iterator<Item = Result<(ScriptHash, EntryRow)>> + '_ {
        self.entry_rows(EntryRow::from_value)
    }

    /// As [`Self::entries`], without their labels, which take most of the time to read.
    pub fn entry_heads(&self) -> impl Iterator<Item = Result<(ScriptHash, EntryRow)>> + '_ {
        self.entry_rows(EntryRow::head)
    }

    fn entry_rows(
        &self,
        read: fn(&[u8]) -> Result<EntryRow, Malformed>,
    ) -> impl Iterator<Item = Result<(ScriptHash, EntryRow)>> + '_ {
        let mut sweeps = None;
        self.raw_range(EntryRow::FAMILY, &[], None).map(move |row| {
            let (key, value) = row?;
            let script = typed_key::<EntryRow>(&key)?;
            let mut entry = checked(EntryRow::FAMILY, &key, read(&value))?;
            if entry.lowered.is_some() {
                let known = match sweeps.take() {
                    Some(known) => known,
                    None => self.sweeps()?,
                };
                entry = entry.joined(sweeps.insert(known));
            }
            Ok((script, entry))
        })
    }

    /// The number of the last write that the database has taken in.
    pub(super) fn sequence(&self) -> u64 {
        self.database.latest_sequence_number()
    }

    /// Checks that the database has all writes up to number `synced`, which were known to have reached the disk before it was opened.
    ///
    /// # Errors
    /// [`IndexError::LostTail`].
    pub(super) fn check_synced(&self, synced: u64) -> Result<()> {
        check_synced(&self.path, self.sequence(), synced)
    }

    /// The size of its files on disk, in bytes.
    ///
    /// # Errors
    /// [`IndexError::Io`].
    pub fn bytes_on_disk(&self) -> Result<u64> {
        let io = |source| IndexError::Io { path: self.path.clone(), source };
        let mut bytes = 0;
        for file in fs::read_dir(&self.path).map_err(io)? {
            // A file that was deleted meanwhile takes no space.
            bytes += file.and_then(|file| file.metadata()).map_or(0, |file| file.len());
        }
        Ok(bytes)
    }
}

impl RawRows for View {
    fn raw_get(&self, family: Family, key: &[u8]) -> Result<Option<Vec<u8>>> {
        self.database.get_cf(self.handle(family), key).map_err(|error| storage_error(&self.path, error))
    }

    fn raw_prefix<'a>(&'a self, family: Family, prefix: &[u8]) -> impl Iterator<Item = Result<RawRow>> + use<'a> {
        let mut options = in_key_order();
        if prefix_length(family) == Some(prefix.len()) {
            options.set_total_order_seek(false);
            options.set_prefix_same_as_start(true);
        }
        self.raw_rows(family, prefix, after_prefix(prefix), options)
    }
}

/// Options under which an iterator passes all rows of a family, also of one with a prefix extractor.
fn in_key_order() -> ReadOptions {
    let mut options = ReadOptions::default();
    options.set_total_order_seek(true);
    options
}

/// The first key above all that begin with `prefix`; `None` where there is no such key.
fn after_prefix(prefix: &[u8]) -> Option<Vec<u8>> {
    let keep = prefix.iter().rposition(|byte| *byte != 0xff)?;
    let mut end = prefix[..=keep].to_vec();
    end[keep] += 1;
    Some(end)
}

#[cfg(test)]
mod tests {
    use super::after_prefix;

    #[test]
    fn the_end_of_a_prefix_is_the_next_key_of_its_length_or_shorter() {
        assert_eq!(after_prefix(&[1, 2]), Some(vec![1, 3]));
        assert_eq!(after_prefix(&[1, 0xff]), Some(vec![2]));
        assert_eq!(after_prefix(&[0xff, 0xff]), None);
        assert_eq!(after_prefix(&[]), None);
    }
}
