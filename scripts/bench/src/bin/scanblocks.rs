//! Peer (c), the node's own calls: `scanblocks RPC_URL NODE_DATADIR LIST TO`. The RPC `scanblocks` names the blocks whose filters match;
//! `getdescriptoractivity` reads them and lists the outputs that pay the scripts and the inputs that spend from them.

use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};
use bench_peers::list;
use bench_peers::node::connect_for_long;
use bench_peers::results::print;
use bitcoincore_rpc::RpcApi;
use serde::Deserialize;
use serde_json::{Value, json};

#[derive(Deserialize)]
struct Found {
    to_height: u64,
    relevant_blocks: Vec<String>,
    completed: bool,
}

#[derive(Deserialize)]
struct Activity {
    activity: Vec<Event>,
}

#[derive(Deserialize)]
struct Event {
    #[serde(rename = "type")]
    kind: String,
}

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [url, datadir, list, to] = args.as_slice() else {
        bail!("usage: scanblocks RPC_URL NODE_DATADIR LIST TO");
    };
    let to: u64 = to.parse().context("TO is a height")?;
    let start = Instant::now();
    let scripts = list::read(Path::new(list))?;
    let descriptors: Vec<Value> = scripts.iter().map(|script| format!("raw({script:x})").into()).collect();
    let client = connect_for_long(url, Path::new(datadir))?;
    let found: Found = client
        .call("scanblocks", &["start".into(), descriptors.clone().into(), 0.into(), to.into(), "basic".into()])
        .context("scanblocks failed")?;
    ensure!(found.completed && found.to_height == to, "scanblocks stopped at height {}", found.to_height);
    let scanned = start.elapsed();
    let blocks = found.relevant_blocks.len();
    let activity: Activity = client
        .call("getdescriptoractivity", &[json!(found.relevant_blocks), descriptors.into(), false.into()])
        .context("getdescriptoractivity failed")?;
    let [fundings, spendings] =
        ["receive", "spend"].map(|kind| activity.activity.iter().filter(|event| event.kind == kind).count());
    ensure!(fundings + spendings == activity.activity.len(), "getdescriptoractivity lists events of an unknown kind");
    let answer = json!({
        "blocks": blocks,
        "fundings": fundings,
        "spendings": spendings,
        "touches": fundings + spendings,
        "scanned_s": scanned.as_secs_f64(),
        "seconds": start.elapsed().as_secs_f64(),
    });
    print(&answer);
    Ok(())
}
