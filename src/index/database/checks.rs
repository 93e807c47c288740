//! What is checked of a database, without changing a file, before it is opened as an index: its families, its format, and that its log
//! has all that had reached the disk.

use std::path::Path;

use rocksdb::{DB, DEFAULT_COLUMN_FAMILY_NAME};

use super::errors::storage_error;
use super::folder::HOLDER_FILE;
use super::options::database_options;
use crate::index::error::{IndexError, Result};
use crate::index::schema::{FORMAT, FORMAT_KEY, Family};

/// Looks at the families of a database before it is opened as one of ours: another format may have others.
///
/// # Errors
/// [`IndexError::NotAnIndex`], [`IndexError::OtherFormat`], [`IndexError::Damaged`].
pub(in crate::index) fn check_families(path: &Path) -> Result<()> {
    let found = DB::list_cf(&database_options(-1), path).map_err(|error| storage_error(path, error))?;
    if !found.iter().any(|name| name == Family::Meta.name()) {
        let path = path.to_owned();
        // A MANIFEST cut short names too few; the file that every index of ours has tells it from a stranger's database.
        return Err(match path.join(HOLDER_FILE).exists() {
            true => IndexError::Damaged { path, detail: "its MANIFEST names no column family of its own".into() },
            false => IndexError::NotAnIndex { path },
        });
    }
    if found.len() == Family::ALL.len() + 1 && found.iter().all(|name| is_ours(name)) {
        return Ok(());
    }
    check_format_row(path)?;
    Err(IndexError::Damaged { path: path.to_owned(), detail: "its column families are not those of its format".into() })
}

/// Looks at families and format without changing a file. Returns the number of the last write that the database has.
///
/// # Errors
/// As [`check_families`]; [`IndexError::LostTail`] where a whole log is missing or cut.
pub(in crate::index) fn check_format(path: &Path) -> Result<u64> {
    check_families(path)?;
    check_format_row(path)
}

/// Checks that a database, which has all writes up to number `found`, has those that were known to have reached the disk before it was
/// opened. Without this a damaged log would go unnoticed: RocksDB takes it for one that ends there.
///
/// # Errors
/// [`IndexError::LostTail`].
pub(in crate::index) fn check_synced(path: &Path, found: u64, synced: u64) -> Result<()> {
    if found >= synced {
        return Ok(());
    }
    let detail = format!("it breaks off at write {found}, and {synced} had reached the disk");
    Err(IndexError::LostTail { path: path.to_owned(), detail })
}

fn is_ours(name: &str) -> bool {
    name == DEFAULT_COLUMN_FAMILY_NAME || Family::ALL.iter().any(|family| family.name() == name)
}

fn check_format_row(path: &Path) -> Result<u64> {
    let names = [DEFAULT_COLUMN_FAMILY_NAME, Family::Meta.name()];
    let opened = DB::open_cf_for_read_only(&database_options(-1), path, names, false);
    let database = opened.map_err(|error| storage_error(path, error))?;
    let meta = database.cf_handle(Family::Meta.name()).expect("it was opened");
    let format = database.get_cf(meta, FORMAT_KEY).map_err(|error| storage_error(path, error))?;
    match format.and_then(|bytes| bytes.try_into().ok()).map(u32::from_be_bytes) {
        Some(format) if format != FORMAT => {
            Err(IndexError::OtherFormat { path: path.to_owned(), found: format.to_string() })
        }
        _ => Ok(database.latest_sequence_number()),
    }
}
