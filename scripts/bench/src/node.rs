//! The connection to the bench's node.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use bitcoin::{Block, BlockHash, Network, consensus};
use bitcoincore_rpc::jsonrpc;
use bitcoincore_rpc::{Auth, Client, RpcApi};
use coinhound::chain::{BlockId, Chain};
use coinhound::node::{Given, LaneChoice, Node, NodeAccess, NodeSettings, Origin};
use coinhound::stop::Stop;
use nix::sys::time::TimeVal;
use nix::unistd::{SysconfVar, sysconf};
use serde_json::Value;

/// Time limit for calls in which the node reads the whole chain.
const LONG: Duration = Duration::from_secs(3600);

/// A client of the regtest node whose directory is `datadir`, at `url`. One per thread: a client has one socket.
pub fn connect(url: &str, datadir: &Path) -> Result<Client> {
    let cookie = datadir.join("regtest").join(".cookie");
    Client::new(url, Auth::CookieFile(cookie.clone()))
        .with_context(|| format!("could not connect to {url} with {}", cookie.display()))
}

/// A client for calls that take longer than the 15 seconds for which that of [`connect`] waits.
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

/// coinhound's own connection to the regtest node.
pub fn coinhound(url: &str, datadir: &Path) -> Result<Node> {
    let settings = NodeSettings {
        datadir: Some(Given::new(datadir.to_owned(), Origin::Flag)),
        rpc_url: Some(Given::new(url.to_owned(), Origin::Flag)),
        lane: Given::new(LaneChoice::Auto, Origin::Flag),
        ..NodeSettings::for_chain(Chain::Regtest)
    };
    Ok(Node::new(NodeAccess::resolve(&settings)?, Stop::default()))
}

/// The active chain's blocks from genesis through height `to`.
pub fn blocks(client: &Client, to: u32) -> Result<Vec<BlockId>> {
    (0..=to)
        .map(|height| {
            let hash = client.get_block_hash(height.into());
            Ok(BlockId { height, hash: hash.with_context(|| format!("getblockhash {height} failed"))? })
        })
        .collect()
}

/// The hash of regtest's first block.
pub fn genesis() -> BlockHash {
    bitcoin::constants::genesis_block(Network::Regtest).block_hash()
}

/// A block in hex, as `submitblock` takes it.
pub fn hex(block: &Block) -> String {
    const_hex::encode(consensus::serialize(block))
}

/// Submits to the node the block at `height`, which [`hex`] encoded. Errors: the node refuses it.
pub fn submit(client: &Client, hex: &str, height: u32) -> Result<()> {
    match client.call("submitblock", &[hex.into()]).with_context(|| format!("submitblock failed at height {height}"))? {
        Value::Null => Ok(()),
        reason => bail!("the node refuses block {height}: {reason}"),
    }
}

/// Waits until the node's block filter index has reached `height`; false if the node keeps none.
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

/// A time that the system counted, in seconds.
pub fn seconds(time: TimeVal) -> f64 {
    time.tv_sec() as f64 + time.tv_usec() as f64 / 1e6
}

/// User and system time of process `pid` so far, in seconds, over all threads.
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
