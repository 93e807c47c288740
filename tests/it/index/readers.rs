//! Questions, digests and backups while a backfill writes: each answer is complete as of its own last block, or says "busy".

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use bitcoin::ScriptBuf;
use coinhound::index::meta::{TakenLists, TraceParameters, put_lists, put_trace};
use coinhound::index::raw::{Family, RawChanges, RawRows};
use coinhound::index::sweeps::{MAIN_SWEEP, Sweep};
use coinhound::index::{IndexError, ReadRows, Reader, Writer};
use coinhound::sync::plan::wanted::{Lists, Wanted, WantedTrace};
use coinhound::sync::sweep::run::Pace;
use serde_json::{Value, json};

use crate::oracle::answers::{Answers, assert_rows, rows};
use crate::oracle::index_rows::{IndexRows, RolesByScript, ScriptRoles, entries};
use crate::support::files::text;
use crate::support::gate::Gate;
use crate::support::library::Library;
use crate::support::lists::List;
use crate::support::program::{Program, RunningProgram};
use crate::support::random::{self, Rng};
use crate::support::scene::Scene;
use crate::support::source::{Branch, MemorySource};
use crate::support::swept::{SweptIndex, UNTRACKED, identity};
use crate::support::wait;

const TIP: u32 = 599;

/// A node with mainnet's first blocks, a gate in front of it, a list of half of its scripts, and a finished index.
struct Watched {
    scene: Scene,
    gate: Gate,
    done: Library,
}

impl Watched {
    fn new() -> Self {
        let scene = Scene::mainnet();
        let outputs = scene.blocks.iter().flat_map(|block| &block.txdata).flat_map(|transaction| &transaction.output);
        let list: List = outputs.map(|output| (output.script_pubkey.clone(), 0)).step_by(2).collect();
        let scene = scene.with_list(list);
        let done = scene.program("done");
        assert_eq!(done.json(&["backfill"]).0, 0);
        let (gate, done) = (Gate::before(scene.node.rpc_port()), Library::open(done.index()));
        Self { scene, gate, done }
    }

    fn program(&self, name: &str) -> Program {
        self.scene.gated(&self.gate, name, "auto")
    }

    fn at(&self, height: u32) -> Answers<'_> {
        self.scene.answers(height)
    }

    /// Panics unless an answer to a question, as of height `at` or the tip, is right for an index that ends with block `through`.
    fn assert_answer(&self, command: &str, at: Option<u32>, through: u32, (code, answer): (i32, &Value)) {
        let what = format!("{command} at {at:?} through {through}");
        let coverage = &answer["coverage"];
        assert_eq!(coverage["tip"], json!(self.scene.blocks[through as usize].block_hash()), "{what}");
        if command == "digest" {
            let asked = at.unwrap_or(through);
            let expected = self.done.digest(asked).filter(|_| asked <= through);
            // Without a height it is about now, and the run is not done.
            let complete = expected.is_some() && (at.is_some() || through == TIP);
            assert_eq!((code, &answer["digest"]), (if complete { 0 } else { 3 }, &json!(expected)), "{what}");
            return;
        }
        let asked = at.unwrap_or(TIP);
        let complete = if through >= asked { (0, &json!(true)) } else { (3, &json!(false)) };
        assert_eq!((code, &coverage["complete"]), complete, "{what}");
        let (expected, all) = (self.at(through.min(asked)), self.scene.scripts());
        let expected = match command {
            "history" => expected.history(&all),
            "coins" => expected.coins(&all),
            _ => expected.balances(&all),
        };
        assert_rows(rows(answer), &expected, &what);
    }
}

/// Pieces of answers that a run gets before the first look at its index, and for each look: so it can't end before some looks, however
/// slow they are: the 600 blocks take one each at least.
const FIRST_PIECES: u64 = 100;
const PIECES_A_LOOK: u64 = 12;

/// Starts a backfill, and waits until there is an index.
fn start(program: &Program) -> RunningProgram {
    let running = program.spawn(&["--format", "json", "backfill"]);
    wait::until("there is an index", || program.has_index());
    running
}

fn finish(running: RunningProgram) {
    let out = running.wait(wait::PATIENCE);
    assert_eq!(out.code, 0, "the readers disturbed the writer: {}", out.stderr);
}

/// Whether this is an answer; if not, the index was busy, which is counted.
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
    let watched = Watched::new();
    let (mut opened, mut partial, mut busy) = (0, 0, 0);
    for round in 0..4 {
        let program = watched.program(&format!("index-{round}"));
        // As fast as possible, and in the last round no faster than some opens in the middle.
        watched.gate.slow(Duration::from_millis([0, 1, 2, 40][round]));
        if round == 3 {
            watched.gate.shut_after(FIRST_PIECES);
        }
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
            watched.gate.let_through(PIECES_A_LOOK);
            let Some(through) = library.through() else { continue };
            partial += u32::from(through < TIP);
            if partial >= 10 && round == 3 {
                watched.gate.open();
            }
            let what = format!("round {round}, through {through}");
            assert_eq!(library.digest(through), watched.done.digest(through), "{what}");
            assert_eq!(library.digest(through + 1), None, "{what}");
            if opened % 4 == 0 {
                watched.at(through).assert_all(&library, u32::MAX, &what);
            }
        }
        finish(running);
    }
    assert!(partial >= 10, "{opened} opens, {partial} of them in the middle");
    assert!(busy * 10 <= opened, "{busy} busy, {opened} opens");
}

#[test]
fn commands_beside_a_running_backfill_answer_as_of_their_own_coverage() {
    let watched = Watched::new();
    let program = watched.program("index");
    watched.gate.slow(Duration::from_millis(40));
    watched.gate.shut_after(FIRST_PIECES);
    let mut running = start(&program);
    let (mut answers, mut partial, mut busy, mut turn) = (0, 0, 0, 0);
    while running.is_running() {
        turn += 1;
        watched.gate.let_through(PIECES_A_LOOK);
        let command = ["history", "coins", "balance", "digest"][turn % 4];
        let target: &[&str] = if command == "digest" { &[] } else { &["all"] };
        // Every second question is about a height in the middle.
        let at: &[&str] = if turn % 2 == 0 { &[] } else { &["--at", "120"] };
        let (code, answer) = program.json(&[&[command], target, at].concat());
        if !is_answer(code, &answer, &mut busy) {
            continue;
        }
        answers += 1;
        let Some(through) = answer["coverage"]["through"].as_u64() else {
            assert_eq!(code, 3, "{answer}");
            continue;
        };
        let through = u32::try_from(through).expect("a height");
        partial += u32::from(through < TIP);
        if partial >= 16 {
            watched.gate.open();
        }
        watched.assert_answer(command, (!at.is_empty()).then_some(120), through, (code, &answer));
    }
    finish(running);
    assert!(partial >= 16, "{answers} answers, {partial} of them in the middle");
    assert!(busy * 10 <= answers, "{busy} busy, {answers} answers");
}

#[test]
fn a_backup_beside_a_running_backfill_is_an_index_of_its_own() {
    let watched = Watched::new();
    let program = watched.program("index");
    watched.gate.slow(Duration::from_millis(40));
    watched.gate.shut_after(FIRST_PIECES);
    let mut running = start(&program);
    let (mut copies, mut busy) = (Vec::new(), 0);
    while running.is_running() && copies.len() < 4 {
        watched.gate.let_through(PIECES_A_LOOK);
        let folder = watched.scene.path(&format!("copy-{}", copies.len()));
        let (code, answer) = program.json(&["backup", text(&folder)]);
        if is_answer(code, &answer, &mut busy) {
            let through = answer["coverage"]["through"].clone();
            assert_eq!(code, if through == TIP { 0 } else { 3 }, "{answer}");
            copies.push((folder, through));
        }
    }
    assert!(copies.len() == 4 && busy <= 1, "{} copies, {busy} busy", copies.len());
    watched.gate.open();
    finish(running);
    for (folder, through) in copies {
        let copy = Library::open(&folder);
        assert_eq!(json!(copy.through()), through);
        if let Some(through) = copy.through() {
            assert_eq!(copy.digest(through), watched.done.digest(through), "through {through}");
        }
        // A run without lists resumes the copy with the entries that it has.
        let next = copy.through().map_or(0, |through| through + 1);
        drop(copy);
        let (code, answer) = Program::new(&watched.scene.node, &folder).json(&["backfill"]);
        assert_eq!((code, &answer["from"], &answer["through"]), (0, &json!(next), &json!(TIP)), "{answer}");
        assert_eq!(Library::open(&folder).digest(TIP), watched.done.digest(TIP));
    }
    // An existing index is never overwritten.
    let (code, answer) = program.json(&["backup", text(&watched.scene.path("copy-0"))]);
    assert_eq!(code, 1, "{answer}");
}

/// Rows of each height in `a_reader_beside_a_busy_writer_sees_no_holes`.
const ROWS: u32 = 40;
/// Bytes of each of these rows.
const BYTES: usize = 3_000;

#[test]
fn a_reader_beside_a_busy_writer_sees_no_holes() {
    // Enough rows that RocksDB flushes and compacts while readers open: an open that isn't proven can miss rows then.
    let dir = tempfile::tempdir().expect("a folder for the index");
    let path = dir.path().join("index");
    let writer = Writer::create(&path, &identity(), |writer| {
        let mut step = writer.step();
        put_trace(&mut step, &TraceParameters::default());
        put_lists(&mut step, &TakenLists::default());
        step.put(&MAIN_SWEEP, &Sweep::Main { next: 0 });
        step.commit(true)
    });
    let writer = writer.expect("an empty folder");
    // Some 120 KB a height: 3,000 heights fill the memtables a dozen times.
    let (opens, mut busy) = (AtomicU32::new(0), 0);
    std::thread::scope(|scope| {
        let writing = scope.spawn(|| {
            let (writer, mut rng, end) = (writer, Rng::new(1), Instant::now() + wait::PATIENCE);
            for height in 0..3_000_u32 {
                let mut step = writer.step();
                for row in 0..ROWS {
                    let value: Vec<u8> = (0..BYTES / 8).flat_map(|_| rng.bits().to_be_bytes()).collect();
                    let key = [height.to_be_bytes(), row.to_be_bytes()].concat();
                    step.raw_put(Family::Records, &key, &value);
                    step.raw_put(Family::Events, &key, b"");
                }
                step.put(&MAIN_SWEEP, &Sweep::Main { next: height + 1 });
                step.commit(false).expect("the disk takes it");
                if opens.load(Ordering::SeqCst) >= 60 && height > 1_000 {
                    break;
                }
                // A slow reader gets some opens all the same; one that has failed is not waited for.
                while opens.load(Ordering::SeqCst) < height / 200 && Instant::now() < end {
                    std::thread::sleep(Duration::from_millis(2));
                }
                // Tens of megabytes a second: more than any chain has.
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
            opens.fetch_add(1, Ordering::SeqCst);
            let next = reader.sweeps().expect("it reads").main();
            let events = reader.raw_prefix(Family::Events, &[]).collect::<Result<Vec<_>, _>>().expect("it reads").len();
            assert_eq!(events, (next * ROWS) as usize, "the rows of {next} heights and no others");
            for height in (0..next).step_by(37).chain(next.checked_sub(1)) {
                let records = reader.raw_prefix(Family::Records, &height.to_be_bytes()).count();
                assert_eq!(records, ROWS as usize, "height {height} of {next}");
            }
        }
        writing.join().expect("the writer is done");
    });
    let opened = opens.into_inner();
    assert!(opened >= 10, "{opened} opens, {busy} busy");
    assert!(busy * 10 <= opened, "{busy} busy, {opened} opens");
}

/// Branches, each of which leaves the one before some blocks below its tip and has more work; and a list of scripts on them.
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
    let (done, read) = (AtomicBool::new(false), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
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
                // Whatever the list is at that moment, and however far its sweep: the touches of each entry have no hole.
                let model = IndexRows::new(&branch.blocks[..=height], &state, &parameters);
                model.assert_covered(&reader, &format!("at {tip}"));
                read.fetch_add(1, Ordering::SeqCst);
            }
        });
        let end = Instant::now() + wait::PATIENCE;
        let pace = Pace { threads: 2, batch_blocks: 3 };
        let scripts: Vec<ScriptBuf> = state.keys().cloned().collect();
        for (number, branch) in branches.iter().enumerate() {
            index.sweep(&MemorySource::on(branch), pace).expect("an honest source");
            // One entry is removed, and comes back when the chain is at another height.
            let (mut fewer, script) = (state.clone(), &scripts[number % scripts.len()]);
            fewer.remove(script);
            for list in [fewer, state.clone()] {
                let lists = Some(Lists { entries: entries(&list), ..Lists::default() });
                index.want(Wanted {
                    lists,
                    trace: trace.clone(),
                    forget: true,
                    accept_shrink: true,
                    ..Wanted::default()
                });
                index.sweep(&MemorySource::on(branch), pace).expect("an honest source");
            }
            // A slow reader gets some opens all the same; one that has failed is not waited for.
            while read.load(Ordering::SeqCst) < 2 * (number + 1) && !reader.is_finished() && Instant::now() < end {
                std::thread::sleep(Duration::from_millis(2));
            }
        }
        done.store(true, Ordering::SeqCst);
        reader.join().expect("no answer had a hole");
        assert!(read.load(Ordering::SeqCst) > 20, "too few opens beside the writer");
    });
}
