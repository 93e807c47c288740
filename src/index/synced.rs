//! How many writes are known to have reached the disk: a number beside the database, by which a log that was cut or damaged later is
//! told from one that a crash ended. It is written after the fact and never waited for, so it may lag, and never claims too much.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::Path;

const FILE: &str = "SYNCED";

/// Notes that so many have. Best effort: where it can't be written the old number stands, which claims less.
pub(super) fn note(path: &Path, sequence: u64) {
    let file = OpenOptions::new().write(true).create(true).truncate(false).open(path.join(FILE));
    // In one write of a fixed length: whoever reads meanwhile sees one number or the other.
    let _ = file.and_then(|mut file| file.write_all(format!("{sequence:020}\n").as_bytes()));
}

/// How many have; 0 where nobody says.
pub(super) fn read(path: &Path) -> u64 {
    let text = fs::read_to_string(path.join(FILE)).unwrap_or_default();
    if text.len() == 21 { text.trim_end().parse().unwrap_or(0) } else { 0 }
}
