//! P4: a backfill that is stopped or killed anywhere and run again ends like an undisturbed one; meanwhile answers say what is
//! missing. A repeated run does nothing.

use std::time::{Duration, Instant};

use bitcoin::ScriptBuf;
use serde_json::{Value, json};

use crate::oracle::answers::{assert_rows, rows};
use crate::support::gate::Gate;
use crate::support::library::Library;
use crate::support::lists::target;
use crate::support::program::{Program, ProgramOutput};
use crate::support::random::Rng;
use crate::support::scene::{Scene, start_held};
use crate::support::wait::{self, PATIENCE};

const TIP: u32 = 150;

/// A node behind a gate, and the index that an undisturbed run made of it.
struct Interrupted {
    scene: Scene,
    gate: Gate,
    whole: Program,
}

impl Interrupted {
    fn new(seed: u64) -> Self {
        let scene = Scene::regtest(seed, TIP, 60);
        let (gate, whole) = (Gate::before(scene.node.rpc_port()), scene.program("whole"));
        whole.backfill("undisturbed");
        Self { scene, gate, whole }
    }

    fn program(&self, name: &str, lane: &str) -> Program {
        self.scene.gated(&self.gate, name, lane)
    }

    /// Panics unless the index is the undisturbed one as of its own last block, whose height is returned.
    fn assert_valid_prefix(&self, program: &Program, what: &str) -> Option<u32> {
        let library = Library::open(program.index());
        let through = library.through()?;
        let whole = Library::open(self.whole.index());
        assert_eq!(library.digest(through), whole.digest(through), "{what} through {through}");
        self.scene.answers(through).assert_all(&library, u32::MAX, what);
        Some(through)
    }

    fn assert_finished(&self, program: &Program, what: &str) {
        let (code, answer) = program.json(&["digest"]);
        assert_eq!((code, &answer["at"]["height"]), (0, &json!(TIP)), "{what}: {answer}");
        assert_eq!(answer["digest"], self.whole.json(&["digest"]).1["digest"], "{what}");
    }

    fn script_from_genesis(&self) -> &ScriptBuf {
        let (script, _) = self.scene.list.iter().find(|(_, from)| *from == 0).expect("half of them are");
        script
    }

    /// Panics unless the coverage of a run that ended after block `through` names the rest as a gap of every entry.
    fn assert_gaps(&self, coverage: &Value, through: u32, what: &str) {
        let gaps = coverage["gaps"].as_array().expect("a list of gaps");
        let missing = ["from", "through"].map(|name| gaps[0][name].clone());
        assert_eq!(missing, [json!(through + 1), json!(TIP)], "{what}: {gaps:?}");
        let entries: u64 = gaps.iter().filter_map(|gap| gap["entries"].as_u64()).sum();
        let begun = self.scene.list.iter().filter(|(_, from)| *from <= TIP).count();
        assert_eq!(entries, begun as u64, "{what}: each entry is counted once");
    }

    /// Panics unless questions are answered as of block `through`, and as incomplete unless they ask for no more.
    fn assert_partial_answers(&self, program: &Program, through: u32, what: &str) {
        let one = self.script_from_genesis();
        let (target, at, expected) = (target(one), through.to_string(), self.scene.answers(through));
        for command in ["history", "coins", "balance"] {
            let (code, answer) = program.json(&[command, &target]);
            let gap = &answer["coverage"]["gaps"][0];
            let found = (code, &gap["from"], &gap["through"]);
            assert_eq!(found, (3, &json!(through + 1), &json!(TIP)), "{what}: {answer}");
            let expected = match command {
                "history" => expected.history(std::slice::from_ref(one)),
                "coins" => expected.coins(std::slice::from_ref(one)),
                _ => expected.balances(std::slice::from_ref(one)),
            };
            assert_rows(rows(&answer), &expected, what);
            let (code, answer) = program.json(&[command, &target, "--at", &at]);
            assert_eq!((code, &answer["coverage"]["complete"]), (0, &json!(true)), "{what}: {answer}");
            assert_rows(rows(&answer), &expected, what);
        }
    }
}

#[test]
fn a_run_that_is_stopped_says_so_and_the_next_one_resumes() {
    let interrupted = Interrupted::new(51);
    for (number, (pieces, lane)) in
        [(25, "rest"), (45, "rest"), (75, "rpc"), (110, "rest"), (140, "rpc")].into_iter().enumerate()
    {
        let what = format!("{lane}, {pieces} pieces");
        let program = interrupted.program(&format!("index-{number}"), lane);
        // The node sends two pieces for a block at most, and some for headers and capabilities.
        let written = u32::try_from(pieces / 4).expect("a small number");
        let running = start_held(&program, &interrupted.gate, pieces, written);
        // The node has stopped answering, which must not delay the end of the run.
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
        interrupted.gate.open();

        let through = interrupted.assert_valid_prefix(&program, &what);
        let through = through.filter(|through| *through < TIP);
        let through = through.unwrap_or_else(|| panic!("{what}: the run wasn't stopped in the middle: {answer}"));
        assert_eq!(answer["through"], through, "{what}");
        interrupted.assert_gaps(&answer["coverage"], through, &what);
        interrupted.assert_partial_answers(&program, through, &what);

        let answer = program.backfill(&what);
        let counts = ["from", "through", "blocks", "stopped"].map(|name| answer[name].clone());
        assert_eq!(counts, [json!(through + 1), json!(TIP), json!(TIP - through), json!(false)], "{what}");
        interrupted.assert_finished(&program, &what);
        assert_eq!(program.json(&["history", &target(interrupted.script_from_genesis())]).0, 0, "{what}");
    }
}

#[test]
fn a_run_stopped_before_its_first_block_has_scanned_nothing() {
    let interrupted = Interrupted::new(52);
    let program = interrupted.program("index", "rest");
    interrupted.gate.shut_after(0);
    let running = program.spawn(&["--format", "json", "backfill"]);
    wait::until("the run asks the node", || interrupted.gate.holds_back());
    running.term();
    let out = running.wait(PATIENCE);
    assert_eq!(out.code, 3, "{}", out.stderr);
    assert!(!program.index().exists() && out.stderr.contains("nothing was scanned"), "{}", out.stderr);
    interrupted.gate.open();
    program.backfill("resumed");
    interrupted.assert_finished(&program, "resumed");
}

/// Pieces of answers that a run may read while a kill is on its way, which on a busy machine takes a while.
const UNTIL_KILLED: u64 = 15;

/// Starts a run, lets it read some pieces of answers, and kills it, if it hasn't ended by then.
fn killed_after(program: &Program, gate: &Gate, pieces: u64) -> ProgramOutput {
    let (before, end) = (gate.passed(), Instant::now() + PATIENCE);
    gate.shut_after(pieces + UNTIL_KILLED);
    let mut running = program.spawn(&["--format", "json", "backfill"]);
    while running.is_running() && gate.passed() - before < pieces && Instant::now() < end {
        std::thread::sleep(Duration::from_millis(1));
    }
    running.kill();
    let out = running.wait(PATIENCE);
    gate.open();
    out
}

#[test]
fn a_run_killed_again_and_again_ends_like_an_undisturbed_one() {
    let interrupted = Interrupted::new(53);
    let mut rng = Rng::new(53);
    for (lane, batch) in [("rest", "1"), ("rpc", "1"), ("rest", "7")] {
        let program = interrupted.program(&format!("index-{lane}-{batch}"), lane);
        let program = program.with_env("COINHOUND_SCAN_BATCH_BLOCKS", batch);
        let (mut kills, mut least, mut more) = (0, None, 0);
        loop {
            assert!(more < 10_000, "the run makes no progress");
            interrupted.gate.slow(Duration::from_millis(rng.below(3)));
            let out = killed_after(&program, &interrupted.gate, 8 + rng.below(50) + more);
            assert!([0, -9].contains(&out.code), "{lane}: {out:?}");
            if out.code == 0 {
                break;
            }
            kills += 1;
            // Later, if it got no further: on a busy machine a run may read many pieces before it writes what it found in the first.
            more = 2 * more + 8;
            if program.has_index() {
                let through = interrupted.assert_valid_prefix(&program, &format!("{lane} {batch}, kill {kills}"));
                assert!(through >= least, "{lane}: a kill lost blocks that were written before");
                if through > least {
                    (least, more) = (through, 0);
                }
            }
        }
        assert!(kills > 1, "{lane}: {kills} kills");
        interrupted.assert_finished(&program, lane);
    }
}

#[test]
fn a_repeated_run_does_nothing_and_a_partial_one_ends_at_its_height() {
    let interrupted = Interrupted::new(54);
    let program = interrupted.program("index", "rest");
    let mut next = 0;
    for to in [0, 1, 99, 100, 149] {
        let (code, answer) = program.json(&["backfill", "--to", &to.to_string()]);
        let counts = ["from", "through", "blocks"].map(|name| answer[name].clone());
        assert_eq!((code, counts), (0, [json!(next), json!(to), json!(to + 1 - next)]), "to {to}: {answer}");
        assert_eq!(answer["coverage"]["complete"], true, "no more was asked for: {answer}");
        assert_eq!(interrupted.assert_valid_prefix(&program, &format!("to {to}")), Some(to));
        next = to + 1;
    }
    // Less than there is: nothing to do, and nothing lost.
    let (code, answer) = program.json(&["backfill", "--to", "10"]);
    assert_eq!((code, &answer["blocks"], &answer["through"]), (0, &json!(0), &json!(149)), "{answer}");
    for run in 0..3 {
        // A height above the tip means the tip; the exit code says that the height wasn't reached.
        let (arguments, expected): (&[&str], _) =
            if run == 1 { (&["backfill", "--to", "9999"], 3) } else { (&["backfill"], 0) };
        let (code, answer) = program.json(arguments);
        let blocks = u32::from(run == 0);
        assert_eq!((code, &answer["blocks"], &answer["through"]), (expected, &json!(blocks), &json!(TIP)), "{answer}");
        assert_eq!(answer["coverage"]["complete"], true, "every block there is was scanned: {answer}");
        assert_eq!(answer["stopped"], false);
        interrupted.assert_finished(&program, &format!("run {run}"));
    }
}
