//! A stub of a node that fails in ways in which a real one rarely does.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use bitcoin::consensus::serialize;
use coinhound::chain::Chain;
use coinhound::node::{Capabilities, FilterIndex, Given, LaneChoice, Node, NodeAccess, NodeSettings, Origin, Worker};
use coinhound::stop::Stop;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::wait::PATIENCE;

/// The cookie of a new stub.
const COOKIE: &str = "__cookie__:canary-old";

/// A request to the stub.
pub struct StubRequest {
    /// The path of the URL.
    pub path: String,
    /// The JSON body; null for REST.
    pub body: Value,
    /// The Authorization header.
    pub login: Option<String>,
}

/// A server that sends the bytes that a test chooses. An empty answer closes the connection; `None` is never sent.
pub struct Stub {
    port: u16,
    requests: Arc<AtomicUsize>,
    dir: TempDir,
}

impl Stub {
    /// Starts a stub whose answers `answer` makes, from the number of the request (from 0) and the request.
    pub fn start(answer: impl FnMut(usize, &StubRequest) -> Option<Vec<u8>> + Send + 'static) -> Self {
        Self::start_in(tempfile::tempdir().unwrap(), answer)
    }

    /// The same, with the cookie file in this folder.
    pub fn start_in(dir: TempDir, answer: impl FnMut(usize, &StubRequest) -> Option<Vec<u8>> + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        std::fs::write(dir.path().join("cookie"), COOKIE).unwrap();
        let requests = Arc::new(AtomicUsize::new(0));
        let (answer, count) = (Arc::new(Mutex::new(answer)), Arc::clone(&requests));
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (answer, count) = (Arc::clone(&answer), Arc::clone(&count));
                thread::spawn(move || {
                    serve(stream.unwrap(), |request| {
                        (answer.lock().unwrap())(count.fetch_add(1, Ordering::SeqCst), request)
                    });
                });
            }
        });
        Self { port, requests, dir }
    }

    /// A handle to the stub.
    pub fn node(&self) -> Node {
        self.node_with(Stop::default())
    }

    /// A handle to the stub that this stop ends.
    pub fn node_with(&self, stop: Stop) -> Node {
        self.node_of(Chain::Regtest, stop)
    }

    /// A handle to the stub as a node of this chain.
    pub fn node_of(&self, chain: Chain, stop: Stop) -> Node {
        let settings = NodeSettings {
            rpc_url: Some(Given::new(format!("127.0.0.1:{}", self.port), Origin::Flag)),
            rpc_cookie_file: Some(Given::new(self.cookie_file(), Origin::Flag)),
            ..NodeSettings::for_chain(chain)
        };
        Node::new(NodeAccess::resolve(&settings).unwrap(), stop)
    }

    /// A worker on this lane, for a node of a recent version without filters.
    pub fn worker(&self, choice: LaneChoice) -> Worker {
        worker_of(&self.node(), choice)
    }

    /// The cookie file that handles read; it holds `COOKIE` at first.
    pub fn cookie_file(&self) -> PathBuf {
        self.dir.path().join("cookie")
    }

    /// Number of requests so far.
    pub fn requests(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }
}

/// A worker on this lane, for a node of a recent version without filters.
pub fn worker_of(node: &Node, choice: LaneChoice) -> Worker {
    let able = Capabilities {
        version: 270_100,
        rest: true,
        rest_spent_outputs: false,
        transaction_prevouts: true,
        filter_index: FilterIndex::Absent,
    };
    node.lane(choice, &able).unwrap().worker()
}

/// Answers requests until the client hangs up, or an answer is to be the last.
fn serve(stream: TcpStream, mut answer: impl FnMut(&StubRequest) -> Option<Vec<u8>>) {
    let mut stream = BufReader::new(stream);
    while let Some(request) = read_request(&mut stream) {
        let Some(reply) = answer(&request) else {
            // Longer than any call of a test waits.
            thread::sleep(4 * PATIENCE);
            return;
        };
        let is_last = reply.is_empty() || reply.ends_with(CUT);
        let reply = reply.strip_suffix(CUT).unwrap_or(&reply);
        if stream.get_mut().write_all(reply).is_err() || is_last {
            return;
        }
    }
}

/// At the end of an answer: the stub closes the connection after it.
const CUT: &[u8] = b"<cut>";

fn read_request(stream: &mut BufReader<TcpStream>) -> Option<StubRequest> {
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
    Some(StubRequest { path, body: serde_json::from_slice(&body).unwrap_or_default(), login })
}

/// An answer over HTTP.
pub fn http(status: u16, kind: &str, body: &[u8]) -> Option<Vec<u8>> {
    let head = format!("HTTP/1.1 {status} X\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n\r\n", body.len());
    Some([head.as_bytes(), body].concat())
}

/// An answer that lacks its last byte.
pub fn half(status: u16, body: &[u8]) -> Option<Vec<u8>> {
    let head = format!("HTTP/1.1 {status} X\r\nContent-Length: {}\r\n\r\n", body.len() + 1);
    Some([head.as_bytes(), body, CUT].concat())
}

/// An RPC error.
pub fn rpc_error(status: u16, code: i32, message: &str, id: &Value) -> Option<Vec<u8>> {
    let body = json!({"result": null, "error": {"code": code, "message": message}, "id": id}).to_string();
    http(status, "application/json", body.as_bytes())
}

/// The answer of a healthy node at its genesis block.
pub fn healthy(request: &StubRequest) -> Option<Vec<u8>> {
    let genesis = bitcoin::constants::genesis_block(Chain::Regtest.network());
    let hash = genesis.block_hash().to_string();
    let result = match request.body["method"].as_str() {
        None => return http(200, "application/octet-stream", &serialize(&genesis)),
        Some("getnetworkinfo") => json!({"version": 270_100, "subversion": "/Satoshi:27.1.0/", "warnings": ""}),
        Some("getblockchaininfo") => json!({"chain": "regtest", "blocks": 0, "headers": 0, "bestblockhash": hash,
            "initialblockdownload": true, "size_on_disk": 293, "pruned": false, "warnings": ""}),
        Some("getblockhash") => json!(hash),
        Some("getblock") => json!(const_hex::encode(serialize(&genesis))),
        Some(other) => return rpc_error(404, -32601, &format!("Method not found: {other}"), &request.body["id"]),
    };
    rpc_result(&result, request)
}

/// The result of an RPC call.
pub fn rpc_result(result: &Value, request: &StubRequest) -> Option<Vec<u8>> {
    let body = json!({"result": result, "error": null, "id": request.body["id"]}).to_string();
    http(200, "application/json", body.as_bytes())
}
