//! An open index: rows by their types, over the bytes of a database. What the writer and the readers share.

use std::fs;
use std::ops::RangeBounds;
use std::path::Path;

use bitcoin::block::Header;

use super::read_rows::ReadRows;
use crate::chain::{BlockId, ScriptHash};
use crate::index::database::checks::check_synced;
use crate::index::database::handle::{Database, OpenMode, after_prefix};
use crate::index::error::{IndexError, Result};
use crate::index::raw::{RawRow, RawRows};
use crate::index::rows::bytes::Malformed;
use crate::index::rows::entries::EntryRow;
use crate::index::rows::row::{IndexRow, byte_range, checked, typed, typed_key};
use crate::index::rows::values::Touch;
use crate::index::schema::Family;

/// An open index, read-only or not.
pub struct View {
    database: Database,
}

impl View {
    /// Opens an existing index for writing, or with `create` makes an empty one in an empty folder.
    pub(in crate::index) fn open_writable(path: &Path, create: bool) -> Result<Self> {
        let mode = if create { OpenMode::Create } else { OpenMode::Write };
        Ok(Self { database: Database::open_writable(path, mode)? })
    }

    /// Opens an index for writing whose log lost its end, as it was before that.
    pub(in crate::index) fn open_cut(path: &Path) -> Result<Self> {
        Ok(Self { database: Database::open_writable(path, OpenMode::WriteCut)? })
    }

    /// Opens an index without changing a file. The state it shows is not proven to be consistent: see `reader`.
    pub(in crate::index) fn open_read_only(path: &Path) -> Result<Self> {
        Ok(Self { database: Database::open_read_only(path)? })
    }

    /// The index's folder.
    pub fn path(&self) -> &Path {
        self.database.path()
    }

    /// The database under it.
    pub(in crate::index) fn database(&self) -> &Database {
        &self.database
    }

    /// The rows of a family from key `start` on, in key order, up to but without `end`.
    pub(in crate::index) fn raw_range<'a>(
        &'a self,
        family: Family,
        start: &[u8],
        end: Option<Vec<u8>>,
    ) -> impl Iterator<Item = Result<RawRow>> + use<'a> {
        self.database.range(family, start, end)
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
        self.database.last(R::FAMILY)?.map(typed::<R>).transpose()
    }

    /// The last key of a family.
    ///
    /// # Errors
    /// As all reads.
    pub fn last_key<R: IndexRow>(&self) -> Result<Option<R::Key>> {
        self.database.last(R::FAMILY)?.map(|(key, _)| typed_key::<R>(&key)).transpose()
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
            // Few indexes have such an entry: the sweeps are read at the first one.
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
    pub(in crate::index) fn sequence(&self) -> u64 {
        self.database.sequence()
    }

    /// Checks that the database has all writes up to number `synced`, which were known to have reached the disk before it was opened.
    ///
    /// # Errors
    /// [`IndexError::LostTail`].
    pub(in crate::index) fn check_synced(&self, synced: u64) -> Result<()> {
        check_synced(self.path(), self.sequence(), synced)
    }

    /// The size of its files on disk, in bytes.
    ///
    /// # Errors
    /// [`IndexError::Io`].
    pub fn bytes_on_disk(&self) -> Result<u64> {
        let mut bytes = 0;
        for file in fs::read_dir(self.path()).map_err(IndexError::io(self.path()))? {
            // A file that was deleted meanwhile takes no space.
            bytes += file.and_then(|file| file.metadata()).map_or(0, |file| file.len());
        }
        Ok(bytes)
    }
}

impl RawRows for View {
    fn raw_get(&self, family: Family, key: &[u8]) -> Result<Option<Vec<u8>>> {
        self.database.raw_get(family, key)
    }

    fn raw_prefix<'a>(&'a self, family: Family, prefix: &[u8]) -> impl Iterator<Item = Result<RawRow>> + use<'a> {
        self.database.raw_prefix(family, prefix)
    }
}
