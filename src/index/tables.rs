//! Merges small tables when a run ends: each run adds one to every family that it writes to, and a job that runs for every block would fill
//! the folder with them before RocksDB merges them by itself.

use rocksdb::{BottommostLevelCompaction, CompactOptions};

use super::database::storage_error;
use super::error::Result;
use super::schema::Family;
use super::view::View;

/// A family with more tables than this is merged.
const MOST_TABLES: usize = 2;
/// A family that is larger is left to RocksDB, which merges its small tables four at a time: merging all of it would take long.
const SMALL_FAMILY_BYTES: u64 = 16 << 20;

/// Merges the tables of each small family that has more than [`MOST_TABLES`]. Reads no table where there is nothing to merge.
pub(super) fn merge_small(view: &View) -> Result<()> {
    let database = view.database();
    let files = database.live_files().map_err(|error| storage_error(view.path(), error))?;
    for family in Family::ALL {
        let of_family = || files.iter().filter(|file| file.column_family_name == family.name());
        let bytes: u64 = of_family().map(|file| file.size as u64).sum();
        if of_family().count() > MOST_TABLES && bytes <= SMALL_FAMILY_BYTES {
            let mut options = CompactOptions::default();
            options.set_bottommost_level_compaction(BottommostLevelCompaction::Force);
            options.set_exclusive_manual_compaction(false);
            database.compact_range_cf_opt(view.handle(family), None::<&[u8]>, None::<&[u8]>, &options);
        }
    }
    Ok(())
}
