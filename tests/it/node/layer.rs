//! The node layer against a real bitcoind (`BITCOIND` names it), and against a stub that fails in ways a real one rarely does.

use std::cell::RefCell;
use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, Once};
use std::thread;
use std::time::{Duration, Instant};

use bitcoin::block::Header;
use bitcoin::consensus::{deserialize, serialize};
use bitcoin::{Block, BlockHash, OutPoint, TxOut};
use coinhound::chain::{BlockId, Chain};
use coinhound::node::{
    Capabilities, FilterIndex, Given, LaneChoice, Node, NodeAccess, NodeError, NodeInfo, NodeSettings, Origin, Worker,
};
use coinhound::stop::Stop;
use serde_json::{Value, json};
use tempfile::TempDir;
use tracing_subscriber::filter::dynamic_filter_fn;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

const SECOND: Duration = Duration::from_secs(1);
/// A bitcoind of our own; it ends with this value.
struct Bitcoind {
    child: Child,
    dir: TempDir,
    chain: Chain,
    port: u16,
    args: Vec<String>,
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn spawn(dir: &Path, chain: Chain, port: u16, args: &[String]) -> Child {
    let program =
        std::env::var_os("BITCOIND").expect("set BITCOIND to the path of a bitcoind; scripts/bitcoind finds one");
    Command::new(program)
        .args(["-connect=0", "-listen=0", "-dnsseed=0", "-disablewallet", "-minimumchainwork=0", "-dbcache=8"])
        .arg(format!("-chain={chain}"))
        .arg(format!("-datadir={}", dir.display()))
        .arg(format!("-rpcport={port}"))
        .args(args)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("BITCOIND runs")
}

impl Bitcoind {
    fn start(chain: Chain, args: &[&str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (port, args) = (free_port(), args.iter().map(ToString::to_string).collect::<Vec<_>>());
        let node = Self { child: spawn(dir.path(), chain, port, &args), dir, chain, port, args };
        node.node().info_within(60 * SECOND).expect("bitcoind starts");
        node
    }

    fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    fn cookie_file(&self) -> PathBuf {
        let folder = if self.chain == Chain::Main { "" } else { self.chain.name() };
        self.dir.path().join(folder).join(".cookie")
    }

    fn settings(&self) -> NodeSettings {
        NodeSettings {
            datadir: Some(Given::new(self.dir.path().to_owned(), Origin::Flag)),
            rpc_url: Some(Given::new(self.url(), Origin::Flag)),
            ..NodeSettings::for_chain(self.chain)
        }
    }

    fn node(&self) -> Node {
        node(&self.settings())
    }

    fn worker(&self, choice: LaneChoice) -> Worker {
        let node = self.node();
        let capabilities = node.capabilities(&node.info().unwrap()).unwrap();
        node.lane(choice, &capabilities).unwrap().worker()
    }

    fn rpc(&self, method: &str, params: Value) -> Value {
        let cookie = std::fs::read_to_string(self.cookie_file()).unwrap();
        let url = format!("http://{cookie}@127.0.0.1:{}", self.port);
        let body = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).to_string();
        let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
        let text = agent.post(url).send(&body).unwrap().body_mut().read_to_string().unwrap();
        let answer: Value = serde_json::from_str(&text).unwrap();
        assert!(answer["error"].is_null(), "{method}: {answer}");
        answer["result"].clone()
    }

    fn generate(&self, blocks: usize) {
        self.generate_to(blocks, "raw(51)");
    }

    fn generate_to(&self, blocks: usize, descriptor: &str) {
        self.rpc("generatetodescriptor", json!([blocks, descriptor]));
    }

    fn stop(&mut self) {
        self.rpc("stop", json!([]));
        assert!(self.child.wait().unwrap().success());
    }

    fn start_again(&mut self) {
        self.child = spawn(self.dir.path(), self.chain, self.port, &self.args);
    }
}

impl Drop for Bitcoind {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn node(settings: &NodeSettings) -> Node {
    Node::new(NodeAccess::resolve(settings).unwrap(), Stop::default())
}

/// The raw blocks of the real main chain, heights 0 to 599.
fn mainnet_blocks() -> Vec<Vec<u8>> {
    let file = std::fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/mainnet-0-599.dat")).unwrap();
    let mut blocks = Vec::new();
    let mut rest = file.as_slice();
    while !rest.is_empty() {
        let (head, tail) = rest.split_at(8);
        let length: usize = deserialize::<u32>(&head[4..]).unwrap().try_into().unwrap();
        blocks.push(tail[..length].to_vec());
        rest = &tail[length..];
    }
    assert_eq!(blocks.len(), 600);
    blocks
}

#[test]
fn every_lane_gives_the_same_headers_blocks_and_spent_outputs_for_the_real_chain() {
    let bitcoind = Bitcoind::start(Chain::Main, &["-rest=1"]);
    let raw = mainnet_blocks();
    for block in &raw[1..] {
        let refusal = bitcoind.rpc("submitblock", json!([const_hex::encode(block)]));
        assert!(refusal.is_null(), "{refusal}");
    }
    let node = bitcoind.node();
    let info = node.info().unwrap();
    assert_eq!((info.blocks, info.pruned, info.chain), (599, false, Chain::Main));
    assert!(info.version >= 230_000 && info.size_on_disk > 100_000, "{info:?}");
    let able = node.capabilities(&info).unwrap();
    assert!(able.rest && able.rest_spent_outputs && able.transaction_prevouts, "{able:?}");
    assert_eq!(able.filter_index, FilterIndex::Absent);

    // As newer and older nodes would have it: each way that a worker may have to go.
    let old_rest = Capabilities { rest_spent_outputs: false, ..able.clone() };
    let old = Capabilities { version: 230_000, rest_spent_outputs: false, transaction_prevouts: false, ..able.clone() };
    let ways = [
        ("rest", LaneChoice::Rest, &able),
        ("rpc", LaneChoice::Rpc, &able),
        ("rest without spent outputs", LaneChoice::Rest, &old_rest),
        ("rest of an old node", LaneChoice::Rest, &old),
        ("rpc of an old node", LaneChoice::Rpc, &old),
    ];
    let headers: Vec<Header> = raw.iter().map(|raw| deserialize(&raw[..80]).unwrap()).collect();
    for (name, choice, capabilities) in ways {
        let lane = node.lane(choice, capabilities).unwrap();
        assert_eq!(lane.name(), choice.name());
        assert_eq!(lane.gives_spent_outputs_cheaply(), choice == LaneChoice::Rest && capabilities.rest_spent_outputs);
        let mut worker = lane.worker();
        for (first, count) in [(0, 10_000), (0, 600), (0, 500), (590, 5), (599, 10), (600, 10), (u32::MAX, 3), (3, 0)] {
            let from = usize::try_from(first).unwrap().min(600);
            let expected = &headers[from..600.min(from.saturating_add(count))];
            assert_eq!(worker.headers(first, count).unwrap(), expected, "{name} {first} {count}");
        }

        // The slow, obvious way to know what is spent.
        let mut unspent: HashMap<OutPoint, TxOut> = HashMap::new();
        let mut spends = 0;
        for (height, raw) in raw.iter().enumerate() {
            let block: Block = deserialize(raw).unwrap();
            let id = BlockId { height: height.try_into().unwrap(), hash: block.block_hash() };
            assert_eq!(worker.block(id).unwrap(), *raw, "{name} {id}");
            let mut expected = Vec::new();
            for tx in &block.txdata {
                let txid = tx.compute_txid();
                let inputs = tx.input.iter().filter(|_| !tx.is_coinbase());
                expected.push(inputs.map(|input| unspent.remove(&input.previous_output).unwrap()).collect::<Vec<_>>());
                let outputs = (0..).zip(&tx.output);
                unspent.extend(outputs.map(|(vout, output)| (OutPoint { txid, vout }, output.clone())));
            }
            for (index, (tx, expected)) in block.txdata.iter().zip(&expected).enumerate() {
                spends += expected.len();
                assert_eq!(worker.prevouts(id, tx.compute_txid(), index).unwrap(), *expected, "{name} {id} {index}");
            }
            if name == "rest" || expected.len() > 1 || height % 50 == 0 {
                assert_eq!(worker.spent_outputs(id).unwrap(), expected, "{name} {id}");
            }
        }
        assert_eq!(spends, 25);
    }
    let nowhere = BlockId { height: 5, hash: Chain::Regtest.genesis_hash() };
    let elsewhere = BlockId { height: 5, hash: headers[6].block_hash() };
    for choice in [LaneChoice::Rest, LaneChoice::Rpc] {
        let mut worker = bitcoind.worker(choice);
        assert!(matches!(worker.block(nowhere), Err(NodeError::NotOnChain(id)) if id == nowhere));
        assert!(matches!(worker.spent_outputs(nowhere), Err(NodeError::NotOnChain(_))));
        assert!(worker.block(elsewhere).is_ok(), "the hash decides which block it is");
    }
}

#[test]
fn headers_come_whole_across_calls_and_follow_a_reorg() {
    let bitcoind = Bitcoind::start(Chain::Regtest, &["-rest=1"]);
    bitcoind.generate(4100);
    let (mut rest, mut rpc) = (bitcoind.worker(LaneChoice::Auto), bitcoind.worker(LaneChoice::Rpc));
    let headers = rest.headers(0, 10_000).unwrap();
    assert_eq!(headers.len(), 4101);
    assert_eq!(rpc.headers(0, 10_000).unwrap(), headers);
    assert_eq!(headers[0].block_hash(), Chain::Regtest.genesis_hash());

    bitcoind.rpc("invalidateblock", json!([headers[4000].block_hash().to_string()]));
    // To another script, or the node would mine the very block that was just called invalid.
    bitcoind.generate_to(7, "raw(52)");
    for worker in [&mut rest, &mut rpc] {
        let now = worker.headers(3990, 10_000).unwrap();
        assert_eq!(now.len(), 17);
        assert_eq!(now[..10], headers[3990..4000]);
        assert_ne!(now[10], headers[4000]);
    }
}

#[test]
fn a_worker_outlives_a_restart_of_the_node_and_its_new_cookie() {
    let mut bitcoind = Bitcoind::start(Chain::Regtest, &["-rest=1"]);
    bitcoind.generate(3);
    let done = AtomicUsize::new(0);
    let old_cookie = std::fs::read_to_string(bitcoind.cookie_file()).unwrap();
    let workers = [bitcoind.worker(LaneChoice::Rpc), bitcoind.worker(LaneChoice::Rest)];
    let ended = Stop::default();
    thread::scope(|scope| {
        for mut worker in workers {
            let (done, ended) = (&done, ended.clone());
            scope.spawn(move || {
                while !ended.requested() {
                    let headers = worker.headers(0, 10).unwrap();
                    assert_eq!(headers.len(), 4);
                    let id = BlockId { height: 2, hash: headers[2].block_hash() };
                    assert!(worker.block(id).unwrap().len() > 80);
                    assert_eq!(worker.spent_outputs(id).unwrap(), [vec![]]);
                    done.fetch_add(1, Ordering::SeqCst);
                }
            });
        }
        let wait_for_more = || {
            let (before, end) = (done.load(Ordering::SeqCst), Instant::now() + 60 * SECOND);
            while done.load(Ordering::SeqCst) < before + 20 {
                if Instant::now() > end {
                    ended.request();
                    panic!("the workers do not get on");
                }
                thread::sleep(SECOND / 50);
            }
        };
        wait_for_more();
        bitcoind.stop();
        thread::sleep(SECOND / 2);
        bitcoind.start_again();
        wait_for_more();
        ended.request();
    });
    assert_ne!(std::fs::read_to_string(bitcoind.cookie_file()).unwrap(), old_cookie);
}

#[test]
fn a_wrong_password_fails_at_once_and_the_right_one_serves() {
    let dir = tempfile::tempdir().unwrap();
    // No cookie is written then; the harness asks with these.
    let port = free_port();
    let args = ["-rpcuser=hound".to_owned(), "-rpcpassword=right".to_owned()];
    let mut child = spawn(dir.path(), Chain::Regtest, port, &args);
    let with = |password: &str| {
        let file = dir.path().join("password");
        std::fs::write(&file, password).unwrap();
        node(&NodeSettings {
            rpc_url: Some(Given::new(format!("127.0.0.1:{port}"), Origin::Flag)),
            rpc_user: Some(Given::new("hound".into(), Origin::Flag)),
            rpc_password_file: Some(Given::new(file, Origin::Flag)),
            ..NodeSettings::for_chain(Chain::Regtest)
        })
    };
    let right = with("right\n").info_within(60 * SECOND);
    let began = Instant::now();
    let wrong = with("wrong\n").info();
    let took = began.elapsed();
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(right.is_ok(), "{right:?}");
    let error = wrong.unwrap_err();
    assert!(matches!(error, NodeError::Unauthorized { .. }), "{error}");
    assert!(error.to_string().contains("hound") && !error.to_string().contains("wrong"), "{error}");
    assert!(took < 5 * SECOND, "{took:?}");
}

#[test]
fn a_node_is_found_from_its_directory_alone() {
    let (dir, port) = (tempfile::tempdir().unwrap(), free_port());
    let conf = format!("rpcport=1\nincludeconf=more.conf\n[regtest]\nrpcport={port} # here\n");
    std::fs::write(dir.path().join("bitcoin.conf"), conf).unwrap();
    std::fs::write(dir.path().join("more.conf"), "rpccookiefile=my.cookie\nregtest.rest=1\n").unwrap();
    let mut child = spawn(dir.path(), Chain::Regtest, port, &[]);
    let settings = NodeSettings {
        datadir: Some(Given::new(dir.path().to_owned(), Origin::Flag)),
        ..NodeSettings::for_chain(Chain::Regtest)
    };
    let node = node(&settings);
    let open = node.info_within(60 * SECOND).and_then(|info| node.capabilities_within(&info, 5 * SECOND));
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(open.unwrap().rest);
    let report = node.access().report();
    let cookie = report.iter().find(|setting| setting.name == "node.rpc_cookie_file").unwrap();
    assert_eq!(cookie.value, dir.path().join("regtest/my.cookie").display().to_string());
    assert!(cookie.origin.to_string().ends_with("more.conf line 1"), "{}", cookie.origin);
}

#[test]
fn another_chain_is_an_error_at_once_and_says_which() {
    let bitcoind = Bitcoind::start(Chain::Regtest, &[]);
    let settings = NodeSettings {
        rpc_url: Some(Given::new(bitcoind.url(), Origin::Flag)),
        rpc_cookie_file: Some(Given::new(bitcoind.cookie_file(), Origin::Flag)),
        ..NodeSettings::for_chain(Chain::Main)
    };
    let error = node(&settings).info().unwrap_err();
    assert!(
        matches!(&error, NodeError::WrongChain { expected: Chain::Main, found, .. } if found == "regtest"),
        "{error}"
    );
    assert!(error.to_string().contains("--chain"), "{error}");
}

#[test]
fn a_lane_that_is_closed_is_refused_with_the_way_to_open_it() {
    let bitcoind = Bitcoind::start(Chain::Regtest, &["-rest=0", "-blockfilterindex=1"]);
    bitcoind.generate(2);
    let node = bitcoind.node();
    let info = node.info().unwrap();
    let mut able = node.capabilities(&info).unwrap();
    let end = Instant::now() + 30 * SECOND;
    while !matches!(able.filter_index, FilterIndex::Synced { through: 2 }) && Instant::now() < end {
        thread::sleep(SECOND / 10);
        able = node.capabilities_within(&info, SECOND).unwrap();
    }
    assert_eq!(able.filter_index, FilterIndex::Synced { through: 2 });
    assert!(!able.rest && !able.rest_spent_outputs);
    assert_eq!(node.lane(LaneChoice::Auto, &able).unwrap().name(), "rpc");
    let error = node.lane(LaneChoice::Rest, &able).err().unwrap();
    assert!(error.is_usage() && error.to_string().contains("rest=1"), "{error}");
    assert_eq!(
        node.lane(LaneChoice::Filters, &able).unwrap().name(),
        "rpc",
        "its blocks come by the best of the others"
    );
    assert_eq!(node.filters(&able).unwrap().source(), "files");
    let lanes = node.lanes(&info, &able);
    let conf = bitcoind.dir.path().join("bitcoin.conf").display().to_string();
    let rest = lanes.iter().find(|lane| lane.lane == "rest").unwrap();
    assert!(!rest.open && rest.how_to_open.iter().any(|line| line.contains(&conf)), "{rest:?}");
}

#[test]
fn a_pruned_block_is_an_error_at_once_that_names_the_lowest_block_left() {
    let bitcoind = Bitcoind::start(Chain::Regtest, &["-rest=1", "-prune=1", "-fastprune"]);
    bitcoind.generate(1000);
    let headers = bitcoind.worker(LaneChoice::Auto).headers(0, 2000).unwrap();
    bitcoind.rpc("pruneblockchain", json!([600]));
    let info = bitcoind.node().info().unwrap();
    let lowest = info.prune_height.unwrap();
    assert!(info.pruned && lowest > 1, "{info:?}");
    assert!(info.serves_from(lowest).is_ok());
    assert!(matches!(info.serves_from(lowest - 1), Err(NodeError::Pruned { lowest: Some(at), .. }) if at == lowest));
    let id = |height: u32| BlockId { height, hash: headers[usize::try_from(height).unwrap()].block_hash() };
    for choice in [LaneChoice::Rest, LaneChoice::Rpc] {
        let mut worker = bitcoind.worker(choice);
        for result in [worker.block(id(1)).err(), worker.spent_outputs(id(1)).err()] {
            let error = result.unwrap();
            assert!(
                matches!(error, NodeError::Pruned { height: 1, lowest: Some(at) } if at == lowest),
                "{choice}: {error}"
            );
        }
        assert!(worker.block(id(lowest)).is_ok());
    }
}

#[test]
fn a_node_that_is_down_is_reported_within_the_limit() {
    let dir = tempfile::tempdir().unwrap();
    let settings = NodeSettings {
        datadir: Some(Given::new(dir.path().to_owned(), Origin::Flag)),
        rpc_url: Some(Given::new(format!("127.0.0.1:{}", free_port()), Origin::Flag)),
        ..NodeSettings::for_chain(Chain::Regtest)
    };
    let node = node(&settings);
    let began = Instant::now();
    let error = node.info_within(SECOND / 2).unwrap_err();
    assert!(matches!(error, NodeError::Unreachable { .. }), "{error}");
    assert!(began.elapsed() < 3 * SECOND);
}

/// What the stub was asked: path or RPC method, and whether with which login.
struct Asked {
    path: String,
    body: Value,
    login: Option<String>,
}

/// A server that answers as `answer` says, byte for byte; an empty answer closes the connection, `None` never comes.
struct Stub {
    port: u16,
    asked: Arc<AtomicUsize>,
}

impl Stub {
    fn start(answer: impl FnMut(usize, &Asked) -> Option<Vec<u8>> + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let asked = Arc::new(AtomicUsize::new(0));
        let (answer, count) = (Arc::new(Mutex::new(answer)), Arc::clone(&asked));
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (answer, count) = (Arc::clone(&answer), Arc::clone(&count));
                thread::spawn(move || {
                    let mut stream = BufReader::new(stream.unwrap());
                    while let Some(asked) = read_request(&mut stream) {
                        let reply = (answer.lock().unwrap())(count.fetch_add(1, Ordering::SeqCst), &asked);
                        let Some(reply) = reply else {
                            thread::sleep(30 * SECOND);
                            return;
                        };
                        let whole = !reply.is_empty() && !reply.ends_with(CUT);
                        let reply = reply.strip_suffix(CUT).unwrap_or(&reply);
                        if stream.get_mut().write_all(reply).is_err() || !whole {
                            return;
                        }
                    }
                });
            }
        });
        Self { port, asked }
    }

    fn node(&self, dir: &Path) -> Node {
        self.node_with(dir, Stop::default())
    }

    fn node_with(&self, dir: &Path, stop: Stop) -> Node {
        let settings = NodeSettings {
            rpc_url: Some(Given::new(format!("127.0.0.1:{}", self.port), Origin::Flag)),
            rpc_cookie_file: Some(Given::new(dir.join("cookie"), Origin::Flag)),
            ..NodeSettings::for_chain(Chain::Regtest)
        };
        Node::new(NodeAccess::resolve(&settings).unwrap(), stop)
    }
}

/// At the end of a stub's answer: close the connection after it.
const CUT: &[u8] = b"<cut>";

fn read_request(stream: &mut BufReader<TcpStream>) -> Option<Asked> {
    let mut line = String::new();
    stream.read_line(&mut line).ok()?;
    let path = line.split(' ').nth(1)?.to_owned();
    let (mut length, mut login) = (0, None);
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim().split_once(": ") else { break };
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = value.parse().ok()?,
            "authorization" => login = Some(value.to_owned()),
            _ => {}
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).ok()?;
    Some(Asked { path, body: serde_json::from_slice(&body).unwrap_or_default(), login })
}

fn http(status: u16, kind: &str, body: &[u8]) -> Option<Vec<u8>> {
    let head = format!("HTTP/1.1 {status} X\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n\r\n", body.len());
    Some([head.as_bytes(), body].concat())
}

fn half(status: u16, body: &[u8]) -> Option<Vec<u8>> {
    let head = format!("HTTP/1.1 {status} X\r\nContent-Length: {}\r\n\r\n", body.len() + 1);
    Some([head.as_bytes(), body, CUT].concat())
}

fn said(status: u16, code: i32, message: &str, id: &Value) -> Option<Vec<u8>> {
    let body = json!({"result": null, "error": {"code": code, "message": message}, "id": id}).to_string();
    http(status, "application/json", body.as_bytes())
}

/// A node that is well and at its genesis block.
fn well(asked: &Asked) -> Option<Vec<u8>> {
    let genesis = bitcoin::constants::genesis_block(Chain::Regtest.network());
    let hash = genesis.block_hash().to_string();
    let result = match asked.body["method"].as_str() {
        None => return http(200, "application/octet-stream", &serialize(&genesis)),
        Some("getnetworkinfo") => json!({"version": 270_100, "subversion": "/Satoshi:27.1.0/", "warnings": ""}),
        Some("getblockchaininfo") => json!({"chain": "regtest", "blocks": 0, "headers": 0, "bestblockhash": hash,
            "initialblockdownload": true, "size_on_disk": 293, "pruned": false, "warnings": ""}),
        Some("getblockhash") => json!(hash),
        Some("getblock") => json!(const_hex::encode(serialize(&genesis))),
        Some(other) => return said(404, -32601, &format!("Method not found: {other}"), &asked.body["id"]),
    };
    let body = json!({"result": result, "error": null, "id": asked.body["id"]}).to_string();
    http(200, "application/json", body.as_bytes())
}

fn stub_lane(node: &Node, choice: LaneChoice) -> Worker {
    let able = Capabilities {
        version: 270_100,
        rest: true,
        rest_spent_outputs: false,
        transaction_prevouts: true,
        filter_index: FilterIndex::Absent,
    };
    node.lane(choice, &able).unwrap().worker()
}

fn genesis() -> BlockId {
    BlockId { height: 0, hash: Chain::Regtest.genesis_hash() }
}

fn cookie_dir(content: &str) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("cookie"), content).unwrap();
    dir
}

thread_local! {
    /// What this thread logged, while a test asks.
    static LOGGED: RefCell<Option<Vec<u8>>> = const { RefCell::new(None) };
}

/// Leads every thread's logs to what it keeps of them.
struct ToThread;

impl Write for ToThread {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        LOGGED.with_borrow_mut(|logged| logged.as_mut().map(|logged| logged.extend_from_slice(bytes)));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// What a test's thread logs while it works, at the most talkative level. One subscriber serves the whole process: several, each
/// of one thread, disable one another's log lines at times. It formats nothing for threads that didn't ask: other tests run beside.
fn logs_of(work: impl FnOnce()) -> Vec<String> {
    static START: Once = Once::new();
    START.call_once(|| {
        let asked = dynamic_filter_fn(|_, _| LOGGED.try_with(|kept| kept.borrow().is_some()).unwrap_or(false));
        let subscriber = tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_ansi(false);
        subscriber.with_writer(|| ToThread).finish().with(asked).init();
    });
    LOGGED.set(Some(Vec::new()));
    work();
    let logged = LOGGED.take().expect("it was set above");
    String::from_utf8(logged).unwrap().lines().map(ToOwned::to_owned).collect()
}

#[test]
fn over_rest_passing_trouble_is_waited_out_and_told_once() {
    let dir = cookie_dir("__cookie__:canary");
    let stub = Stub::start(|count, asked| match count {
        0 | 1 => http(503, "text/plain", b"Service temporarily unavailable: Loading block index"),
        2 => http(503, "text/plain", b"Work queue depth exceeded"),
        3 => half(200, b"half a block"),
        4 => Some(Vec::new()),
        5 => http(429, "text/plain", b""),
        _ => well(asked),
    });
    let mut worker = stub_lane(&stub.node(dir.path()), LaneChoice::Rest);
    let lines = logs_of(|| {
        let raw = worker.block(genesis()).unwrap();
        assert_eq!(deserialize::<Block>(&raw).unwrap().block_hash(), genesis().hash);
        assert_eq!(worker.block(genesis()).unwrap(), raw);
    });
    assert_eq!(stub.asked.load(Ordering::SeqCst), 8);
    let told = |part: &str| lines.iter().filter(|line| line.contains(part)).count();
    assert_eq!((told("Loading block index"), told("answers again")), (1, 1), "{lines:#?}");
    assert!(lines.len() <= 4, "{lines:#?}");
}

#[test]
fn over_rpc_passing_trouble_and_a_new_cookie_are_waited_out_without_showing_it() {
    let dir = cookie_dir("__cookie__:canary-old");
    let cookie = dir.path().join("cookie");
    let stub = Stub::start(move |count, asked| match count {
        0 => said(500, -28, "Verifying blocks…", &asked.body["id"]),
        1 => http(500, "text/plain", b"Work queue depth exceeded"),
        2 => half(200, br#"{"result":"00"#),
        3 => {
            std::fs::write(&cookie, "__cookie__:canary-new").unwrap();
            http(401, "text/html", b"")
        }
        // Base64 of the new cookie: nothing else is accepted any more.
        _ if asked.login.as_deref() == Some("Basic X19jb29raWVfXzpjYW5hcnktbmV3") => well(asked),
        _ => http(401, "text/html", b""),
    });
    let mut worker = stub_lane(&stub.node(dir.path()), LaneChoice::Rpc);
    let lines = logs_of(|| assert!(worker.block(genesis()).is_ok()));
    assert_eq!(stub.asked.load(Ordering::SeqCst), 5);
    assert!(lines.iter().any(|line| line.contains("Verifying blocks")), "{lines:#?}");
    assert!(!lines.iter().any(|line| line.contains("canary") || line.contains("X19j")), "{lines:#?}");
}

#[test]
fn a_node_of_an_older_version_is_understood() {
    let dir = cookie_dir("__cookie__:x");
    let stub = Stub::start(|_, asked| match asked.path.as_str() {
        "/rest/chaininfo.json" => http(404, "text/html", b""),
        _ => well(asked),
    });
    let node = stub.node(dir.path());
    let info = node.info().unwrap();
    assert_eq!((info.version, info.warnings.len(), info.best), (270_100, 0, genesis().hash));
    let able = node.capabilities(&info).unwrap();
    assert_eq!((able.rest, able.transaction_prevouts, able.filter_index), (false, true, FilterIndex::Absent));
}

#[test]
fn an_answer_that_cannot_be_the_nodes_is_an_error_that_says_what_it_is() {
    let dir = cookie_dir("__cookie__:x");
    let page = || http(200, "text/html", b"<html>Log in to your router</html>");
    let block_of_another = || {
        let other = bitcoin::constants::genesis_block(Chain::Main.network());
        http(200, "application/octet-stream", &serialize(&other))
    };
    type Answer = Box<dyn Fn() -> Option<Vec<u8>> + Send>;
    let cases: [(LaneChoice, Answer, &str); 10] = [
        (LaneChoice::Rest, Box::new(page), "web page"),
        (LaneChoice::Rpc, Box::new(page), "web page"),
        (LaneChoice::Rest, Box::new(|| http(200, "application/octet-stream", b"short")), "shorter than a header"),
        (LaneChoice::Rest, Box::new(block_of_another), "asked for block 0"),
        (
            LaneChoice::Rpc,
            Box::new(|| http(200, "application/json", br#"{"result":"zz","error":null,"id":0}"#)),
            "getblock",
        ),
        (LaneChoice::Rpc, Box::new(|| http(200, "application/json", b"{\"result\"")), "not JSON"),
        (LaneChoice::Rest, Box::new(|| Some(b"SSH-2.0-OpenSSH_9.2\r\n\r\n<cut>".to_vec())), "not bitcoind's HTTP"),
        (
            LaneChoice::Rest,
            Box::new(|| Some(b"HTTP/1.1 200 X\r\nContent-Length: 99999999999\r\n\r\n".to_vec())),
            "bytes",
        ),
        (LaneChoice::Rest, Box::new(|| http(302, "text/html", b"")), "302"),
        (LaneChoice::Rest, Box::new(|| http(403, "text/plain", b"")), "rpcallowip"),
    ];
    for (choice, answer, part) in cases {
        let stub = Stub::start(move |_, _| answer());
        let error = stub_lane(&stub.node(dir.path()), choice).block(genesis()).unwrap_err();
        assert!(error.to_string().contains(part), "{error}");
        assert_eq!(stub.asked.load(Ordering::SeqCst), 1, "{part}: asked once");
    }
}

#[test]
fn an_answer_to_another_question_is_not_taken() {
    let dir = cookie_dir("__cookie__:x");
    let stub =
        Stub::start(|_, _| http(200, "application/json", br#"{"result":{"version":270000},"error":null,"id":-5}"#));
    let error = stub.node(dir.path()).info().unwrap_err();
    assert!(matches!(error, NodeError::BadAnswer { .. }), "{error}");
}

#[test]
fn a_node_too_old_to_serve_is_refused() {
    let dir = cookie_dir("__cookie__:x");
    let stub = Stub::start(|_, asked| {
        let reply = String::from_utf8(well(asked)?).unwrap();
        Some(reply.replace("270100", "220000").into_bytes())
    });
    let error = stub.node(dir.path()).info().unwrap_err();
    assert!(matches!(error, NodeError::TooOld { version: 220_000 }), "{error}");
}

#[test]
fn a_node_that_never_answers_holds_nobody_past_the_limit_or_past_hanging_up() {
    let dir = cookie_dir("__cookie__:x");
    let stub = Stub::start(|_, _| None);
    let began = Instant::now();
    let error = stub.node(dir.path()).info_within(SECOND / 2).unwrap_err();
    assert!(matches!(error, NodeError::Unreachable { .. }), "{error}");
    assert!(began.elapsed() < 3 * SECOND);

    let stop = Stop::default();
    let node = stub.node_with(dir.path(), stop.clone());
    let mut worker = stub_lane(&node, LaneChoice::Rest);
    thread::scope(|scope| {
        let waiting = scope.spawn(move || worker.block(genesis()));
        thread::sleep(SECOND / 5);
        stop.request();
        node.hang_up();
        assert!(matches!(waiting.join().unwrap(), Err(NodeError::Stopped)));
    });
    assert!(began.elapsed() < 5 * SECOND);
}

#[test]
fn a_block_the_node_has_only_the_header_of_is_waited_for() {
    let dir = cookie_dir("__cookie__:x");
    let mut missing = 8;
    let stub = Stub::start(move |_, asked| match asked.body["method"].as_str() {
        None if missing > 0 => {
            missing -= 1;
            http(404, "text/plain", b"0f91 not available (not fully downloaded)")
        }
        Some("getblockheader") => {
            let body = json!({"result": {"confirmations": 1, "height": 0}, "error": null, "id": asked.body["id"]});
            http(200, "application/json", body.to_string().as_bytes())
        }
        _ => well(asked),
    });
    let mut worker = stub_lane(&stub.node(dir.path()), LaneChoice::Rest);
    assert!(worker.block(genesis()).is_ok());
}

#[test]
fn a_cookie_that_stays_refused_is_reported_with_the_way_out() {
    let dir = cookie_dir("__cookie__:x");
    let stub = Stub::start(|_, _| http(401, "text/html", b""));
    let error = stub.node(dir.path()).info_within(SECOND / 2).unwrap_err();
    assert!(matches!(error, NodeError::Unauthorized { .. }), "{error}");
    std::fs::remove_file(dir.path().join("cookie")).unwrap();
    let error = stub.node(dir.path()).info_within(SECOND / 2).unwrap_err();
    assert!(error.to_string().contains("--bitcoin-datadir"), "{error}");
}

#[test]
fn what_check_reports_can_be_written_as_json() {
    fn assert_serialize<T: serde::Serialize>(_: &T) {}
    let bitcoind = Bitcoind::start(Chain::Regtest, &["-rest=1"]);
    let node = bitcoind.node();
    let info: NodeInfo = node.info().unwrap();
    let able = node.capabilities(&info).unwrap();
    assert_serialize(&(&info, &able, node.lanes(&info, &able)));
    let report = serde_json::to_value(node.access().report()).unwrap();
    let url = report.as_array().unwrap().iter().find(|setting| setting["name"] == "node.rpc_url").unwrap();
    assert_eq!((url["value"].as_str().unwrap(), &url["origin"]), (bitcoind.url().as_str(), &json!("command line")));
    let cookie = std::fs::read_to_string(bitcoind.cookie_file()).unwrap();
    assert!(!report.to_string().contains(cookie.split(':').nth(1).unwrap()));
    let best: BlockHash = info.best;
    assert_eq!(best, Chain::Regtest.genesis_hash());
}

#[test]
fn a_node_that_cannot_be_waited_at_is_looked_at() {
    let dir = cookie_dir("__cookie__:x");
    let (old, new) = (genesis().hash, Chain::Main.genesis_hash());
    let refusals = [(-1, "waitfornewblock ( timeout )"), (-8, "out of range"), (-32601, "Method not found")];
    for (code, message) in refusals {
        let mut looks = 0;
        let stub = Stub::start(move |_, asked| match asked.body["method"].as_str() {
            Some("getbestblockhash") => {
                looks += 1;
                let tip = if looks < 4 { old } else { new };
                let body = json!({"result": tip, "error": null, "id": asked.body["id"]});
                http(200, "application/json", body.to_string().as_bytes())
            }
            _ => said(500, code, message, &asked.body["id"]),
        });
        assert_eq!(stub.node(dir.path()).wait_for_tip(old, 600 * SECOND).unwrap(), new);
        assert_eq!(stub.asked.load(Ordering::SeqCst), 5, "one try to wait, and four looks");
    }
}

#[test]
fn a_scan_for_coins_that_is_stopped_is_ended_in_the_node_too() {
    let dir = cookie_dir("__cookie__:x");
    for hang_up in [false, true] {
        let said = Arc::new(Mutex::new(Vec::new()));
        let heard = Arc::clone(&said);
        let mut aborts = 0;
        let stub = Stub::start(move |_, asked| {
            let word = asked.body["params"][0].as_str().unwrap().to_owned();
            heard.lock().unwrap().push(word.clone());
            if word == "start" {
                return None;
            }
            aborts += 1;
            // The first abort comes before the scan: there is nothing to end yet.
            let body = json!({"result": aborts > 1, "error": null, "id": 0}).to_string();
            http(200, "application/json", body.as_bytes())
        });
        let stop = Stop::default();
        let node = stub.node_with(dir.path(), stop.clone());
        thread::scope(|scope| {
            let scanning = scope.spawn(|| node.scan_unspent(&[vec![0x51].into()]));
            while said.lock().unwrap().is_empty() {
                thread::sleep(SECOND / 100);
            }
            stop.request();
            if hang_up {
                node.hang_up();
            }
            assert!(matches!(scanning.join().unwrap(), Err(NodeError::Stopped)));
        });
        assert_eq!(*said.lock().unwrap(), ["start", "abort", "abort"]);
    }
}

#[test]
fn a_scan_waits_for_anothers_and_is_made_again_where_somebody_ends_it() {
    let dir = cookie_dir("__cookie__:x");
    let mut tries = 0;
    let stub = Stub::start(move |_, asked| {
        tries += 1;
        if tries == 1 {
            return said(500, -8, "Scan already in progress, use action \"abort\" or \"status\"", &asked.body["id"]);
        }
        let coin = json!({"txid": "11".repeat(32), "vout": 1, "scriptPubKey": "51", "desc": "raw(51)#x", "amount": 1, "height": 2});
        let result = json!({"success": tries > 2, "txouts": 1, "height": 7, "bestblock": genesis().hash,
            "unspents": [coin], "total_amount": 1});
        let body = json!({"result": result, "error": null, "id": asked.body["id"]}).to_string();
        http(200, "application/json", body.as_bytes())
    });
    let scan = stub.node(dir.path()).scan_unspent(&[vec![0x51].into()]).unwrap();
    assert_eq!((scan.tip.height, scan.found.len(), scan.found[0].coinbase), (7, 1, None));
    assert_eq!(stub.asked.load(Ordering::SeqCst), 3);
}
