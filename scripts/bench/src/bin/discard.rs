//! Peer (b), the least that a lane over REST can cost: `discard HOST:PORT CONNECTIONS FROM TO` reads each block once, over
//! CONNECTIONS keep-alive connections, and discards it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};
use bench_peers::results::print;
use bitcoin::block::Header;
use bitcoin::{BlockHash, consensus};
use serde_json::json;

/// Most headers in one answer of the node (Bitcoin Core, `MAX_REST_HEADERS_RESULTS`).
const HEADERS_A_CALL: u64 = 2_000;

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [address, connections, from, to] = args.as_slice() else {
        bail!("usage: discard HOST:PORT CONNECTIONS FROM TO");
    };
    let connections: usize = connections.parse().context("CONNECTIONS is a number")?;
    let (from, to): (u64, u64) = (from.parse().context("FROM is a height")?, to.parse().context("TO is a height")?);
    ensure!(from <= to, "TO is below FROM");
    let start = Instant::now();
    let hashes = Connection::open(address)?.hashes(from, to)?;
    let next = AtomicUsize::new(0);
    let bytes = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..connections).map(|_| scope.spawn(|| read(address, &hashes, &next))).collect();
        threads.into_iter().map(|thread| thread.join().expect("a reader doesn't panic")).sum::<Result<u64>>()
    })?;
    print(&json!({"blocks": hashes.len(), "bytes": bytes, "seconds": start.elapsed().as_secs_f64()}));
    Ok(())
}

/// Reads blocks until none is left; gives their bytes.
fn read(address: &str, hashes: &[BlockHash], next: &AtomicUsize) -> Result<u64> {
    let mut connection = Connection::open(address)?;
    let mut body = Vec::new();
    let mut bytes = 0;
    while let Some(hash) = hashes.get(next.fetch_add(1, Ordering::Relaxed)) {
        connection.get(&format!("/rest/block/{hash}.bin"), &mut body)?;
        bytes += body.len() as u64;
    }
    Ok(bytes)
}

/// One keep-alive connection, with no more of HTTP than bitcoind's REST server speaks: the cost of a client library would count.
struct Connection {
    stream: BufReader<TcpStream>,
    host: String,
}

impl Connection {
    fn open(address: &str) -> Result<Self> {
        let stream = TcpStream::connect(address).with_context(|| format!("could not connect to {address}"))?;
        stream.set_nodelay(true)?;
        Ok(Self { stream: BufReader::with_capacity(64 * 1024, stream), host: address.to_owned() })
    }

    /// Reads the answer to `GET path` into `body`, replacing what it held.
    fn get(&mut self, path: &str, body: &mut Vec<u8>) -> Result<()> {
        let request = format!("GET {path} HTTP/1.1\r\nHost: {}\r\n\r\n", self.host);
        self.stream.get_mut().write_all(request.as_bytes()).with_context(|| format!("could not send {path}"))?;
        let mut line = String::new();
        let mut length = None;
        self.stream.read_line(&mut line)?;
        ensure!(line.contains(" 200 "), "{path}: the node answers '{}'", line.trim_end());
        loop {
            line.clear();
            self.stream.read_line(&mut line)?;
            let Some((name, value)) = line.trim_end().split_once(':') else { break };
            if name.eq_ignore_ascii_case("content-length") {
                length =
                    Some(value.trim().parse::<usize>().with_context(|| format!("{path}: content-length '{value}'"))?);
            }
        }
        body.resize(length.with_context(|| format!("{path}: no content-length"))?, 0);
        self.stream.read_exact(body).with_context(|| format!("{path}: the answer breaks off"))
    }

    /// The hashes of the blocks from height `from` to `to`.
    fn hashes(&mut self, from: u64, to: u64) -> Result<Vec<BlockHash>> {
        let mut body = Vec::new();
        let mut hashes = Vec::new();
        let mut height = from;
        while height <= to {
            self.get(&format!("/rest/blockhashbyheight/{height}.bin"), &mut body)?;
            let first: BlockHash = consensus::deserialize(&body).context("the node's block hash isn't 32 bytes")?;
            let count = (to - height + 1).min(HEADERS_A_CALL);
            self.get(&format!("/rest/headers/{first}.bin?count={count}"), &mut body)?;
            let headers =
                body.chunks(Header::SIZE).map(consensus::deserialize::<Header>).collect::<Result<Vec<_>, _>>();
            hashes.extend(headers.context("the node's headers aren't 80 bytes each")?.iter().map(Header::block_hash));
            height += count;
        }
        ensure!(hashes.len() as u64 == to - from + 1, "the node gives {} headers from {from} to {to}", hashes.len());
        Ok(hashes)
    }
}
