//! The soak: a `follow` at which everything happens in turn, many times over: blocks, reorgs, lists that gain entries and lower heights,
//! kills of the follower and of the node, restarts without REST, odd answers, signals. It must stay, and at the end its index must be
//! that of a new run over each lane, with every event once.
//!
//! A round takes half a minute or so on a quiet machine, on a chain of its own. `scripts/test --long` runs two hours of them;
//! `COINHOUND_SOAK_MINUTES` sets another time, also for the usual run, which has none: a round takes minutes on a busy machine.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bitcoin::ScriptBuf;
use serde_json::Value;
use tempfile::TempDir;

use crate::support::bitcoind::Bitcoind;
use crate::support::chain::RegtestChain;
use crate::support::chain_facts::ChainFacts;
use crate::support::effort::{is_long, say};
use crate::support::event_log::{LogReader, facts_in_force, without_labels};
use crate::support::faults::Fault;
use crate::support::files::text;
use crate::support::lists::{List, from_genesis, label, target};
use crate::support::program::{Program, RunningProgram};
use crate::support::proxy::Proxy;
use crate::support::random::{self, Rng};
use crate::support::wait::{self, PATIENCE};

/// How often each thing happens in a round: in the usual run, and in the long one.
const TIMES: [usize; 2] = [3, 6];
/// The longest pause between two of them.
const PAUSE_MS: u64 = 250;
/// How long the index may take to become complete when all is quiet. A sweep that the node couldn't serve is tried again after half a
/// minute.
const SETTLES: Duration = Duration::from_secs(120);

/// What the follower is started with.
const FOLLOW: &[&str] = &["--format", "jsonl", "follow"];

/// What happens.
#[derive(Clone, Copy, Debug)]
enum Happening {
    Blocks,
    Reorg,
    Entries,
    LowerHeights,
    KilledFollower,
    EndedFollower,
    HangUp,
    KilledNode,
    NodeWithoutRest,
    OddAnswers,
    OddAnswersAtOnce,
}

impl Happening {
    const ALL: [Self; 11] = [
        Self::Blocks,
        Self::Reorg,
        Self::Entries,
        Self::LowerHeights,
        Self::KilledFollower,
        Self::EndedFollower,
        Self::HangUp,
        Self::KilledNode,
        Self::NodeWithoutRest,
        Self::OddAnswers,
        Self::OddAnswersAtOnce,
    ];
}

/// A row of the list.
struct Row {
    script: ScriptBuf,
    from: u32,
    role: &'static str,
}

/// A node behind a proxy, and a `follow` of it.
struct Round {
    name: String,
    rng: Rng,
    node: Bitcoind,
    proxy: Proxy,
    chain: RegtestChain,
    /// The rows that the list has had from the start, all from genesis on. What is wrong with an answer shows by them.
    first: List,
    rows: Vec<Row>,
    list: PathBuf,
    program: Program,
    running: Option<RunningProgram>,
    log: LogReader,
    faults: usize,
    _dir: TempDir,
}

impl Round {
    fn begin(seed: u64) -> Self {
        let (mut chain, mut rng) = (random::chain(seed, 110), Rng::new(seed));
        let node = Bitcoind::regtest();
        random::grow(&mut chain, &mut rng, 2);
        chain.submit_to(&node);
        let proxy = Proxy::before([&node, &node]);
        let first = from_genesis(&random::watchlist(&chain, &mut rng, 30));
        let rows: Vec<_> =
            first.iter().map(|(script, from)| Row { script: script.clone(), from: *from, role: "flagged" }).collect();
        let dir = tempfile::tempdir().expect("a folder for the index");
        let program = Program::through(&node, proxy.url(), dir.path().join("index"));
        let list = program.list_of(&csv(&rows));
        let cookie = proxy.cookie_file();
        let program = program.with(&["--rpc-cookie-file", text(&cookie), "--watch", text(&list), "--min-taint", "1"]);
        let running = Some(program.spawn(FOLLOW));
        let (name, log) = (format!("round {seed}"), LogReader::of_changing_lists());
        Self { name, rng, node, proxy, chain, first, rows, list, program, running, log, faults: 0, _dir: dir }
    }

    fn small(&mut self, bound: u64) -> u32 {
        u32::try_from(self.rng.below(bound)).expect("a small number")
    }

    /// Lets it happen.
    fn happen(&mut self, what: Happening) {
        match what {
            Happening::Blocks => {
                let blocks = self.small(3) + 1;
                random::grow(&mut self.chain, &mut self.rng, blocks);
                self.chain.submit_to(&self.node);
            }
            Happening::Reorg => {
                let (depth, longer) = (self.small(5) + 1, self.small(2) + 1);
                self.chain = random::fork(&mut self.chain, &mut self.rng, depth, longer);
                self.chain.submit_to(&self.node);
            }
            Happening::Entries => self.add_rows(),
            Happening::LowerHeights => {
                for row in &mut self.rows {
                    row.from = u32::try_from(self.rng.below(u64::from(row.from) + 1)).expect("a height");
                }
                self.write_list();
            }
            Happening::KilledFollower => self.restart("KILL", &[-9]),
            Happening::EndedFollower => self.restart("TERM", &[0, -15]),
            Happening::HangUp => self.hang_up(),
            Happening::KilledNode => {
                self.node.kill();
                std::thread::sleep(Duration::from_millis(self.rng.below(1_000)));
                self.node.start();
                self.chain.submit_to(&self.node);
            }
            Happening::NodeWithoutRest => {
                self.node.stop();
                let rest = if self.rng.once_in(2) { "-rest=0" } else { "-rest=1" };
                self.node.start_with(&[rest]);
            }
            Happening::OddAnswers => self.plan_faults(),
            Happening::OddAnswersAtOnce => {
                self.plan_faults();
                self.proxy.hurry();
            }
        }
    }

    /// Sends SIGHUP, once the follower handles it: before, it would end it.
    fn hang_up(&mut self) {
        let running = self.running.as_ref().expect("a follower");
        let status = format!("/proc/{}/status", running.pid());
        wait::until("the follower handles SIGHUP", || {
            let text = fs::read_to_string(&status).unwrap_or_default();
            let mask = text.lines().find_map(|line| line.strip_prefix("SigCgt:")).map(str::trim).unwrap_or_default();
            u64::from_str_radix(mask, 16).is_ok_and(|mask| mask & 1 == 1)
        });
        running.signal("HUP");
    }

    /// Adds rows of scripts that the chain pays, from any height on.
    fn add_rows(&mut self) {
        for (script, from) in random::watchlist(&self.chain, &mut self.rng, 4) {
            if self.rows.iter().all(|row| row.script != script) {
                let from = from.min(self.chain.height());
                let role = if self.rng.once_in(4) { "service" } else { "flagged" };
                self.rows.push(Row { script, from, role });
            }
        }
        self.write_list();
    }

    /// Replaces the list as an editor does.
    fn write_list(&self) {
        let next = self.list.with_extension("next");
        fs::write(&next, csv(&self.rows)).expect("a file of the test");
        fs::rename(&next, &self.list).expect("a file of the test");
    }

    /// Plans odd answers, all of a kind that must show.
    fn plan_faults(&mut self) {
        // The last takes long, the others need more than one node or lists that don't change.
        let unfit = [Fault::Elsewhere, Fault::AnotherSpent, Fault::Huge];
        let fit: Vec<_> = Fault::ALL.into_iter().filter(|fault| !unfit.contains(fault)).collect();
        let faults: Vec<_> = (0..=self.rng.below(3)).map(|_| *self.rng.pick(&fit)).collect();
        let mut facts = ChainFacts::default();
        facts.learn(self.chain.blocks(), &self.first);
        self.faults += self.proxy.done().len();
        self.proxy.plan(self.rng.bits(), &faults, &Arc::new(facts));
    }

    /// Ends the follower by a signal, and starts it again.
    fn restart(&mut self, signal: &str, codes: &[i32]) {
        self.end_follower(signal, codes);
        self.running = Some(self.program.spawn(FOLLOW));
    }

    /// Ends the follower by a signal, and checks how it ends and what it has printed.
    fn end_follower(&mut self, signal: &str, codes: &[i32]) {
        let mut running = self.running.take().expect("a follower");
        running.signal(signal);
        let mut printed = Vec::new();
        while let Some(line) = running.line(PATIENCE) {
            // A kill may cut the last line.
            printed.extend(serde_json::from_str::<Value>(&line));
        }
        let out = running.wait(PATIENCE);
        assert!(codes.contains(&out.code) && !out.stderr.contains("panicked"), "{}: {out:#?}", self.name);
        self.log.check(&self.program, &printed, &self.name);
    }

    /// Panics if the follower has ended by itself.
    fn assert_follows(&mut self) {
        let running = self.running.as_mut().expect("a follower");
        assert!(running.is_running(), "{}: follow has ended: {}", self.name, running.log());
    }

    /// Lets everything happen in a random order, `times` times.
    fn run(&mut self, times: usize) {
        let mut left: Vec<Happening> = std::iter::repeat_n(Happening::ALL, times).flatten().collect();
        while !left.is_empty() {
            let what = left.swap_remove(self.rng.index(left.len()));
            self.happen(what);
            std::thread::sleep(Duration::from_millis(self.rng.below(PAUSE_MS)));
            self.assert_follows();
        }
    }

    /// Waits until the index has the node's tip and everything that the lists ask for.
    fn settle(&mut self) {
        self.faults += self.proxy.done().len();
        self.proxy.plan(0, &[], &Arc::default());
        let (end, best) = (Instant::now() + SETTLES, self.node.best().to_string());
        loop {
            self.assert_follows();
            let status = if self.program.has_index() { self.program.json(&["status"]).1 } else { Value::Null };
            if status["tip"]["hash"] == *best && status["coverage"]["complete"] == true {
                return;
            }
            let log = self.running.as_ref().map(RunningProgram::log).unwrap_or_default();
            assert!(Instant::now() < end, "{}: the index doesn't settle: {status}\n{log}", self.name);
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// Panics unless the index is what a new run makes over each lane, and its log has every event once.
    fn end(mut self) -> String {
        self.happen(Happening::Reorg);
        self.settle();
        self.end_follower("TERM", &[0]);
        self.node.stop();
        // Only now: a filter index that was killed in a reorg may keep the node from starting.
        self.node.start_with(&["-rest=1", "-blockfilterindex=1"]);
        self.node.await_filters();
        assert_eq!(self.program.json(&["verify"]).0, 0, "{}", self.name);
        let found = without_labels(facts_in_force(self.log.events()));
        for lane in ["rest", "rpc", "filters"] {
            let what = format!("{}, lane {lane}", self.name);
            let fresh = self.program.elsewhere().with(&["--lane", lane]);
            fresh.backfill(&what);
            assert_eq!(self.program.digest(), fresh.digest(), "{what}");
            let expected = without_labels(facts_in_force(&fresh.jsonl(&["events"]).1));
            assert!(!expected.is_empty(), "{what}: the chain has no event");
            for (id, fact) in &expected {
                assert_eq!(found.get(id), Some(fact), "{what}: {id}");
            }
            assert_eq!(found.len(), expected.len(), "{what}: a fact was not retracted");
        }
        format!(
            "{}: {} blocks, {} entries, {} odd answers, {} events",
            self.name,
            self.chain.height(),
            self.rows.len(),
            self.faults,
            self.log.events().len()
        )
    }
}

/// The rows as a list, each script with a label of its own.
fn csv(rows: &[Row]) -> String {
    let line = |row: &Row| format!("{},{},{},{}\n", target(&row.script), row.from, label(&row.script), row.role);
    format!("address,from,label,role\n{}", rows.iter().map(line).collect::<String>())
}

/// How long the soak takes at least; `None` where it isn't wanted.
fn duration() -> Option<Duration> {
    let given = std::env::var("COINHOUND_SOAK_MINUTES").ok().and_then(|minutes| minutes.parse().ok());
    given.or(is_long().then_some(120)).map(|minutes: u64| Duration::from_secs(60 * minutes))
}

#[test]
fn p4_p9_a_follow_at_which_everything_happens_stays_and_ends_as_a_new_run_does() {
    let Some(duration) = duration() else {
        say("soak: not run; COINHOUND_SOAK_MINUTES=1 runs it");
        return;
    };
    let end = Instant::now() + duration;
    for seed in 120_000.. {
        let mut round = Round::begin(seed);
        round.run(TIMES[usize::from(is_long())]);
        let done = round.end();
        if Instant::now() >= end {
            break;
        }
        say(&format!("soak: {done}"));
    }
}
