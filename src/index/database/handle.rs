//! An open database: rows as bytes, read in key order and written in batches.

use std::path::{Path, PathBuf};

use rocksdb::{ColumnFamily, DB, Direction, IteratorMode, ReadOptions, WriteBatch, WriteOptions};

use super::errors::storage_error;
use super::options::{database_options, descriptors, prefix_length};
use super::{memory, synced};
use crate::index::error::Result;
use crate::index::raw::{RawRow, RawRows};
use crate::index::schema::Family;

/// A database, open read-only or not.
pub(in crate::index) struct Database {
    rocksdb: DB,
    path: PathBuf,
}

/// What a database is opened for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(in crate::index) enum OpenMode {
    /// Writing.
    Write,
    /// Writing, though the end of its log is missing.
    WriteCut,
    /// Making one in an empty folder.
    Create,
}

impl Database {
    /// Opens a database for writing, or makes one in an empty folder.
    pub(in crate::index) fn open_writable(path: &Path, mode: OpenMode) -> Result<Self> {
        let mut options = database_options(memory::writer_open_files());
        options.create_if_missing(mode == OpenMode::Create);
        options.create_missing_column_families(mode == OpenMode::Create);
        // With this check on, RocksDB refuses a log that is shorter than the MANIFEST says.
        if mode == OpenMode::WriteCut {
            options.set_track_and_verify_wals_in_manifest(false);
        }
        Self::over(path, DB::open_cf_descriptors(&options, path, descriptors()))
    }

    /// Opens a database without changing a file. The state it shows is not proven to be consistent: see `reader`.
    pub(in crate::index) fn open_read_only(path: &Path) -> Result<Self> {
        Self::over(path, DB::open_cf_descriptors_read_only(&database_options(-1), path, descriptors(), false))
    }

    fn over(path: &Path, opened: std::result::Result<DB, rocksdb::Error>) -> Result<Self> {
        let rocksdb = opened.map_err(|error| storage_error(path, error))?;
        Ok(Self { rocksdb, path: path.to_owned() })
    }

    /// Its folder.
    pub(in crate::index) fn path(&self) -> &Path {
        &self.path
    }

    /// RocksDB's own handle.
    pub(super) fn rocksdb(&self) -> &DB {
        &self.rocksdb
    }

    /// RocksDB's handle of a family.
    pub(super) fn family(&self, family: Family) -> &ColumnFamily {
        self.rocksdb.cf_handle(family.name()).expect("every family was opened")
    }

    /// The rows of a family from key `start` on, in key order, up to but without `end`.
    pub(in crate::index) fn range<'a>(
        &'a self,
        family: Family,
        start: &[u8],
        end: Option<Vec<u8>>,
    ) -> impl Iterator<Item = Result<RawRow>> + use<'a> {
        self.rows(family, start, end, in_key_order())
    }

    fn rows<'a>(
        &'a self,
        family: Family,
        start: &[u8],
        end: Option<Vec<u8>>,
        mut options: ReadOptions,
    ) -> impl Iterator<Item = Result<RawRow>> + use<'a> {
        if let Some(end) = end {
            options.set_iterate_upper_bound(end);
        }
        let mode = IteratorMode::From(start, Direction::Forward);
        let rows = self.rocksdb.iterator_cf_opt(self.family(family), options, mode);
        rows.map(|row| row.map_err(|error| storage_error(&self.path, error)))
    }

    /// The last row of a family.
    ///
    /// # Errors
    /// As all reads.
    pub(in crate::index) fn last(&self, family: Family) -> Result<Option<RawRow>> {
        let mut rows = self.rocksdb.iterator_cf_opt(self.family(family), in_key_order(), IteratorMode::End);
        rows.next().transpose().map_err(|error| storage_error(&self.path, error))
    }

    /// Writes rows, or removes those without a value, in one batch. With `durable`, it has reached the disk when this returns.
    ///
    /// # Errors
    /// [`crate::index::IndexError::Full`], [`crate::index::IndexError::Storage`]: then none of the rows was written.
    pub(in crate::index) fn write<'a>(
        &self,
        changes: impl Iterator<Item = (Family, &'a [u8], Option<&'a [u8]>)>,
        durable: bool,
    ) -> Result<()> {
        let mut batch = WriteBatch::default();
        for (family, key, value) in changes {
            match value {
                Some(value) => batch.put_cf(self.family(family), key, value),
                None => batch.delete_cf(self.family(family), key),
            }
        }
        let mut options = WriteOptions::default();
        options.set_sync(durable);
        self.rocksdb.write_opt(batch, &options).map_err(|error| storage_error(&self.path, error))?;
        // Not before RocksDB has waited for the disk: the number must never be ahead of what is there.
        if durable {
            synced::note(&self.path, self.sequence());
        }
        Ok(())
    }

    /// The number of the last write that the database has taken in.
    pub(in crate::index) fn sequence(&self) -> u64 {
        self.rocksdb.latest_sequence_number()
    }
}

impl RawRows for Database {
    fn raw_get(&self, family: Family, key: &[u8]) -> Result<Option<Vec<u8>>> {
        self.rocksdb.get_cf(self.family(family), key).map_err(|error| storage_error(&self.path, error))
    }

    fn raw_prefix<'a>(&'a self, family: Family, prefix: &[u8]) -> impl Iterator<Item = Result<RawRow>> + use<'a> {
        let mut options = in_key_order();
        // A lookup by the very prefix of the bloom filters lets these rule tables out; any other range has to pass all tables.
        if prefix_length(family) == Some(prefix.len()) {
            options.set_total_order_seek(false);
            options.set_prefix_same_as_start(true);
        }
        self.rows(family, prefix, after_prefix(prefix), options)
    }
}

/// Options under which an iterator passes all rows of a family, also of one with a prefix extractor.
fn in_key_order() -> ReadOptions {
    let mut options = ReadOptions::default();
    options.set_total_order_seek(true);
    options
}

/// The first key above all that begin with `prefix`; `None` where there is no such key.
pub(in crate::index) fn after_prefix(prefix: &[u8]) -> Option<Vec<u8>> {
    // A byte 0xff can't be counted up: then the one before it is, and what follows is cut off.
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
