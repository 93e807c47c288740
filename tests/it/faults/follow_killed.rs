//! P4 and P9 of `follow`: killed at random moments while blocks come and branches are left, it ends as if it had never been stopped,
//! and its log tells everything once. The long run (`COINHOUND_LONG=1`) kills it some hundred times on more chains.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::support::bitcoind::Bitcoind;
use crate::support::chain::RegtestChain;
use crate::support::effort::is_long;
use crate::support::program::{Program, RunningProgram};
use crate::support::random::{self, Rng};
use serde_json::Value;

const PATIENCE: Duration = Duration::from_secs(60);

/// A node whose chain goes on by chance, and an index that is followed with.
struct Story {
    seed: u64,
    rng: Rng,
    node: Bitcoind,
    chain: RegtestChain,
    program: Program,
    /// The log as it was read last.
    log: Vec<Value>,
    reorgs: usize,
}

impl Story {
    fn new(seed: u64) -> Self {
        let (mut chain, mut rng, node) = (random::chain(seed, 108), Rng::new(seed), Bitcoind::regtest());
        random::grow(&mut chain, &mut rng, 2);
        chain.submit_to(&node);
        let list = random::watchlist(&chain, &mut rng, 60);
        let program = Program::new(&node, tempfile::tempdir().expect("a folder").keep().join("index"));
        let program = program.watching(&list).with(&["--min-taint", "1"]);
        Self { seed, rng, node, chain, program, log: Vec::new(), reorgs: 0 }
    }

    /// The node's chain goes on, or is left for another.
    fn go_on(&mut self) {
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

    /// Follows, and kills that somewhere while the chain goes on; what it printed is in the log.
    fn follow_and_kill(&mut self) {
        let mut running = self.program.spawn(&["--format", "jsonl", "follow"]);
        let end = Instant::now() + Duration::from_millis(self.rng.below(700));
        while let Some(left) = end.checked_duration_since(Instant::now()) {
            if self.rng.once_in(2) {
                self.go_on();
            }
            std::thread::sleep(left.min(Duration::from_millis(self.rng.below(60))));
        }
        running.kill();
        let mut printed = Vec::new();
        while let Some(line) = running.line(PATIENCE) {
            // Of the last line a kill may leave a part.
            printed.extend(serde_json::from_str::<Value>(&line));
        }
        running.wait(PATIENCE);
        self.look(&printed);
    }

    /// Reads the log: what was in it stays, and each line that was printed is one of its own, and new.
    fn look(&mut self, printed: &[Value]) {
        let seed = self.seed;
        if !self.program.index().exists() {
            assert!(printed.is_empty(), "seed {seed}: something was told before there was an index: {printed:?}");
            return;
        }
        let (code, log) = self.program.jsonl(&["events"]);
        if code == 1 {
            assert!(self.log.is_empty() && printed.is_empty(), "seed {seed}: the index can't be read any more");
            return;
        }
        assert_eq!(code, 0, "seed {seed}");
        let known = self.log.len();
        assert!(log.len() >= known && log[..known] == self.log, "seed {seed}: the log changed where it had been read");
        for (number, event) in (1..).zip(&log) {
            assert_eq!(event["seq"], number, "seed {seed}: messages are numbered one by one");
        }
        let mut last = known as u64;
        for line in printed {
            let seq = line["seq"].as_u64().expect("a number");
            assert!(seq > last, "seed {seed}: {line} was printed again, or late");
            let in_log = log.iter().find(|event| event["seq"] == seq);
            assert_eq!(in_log, Some(line), "seed {seed}: what is printed is in the log");
            last = seq;
        }
        self.log = log;
    }

    /// Lets it come to its end without a kill, and compares with an index that was made in one go.
    fn end(mut self) -> usize {
        self.go_on();
        let mut running = self.program.spawn(&["--format", "jsonl", "follow"]);
        let printed = self.await_tip(&mut running);
        running.term();
        let out = running.wait(PATIENCE);
        assert_eq!(out.code, 0, "seed {}: {out:#?}", self.seed);
        self.look(&printed);
        let fresh = self.program.elsewhere();
        assert_eq!(fresh.json(&["backfill"]).0, 0);
        let digest = |program: &Program| program.json(&["digest"]).1["digest"].as_str().expect("a digest").to_owned();
        assert_eq!(digest(&self.program), digest(&fresh), "seed {}", self.seed);
        assert_eq!(self.program.json(&["verify"]).0, 0, "seed {}", self.seed);
        let (found, expected) = (holds(&self.log), holds(&fresh.jsonl(&["events"]).1));
        assert!(!expected.is_empty(), "seed {}: nothing was to be found", self.seed);
        for (id, fact) in &expected {
            assert_eq!(found.get(id), Some(fact), "seed {}: {id}", self.seed);
        }
        assert_eq!(found.len(), expected.len(), "seed {}: something was not taken back", self.seed);
        self.reorgs
    }

    /// Lines until the index has the node's tip.
    fn await_tip(&self, running: &mut RunningProgram) -> Vec<Value> {
        let (end, mut printed) = (Instant::now() + PATIENCE, Vec::new());
        let tip = self.node.best().to_string();
        while Instant::now() < end {
            while let Some(line) = running.line(Duration::from_millis(100)) {
                printed.push(serde_json::from_str(&line).expect("a whole line"));
            }
            assert!(running.is_running(), "seed {}: it ended", self.seed);
            if self.program.json(&["status"]).1["tip"]["hash"] == *tip {
                return printed;
            }
        }
        panic!("seed {}: it doesn't come to {tip}", self.seed);
    }
}

impl Drop for Story {
    fn drop(&mut self) {
        self.program.index().parent().map(|folder| std::fs::remove_dir_all(folder).ok());
    }
}

/// What holds after all messages: of each fact its last, unless that takes it back. Panics where something is told twice, or taken
/// back that nobody told.
fn holds(log: &[Value]) -> BTreeMap<String, Value> {
    let mut holds: BTreeMap<String, Value> = BTreeMap::new();
    for event in log {
        let (kind, id) = (event["kind"].as_str().expect("a kind"), event["id"].as_str().expect("an id").to_owned());
        let mut fact = event.clone();
        let fields = fact.as_object_mut().expect("an object");
        // Who saw it, and when.
        fields.retain(|name, _| name != "seq" && name != "seen");
        match kind {
            "retracted" => assert!(holds.remove(&id).is_some(), "{id} was taken back, and nobody had told it"),
            "reorg" | "caught_up" => {}
            _ => {
                assert_ne!(holds.get(&id), Some(&fact), "{id} was told twice");
                holds.insert(id, fact);
            }
        }
    }
    holds
}

#[test]
fn p4_p9_follow_killed_at_any_moment_tells_everything_once_and_ends_as_if_never_stopped() {
    let (seeds, kills) = if is_long() { (0..12, 40) } else { (0..1, 10) };
    for seed in seeds {
        let mut story = Story::new(95_000 + seed);
        for _ in 0..kills {
            story.follow_and_kill();
        }
        let told = story.log.len();
        let reorgs = story.end();
        assert!(
            reorgs > 0 && told > 0,
            "seed {seed}: {reorgs} reorgs, {told} messages before the end: this kills nothing"
        );
    }
}
