//! Merges small tables when a run ends: each run adds one to every family that it writes to, and a job that runs for every block would fill
//! the folder with them before RocksDB merges them by itself.

use rocksdb::{BottommostLevelCompaction, CompactOptions};

use super::errors::storage_error;
use super::handle::Database;
use crate::index::error::Result;
use crate::index::schema::Family;

/// A family with more tables than this is merged.
const MOST_TABLES: usize = 2;
/// A family that is larger is left to RocksDB, which merges its small tables four at a time: merging all of it would take long.
const SMALL_FAMILY_BYTES: u64 = 16 << 20;

impl Database {
    /// Merges the tables of each small family that has more than [`MOST_TABLES`]. Reads no table where there is nothing to merge.
    pub(in crate::index) fn merge_small(&self) -> Result<()> {
        let files = self.rocksdb().live_files().map_err(|error| storage_error(self.path(), error))?;
        for family in Family::ALL {
            let sizes = files.iter().filter(|file| file.column_family_name == family.name());
            let sizes: Vec<u64> = sizes.map(|file| file.size as u64).collect();
            if sizes.len() > MOST_TABLES && sizes.iter().sum::<u64>() <= SMALL_FAMILY_BYTES {
                let mut options = CompactOptions::default();
                options.set_bottommost_level_compaction(BottommostLevelCompaction::Force);
                options.set_exclusive_manual_compaction(false);
                self.rocksdb().compact_range_cf_opt(self.family(family), None::<&[u8]>, None::<&[u8]>, &options);
            }
        }
        Ok(())
    }
}
