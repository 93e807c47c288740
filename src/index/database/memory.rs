//! How much memory and how many files the database may take, by what the machine has.

use std::fs;

/// The cache's share of the machine's memory.
const CACHE_SHARE: u64 = 8;
const LEAST_CACHE_BYTES: u64 = 32 << 20;
const MOST_CACHE_BYTES: u64 = 2 << 30;
/// Where the machine doesn't say how much memory it has.
const USUAL_MEMORY_BYTES: u64 = 1 << 30;

/// The bytes of RocksDB's block cache, which holds blocks, indexes and filters of tables: an eighth of the memory. It is taken as it fills.
pub(super) fn cache_bytes() -> usize {
    let bytes = (memory_bytes() / CACHE_SHARE).clamp(LEAST_CACHE_BYTES, MOST_CACHE_BYTES);
    usize::try_from(bytes).unwrap_or(usize::MAX)
}

/// The memory of the machine, or of the control group that this process is in, if that is less.
fn memory_bytes() -> u64 {
    let machine = fs::read_to_string("/proc/meminfo").ok().and_then(|text| total_bytes(&text));
    // `max` where there is no limit, and no number where there are no control groups.
    let groups = ["/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"];
    let group = groups.iter().filter_map(|file| fs::read_to_string(file).ok()?.trim().parse().ok()).min();
    machine.into_iter().chain(group).min().unwrap_or(USUAL_MEMORY_BYTES)
}

/// The first line of `/proc/meminfo`, in bytes.
fn total_bytes(text: &str) -> Option<u64> {
    let kibibytes: u64 = text.strip_prefix("MemTotal:")?.split_whitespace().next()?.parse().ok()?;
    kibibytes.checked_mul(1 << 10)
}

/// The tables that a writer keeps open: half of the files that this process may open, and more than an index of a terabyte has. Readers
/// keep all open, so that a table that the writer deletes stays readable.
pub(super) fn writer_open_files() -> i32 {
    #[cfg(unix)]
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    #[cfg(not(unix))]
    let limit = Some(512);
    let files = limit.map_or(8192, |limit| (limit / 2).clamp(64, 8192));
    i32::try_from(files).unwrap_or(i32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cache_is_a_share_of_the_memory_within_its_bounds() {
        assert_eq!(total_bytes("MemTotal:       16384 kB\nMemFree: 1 kB\n"), Some(16 << 20));
        assert_eq!(total_bytes("Swap: 1 kB"), None);
        let bytes = cache_bytes() as u64;
        assert!((LEAST_CACHE_BYTES..=MOST_CACHE_BYTES).contains(&bytes));
        assert!((64..=8192).contains(&writer_open_files()));
    }
}
