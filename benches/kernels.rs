//! The kernels of a scan, each by itself: `cargo bench --bench kernels -- parse` (or match, spends, filters, proof,
//! commit).
//!
//! `filters` goes through a thousand different filters of the size of a full block's, again and again: with one filter, the
//! processor learns its bits by heart, and everything looks several times faster than it is. Its peer is the `bitcoin` crate's
//! matcher. Each figure is the time per block, or per filter. `match` and `spends` go through one block, whose lookups a processor's
//! caches come to hold: how a large list does beside a small one, only `scripts/bench/run --growth` tells.
//!
//! `commit` derives the rows of a block's records and commits them to an index that is fresh at first: with the sync of the disk that
//! every batch with messages gets, and without it, which no block with records has and which is there to tell the two apart.
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
use coinhound::index::events::{Place, Reason, Seen};
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
    let none = CoinSet::default();
    let look = |scripts: &ScriptMap<()>, coins: &CoinSet| {
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

    let mut group = criterion.benchmark_group("spends");
    group.throughput(Throughput::Bytes(BLOCK.len() as u64));
    for length in LISTS {
        let txid = Txid::all_zeros();
        let coins = CoinSet::new((0..length).map(|vout| hasher.of(&OutPoint { txid, vout })).collect());
        group.bench_function(BenchmarkId::new("coins", length), |bench| {
            bench.iter(|| look(&ScriptMap::default(), &coins));
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

/// Scripts that are flagged from the start.
struct Listed(HashSet<ScriptBuf>);

impl Marks for Listed {
    fn flagged_from(&self, script: &Script) -> Option<Height> {
        self.0.contains(script).then_some(0)
    }

    fn is_service(&self, _: &Script) -> bool {
        false
    }
}

/// A transaction as a record: its inputs spend what its outputs take, and a little more.
fn record(number: u32, transaction: Transaction) -> (Txid, Record) {
    let out: Amount = transaction.output.iter().map(|output| output.value).sum();
    let spent =
        |vin: u32| TxOut { value: out + Amount::from_sat(500), script_pubkey: script(0x53, number * 1000 + vin) };
    let spent = (0..).zip(&transaction.input).map(|(vin, _)| spent(vin)).collect();
    // As many as prove one of 2,500 transactions.
    let branch = (0..12).map(|level| [level; 32]).collect();
    (transaction.compute_txid(), Record { transaction, spent, branch })
}

/// A block's step: the header, the rows of so many records, their messages if `tells`, the sweep's position.
fn commit_block(
    writer: &Writer,
    listed: &Listed,
    header: &Header,
    height: Height,
    records: &[(Txid, Record)],
    tells: bool,
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
        if tells {
            let place = Place { height, block: header.block_hash(), time: header.time, txid: *txid, tx_index };
            let facts = events::facts(writer, place, record, &derived.rows).unwrap();
            for event in events::changes(&events::Facts::new(), &facts, Seen::Tip, Reason::Retrace) {
                step.tell(&event).unwrap();
            }
        }
        step.put_all(&derived.rows);
    }
    step.put(&MAIN_SWEEP, &Sweep::Main { next: height + 1 });
    step.commit(tells).unwrap();
}

fn commit(criterion: &mut Criterion) {
    let block: Block = deserialize(BLOCK).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let mut group = criterion.benchmark_group("commit");
    for (records, tells) in [(0, false), (20, false), (20, true), (500, false), (500, true)] {
        let chosen: Vec<_> =
            (0..).zip(block.txdata[1..=records].iter().cloned()).map(|(n, tx)| record(n, tx)).collect();
        let listed =
            Listed(chosen.iter().map(|(_, record)| record.transaction.output[0].script_pubkey.clone()).collect());
        let identity = Identity { chain: Chain::Main, genesis: Chain::Main.genesis_hash(), challenge: None };
        let path = folder.path().join(format!("index-{records}-{tells}"));
        let writer = Writer::create(&path, &identity, |_| Ok(())).unwrap();
        let mut height = 0;
        let name = format!("{records} records{}", if tells { ", messages, synced" } else { "" });
        group.bench_function(name, |bench| {
            bench.iter(|| {
                height += 1;
                commit_block(&writer, &listed, &block.header, height, &chosen, tells);
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
