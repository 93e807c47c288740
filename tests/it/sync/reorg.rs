//! P5 with a real node, through the program: branches that change between two runs, a tip that gets shorter, a node that never
//! saw the stale branch, a node that is behind.

use serde_json::json;

use crate::support::bitcoind::Bitcoind;
use crate::support::chain::RegtestChain;
use crate::support::library::Library;
use crate::support::program::{Program, RunningProgram};
use crate::support::random::{self, Rng};
use crate::support::scene::Scene;
use crate::support::swept::{RowMap, assert_same_rows};
use crate::support::wait::PATIENCE;

/// Two branches; the scene's node is on ours, and every listed script is flagged from below the fork.
struct Branches {
    ours: RegtestChain,
    theirs: RegtestChain,
    scene: Scene,
}

impl Branches {
    /// Their branch leaves ours `depth` blocks below the tip and ends `longer` blocks above it.
    fn new(seed: u64, depth: u32, longer: u32) -> Self {
        let (mut ours, mut rng) = (random::chain(seed, 112), Rng::new(seed));
        let theirs = random::fork(&mut ours, &mut rng, depth, longer);
        let list = random::watchlist(&ours, &mut rng, 60);
        let scene = Scene::of(&ours).with_list(list).with_from_at_most(ours.height() - depth);
        Self { ours, theirs, scene }
    }

    /// Panics unless the index is one that a new run makes of this node, and the model's for this chain.
    fn assert_fresh(&self, node: &Bitcoind, program: &Program, chain: &RegtestChain, height: u32, what: &str) {
        self.scene.assert_fresh_on(node, program, what);
        let library = Library::open(program.index());
        assert_eq!(library.through(), Some(height), "{what}");
        self.scene.answers_on(chain.blocks(), height).assert_all(&library, height, what);
    }
}

#[test]
fn branches_that_change_between_two_runs_are_followed() {
    for (seed, depth) in [(81, 1), (82, 9), (83, 60)] {
        let branches = Branches::new(seed, depth, 1);
        let Branches { ours, theirs, scene } = &branches;
        let node = &scene.node;
        let program = scene.program("index");
        program.backfill("ours");
        let before = program.rows();
        // A better branch.
        theirs.submit_to(node);
        let answer = program.backfill("theirs");
        let fork = ours.height() - depth;
        assert_eq!((&answer["from"], &answer["through"]), (&json!(fork + 1), &json!(theirs.height())));
        branches.assert_fresh(node, &program, theirs, theirs.height(), "theirs");
        // Its first block is called invalid: back to a branch of less work.
        let first = theirs.blocks()[fork as usize + 1].block_hash();
        node.invalidate(first);
        assert_eq!(node.best(), ours.tip());
        program.backfill("ours again");
        assert_same_rows(&program.rows(), &before, "there and back");
        node.reconsider(first);
        program.backfill("theirs again");
        assert_eq!(program.digest(), scene.program("fresh, theirs").digest(), "depth {depth}");
    }
}

#[test]
fn blocks_above_a_shorter_tip_are_disconnected_though_no_block_came() {
    let mut branches = Branches::new(84, 1, 1);
    branches.scene = branches.scene.with_from_at_most(3);
    let (node, chain) = (&branches.scene.node, &branches.ours);
    let program = branches.scene.program("index");
    program.backfill("all");
    let before = program.rows();
    for height in [chain.height() - 1, 100, 3] {
        let what = format!("down to {height}");
        let gone = chain.blocks()[height as usize + 1].block_hash();
        node.invalidate(gone);
        assert_eq!(node.height(), height);
        let answer = program.backfill(&what);
        assert_eq!((&answer["blocks"], &answer["through"]), (&json!(0), &json!(height)));
        assert_eq!(answer["coverage"]["gaps"], json!([]), "{answer}");
        branches.assert_fresh(node, &program, chain, height, &what);
        node.reconsider(gone);
        program.backfill("up again");
        assert_same_rows(&program.rows(), &before, "up again");
    }
}

#[test]
fn a_node_that_never_saw_the_stale_branch_is_followed() {
    let branches = Branches::new(85, 20, 1);
    branches.scene.program("index").backfill("ours");
    let node = Bitcoind::regtest();
    branches.theirs.submit_to(&node);
    let program = branches.scene.program_on(&node, "index");
    program.backfill("theirs");
    branches.assert_fresh(&node, &program, &branches.theirs, branches.theirs.height(), "theirs");
}

/// Starts a backfill that has to wait for its node, and leaves the index alone meanwhile.
fn waiting(program: &Program, before: &RowMap, what: &str) -> RunningProgram {
    let mut running = program.spawn(&["backfill"]);
    running.await_log("waiting for it");
    // Time for another look or two at the node, after which it must still wait.
    std::thread::sleep(std::time::Duration::from_millis(1500));
    assert!(running.is_running(), "{what}");
    assert_same_rows(&program.rows(), before, what);
    running
}

#[test]
fn a_node_without_our_tip_and_without_more_work_is_waited_for() {
    let branches = Branches::new(86, 5, 0);
    let [equal, fewer, genesis] = [(); 3].map(|()| Bitcoind::regtest());
    let program = branches.scene.program("index");
    program.backfill("ours");
    branches.theirs.submit_to(&equal);
    assert_eq!(equal.best(), branches.theirs.tip());
    let (before, whole) = (program.rows(), program.digest());
    branches.ours.blocks()[1..60].iter().for_each(|block| fewer.submit(block));
    for (what, node) in [("equal work", &equal), ("fewer blocks", &fewer), ("genesis", &genesis)] {
        let program = branches.scene.program_on(node, "index");
        // Only the next block decides between equal branches, so a backfill ends; a node that has less is waited for.
        let (out, says) = if what == "equal work" {
            (program.run(&["backfill"]), "two branches have the same work")
        } else {
            let running = waiting(&program, &before, what);
            running.term();
            (running.wait(PATIENCE), "waiting for it")
        };
        assert_eq!(out.code, 3, "{what}: {out:?}");
        assert!(out.stderr.contains(says), "{what}: {out:?}");
        assert_same_rows(&program.rows(), &before, what);
        // The node doesn't have the index's last block, so it is not shown that this is the state of now.
        let (code, digest) = program.json(&["digest", "--at", &branches.ours.height().to_string()]);
        assert_eq!((code, digest["digest"].as_str()), (0, Some(whole.as_str())), "{what}");
    }
}

#[test]
fn a_run_resumes_when_its_node_has_caught_up() {
    let mut branches = Branches::new(87, 4, 2);
    branches.scene.program("index").backfill("ours");
    random::grow(&mut branches.ours, &mut Rng::new(88), 3);
    for (what, chain) in [("the same chain", &branches.ours), ("a better branch", &branches.theirs)] {
        let fresh = Bitcoind::regtest();
        chain.blocks()[1..60].iter().for_each(|block| fresh.submit(block));
        let name = format!("index of {what}");
        let (from, program) = (branches.scene.program(&name), branches.scene.program_on(&fresh, &name));
        from.backfill(what);
        let running = waiting(&program, &from.rows(), what);
        chain.submit_to(&fresh);
        let out = running.wait(PATIENCE);
        assert_eq!(out.code, 0, "{what}: {out:?}");
        branches.assert_fresh(&fresh, &program, chain, chain.height(), what);
    }
}

#[test]
fn twenty_changes_of_branch_leave_no_row_behind() {
    let branches = Branches::new(89, 12, 1);
    let node = &branches.scene.node;
    let program = branches.scene.program("index");
    program.backfill("ours");
    let ours = program.rows();
    branches.theirs.submit_to(node);
    program.backfill("theirs");
    let theirs = program.rows();
    let first = branches.theirs.blocks()[(branches.ours.height() - 12) as usize + 1].block_hash();
    for turn in 0..20 {
        let expected = if turn % 2 == 0 { &ours } else { &theirs };
        if turn % 2 == 0 {
            node.invalidate(first)
        } else {
            node.reconsider(first)
        }
        program.backfill(&format!("turn {turn}"));
        assert_same_rows(&program.rows(), expected, &format!("turn {turn}"));
    }
}
