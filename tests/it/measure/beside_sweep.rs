//! Blocks at three a second beside a sweep for an entry that was added later, with hundreds of thousands of coins followed: how soon each
//! block's touches are printed, how fast the sweep goes on meanwhile, and how soon the first block is after a reorg. With
//! `COINHOUND_PROGRAM` another binary is measured.

use std::fs;
use std::time::{Duration, Instant};

use bitcoin::ScriptBuf;
use serde_json::Value;

use crate::support::bitcoind::Bitcoind;
use crate::support::chain::RegtestChain;
use crate::support::effort::{is_long, say};
use crate::support::files::text;
use crate::support::lists::target;
use crate::support::program::{Program, RunningProgram};
use crate::support::wait;
use crate::sync::steady::{end, mine, script};

/// Between two blocks at the tip.
const PACE: Duration = Duration::from_millis(333);

/// How much is measured.
struct Size {
    /// Blocks whose coinbases make coins, and the coins of each.
    coins: (u32, usize),
    /// Blocks above them.
    blocks: u32,
    /// Blocks that come beside the sweep.
    at_tip: u32,
    /// Entries that are never paid.
    entries: u32,
}

const SMALL: Size = Size { coins: (2, 500), blocks: 300, at_tip: 5, entries: 100 };
const LARGE: Size = Size { coins: (20, 20_000), blocks: 12_000, at_tip: 75, entries: 100_000 };

/// A running follow, and what it has printed.
struct Following<'a> {
    program: &'a Program,
    running: RunningProgram,
}

impl Following<'_> {
    /// The time until it has printed a touch of the block with this hash.
    fn until_touch(&mut self, block: &str, began: Instant) -> Duration {
        loop {
            let line = self.running.line(wait::PATIENCE);
            let line = line.unwrap_or_else(|| panic!("no touch of block {block}: {}", self.running.log()));
            let event: Value = serde_json::from_str(&line).expect("a whole line");
            if event["kind"] == "touch" && event["block"] == block {
                return began.elapsed();
            }
        }
    }

    /// The first height that some entry misses; `None` where everything is scanned.
    fn missing_from(&self) -> Option<u64> {
        let status = self.program.json(&["status"]).1;
        status["coverage"]["gaps"].as_array()?.iter().filter_map(|gap| gap["from"].as_u64()).min()
    }
}

/// A node with this many coins on `script(1)`, and blocks of which each hundredth pays `script(2)`.
fn node(size: &Size) -> Bitcoind {
    let (node, mut chain) = (Bitcoind::regtest(), RegtestChain::regtest(12));
    let (blocks, coins) = size.coins;
    for _ in 0..blocks {
        chain.mine_paying(Vec::new(), &vec![(script(1), 200_000); coins]);
    }
    chain.submit_to(&node);
    for _ in 0..size.blocks / 100 {
        mine(&node, 99, 3);
        mine(&node, 1, 2);
    }
    node
}

/// The lines of a list: scripts that are never paid, then the scripts of these numbers.
fn lines(unpaid: u32, numbers: &[u8]) -> String {
    let unpaid =
        (0..unpaid).map(|number| ScriptBuf::from_bytes([&[0x00, 0x14][..], &[9; 16], &number.to_be_bytes()].concat()));
    let scripts = unpaid.chain(numbers.iter().map(|number| script(*number)));
    scripts.map(|script| format!("{} case\n", target(&script))).collect()
}

fn milliseconds(times: &mut [Duration]) -> (f64, f64) {
    times.sort_unstable();
    let in_ms = |time: Duration| time.as_secs_f64() * 1e3;
    (in_ms(times[times.len() / 2]), in_ms(times[times.len() - 1]))
}

#[test]
fn a_block_beside_a_sweep_and_the_first_after_a_reorg_are_followed_at_once() {
    let size = if is_long() { LARGE } else { SMALL };
    let coins = size.coins.0 as usize * size.coins.1;
    let node = node(&size);
    let dir = tempfile::tempdir().expect("a folder for the index");
    let program = Program::new(&node, dir.path().join("index"));
    let list = program.list_of(&lines(size.entries, &[1]));
    let program = program.with(&["--watch", text(&list)]);
    program.backfill("before it is followed");
    let mut following = Following { program: &program, running: program.spawn(&["--format", "jsonl", "follow"]) };
    following.running.await_log("caught up");

    fs::write(&list, lines(size.entries, &[1, 2])).expect("a file of the test");
    let flagged = u64::from(size.entries) + 2;
    wait::until("the list is taken in", || program.json(&["status"]).1["entries"]["flagged"] == flagged);
    let (began, from) = (Instant::now(), following.missing_from());
    let (mut times, mut passed) = (Vec::new(), None);
    for number in 1..=size.at_tip {
        let next = began + PACE * number;
        std::thread::sleep(next.saturating_duration_since(Instant::now()));
        let hash = mine(&node, 1, 1).remove(0);
        times.push(following.until_touch(&hash, Instant::now()));
        if passed.is_none() && (number % 8 == 0 || number == size.at_tip) {
            let now = following.missing_from();
            if now.is_none() || number == size.at_tip {
                let heights = now.unwrap_or(u64::from(size.blocks + size.coins.0)) - from.unwrap_or(0);
                passed = Some((heights, began.elapsed().as_secs_f64(), now.is_none()));
            }
        }
    }
    let (heights, seconds, done) = passed.expect("looked at");
    let (median, worst) = milliseconds(&mut times);
    say(&format!(
        "beside a sweep, with {coins} coins and {} entries: a block's touches were printed after {median:.1} ms (median of {}), at most \
         {worst:.1} ms; the sweep passed {heights} heights in {seconds:.1} s, {:.0} a second{}",
        size.entries,
        times.len(),
        heights as f64 / seconds,
        if done { ", and was done" } else { "" }
    ));

    wait::until("the sweep is done", || following.missing_from().is_none());
    let mut times = Vec::new();
    for _ in 0..3 {
        node.invalidate(node.best());
        // Another block than the one that is invalid now.
        mine(&node, 1, 3);
        let hash = mine(&node, 1, 1).remove(0);
        times.push(following.until_touch(&hash, Instant::now()));
    }
    let (median, worst) = milliseconds(&mut times);
    say(&format!(
        "after a reorg, with {coins} coins: the first block's touches were printed after {median:.1} ms, at most {worst:.1} ms"
    ));
    end(following.running);
    let fresh = program.elsewhere();
    fresh.backfill("a new index");
    assert_eq!(program.digest(), fresh.digest());
}
