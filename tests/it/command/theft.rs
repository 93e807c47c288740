//! A made-up theft of 1,580 BTC on a real node, as an investigator meets it: found, followed through a reorg, traced to the satoshi,
//! screened against, drawn; and what following 100,000 coins costs.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use coinhound::index::meta::TraceParameters;
use coinhound::query::trace;
use coinhound::trace::Rule;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::oracle::taint::{self, Question};
use crate::support::bitcoind::Bitcoind;
use crate::support::browser::Browser;
use crate::support::crowd::Crowd;
use crate::support::effort::is_long;
use crate::support::library::Library;
use crate::support::program::Program;
use crate::support::taint_cases::assert_traced;
use crate::support::theft::{EXCHANGES, LABEL, MIN_TAINT, STOLEN, Theft};

const PATIENCE: Duration = Duration::from_secs(60);

fn target() -> String {
    format!("label:{LABEL}")
}

/// The theft, its node at the branch that is left later, and the program's settings.
struct Investigation {
    theft: Theft,
    node: Bitcoind,
    program: Program,
    _folder: TempDir,
}

impl Investigation {
    fn open() -> Self {
        let transactions = if is_long() { 10_000 } else { 4_000 };
        let theft = Theft::new(transactions);
        assert_eq!(theft.transactions(), transactions);
        let node = Bitcoind::regtest();
        theft.stale.submit_to(&node);
        let folder = tempfile::tempdir().expect("a folder for the index");
        let program = Program::new(&node, folder.path().join("index"));
        // The notice names addresses; services are known by their scripts.
        let notice = program.home().join("notice.csv");
        let rows: String = theft.addresses().iter().map(|address| format!("{address},\"{LABEL}\"\n")).collect();
        fs::write(&notice, format!("address,label\n{rows}")).expect("ours");
        let services = program.watchlist(&theft.services());
        let [notice, services] = [&notice, &services].map(|path| path.to_str().expect("plain").to_owned());
        let program = program.with(&["--watch", &notice, "--watch", &format!("{services},role=service")]);
        Self { theft, node, program, _folder: folder }
    }

    /// Indexes the branch that is left, follows while the node leaves it, stops in the midst and catches up.
    fn index_through_the_reorg(&self) {
        let (code, answer) = self.program.json(&["backfill"]);
        assert_eq!((code, &answer["coverage"]["through"]), (0, &json!(self.theft.stale.height())), "{answer}");
        let lost = self.theft.lost.at.to_string();
        let (_, before) = self.program.jsonl(&["events"]);
        let cashed_out = |event: &&Value| event["kind"] == "service" && event["outpoint"] == lost;
        let told = before.iter().find(cashed_out).expect("money that reaches a service is told");
        assert_eq!((&told["value_sat"], &told["labels"]), (&json!(40 * 100_000_000_u64), &json!(["Exchange Two"])));
        let mut running = self.program.spawn(&["--format", "jsonl", "follow"]);
        self.theft.chain.submit_to(&self.node);
        let mut seen = BTreeSet::new();
        while !(seen.contains("reorg") && seen.contains("moved")) {
            let line = running.line(PATIENCE).expect("the reorg and what came after are told");
            let event: Value = serde_json::from_str(&line).expect("JSON");
            let kind = event["kind"].as_str().expect("a kind");
            if kind == "reorg" {
                assert_eq!(event["fork"], json!(self.theft.fork), "{event}");
                seen.clear();
            }
            seen.insert(kind.to_owned());
            if event["id"] == told["id"] {
                assert_eq!(
                    (&event["kind"], &event["was"], &event["reason"]),
                    (&json!("retracted"), &json!("service"), &json!("reorg"))
                );
            }
        }
        running.term();
        assert_eq!(running.wait(PATIENCE).code, 0);
        assert_eq!(self.program.json(&["backfill"]).0, 0);
        let (_, after) = self.program.jsonl(&["events"]);
        assert!(!held(&after).contains_key(told["id"].as_str().expect("an id")), "what was undone holds no more");
        let moved = |events: &[Value]| {
            let again = self.theft.again.compute_txid().to_string();
            let blocks = events.iter().filter(|event| event["kind"] == "moved" && event["txid"] == again);
            blocks.map(|event| event["block"].to_string()).collect::<BTreeSet<_>>()
        };
        let (moved_before, moved_after) = (moved(&before), moved(&held(&after).into_values().collect::<Vec<_>>()));
        assert_eq!((moved_before.len(), moved_after.len()), (1, 1), "once on each branch");
        assert_ne!(moved_before, moved_after, "in another block");
    }

    /// P5 and P9: the index and what its log says in the end are those of an index made now.
    fn assert_as_fresh(&self) {
        let fresh = self.program.elsewhere();
        assert_eq!(fresh.json(&["backfill"]).0, 0);
        let digests = [&self.program, &fresh].map(|program| program.json(&["digest"]));
        assert_eq!(digests[0].0, 0);
        assert_eq!(digests[0].1["digest"], digests[1].1["digest"]);
        let [found, expected] = [&self.program, &fresh].map(|program| held(&program.jsonl(&["events"]).1));
        for (id, event) in &expected {
            assert_eq!(found.get(id), Some(event), "{id}");
        }
        assert_eq!(found.len(), expected.len(), "nothing else holds");
        assert_eq!(self.program.json(&["verify"]).0, 0);
    }

    /// Under every rule what the naive tracer says, and every satoshi of the 1,580 BTC is somewhere.
    fn assert_traces(&self) {
        let theft = &self.theft;
        let (blocks, flagged) = (theft.chain.blocks(), taint::flagged(&theft.listed));
        let parameters =
            TraceParameters { rules: vec![Rule::Haircut, Rule::Fifo], min_taint_sat: MIN_TAINT, max_hops: None };
        let followed = taint::followed(blocks, &theft.listed, &parameters);
        let snapshot = Library::open(self.program.index()).snapshot;
        for stop_flagged in [false, true] {
            let asked = trace::Ask { rules: Rule::ALL.to_vec(), stop_flagged, ..trace::Ask::default() };
            let at = theft.chain.height();
            let answer = trace::trace(&snapshot, &[target()], None, &asked, Some(at)).expect("a good question");
            for found in &answer.rules {
                let ask = Question {
                    scripts: flagged.clone(),
                    outpoints: BTreeSet::new(),
                    rule: found.rule,
                    min_taint: MIN_TAINT,
                    max_hops: None,
                    stop_flagged,
                    at,
                };
                let sources: BTreeSet<_> = answer.source.coins.iter().collect();
                let in_sight = |at, height, _| followed.contains(&(at, height)) || sources.contains(&at);
                let expected = taint::trace(blocks, &theft.listed, &ask, &in_sight);
                assert_traced(found, &expected, found.rule.name());
                assert_eq!(found.sum.source_sat, STOLEN, "what came back is not stolen twice");
                assert!(found.rule == Rule::Poison || found.sum.parts() == STOLEN, "{:?}", found.sum);
            }
        }
    }

    /// What the command prints: the sums, and what services got where the making tells it.
    fn assert_told(&self) {
        let (code, answer) = self.program.json(&["trace", &target(), "--rule", "haircut", "--rule", "fifo"]);
        assert_eq!((code, &answer["coverage"]["complete"]), (0, &json!(true)), "{}", answer["coverage"]);
        // Five of the six addresses got one coin, one two.
        assert_eq!(answer["source"]["coins"].as_array().map(Vec::len), Some(7));
        let (code, others) = self.program.json(&["trace", &target(), "--rule", "lifo", "--rule", "tiho"]);
        let lost_sight = |rule: &Value| rule["frontier"]["not_followed_sat"] != 0;
        assert_eq!(code, if others["rules"].as_array().expect("rules").iter().any(lost_sight) { 3 } else { 0 });
        for rule in [&answer, &others].into_iter().flat_map(|answer| answer["rules"].as_array().expect("rules")) {
            let sum = rule["sum"].as_object().expect("a sum");
            let parts: u64 =
                sum.iter().filter(|(name, _)| *name != "source_sat").filter_map(|(_, it)| it.as_u64()).sum();
            assert_eq!((sum["source_sat"].as_u64(), parts), (Some(STOLEN), STOLEN), "{sum:?}");
            let frontier = &rule["frontier"];
            for cut in ["below_min_taint_sat", "anyone_can_spend_sat"] {
                assert!(frontier[cut].as_u64() > Some(0), "{cut}: {frontier}");
            }
            assert!(sum["unspendable_sat"].as_u64() >= Some(1_000_000), "what was burnt is told: {sum:?}");
            let services = rule["services"].as_array().expect("services");
            let got = |name: &str| {
                let service = services.iter().find(|service| service["labels"] == json!([name]));
                service.and_then(|service| service["taint_sat"].as_u64()).unwrap_or(0)
            };
            for known in &self.theft.got {
                if known.rule.is_none_or(|of| rule["rule"] == of.name()) {
                    assert_eq!(got(EXCHANGES[known.exchange]), known.taint, "{known:?} under {}", rule["rule"]);
                }
            }
            assert!(got(EXCHANGES[3]) > 0, "the wander reached a service too");
            let total: u64 = EXCHANGES.iter().map(|name| got(name)).sum();
            assert_eq!(sum["service_sat"], json!(total));
        }
    }

    fn screened(&self, target: &str) -> (i32, Value) {
        let (code, answer) = self.program.json(&["screen", target]);
        let rows = answer["rows"].as_array().unwrap_or_else(|| panic!("{target}: {answer}"));
        assert_eq!(rows.len(), 1, "{answer}");
        let mut row = rows[0].clone();
        row["frontier_sat"] = answer["frontier_sat"].clone();
        (code, row)
    }

    fn assert_screened(&self) {
        let theft = &self.theft;
        let (deposit, hops) = theft.deposit;
        let (code, row) = self.screened(&deposit.at.to_string());
        assert_eq!((code, &row["verdict"], &row["hops"]), (4, &json!("derived"), &json!(hops)), "{row}");
        let all = json!({"haircut": deposit.value, "fifo": deposit.value});
        assert_eq!((&row["taint_sat"], &row["sources"]), (&all, &json!([{"label": LABEL, "taint_sat": all}])), "{row}");
        let path = row["path"].as_array().expect("a path");
        assert_eq!(path.len(), hops as usize + 1, "every hop of the peel chain: {row}");
        let stolen = &theft.chain.blocks()[theft.stolen_at as usize].txdata[1];
        assert_eq!(path[hops as usize], format!("{}:1", stolen.compute_txid()), "back to the second address");

        let (code, row) = self.screened(&theft.addresses()[3]);
        assert_eq!((code, &row["verdict"], &row["labels"]), (4, &json!("flagged"), &json!([LABEL])), "{row}");
        let (code, row) = self.screened(&theft.clean.at.to_string());
        assert_eq!((code, &row["verdict"], &row["sources"]), (0, &json!("none"), &json!([])), "{row}");
        // A hundred coins that were each too small to follow are one that isn't: the answer says how much may hide so.
        let (code, row) = self.screened(&theft.dust.at.to_string());
        assert_eq!((code, &row["verdict"]), (0, &json!("none")), "{row}");
        for rule in ["haircut", "fifo"] {
            assert!(row["frontier_sat"][rule].as_u64() > Some(theft.dust.value), "{row}");
        }
        let (code, row) = self.screened(&theft.lost.at.to_string());
        assert_eq!((code, &row["verdict"]), (3, &json!("unknown")), "a payment that was undone proves nothing: {row}");
    }

    /// The page in a browser; COINHOUND_PICTURES keeps what it looks like.
    fn assert_drawn(&self) {
        let out = self.program.run(&["--format", "html", "trace", &target()]);
        assert_eq!(out.code, 0, "{}", out.stderr);
        let page = self.program.home().join("theft.html");
        fs::write(&page, &out.stdout).expect("ours");
        let mut browser = Browser::start();
        browser.open(&page);
        assert_eq!(browser.complaints, Vec::<String>::new());
        assert_eq!(browser.eval("document.documentElement.dataset.drawn"), "yes");
        assert_eq!(browser.eval("document.getElementById('sum').dataset.addsUp"), "true");
        let header = browser.text("header");
        for part in [self.theft.chain.tip().to_string().as_str(), LABEL, "✓ Complete"] {
            assert!(header.contains(part), "{part} is in: {header}");
        }
        let drawn = browser.count("#picture .node");
        assert!((30..=80).contains(&drawn), "{drawn} nodes are a picture that can be read");
        let text = browser.text("#page");
        for part in ["1580.00000000", EXCHANGES[0], EXCHANGES[1], EXCHANGES[2], EXCHANGES[3]] {
            assert!(text.contains(part), "{part} is on the page");
        }
        if let Ok(folder) = std::env::var("COINHOUND_PICTURES") {
            let folder = Path::new(&folder);
            fs::write(folder.join("theft.html"), &out.stdout).expect("COINHOUND_PICTURES names a folder");
            fs::write(folder.join("theft-window.png"), browser.screenshot(false)).expect("a folder");
            fs::write(folder.join("theft.png"), browser.screenshot(true)).expect("a folder");
            browser.eval("document.getElementById('picture').scrollIntoView()");
            fs::write(folder.join("theft-picture.png"), browser.screenshot(false)).expect("a folder");
            browser.scheme("dark");
            fs::write(folder.join("theft-dark.png"), browser.screenshot(false)).expect("a folder");
            fs::write(folder.join("theft.pdf"), browser.pdf()).expect("a folder");
        }
    }
}

/// Of each fact that holds its last message, without what differs between being told by a sweep and at the tip.
fn held(events: &[Value]) -> BTreeMap<String, Value> {
    let mut held = BTreeMap::new();
    for event in events {
        let id = event["id"].as_str().expect("an id").to_owned();
        match event["kind"].as_str().expect("a kind") {
            "retracted" => assert!(held.remove(&id).is_some(), "{id} was taken back, and nobody had told it"),
            "reorg" | "caught_up" => {}
            _ => {
                let mut fact = event.clone();
                (fact["seq"], fact["seen"]) = (Value::Null, Value::Null);
                held.insert(id, fact);
            }
        }
    }
    held
}

#[test]
fn a_theft_is_followed_through_a_reorg_and_every_satoshi_of_it_is_somewhere() {
    let investigation = Investigation::open();
    investigation.index_through_the_reorg();
    investigation.assert_as_fresh();
    investigation.assert_traces();
    investigation.assert_told();
    investigation.assert_screened();
    investigation.assert_drawn();
}

/// Runs a backfill; gives the most memory that it had until just before its end, in kB, as the kernel counts it.
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

fn bytes(folder: &Path) -> u64 {
    let files = fs::read_dir(folder).expect("an index is a folder").map(|file| file.expect("a file").path());
    files.map(|file| fs::metadata(&file).map_or(0, |meta| meta.len())).sum()
}

/// Seconds that this thread has run: beside other work, time by the clock says little.
fn cpu_seconds() -> f64 {
    let text = fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    text.split(' ').next().and_then(|nanoseconds| nanoseconds.parse::<f64>().ok()).map_or(0.0, |it| it / 1e9)
}

/// What it costs to follow a crowd: a small one, or with COINHOUND_LONG one of 100,000 coins, of which figures are printed.
#[test]
fn a_crowd_of_coins_is_followed_traced_and_screened() {
    let long = is_long();
    let say = |what: &str| {
        if long {
            writeln!(std::io::stderr(), "measured: {what}").ok();
        }
    };
    let crowd = Crowd::new(if long { 100_000 } else { 3_000 });
    let node = Bitcoind::regtest();
    crowd.chain.submit_to(&node);
    let followed = crowd.coins.len();
    let program = Program::new(&node, node.datadir().join("crowd"));
    let none = Program::new(&node, node.datadir().join("none"));
    let list = |program: Program, script: &bitcoin::ScriptBuf| {
        let list = program.watchlist(&[(script, "crowd")]);
        program.with(&["--watch", list.to_str().expect("plain")])
    };
    let none = list(none, &bitcoin::ScriptBuf::from_bytes(vec![0x51; 40]));
    let program = list(program, &crowd.flagged);
    let start = Instant::now();
    let without = backfill_watched(&none);
    let between = Instant::now();
    let with = backfill_watched(&program);
    say(&format!(
        "backfill: {:?} following nothing, {:?} following {followed} coins",
        between - start,
        between.elapsed()
    ));
    say(&format!("peak memory: {without} kB following nothing, {with} kB following {followed} coins"));
    say(&format!("index: {} and {} bytes", bytes(none.index()), bytes(program.index())));

    let (code, status) = program.json(&["status"]);
    assert_eq!((code, &status["followed"], &status["live"]), (0, &json!(followed), &json!(crowd.live)), "{status}");
    let snapshot = Library::open(program.index()).snapshot;
    for rule in Rule::ALL {
        let asked = trace::Ask { rules: vec![rule], ..trace::Ask::default() };
        let (start, cpu) = (Instant::now(), cpu_seconds());
        let answer = trace::trace(&snapshot, &["label:crowd".into()], None, &asked, Some(crowd.chain.height()));
        let rules = answer.expect("a good question").rules;
        let (clock, cpu) = (start.elapsed(), cpu_seconds() - cpu);
        say(&format!("trace: {rule} over {} coins in {clock:?}, {cpu:.2} s of CPU", rules[0].coins.len()));
        assert!(!rule.conserves() || rules[0].sum.parts() == rules[0].sum.source_sat, "{rule}");
        if matches!(rule, Rule::Haircut | Rule::Fifo) {
            let traced: BTreeSet<_> = rules[0].coins.iter().map(|coin| coin.outpoint).collect();
            assert_eq!(traced, crowd.coins.iter().copied().collect(), "{rule} comes to every coin");
        }
    }
    for format in ["table", "json", "jsonl", "html"] {
        let start = Instant::now();
        let out = program.run(&["--format", format, "trace", "label:crowd"]);
        assert_eq!(out.code, 0, "{}", out.stderr);
        say(&format!("coinhound trace, two rules, {format}: {:?}, {} bytes", start.elapsed(), out.stdout.len()));
    }
    let file = program.home().join("outpoints.txt");
    let lines: String = crowd.coins.iter().map(|at| format!("{at}\n")).collect();
    fs::write(&file, lines).expect("ours");
    let start = Instant::now();
    let (code, lines) = program.jsonl(&["screen", "--file", file.to_str().expect("plain")]);
    say(&format!("coinhound screen --file: {} outpoints in {:?}", lines.len() - 1, start.elapsed()));
    assert_eq!((code, lines.len()), (4, 1 + followed), "coverage, then a line each");
    for (at, row) in crowd.coins.iter().zip(&lines[1..]) {
        let verdict = if *at == crowd.coins[0] { "flagged" } else { "derived" };
        assert_eq!((&row["target"], &row["verdict"]), (&json!(at), &json!(verdict)), "{row}");
    }
}
