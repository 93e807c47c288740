//! The memory and the rows that a stranger can make an index take: coins in as many runs of tainted and clean satoshis as can be, moved
//! thousands of times in one block.

use std::fs;
use std::time::Duration;

use coinhound::trace::MAX_SEGMENTS;

use super::traffic::bytes_on_disk;
use crate::support::chain::RegtestChain;
use crate::support::effort::{is_long, say};
use crate::support::fragments::{free, merged};
use crate::support::program::Program;
use crate::support::scene::Scene;

/// As docs/design.md has it: the bytes of a segment, and of all else that one move writes.
const SEGMENT_BYTES: u64 = 9;
const MOVE_BYTES: u64 = 2_000;
/// What a run takes that has nothing to do.
const USUAL_MEMORY: u64 = 200 << 20;

/// Backfills, and returns the most memory that the run had, in bytes.
fn peak_memory(program: &Program) -> u64 {
    let mut running = program.spawn(&["--format", "json", "backfill"]);
    let (status, mut peak) = (format!("/proc/{}/status", running.pid()), 0);
    while running.is_running() {
        let text = fs::read_to_string(&status).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
        peak = peak.max(kib.unwrap_or(0) << 10);
        std::thread::sleep(Duration::from_millis(5));
    }
    let out = running.wait(Duration::from_secs(1));
    assert_eq!(out.code, 0, "{out:#?}");
    peak
}

#[test]
fn coins_in_many_runs_take_bounded_memory_and_rows() {
    let (pairs, moves) = if is_long() { (10_000, 8_000) } else { (600, 300) };
    let most = MAX_SEGMENTS / 2;
    for (what, pairs) in [("more runs than a coin may keep", pairs), ("as many as it may keep", most)] {
        let order: Vec<u8> = [1, 2].into_iter().cycle().take(2 * pairs).collect();
        let chain: RegtestChain = merged(&order, moves);
        let block = chain.blocks().iter().map(bitcoin::Block::total_size).max().unwrap_or_default();
        let scene = Scene::of(&chain).with_list(vec![(free(1), 0)]);
        let program = scene.program("index").with(&["--min-taint", "1"]);
        let memory = peak_memory(&program);
        let bytes = bytes_on_disk(program.index());
        say(&format!(
            "{what}: {pairs} flagged and {pairs} clean coins merged, {moves} moves in one block, largest block {block} bytes: \
             {} MB of memory at most, {} MB on disk",
            memory >> 20,
            bytes >> 20
        ));
        let segments = if 2 * pairs > MAX_SEGMENTS { 1 } else { MAX_SEGMENTS };
        let rows = (moves + 2 * pairs) as u64 * MOVE_BYTES + (moves * segments) as u64 * SEGMENT_BYTES;
        assert!(bytes < 2 * rows + (1 << 20), "{what}: {bytes} bytes on disk, for {rows} bytes of rows at most");
        assert!(memory < USUAL_MEMORY + 8 * rows, "{what}: {memory} bytes of memory, for {rows} bytes of rows at most");
    }
}
