//! P4: a backfill that is stopped or killed anywhere and run again gives what an undisturbed one gives; meanwhile it says what it
//! lacks. A repeated run is a no-op.

use std::time::{Duration, Instant};

use bitcoin::{Network, ScriptBuf};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::oracle::answers::{Answers, List, assert_rows, rows, scripts, write_list};
use crate::support::bitcoind::Bitcoind;
use crate::support::chain::RegtestChain;
use crate::support::gate::Gate;
use crate::support::library::Library;
use crate::support::program::{Program, RunningProgram};
use crate::support::random::{self, Rng};

const TIP: u32 = 150;
const PATIENCE: Duration = Duration::from_secs(60);

/// A node behind a gate, and the index that an undisturbed run made of it.
struct Scene {
    chain: RegtestChain,
    list: List,
    node: Bitcoind,
    gate: Gate,
    whole: Program,
    dir: TempDir,
}

impl Scene {
    fn new(seed: u64) -> Self {
        let chain = random::chain(seed, TIP);
        let list = random::watchlist(&chain, &mut Rng::new(seed), 60);
        let node = Bitcoind::regtest();
        chain.submit_to(&node);
        let gate = Gate::before(node.rpc_port());
        let dir = tempfile::tempdir().expect("a folder for indexes");
        let whole = Program::new(&node, dir.path().join("whole"));
        let watch = write_list(&whole, &list);
        let whole = whole.with(&["--watch", &watch]);
        assert_eq!(whole.json(&["backfill"]).0, 0);
        Self { chain, list, node, gate, whole, dir }
    }

    /// A run through the gate, a block a batch.
    fn program(&self, name: &str, lane: &str) -> Program {
        let program = Program::through(&self.node, self.gate.url(), self.dir.path().join(name));
        let watch = write_list(&program, &self.list);
        program.with(&["--watch", &watch, "--lane", lane]).with_env("COINHOUND_SCAN_BATCH_BLOCKS", "1")
    }

    /// What an index holds through its last block is what an undisturbed run had there.
    fn assert_valid_prefix(&self, program: &Program, what: &str) -> Option<u32> {
        let library = Library::open(program.index());
        let through = library.through()?;
        assert_eq!(
            library.digest(through),
            Library::open(self.whole.index()).digest(through),
            "{what} through {through}"
        );
        let expected = self.at(through);
        assert_rows(&library.history("all", u32::MAX), &expected.history(&scripts(&self.list)), what);
        assert_rows(&library.coins("all", u32::MAX), &expected.coins(&scripts(&self.list)), what);
        Some(through)
    }

    fn at(&self, height: u32) -> Answers<'_> {
        Answers::at(self.chain.blocks(), Network::Regtest, &self.list, height)
    }

    fn assert_finished(&self, program: &Program, what: &str) {
        let (code, answer) = program.json(&["digest"]);
        assert_eq!((code, &answer["at"]), (0, &json!(TIP)), "{what}: {answer}");
        assert_eq!(answer["digest"], self.whole.json(&["digest"]).1["digest"], "{what}");
    }

    fn flagged_from_start(&self) -> &ScriptBuf {
        let (script, _) = self.list.iter().find(|(_, from)| *from == 0).expect("half of them are");
        script
    }
}

fn start(program: &Program) -> RunningProgram {
    program.spawn(&["--format", "json", "backfill"])
}

/// Waits until the gate holds the run back.
fn wait_until_held(scene: &Scene, running: &mut RunningProgram) {
    let end = Instant::now() + PATIENCE;
    while !scene.gate.is_shut() {
        assert!(running.is_running() && Instant::now() < end, "the run ended before the gate was shut");
        std::thread::sleep(Duration::from_millis(2));
    }
    // What passed is on its way into the index.
    std::thread::sleep(Duration::from_millis(150));
}

#[test]
fn a_run_that_is_told_to_stop_says_so_and_the_next_one_goes_on() {
    let scene = Scene::new(51);
    for (number, (pieces, lane)) in
        [(25, "rest"), (45, "rest"), (75, "rpc"), (110, "rest"), (140, "rpc")].into_iter().enumerate()
    {
        let what = format!("{lane}, {pieces} pieces");
        let program = scene.program(&format!("index-{number}"), lane);
        scene.gate.shut_after(pieces);
        let mut running = start(&program);
        wait_until_held(&scene, &mut running);
        // The node has stopped answering: that must not hold the run.
        if number % 2 == 0 {
            running.term()
        } else {
            running.int()
        }
        let out = running.wait(PATIENCE);
        assert_eq!(out.code, 3, "{what}: {}", out.stderr);
        let answer: Value =
            serde_json::from_str(&out.stdout).unwrap_or_else(|error| panic!("{what}: {error}: {out:?}"));
        assert_eq!((&answer["stopped"], &answer["coverage"]["complete"]), (&json!(true), &json!(false)), "{answer}");
        scene.gate.open();

        let through = scene.assert_valid_prefix(&program, &what);
        assert!(through.is_some_and(|through| through < TIP), "{what}: it was stopped in the middle: {through:?}");
        let through = through.unwrap_or_default();
        assert_eq!(answer["through"], through, "{what}");
        let gaps = &answer["coverage"]["gaps"];
        let missing = ["from", "through"].map(|name| gaps[0][name].clone());
        assert_eq!(missing, [json!(through + 1), json!(TIP)], "{what}: {gaps}");
        let gaps = gaps.as_array().expect("a list of gaps");
        let entries: u64 = gaps.iter().filter_map(|gap| gap["entries"].as_u64()).sum();
        let begun = scene.list.iter().filter(|(_, from)| *from <= TIP).count();
        assert_eq!(entries, begun as u64, "{what}: each entry misses something once");

        // Questions are answered, but as what they are.
        let one = scene.flagged_from_start();
        let target = format!("script:{}", one.to_hex_string());
        let at = through.to_string();
        let expected = scene.at(through);
        for command in ["history", "coins", "balance"] {
            let (code, answer) = program.json(&[command, &target]);
            let gap = &answer["coverage"]["gaps"][0];
            assert_eq!(
                (code, &gap["from"], &gap["through"]),
                (3, &json!(through + 1), &json!(TIP)),
                "{what}: {answer}"
            );
            let expected = match command {
                "history" => expected.history(std::slice::from_ref(one)),
                "coins" => expected.coins(std::slice::from_ref(one)),
                _ => expected.balances(std::slice::from_ref(one)),
            };
            assert_rows(rows(&answer), &expected, &what);
            let (code, answer) = program.json(&[command, &target, "--at", &at]);
            assert_eq!((code, &answer["coverage"]["complete"]), (0, &json!(true)), "{what}: {answer}");
            assert_rows(rows(&answer), &expected, &what);
        }

        let (code, answer) = program.json(&["backfill"]);
        let counts = ["from", "through", "blocks", "stopped"].map(|name| answer[name].clone());
        let expected = [json!(through + 1), json!(TIP), json!(TIP - through), json!(false)];
        assert_eq!((code, counts), (0, expected), "{what}");
        scene.assert_finished(&program, &what);
        assert_eq!(program.json(&["history", &target]).0, 0, "{what}");
    }
}

#[test]
fn a_run_stopped_before_its_first_block_has_scanned_nothing() {
    let scene = Scene::new(52);
    let program = scene.program("index", "rest");
    scene.gate.shut_after(0);
    let running = start(&program);
    std::thread::sleep(Duration::from_millis(700));
    running.term();
    let out = running.wait(PATIENCE);
    assert_eq!(out.code, 3, "{}", out.stderr);
    assert!(!program.index().exists() && out.stderr.contains("nothing was scanned"), "{}", out.stderr);
    scene.gate.open();
    assert_eq!(program.json(&["backfill"]).0, 0);
    scene.assert_finished(&program, "at last");
}

#[test]
fn a_run_killed_again_and_again_ends_as_if_it_never_was() {
    let scene = Scene::new(53);
    let mut rng = Rng::new(53);
    for (lane, batch) in [("rest", "1"), ("rpc", "1"), ("rest", "7")] {
        let program =
            scene.program(&format!("index-{lane}-{batch}"), lane).with_env("COINHOUND_SCAN_BATCH_BLOCKS", batch);
        let mut kills = 0;
        let mut least = None;
        loop {
            assert!(kills < 60, "it never gets on");
            scene.gate.slow(Duration::from_millis(rng.below(3)));
            let mut running = start(&program);
            let before = scene.gate.passed();
            let pieces = 8 + rng.below(50);
            let end = Instant::now() + PATIENCE;
            while running.is_running() && scene.gate.passed() - before < pieces && Instant::now() < end {
                std::thread::sleep(Duration::from_millis(1));
            }
            running.kill();
            let out = running.wait(PATIENCE);
            assert!([0, -9].contains(&out.code), "{lane}: {out:?}");
            if out.code == 0 {
                break;
            }
            kills += 1;
            if program.index().exists() {
                let through = scene.assert_valid_prefix(&program, &format!("{lane} {batch}, kill {kills}"));
                assert!(through >= least, "{lane}: what was there stays");
                least = through;
            }
        }
        assert!(kills > 1, "{lane}: {kills} kills");
        scene.assert_finished(&program, lane);
    }
}

#[test]
fn a_repeated_run_does_nothing_and_a_partial_one_is_whole_up_to_its_height() {
    let scene = Scene::new(54);
    let program = scene.program("index", "rest");
    let mut next = 0;
    for to in [0, 1, 99, 100, 149] {
        let (code, answer) = program.json(&["backfill", "--to", &to.to_string()]);
        let counts = ["from", "through", "blocks"].map(|name| answer[name].clone());
        assert_eq!((code, counts), (0, [json!(next), json!(to), json!(to + 1 - next)]), "to {to}: {answer}");
        assert_eq!(answer["coverage"]["complete"], true, "it was asked for no more: {answer}");
        assert_eq!(scene.assert_valid_prefix(&program, &format!("to {to}")), Some(to));
        next = to + 1;
    }
    // Less than there is: nothing to do, and nothing lost.
    let (code, answer) = program.json(&["backfill", "--to", "10"]);
    assert_eq!((code, &answer["blocks"], &answer["through"]), (0, &json!(0), &json!(149)), "{answer}");
    for run in 0..3 {
        // Beyond the tip means the tip, and says that it wasn't reached.
        let (arguments, expected): (&[&str], _) =
            if run == 1 { (&["backfill", "--to", "9999"], 3) } else { (&["backfill"], 0) };
        let (code, answer) = program.json(arguments);
        let blocks = u32::from(run == 0);
        assert_eq!((code, &answer["blocks"], &answer["through"]), (expected, &json!(blocks), &json!(TIP)), "{answer}");
        assert_eq!(answer["coverage"]["complete"], true, "every block there is was scanned: {answer}");
        assert_eq!(answer["stopped"], false);
        scene.assert_finished(&program, &format!("run {run}"));
    }
}
