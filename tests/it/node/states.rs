//! A real node that changes while a run reads from it: its queue is full, it prunes, it indexes its blocks anew, it restarts, it is
//! replaced, it is in its initial block download, its tip moves. Each time the index equals one that a new run makes, or a part of
//! it that ends with a whole block, and no block is disconnected that the node kept.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use bitcoin::consensus::encode::serialize_hex;
use serde_json::{Value, json};

use crate::support::bitcoind::Bitcoind;
use crate::support::coverage::ask_with_node;
use crate::support::effort::is_long;
use crate::support::files::copy_folder;
use crate::support::gate::Gate;
use crate::support::program::{Program, ProgramOutput, RunningProgram};
use crate::support::random::{self, Rng};
use crate::support::records::mainnet;
use crate::support::scene::{Scene, start_held};
use crate::support::swept::assert_same_rows;
use crate::support::wait::PATIENCE;

pub const LANES: [&str; 2] = ["rest", "rpc"];

fn assert_done(running: RunningProgram, what: &str) -> ProgramOutput {
    let out = running.wait(PATIENCE);
    assert_eq!(out.code, 0, "{what}: {out:?}");
    out
}

#[test]
fn a_node_whose_queue_others_keep_full_is_read_to_its_tip() {
    let node = Bitcoind::regtest_with(&["-rpcthreads=1", "-rpcworkqueue=1"]);
    let chain = random::chain(401, 120);
    let list = random::watchlist(&chain, &mut Rng::new(401), 60);
    let scene = Scene::on(node, &chain).with_list(list).with_from_at_most(120);
    let (ended, refused) = (AtomicBool::new(false), AtomicUsize::new(0));
    let tip = chain.tip();
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                // This call keeps the node busy for longer than its caller.
                while !ended.load(Ordering::SeqCst) {
                    let answer = scene.node.try_rpc("getblock", json!([tip, 3]));
                    if answer.is_err_and(|error| error.message.contains("Work queue")) {
                        refused.fetch_add(1, Ordering::SeqCst);
                    }
                    std::thread::sleep(Duration::from_millis(3));
                }
            });
        }
        let runs = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            for lane in LANES {
                let before = refused.load(Ordering::SeqCst);
                scene.program(lane).with(&["--lane", lane, "--threads", "4"]).backfill(lane);
                assert!(refused.load(Ordering::SeqCst) > before, "{lane}: the queue was never full");
            }
        }));
        // Otherwise a failure would leave the other threads running for ever.
        ended.store(true, Ordering::SeqCst);
        runs.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    });
    for lane in LANES {
        scene.assert_fresh(&scene.program(lane), &format!("over {lane}"));
    }
}

/// Height of an index's last block.
fn through(program: &Program) -> u64 {
    program.json(&["status"]).1["coverage"]["through"].as_u64().expect("a height")
}

#[test]
fn a_range_pruned_since_the_last_run_is_refused_with_the_lowest_height() {
    let node = Bitcoind::regtest_with(&["-prune=1", "-fastprune"]);
    let mut chain = random::chain(402, 120);
    chain.mine_empty(780);
    let list = random::watchlist(&chain, &mut Rng::new(402), 60);
    let scene = Scene::on(node, &chain).with_list(list).with_from_at_most(chain.height() - 800);
    let whole = scene.program("whole");
    whole.backfill("whole");
    let [low, high] = [100, 600].map(|to| {
        let program = scene.program(&format!("to {to}"));
        assert_eq!(program.json(&["backfill", "--to", &to.to_string()]).0, 0);
        program
    });
    let gate = Gate::before(scene.node.rpc_port());
    let held = scene.gated(&gate, "held", "rest");
    // More pieces than the blocks that a run reads ahead.
    let running = start_held(&held, &gate, 60, 0);
    scene.node.rpc("pruneblockchain", json!([550]));
    let lowest = scene.node.rpc("getblockchaininfo", json!([]))["pruneheight"].as_u64().expect("a height");
    assert!(lowest > 120 && lowest <= 600, "{lowest}");
    gate.open();
    let said = format!("it has blocks from {lowest} on");
    let out = running.wait(PATIENCE);
    assert!(out.code == 1 && out.stderr.contains(&said), "pruned during the run: {out:?}");
    let before = low.rows();
    let out = low.run(&["backfill"]);
    assert!(out.code == 1 && out.stdout.is_empty() && out.stderr.contains(&said), "pruned before the run: {out:?}");
    assert!(!out.stderr.contains("scanning"), "a refused run scanned: {out:?}");
    assert_same_rows(&low.rows(), &before, "a refused run");
    // An index above the pruned range needs no more than the node still has.
    high.backfill("above the pruned range");
    assert_same_rows(&high.rows(), &whole.rows(), "above the pruned range");
    assert_eq!(high.digest(), whole.digest());
    // Both others are valid as of their last block.
    for program in [&low, &held] {
        let at = through(program).to_string();
        let digests = [program, &whole].map(|program| program.json(&["digest", "--at", &at]).1["digest"].clone());
        assert!(digests[0].is_string() && digests[0] == digests[1], "through {at}: {digests:?}");
    }
}

/// Moves the block files with a number above this from one folder to another; returns how many.
fn move_block_files(from: &Path, to: &Path, above: u32) -> usize {
    let mut moved = 0;
    for entry in std::fs::read_dir(from).expect("a folder of block files") {
        let path = entry.expect("the folder reads").path();
        let name = path.file_name().and_then(|name| name.to_str()).expect("a plain name");
        let number = name.strip_prefix("blk").and_then(|name| name.strip_suffix(".dat"));
        if number.and_then(|number| number.parse().ok()).is_some_and(|number: u32| number > above) {
            std::fs::rename(&path, to.join(name)).expect("a file of the test");
            moved += 1;
        }
    }
    moved
}

/// A node that lost all but its first block file and indexes what is left, until the files are put back.
pub struct LostBlocks {
    blocks: PathBuf,
    away: PathBuf,
}

impl LostBlocks {
    /// Moves the files of a running node into the folder `away` and starts it again.
    pub fn new(node: &mut Bitcoind, away: PathBuf) -> Self {
        node.stop();
        let blocks = node.chain_dir().join("blocks");
        std::fs::create_dir(&away).expect("a folder of the test");
        assert!(move_block_files(&blocks, &away, 0) > 0, "the chain has one file only");
        node.start_with(&["-reindex"]);
        Self { blocks, away }
    }

    /// Puts the files back in place of newer ones and starts the node again.
    pub fn put_back(self, node: &mut Bitcoind) {
        node.stop();
        move_block_files(&self.blocks, &self.away, 0);
        assert!(move_block_files(&self.away, &self.blocks, 0) > 0);
        node.start_with(&["-reindex"]);
    }
}

#[test]
fn blocks_that_vanish_in_a_reindex_are_waited_for_and_not_disconnected() {
    let mut chain = random::chain(403, 130);
    let list = random::watchlist(&chain, &mut Rng::new(403), 60);
    // Small block files: several for this chain.
    let node = Bitcoind::regtest_with(&["-fastprune"]);
    let mut scene = Scene::on(node, &chain).with_list(list).with_from_at_most(130);
    let program = scene.program("index");
    program.backfill("before");
    let (before, away) = (program.rows(), scene.path("away"));
    let lost = LostBlocks::new(&mut scene.node, away);
    let lower = scene.node.height();
    assert!(lower < chain.height(), "{lower}");
    let mut running = program.spawn(&["backfill"]);
    running.await_log("waiting for it");
    // Time for another look or two at the node.
    std::thread::sleep(Duration::from_millis(1500));
    assert!(running.is_running(), "the run didn't wait");
    assert_same_rows(&program.rows(), &before, "a node that lacks our tip");
    lost.put_back(&mut scene.node);
    random::grow(&mut chain, &mut Rng::new(404), 4);
    chain.submit_to(&scene.node);
    let out = assert_done(running, "reindexed");
    assert!(out.stderr.contains("waiting for it") && !out.stderr.contains("disconnecting"), "{out:?}");
    program.backfill("blocks that came after the run");
    scene.assert_fresh(&program, "reindexed");
}

#[test]
fn a_run_survives_a_restart_and_a_crash_of_the_node() {
    let chain = random::chain(405, 120);
    let mut scene = Scene::regtest(405, 120, 60).with_from_at_most(120);
    let gate = Gate::before(scene.node.rpc_port());
    for (number, lane) in LANES.into_iter().cycle().take(4).enumerate() {
        let what = format!("{lane}, {number}");
        let program = scene.gated(&gate, &what, lane);
        let mut running = start_held(&program, &gate, 40 + 20 * number as u64, 0);
        let cookie = scene.node.cookie();
        if number < 2 {
            scene.node.stop();
            gate.open();
            running.await_log("waiting for it");
            scene.node.start();
        } else {
            // Blocks that it hadn't flushed are lost; a node would get them again from its peers.
            scene.node.kill();
            gate.open();
            scene.node.start();
            chain.submit_to(&scene.node);
        }
        assert_ne!(scene.node.cookie(), cookie, "{what}");
        let out = assert_done(running, &what);
        assert!(!out.stderr.contains("disconnecting"), "{what}: {out:?}");
        program.backfill(&what);
        scene.assert_fresh(&program, &what);
    }
}

#[test]
fn a_node_in_its_initial_block_download_is_read_as_far_as_it_has_blocks() {
    let blocks = mainnet();
    let list = blocks.iter().map(|block| (block.txdata[0].output[0].script_pubkey.clone(), 0)).collect();
    let scene = Scene::mainnet_through(200).with_list(list);
    let node = &scene.node;
    for block in &blocks[201..] {
        node.rpc("submitheader", json!([serialize_hex(&block.header)]));
    }
    let info = node.rpc("getblockchaininfo", json!([]));
    let state = ["blocks", "headers", "initialblockdownload"].map(|name| info[name].clone());
    assert_eq!(state, [json!(200), json!(599), json!(true)]);
    let tip = |program: &Program| -> (Value, Value) {
        let (_, status) = ask_with_node(program, &["status"]);
        (status["tip"]["height"].clone(), status["lag"].clone())
    };
    for lane in LANES {
        let program = scene.program(lane).with(&["--lane", lane]);
        let out = program.run(&["backfill"]);
        assert_eq!(out.code, 3, "{lane}: {out:?}");
        assert!(out.stdout.contains("so it lacks 399 blocks"), "{lane}: {out:?}");
        let words = "blocks through height 200 and headers through 599";
        assert!(out.stderr.contains("initial block download") && out.stderr.contains(words), "{lane}: {out:?}");
        assert_eq!(tip(&program), (json!(200), json!(0)), "{lane}");
    }
    // Blocks arrive while the run reads.
    let gate = Gate::before(node.rpc_port());
    let held = scene.gated(&gate, "held", "rest");
    let running = start_held(&held, &gate, 60, 0);
    node.feed_mainnet(450);
    gate.open();
    let out = running.wait(PATIENCE);
    assert!(out.code == 3 && out.stdout.contains("so it lacks 149 blocks"), "while blocks arrive: {out:?}");
    assert_eq!(tip(&held).0, json!(450), "a run ends at the tip as it is then");
    node.feed_mainnet(599);
    for (name, program) in [("held", held), ("rest", scene.program("rest")), ("rpc", scene.program("rpc"))] {
        program.backfill(name);
        scene.assert_fresh(&program, &format!("{name}, all blocks"));
    }
}

/// Replaces the blocks and the chain state of a stopped node by those of another stopped one.
pub fn replace_chain(node: &Bitcoind, by: &Bitcoind) {
    for part in ["blocks", "chainstate"] {
        std::fs::remove_dir_all(node.chain_dir().join(part)).expect("a folder of the test");
        copy_folder(&by.chain_dir().join(part), &node.chain_dir().join(part));
    }
}

#[test]
fn a_node_that_comes_back_with_another_chain_is_followed_from_the_fork_on() {
    let (mut ours, mut rng) = (random::chain(406, 120), Rng::new(406));
    let theirs = random::fork(&mut ours, &mut rng, 15, 1);
    let list = random::watchlist(&ours, &mut Rng::new(406), 60);
    let mut scene = Scene::of(&ours).with_list(list).with_from_at_most(105);
    let mut other = Bitcoind::regtest();
    theirs.submit_to(&other);
    let program = scene.program("index");
    program.backfill("ours");
    scene.node.stop();
    other.stop();
    let mut running = program.spawn(&["backfill"]);
    running.await_log("waiting for it");
    assert!(running.is_running(), "the run didn't wait for a node that is down");
    replace_chain(&scene.node, &other);
    scene.node.start();
    assert_eq!(scene.node.best(), theirs.tip());
    let out = assert_done(running, "theirs");
    assert!(out.stderr.contains("disconnecting 15 blocks"), "{out:?}");
    scene.assert_fresh(&program, "theirs");
}

#[test]
fn a_tip_that_gets_shorter_during_a_run_is_where_the_run_ends() {
    let scene = Scene::regtest(407, 120, 60).with_from_at_most(20);
    let (node, gate) = (&scene.node, Gate::before(scene.node.rpc_port()));
    // Down to a block below those that the run has written, or to one above them.
    for (lane, pieces, written, height) in
        [("rest", 100, 31, 30), ("rest", 60, 10, 100), ("rpc", 150, 26, 25), ("rpc", 60, 10, 110)]
    {
        let what = format!("{lane}, {pieces} pieces, down to {height}");
        let program = scene.gated(&gate, &what, lane);
        let running = start_held(&program, &gate, pieces, written);
        let gone = scene.blocks[height as usize + 1].block_hash();
        node.invalidate(gone);
        assert_eq!(node.height(), height);
        gate.open();
        assert_done(running, &what);
        assert_eq!(program.json(&["status"]).1["tip"]["height"], height, "{what}");
        scene.assert_fresh(&program, &what);
        node.reconsider(gone);
        program.backfill(&what);
        scene.assert_fresh(&program, &format!("{what}, up again"));
    }
}

#[test]
fn a_chain_that_changes_again_and_again_during_runs_leaves_no_row_behind() {
    let (mut ours, mut rng) = (random::chain(408, 115), Rng::new(408));
    let theirs = random::fork(&mut ours, &mut rng, 10, 1);
    let list = random::watchlist(&ours, &mut Rng::new(408), 60);
    let scene = Scene::of(&ours).with_list(list).with_from_at_most(105);
    let node = &scene.node;
    theirs.submit_to(node);
    let first = theirs.blocks()[(ours.height() - 10) as usize + 1].block_hash();
    let program = scene.program("index");
    let (flips, ended) = (if is_long() { 100 } else { 12 }, AtomicBool::new(false));
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
                // The chain changed once more after the run: the closing look finds the node on the other branch, or blocks ahead.
                3 if out.stdout.contains("NOT COMPLETE") => {}
                1 if out.stderr.contains("active chain changed") => unsteady += 1,
                _ => panic!("{out:?}"),
            }
        }
        unsteady
    });
    assert!(unsteady <= flips / 4, "{unsteady} runs of {flips} flips gave up");
    assert_eq!(node.best(), theirs.tip());
    program.backfill("theirs");
    scene.assert_fresh(&program, "theirs");
    node.invalidate(first);
    program.backfill("ours");
    scene.assert_fresh(&program, "ours");
}
