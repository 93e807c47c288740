//! The kernels of a scan, each by itself: `cargo bench --bench kernels -- parse` (or match, spends, filters, proof).
//!
//! `filters` goes through a thousand different filters of the size of a full block's, again and again: with one filter, the
//! processor learns its bits by heart, and everything looks several times faster than it is. Its peer is the `bitcoin` crate's
//! matcher. Each figure is the time per block, or per filter.
#![allow(missing_docs, reason = "criterion's macros make undocumented functions")]
#![expect(clippy::unwrap_used, reason = "a bench that can't go on ends")]

use std::hint::black_box;
use std::time::Duration;

use bitcoin::bip158::{BlockFilter, FilterHash, GcsFilterWriter};
use bitcoin::block::Header;
use bitcoin::consensus::deserialize;
use bitcoin::hashes::Hash;
use bitcoin::{BlockHash, ScriptBuf};
use coinhound::scan::{Coins, Matcher, Needles, OutPointHasher, ScriptMap, scan};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};

/// A real block of 2,500 transactions.
const BLOCK: &[u8] = include_bytes!("../tests/data/blocks/mainnet-702861.bin");
/// Different filters.
const FILTERS: u32 = 1024;
/// Values in each: as many as recent full blocks have.
const VALUES: u32 = 8460;
const LISTS: [u32; 4] = [6, 1_000, 100_000, 1_000_000];

/// Scripts that differ in `n`, of the usual lengths in the usual proportions.
fn script(purpose: u8, n: u32) -> ScriptBuf {
    let mut bytes = vec![purpose; [22, 22, 22, 25, 23, 34, 34][n as usize % 7]];
    bytes[2..6].copy_from_slice(&n.to_be_bytes());
    ScriptBuf::from_bytes(bytes)
}

fn list(length: u32) -> Vec<ScriptBuf> {
    (0..length).map(|n| script(0x51, n)).collect()
}

#[expect(clippy::little_endian_bytes, reason = "SipHash reads its key so")]
fn filter(number: u32) -> (BlockHash, Vec<u8>) {
    let block = BlockHash::hash(&number.to_be_bytes());
    let bytes = block.to_byte_array();
    let key = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap());
    let mut filter = Vec::new();
    let mut writer = GcsFilterWriter::new(&mut filter, key(0), key(8), 784_931, 19);
    (0..VALUES).for_each(|n| writer.add_element(script(0x52, number * VALUES + n).as_bytes()));
    writer.finish().unwrap();
    (block, filter)
}

fn blocks(criterion: &mut Criterion) {
    let header: Header = deserialize(&BLOCK[..Header::SIZE]).unwrap();
    let hasher = OutPointHasher::default();
    let none = Coins::default();
    let look = |scripts: &ScriptMap<()>, coins: &Coins| {
        scan(BLOCK.to_vec(), &header, None, scripts, coins, &hasher).unwrap().candidates().len()
    };
    let mut group = criterion.benchmark_group("parse");
    group.throughput(Throughput::Bytes(BLOCK.len() as u64));
    group.bench_function("nothing looked for", |bench| bench.iter(|| look(&ScriptMap::default(), &none)));
    group.finish();

    let mut group = criterion.benchmark_group("match");
    group.throughput(Throughput::Bytes(BLOCK.len() as u64));
    for length in LISTS {
        let scripts: ScriptMap<_> = list(length).iter().map(|script| script.as_script()).collect();
        group.bench_function(BenchmarkId::new("scripts", length), |bench| bench.iter(|| look(&scripts, &none)));
    }
    group.finish();
}

fn filters(criterion: &mut Criterion) {
    let filters: Vec<_> = (0..FILTERS).map(filter).collect();
    let mut group = criterion.benchmark_group("filters");
    for length in LISTS {
        let scripts = list(length);
        let needles = Needles::new(scripts.iter().map(|script| script.as_script()));
        let mut matcher = Matcher::default();
        let mut next = filters.iter().cycle();
        group.bench_function(BenchmarkId::new("coinhound", length), |bench| {
            bench.iter(|| {
                let (block, filter) = next.next().unwrap();
                matcher.matches(filter, *block, &needles).unwrap()
            });
        });
        group.bench_function(BenchmarkId::new("bitcoin", length), |bench| {
            bench.iter(|| {
                let (block, filter) = next.next().unwrap();
                BlockFilter::new(filter).match_any(block, scripts.iter().map(|script| script.as_bytes())).unwrap()
            });
        });
    }
    group.finish();

    let mut next = filters.iter().cycle();
    let mut group = criterion.benchmark_group("proof");
    group.bench_function("hash of a filter", |bench| {
        bench.iter(|| FilterHash::hash(black_box(&next.next().unwrap().1)));
    });
    group.finish();
}

criterion_group! {
    name = kernels;
    config = Criterion::default().warm_up_time(Duration::from_secs(1)).measurement_time(Duration::from_secs(5)).sample_size(20);
    targets = blocks, filters
}
criterion_main!(kernels);
