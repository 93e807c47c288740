//! RocksDB: how a database is opened and looked at, its options, and what its errors mean.

use std::fs;
use std::path::Path;

use rocksdb::{
    BlockBasedIndexType, BlockBasedOptions, Cache, ColumnFamilyDescriptor, DB, DBCompressionType, DBRecoveryMode,
    DEFAULT_COLUMN_FAMILY_NAME, InfoLogger, LogLevel, Options, SliceTransform, statistics,
};

use super::error::{IndexError, Result};
use super::memory;
use super::same_key::SHORT;
use super::schema::{FORMAT, FORMAT_KEY, Family};

/// Names the process that has the index open, and marks the folder as ours. Its text is read only where RocksDB's own lock says that
/// a process holds the database.
pub(super) const HOLDER_FILE: &str = "HOLDER";
/// Memtables in all: an open must stay quick, since it reads back what they hold.
const MEMTABLE_BYTES: usize = 32 << 20;
/// The write-ahead log in all.
const WAL_BYTES: u64 = 64 << 20;
/// A table: an index of 100 GB has some 400 of them, few enough to keep all open.
const TABLE_BYTES: u64 = 256 << 20;
/// A part of a table's index or filter, which are read and cached part by part: whole, they would be some MB for each table.
const PART_BYTES: usize = 4 << 10;

/// What a database is opened for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum OpenMode {
    /// Writing.
    Write,
    /// Writing, though the end of its log is missing.
    WriteCut,
    /// Making one in an empty folder.
    Create,
}

/// Options of the whole database; `open_files` is -1 for all.
fn database_options(open_files: i32) -> Options {
    let mut options = Options::default();
    options.set_max_open_files(open_files);
    // Sixteen for each family and open otherwise: an index has few tables to open at once.
    options.set_max_file_opening_threads(1);
    options.set_db_write_buffer_size(MEMTABLE_BYTES);
    options.set_max_total_wal_size(WAL_BYTES);
    options.set_track_and_verify_wals_in_manifest(true);
    // What reads past the damage could not be the state of any moment.
    options.set_wal_recovery_mode(DBRecoveryMode::PointInTime);
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
    let cache = Cache::new_lru_cache(memory::cache_bytes());
    let default = ColumnFamilyDescriptor::new(DEFAULT_COLUMN_FAMILY_NAME, Options::default());
    let family = |family: &Family| {
        let mut blocks = BlockBasedOptions::default();
        blocks.set_block_cache(&cache);
        blocks.set_bloom_filter(10.0, false);
        // Indexes and filters take memory from the cache, not beside it: those of 100 GB would be more than a gigabyte.
        blocks.set_index_type(BlockBasedIndexType::TwoLevelIndexSearch);
        blocks.set_partition_filters(true);
        blocks.set_metadata_block_size(PART_BYTES);
        blocks.set_cache_index_and_filter_blocks(true);
        blocks.set_cache_index_and_filter_blocks_with_high_priority(true);
        blocks.set_pin_top_level_index_and_filter(true);
        let mut options = Options::default();
        options.set_target_file_size_base(TABLE_BYTES);
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

/// Opens a database for writing, or makes one in an empty folder.
pub(super) fn open_writable(path: &Path, mode: OpenMode) -> Result<DB> {
    let mut options = database_options(memory::writer_open_files());
    options.create_if_missing(mode == OpenMode::Create);
    options.create_missing_column_families(mode == OpenMode::Create);
    if mode == OpenMode::WriteCut {
        options.set_track_and_verify_wals_in_manifest(false);
    }
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

/// Looks at families and format without changing a file. Returns the number of the last write that the database has.
///
/// # Errors
/// As [`check_families`]; [`IndexError::LostTail`] where a whole log is missing or cut.
pub(super) fn check_format(path: &Path) -> Result<u64> {
    check_families(path)?;
    check_format_row(path)
}

/// Checks that a database, which has all writes up to number `found`, has those that were known to have reached the disk before it was
/// opened. Without this a damaged log would go unnoticed: RocksDB takes it for one that ends there.
///
/// # Errors
/// [`IndexError::LostTail`].
pub(super) fn check_synced(path: &Path, found: u64, synced: u64) -> Result<()> {
    if found >= synced {
        return Ok(());
    }
    let detail = format!("it breaks off at write {found}, and {synced} had reached the disk");
    Err(IndexError::LostTail { path: path.to_owned(), detail })
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
        // Where tables are newer than the log, what is left is no single state.
        rocksdb::ErrorKind::Corruption if detail.contains("WAL") && !detail.contains("ahead of WALs") => {
            IndexError::LostTail { path, detail }
        }
        rocksdb::ErrorKind::Corruption => IndexError::Damaged { path, detail },
        rocksdb::ErrorKind::InvalidArgument if detail.contains("olumn famil") => IndexError::Damaged { path, detail },
        rocksdb::ErrorKind::IOError if detail.contains("No such file") => IndexError::Damaged { path, detail },
        _ => IndexError::Storage { path, detail },
    }
}
