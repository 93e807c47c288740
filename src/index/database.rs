//! RocksDB: its options, how a database is opened and looked at, and what its errors mean.

use std::fs;
use std::path::Path;

use rocksdb::{
    BlockBasedOptions, Cache, ColumnFamilyDescriptor, DB, DBCompressionType, DEFAULT_COLUMN_FAMILY_NAME, InfoLogger,
    LogLevel, Options, SliceTransform, statistics,
};

use super::error::{IndexError, Result};
use super::same_key::SHORT;
use super::schema::{FORMAT, FORMAT_KEY, Family};

/// Names the process that has the index open, and marks the folder as ours. Its text is read only where RocksDB's own lock says that
/// a process holds the database.
pub(super) const HOLDER_FILE: &str = "HOLDER";
/// Memtables in all: an open must stay quick, since it reads back what they hold.
const MEMTABLE_BYTES: usize = 32 << 20;
/// The write-ahead log in all.
const WAL_BYTES: u64 = 64 << 20;
const BLOCK_CACHE_BYTES: usize = 64 << 20;
/// The writer's open tables; readers keep all open, so that a table the writer deletes stays readable.
const WRITER_OPEN_FILES: i32 = 256;

/// Options of the whole database; `open_files` is -1 for all.
fn database_options(open_files: i32) -> Options {
    let mut options = Options::default();
    options.set_max_open_files(open_files);
    // Sixteen for each family and open otherwise: an index has few tables to open at once.
    options.set_max_file_opening_threads(1);
    options.set_db_write_buffer_size(MEMTABLE_BYTES);
    options.set_max_total_wal_size(WAL_BYTES);
    options.set_track_and_verify_wals_in_manifest(true);
    options.set_stats_dump_period_sec(0);
    options.set_stats_persist_period_sec(0);
    options.set_statistics_level(statistics::StatsLevel::DisableAll);
    // RocksDB's own LOG file would be rolled by every reader; its warnings go where ours go.
    options.set_info_logger(InfoLogger::new_callback_logger(LogLevel::Warn, |level, message| {
        // Every open also tells all its options, under a level of their own.
        if matches!(level, LogLevel::Warn | LogLevel::Error | LogLevel::Fatal) {
            tracing::debug!(target: "coinhound::rocksdb", "{}", message.trim_end());
        }
    }));
    options
}

fn descriptors() -> Vec<ColumnFamilyDescriptor> {
    let cache = Cache::new_lru_cache(BLOCK_CACHE_BYTES);
    let default = ColumnFamilyDescriptor::new(DEFAULT_COLUMN_FAMILY_NAME, Options::default());
    let family = |family: &Family| {
        let mut blocks = BlockBasedOptions::default();
        blocks.set_block_cache(&cache);
        blocks.set_bloom_filter(10.0, false);
        let mut options = Options::default();
        options.set_block_based_table_factory(&blocks);
        options.set_compression_type(DBCompressionType::Lz4);
        options.set_bottommost_compression_type(DBCompressionType::Zstd);
        if let Some(length) = prefix_length(*family) {
            options.set_prefix_extractor(SliceTransform::create_fixed_prefix(length));
        }
        ColumnFamilyDescriptor::new(family.name(), options)
    };
    std::iter::once(default).chain(Family::ALL.iter().map(family)).collect()
}

/// The part of a family's key by which rows are looked up one by one, mostly in vain: its bloom filter answers for that.
pub(super) fn prefix_length(family: Family) -> Option<usize> {
    match family {
        Family::Txids => Some(32),
        Family::Coins => Some(36),
        Family::SameKey => Some(SHORT),
        _ => None,
    }
}

/// Opens a database for writing, or with `create` makes one in an empty folder.
pub(super) fn open_writable(path: &Path, create: bool) -> Result<DB> {
    let mut options = database_options(WRITER_OPEN_FILES);
    options.create_if_missing(create);
    options.create_missing_column_families(create);
    DB::open_cf_descriptors(&options, path, descriptors()).map_err(|error| storage_error(path, error))
}

/// Opens a database without changing a file. The state it shows is not proven to be consistent: see `reader`.
pub(super) fn open_read_only(path: &Path) -> Result<DB> {
    let opened = DB::open_cf_descriptors_read_only(&database_options(-1), path, descriptors(), false);
    opened.map_err(|error| storage_error(path, error))
}

/// Looks at the families of a database before it is opened as one of ours: another format may have others.
///
/// # Errors
/// [`IndexError::NotAnIndex`], [`IndexError::OtherFormat`], [`IndexError::Damaged`].
pub(super) fn check_families(path: &Path) -> Result<()> {
    let found = DB::list_cf(&database_options(-1), path).map_err(|error| storage_error(path, error))?;
    if !found.iter().any(|name| name == Family::Meta.name()) {
        let path = path.to_owned();
        // A MANIFEST cut short names too few; the file that every index of ours has tells it from a stranger's database.
        return Err(match path.join(HOLDER_FILE).exists() {
            true => IndexError::Damaged { path, detail: "its MANIFEST names no column family of its own".into() },
            false => IndexError::NotAnIndex { path },
        });
    }
    let is_ours =
        |name: &String| Family::ALL.iter().any(|family| family.name() == name) || name == DEFAULT_COLUMN_FAMILY_NAME;
    if found.len() == Family::ALL.len() + 1 && found.iter().all(is_ours) {
        return Ok(());
    }
    check_format_row(path)?;
    Err(IndexError::Damaged { path: path.to_owned(), detail: "its column families are not those of its format".into() })
}

/// Looks at families and format without changing a file.
///
/// # Errors
/// As [`check_families`].
pub(super) fn check_format(path: &Path) -> Result<()> {
    check_families(path)?;
    check_format_row(path)
}

fn check_format_row(path: &Path) -> Result<()> {
    let names = [DEFAULT_COLUMN_FAMILY_NAME, Family::Meta.name()];
    let opened = DB::open_cf_for_read_only(&database_options(-1), path, names, false);
    let database = opened.map_err(|error| storage_error(path, error))?;
    let meta = database.cf_handle(Family::Meta.name()).expect("it was opened");
    let format = database.get_cf(meta, FORMAT_KEY).map_err(|error| storage_error(path, error))?;
    match format.and_then(|bytes| bytes.try_into().ok()).map(u32::from_be_bytes) {
        Some(format) if format != FORMAT => {
            Err(IndexError::OtherFormat { path: path.to_owned(), found: format.to_string() })
        }
        _ => Ok(()),
    }
}

pub(super) fn storage_error(path: &Path, error: rocksdb::Error) -> IndexError {
    let path = path.to_owned();
    let detail = error.to_string();
    if detail.contains("No space left") {
        return IndexError::Full { path };
    }
    if detail.contains("/LOCK:") || detail.contains("lock hold by") {
        let holder = fs::read_to_string(path.join(HOLDER_FILE)).unwrap_or_default();
        let holder = if holder.trim().is_empty() { "another process".to_owned() } else { holder.trim().to_owned() };
        return IndexError::InUse { path, holder };
    }
    match error.kind() {
        rocksdb::ErrorKind::Corruption => IndexError::Damaged { path, detail },
        rocksdb::ErrorKind::InvalidArgument if detail.contains("olumn famil") => IndexError::Damaged { path, detail },
        rocksdb::ErrorKind::IOError if detail.contains("No such file") => IndexError::Damaged { path, detail },
        _ => IndexError::Storage { path, detail },
    }
}
