//! The connection to the bench's node.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use bitcoincore_rpc::{Auth, Client, RpcApi};

/// A client of the regtest node whose directory is `datadir`, at `url`. One per thread: a client has one socket.
pub fn connect(url: &str, datadir: &Path) -> Result<Client> {
    let cookie = datadir.join("regtest").join(".cookie");
    Client::new(url, Auth::CookieFile(cookie.clone()))
        .with_context(|| format!("could not connect to {url} with {}", cookie.display()))
}

/// Waits until the node's block filter index has reached `height`; false when the node keeps none.
pub fn wait_for_filters(client: &Client, height: u64) -> Result<bool> {
    loop {
        let info: serde_json::Value =
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
