//! The time from a block to its durable rows: `tip RPC_URL NODE_DATADIR COINHOUND WORK LARGE SMALL`. On an empty regtest node it makes
//! a short chain, starts `coinhound follow`, then submits LARGE blocks of 2 MB and SMALL ones of a coinbase alone, each of which touches
//! the list, with a pause between them. It prints one line of JSON for each block.
//!
//! The time ends with the block's first `touch` line from `follow`, which prints events only when the batch with them and the block's
//! rows is synced to disk. It starts when the node logs the block as its tip (the node needs `-logtimemicros`): `submitblock` is sent
//! before the node has parsed and checked the block, and returns after the node has notified all others.

use std::collections::HashMap;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, bail, ensure};
use bench_peers::assemble::assemble;
use bench_peers::generator::{Generator, Look};
use bench_peers::list;
use bench_peers::node::{connect, hex, submit, wait_for_filters};
use bench_peers::report::tip::Line;
use bench_peers::results::print;
use bench_peers::watch::Shape;
use bitcoin::Block;
use bitcoincore_rpc::{Client, RpcApi};
use jiff::Timestamp;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

/// Another seed than the large chain's.
const SEED: u64 = 20_261_125;
/// Every full block touches the list.
const SHAPE: Shape = Shape { entries: 6, active: 6, one_block_in: 1, payments: 3, spends: 2 };
/// Full blocks before the first that is measured.
const WARM: u32 = 2;
/// Pause between two blocks, after which both programs are idle.
const QUIET: Duration = Duration::from_millis(300);
/// Time limit for a line that must come.
const PATIENCE: Duration = Duration::from_secs(60);

/// A submitted block, and the times of its events by the wall clock, as in the node's log.
struct Submitted {
    kind: &'static str,
    hash: String,
    bytes: usize,
    sent: SystemTime,
    returned: SystemTime,
    printed: SystemTime,
}

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [url, datadir, coinhound, work, large, small] = args.as_slice() else {
        bail!("usage: tip RPC_URL NODE_DATADIR COINHOUND WORK LARGE SMALL");
    };
    let (large, small): (u32, u32) =
        (large.parse().context("LARGE is a number")?, small.parse().context("SMALL is a number")?);
    let (datadir, work) = (Path::new(datadir), Path::new(work));
    let client = connect(url, datadir)?;
    ensure!(client.get_block_count().context("getblockcount failed")? == 0, "the node isn't empty");

    let mut generator = Generator::with(SEED, WARM + large, Look::LARGE, &[SHAPE]);
    let mut height = 0;
    let mut last = None;
    while height < generator.first_full + WARM - 1 {
        let block = generator.next_block()?.context("the chain ends before its full blocks")?;
        height += 1;
        submit(&client, &hex(&block), height)?;
        last = Some(block);
    }
    wait_for_filters(&client, height.into())?;
    let path = work.join("tip-list.txt");
    let listed: Vec<_> = generator.watches[0].entries.iter().map(|lock| lock.script_pubkey()).collect();
    list::write(&path, "tip", listed.clone())?;

    let mut follow = Follow::start(coinhound, url, datadir, work, &path)?;
    follow.await_event("that it has caught up", |event| event["kind"] == "caught_up")?;
    let mut seen = Vec::new();
    while let Some(block) = generator.next_block()? {
        height += 1;
        let touches = generator.watches[0].touches[&height];
        seen.push(follow.watch(&client, "2 MB", &block, height, touches.fundings + touches.spendings)?);
        last = Some(block);
    }
    let mut previous = last.context("there is no block to build on")?.block_hash();
    for script in listed.iter().cycle().take(small as usize) {
        height += 1;
        let block = assemble(height, previous, vec![], 0, script.clone());
        seen.push(follow.watch(&client, "small", &block, height, 1)?);
        previous = block.block_hash();
    }
    follow.end()?;

    let accepted = accepted(&datadir.join("regtest").join("debug.log"))?;
    for seen in seen {
        let tip_at =
            *accepted.get(&seen.hash).with_context(|| format!("the node's log never has {} as tip", seen.hash))?;
        let line = Line {
            block: seen.kind.to_owned(),
            bytes: seen.bytes as u64,
            accepted_ms: ms_between(tip_at, seen.printed),
            returned_ms: ms_between(seen.returned, seen.printed),
            sent_ms: ms_between(seen.sent, seen.printed),
        };
        let mut line = serde_json::to_value(line)?;
        line["table"] = "tip".into();
        print(&line);
    }
    Ok(())
}

/// A running `coinhound follow`, and the lines that it prints with their times.
struct Follow {
    child: Child,
    lines: Receiver<(SystemTime, Value)>,
}

impl Follow {
    fn start(coinhound: &str, url: &str, datadir: &Path, work: &Path, list: &Path) -> Result<Self> {
        let mut command = Command::new(coinhound);
        command.env("XDG_CONFIG_HOME", work.join("config")).args([
            "--chain",
            "regtest",
            "--rpc-url",
            url,
            "--bitcoin-datadir",
        ]);
        command.arg(datadir).arg("--index").arg(work.join("tip-index")).arg("--watch").arg(list);
        command.args(["--format", "jsonl", "--quiet", "follow"]).stdout(Stdio::piped());
        let mut child = command.spawn().with_context(|| format!("could not run {coinhound}"))?;
        let output = child.stdout.take().context("follow has no stdout")?;
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                let now = SystemTime::now();
                if sender.send((now, serde_json::from_str(&line).unwrap_or(Value::Null))).is_err() {
                    break;
                }
            }
        });
        Ok(Self { child, lines })
    }

    /// Waits for a line that fits; gives its time.
    fn await_event(&mut self, what: &str, fits: impl Fn(&Value) -> bool) -> Result<SystemTime> {
        loop {
            match self.lines.recv_timeout(PATIENCE) {
                Ok((at, event)) if fits(&event) => return Ok(at),
                Ok(_) => {}
                Err(_) => bail!("follow did not print {what}"),
            }
        }
    }

    /// Submits a block that touches the list `touches` times, and waits for the lines of all its touches.
    fn watch(
        &mut self,
        client: &Client,
        kind: &'static str,
        block: &Block,
        height: u32,
        touches: u64,
    ) -> Result<Submitted> {
        let (body, hash) = (hex(block), block.block_hash().to_string());
        std::thread::sleep(QUIET);
        let sent = SystemTime::now();
        submit(client, &body, height)?;
        let returned = SystemTime::now();
        let is_touch = |event: &Value| event["kind"] == "touch" && event["block"] == *hash;
        let printed = self.await_event(&format!("that block {height} touches the list"), is_touch)?;
        for touch in 1..touches {
            self.await_event(&format!("touch {} of block {height}", touch + 1), is_touch)?;
        }
        Ok(Submitted { kind, hash, bytes: block.total_size(), sent, returned, printed })
    }

    fn end(mut self) -> Result<()> {
        kill(Pid::from_raw(i32::try_from(self.child.id())?), Signal::SIGTERM).context("could not end follow")?;
        let status = self.child.wait().context("could not wait for follow")?;
        ensure!(status.success(), "follow ended with {status}");
        let touch = self.lines.iter().find(|(_, event)| event["kind"] == "touch");
        ensure!(touch.is_none(), "follow printed a touch too many: {touch:?}");
        Ok(())
    }
}

impl Drop for Follow {
    fn drop(&mut self) {
        // After an error; a child that has ended is not killed again.
        let _ = self.child.kill();
    }
}

/// When each block became the tip, by its hash, from the node's log.
fn accepted(log: &Path) -> Result<HashMap<String, SystemTime>> {
    let text = fs::read_to_string(log).with_context(|| format!("could not read {}", log.display()))?;
    Ok(text.lines().filter_map(new_tip).collect())
}

fn new_tip(line: &str) -> Option<(String, SystemTime)> {
    let (time, said) = line.split_once(' ')?;
    let (_, said) = said.split_once("UpdateTip: new best=")?;
    let time: Timestamp = time.parse().ok()?;
    Some((said.split(' ').next()?.to_owned(), SystemTime::from(time)))
}

/// Milliseconds from one time to the other; negative if the other came first.
fn ms_between(from: SystemTime, to: SystemTime) -> f64 {
    match to.duration_since(from) {
        Ok(after) => after.as_secs_f64() * 1e3,
        Err(before) => -before.duration().as_secs_f64() * 1e3,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_tip_is_read_from_its_line_in_the_log() {
        let line =
            "2026-11-23T07:31:53.250000Z UpdateTip: new best=00ab height=7 version=0x20000000 log2_work=4.0 tx=8";
        let (hash, at) = new_tip(line).unwrap();
        assert_eq!(hash, "00ab");
        assert_eq!(at.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_millis(), 1_795_419_113_250);
        for line in ["2026-11-23T07:31:53.250000Z Saw new header hash=00ab", "UpdateTip: new best=00ab", ""] {
            assert!(new_tip(line).is_none(), "{line}");
        }
    }

    #[test]
    fn the_sign_says_which_came_first() {
        let (early, late) = (SystemTime::UNIX_EPOCH, SystemTime::UNIX_EPOCH + Duration::from_micros(1_500));
        assert!((ms_between(early, late) - 1.5).abs() < 1e-9 && (ms_between(late, early) + 1.5).abs() < 1e-9);
    }
}
