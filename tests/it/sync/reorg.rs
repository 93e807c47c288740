//! P5 with a real node, through the binary: branches that come and go between two runs, a tip that gets shorter, a node that
//! never saw the stale branch, one that is behind.

use std::time::Duration;

use bitcoin::ScriptBuf;
use coinhound::index::Reader;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::oracle::answers::{Answers, List, assert_rows, scripts, write_list};
use crate::support::bitcoind::Bitcoind;
use crate::support::chain::RegtestChain;
use crate::support::library::Library;
use crate::support::program::{Program, RunningProgram};
use crate::support::random::{self, Rng};
use crate::support::swept::{RowMap, assert_same_rows, rows};

const PATIENCE: Duration = Duration::from_secs(20);

/// Two branches that leave each other, a list that starts below where they do, and a folder for indexes.
struct Scene {
    ours: RegtestChain,
    theirs: RegtestChain,
    list: List,
    dir: TempDir,
}

impl Scene {
    /// Theirs leaves ours `depth` blocks below the tip and ends so many above it.
    fn new(seed: u64, depth: u32, longer: u32) -> Self {
        let (mut ours, mut rng) = (random::chain(seed, 112), Rng::new(seed));
        let theirs = random::fork(&mut ours, &mut rng, depth, longer);
        let mut list = random::watchlist(&ours, &mut rng, 60);
        // What starts above the tip isn't covered there, which is for other tests to say.
        list.iter_mut().for_each(|(_, from)| *from = (*from).min(ours.height() - depth));
        Self { ours, theirs, list, dir: tempfile::tempdir().expect("a folder for indexes") }
    }

    /// The binary on this node and the index of this name.
    fn program(&self, node: &Bitcoind, name: &str) -> Program {
        let program = Program::new(node, self.dir.path().join(name));
        let list = self.dir.path().join("list.csv");
        if !list.exists() {
            std::fs::copy(write_list(&program, &self.list), &list).expect("the folder is ours");
        }
        program.with(&["--watch", list.to_str().expect("tests use plain paths")])
    }

    /// Panics unless the index is one made afresh from this node, and the model's for this chain.
    fn assert_fresh(&self, node: &Bitcoind, program: &Program, blocks: &[bitcoin::Block], what: &str) {
        let name = format!("fresh {what}");
        let fresh = self.program(node, &name);
        backfill(&fresh, what);
        assert_same_rows(&read(program), &read(&fresh), what);
        assert_eq!(digest(program), digest(&fresh), "{what}");
        let height = u32::try_from(blocks.len() - 1).expect("a short chain");
        let all: Vec<ScriptBuf> = scripts(&self.list);
        let (library, expected) =
            (Library::open(program.index()), Answers::at(blocks, bitcoin::Network::Regtest, &self.list, height));
        assert_eq!(library.through(), Some(height), "{what}");
        assert_rows(&library.history("all", height), &expected.history(&all), what);
        assert_rows(&library.coins("all", height), &expected.coins(&all), what);
        assert_rows(&library.balances("all", height), &expected.balances(&all), what);
    }
}

fn backfill(program: &Program, what: &str) -> Value {
    let (code, answer) = program.json(&["backfill"]);
    assert_eq!(code, 0, "{what}: {answer}");
    assert_eq!(answer["coverage"]["complete"], true, "{what}: {answer}");
    answer
}

fn digest(program: &Program) -> String {
    let (code, answer) = program.json(&["digest"]);
    assert_eq!(code, 0, "{answer}");
    answer["digest"].as_str().expect("a digest").to_owned()
}

fn read(program: &Program) -> RowMap {
    rows(&Reader::open(program.index()).expect("the index opens"))
}

#[test]
fn branches_that_come_and_go_between_two_runs_are_followed() {
    for (seed, depth) in [(81, 1), (82, 9), (83, 60)] {
        let scene = Scene::new(seed, depth, 1);
        let node = Bitcoind::regtest();
        scene.ours.submit_to(&node);
        let program = scene.program(&node, "index");
        backfill(&program, "ours");
        let before = read(&program);
        // A better branch.
        scene.theirs.submit_to(&node);
        let answer = backfill(&program, "theirs");
        let fork = scene.ours.height() - depth;
        assert_eq!((&answer["from"], &answer["through"]), (&json!(fork + 1), &json!(scene.theirs.height())));
        scene.assert_fresh(&node, &program, scene.theirs.blocks(), "theirs");
        // Its first block is called invalid: back to a branch of less work.
        let first = scene.theirs.blocks()[fork as usize + 1].block_hash();
        node.invalidate(first);
        assert_eq!(node.best(), scene.ours.tip());
        backfill(&program, "ours again");
        assert_same_rows(&read(&program), &before, "there and back");
        node.reconsider(first);
        backfill(&program, "theirs again");
        assert_eq!(digest(&program), digest(&scene.program(&node, "fresh theirs")), "depth {depth}");
    }
}

#[test]
fn a_tip_that_gets_shorter_is_undone_though_no_block_came() {
    let mut scene = Scene::new(84, 1, 1);
    scene.list.iter_mut().for_each(|(_, from)| *from = (*from).min(3));
    let (node, chain) = (Bitcoind::regtest(), &scene.ours);
    chain.submit_to(&node);
    let program = scene.program(&node, "index");
    backfill(&program, "all");
    let before = read(&program);
    for height in [chain.height() - 1, 100, 3] {
        let gone = chain.blocks()[height as usize + 1].block_hash();
        node.invalidate(gone);
        assert_eq!(node.height(), height);
        let answer = backfill(&program, &format!("down to {height}"));
        assert_eq!((&answer["blocks"], &answer["through"]), (&json!(0), &json!(height)));
        assert_eq!(answer["coverage"]["gaps"], json!([]), "{answer}");
        scene.assert_fresh(&node, &program, &chain.blocks()[..=height as usize], &format!("down to {height}"));
        node.reconsider(gone);
        backfill(&program, "up again");
        assert_same_rows(&read(&program), &before, "up again");
    }
}

#[test]
fn a_node_that_never_saw_the_stale_branch_is_followed() {
    let scene = Scene::new(85, 20, 1);
    let (first, second) = (Bitcoind::regtest(), Bitcoind::regtest());
    scene.ours.submit_to(&first);
    scene.theirs.submit_to(&second);
    backfill(&scene.program(&first, "index"), "ours");
    let program = scene.program(&second, "index");
    backfill(&program, "theirs");
    scene.assert_fresh(&second, &program, scene.theirs.blocks(), "theirs");
}

/// Starts a backfill that has to wait; it does, and leaves the index alone.
fn waiting(program: &Program, before: &RowMap, what: &str) -> RunningProgram {
    let mut running = program.spawn(&["backfill"]);
    // Time for a look or two at the node.
    std::thread::sleep(Duration::from_millis(1500));
    assert!(running.is_running(), "{what}");
    assert_same_rows(&read(program), before, what);
    running
}

#[test]
fn a_node_without_our_tip_and_without_more_work_is_waited_for_until_a_signal() {
    let scene = Scene::new(86, 5, 0);
    let [node, equal, fewer, genesis] = [(); 4].map(|()| Bitcoind::regtest());
    scene.ours.submit_to(&node);
    let program = scene.program(&node, "index");
    backfill(&program, "ours");
    scene.theirs.submit_to(&equal);
    assert_eq!(equal.best(), scene.theirs.tip());
    let (before, whole) = (read(&program), digest(&program));
    scene.ours.blocks()[1..60].iter().for_each(|block| fewer.submit(block));
    for (what, node) in [("equal work", &equal), ("fewer blocks", &fewer), ("genesis", &genesis)] {
        let program = scene.program(node, "index");
        let running = waiting(&program, &before, what);
        running.term();
        let out = running.wait(PATIENCE);
        assert_eq!(out.code, 3, "{what}: {out:?}");
        assert!(out.stderr.contains("waiting for it"), "{what}: {out:?}");
        assert_same_rows(&read(&program), &before, what);
        assert_eq!(digest(&program), whole, "{what}");
    }
}

#[test]
fn a_node_that_catches_up_is_gone_on_with() {
    let mut scene = Scene::new(87, 4, 2);
    let node = Bitcoind::regtest();
    scene.ours.submit_to(&node);
    backfill(&scene.program(&node, "index"), "ours");
    random::grow(&mut scene.ours, &mut Rng::new(88), 3);
    for (what, chain) in [("the same chain", &scene.ours), ("a better branch", &scene.theirs)] {
        let fresh = Bitcoind::regtest();
        chain.blocks()[1..60].iter().for_each(|block| fresh.submit(block));
        let program = scene.program(&fresh, &format!("index of {what}"));
        let from = scene.program(&node, &format!("index of {what}"));
        backfill(&from, what);
        let running = waiting(&program, &read(&from), what);
        chain.submit_to(&fresh);
        let out = running.wait(PATIENCE);
        assert_eq!(out.code, 0, "{what}: {out:?}");
        scene.assert_fresh(&fresh, &program, chain.blocks(), what);
    }
}

#[test]
fn twenty_changes_of_branch_leave_no_row_behind() {
    let scene = Scene::new(89, 12, 1);
    let node = Bitcoind::regtest();
    scene.ours.submit_to(&node);
    let program = scene.program(&node, "index");
    backfill(&program, "ours");
    let ours = read(&program);
    scene.theirs.submit_to(&node);
    backfill(&program, "theirs");
    let theirs = read(&program);
    let first = scene.theirs.blocks()[(scene.ours.height() - 12) as usize + 1].block_hash();
    for turn in 0..20 {
        let expected = if turn % 2 == 0 { &ours } else { &theirs };
        if turn % 2 == 0 {
            node.invalidate(first)
        } else {
            node.reconsider(first)
        }
        backfill(&program, &format!("turn {turn}"));
        assert_same_rows(&read(&program), expected, &format!("turn {turn}"));
    }
}
