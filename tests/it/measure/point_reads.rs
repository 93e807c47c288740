//! The time of a point read in a large index whose block cache is a small part of it. The cache is a share of the machine's memory, so
//! the test runs itself again where the system says that it has little.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use bitcoin::hashes::{Hash, sha256};
use bitcoin::{OutPoint, Txid};
use coinhound::chain::ScriptHash;
use coinhound::index::keys::CoinKey;
use coinhound::index::sweeps::{MAIN_SWEEP, Sweep};
use coinhound::index::values::Coin;
use coinhound::index::{ReadRows, Reader, Writer};

use super::traffic::bytes_on_disk;
use crate::support::effort::{is_long, say};
use crate::support::files::text;
use crate::support::random::Rng;
use crate::support::swept::identity;

/// Names the index for the run that reads it.
const INDEX: &str = "COINHOUND_POINT_READS";
/// The cache takes an eighth of the memory.
const CACHE_SHARE: u64 = 8;
const READS: u64 = 100_000;

/// The coin with this number: anywhere among the others, and hard to compress, as real ones are.
fn coin(number: u64) -> (CoinKey, Coin) {
    let hash = |salt: u64| sha256::Hash::hash(&[number.to_be_bytes(), salt.to_be_bytes()].concat()).to_byte_array();
    let outpoint = OutPoint { txid: Txid::from_byte_array(hash(1)), vout: 0 };
    (
        CoinKey { outpoint, height: 1 },
        Coin { value: number, script: ScriptHash(hash(2)), coinbase: false, columns: Vec::new() },
    )
}

fn make(path: &Path, coins: u64) {
    let writer = Writer::create(path, &identity(), |writer| {
        let mut step = writer.step();
        step.put(&MAIN_SWEEP, &Sweep::Main { next: 0 });
        step.commit(true)
    });
    let writer = writer.expect("a new index");
    let mut step = writer.step();
    for number in 0..coins {
        let (key, coin) = coin(number);
        step.put(&key, &coin);
        step.flush_if_full().expect("it is written");
    }
    step.commit(true).expect("it is written");
}

/// Reads coins at random, and as many that aren't there.
fn read(path: &Path, coins: u64) {
    let (reader, mut rng) = (Reader::open(path).expect("the index opens"), Rng::new(5));
    for (what, offset) in [("there", 0), ("not there", coins)] {
        let mut found = 0;
        let began = Instant::now();
        for _ in 0..READS.min(coins) {
            let (key, _) = coin(offset + rng.below(coins));
            found += u64::from(reader.coin_at(&key.outpoint, 2).expect("it reads").is_some());
        }
        let micros = began.elapsed().as_secs_f64() * 1e6 / READS.min(coins) as f64;
        let expected = if offset == 0 { READS.min(coins) } else { 0 };
        assert_eq!(found, expected, "coins that are {what}");
        let bytes = bytes_on_disk(path) >> 20;
        say(&format!("point reads of coins that are {what}, in an index of {bytes} MB: {micros:.1} µs each"));
    }
}

#[test]
fn a_point_read_of_a_large_index_needs_no_large_cache() {
    // A coin's row takes some 80 bytes on disk.
    let coins = if is_long() { 25_000_000 } else { 20_000 };
    if let Some(path) = std::env::var_os(INDEX) {
        return read(Path::new(&path), coins);
    }
    let folder = tempfile::tempdir().expect("a folder for the index");
    let path = folder.path().join("index");
    make(&path, coins);
    let memory = folder.path().join("meminfo");
    let kib = (bytes_on_disk(&path) / 10 * CACHE_SHARE) >> 10;
    fs::write(&memory, format!("MemTotal: {kib} kB\n")).expect("a file of the test");
    let test = std::env::current_exe().expect("a running test has a path");
    let name = "measure::point_reads::a_point_read_of_a_large_index_needs_no_large_cache";
    let script = "mount --bind \"$1\" /proc/meminfo && exec \"$0\" \"$2\" --exact --nocapture";
    let again = |means: &[&str]| {
        let mut command = Command::new("unshare");
        command.args(means).args(["sh", "-c", script, text(&test), text(&memory), name]).env(INDEX, &path);
        command.status().is_ok_and(|status| status.success())
    };
    if !again(&["--mount"]) && !again(&["--user", "--map-root-user", "--mount"]) {
        say("this system lets this user mount nothing: the cache is an eighth of its memory");
        read(&path, coins);
    }
}
