//! Peer (d), the library that wallets use: `bdk RPC_URL NODE_DATADIR LIST TO`. `bdk_bitcoind_rpc`'s `FilterIter` fetches one filter
//! after the other by RPC and reads the blocks that match; their touches are counted here.

use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};
use bdk_bitcoind_rpc::bip158::FilterIter;
use bdk_core::{BlockId, CheckPoint};
use bench_peers::list::{self, Touched};
use bench_peers::node::{connect, genesis};
use bench_peers::results::print;

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [url, datadir, list, to] = args.as_slice() else {
        bail!("usage: bdk RPC_URL NODE_DATADIR LIST TO");
    };
    let to: u32 = to.parse().context("TO is a height")?;
    let start = Instant::now();
    let scripts = list::read(Path::new(list))?;
    let mut touched = Touched::new(scripts.iter().cloned());
    let client = connect(url, Path::new(datadir))?;
    let checkpoint = CheckPoint::new(BlockId { height: 0, hash: genesis() });
    let (mut height, mut blocks) = (0, 0);
    for event in FilterIter::new(&client, checkpoint, scripts) {
        let event = event.with_context(|| format!("the filter iterator failed above height {height}"))?;
        height = event.height();
        if let Some(block) = event.block {
            blocks += 1;
            block.txdata.iter().for_each(|transaction| touched.add(transaction));
        }
        if height == to {
            break;
        }
    }
    ensure!(height == to, "the filter iterator stopped at height {height}");
    let answer = serde_json::json!({
        "blocks": blocks,
        "fundings": touched.fundings(),
        "spendings": touched.spendings,
        "touches": touched.touches(),
        "seconds": start.elapsed().as_secs_f64(),
    });
    print(&answer);
    Ok(())
}
