//! The states of a node that `states` has, one after the other, under one `follow`: it survives all of them, and its log has the
//! reorgs and nothing else.

use std::time::Duration;

use crate::node::states::{LANES, LostBlocks, replace_chain};
use crate::support::bitcoind::Bitcoind;
use crate::support::chain::RegtestChain;
use crate::support::effort::is_long;
use crate::support::program::{Program, RunningProgram};
use crate::support::random::{self, Rng};
use crate::support::scene::Scene;
use crate::support::swept::assert_same_rows;
use crate::support::wait::{self, PATIENCE};

/// A `follow` at a node's tip.
struct FollowedStates {
    lane: &'static str,
    scene: Scene,
    chain: RegtestChain,
    rng: Rng,
    program: Program,
    running: RunningProgram,
}

impl FollowedStates {
    fn start(lane: &'static str) -> Self {
        let chain = random::chain(410, 118);
        let list = random::watchlist(&chain, &mut Rng::new(410), 60);
        let node = Bitcoind::regtest_with(&["-fastprune"]);
        let scene = Scene::on(node, &chain).with_list(list).with_from_at_most(100);
        let program = scene.program("index").with(&["--lane", lane]);
        let running = program.spawn(&["--format", "jsonl", "follow"]);
        let mut followed = Self { lane, scene, chain, rng: Rng::new(410), program, running };
        followed.await_tip("catching up");
        followed.grow("new blocks");
        followed
    }

    /// Waits until the index has the node's tip.
    fn await_tip(&mut self, what: &str) {
        let best = self.scene.node.best().to_string();
        wait::until(&format!("{}, {what}: the index has the node's tip", self.lane), || {
            assert!(self.running.is_running(), "{}, {what}: follow ended: {}", self.lane, self.running.log());
            self.program.has_index() && self.program.json(&["status"]).1["tip"]["hash"] == best.as_str()
        });
    }

    /// Adds blocks, and waits until they are indexed.
    fn grow(&mut self, what: &str) {
        random::grow(&mut self.chain, &mut self.rng, 2);
        self.chain.submit_to(&self.scene.node);
        self.await_tip(what);
    }

    /// The forks of all reorgs in the log.
    fn reorgs(&self) -> Vec<u64> {
        let (code, events) = self.program.jsonl(&["events"]);
        assert_eq!(code, 0);
        let reorgs = events.iter().filter(|event| event["kind"] == "reorg");
        reorgs.map(|event| event["fork"].as_u64().expect("a height")).collect()
    }

    fn restart_and_crash(&mut self) {
        let cookie = self.scene.node.cookie();
        self.scene.node.stop();
        // Long enough for `follow` to notice.
        std::thread::sleep(Duration::from_secs(1));
        self.scene.node.start();
        assert_ne!(self.scene.node.cookie(), cookie);
        self.grow("after a restart");
        // Blocks that it hadn't flushed are lost; a node would get them again from its peers.
        self.scene.node.kill();
        self.scene.node.start();
        std::thread::sleep(Duration::from_millis(500));
        self.grow("after a crash");
    }

    fn reindex(&mut self) {
        let away = self.scene.path("away");
        let before = self.program.rows();
        let lost = LostBlocks::new(&mut self.scene.node, away);
        assert!(self.scene.node.height() < self.chain.height());
        // Long enough for `follow` to see the shorter chain, which it must not take for a reorg.
        std::thread::sleep(Duration::from_millis(1500));
        assert_same_rows(&self.program.rows(), &before, "blocks that vanished");
        lost.put_back(&mut self.scene.node);
        self.grow("after a reindex");
        assert_eq!(self.reorgs(), [0; 0], "{}: none of this was a reorg", self.lane);
    }

    /// Leaves the chain for a better branch, and changes between both; the last turn is to ours. Returns the branch.
    fn change_branches(&mut self) -> RegtestChain {
        let fork = self.chain.height() - 6;
        let theirs = random::fork(&mut self.chain, &mut Rng::new(411), 6, 1);
        theirs.submit_to(&self.scene.node);
        self.await_tip("a better branch");
        assert_eq!(self.reorgs(), [u64::from(fork)], "{}", self.lane);
        let first = theirs.blocks()[fork as usize + 1].block_hash();
        let turns = if is_long() { 101 } else { 11 };
        let mut pause = Rng::new(412);
        for turn in 0..turns {
            if turn % 2 == 0 {
                self.scene.node.invalidate(first)
            } else {
                self.scene.node.reconsider(first)
            }
            if turn % 3 == 0 {
                self.await_tip(&format!("turn {turn}"));
            } else {
                std::thread::sleep(Duration::from_millis(pause.below(200)));
            }
        }
        assert_eq!(self.scene.node.best(), self.chain.tip());
        self.await_tip("ours again");
        let reorgs = self.reorgs();
        let count = reorgs.len();
        assert!(count > turns / 3 && count <= turns + 1, "{}: {count} reorgs for {turns} turns", self.lane);
        assert!(reorgs.iter().all(|at| *at == u64::from(fork)), "{}: all are at {fork}: {reorgs:?}", self.lane);
        theirs
    }

    /// The node comes back with a chain that never had our branch.
    fn replace(&mut self, theirs: &RegtestChain) {
        let mut other = Bitcoind::regtest();
        theirs.submit_to(&other);
        other.stop();
        self.scene.node.stop();
        replace_chain(&self.scene.node, &other);
        self.scene.node.start();
        self.await_tip("a node that never saw ours");
    }

    fn end(self) {
        self.running.term();
        let out = self.running.wait(PATIENCE);
        assert_eq!(out.code, 0, "{}: {}", self.lane, out.stderr);
        self.scene.assert_fresh(&self.scene.program("index"), &format!("{}, at the end", self.lane));
    }
}

#[test]
fn follow_survives_every_state_of_its_node_and_logs_reorgs_only() {
    std::thread::scope(|scope| {
        for lane in LANES {
            scope.spawn(move || {
                let mut followed = FollowedStates::start(lane);
                followed.restart_and_crash();
                followed.reindex();
                let theirs = followed.change_branches();
                followed.replace(&theirs);
                followed.end();
            });
        }
    });
}
