//! P4 and P9 of `follow`: killed at random moments while blocks come and branches change, it ends as if it had never been stopped,
//! and its log has every event once. The long run (`COINHOUND_LONG=1`) kills it some hundred times on more chains.

use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

use crate::support::bitcoind::Bitcoind;
use crate::support::chain::RegtestChain;
use crate::support::effort::is_long;
use crate::support::event_log::{LogReader, facts_in_force};
use crate::support::program::{Program, RunningProgram};
use crate::support::random::{self, Rng};
use crate::support::wait::PATIENCE;

/// A node whose chain grows or changes at random, and an index that follows it.
struct Story {
    seed: u64,
    rng: Rng,
    node: Bitcoind,
    chain: RegtestChain,
    program: Program,
    /// The log of events.
    log: LogReader,
    reorgs: usize,
    _dir: TempDir,
}

impl Story {
    fn new(seed: u64) -> Self {
        let (mut chain, mut rng, node) = (random::chain(seed, 108), Rng::new(seed), Bitcoind::regtest());
        random::grow(&mut chain, &mut rng, 2);
        chain.submit_to(&node);
        let list = random::watchlist(&chain, &mut rng, 60);
        let dir = tempfile::tempdir().expect("a folder for the index");
        let program = Program::new(&node, dir.path().join("index")).watching(&list).with(&["--min-taint", "1"]);
        let log = LogReader::default();
        Self { seed, rng, node, chain, program, log, reorgs: 0, _dir: dir }
    }

    /// Adds blocks to the node's chain, or makes it change to a better branch.
    fn move_chain(&mut self) {
        if self.rng.once_in(3) {
            let (depth, longer) = (self.small(5) + 1, self.small(2) + 1);
            self.chain = random::fork(&mut self.chain, &mut self.rng, depth, longer);
            self.reorgs += 1;
        } else {
            let blocks = self.small(3) + 1;
            random::grow(&mut self.chain, &mut self.rng, blocks);
        }
        self.chain.submit_to(&self.node);
    }

    fn small(&mut self, bound: u64) -> u32 {
        u32::try_from(self.rng.below(bound)).expect("a small number")
    }

    /// Follows, and kills the program at a random moment while the chain moves.
    fn follow_and_kill(&mut self) {
        let running = self.program.spawn(&["--format", "jsonl", "follow"]);
        let end = Instant::now() + Duration::from_millis(self.rng.below(700));
        while let Some(left) = end.checked_duration_since(Instant::now()) {
            if self.rng.once_in(2) {
                self.move_chain();
            }
            std::thread::sleep(left.min(Duration::from_millis(self.rng.below(60))));
        }
        self.kill(running, Vec::new());
    }

    /// Moves the chain until it has changed its branch, follows, and kills the program once the log has an event.
    fn follow_to_an_event_and_kill(&mut self) {
        self.move_chain();
        while self.reorgs == 0 {
            self.move_chain();
        }
        let mut running = self.program.spawn(&["--format", "jsonl", "follow"]);
        let mut printed = Vec::new();
        if self.log.events().is_empty() {
            let line = running.line(PATIENCE).expect("the chain has events");
            printed.push(serde_json::from_str(&line).expect("a whole line"));
        }
        self.kill(running, printed);
    }

    /// Kills a follow, which has printed these events already, and checks what it printed.
    fn kill(&mut self, mut running: RunningProgram, mut printed: Vec<Value>) {
        running.kill();
        while let Some(line) = running.line(PATIENCE) {
            // A kill may cut the last line.
            printed.extend(serde_json::from_str::<Value>(&line));
        }
        running.wait(PATIENCE);
        self.log.check(&self.program, &printed, &format!("seed {}", self.seed));
    }

    /// Lets it catch up without a kill, and compares the index with one that a new run makes. Returns the number of reorgs.
    fn end(mut self) -> usize {
        self.move_chain();
        let mut running = self.program.spawn(&["--format", "jsonl", "follow"]);
        let printed = self.await_tip(&mut running);
        running.term();
        let out = running.wait(PATIENCE);
        assert_eq!(out.code, 0, "seed {}: {out:#?}", self.seed);
        self.log.check(&self.program, &printed, &format!("seed {}", self.seed));
        let fresh = self.program.elsewhere();
        fresh.backfill("a new index");
        assert_eq!(self.program.digest(), fresh.digest(), "seed {}", self.seed);
        assert_eq!(self.program.json(&["verify"]).0, 0, "seed {}", self.seed);
        let (found, expected) = (facts_in_force(self.log.events()), facts_in_force(&fresh.jsonl(&["events"]).1));
        assert!(!expected.is_empty(), "seed {}: the chain has no event", self.seed);
        for (id, fact) in &expected {
            assert_eq!(found.get(id), Some(fact), "seed {}: {id}", self.seed);
        }
        assert_eq!(found.len(), expected.len(), "seed {}: a fact was not retracted", self.seed);
        self.reorgs
    }

    /// Waits until the index has the node's tip, and returns the events that are printed meanwhile.
    fn await_tip(&self, running: &mut RunningProgram) -> Vec<Value> {
        let (end, mut printed) = (Instant::now() + PATIENCE, Vec::new());
        let tip = self.node.best().to_string();
        while Instant::now() < end {
            while let Some(line) = running.line(Duration::from_millis(100)) {
                printed.push(serde_json::from_str(&line).expect("a whole line"));
            }
            assert!(running.is_running(), "seed {}: follow ended", self.seed);
            if self.program.json(&["status"]).1["tip"]["hash"] == *tip {
                return printed;
            }
        }
        panic!("seed {}: the index doesn't get to {tip}", self.seed);
    }
}

#[test]
fn p4_p9_follow_killed_at_any_moment_logs_every_event_once() {
    let (seeds, kills) = if is_long() { (0..12, 40) } else { (0..1, 10) };
    for seed in seeds {
        let mut story = Story::new(95_000 + seed);
        for _ in 0..kills {
            story.follow_and_kill();
        }
        // On a busy machine all of these runs may be too short for either.
        if story.log.events().is_empty() || story.reorgs == 0 {
            story.follow_to_an_event_and_kill();
        }
        let logged = story.log.events().len();
        let reorgs = story.end();
        let what = format!("seed {seed}: {reorgs} reorgs, {logged} events before the end");
        assert!(reorgs > 0 && logged > 0, "{what}: the kills came too early");
    }
}
