//! The cost of following a crowd of coins: 3,000, or in the long run 100,000, for which figures are printed.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use bitcoin::ScriptBuf;
use coinhound::query::at::Moment;
use coinhound::query::trace;
use coinhound::trace::Rule;
use serde_json::json;

use crate::support::bitcoind::Bitcoind;
use crate::support::crowd::Crowd;
use crate::support::effort::{is_long, say};
use crate::support::files::text;
use crate::support::library::Library;
use crate::support::program::Program;
use crate::support::wait::PATIENCE;

/// Prints a figure in the long run.
fn measured(figure: &str) {
    if is_long() {
        say(&format!("measured: {figure}"));
    }
}

/// Runs a backfill, and returns the most memory that it used until just before its end: `VmHWM`, in kB.
fn backfill_watched(program: &Program) -> u64 {
    let mut running = program.spawn(&["backfill"]);
    let status = format!("/proc/{}/status", running.pid());
    let mut most = 0;
    while running.is_running() {
        let text = fs::read_to_string(&status).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kilobytes = line.and_then(|rest| rest.split_whitespace().next()).and_then(|number| number.parse().ok());
        most = kilobytes.unwrap_or(0).max(most);
        std::thread::sleep(Duration::from_millis(2));
    }
    let out = running.wait(PATIENCE);
    assert_eq!(out.code, 0, "{}", out.stderr);
    most
}

/// Size of a folder's files.
fn bytes(folder: &Path) -> u64 {
    let files = fs::read_dir(folder).expect("an index is a folder").map(|file| file.expect("a file").path());
    files.map(|file| fs::metadata(&file).map_or(0, |meta| meta.len())).sum()
}

/// Seconds of CPU that this thread has used: beside other tests, wall time says little.
fn cpu_seconds() -> f64 {
    let text = fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    text.split(' ').next().and_then(|nanoseconds| nanoseconds.parse::<f64>().ok()).map_or(0.0, |it| it / 1e9)
}

fn listing(program: Program, script: &ScriptBuf) -> Program {
    let list = program.watchlist(&[(script, "crowd")]);
    program.with(&["--watch", text(&list)])
}

/// Panics unless the trace of the crowd under each rule reaches every coin.
fn assert_traced(program: &Program, crowd: &Crowd) {
    let snapshot = Library::open(program.index()).snapshot;
    for rule in Rule::ALL {
        let asked = trace::TraceOptions { rules: vec![rule], ..trace::TraceOptions::default() };
        let (start, cpu) = (Instant::now(), cpu_seconds());
        let answer = trace::trace(&snapshot, &["label:crowd".into()], None, &asked, Moment::at(crowd.chain.height()));
        let rules = answer.expect("a good question").rules;
        let (wall, cpu) = (start.elapsed(), cpu_seconds() - cpu);
        measured(&format!("trace: {rule} over {} coins in {wall:?}, {cpu:.2} s of CPU", rules[0].coins.len()));
        assert!(!rule.conserves() || rules[0].sum.parts() == rules[0].sum.source_sat, "{rule}");
        if matches!(rule, Rule::Haircut | Rule::Fifo) {
            let traced: BTreeSet<_> = rules[0].coins.iter().map(|coin| coin.outpoint).collect();
            assert_eq!(traced, crowd.coins.iter().copied().collect(), "{rule} reaches every coin");
        }
    }
    for format in ["table", "json", "jsonl", "html"] {
        let start = Instant::now();
        let out = program.run(&["--format", format, "trace", "label:crowd"]);
        assert_eq!(out.code, 0, "{}", out.stderr);
        let (wall, bytes) = (start.elapsed(), out.stdout.len());
        measured(&format!("coinhound trace, two rules, {format}: {wall:?}, {bytes} bytes"));
    }
}

/// Panics unless every coin of the crowd has the right verdict.
fn assert_screened(program: &Program, crowd: &Crowd) {
    let file = program.home().join("outpoints.txt");
    let lines: String = crowd.coins.iter().map(|at| format!("{at}\n")).collect();
    fs::write(&file, lines).expect("a file of the test");
    let start = Instant::now();
    let (code, lines) = program.jsonl(&["screen", "--file", text(&file)]);
    measured(&format!("coinhound screen --file: {} outpoints in {:?}", crowd.coins.len(), start.elapsed()));
    let expected = 1 + crowd.coins.len() + 1;
    assert_eq!((code, lines.len()), (4, expected), "coverage, a line for each coin, the tally");
    for (at, row) in crowd.coins.iter().zip(&lines[1..]) {
        let verdict = if *at == crowd.coins[0] { "flagged" } else { "derived" };
        assert_eq!((&row["target"], &row["verdict"]), (&json!(at), &json!(verdict)), "{row}");
    }
}

#[test]
fn a_crowd_of_coins_is_followed_traced_and_screened() {
    let crowd = Crowd::new(if is_long() { 100_000 } else { 3_000 });
    let node = Bitcoind::regtest();
    crowd.chain.submit_to(&node);
    let followed = crowd.coins.len();
    let program = listing(Program::new(&node, node.datadir().join("crowd")), &crowd.flagged);
    let none = listing(Program::new(&node, node.datadir().join("none")), &ScriptBuf::from_bytes(vec![0x51; 40]));
    let start = Instant::now();
    let without = backfill_watched(&none);
    let between = Instant::now();
    let with = backfill_watched(&program);
    let (first, second) = (between - start, between.elapsed());
    measured(&format!("backfill: {first:?} following nothing, {second:?} following {followed} coins"));
    measured(&format!("peak memory: {without} kB following nothing, {with} kB following {followed} coins"));
    measured(&format!("index: {} and {} bytes", bytes(none.index()), bytes(program.index())));

    let (code, status) = program.json(&["status"]);
    assert_eq!((code, &status["followed"], &status["live"]), (0, &json!(followed), &json!(crowd.live)), "{status}");
    assert_traced(&program, &crowd);
    assert_screened(&program, &crowd);
}
