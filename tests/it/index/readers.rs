//! Questions, digests and backups beside a backfill that writes: each answer is whole as of its own last block, or says "busy".

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bitcoin::{Block, Network, ScriptBuf};
use coinhound::chain::Chain;
use coinhound::index::meta::{Identity, TakenLists, TraceParameters, put_lists, put_trace};
use coinhound::index::sweeps::{MAIN_SWEEP, Sweep};
use coinhound::index::{Family, IndexError, Reader, Writer};
use coinhound::sync::plan::change::{Wanted, WantedTrace};
use coinhound::sync::sweep::sweeper::Pace;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::oracle::answers::{Answers, List, assert_rows, rows, scripts, write_list};
use crate::oracle::index_rows::{IndexRows, RolesByScript, ScriptRoles, entries};
use crate::support::bitcoind::Bitcoind;
use crate::support::gate::Gate;
use crate::support::library::Library;
use crate::support::program::{Program, RunningProgram};
use crate::support::random;
use crate::support::random::Rng;
use crate::support::records::mainnet;
use crate::support::source::{Branch, MemorySource};
use crate::support::swept::{SweptIndex, UNTRACKED};

const TIP: u32 = 599;

/// A node with mainnet's first blocks behind a gate, a list of some of its scripts, and an index that is done.
struct Scene {
    blocks: Vec<Block>,
    list: List,
    node: Bitcoind,
    gate: Gate,
    done: Library,
    dir: TempDir,
}

impl Scene {
    fn new() -> Self {
        let blocks = mainnet();
        let outputs = blocks.iter().flat_map(|block| &block.txdata).flat_map(|transaction| &transaction.output);
        let list: List = outputs.map(|output| (output.script_pubkey.clone(), 0)).step_by(2).collect();
        let node = Bitcoind::mainnet_offline();
        node.feed_mainnet(TIP);
        let dir = tempfile::tempdir().expect("a folder for indexes");
        let program = Program::new(&node, dir.path().join("done"));
        let watch = write_list(&program, &list);
        assert_eq!(program.with(&["--watch", &watch]).json(&["backfill"]).0, 0);
        let (gate, done) = (Gate::before(node.rpc_port()), Library::open(&dir.path().join("done")));
        Self { blocks, list, node, gate, done, dir }
    }

    fn program(&self, name: &str) -> Program {
        let program = Program::through(&self.node, self.gate.url(), self.dir.path().join(name));
        let watch = write_list(&program, &self.list);
        program.with(&["--watch", &watch]).with_env("COINHOUND_SCAN_BATCH_BLOCKS", "1")
    }

    fn scripts(&self) -> Vec<ScriptBuf> {
        scripts(&self.list)
    }

    fn at(&self, height: u32) -> Answers<'_> {
        Answers::at(&self.blocks, Network::Bitcoin, &self.list, height)
    }
}

fn start(program: &Program) -> RunningProgram {
    let running = program.spawn(&["--format", "json", "backfill"]);
    while !program.index().exists() {
        std::thread::sleep(Duration::from_millis(1));
    }
    running
}

fn finish(running: RunningProgram) {
    let out = running.wait(Duration::from_secs(120));
    assert_eq!(out.code, 0, "the writer isn't disturbed by its readers: {}", out.stderr);
}

/// Whether an answer came; else the index was busy, which must be rare.
fn is_answer(code: i32, answer: &Value, busy: &mut u32) -> bool {
    if code == 1 && answer["error"]["message"].as_str().is_some_and(|message| message.contains("busy")) {
        *busy += 1;
        return false;
    }
    assert!([0, 3].contains(&code), "{code}: {answer}");
    true
}

#[test]
fn every_open_beside_a_running_backfill_is_whole() {
    let scene = Scene::new();
    let all = scene.scripts();
    let (mut opened, mut partial, mut busy) = (0, 0, 0);
    for round in 0..4 {
        let program = scene.program(&format!("index-{round}"));
        // As fast as it goes, and at last so slowly that there is time for enough.
        scene.gate.slow(Duration::from_millis([0, 1, 2, 40][round]));
        let mut running = start(&program);
        while running.is_running() {
            let library = match Library::try_open(program.index()) {
                Ok(library) => library,
                Err(IndexError::Busy { .. }) => {
                    busy += 1;
                    continue;
                }
                Err(error) => panic!("{error}"),
            };
            opened += 1;
            let Some(through) = library.through() else { continue };
            partial += u32::from(through < TIP);
            if partial >= 10 && round == 3 {
                scene.gate.open();
            }
            let what = format!("round {round}, through {through}");
            assert_eq!(library.digest(through), scene.done.digest(through), "{what}");
            assert_eq!(library.digest(through + 1), None, "{what}");
            if opened % 4 == 0 {
                let expected = scene.at(through);
                assert_rows(&library.history("all", u32::MAX), &expected.history(&all), &what);
                assert_rows(&library.coins("all", u32::MAX), &expected.coins(&all), &what);
                assert_rows(&library.balances("all", u32::MAX), &expected.balances(&all), &what);
            }
        }
        finish(running);
    }
    assert!(partial >= 10, "{opened} opens, {partial} of them in the middle");
    assert!(busy * 10 <= opened, "{busy} busy, {opened} opens");
}

#[test]
fn commands_beside_a_running_backfill_answer_as_of_their_own_coverage() {
    let scene = Scene::new();
    let all = scene.scripts();
    let program = scene.program("index");
    scene.gate.slow(Duration::from_millis(40));
    let mut running = start(&program);
    let (mut answers, mut partial, mut busy, mut turn) = (0, 0, 0, 0);
    while running.is_running() {
        turn += 1;
        let command = ["history", "coins", "balance", "digest"][turn % 4];
        let target: &[&str] = if command == "digest" { &[] } else { &["all"] };
        // Every second time about a height that is surely there, or not yet.
        let at: &[&str] = if turn % 2 == 0 { &[] } else { &["--at", "120"] };
        let (code, answer) = program.json(&[&[command], target, at].concat());
        if !is_answer(code, &answer, &mut busy) {
            continue;
        }
        answers += 1;
        let coverage = &answer["coverage"];
        let Some(through) = coverage["through"].as_u64().map(|height| u32::try_from(height).expect("a height")) else {
            assert_eq!(code, 3, "{answer}");
            continue;
        };
        partial += u32::from(through < TIP);
        if partial >= 16 {
            scene.gate.open();
        }
        let what = format!("{command} {at:?} through {through}");
        assert_eq!(coverage["tip"], json!(scene.blocks[through as usize].block_hash()), "{what}");
        let asked = if at.is_empty() { TIP } else { 120 };
        if command == "digest" {
            let asked = if at.is_empty() { through } else { 120 };
            let expected = scene.done.digest(asked).filter(|_| asked <= through);
            assert_eq!((code, &answer["digest"]), (if expected.is_some() { 0 } else { 3 }, &json!(expected)), "{what}");
            continue;
        }
        assert_eq!(
            (code, &coverage["complete"]),
            if through >= asked { (0, &json!(true)) } else { (3, &json!(false)) }
        );
        let expected = scene.at(through.min(asked));
        let expected = match command {
            "history" => expected.history(&all),
            "coins" => expected.coins(&all),
            _ => expected.balances(&all),
        };
        assert_rows(rows(&answer), &expected, &what);
    }
    finish(running);
    assert!(partial >= 16, "{answers} answers, {partial} of them in the middle");
    assert!(busy * 10 <= answers, "{busy} busy, {answers} answers");
}

#[test]
fn a_backup_beside_a_running_backfill_is_an_index_of_its_own() {
    let scene = Scene::new();
    let program = scene.program("index");
    scene.gate.slow(Duration::from_millis(40));
    let mut running = start(&program);
    let (mut copies, mut busy) = (Vec::new(), 0);
    while running.is_running() && copies.len() < 4 {
        let folder = scene.dir.path().join(format!("copy-{}", copies.len()));
        let (code, answer) = program.json(&["backup", folder.to_str().expect("tests use plain paths")]);
        if is_answer(code, &answer, &mut busy) {
            assert_eq!(code, 0, "{answer}");
            copies.push((folder, answer["coverage"]["through"].clone()));
        }
    }
    assert!(copies.len() == 4 && busy <= 1, "{} copies, {busy} busy", copies.len());
    scene.gate.open();
    finish(running);
    for (folder, through) in copies {
        let copy = Library::open(&folder);
        assert_eq!(json!(copy.through()), through);
        if let Some(through) = copy.through() {
            assert_eq!(copy.digest(through), scene.done.digest(through), "through {through}");
        }
        // It goes on by itself, from where it is.
        let next = copy.through().map_or(0, |through| through + 1);
        drop(copy);
        let (code, answer) = continued(&scene, &folder).json(&["backfill"]);
        assert_eq!((code, &answer["from"], &answer["through"]), (0, &json!(next), &json!(TIP)), "{answer}");
        assert_eq!(Library::open(&folder).digest(TIP), scene.done.digest(TIP));
    }
    // What is there is never overwritten.
    let taken = scene.dir.path().join("copy-0");
    let (code, answer) = program.json(&["backup", taken.to_str().expect("tests use plain paths")]);
    assert_eq!(code, 1, "{answer}");
}

/// The binary at another index, without lists: it goes on with the entries that the index has.
fn continued(scene: &Scene, index: &Path) -> Program {
    Program::new(&scene.node, index)
}

/// Rows that a height has in `a_reader_beside_a_busy_writer_sees_no_holes`, and bytes in each.
const ROWS: u32 = 40;
const BYTES: usize = 3_000;

#[test]
fn a_reader_beside_a_busy_writer_sees_no_holes() {
    // Rows enough that RocksDB flushes and compacts while readers open: that is when rows can hide from an unproven open.
    let dir = tempfile::tempdir().expect("a folder for the index");
    let path = dir.path().join("index");
    let identity = Identity { chain: Chain::Regtest, genesis: Chain::Regtest.genesis_hash(), challenge: None };
    let writer = Writer::create(&path, &identity, |writer| {
        let mut step = writer.step();
        put_trace(&mut step, &TraceParameters::default());
        put_lists(&mut step, &TakenLists::default());
        step.raw_put(Family::Sweeps, &MAIN_SWEEP.to_be_bytes(), &Sweep::Main { next: 0 }.value());
        step.commit(true)
    });
    let writer = writer.expect("an empty folder");
    // Some 120 KB a height; 3,000 of them fill the memtables a dozen times.
    let (enough, mut opened, mut busy) = (AtomicBool::new(false), 0, 0);
    std::thread::scope(|scope| {
        let writing = scope.spawn(|| {
            let (writer, mut rng) = (writer, Rng::new(1));
            for height in 0..3_000_u32 {
                let mut step = writer.step();
                for row in 0..ROWS {
                    let value: Vec<u8> = (0..BYTES / 8).flat_map(|_| rng.bits().to_be_bytes()).collect();
                    let key = [height.to_be_bytes(), row.to_be_bytes()].concat();
                    step.raw_put(Family::Records, &key, &value);
                    step.raw_put(Family::Events, &key, b"");
                }
                step.raw_put(Family::Sweeps, &MAIN_SWEEP.to_be_bytes(), &Sweep::Main { next: height + 1 }.value());
                step.commit(false).expect("the disk takes it");
                if enough.load(Ordering::SeqCst) && height > 1_000 {
                    break;
                }
                // Tens of megabytes a second: more than any chain brings.
                std::thread::sleep(Duration::from_millis(2));
            }
        });
        while !writing.is_finished() {
            let reader = match Reader::open(&path) {
                Ok(reader) => reader,
                Err(IndexError::Busy { .. }) => {
                    busy += 1;
                    continue;
                }
                Err(error) => panic!("{error}"),
            };
            opened += 1;
            enough.store(opened >= 60, Ordering::SeqCst);
            let next = reader.sweeps().expect("it reads").main();
            let events = reader.raw_count(Family::Events).expect("it reads");
            assert_eq!(events, u64::from(next * ROWS), "every row of {next} heights, and no other");
            for height in (0..next).step_by(37).chain(next.checked_sub(1)) {
                let records = reader.raw_prefix(Family::Records, &height.to_be_bytes()).count();
                assert_eq!(records, ROWS as usize, "height {height} of {next}");
            }
        }
        writing.join().expect("the writer is done");
    });
    assert!(opened >= 10, "{opened} opens, {busy} busy");
    assert!(busy * 10 <= opened, "{busy} busy, {opened} opens");
}

/// Branches that each leave the one before some blocks below its tip, and have more work; and a list of scripts on them.
fn branches() -> (Vec<Arc<Branch>>, RolesByScript) {
    let (mut chain, mut rng) = (random::chain(77, 125), Rng::new(77));
    let mut state = RolesByScript::new();
    for (script, _) in random::watchlist(&chain, &mut rng, 12) {
        state.insert(script, ScriptRoles { flagged: true, service: false, from: 0 });
    }
    let mut branches = vec![Branch::new(chain.blocks())];
    for _ in 0..12 {
        let depth = 1 + u32::try_from(rng.below(30)).expect("small");
        chain = random::fork(&mut chain, &mut rng, depth, 2);
        branches.push(Branch::new(chain.blocks()));
    }
    (branches, state)
}

#[test]
fn histories_beside_reorgs_and_sweeps_have_no_hole() {
    let (branches, state) = branches();
    let trace = WantedTrace { rules: None, min_taint_sat: Some(1), ..UNTRACKED };
    let parameters = trace.over(&TraceParameters::default());
    let mut index = SweptIndex::tracking(entries(&state), &trace);
    let path = index.writer().path().to_owned();
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let mut read = 0;
            while !done.load(Ordering::SeqCst) {
                let reader = match Reader::open(&path) {
                    Ok(reader) => reader,
                    Err(IndexError::Busy { .. }) => continue,
                    Err(error) => panic!("{error}"),
                };
                let Some(tip) = reader.tip().expect("it reads") else { continue };
                let height = tip.height as usize;
                let on = |branch: &&Arc<Branch>| branch.height() >= tip.height && branch.id(tip.height) == tip;
                let branch = branches.iter().find(on).expect("a tip of one of the branches");
                // Whatever is on the list at that moment, and however far its sweep is: each entry's touches are whole there.
                let model = IndexRows::new(&branch.blocks[..=height], &state, &parameters);
                model.assert_covered(&reader, &format!("at {tip}"));
                read += 1;
            }
            read
        });
        let pace = Pace { threads: 2, batch_blocks: 3 };
        let scripts: Vec<ScriptBuf> = state.keys().cloned().collect();
        for (number, branch) in branches.iter().enumerate() {
            index.sweep(&MemorySource::on(branch), pace).expect("a sane source");
            // One entry goes, and comes back from another height than before.
            let (mut fewer, script) = (state.clone(), &scripts[number % scripts.len()]);
            fewer.remove(script);
            for list in [fewer, state.clone()] {
                let lists = Some((entries(&list), TakenLists::default()));
                index.want(Wanted { lists, trace: trace.clone(), forget: true, accept_shrink: true });
                index.sweep(&MemorySource::on(branch), pace).expect("a sane source");
            }
        }
        done.store(true, Ordering::SeqCst);
        assert!(reader.join().expect("no answer had a hole") > 20, "it was read beside it");
    });
}
