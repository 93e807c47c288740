//! Peer (a), the loop that a user would write: `naive RPC_URL NODE_DATADIR LIST FROM TO`. bitcoincore-rpc's `get_block` on two
//! threads, a `HashSet<ScriptBuf>` for the outputs, and at the end a search of all inputs for the coins that were found.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use anyhow::{Context, Result, bail};
use bench_peers::list;
use bench_peers::node::connect;
use bench_peers::results::print;
use bitcoin::{OutPoint, ScriptBuf};
use bitcoincore_rpc::RpcApi;

const THREADS: usize = 2;

/// The findings of one thread.
#[derive(Default)]
struct Findings {
    found: HashSet<OutPoint>,
    inputs: Vec<OutPoint>,
    blocks: u64,
    bytes: u64,
}

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [url, datadir, list, from, to] = args.as_slice() else {
        bail!("usage: naive RPC_URL NODE_DATADIR LIST FROM TO");
    };
    let (from, to) = (from.parse().context("FROM is a height")?, to.parse().context("TO is a height")?);
    let start = Instant::now();
    let scripts = list::read(Path::new(list))?.into_iter().collect();
    let next = AtomicU64::new(from);
    let parts = std::thread::scope(|scope| {
        let threads: Vec<_> =
            (0..THREADS).map(|_| scope.spawn(|| read(url, &PathBuf::from(datadir), &scripts, &next, to))).collect();
        threads
            .into_iter()
            .map(|thread| thread.join().expect("a reader doesn't panic"))
            .collect::<Result<Vec<Findings>>>()
    })?;
    let found: HashSet<OutPoint> = parts.iter().flat_map(|part| part.found.iter().copied()).collect();
    let spendings = parts.iter().flat_map(|part| &part.inputs).filter(|outpoint| found.contains(outpoint)).count();
    let answer = serde_json::json!({
        "blocks": parts.iter().map(|part| part.blocks).sum::<u64>(),
        "bytes": parts.iter().map(|part| part.bytes).sum::<u64>(),
        "fundings": found.len(),
        "spendings": spendings,
        "touches": found.len() + spendings,
        "seconds": start.elapsed().as_secs_f64(),
    });
    print(&answer);
    Ok(())
}

fn read(url: &str, datadir: &Path, scripts: &HashSet<ScriptBuf>, next: &AtomicU64, to: u64) -> Result<Findings> {
    let client = connect(url, datadir)?;
    let mut findings = Findings::default();
    loop {
        let height = next.fetch_add(1, Ordering::Relaxed);
        if height > to {
            return Ok(findings);
        }
        let hash = client.get_block_hash(height).with_context(|| format!("getblockhash {height} failed"))?;
        let block = client.get_block(&hash).with_context(|| format!("getblock {hash} failed"))?;
        findings.blocks += 1;
        findings.bytes += block.total_size() as u64;
        for transaction in &block.txdata {
            findings.inputs.extend(transaction.input.iter().map(|input| input.previous_output));
            for (vout, output) in (0..).zip(&transaction.output) {
                if scripts.contains(&output.script_pubkey) {
                    findings.found.insert(OutPoint { txid: transaction.compute_txid(), vout });
                }
            }
        }
    }
}
