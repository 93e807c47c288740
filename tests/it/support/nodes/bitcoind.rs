//! A real bitcoind with a folder and a port of its own for one test; it ends when it is dropped.

use std::fmt;
use std::fs::File;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use bitcoin::consensus::encode::{deserialize_hex, serialize_hex};
use bitcoin::{Block, BlockHash};
use coinhound::chain::Chain;
use coinhound::node::{Given, Node, NodeAccess, NodeSettings, Origin};
use coinhound::stop::Stop;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::records::mainnet;
use crate::support::wait::{self, PATIENCE};

/// An error that the node returned, or with code 0 the failure to get an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RpcError {
    /// The code, as in Core's `rpc/protocol.h`; 0 if there was no answer.
    pub code: i64,
    /// The message of the error.
    pub message: String,
}

impl fmt::Display for RpcError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (code {})", self.message, self.code)
    }
}

/// A node: running, stopped or killed.
pub struct Bitcoind {
    chain: &'static str,
    arguments: Vec<String>,
    dir: TempDir,
    rpc_port: u16,
    child: Option<Child>,
    agent: ureq::Agent,
}

impl Bitcoind {
    /// A regtest node with REST.
    pub fn regtest() -> Self {
        Self::regtest_with(&[])
    }

    /// A regtest node with more arguments. The last of several equal ones counts, so `-rest=0` switches REST off.
    pub fn regtest_with(arguments: &[&str]) -> Self {
        // Otherwise a node with a tip of 2011 says that it is in its initial block download.
        Self::launch("regtest", &[&["-maxtipage=10000000000"], arguments].concat())
    }

    /// A node of a signet with this challenge, in hex.
    pub fn signet(challenge: &str) -> Self {
        Self::launch("signet", &[&format!("-signetchallenge={challenge}"), "-maxtipage=10000000000"])
    }

    /// A node of the main chain without peers, at height 0: see `feed_mainnet`. It says that it is in its initial block download, unless
    /// `-maxtipage` is decades.
    pub fn mainnet_offline() -> Self {
        Self::mainnet_offline_with(&[])
    }

    /// The same with more arguments.
    pub fn mainnet_offline_with(arguments: &[&str]) -> Self {
        Self::launch("main", &[&["-minimumchainwork=0"], arguments].concat())
    }

    fn launch(chain: &'static str, arguments: &[&str]) -> Self {
        let dir = tempfile::Builder::new().prefix("coinhound-node-").tempdir().expect("a folder for the node");
        let arguments = arguments.iter().map(ToString::to_string).collect();
        let mut node = Self { chain, arguments, dir, rpc_port: 0, child: None, agent: agent() };
        // Another process may take the free port before the node does.
        for _ in 0..5 {
            node.rpc_port = free_port();
            if node.try_start() {
                return node;
            }
        }
        panic!("bitcoind doesn't start: {}", node.last_words());
    }

    /// Starts a stopped or killed node again, with the same folder, port and arguments.
    pub fn start(&mut self) {
        assert!(self.child.is_none(), "the node runs already");
        assert!(self.try_start(), "bitcoind doesn't start again: {}", self.last_words());
    }

    /// Starts the process and waits until it answers; false if it ends before.
    fn try_start(&mut self) -> bool {
        let output = File::create(self.dir.path().join("output.txt")).expect("a file of the test");
        let mut command = command(self.chain, self.datadir(), self.rpc_port);
        command
            .args(&self.arguments)
            .stdin(Stdio::null())
            .stdout(output.try_clone().expect("the same file twice"))
            .stderr(output);
        let child = command.spawn().unwrap_or_else(|error| panic!("BITCOIND={:?}: {error}", command.get_program()));
        self.child = Some(child);
        self.agent = agent();
        let end = Instant::now() + PATIENCE;
        while Instant::now() < end {
            if self.exited() {
                return false;
            }
            if self.cookie_file().exists() && self.try_rpc("getblockchaininfo", json!([])).is_ok() {
                return true;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        panic!("bitcoind doesn't answer within {PATIENCE:?}: {}", self.last_words());
    }

    /// Whether the process has ended; if so, it is forgotten.
    fn exited(&mut self) -> bool {
        let ended = match &mut self.child {
            Some(child) => child.try_wait().expect("the node is our child").is_some(),
            None => true,
        };
        if ended {
            self.child = None;
        }
        ended
    }

    /// Stops the node by RPC.
    pub fn stop(&mut self) {
        self.rpc("stop", json!([]));
        let end = Instant::now() + PATIENCE;
        while !self.exited() {
            assert!(Instant::now() < end, "bitcoind doesn't stop within {PATIENCE:?}: {}", self.last_words());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Stops the node and starts it again, with a new cookie.
    pub fn restart(&mut self) {
        self.stop();
        self.start();
    }

    /// The same, with more arguments from now on; the last of several equal ones counts.
    pub fn restart_with(&mut self, arguments: &[&str]) {
        self.stop();
        self.arguments.extend(arguments.iter().map(ToString::to_string));
        self.start();
    }

    /// Starts a stopped node, this once with more arguments.
    pub fn start_with(&mut self, arguments: &[&str]) {
        let usual = self.arguments.clone();
        self.arguments.extend(arguments.iter().map(ToString::to_string));
        self.start();
        self.arguments = usual;
    }

    /// Kills the node. Blocks that it hadn't flushed are lost when it starts again.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            // It may have ended by itself.
            child.kill().ok();
            child.wait().ok();
        }
    }

    /// Calls `method` with `params` (an array or an object). Panics if the node returns an error.
    pub fn rpc(&self, method: &str, params: Value) -> Value {
        self.try_rpc(method, params).unwrap_or_else(|error| panic!("{method}: {error}"))
    }

    /// Calls `method` with `params` (an array or an object).
    pub fn try_rpc(&self, method: &str, params: Value) -> Result<Value, RpcError> {
        let unanswered = |message: String| RpcError { code: 0, message };
        let cookie = std::fs::read_to_string(self.cookie_file()).map_err(|error| unanswered(error.to_string()))?;
        let url = format!("http://{cookie}@127.0.0.1:{}/", self.rpc_port);
        let request = json!({"jsonrpc": "2.0", "id": 0, "method": method, "params": params}).to_string();
        let sent = self.agent.post(&url).header("content-type", "application/json").send(&request);
        let mut response = sent.map_err(|error| unanswered(error.to_string()))?;
        let body = response.body_mut().with_config().limit(u64::MAX).read_to_string();
        let body = body.map_err(|error| unanswered(error.to_string()))?;
        let mut answer: Value = serde_json::from_str(&body)
            .map_err(|error| unanswered(format!("{}: {error} in '{body}'", response.status())))?;
        match &answer["error"] {
            Value::Null => Ok(answer["result"].take()),
            error => Err(RpcError {
                code: error["code"].as_i64().unwrap_or_default(),
                message: error["message"].as_str().unwrap_or_default().to_owned(),
            }),
        }
    }

    /// The status and the body at a REST path, such as `/rest/chaininfo.json`.
    pub fn rest(&self, path: &str) -> (u16, Vec<u8>) {
        let url = format!("http://127.0.0.1:{}{path}", self.rpc_port);
        let mut response = self.agent.get(&url).call().unwrap_or_else(|error| panic!("{path}: {error}"));
        let body = response.body_mut().with_config().limit(u64::MAX).read_to_vec();
        (response.status().as_u16(), body.unwrap_or_else(|error| panic!("{path}: {error}")))
    }

    /// Submits a block, which may become the tip, lie on another branch, or be known already.
    ///
    /// Panics if the node refuses it.
    pub fn submit(&self, block: &Block) {
        match self.submit_raw(&serialize_hex(block)).as_ref().map_err(String::as_str) {
            Ok(()) | Err("inconclusive" | "duplicate" | "duplicate-inconclusive") => {}
            Err(reason) => panic!("the node refuses block {}: {reason}", block.block_hash()),
        }
    }

    /// Submits a block in hex. The error is the answer of `submitblock`, unless the block became the tip.
    pub fn submit_raw(&self, hex: &str) -> Result<(), String> {
        match self.try_rpc("submitblock", json!([hex])) {
            Ok(Value::Null) => Ok(()),
            Ok(reason) => Err(reason.as_str().unwrap_or_default().to_owned()),
            Err(error) => Err(error.to_string()),
        }
    }

    /// Submits to a node of the main chain the real blocks above its tip, up to height `up_to` (599 at most).
    pub fn feed_mainnet(&self, up_to: u32) {
        let blocks = mainnet();
        let wanted = (self.height() + 1) as usize..=up_to as usize;
        assert!(
            up_to as usize + 1 == *wanted.start() || *wanted.end() < blocks.len(),
            "there are no blocks to {up_to}"
        );
        for block in &blocks[wanted] {
            self.submit(block);
        }
        assert_eq!(self.height(), up_to);
    }

    /// Makes the node call a block and its descendants invalid.
    pub fn invalidate(&self, hash: BlockHash) {
        self.rpc("invalidateblock", json!([hash]));
    }

    /// Reverses `invalidate`.
    pub fn reconsider(&self, hash: BlockHash) {
        self.rpc("reconsiderblock", json!([hash]));
    }

    /// Waits until the node's filter index has its tip.
    pub fn await_filters(&self) {
        wait::until("the filter index is synced", || {
            let index = &self.rpc("getindexinfo", json!([]))["basic block filter index"];
            index["synced"] == true && index["best_block_height"] == self.height()
        });
    }

    /// Hash of the node's tip.
    pub fn best(&self) -> BlockHash {
        hash(&self.rpc("getbestblockhash", json!([])))
    }

    /// Height of the node's tip.
    pub fn height(&self) -> u32 {
        let height = self.rpc("getblockcount", json!([]));
        height.as_u64().and_then(|height| u32::try_from(height).ok()).expect("a height is a small number")
    }

    /// Hash of the block at a height of the node's active chain; `None` above its tip.
    pub fn hash_at(&self, height: u32) -> Option<BlockHash> {
        self.try_rpc("getblockhash", json!([height])).ok().map(|answer| hash(&answer))
    }

    /// A block, as the node has it.
    pub fn block(&self, hash: BlockHash) -> Block {
        let answer = self.rpc("getblock", json!([hash, 0]));
        deserialize_hex(answer.as_str().expect("hex")).expect("the node's blocks are whole")
    }

    /// The node's `-datadir`.
    pub fn datadir(&self) -> &Path {
        self.dir.path()
    }

    /// The content of the cookie file; each start of the node makes another.
    pub fn cookie(&self) -> String {
        std::fs::read_to_string(self.cookie_file()).expect("the node is running")
    }

    /// Path of the cookie file, in the chain's own folder.
    pub fn cookie_file(&self) -> PathBuf {
        self.chain_dir().join(".cookie")
    }

    /// The folder of the chain's files.
    pub fn chain_dir(&self) -> PathBuf {
        if self.chain == "main" { self.datadir().to_owned() } else { self.datadir().join(self.chain) }
    }

    /// The port of RPC and REST at 127.0.0.1; restarts don't change it.
    pub fn rpc_port(&self) -> u16 {
        self.rpc_port
    }

    /// A handle to the node, as coinhound has it.
    pub fn handle(&self) -> Node {
        self.handle_with(self.settings(), Stop::default())
    }

    /// A handle with these settings.
    pub fn handle_with(&self, settings: NodeSettings, stop: Stop) -> Node {
        Node::new(NodeAccess::resolve(&settings).expect("good settings"), stop)
    }

    /// The settings of a handle to the node.
    pub fn settings(&self) -> NodeSettings {
        NodeSettings {
            datadir: Some(Given::new(self.datadir().to_owned(), Origin::Flag)),
            rpc_url: Some(Given::new(self.rpc_url(), Origin::Flag)),
            ..NodeSettings::for_chain(if self.chain == "main" { Chain::Main } else { Chain::Regtest })
        }
    }

    /// The URL of RPC and REST, without a slash at its end.
    pub fn rpc_url(&self) -> String {
        format!("http://127.0.0.1:{}", self.rpc_port)
    }

    /// The chain, as `-chain` names it.
    pub fn chain(&self) -> &'static str {
        self.chain
    }

    /// Id of the process, while it runs.
    pub fn pid(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
    }

    /// The ends of the node's output and log, for failure messages.
    fn last_words(&self) -> String {
        let files = [self.dir.path().join("output.txt"), self.chain_dir().join("debug.log")];
        let tail = |path: &PathBuf| {
            let text = std::fs::read(path).unwrap_or_default();
            String::from_utf8_lossy(&text[text.len().saturating_sub(1500)..]).into_owned()
        };
        files.iter().map(tail).collect::<Vec<_>>().join("\n")
    }
}

impl Drop for Bitcoind {
    fn drop(&mut self) {
        self.kill();
    }
}

/// An agent that returns answers with an error status like others.
fn agent() -> ureq::Agent {
    let config = ureq::Agent::config_builder().http_status_as_error(false).timeout_global(Some(PATIENCE)).build();
    config.into()
}

/// The command that starts a node without peers or a wallet.
pub fn command(chain: &str, datadir: &Path, rpc_port: u16) -> Command {
    let program = std::env::var_os("BITCOIND")
        .expect("BITCOIND isn't set: it must name a bitcoind (Core 25 or later, Knots) for the tests to run");
    let mut command = Command::new(program);
    command
        .arg(format!("-chain={chain}"))
        .arg(format!("-datadir={}", datadir.display()))
        .arg(format!("-rpcport={rpc_port}"))
        .args(["-listen=0", "-connect=0", "-dnsseed=0", "-fixedseeds=0", "-disablewallet", "-persistmempool=0"])
        .args(["-rest=1", "-dbcache=16", "-par=1", "-checkblocks=1", "-checklevel=0", "-printtoconsole=0"])
        // Otherwise it is content with ::1 if the port is taken on 127.0.0.1.
        .args(["-rpcbind=127.0.0.1", "-rpcallowip=127.0.0.1"]);
    command
}

/// A port that was free a moment ago, and that no other test of this process is given. It lies below those that the system usually gives to
/// whoever asks for any: so it stays free while a node restarts. Processes side by side begin at different ports.
pub fn free_port() -> u16 {
    const PORTS: std::ops::Range<u32> = 10_000..32_000;
    static TAKEN: AtomicU32 = AtomicU32::new(0);
    let count = PORTS.end - PORTS.start;
    let first = std::process::id().wrapping_mul(977) % count;
    let ports = (0..count).map(|_| PORTS.start + (first + TAKEN.fetch_add(1, Ordering::SeqCst)) % count);
    let mut ports = ports.filter_map(|port| u16::try_from(port).ok());
    ports.find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok()).expect("a free port")
}

fn hash(answer: &Value) -> BlockHash {
    answer.as_str().and_then(|text| text.parse().ok()).expect("the node answers with a block hash")
}
