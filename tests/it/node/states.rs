//! What happens to a real node while somebody reads from it: its queue is full, it prunes, it indexes its blocks anew, it is started
//! again, it is replaced, it is in its initial download, its tip moves. Each time the index is that of a fresh run, or a whole part
//! of it, and nothing is undone that the node didn't give up.

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use bitcoin::consensus::encode::serialize_hex;
use coinhound::index::{Family, Reader};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::oracle::answers::{List, csv};
use crate::support::bitcoind::Bitcoind;
use crate::support::chain::RegtestChain;
use crate::support::gate::Gate;
use crate::support::program::{Program, ProgramOutput, RunningProgram};
use crate::support::random::{self, Rng};
use crate::support::records::mainnet;
use crate::support::swept::{RowMap, assert_same_rows, rows};

const PATIENCE: Duration = Duration::from_secs(60);
const LANES: [&str; 2] = ["rest", "rpc"];

/// Whether the long versions of tests are asked for.
fn long() -> bool {
    std::env::var_os("COINHOUND_LONG").is_some_and(|asked| asked == "1")
}

/// A list, and a folder for indexes.
struct Scene {
    list: List,
    dir: TempDir,
}

impl Scene {
    /// A list of scripts of a chain, which all start below its last `depth` blocks.
    fn of(chain: &RegtestChain, seed: u64, depth: u32) -> Self {
        let mut list = random::watchlist(chain, &mut Rng::new(seed), 60);
        list.iter_mut().for_each(|(_, from)| *from = (*from).min(chain.height() - depth));
        Self { list, dir: tempfile::tempdir().expect("a folder for indexes") }
    }

    /// The binary on this node and the index of this name.
    fn program(&self, node: &Bitcoind, name: &str) -> Program {
        self.listed(Program::new(node, self.dir.path().join(name)))
    }

    /// The same through a gate, a block a batch.
    fn held(&self, node: &Bitcoind, gate: &Gate, name: &str, lane: &str) -> Program {
        let program = self.listed(Program::through(node, gate.url(), self.dir.path().join(name)));
        program.with(&["--lane", lane]).with_env("COINHOUND_SCAN_BATCH_BLOCKS", "1")
    }

    /// With the list, of which there is one file: entries remember where they are from.
    fn listed(&self, program: Program) -> Program {
        let list = self.dir.path().join("list.csv");
        if !list.exists() {
            std::fs::write(&list, csv(&self.list)).expect("the folder is ours");
        }
        program.with(&["--watch", list.to_str().expect("tests use plain paths")])
    }

    /// Panics unless the index is what a run makes afresh of this node as it is now.
    fn assert_fresh(&self, node: &Bitcoind, program: &Program, what: &str) {
        let fresh = self.program(node, &format!("fresh, {what}"));
        assert!(!fresh.index().exists(), "{what}: it isn't fresh");
        backfill(&fresh, what);
        assert_same_rows(&read(program), &read(&fresh), what);
        assert_eq!(digest(program), digest(&fresh), "{what}");
    }
}

fn backfill(program: &Program, what: &str) -> Value {
    let (code, answer) = program.json(&["backfill"]);
    assert_eq!((code, &answer["coverage"]["complete"]), (0, &json!(true)), "{what}: {answer}");
    answer
}

fn digest(program: &Program) -> String {
    let (code, answer) = program.json(&["digest"]);
    assert_eq!(code, 0, "{answer}");
    answer["digest"].as_str().expect("a digest").to_owned()
}

/// All rows but those that tell how it came to the state it is in.
fn read(program: &Program) -> RowMap {
    let mut rows = rows(&Reader::open(program.index()).expect("the index opens"));
    rows.retain(|(family, _), _| *family != Family::Events.name());
    rows
}

/// Starts a backfill and waits until the gate holds it back, after so many pieces.
fn start_held(program: &Program, gate: &Gate, pieces: u64) -> RunningProgram {
    gate.shut_after(pieces);
    let mut running = program.spawn(&["backfill"]);
    let end = Instant::now() + PATIENCE;
    while !gate.is_shut() {
        assert!(running.is_running() && Instant::now() < end, "the run ended before the gate was shut");
        std::thread::sleep(Duration::from_millis(2));
    }
    // What passed is on its way into the index.
    std::thread::sleep(Duration::from_millis(150));
    running
}

fn assert_done(running: RunningProgram, what: &str) -> ProgramOutput {
    let out = running.wait(PATIENCE);
    assert_eq!(out.code, 0, "{what}: {out:?}");
    out
}

#[test]
fn a_queue_of_one_that_others_fill_is_read_through_whole() {
    let chain = random::chain(401, 120);
    let scene = Scene::of(&chain, 401, 0);
    let node = Bitcoind::regtest_with(&["-rpcthreads=1", "-rpcworkqueue=1"]);
    chain.submit_to(&node);
    let (ended, refused) = (AtomicBool::new(false), AtomicUsize::new(0));
    let tip = chain.tip();
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                // The node spends longer on it than its asker.
                while !ended.load(Ordering::SeqCst) {
                    if node
                        .try_rpc("getblock", json!([tip, 3]))
                        .is_err_and(|error| error.message.contains("Work queue"))
                    {
                        refused.fetch_add(1, Ordering::SeqCst);
                    }
                    std::thread::sleep(Duration::from_millis(3));
                }
            });
        }
        let runs = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            for lane in LANES {
                let before = refused.load(Ordering::SeqCst);
                let program = scene.program(&node, lane).with(&["--lane", lane, "--threads", "4"]);
                backfill(&program, lane);
                assert!(refused.load(Ordering::SeqCst) > before, "{lane}: nobody was ever refused");
            }
        }));
        // Else the others would go on for ever.
        ended.store(true, Ordering::SeqCst);
        runs.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    });
    for lane in LANES {
        scene.assert_fresh(&node, &scene.program(&node, lane), &format!("over {lane}"));
    }
}

#[test]
fn a_range_pruned_since_the_last_run_is_refused_with_the_lowest_height_and_the_index_stays() {
    let node = Bitcoind::regtest_with(&["-prune=1", "-fastprune"]);
    let mut chain = random::chain(402, 120);
    chain.mine_empty(780);
    chain.submit_to(&node);
    let scene = Scene::of(&chain, 402, 800);
    let whole = scene.program(&node, "whole");
    backfill(&whole, "whole");
    let [low, high] = [100, 600].map(|to| {
        let program = scene.program(&node, &format!("to {to}"));
        assert_eq!(program.json(&["backfill", "--to", &to.to_string()]).0, 0);
        program
    });
    let gate = Gate::before(node.rpc_port());
    // More than are read ahead.
    let held = scene.held(&node, &gate, "held", "rest");
    let running = start_held(&held, &gate, 60);
    node.rpc("pruneblockchain", json!([550]));
    let lowest = node.rpc("getblockchaininfo", json!([]))["pruneheight"].as_u64().expect("a height");
    assert!(lowest > 120 && lowest <= 600, "{lowest}");
    gate.open();
    let said = format!("it has blocks from {lowest} on");
    let out = running.wait(PATIENCE);
    assert!(out.code == 1 && out.stderr.contains(&said), "pruned under way: {out:?}");
    let before = read(&low);
    let out = low.run(&["backfill"]);
    assert!(out.code == 1 && out.stdout.is_empty() && out.stderr.contains(&said), "pruned since: {out:?}");
    assert!(!out.stderr.contains("scanning"), "refused before any work: {out:?}");
    assert_same_rows(&read(&low), &before, "a refused run");
    // What it still has is enough for an index that is past it.
    backfill(&high, "past it");
    assert_same_rows(&read(&high), &read(&whole), "past it");
    assert_eq!(digest(&high), digest(&whole));
    // Both others are whole parts.
    let through =
        |program: &Program| program.json(&["status"]).1["coverage"]["through"].as_u64().expect("a height").to_string();
    for program in [&low, &held] {
        let at = through(program);
        let digests = [program, &whole].map(|program| program.json(&["digest", "--at", &at]).1["digest"].clone());
        assert!(digests[0].is_string() && digests[0] == digests[1], "through {at}: {digests:?}");
    }
}

/// Moves the files of blocks whose number is above this out of a node's folder, or back.
fn move_blocks(from: &Path, to: &Path, above: u32) -> usize {
    let mut moved = 0;
    for entry in std::fs::read_dir(from).expect("a node's folder") {
        let path = entry.expect("it reads").path();
        let name = path.file_name().and_then(|name| name.to_str()).expect("a plain name");
        let number = name.strip_prefix("blk").and_then(|name| name.strip_suffix(".dat"));
        if number.and_then(|number| number.parse().ok()).is_some_and(|number: u32| number > above) {
            std::fs::rename(&path, to.join(name)).expect("ours");
            moved += 1;
        }
    }
    moved
}

#[test]
fn blocks_that_vanish_in_a_reindex_are_waited_for_and_nothing_is_undone() {
    let mut chain = random::chain(403, 130);
    // Small files: several for this chain.
    let mut node = Bitcoind::regtest_with(&["-fastprune"]);
    chain.submit_to(&node);
    let scene = Scene::of(&chain, 403, 0);
    let program = scene.program(&node, "index");
    backfill(&program, "before");
    let before = read(&program);
    node.stop();
    let (blocks, away) = (node.chain_dir().join("blocks"), scene.dir.path().join("away"));
    std::fs::create_dir(&away).expect("ours");
    assert!(move_blocks(&blocks, &away, 0) > 0, "the chain has one file only");
    node.start_with(&["-reindex"]);
    let lower = node.height();
    assert!(lower < chain.height(), "{lower}");
    let mut running = program.spawn(&["backfill"]);
    std::thread::sleep(Duration::from_millis(1500));
    assert!(running.is_running(), "it has to wait");
    assert_same_rows(&read(&program), &before, "a node that lacks our tip");
    node.stop();
    move_blocks(&blocks, &away, 0);
    assert!(move_blocks(&away, &blocks, 0) > 0);
    node.start_with(&["-reindex"]);
    random::grow(&mut chain, &mut Rng::new(404), 4);
    chain.submit_to(&node);
    let out = assert_done(running, "reindexed");
    assert!(out.stderr.contains("waiting for it") && !out.stderr.contains("undoing"), "{out:?}");
    backfill(&program, "what came while it ended");
    scene.assert_fresh(&node, &program, "reindexed");
}

#[test]
fn a_run_outlives_the_node_s_restart_and_its_death() {
    let chain = random::chain(405, 120);
    let scene = Scene::of(&chain, 405, 0);
    let mut node = Bitcoind::regtest();
    chain.submit_to(&node);
    let gate = Gate::before(node.rpc_port());
    for (number, lane) in LANES.into_iter().cycle().take(4).enumerate() {
        let what = format!("{lane}, {number}");
        let program = scene.held(&node, &gate, &what, lane);
        let running = start_held(&program, &gate, 40 + 20 * number as u64);
        let cookie = std::fs::read_to_string(node.cookie_file()).expect("a cookie");
        if number < 2 {
            node.stop();
            gate.open();
            std::thread::sleep(Duration::from_millis(300));
            node.start();
        } else {
            // What it hadn't flushed is lost; its peers would bring it again.
            node.kill();
            gate.open();
            node.start();
            chain.submit_to(&node);
        }
        assert_ne!(std::fs::read_to_string(node.cookie_file()).expect("a cookie"), cookie, "{what}");
        let out = assert_done(running, &what);
        assert!(!out.stderr.contains("undoing"), "{what}: {out:?}");
        backfill(&program, &what);
        scene.assert_fresh(&node, &program, &what);
    }
}

#[test]
fn a_node_in_its_initial_download_is_read_as_far_as_it_has_blocks() {
    let blocks = mainnet();
    let node = Bitcoind::mainnet_offline();
    node.feed_mainnet(200);
    for block in &blocks[201..] {
        node.rpc("submitheader", json!([serialize_hex(&block.header)]));
    }
    let info = node.rpc("getblockchaininfo", json!([]));
    let state = ["blocks", "headers", "initialblockdownload"].map(|name| info[name].clone());
    assert_eq!(state, [json!(200), json!(599), json!(true)]);
    let list = blocks.iter().map(|block| (block.txdata[0].output[0].script_pubkey.clone(), 0)).collect();
    let scene = Scene { list, dir: tempfile::tempdir().expect("a folder for indexes") };
    for lane in LANES {
        let program = scene.program(&node, lane).with(&["--lane", lane]);
        let out = program.run(&["backfill"]);
        assert_eq!(out.code, 0, "{lane}: {out:?}");
        let words = "blocks through height 200 and headers through 599";
        assert!(out.stderr.contains("initial block download") && out.stderr.contains(words), "{lane}: {out:?}");
        let (_, status) = program.json(&["status"]);
        assert_eq!((&status["tip"]["height"], &status["lag"]), (&json!(200), &json!(0)), "{lane}: {status}");
    }
    // Blocks come in while it is read, also after the run began.
    let gate = Gate::before(node.rpc_port());
    let program = scene.held(&node, &gate, "held", "rest");
    let running = start_held(&program, &gate, 60);
    node.feed_mainnet(450);
    gate.open();
    assert_done(running, "while blocks come");
    assert_eq!(program.json(&["status"]).1["tip"]["height"], 450, "a run goes on to the tip as it is then");
    node.feed_mainnet(599);
    for (name, program) in
        [("held", &program), ("rest", &scene.program(&node, "rest")), ("rpc", &scene.program(&node, "rpc"))]
    {
        backfill(program, name);
        scene.assert_fresh(&node, program, &format!("{name}, all blocks"));
    }
}

/// Copies a folder into another, over what is there.
fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("ours");
    for entry in std::fs::read_dir(from).expect("a folder") {
        let path = entry.expect("it reads").path();
        let target = to.join(path.file_name().expect("a name"));
        if path.is_dir() {
            copy(&path, &target);
        } else {
            std::fs::copy(&path, &target).expect("ours");
        }
    }
}

#[test]
fn a_node_that_comes_back_with_another_s_folder_is_followed_from_the_fork_on() {
    let (mut ours, mut rng) = (random::chain(406, 120), Rng::new(406));
    let theirs = random::fork(&mut ours, &mut rng, 15, 1);
    let scene = Scene::of(&ours, 406, 15);
    let (mut node, mut other) = (Bitcoind::regtest(), Bitcoind::regtest());
    ours.submit_to(&node);
    theirs.submit_to(&other);
    let program = scene.program(&node, "index");
    backfill(&program, "ours");
    node.stop();
    other.stop();
    let mut running = program.spawn(&["backfill"]);
    std::thread::sleep(Duration::from_millis(300));
    assert!(running.is_running(), "it waits for a node that is down");
    for part in ["blocks", "chainstate"] {
        std::fs::remove_dir_all(node.chain_dir().join(part)).expect("ours");
        copy(&other.chain_dir().join(part), &node.chain_dir().join(part));
    }
    node.start();
    assert_eq!(node.best(), theirs.tip());
    let out = assert_done(running, "theirs");
    assert!(out.stderr.contains("undoing 15 blocks"), "{out:?}");
    scene.assert_fresh(&node, &program, "theirs");
}

#[test]
fn a_tip_that_gets_shorter_under_way_is_the_end_of_the_run() {
    let chain = random::chain(407, 120);
    let mut scene = Scene::of(&chain, 407, 0);
    scene.list.iter_mut().for_each(|(_, from)| *from = (*from).min(20));
    let node = Bitcoind::regtest();
    chain.submit_to(&node);
    let gate = Gate::before(node.rpc_port());
    // Below what is written by then, and above it.
    for (lane, pieces, height) in [("rest", 100, 30), ("rest", 60, 100), ("rpc", 150, 25), ("rpc", 60, 110)] {
        let what = format!("{lane}, {pieces} pieces, down to {height}");
        let program = scene.held(&node, &gate, &what, lane);
        let running = start_held(&program, &gate, pieces);
        let gone = chain.blocks()[height as usize + 1].block_hash();
        node.invalidate(gone);
        assert_eq!(node.height(), height);
        gate.open();
        assert_done(running, &what);
        assert_eq!(program.json(&["status"]).1["tip"]["height"], height, "{what}");
        scene.assert_fresh(&node, &program, &what);
        node.reconsider(gone);
        backfill(&program, &what);
        scene.assert_fresh(&node, &program, &format!("{what}, up again"));
    }
}

#[test]
fn a_chain_that_flips_again_and_again_while_it_is_read_leaves_no_row_behind() {
    let (mut ours, mut rng) = (random::chain(408, 115), Rng::new(408));
    let theirs = random::fork(&mut ours, &mut rng, 10, 1);
    let scene = Scene::of(&ours, 408, 10);
    let node = Bitcoind::regtest();
    ours.submit_to(&node);
    theirs.submit_to(&node);
    let first = theirs.blocks()[(ours.height() - 10) as usize + 1].block_hash();
    let program = scene.program(&node, "index");
    let (flips, ended) = (if long() { 100 } else { 12 }, AtomicBool::new(false));
    let unsteady = std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut rng = Rng::new(409);
            for flip in 0..flips {
                if flip % 2 == 0 {
                    node.invalidate(first)
                } else {
                    node.reconsider(first)
                }
                std::thread::sleep(Duration::from_millis(20 + rng.below(400)));
            }
            ended.store(true, Ordering::SeqCst);
        });
        let mut unsteady = 0;
        while !ended.load(Ordering::SeqCst) {
            let out = program.run(&["backfill"]);
            match out.code {
                0 => {}
                1 if out.stderr.contains("don't fit together") => unsteady += 1,
                _ => panic!("{out:?}"),
            }
        }
        unsteady
    });
    assert!(unsteady <= flips / 4, "{unsteady} runs of {flips} flips gave up");
    assert_eq!(node.best(), theirs.tip());
    backfill(&program, "theirs");
    scene.assert_fresh(&node, &program, "theirs");
    node.invalidate(first);
    backfill(&program, "ours");
    scene.assert_fresh(&node, &program, "ours");
}

/// Waits until the index that is followed with has the node's tip.
fn await_tip(program: &Program, node: &Bitcoind, running: &mut RunningProgram, what: &str) {
    let (best, end) = (node.best().to_string(), Instant::now() + PATIENCE);
    while !program.index().exists() || program.json(&["status"]).1["tip"]["hash"] != best.as_str() {
        assert!(running.is_running(), "{what}: it ended");
        assert!(Instant::now() < end, "{what}: it doesn't come to the node's tip");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// The forks of all reorgs that were told of.
fn reorgs(program: &Program) -> Vec<u64> {
    let (code, events) = program.jsonl(&["events"]);
    assert_eq!(code, 0);
    let reorgs = events.iter().filter(|event| event["kind"] == "reorg");
    reorgs.map(|event| event["fork"].as_u64().expect("a height")).collect()
}

/// All states of above, one after the other, under one process.
fn follow_through_all_states(lane: &str) {
    let (mut chain, mut rng) = (random::chain(410, 118), Rng::new(410));
    let mut scene = Scene::of(&chain, 410, 0);
    scene.list.iter_mut().for_each(|(_, from)| *from = (*from).min(100));
    let mut node = Bitcoind::regtest_with(&["-fastprune"]);
    chain.submit_to(&node);
    let program = scene.program(&node, "index").with(&["--lane", lane]);
    let mut running = program.spawn(&["--format", "jsonl", "follow"]);
    let mut grow = |chain: &mut RegtestChain, node: &Bitcoind, running: &mut RunningProgram, what: &str| {
        random::grow(chain, &mut rng, 2);
        chain.submit_to(node);
        await_tip(&program, node, running, &format!("{lane}, {what}"));
    };
    await_tip(&program, &node, &mut running, "catching up");
    grow(&mut chain, &node, &mut running, "new blocks");

    let cookie = std::fs::read_to_string(node.cookie_file()).expect("a cookie");
    node.stop();
    std::thread::sleep(Duration::from_secs(1));
    node.start();
    assert_ne!(std::fs::read_to_string(node.cookie_file()).expect("a cookie"), cookie);
    grow(&mut chain, &node, &mut running, "after a restart");

    // What it hadn't flushed is lost, until its peers bring it again.
    node.kill();
    node.start();
    std::thread::sleep(Duration::from_millis(500));
    grow(&mut chain, &node, &mut running, "after a death");

    node.stop();
    let (blocks, away) = (node.chain_dir().join("blocks"), scene.dir.path().join("away"));
    std::fs::create_dir(&away).expect("ours");
    assert!(move_blocks(&blocks, &away, 0) > 0, "the chain has one file only");
    let before = read(&program);
    node.start_with(&["-reindex"]);
    assert!(node.height() < chain.height());
    std::thread::sleep(Duration::from_millis(1500));
    assert_same_rows(&read(&program), &before, "blocks that vanished");
    node.stop();
    move_blocks(&blocks, &away, 0);
    move_blocks(&away, &blocks, 0);
    node.start_with(&["-reindex"]);
    grow(&mut chain, &node, &mut running, "after a reindex");
    assert_eq!(reorgs(&program), [0; 0], "{lane}: none of this was a reorg");

    let fork = chain.height() - 6;
    let theirs = random::fork(&mut chain, &mut Rng::new(411), 6, 1);
    theirs.submit_to(&node);
    await_tip(&program, &node, &mut running, "a better branch");
    assert_eq!(reorgs(&program), [u64::from(fork)], "{lane}");
    // Shorter, and back; the last turn is to ours.
    let first = theirs.blocks()[fork as usize + 1].block_hash();
    let turns = if long() { 101 } else { 11 };
    let mut pause = Rng::new(412);
    for turn in 0..turns {
        if turn % 2 == 0 {
            node.invalidate(first)
        } else {
            node.reconsider(first)
        }
        if turn % 3 == 0 {
            await_tip(&program, &node, &mut running, &format!("turn {turn}"));
        } else {
            std::thread::sleep(Duration::from_millis(pause.below(200)));
        }
    }
    assert_eq!(node.best(), chain.tip());
    await_tip(&program, &node, &mut running, "ours again");
    let told = reorgs(&program);
    assert!(told.len() > turns / 3 && told.len() <= turns + 1, "{lane}: {} for {turns} turns", told.len());
    assert!(told.iter().all(|at| *at == u64::from(fork)), "{lane}: all are at {fork}: {told:?}");

    // Another node's folder: it never saw ours.
    let mut other = Bitcoind::regtest();
    theirs.submit_to(&other);
    other.stop();
    node.stop();
    for part in ["blocks", "chainstate"] {
        std::fs::remove_dir_all(node.chain_dir().join(part)).expect("ours");
        copy(&other.chain_dir().join(part), &node.chain_dir().join(part));
    }
    node.start();
    await_tip(&program, &node, &mut running, "a node that never saw ours");
    running.term();
    let out = running.wait(PATIENCE);
    assert_eq!(out.code, 0, "{lane}: {}", out.stderr);
    scene.assert_fresh(&node, &scene.program(&node, "index"), &format!("{lane}, at last"));
}

#[test]
fn a_follower_outlives_all_that_happens_to_its_node_and_tells_of_reorgs_only() {
    std::thread::scope(|scope| {
        for lane in LANES {
            scope.spawn(move || follow_through_all_states(lane));
        }
    });
}
