//! A scene: a real node with a chain on it, a list, and a folder for the indexes that runs make of them.
//!
//! `Scene::regtest(7, 130, 40)` is a node at height 130 of the random chain with seed 7, and a list of some 40 of its scripts.

use std::path::PathBuf;

use bitcoin::{Block, Network, ScriptBuf};
use tempfile::TempDir;

use crate::oracle::answers::Answers;
use crate::support::bitcoind::Bitcoind;
use crate::support::chain::RegtestChain;
use crate::support::files::text;
use crate::support::gate::Gate;
use crate::support::library::Library;
use crate::support::lists::{List, csv, from_at_most, scripts};
use crate::support::program::{Program, RunningProgram};
use crate::support::random::{self, Rng};
use crate::support::records::mainnet;
use crate::support::swept::assert_same_rows;
use crate::support::wait;

/// A node, its chain, a list and a folder for indexes.
pub struct Scene {
    /// The node.
    pub node: Bitcoind,
    /// The chain's blocks, by height.
    pub blocks: Vec<Block>,
    /// The list that runs watch.
    pub list: List,
    network: Network,
    dir: TempDir,
}

impl Scene {
    /// A random chain of this height, and a list of up to `count` of its scripts, as `random::watchlist` draws them.
    pub fn regtest(seed: u64, height: u32, count: usize) -> Self {
        let chain = random::chain(seed, height);
        let list = random::watchlist(&chain, &mut Rng::new(seed), count);
        Self::of(&chain).with_list(list)
    }

    /// A regtest chain on a new node, with nothing listed.
    pub fn of(chain: &RegtestChain) -> Self {
        Self::on(Bitcoind::regtest(), chain)
    }

    /// A regtest chain on this node, with nothing listed.
    pub fn on(node: Bitcoind, chain: &RegtestChain) -> Self {
        chain.submit_to(&node);
        Self::new(node, chain.blocks().to_vec(), Network::Regtest)
    }

    /// The main chain's blocks through 599, on a node that says that it is in its initial block download, with nothing listed.
    pub fn mainnet() -> Self {
        Self::mainnet_through(599)
    }

    /// The same through a lower height.
    pub fn mainnet_through(height: u32) -> Self {
        let node = Bitcoind::mainnet_offline();
        node.feed_mainnet(height);
        Self::new(node, mainnet(), Network::Bitcoin)
    }

    fn new(node: Bitcoind, blocks: Vec<Block>, network: Network) -> Self {
        let dir = tempfile::tempdir().expect("a folder for indexes");
        Self { node, blocks, list: List::new(), network, dir }
    }

    /// Lists these scripts.
    pub fn with_list(mut self, list: List) -> Self {
        self.list = list;
        self
    }

    /// Flags no script from above `height`: what starts above the tip has no coverage.
    pub fn with_from_at_most(mut self, height: u32) -> Self {
        self.list = from_at_most(height, self.list);
        self
    }

    /// Height of the last of `blocks`.
    pub fn tip(&self) -> u32 {
        u32::try_from(self.blocks.len() - 1).expect("a short chain")
    }

    /// The listed scripts, in the order of the target `all`.
    pub fn scripts(&self) -> Vec<ScriptBuf> {
        scripts(&self.list)
    }

    /// The answers after the block at `height`.
    pub fn answers(&self, height: u32) -> Answers<'_> {
        Answers::at(&self.blocks, self.network, &self.list, height)
    }

    /// The answers after the block at `height` of another chain.
    pub fn answers_on<'a>(&self, blocks: &'a [Block], height: u32) -> Answers<'a> {
        Answers::at(blocks, self.network, &self.list, height)
    }

    /// A path in the scene's folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The program on the scene's node, watching the list, with the index of this name.
    pub fn program(&self, name: &str) -> Program {
        self.program_on(&self.node, name)
    }

    /// The program on another node, watching the list, with the index of this name.
    pub fn program_on(&self, node: &Bitcoind, name: &str) -> Program {
        self.watched(Program::new(node, self.path(name)))
    }

    /// The program on the scene's node behind a gate; it writes each block by itself.
    pub fn gated(&self, gate: &Gate, name: &str, lane: &str) -> Program {
        let program = self.watched(Program::through(&self.node, gate.url(), self.path(name)));
        program.with(&["--lane", lane]).with_env("COINHOUND_SCAN_BATCH_BLOCKS", "1")
    }

    /// Watches the list. All programs share one file: entries store the path of their list.
    fn watched(&self, program: Program) -> Program {
        let (path, list) = (self.path("list.csv"), csv(&self.list));
        // A run may be reading it.
        if std::fs::read_to_string(&path).ok().as_ref() != Some(&list) {
            std::fs::write(&path, list).expect("a file of the test");
        }
        program.with(&["--watch", text(&path)])
    }

    /// Panics unless the index is the one that a new run makes of this node.
    pub fn assert_fresh_on(&self, node: &Bitcoind, program: &Program, what: &str) {
        let fresh = self.program_on(node, &format!("fresh, {what}"));
        assert!(!fresh.index().exists(), "{what}: the index isn't new");
        fresh.backfill(what);
        assert_same_rows(&program.rows(), &fresh.rows(), what);
        assert_eq!(program.digest(), fresh.digest(), "{what}");
    }

    /// Panics unless the index is the one that a new run makes of the scene's node as it is now.
    pub fn assert_fresh(&self, program: &Program, what: &str) {
        self.assert_fresh_on(&self.node, program, what);
    }
}

/// Starts a backfill that the gate stops after `pieces` of answers, and waits until it has: until the gate is shut and the index
/// holds block `height`.
pub fn start_held(program: &Program, gate: &Gate, pieces: u64, height: u32) -> RunningProgram {
    gate.shut_after(pieces);
    let mut running = program.spawn(&["--format", "json", "backfill"]);
    wait::until("the gate stops the run", || {
        assert!(running.is_running(), "the run ended before the gate was shut: {}", running.log());
        gate.is_shut()
    });
    let mut looks = 0;
    wait::until(&format!("the index holds block {height}"), || {
        assert!(running.is_running(), "the run ended although the gate is shut: {}", running.log());
        let opened = program.has_index().then(|| Library::try_open(program.index()).ok()).flatten();
        if opened.and_then(|library| library.through()) >= Some(height) {
            return true;
        }
        // A run reads ahead: all pieces may have been those of later blocks, while the next block's is held back.
        looks += 1;
        if looks % 20 == 0 && gate.is_shut() {
            gate.let_through(1);
        }
        false
    });
    running
}
