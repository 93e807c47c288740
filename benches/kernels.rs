//! The kernels of a scan, each by itself: `cargo bench --bench kernels -- parse` (or match, spends, filters, proof,
//! commit).
//!
//! `filters` cycles through a thousand different filters of a full block's size: with a single filter, the processor's branch predictor
//! learns its bits, and every figure is several times too good. Its peer is the `bitcoin` crate's matcher. Each figure is the time per
//! block, or per filter. `match` and `spends` scan one block over and over, so that its lookups stay in the processor's caches: to
//! compare a large list with a small one, run `scripts/bench/run --growth`.
//!
//! `commit` derives the rows of a block's records and commits them to an index that is empty at first: with the sync to disk that every
//! batch with events gets, and without it. No block with records goes without; the difference is the cost of the sync.
#![allow(missing_docs, reason = "criterion's macros make undocumented functions")]
#![expect(clippy::unwrap_used, reason = "a bench that can't go on ends")]

use std::collections::HashSet;
use std::hint::black_box;
use std::time::Duration;

use bitcoin::bip158::{BlockFilter, FilterHash, GcsFilterWriter};
use bitcoin::block::Header;
use bitcoin::consensus::deserialize;
use bitcoin::hashes::Hash;
use bitcoin::{Amount, Block, BlockHash, OutPoint, Script, ScriptBuf, Transaction, TxOut, Txid};
use coinhound::chain::{Chain, Height};
use coinhound::index::derive::{Marks, derive};
use coinhound::index::events::Seen;
use coinhound::index::keys::TxPosition;
use coinhound::index::meta::{Identity, TraceParameters};
use coinhound::index::sweeps::{MAIN_SWEEP, Sweep};
use coinhound::index::values::Record;
use coinhound::index::{ReadRows, Writer};
use coinhound::scan::{CoinSet, Matcher, Needles, OutPointHasher, ScriptMap, scan};
use coinhound::sync::apply::events;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};

/// A real block of 2,500 transactions.
const BLOCK: &[u8] = include_bytes!("../tests/data/blocks/mainnet-702861.bin");
/// Filters in the cycle, each different.
const FILTERS: u32 = 1024;
/// Values in each filter: about as many as in those of recent full blocks.
const VALUES: u32 = 8460;
/// Lengths of the lists.
const LISTS: [u32; 4] = [6, 1_000, 100_000, 1_000_000];

/// A script that differs with `n`, of the lengths and in the proportions that are usual on the chain.
fn script(purpose: u8, n: u32) -> ScriptBuf {
    let mut bytes = vec![purpose; [22, 22, 22, 25, 23, 34, 34][n as usize % 7]];
    bytes[2..6].copy_from_slice(&n.to_be_bytes());
    ScriptBuf::from_bytes(bytes)
}

fn list(length: u32) -> Vec<ScriptBuf> {
    (0..length).map(|n| script(0x51, n)).collect()
}

#[expect(clippy::little_endian_bytes, reason = "SipHash's key is little-endian")]
fn filter(number: u32) -> (BlockHash, Vec<u8>) {
    let block = BlockHash::hash(&number.to_be_bytes());
    let bytes = block.to_byte_array();
    let [key_0, key_1] = [0, 8].map(|at| u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap()));
    let mut filter = Vec::new();
    let mut writer = GcsFilterWriter::new(&mut filter, key_0, key_1, 784_931, 19);
    (0..VALUES).for_each(|n| writer.add_element(script(0x52, number * VALUES + n).as_bytes()));
    writer.finish().unwrap();
    (block, filter)
}

/// Scans [`BLOCK`] for these scripts and coins; gives the number of transactions that may touch them.
fn scan_block(header: &Header, scripts: &ScriptMap<()>, coins: &CoinSet, hasher: &OutPointHasher) -> usize {
    scan(BLOCK.to_vec(), header, None, scripts, coins, hasher).unwrap().candidates().len()
}

fn blocks(criterion: &mut Criterion) {
    let header: Header = deserialize(&BLOCK[..Header::SIZE]).unwrap();
    let hasher = OutPointHasher::default();
    let none = CoinSet::default();
    let mut group = criterion.benchmark_group("parse");
    group.throughput(Throughput::Bytes(BLOCK.len() as u64));
    group.bench_function("no scripts, no coins", |bench| {
        bench.iter(|| scan_block(&header, &ScriptMap::default(), &none, &hasher))
    });
    group.finish();

    let mut group = criterion.benchmark_group("match");
    group.throughput(Throughput::Bytes(BLOCK.len() as u64));
    for length in LISTS {
        let scripts: ScriptMap<_> = list(length).iter().map(|script| script.as_script()).collect();
        group.bench_function(BenchmarkId::new("scripts", length), |bench| {
            bench.iter(|| scan_block(&header, &scripts, &none, &hasher))
        });
    }
    group.finish();

    let mut group = criterion.benchmark_group("spends");
    group.throughput(Throughput::Bytes(BLOCK.len() as u64));
    for length in LISTS {
        let txid = Txid::all_zeros();
        let coins = CoinSet::new((0..length).map(|vout| hasher.of(&OutPoint { txid, vout })).collect());
        group.bench_function(BenchmarkId::new("coins", length), |bench| {
            bench.iter(|| scan_block(&header, &ScriptMap::default(), &coins, &hasher));
        });
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

/// Scripts that are flagged from genesis on.
struct Listed(HashSet<ScriptBuf>);

impl Marks for Listed {
    fn flagged_from(&self, script: &Script) -> Option<Height> {
        self.0.contains(script).then_some(0)
    }

    fn is_service(&self, _: &Script) -> bool {
        false
    }
}

/// A transaction as a record, whose inputs spend the value of its outputs and a fee.
fn record(number: u32, transaction: Transaction) -> (Txid, Record) {
    let out: Amount = transaction.output.iter().map(|output| output.value).sum();
    let spent =
        |vin: u32| TxOut { value: out + Amount::from_sat(500), script_pubkey: script(0x53, number * 1000 + vin) };
    let spent = (0..).zip(&transaction.input).map(|(vin, _)| spent(vin)).collect();
    // The hashes that prove one of 2,500 transactions.
    let branch = (0..12).map(|level| [level; 32]).collect();
    (transaction.compute_txid(), Record { transaction, spent, branch })
}

/// Commits a block's step: its header, the rows of its records, their events if `with_events`, the position of the sweep.
fn commit_block(
    writer: &Writer,
    listed: &Listed,
    header: &Header,
    height: Height,
    records: &[(Txid, Record)],
    with_events: bool,
) {
    let parameters = TraceParameters::default();
    let mut step = writer.step();
    step.put(&height, header);
    for (tx_index, (txid, record)) in (1..).zip(records) {
        let at = TxPosition { height, tx_index };
        let derived = derive(
            |outpoint| Ok(step.coin_at(outpoint, height)?.map(|(_, coin)| coin)),
            &parameters,
            listed,
            at,
            *txid,
            record,
        )
        .unwrap();
        assert!(derived.is_record);
        if with_events {
            let stated = events::Stated::by(&derived.rows).unwrap();
            events::log_new(&mut step, at, &stated, Seen::Tip, false).unwrap();
        }
        step.put_all(&derived.rows);
    }
    step.put(&MAIN_SWEEP, &Sweep::Main { next: height + 1 });
    step.commit(with_events).unwrap();
}

fn commit(criterion: &mut Criterion) {
    let block: Block = deserialize(BLOCK).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let mut group = criterion.benchmark_group("commit");
    for (records, with_events) in [(0, false), (20, false), (20, true), (500, false), (500, true)] {
        let chosen: Vec<_> =
            (0..).zip(block.txdata[1..=records].iter().cloned()).map(|(n, tx)| record(n, tx)).collect();
        let listed =
            Listed(chosen.iter().map(|(_, record)| record.transaction.output[0].script_pubkey.clone()).collect());
        let identity = Identity { chain: Chain::Main, genesis: Chain::Main.genesis_hash(), challenge: None };
        let path = folder.path().join(format!("index-{records}-{with_events}"));
        let writer = Writer::create(&path, &identity, |_| Ok(())).unwrap();
        let mut height = 0;
        let name = format!("{records} records{}", if with_events { ", events, synced" } else { "" });
        group.bench_function(name, |bench| {
            bench.iter(|| {
                height += 1;
                commit_block(&writer, &listed, &block.header, height, &chosen, with_events);
            });
        });
    }
    group.finish();
}

criterion_group! {
    name = kernels;
    config = Criterion::default().warm_up_time(Duration::from_secs(1)).measurement_time(Duration::from_secs(5)).sample_size(20);
    targets = blocks, filters, commit
}
criterion_main!(kernels);
