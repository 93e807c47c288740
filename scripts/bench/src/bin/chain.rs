//! Makes the bench's chain: `chain RPC_URL NODE_DATADIR OUT FULL_BLOCKS`. Submits each block to an empty regtest node, then
//! writes the watchlists and `manifest.json` into OUT.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::mpsc::sync_channel;
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};
use bench_peers::generator::Generator;
use bench_peers::list;
use bench_peers::manifest::{FORMAT, Filters, List, Manifest};
use bench_peers::node::{connect, hex, submit, wait_for_filters};
use bench_peers::watch::Watch;
use bitcoin::hashes::{Hash, sha256};
use bitcoin::{Block, Network, consensus, constants};
use bitcoincore_rpc::{Client, RpcApi};
use serde_json::Value;

/// Another seed makes another chain: bump [`FORMAT`] and the cached folder's name in `scripts/bench/run` with it.
const SEED: u64 = 20_261_123;
/// Full blocks whose filters are counted.
const SAMPLED_FILTERS: u32 = 40;

fn main() -> Result<()> {
    let mut args = std::env::args().skip(1);
    let (Some(url), Some(datadir), Some(out), Some(full)) = (args.next(), args.next(), args.next(), args.next()) else {
        bail!("usage: chain RPC_URL NODE_DATADIR OUT FULL_BLOCKS");
    };
    let full: u32 = full.parse().context("FULL_BLOCKS is a number of blocks")?;
    ensure!(full > 0, "FULL_BLOCKS is at least 1");
    let client = connect(&url, &PathBuf::from(datadir))?;
    let tip = client.get_block_count().context("getblockcount failed")?;
    ensure!(tip == 0, "the node is at height {tip}; the chain is made on an empty one");

    let mut generator = Generator::new(SEED, full);
    let (block_bytes, tip_hash) = generate(&mut generator, &client)?;
    let filters = sample_filters(&client, &generator)?;
    let out = PathBuf::from(out);
    let lists = generator.watches.iter().map(|watch| Ok((watch.shape.entries as u64, write_list(&out, watch)?)));
    let manifest = Manifest {
        format: FORMAT,
        seed: SEED,
        full_blocks: full,
        first_full_height: generator.first_full,
        tip_height: generator.last,
        tip_hash,
        transactions: generator.totals.transactions,
        inputs: generator.totals.inputs,
        outputs: generator.totals.outputs,
        bytes: block_bytes.iter().sum(),
        block_bytes,
        lists: lists.collect::<Result<_>>()?,
        filters,
    };
    let path = out.join("manifest.json");
    let text = serde_json::to_string(&manifest)?;
    fs::write(&path, text).with_context(|| format!("could not write {}", path.display()))
}

/// Makes every block on this thread and submits it on another one; gives the bytes by height, and the tip's hash.
#[expect(clippy::print_stderr, reason = "progress of a program that runs for minutes")]
fn generate(generator: &mut Generator, client: &Client) -> Result<(Vec<u64>, String)> {
    let genesis = constants::genesis_block(Network::Regtest);
    let mut block_bytes = vec![genesis.total_size() as u64];
    let mut tip = genesis.block_hash();
    let start = Instant::now();
    std::thread::scope(|scope| {
        let (sender, receiver) = sync_channel::<Block>(4);
        let submitter = scope.spawn(move || -> Result<()> {
            receiver.iter().zip(1..).try_for_each(|(block, height)| submit(client, &hex(&block), height))
        });
        while let Some(block) = generator.next_block()? {
            block_bytes.push(block.total_size() as u64);
            tip = block.block_hash();
            if sender.send(block).is_err() {
                break;
            }
            if block_bytes.len() % 50 == 0 {
                let mb = block_bytes.iter().sum::<u64>() / 1_000_000;
                let (height, seconds, left) = (block_bytes.len() - 1, start.elapsed().as_secs(), generator.old_coins());
                eprintln!("  block {height} of {}: {mb} MB, {seconds} s, {left} old coins left", generator.last);
            }
        }
        drop(sender);
        submitter.join().expect("the submitter doesn't panic")
    })?;
    let tip_of_node = client.get_best_block_hash().context("getbestblockhash failed")?;
    ensure!(tip == tip_of_node, "the node's tip is {tip_of_node}, not {tip}");
    Ok((block_bytes, tip.to_string()))
}

/// Writes a list as `script:HEX label` lines into `out`.
fn write_list(out: &Path, watch: &Watch) -> Result<List> {
    let entries = watch.shape.entries;
    let label = format!("bench-{entries}");
    let text: String = watch.entries.iter().map(|lock| list::line(&lock.script_pubkey(), &label)).collect();
    let file = format!("list-{entries}.txt");
    let path = out.join(&file);
    fs::write(&path, &text).with_context(|| format!("could not write {}", path.display()))?;
    Ok(List {
        file,
        sha256: sha256::Hash::hash(text.as_bytes()).to_string(),
        fundings: watch.touches.values().map(|touches| touches.fundings).sum(),
        spendings: watch.touches.values().map(|touches| touches.spendings).sum(),
        by_height: watch.touches.clone(),
    })
}

/// Counts the elements in the filters of some full blocks; nothing if the node keeps none.
fn sample_filters(client: &Client, generator: &Generator) -> Result<Option<Filters>> {
    if !wait_for_filters(client, generator.last.into())? {
        return Ok(None);
    }
    let full = generator.last - generator.first_full + 1;
    let step = (full / SAMPLED_FILTERS).max(1);
    let mut counts = Vec::new();
    for height in (generator.first_full..=generator.last).step_by(step as usize) {
        let hash = client.get_block_hash(height.into()).with_context(|| format!("getblockhash {height} failed"))?;
        let answer: Value = client
            .call("getblockfilter", &[hash.to_string().into()])
            .with_context(|| format!("getblockfilter {hash} failed"))?;
        let filter = const_hex::decode(answer["filter"].as_str().unwrap_or_default())
            .with_context(|| format!("filter of {hash} isn't hex"))?;
        let (elements, _) = consensus::deserialize_partial::<bitcoin::VarInt>(&filter)
            .with_context(|| format!("filter of {hash} is empty"))?;
        counts.push(elements.0);
    }
    let sampled = counts.len() as u64;
    Ok(counts.iter().min().zip(counts.iter().max()).map(|(least, most)| Filters {
        sampled,
        least: *least,
        mean: counts.iter().sum::<u64>() / sampled,
        most: *most,
    }))
}
