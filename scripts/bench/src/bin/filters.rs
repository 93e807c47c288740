//! The kernel of the filter lane beside its peers: `filters RPC_URL NODE_DATADIR NODE_PID LIST COUNT TO` matches the filters of heights
//! 0 to TO over and over, at least COUNT of them, with each contestant in turn, and prints one line of JSON for each contestant.
//!
//! * coinhound, on one thread and on all: reads the filters from the node's files, proves them against the node's filter headers,
//!   matches them. Its time includes its calls to the node, as in a backfill.
//! * peer (c), the node's RPC `scanblocks` over the same heights: the node reads, matches, answers.
//! * peer (e), the `bitcoin` crate's `BlockFilterReader::match_any` over the same bytes, which are in memory already.
//!
//! All must find the same blocks.

use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};
use bench_peers::node::{self, blocks, connect_for_long, cpu_seconds, wait_for_filters};
use bench_peers::{list, results};
use bitcoin::bip158::BlockFilterReader;
use bitcoin::hashes::Hash;
use bitcoin::{BlockHash, ScriptBuf};
use bitcoincore_rpc::{Client, RpcApi};
use coinhound::chain::BlockId;
use coinhound::node::Filters;
use coinhound::scan::{Matcher, Needles};
use nix::sys::resource::{UsageWho, getrusage};
use rayon::{ThreadPool, ThreadPoolBuilder};
use serde_json::{Value, json};

/// Filters that the filter lane asks for at once.
const AT_ONCE: usize = 512;

/// The time of one contestant, pass by pass.
struct Clock {
    name: String,
    role: &'static str,
    walls_s: Vec<f64>,
    own_cpu_s: f64,
    node_cpu_s: f64,
}

impl Clock {
    fn new(name: impl Into<String>, role: &'static str) -> Self {
        Self { name: name.into(), role, walls_s: Vec::new(), own_cpu_s: 0.0, node_cpu_s: 0.0 }
    }

    /// Times one pass. Errors: it finds other heights than `right`.
    fn time(&mut self, pid: &str, right: &[u32], pass: impl FnOnce() -> Result<Vec<u32>>) -> Result<()> {
        let (own, node, start) = (own_cpu()?, cpu_seconds(pid)?, Instant::now());
        let found = pass().with_context(|| format!("'{}' failed", self.name))?;
        self.walls_s.push(start.elapsed().as_secs_f64());
        self.own_cpu_s += own_cpu()? - own;
        self.node_cpu_s += cpu_seconds(pid)? - node;
        ensure!(found == right, "'{}' finds the blocks {found:?}, the others {right:?}", self.name);
        Ok(())
    }

    fn line(&self, list: usize, heights: usize) -> Value {
        let walls_ns: Vec<f64> = self.walls_s.iter().map(|wall_s| wall_s / heights as f64 * 1e9).collect();
        let all = (heights * self.walls_s.len()) as f64;
        json!({
            "table": "matching",
            "contestant": self.name,
            "role": self.role,
            "list": list,
            "filters": heights * self.walls_s.len(),
            "least_ns": walls_ns.iter().copied().fold(f64::INFINITY, f64::min),
            "most_ns": walls_ns.iter().copied().fold(0.0, f64::max),
            "wall_ns": results::median(walls_ns),
            "client_cpu_ns": self.own_cpu_s / all * 1e9,
            "node_cpu_ns": self.node_cpu_s / all * 1e9,
        })
    }
}

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [url, datadir, pid, list, count, to] = args.as_slice() else {
        bail!("usage: filters RPC_URL NODE_DATADIR NODE_PID LIST COUNT TO");
    };
    let (count, to): (usize, u32) =
        (count.parse().context("COUNT is a number")?, to.parse().context("TO is a height")?);
    let scripts = list::read(Path::new(list))?;
    let client = connect_for_long(url, Path::new(datadir))?;
    ensure!(wait_for_filters(&client, client.get_block_count()?)?, "the node keeps no filter index");
    let blocks = blocks(&client, to)?;
    let asked = node::coinhound(url, Path::new(datadir))?;
    let filters = asked.filters(&asked.capabilities(&asked.info()?)?)?;
    ensure!(filters.source() == "files", "the node's filter files can't be read: this is about them");
    let needles = Needles::new(scripts.iter().map(|script| script.as_script()));
    ensure!(needles.left_out() == 0, "filters leave out a script of {list}");

    let bytes = read(&filters, &blocks, || (), |(), _, filter| filter.to_vec())?;
    let query = json!(scripts.iter().map(|script| format!("raw({script:x})")).collect::<Vec<_>>());
    let right = with_bitcoin(&blocks, &bytes, &scripts)?;
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let mut pools = vec![(pool(1)?, Clock::new("coinhound: read, prove, match; 1 thread", "coinhound"))];
    if cores > 1 {
        let name = format!("coinhound: read, prove, match; {cores} threads");
        pools.push((pool(cores)?, Clock::new(name, "coinhound-all")));
    }
    let mut scanblocks = Clock::new("the node: scanblocks", "scanblocks");
    let mut bitcoin = Clock::new("bitcoin crate: match_any, bytes in memory; 1 thread", "bitcoin");
    for _ in 0..count.div_ceil(blocks.len()) {
        for (pool, clock) in &mut pools {
            clock.time(pid, &right, || pool.install(|| with_coinhound(&filters, &blocks, &needles)))?;
        }
        scanblocks.time(pid, &right, || with_node(&client, &blocks, &query))?;
        bitcoin.time(pid, &right, || with_bitcoin(&blocks, &bytes, &scripts))?;
    }
    for clock in pools.iter().map(|(_, clock)| clock).chain([&scanblocks, &bitcoin]) {
        results::print(&clock.line(scripts.len(), blocks.len()));
    }
    Ok(())
}

fn pool(threads: usize) -> Result<ThreadPool> {
    Ok(ThreadPoolBuilder::new().num_threads(threads).build()?)
}

/// The answer of `each` for every block's filter, in the steps of the filter lane. Errors: a filter is missing, or not the node's.
fn read<S, T: Send>(
    filters: &Filters,
    blocks: &[BlockId],
    start: impl Fn() -> S + Send + Sync,
    each: impl Fn(&mut S, BlockId, &[u8]) -> T + Send + Sync,
) -> Result<Vec<T>> {
    let mut previous = BlockHash::all_zeros();
    let mut answers = Vec::with_capacity(blocks.len());
    for part in blocks.chunks(AT_ONCE) {
        for (answer, id) in filters.inspect(previous, part, &start, &each)?.into_iter().zip(part) {
            let answer =
                answer.with_context(|| format!("the filter of block {} is missing, or not the node's", id.height))?;
            answers.push(answer);
            previous = id.hash;
        }
    }
    Ok(answers)
}

fn with_coinhound(filters: &Filters, blocks: &[BlockId], needles: &Needles) -> Result<Vec<u32>> {
    let answers =
        read(filters, blocks, Matcher::default, |matcher, id, filter| matcher.matches(filter, id.hash, needles))?;
    let mut found = Vec::new();
    for (matches, id) in answers.into_iter().zip(blocks) {
        if matches.with_context(|| format!("the filter of block {} can't be read", id.height))? {
            found.push(id.height);
        }
    }
    Ok(found)
}

fn with_node(client: &Client, blocks: &[BlockId], query: &Value) -> Result<Vec<u32>> {
    let to = blocks.len() - 1;
    let answer: Value =
        client.call("scanblocks", &["start".into(), query.clone(), 0.into(), to.into(), "basic".into()])?;
    let relevant = answer["relevant_blocks"].as_array().context("scanblocks names no blocks")?;
    let relevant: std::collections::HashSet<&str> = relevant.iter().filter_map(Value::as_str).collect();
    let heights = blocks.iter().filter(|id| relevant.contains(id.hash.to_string().as_str())).map(|id| id.height);
    Ok(heights.collect())
}

fn with_bitcoin(blocks: &[BlockId], bytes: &[Vec<u8>], scripts: &[ScriptBuf]) -> Result<Vec<u32>> {
    let mut found = Vec::new();
    for (id, bytes) in blocks.iter().zip(bytes) {
        let query = scripts.iter().map(|script| script.as_bytes());
        // Not through `BlockFilter`, which would copy the bytes first.
        let reader = BlockFilterReader::new(&id.hash);
        if reader.match_any(&mut bytes.as_slice(), query).with_context(|| format!("block {}", id.height))? {
            found.push(id.height);
        }
    }
    Ok(found)
}

/// User and system time of this process so far, in seconds.
fn own_cpu() -> Result<f64> {
    let usage = getrusage(UsageWho::RUSAGE_SELF).context("getrusage failed")?;
    Ok(node::seconds(usage.user_time()) + node::seconds(usage.system_time()))
}
