//! `trace`'s page in a real browser: the picture, the tables, mouse and keys, and hostile labels.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use coinhound::output::picture::{Caption, Drawing, draw};
use coinhound::query::trace::TraceAnswer;
use serde::Deserialize;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::browser::Browser;
use crate::support::dot;
use crate::support::effort::is_long;
use crate::support::hand_traces::{peel_chain, states, strange};
use crate::support::sample_traces::SampleTheft;

const COMMAND: &str = "coinhound --watch fbi.txt trace 'label:Made-up theft' --rule haircut --rule fifo --format html";

/// The picture's own graph at a setting: nodes whose inflow and outflow differ, and the sum in each kind of end.
const GRAPH: &str = "(most => { const graph = Flow.draw(trace, most, new Set()), into = {}, out = {}, ends = {}; \
    for (const link of graph.links) { out[link.source] = (out[link.source] || 0) + link.value; into[link.target] = (into[link.target] || 0) + link.value; } \
    for (const node of graph.nodes) if (!node.txs.length && node.kind !== 'source') ends[node.kind] = (ends[node.kind] || 0) + into[node.id]; \
    return { nodes: graph.nodes.length, links: graph.links.length, ends, \
        source: graph.nodes.filter(node => node.kind === 'source').reduce((sum, node) => sum + out[node.id], 0), \
        unequal: graph.nodes.filter(node => node.txs.length && into[node.id] !== out[node.id]).map(node => node.id), \
        transactions: graph.nodes.reduce((sum, node) => sum + node.txs.length, 0), kinds: graph.nodes.map(node => node.kind) }; })";

/// A drawing of an answer.
pub fn drawn(drawing: Drawing, answer: &Value, command: &str) -> String {
    let mut out = Vec::new();
    let answer = TraceAnswer::deserialize(answer).expect("an answer of trace");
    draw(&mut out, drawing, &answer, &Caption { command: command.into() }).expect("a drawing");
    String::from_utf8(out).expect("UTF-8")
}

/// Opens an answer's page, and panics unless it has what every page must have.
fn open(browser: &mut Browser, folder: &TempDir, answer: &Value, command: &str) -> PathBuf {
    let path = folder.path().join("trace.html");
    std::fs::write(&path, drawn(Drawing::Html, answer, command)).expect("a file of the test");
    browser.open(&path);
    assert_eq!(browser.complaints, Vec::<String>::new());
    assert_eq!(browser.eval("document.documentElement.dataset.drawn"), "yes");
    let slip = browser.eval("(document.getElementById('page').textContent.match(/.{0,40}(\\[object|undefined|NaN|Infinity).{0,40}/) || [])[0]");
    assert!(slip.is_null(), "{slip}");
    path
}

/// The picture's own graph of one rule, at a setting.
fn graph(browser: &mut Browser, rule: usize, most: u32) -> Value {
    browser.eval(&format!(
        "(() => {{ const trace = Flow.read(JSON.parse(document.getElementById('trace').textContent), {rule}); return {GRAPH}({most}); }})()"
    ))
}

/// The sum in each kind of end, without empty ones.
fn ends(rule: &Value) -> Value {
    let kinds = ["unspent", "service", "flagged", "frontier", "unspendable", "fees"];
    let parts = kinds.iter().map(|kind| (kind.to_string(), rule["sum"][format!("{kind}_sat")].clone()));
    Value::Object(parts.filter(|(_, part)| *part != 0).collect())
}

/// Whether two objects have the same fields, in any order.
fn same(left: &Value, right: &Value) -> bool {
    let set = |value: &Value| -> BTreeSet<String> {
        value.as_object().into_iter().flatten().map(|(name, value)| format!("{name} {value}")).collect()
    };
    set(left) == set(right)
}

/// Keeps a file for people to look at, if COINHOUND_PICTURES names a folder.
pub fn keep(name: &str, bytes: impl FnOnce() -> Vec<u8>) {
    if let Ok(folder) = std::env::var("COINHOUND_PICTURES") {
        std::fs::write(Path::new(&folder).join(name), bytes()).expect("COINHOUND_PICTURES names a folder");
    }
}

#[test]
fn every_satoshi_is_in_the_picture_whatever_is_folded() {
    let folder = TempDir::new().expect("a folder");
    let mut browser = Browser::start();
    let sizes: &[usize] = if is_long() { &[10, 300, 5_000, 100_000] } else { &[10, 300, 5_000] };
    for size in sizes.iter().copied() {
        let theft = SampleTheft::new(size, 7, "Made-up theft");
        let answer = theft.answer();
        let path = open(&mut browser, &folder, &answer, COMMAND);
        assert_eq!(browser.requests, [format!("file://{}", path.display())], "requests besides the page");
        keep(&format!("{size}.html"), || std::fs::read(&path).expect("just written"));
        for (number, rule) in answer["rules"].as_array().expect("rules").iter().enumerate() {
            for most in [1, 14, 34, 300, 1_000_000] {
                let graph = graph(&mut browser, number, most);
                assert_eq!(graph["source"], rule["sum"]["source_sat"], "{size} coins, {most} drawn");
                assert_eq!(graph["unequal"], json!([]), "{size} coins, {most} drawn");
                assert!(same(&graph["ends"], &ends(rule)), "{} is not {}", graph["ends"], ends(rule));
                assert_eq!(graph["transactions"], json!(rule["transactions"].as_array().map(Vec::len)));
                let bound = 90 + u64::from(most);
                let nodes = graph["nodes"].as_u64();
                assert!(nodes <= Some(bound), "{nodes:?} nodes are too many to read where {most} are drawn");
            }
        }
        assert!(browser.count("#picture .node") <= 80, "too many nodes to read");
        let unspent = browser.eval("Number(document.getElementById('chart').dataset.unspentSat)");
        assert_eq!(unspent, answer["rules"][0]["sum"]["unspent_sat"], "the chart ends where the sum does");
        assert_eq!(browser.eval("document.getElementById('sum').dataset.addsUp"), "true");
        for scheme in ["light", "dark"] {
            browser.scheme(scheme);
            keep(&format!("{size}-{scheme}.png"), || browser.screenshot(true));
        }
        keep(&format!("{size}.pdf"), || browser.pdf());
        assert_eq!(browser.complaints, Vec::<String>::new());
    }
}

#[test]
fn the_page_says_what_it_folded_and_its_tables_are_complete() {
    let folder = TempDir::new().expect("a folder");
    let mut browser = Browser::start();
    let answer = SampleTheft::new(700, 11, "Made-up theft").answer();
    open(&mut browser, &folder, &answer, COMMAND);
    let rule = &answer["rules"][0];
    let coins = rule["coins"].as_array().expect("coins");
    let text = browser.text("#told");
    assert!(text.contains("Folded: ") && text.contains("Drawn one by one: "), "{text}");
    let header = browser.text("header");
    let tip = answer["coverage"]["tip"].as_str().expect("a tip");
    let lists = answer["coverage"]["lists"].as_str().expect("lists");
    for part in [tip, lists, "label:Made-up theft", "haircut, fifo", "0.00100000 BTC", "✓ Complete"] {
        assert!(header.contains(part), "no {part} in: {header}");
    }
    assert_eq!(browser.text("#command"), COMMAND);
    // The table of coins is empty until it is opened.
    assert_eq!(browser.count("#all-coins tr"), 0);
    browser.click("#coins summary");
    browser.eval("new Promise(done => setTimeout(done, 50))");
    assert_eq!(browser.count("#all-coins tbody tr"), 200);
    browser.click("#coins .more button:last-child");
    assert_eq!(browser.count("#all-coins tbody tr"), coins.len() as u64);
    let listed =
        browser.eval("[...document.querySelectorAll('#all-coins tbody tr')].map(row => row.cells[0].textContent)");
    let expected: Vec<_> = coins.iter().map(|coin| coin["outpoint"].clone()).collect();
    assert_eq!(listed, json!(expected));
    let taints =
        browser.eval("[...document.querySelectorAll('#all-coins tbody tr')].map(row => row.cells[4].textContent)");
    let expected: Vec<_> = coins.iter().map(|coin| btc(&coin["taint_sat"])).collect();
    assert_eq!(taints, json!(expected));
    // Services by name, with the taint of each.
    let services = browser.eval("[...document.querySelectorAll('#services tbody tr')].map(row => [row.cells[0].textContent.trim(), row.cells[1].textContent])");
    let mut expected: Vec<(String, u64)> = Vec::new();
    for coin in coins.iter().filter(|coin| coin["state"] == "service") {
        let (name, taint) =
            (coin["labels"][0].as_str().expect("a label"), coin["taint_sat"].as_u64().expect("a number"));
        match expected.iter_mut().find(|(known, _)| known == name) {
            Some((_, sum)) => *sum += taint,
            None => expected.push((name.to_owned(), taint)),
        }
    }
    expected.sort_by_key(|(_, taint)| std::cmp::Reverse(*taint));
    let expected: Vec<_> = expected.iter().map(|(name, taint)| json!([name, btc(&json!(taint))])).collect();
    assert_eq!(services, json!(expected));
    // In print the long tables stay closed: a few sheets.
    browser.click("#coins summary");
    let pdf = browser.pdf();
    let sheets = pdf.windows(12).filter(|part| part.starts_with(b"/Type /Page\n")).count();
    assert!((1..=8).contains(&sheets), "{sheets} sheets");
}

/// An amount in BTC.
pub fn btc(satoshis: &Value) -> String {
    let satoshis = satoshis.as_u64().expect("a number");
    format!("{}.{:08}", satoshis / 100_000_000, satoshis % 100_000_000)
}

#[test]
fn mouse_and_keys_open_details_switch_rules_and_unfold() {
    let folder = TempDir::new().expect("a folder");
    let mut browser = Browser::start();
    let answer = SampleTheft::new(1_500, 3, "Made-up theft").answer();
    open(&mut browser, &folder, &answer, COMMAND);
    let shown = "!document.getElementById('panel').hidden";
    assert_eq!(browser.eval(shown), false);
    browser.click("#picture .node.k-tx .body");
    assert_eq!(browser.eval(shown), true);
    let txid = browser.text("#panel .txid");
    let moved =
        answer["rules"][0]["transactions"].as_array().expect("rows").iter().find(|row| row["txid"] == txid.as_str());
    let height = moved.expect("the panel names one of the trace's transactions")["height"].to_string();
    assert!(browser.text("#panel dl").contains(&height));
    let coins = answer["rules"][0]["coins"].as_array().expect("coins");
    let spent = coins.iter().filter(|coin| coin["spent_by"]["txid"] == txid.as_str());
    let made =
        coins.iter().filter(|coin| coin["outpoint"].as_str().is_some_and(|outpoint| outpoint.starts_with(&txid)));
    let expected: Vec<_> = spent.chain(made).map(|coin| coin["outpoint"].clone()).collect();
    let listed = browser.eval("[...document.querySelectorAll('#panel tbody tr')].map(row => row.cells[0].textContent)");
    assert_eq!(listed, json!(expected), "other rows than its inputs, then its outputs");
    browser.press("Escape");
    assert_eq!(browser.eval(shown), false);
    // The same with the keyboard; the focus returns.
    browser.eval("document.querySelector('#picture .node.k-tx').focus()");
    browser.press("Enter");
    assert_eq!(browser.eval(shown), true);
    assert_eq!(browser.text("#panel .txid"), txid);
    browser.press("Escape");
    assert_eq!(browser.eval("document.activeElement.classList.contains('node')"), true);
    // Unfolding shows the largest transactions of a fold.
    let before = browser.count("#picture .node.k-tx");
    browser.click("#picture .node.k-fold .body");
    browser.click("#unfold");
    let after = browser.count("#picture .node.k-tx");
    assert!(after >= before + 2, "{before} before, {after} after");
    browser.click("#unpin");
    assert_eq!(browser.count("#picture .node.k-tx"), before);
    // Every shape that is clicked shows its content.
    let wrong = browser.eval(
        "[...document.querySelectorAll('#picture .node, #picture .link')].filter(shape => { \
         shape.dispatchEvent(new MouseEvent('click', {bubbles: true})); const panel = document.getElementById('panel'), text = panel.textContent; \
         return panel.hidden || !/[0-9]\\.[0-9]{8}/.test(text) || /\\[object|undefined|NaN|null/.test(text) \
             || !(panel.querySelector('tbody tr') || shape.matches('.k-fees')); }).map(shape => shape.outerHTML)",
    );
    assert_eq!(wrong, json!([]));
    assert!(browser.count("#picture .link") > 30, "too few links to click");
    browser.press("Escape");
    // The other rule has other sums and a chart of its own.
    assert_eq!(browser.text("#rule"), "haircut");
    browser.click("#switches input[value='1']");
    assert_eq!(browser.text("#rule"), "fifo");
    let unspent = browser.eval("Number(document.getElementById('chart').dataset.unspentSat)");
    assert_eq!(unspent, answer["rules"][1]["sum"]["unspent_sat"]);
    assert_ne!(answer["rules"][0]["sum"], answer["rules"][1]["sum"], "both rules have the same sum");
    assert_eq!(browser.complaints, Vec::<String>::new());
}

#[test]
fn every_state_has_a_sign_and_a_pattern_of_its_own() {
    let folder = TempDir::new().expect("a folder");
    let mut browser = Browser::start();
    let answer = states();
    let path = open(&mut browser, &folder, &answer, COMMAND);
    keep("states.html", || std::fs::read(&path).expect("just written"));
    keep("states.png", || browser.screenshot(true));
    let kinds = browser
        .eval("[...new Set([...document.querySelectorAll('#picture .node')].map(node => node.dataset.kind))].sort()");
    assert_eq!(kinds, json!(["fees", "flagged", "frontier", "service", "source", "tx", "unspendable", "unspent"]));
    for what in [".sign", ".body"] {
        let attribute = if what == ".sign" { "d" } else { "fill" };
        let looks = browser.eval(&format!(
            "new Set([...document.querySelectorAll('#picture .node')].map(node => node.dataset.kind + node.querySelector('{what}').getAttribute('{attribute}'))).size"
        ));
        assert_eq!(looks, 8, "a kind has several looks");
        let different = browser.eval(&format!(
            "new Set([...document.querySelectorAll('#picture .node {what}')].map(node => node.getAttribute('{attribute}'))).size"
        ));
        assert_eq!(different, 8, "two kinds look the same");
    }
    // The frontier, by reason.
    let reasons = browser.eval(
        "[...document.querySelectorAll('#frontier tbody tr')].map(row => row.cells[0].textContent.trim()).sort()",
    );
    assert_eq!(reasons, json!(["anyone can spend", "not followed", "too little taint", "too many hops"]));
    let header = browser.text("#coverage");
    for part in [
        "NOT COMPLETE",
        "heights 313 to 599",
        "17 entries of list.txt",
        "nothing is known of label:nobody",
        "3",
        "not followed",
    ] {
        assert!(header.contains(part), "no {part} in: {header}");
    }
    for (number, rule) in answer["rules"].as_array().expect("rules").iter().enumerate() {
        let graph = graph(&mut browser, number, 34);
        assert!(same(&graph["ends"], &ends(rule)), "{} is not {}", graph["ends"], ends(rule));
        if rule["rule"] != "poison" {
            assert_eq!(graph["source"], rule["sum"]["source_sat"]);
            assert_eq!(graph["unequal"], json!([]));
        }
    }
    browser.click("#switches input[value='1']");
    assert_eq!(browser.text("#rule"), "poison");
    assert!(browser.text("#sum").contains("an exposure"));
}

#[test]
fn a_thousand_peels_are_one_chain() {
    let folder = TempDir::new().expect("a folder");
    let mut browser = Browser::start();
    let answer = peel_chain(1_000);
    open(&mut browser, &folder, &answer, COMMAND);
    assert_eq!(browser.count("#picture .node.k-chain"), 1);
    assert!(browser.text("#picture .node.k-chain .title").contains("1000 in a row"));
    assert_eq!(browser.count("#picture .node.k-fold"), 0);
    keep("peels.png", || browser.screenshot(true));
}

#[test]
fn rare_answers_are_drawn_too() {
    let folder = TempDir::new().expect("a folder");
    let mut browser = Browser::start();
    for (name, answer) in strange() {
        open(&mut browser, &folder, &answer, COMMAND);
        for drawing in [Drawing::Dot, Drawing::GraphMl] {
            assert!(!drawn(drawing, &answer, COMMAND).is_empty(), "{name}");
        }
        dot::read(&drawn(Drawing::Dot, &answer, COMMAND));
        for number in 0..answer["rules"].as_array().map_or(0, Vec::len) {
            let graph = graph(&mut browser, number, 34);
            assert!(same(&graph["ends"], &ends(&answer["rules"][number])), "{name}: {}", graph["ends"]);
            assert_eq!(graph["source"], answer["rules"][number]["sum"]["source_sat"], "{name}");
        }
    }
}

/// Labels that a hostile list may have.
const HOSTILE: [&str; 12] = [
    "</script><script>window.hacked = 1</script>",
    "<img src=x onerror=\"window.hacked = 2\">",
    "\" onmouseover=\"window.hacked = 3",
    "javascript:window.hacked=4",
    "<!--<script>",
    "]]></data></node><node id=\"evil\"/>",
    "\"]; evil [label=\"x\"]; \"",
    "ends in \\",
    "\u{202e}txt.exe\u{2066}",
    "bell \u{7} null \u{0} escape \u{1b}[2J",
    "&lt;script&gt; &amp; ${window.hacked = 5} `+alert(1)+`",
    "\u{fffe}\u{2028}line\u{2029}",
];

/// The text that is shown for a label: invisible characters are escaped.
pub fn shown(label: &str) -> String {
    coinhound::output::cell::escape(label)
}

/// An answer with hostile text in every field that can have some.
pub fn hostile() -> Value {
    let mut answer = states();
    for label in HOSTILE {
        for rule in answer["rules"].as_array_mut().expect("rules") {
            for coin in rule["coins"].as_array_mut().expect("coins") {
                coin["labels"].as_array_mut().expect("labels").push(json!(label));
            }
        }
        answer["unknown"].as_array_mut().expect("targets").push(json!(label));
        answer["coverage"]["gaps"][0]["lists"].as_array_mut().expect("lists").push(json!(label));
    }
    let all = HOSTILE.concat();
    answer["source"]["target"] = json!(format!("label:{all}"));
    // These fields don't come from lists, but the page trusts no field.
    answer["rules"][0]["coins"][0]["address"] = json!(all);
    answer["rules"][0]["coins"][1]["script"] = json!(all);
    answer
}

#[test]
fn no_code_in_a_label_runs() {
    let folder = TempDir::new().expect("a folder");
    let mut browser = Browser::start();
    let answer = hostile();
    let command = format!("coinhound trace '{}'", HOSTILE.concat());
    let path = open(&mut browser, &folder, &answer, &command);
    keep("hostile.html", || std::fs::read(&path).expect("just written"));
    // Everything is opened, pointed at and clicked.
    for selector in ["#coins summary", "#transactions summary", "#software summary"] {
        browser.click(selector);
    }
    browser.eval(
        "(() => { for (const node of document.querySelectorAll('#picture .node, #picture .link')) { \
         for (const kind of ['mouseenter', 'mouseover', 'focus', 'click', 'mouseleave']) node.dispatchEvent(new MouseEvent(kind, {bubbles: true})); } })()",
    );
    browser.eval("new Promise(done => setTimeout(done, 100))");
    keep("hostile.png", || browser.screenshot(true));
    assert_eq!(browser.eval("typeof window.hacked"), "undefined");
    assert_eq!(browser.complaints, Vec::<String>::new(), "the policy had something to stop");
    assert_eq!(browser.requests, [format!("file://{}", path.display())]);
    assert_eq!(
        browser.count("img, iframe, object, embed, base, a, form, main script, [onerror], [onmouseover], [style]"),
        0
    );
    let page = browser.text("main");
    for label in HOSTILE {
        assert!(page.contains(&shown(label)), "{label:?} isn't shown as text");
    }
    assert!(browser.eval("document.title").as_str().is_some_and(|title| title.contains("window.hacked")));
    assert_eq!(browser.text("#command"), shown(&command));
    // If code got into the page, the policy would stop it.
    browser.eval("(() => { const script = document.createElement('script'); script.textContent = 'window.hacked = 6'; document.body.append(script); })()");
    browser.eval("(() => { const image = document.createElement('img'); image.src = 'http://127.0.0.1:9/'; document.body.append(image); })()");
    assert_eq!(browser.eval("typeof window.hacked"), "undefined");
    assert!(browser.complaints.iter().any(|line| line.contains("script-src")), "{:?}", browser.complaints);
}
