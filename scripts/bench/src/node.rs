//! The connection to the bench's node.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use bitcoin::{Block, BlockHash, Network, consensus};
use bitcoincore_rpc::jsonrpc;
use bitcoincore_rpc::{Auth, Client, RpcApi};
use coinhound::chain::{BlockId, Chain};
use coinhound::node::{Connection, Given, LaneChoice, Node, Origin, Settings};
use coinhound::stop::Stop;
use nix::unistd::{SysconfVar, sysconf};
use serde_json::Value;

/// For calls in which the node goes through the whole chain.
const LONG: Duration = Duration::from_secs(3600);

/// A client of the regtest node whose directory is `datadir`, at `url`. One per thread: a client has one socket.
pub fn connect(url: &str, datadir: &Path) -> Result<Client> {
    let cookie = datadir.join("regtest").join(".cookie");
    Client::new(url, Auth::CookieFile(cookie.clone()))
        .with_context(|| format!("could not connect to {url} with {}", cookie.display()))
}

/// The same, for calls that take longer than the 15 seconds which `connect` waits for an answer.
pub fn connect_for_long(url: &str, datadir: &Path) -> Result<Client> {
    let path = datadir.join("regtest").join(".cookie");
    let cookie = fs::read_to_string(&path).with_context(|| format!("could not read {}", path.display()))?;
    let transport = jsonrpc::simple_http::Builder::new()
        .url(url)
        .with_context(|| format!("{url} is no address"))?
        .cookie_auth(cookie.trim())
        .timeout(LONG)
        .build();
    Ok(Client::from_jsonrpc(jsonrpc::Client::with_transport(transport)))
}

/// coinhound's own handle to that node.
pub fn coinhound(url: &str, datadir: &Path) -> Result<Node> {
    let settings = Settings {
        datadir: Some(Given::new(datadir.to_owned(), Origin::Flag)),
        rpc_url: Some(Given::new(url.to_owned(), Origin::Flag)),
        lane: Given::new(LaneChoice::Auto, Origin::Flag),
        ..Settings::for_chain(Chain::Regtest)
    };
    Ok(Node::new(Connection::resolve(&settings)?, Stop::default()))
}

/// The active chain's blocks from genesis through height `to`.
pub fn blocks(client: &Client, to: u32) -> Result<Vec<BlockId>> {
    let hash = |height: u32| -> Result<BlockHash> {
        client.get_block_hash(height.into()).with_context(|| format!("getblockhash {height} failed"))
    };
    (0..=to).map(|height| Ok(BlockId { height, hash: hash(height)? })).collect()
}

/// The hash of regtest's first block.
pub fn genesis() -> BlockHash {
    bitcoin::constants::genesis_block(Network::Regtest).block_hash()
}

/// A block as `submitblock` takes it.
pub fn hex(block: &Block) -> String {
    const_hex::encode(consensus::serialize(block))
}

/// Hands the node a block, the one at `height`, as [`hex`] has it. Errors: it refuses the block.
pub fn submit(client: &Client, hex: &str, height: u32) -> Result<()> {
    match client.call("submitblock", &[hex.into()]).with_context(|| format!("submitblock failed at height {height}"))? {
        Value::Null => Ok(()),
        reason => bail!("the node refuses block {height}: {reason}"),
    }
}

/// Waits until the node's block filter index has reached `height`; false when the node keeps none.
pub fn wait_for_filters(client: &Client, height: u64) -> Result<bool> {
    loop {
        let info: Value =
            client.call("getindexinfo", &["basic block filter index".into()]).context("getindexinfo failed")?;
        let Some(index) = info.get("basic block filter index") else {
            return Ok(false);
        };
        if index["best_block_height"].as_u64() == Some(height) {
            return Ok(true);
        }
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// User and system time of process `pid` so far in seconds, all threads together.
pub fn cpu_seconds(pid: &str) -> Result<f64> {
    let path = format!("/proc/{pid}/stat");
    let text = fs::read_to_string(&path).with_context(|| format!("could not read {path}; has the node stopped?"))?;
    // Fields 14 and 15; the second, the name in parentheses, may hold spaces.
    let after_name = text.rsplit_once(')').with_context(|| format!("{path} has no name"))?.1;
    let mut ticks = after_name.split_whitespace().skip(11).take(2).map(str::parse::<u64>);
    let (Some(Ok(user)), Some(Ok(system))) = (ticks.next(), ticks.next()) else {
        bail!("{path} lacks utime and stime");
    };
    let a_second = sysconf(SysconfVar::CLK_TCK).context("sysconf failed")?.context("no clock tick on this system")?;
    Ok((user + system) as f64 / a_second as f64)
}
