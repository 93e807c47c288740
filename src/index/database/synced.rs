//! How many writes are known to have reached the disk: a number beside the database. By it, a log that was cut or damaged later is
//! distinguished from one that ends where a crash ended it. The number is written afterwards and not synced, so it may lag behind, but is never too high.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::Path;

/// The file that holds the number.
pub(super) const SYNCED_FILE: &str = "SYNCED";

/// Notes that all writes up to number `sequence` have reached the disk. Best effort: the old number, if it stays, is lower.
pub(super) fn note(path: &Path, sequence: u64) {
    let file = OpenOptions::new().write(true).create(true).truncate(false).open(path.join(SYNCED_FILE));
    // One write of a fixed length, so that a reader sees either the old number or the new one.
    let _ = file.and_then(|mut file| file.write_all(format!("{sequence:020}\n").as_bytes()));
}

/// Sets the number, also to a lower one, and waits until it is on disk.
pub(in crate::index) fn set(path: &Path, sequence: u64) -> std::io::Result<()> {
    let mut file = OpenOptions::new().write(true).create(true).truncate(false).open(path.join(SYNCED_FILE))?;
    file.write_all(format!("{sequence:020}\n").as_bytes())?;
    file.sync_all()
}

/// The number of the last write known to have reached the disk; 0 where the file is missing or does not read.
pub(in crate::index) fn read(path: &Path) -> u64 {
    let text = fs::read_to_string(path.join(SYNCED_FILE)).unwrap_or_default();
    if text.len() == 21 { text.trim_end().parse().unwrap_or(0) } else { 0 }
}
