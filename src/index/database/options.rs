//! The options under which RocksDB opens an index.

use rocksdb::{
    BlockBasedIndexType, BlockBasedOptions, Cache, ColumnFamilyDescriptor, DBCompressionType, DBRecoveryMode,
    DEFAULT_COLUMN_FAMILY_NAME, InfoLogger, LogLevel, Options, SliceTransform, statistics,
};

use super::memory;
use crate::index::rows::same_key::SHORT;
use crate::index::schema::Family;

/// Memtables in all: an open must stay quick, since it reads back what they hold.
const MEMTABLE_BYTES: usize = 32 << 20;
/// The write-ahead log in all.
const WAL_BYTES: u64 = 64 << 20;
/// A table: an index of 100 GB has some 400 of them, few enough to keep all open.
const TABLE_BYTES: u64 = 256 << 20;
/// A part of a table's index or filter, which are read and cached part by part: whole, they would be some MB for each table.
const PART_BYTES: usize = 4 << 10;

/// Options of the whole database; `open_files` is -1 for all.
pub(super) fn database_options(open_files: i32) -> Options {
    let mut options = Options::default();
    options.set_max_open_files(open_files);
    // Sixteen for each family and open otherwise: an index has few tables to open at once.
    options.set_max_file_opening_threads(1);
    options.set_db_write_buffer_size(MEMTABLE_BYTES);
    options.set_max_total_wal_size(WAL_BYTES);
    options.set_track_and_verify_wals_in_manifest(true);
    // What reads past the damage could not be the state of any moment.
    options.set_wal_recovery_mode(DBRecoveryMode::PointInTime);
    // Nothing here reads RocksDB's statistics.
    options.set_stats_dump_period_sec(0);
    options.set_stats_persist_period_sec(0);
    options.set_statistics_level(statistics::StatsLevel::DisableAll);
    // RocksDB's own LOG file would be rolled by every reader; its warnings go where ours go.
    options.set_info_logger(InfoLogger::new_callback_logger(LogLevel::Warn, |level, message| {
        // Every open also logs all its options, under a level of their own.
        if matches!(level, LogLevel::Warn | LogLevel::Error | LogLevel::Fatal) {
            tracing::debug!(target: "coinhound::rocksdb", "{}", message.trim_end());
        }
    }));
    options
}

pub(super) fn descriptors() -> Vec<ColumnFamilyDescriptor> {
    let cache = Cache::new_lru_cache(memory::cache_bytes());
    // RocksDB always has this family, and opens a database only if all of its families are named.
    let default = ColumnFamilyDescriptor::new(DEFAULT_COLUMN_FAMILY_NAME, Options::default());
    std::iter::once(default).chain(Family::ALL.iter().map(|family| descriptor(*family, &cache))).collect()
}

fn descriptor(family: Family, cache: &Cache) -> ColumnFamilyDescriptor {
    let mut blocks = BlockBasedOptions::default();
    blocks.set_block_cache(cache);
    // Ten bits a key: of a hundred lookups of what isn't there, about one reads the table in vain.
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
    // The lowest level has nearly all bytes and is rewritten least often.
    options.set_bottommost_compression_type(DBCompressionType::Zstd);
    if let Some(length) = prefix_length(family) {
        options.set_prefix_extractor(SliceTransform::create_fixed_prefix(length));
    }
    ColumnFamilyDescriptor::new(family.name(), options)
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
