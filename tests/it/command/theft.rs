//! A made-up theft of 1,580 BTC on a real node, as an investigator meets it: found, followed through a reorg, traced to the
//! satoshi, screened against and drawn.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use coinhound::index::meta::TraceParameters;
use coinhound::query::at::Moment;
use coinhound::query::trace;
use coinhound::trace::Rule;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::oracle::taint::{self, Question};
use crate::support::bitcoind::Bitcoind;
use crate::support::browser::Browser;
use crate::support::effort::is_long;
use crate::support::event_log::facts_in_force;
use crate::support::files::text;
use crate::support::library::Library;
use crate::support::program::Program;
use crate::support::taint_cases::assert_traced;
use crate::support::theft::{EXCHANGES, LABEL, MIN_TAINT, STOLEN, Theft};
use crate::support::wait::PATIENCE;

fn target() -> String {
    format!("label:{LABEL}")
}

/// The theft, a node on the branch that becomes stale later, and the program.
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
        // The notice names addresses; the services are listed by their scripts.
        let notice = program.home().join("notice.csv");
        let rows: String = theft.addresses().iter().map(|address| format!("{address},\"{LABEL}\"\n")).collect();
        fs::write(&notice, format!("address,label\n{rows}")).expect("a file of the test");
        let services = program.watchlist(&theft.services());
        let services = format!("{},role=service", text(&services));
        let program = program.with(&["--watch", text(&notice), "--watch", &services]);
        Self { theft, node, program, _folder: folder }
    }

    /// Indexes the first branch, follows the node to the better one, stops in the middle and catches up.
    fn index_through_the_reorg(&self) {
        let answer = self.program.backfill("the first branch");
        assert_eq!(answer["coverage"]["through"], json!(self.theft.stale.height()), "{answer}");
        let lost = self.theft.lost.at.to_string();
        let (_, before) = self.program.jsonl(&["events"]);
        let cashed_out = |event: &&Value| event["kind"] == "service" && event["outpoint"] == lost;
        let service = before.iter().find(cashed_out).expect("an event for the money that reached a service");
        assert_eq!(
            (&service["value_sat"], &service["labels"]),
            (&json!(40 * 100_000_000_u64), &json!(["Exchange Two"]))
        );
        let mut running = self.program.spawn(&["--format", "jsonl", "follow"]);
        self.theft.chain.submit_to(&self.node);
        let mut seen = BTreeSet::new();
        while !(seen.contains("reorg") && seen.contains("moved")) {
            let line = running.line(PATIENCE).expect("events for the reorg and the blocks after it");
            let event: Value = serde_json::from_str(&line).expect("JSON");
            let kind = event["kind"].as_str().expect("a kind");
            if kind == "reorg" {
                assert_eq!(event["fork"], json!(self.theft.fork), "{event}");
                seen.clear();
            }
            seen.insert(kind.to_owned());
            if event["id"] == service["id"] {
                let retracted = (&event["kind"], &event["was"], &event["reason"]);
                assert_eq!(retracted, (&json!("retracted"), &json!("service"), &json!("reorg")));
            }
        }
        running.term();
        assert_eq!(running.wait(PATIENCE).code, 0);
        self.program.backfill("the better branch");
        let (_, after) = self.program.jsonl(&["events"]);
        let after = facts_in_force(&after);
        assert!(!after.contains_key(service["id"].as_str().expect("an id")), "a fact of the stale branch is in force");
        let again = self.theft.again.compute_txid().to_string();
        let block_of =
            |event: &Value| (event["kind"] == "moved" && event["txid"] == again).then(|| event["block"].to_string());
        let moved_before: BTreeSet<_> = before.iter().filter_map(block_of).collect();
        let moved_after: BTreeSet<_> = after.values().filter_map(block_of).collect();
        assert_eq!((moved_before.len(), moved_after.len()), (1, 1), "once on each branch");
        assert_ne!(moved_before, moved_after, "in another block");
    }

    /// P5 and P9: the index, and the facts that are in force by its log, are those of an index that a new run makes.
    fn assert_as_fresh(&self) {
        let fresh = self.program.elsewhere();
        fresh.backfill("a new index");
        assert_eq!(self.program.digest(), fresh.digest());
        let [found, expected] = [&self.program, &fresh].map(|program| facts_in_force(&program.jsonl(&["events"]).1));
        for (id, event) in &expected {
            assert_eq!(found.get(id), Some(event), "{id}");
        }
        assert_eq!(found.len(), expected.len(), "other facts are in force");
        assert_eq!(self.program.json(&["verify"]).0, 0);
    }

    /// Under every rule the trace is the taint oracle's, and every satoshi of the 1,580 BTC is accounted for.
    fn assert_traces(&self) {
        let theft = &self.theft;
        let (blocks, flagged) = (theft.chain.blocks(), taint::flagged(&theft.listed));
        let parameters =
            TraceParameters { rules: vec![Rule::Haircut, Rule::Fifo], min_taint_sat: MIN_TAINT, max_hops: None };
        let followed = taint::followed(blocks, &theft.listed, &parameters);
        let snapshot = Library::open(self.program.index()).snapshot;
        for stop_flagged in [false, true] {
            let asked =
                trace::TraceOptions { rules: Rule::ALL.to_vec(), stop_flagged, ..trace::TraceOptions::default() };
            let at = theft.chain.height();
            let answer = trace::trace(&snapshot, &[target()], None, &asked, Moment::at(at)).expect("a good question");
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
                assert_eq!(found.sum.source_sat, STOLEN, "coins that came back are counted once");
                assert!(found.rule == Rule::Poison || found.sum.parts() == STOLEN, "{:?}", found.sum);
            }
        }
    }

    /// The command prints the sums, and the amounts that the services are known to have got.
    fn assert_printed(&self) {
        let (code, answer) = self.program.json(&["trace", &target(), "--rule", "haircut", "--rule", "fifo"]);
        assert_eq!((code, &answer["coverage"]["complete"]), (0, &json!(true)), "{}", answer["coverage"]);
        // Five of the six addresses got one coin each, one got two.
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
            assert!(sum["unspendable_sat"].as_u64() >= Some(1_000_000), "the burnt coin: {sum:?}");
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
            assert!(got(EXCHANGES[3]) > 0, "the fourth exchange got some too");
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
        // A hundred coins that are each too small to follow were merged: the answer says how much taint can hide like that.
        let (code, row) = self.screened(&theft.dust.at.to_string());
        assert_eq!((code, &row["verdict"]), (0, &json!("none")), "{row}");
        for rule in ["haircut", "fifo"] {
            assert!(row["frontier_sat"][rule].as_u64() > Some(theft.dust.value), "{row}");
        }
        let (code, row) = self.screened(&theft.lost.at.to_string());
        assert_eq!((code, &row["verdict"]), (3, &json!("unknown")), "a payment on the stale branch: {row}");
    }

    /// Opens the page in a browser; if COINHOUND_PICTURES names a folder, screenshots are kept there.
    fn assert_drawn(&self) {
        let out = self.program.run(&["--format", "html", "trace", &target()]);
        assert_eq!(out.code, 0, "{}", out.stderr);
        let page = self.program.home().join("theft.html");
        fs::write(&page, &out.stdout).expect("a file of the test");
        let mut browser = Browser::start();
        browser.open(&page);
        assert_eq!(browser.complaints, Vec::<String>::new());
        assert_eq!(browser.eval("document.documentElement.dataset.drawn"), "yes");
        assert_eq!(browser.eval("document.getElementById('sum').dataset.addsUp"), "true");
        let header = browser.text("header");
        for part in [self.theft.chain.tip().to_string().as_str(), LABEL, "✓ Complete"] {
            assert!(header.contains(part), "no {part} in: {header}");
        }
        let drawn = browser.count("#picture .node");
        assert!((30..=80).contains(&drawn), "{drawn} nodes: few enough to read");
        let text = browser.text("#page");
        for part in ["1580.00000000", EXCHANGES[0], EXCHANGES[1], EXCHANGES[2], EXCHANGES[3]] {
            assert!(text.contains(part), "no {part} on the page");
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

#[test]
fn a_theft_is_followed_through_a_reorg_to_the_last_satoshi() {
    let investigation = Investigation::open();
    investigation.index_through_the_reorg();
    investigation.assert_as_fresh();
    investigation.assert_traces();
    investigation.assert_printed();
    investigation.assert_screened();
    investigation.assert_drawn();
}
