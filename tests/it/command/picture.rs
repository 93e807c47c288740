//! `trace`'s pictures, in the programs they are for: a real browser, and readers of XML and of Graphviz's language.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use coinhound::output::picture::{Caption, Drawing, draw};
use coinhound::query::trace::TraceAnswer;
use serde::Deserialize;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::browser::Browser;
use crate::support::dot;
use crate::support::hand_traces::{peel_chain, states, strange};
use crate::support::sample_traces::SampleTheft;

const COMMAND: &str = "coinhound --watch fbi.txt trace 'label:Made-up theft' --rule haircut --rule fifo --format html";

/// What the picture shows at a setting, as its own graph: whether what goes into each node comes out, and what the ends hold.
const GRAPH: &str = "(most => { const graph = Flow.draw(trace, most, new Set()), into = {}, out = {}, ends = {}; \
    for (const link of graph.links) { out[link.source] = (out[link.source] || 0) + link.value; into[link.target] = (into[link.target] || 0) + link.value; } \
    for (const node of graph.nodes) if (!node.txs.length && node.kind !== 'source') ends[node.kind] = (ends[node.kind] || 0) + into[node.id]; \
    return { nodes: graph.nodes.length, links: graph.links.length, ends, \
        source: graph.nodes.filter(node => node.kind === 'source').reduce((sum, node) => sum + out[node.id], 0), \
        unequal: graph.nodes.filter(node => node.txs.length && into[node.id] !== out[node.id]).map(node => node.id), \
        transactions: graph.nodes.reduce((sum, node) => sum + node.txs.length, 0), kinds: graph.nodes.map(node => node.kind) }; })";

fn drawn(drawing: Drawing, answer: &Value, command: &str) -> String {
    let mut out = Vec::new();
    let answer = TraceAnswer::deserialize(answer).expect("an answer of trace");
    draw(&mut out, drawing, &answer, &Caption { command: command.into() }).expect("it is drawn");
    String::from_utf8(out).expect("UTF-8")
}

/// Opens an answer's page, and checks what must hold of every page.
fn open(browser: &mut Browser, folder: &TempDir, answer: &Value, command: &str) -> PathBuf {
    let path = folder.path().join("trace.html");
    std::fs::write(&path, drawn(Drawing::Html, answer, command)).expect("the folder is ours");
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

/// What the sum has in each kind of end; those with nothing left out.
fn ends(rule: &Value) -> Value {
    let kinds = ["unspent", "service", "flagged", "frontier", "unspendable", "fees"];
    let parts = kinds.iter().map(|kind| (kind.to_string(), rule["sum"][format!("{kind}_sat")].clone()));
    Value::Object(parts.filter(|(_, part)| *part != 0).collect())
}

/// Order doesn't matter.
fn same(left: &Value, right: &Value) -> bool {
    let set = |value: &Value| -> BTreeSet<String> {
        value.as_object().into_iter().flatten().map(|(name, value)| format!("{name} {value}")).collect()
    };
    set(left) == set(right)
}

/// Keeps what a person should look at, where COINHOUND_PICTURES names a folder.
fn keep(name: &str, bytes: impl FnOnce() -> Vec<u8>) {
    if let Ok(folder) = std::env::var("COINHOUND_PICTURES") {
        std::fs::write(Path::new(&folder).join(name), bytes()).expect("COINHOUND_PICTURES names a folder");
    }
}

#[test]
fn every_satoshi_is_in_the_picture_whatever_is_folded() {
    let folder = TempDir::new().expect("a folder");
    let mut browser = Browser::start();
    let sizes: &[usize] =
        if std::env::var_os("COINHOUND_LONG").is_some() { &[10, 300, 5_000, 100_000] } else { &[10, 300, 5_000] };
    for size in sizes.iter().copied() {
        let theft = SampleTheft::new(size, 7, "Made-up theft");
        let answer = theft.answer();
        let path = open(&mut browser, &folder, &answer, COMMAND);
        assert_eq!(browser.requests, [format!("file://{}", path.display())], "nothing is asked for but the page");
        keep(&format!("{size}.html"), || std::fs::read(&path).expect("just written"));
        for (number, rule) in answer["rules"].as_array().expect("rules").iter().enumerate() {
            for most in [1, 14, 34, 300, 1_000_000] {
                let graph = graph(&mut browser, number, most);
                assert_eq!(graph["source"], rule["sum"]["source_sat"], "{size} coins, {most} drawn");
                assert_eq!(graph["unequal"], json!([]), "{size} coins, {most} drawn");
                assert!(same(&graph["ends"], &ends(rule)), "{} is not {}", graph["ends"], ends(rule));
                assert_eq!(graph["transactions"], json!(rule["transactions"].as_array().map(Vec::len)));
                let bound = 90 + u64::from(most);
                assert!(
                    graph["nodes"].as_u64() <= Some(bound),
                    "{} nodes are readable where {most} are drawn",
                    graph["nodes"]
                );
            }
        }
        assert!(browser.count("#picture .node") <= 80, "readable");
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
fn the_page_says_what_it_folded_and_its_tables_leave_out_nothing() {
    let folder = TempDir::new().expect("a folder");
    let mut browser = Browser::start();
    let answer = SampleTheft::new(700, 11, "Made-up theft").answer();
    open(&mut browser, &folder, &answer, COMMAND);
    let rule = &answer["rules"][0];
    let coins = rule["coins"].as_array().expect("coins");
    let told = browser.text("#told");
    assert!(told.contains("Folded: ") && told.contains("Drawn one by one: "), "{told}");
    let header = browser.text("header");
    let tip = answer["coverage"]["tip"].as_str().expect("a tip");
    let lists = answer["coverage"]["lists"].as_str().expect("lists");
    for part in [tip, lists, "label:Made-up theft", "haircut, fifo", "0.00100000 BTC", "✓ Complete"] {
        assert!(header.contains(part), "{part} is in: {header}");
    }
    assert_eq!(browser.text("#command"), COMMAND);
    // Every coin, once it is asked for; none before.
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
    // Services by name, with what each got.
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
    // Printed, the long tables stay folded: a few sheets.
    browser.click("#coins summary");
    let pdf = browser.pdf();
    let sheets = pdf.windows(12).filter(|part| part.starts_with(b"/Type /Page\n")).count();
    assert!((1..=8).contains(&sheets), "{sheets} sheets");
}

fn btc(satoshis: &Value) -> String {
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
    assert_eq!(listed, json!(expected), "its inputs, then its outputs");
    browser.press("Escape");
    assert_eq!(browser.eval(shown), false);
    // The same by keyboard, and the focus comes back.
    browser.eval("document.querySelector('#picture .node.k-tx').focus()");
    browser.press("Enter");
    assert_eq!(browser.eval(shown), true);
    assert_eq!(browser.text("#panel .txid"), txid);
    browser.press("Escape");
    assert_eq!(browser.eval("document.activeElement.classList.contains('node')"), true);
    // A fold opens to its largest.
    let before = browser.count("#picture .node.k-tx");
    browser.click("#picture .node.k-fold .body");
    browser.click("#unfold");
    let after = browser.count("#picture .node.k-tx");
    assert!(after >= before + 2, "{before} before, {after} after");
    browser.click("#unpin");
    assert_eq!(browser.count("#picture .node.k-tx"), before);
    // Whatever is clicked shows what is in it.
    let wrong = browser.eval(
        "[...document.querySelectorAll('#picture .node, #picture .link')].filter(shape => { \
         shape.dispatchEvent(new MouseEvent('click', {bubbles: true})); const panel = document.getElementById('panel'), text = panel.textContent; \
         return panel.hidden || !/[0-9]\\.[0-9]{8}/.test(text) || /\\[object|undefined|NaN|null/.test(text) \
             || !(panel.querySelector('tbody tr') || shape.matches('.k-fees')); }).map(shape => shape.outerHTML)",
    );
    assert_eq!(wrong, json!([]));
    assert!(browser.count("#picture .link") > 30, "there was something to click");
    browser.press("Escape");
    // The other rule: other sums, and its own chart.
    assert_eq!(browser.text("#rule"), "haircut");
    browser.click("#switches input[value='1']");
    assert_eq!(browser.text("#rule"), "fifo");
    let unspent = browser.eval("Number(document.getElementById('chart').dataset.unspentSat)");
    assert_eq!(unspent, answer["rules"][1]["sum"]["unspent_sat"]);
    assert_ne!(answer["rules"][0]["sum"], answer["rules"][1]["sum"], "the rules differ, or this shows nothing");
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
        assert_eq!(looks, 8, "one look for each kind");
        let different = browser.eval(&format!(
            "new Set([...document.querySelectorAll('#picture .node {what}')].map(node => node.getAttribute('{attribute}'))).size"
        ));
        assert_eq!(different, 8, "no two kinds look the same");
    }
    // The frontier by its reasons, each with its own words.
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
        assert!(header.contains(part), "{part} is in: {header}");
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
fn answers_at_the_edge_are_drawn_too() {
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

/// What strangers may have written into a list.
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

/// How a label is shown: what can't be seen is spelled out.
fn shown(label: &str) -> String {
    coinhound::output::cell::escape(label)
}

fn hostile() -> Value {
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
    // Not from lists, but nothing that is read is trusted to be what it should be.
    answer["rules"][0]["coins"][0]["address"] = json!(all);
    answer["rules"][0]["coins"][1]["script"] = json!(all);
    answer
}

#[test]
fn nothing_that_a_label_says_runs() {
    let folder = TempDir::new().expect("a folder");
    let mut browser = Browser::start();
    let answer = hostile();
    let command = format!("coinhound trace '{}'", HOSTILE.concat());
    let path = open(&mut browser, &folder, &answer, &command);
    keep("hostile.html", || std::fs::read(&path).expect("just written"));
    // All of it is opened, pointed at and clicked.
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
    assert_eq!(browser.complaints, Vec::<String>::new(), "nothing even tried: the policy had nothing to stop");
    assert_eq!(browser.requests, [format!("file://{}", path.display())]);
    assert_eq!(
        browser.count("img, iframe, object, embed, base, a, form, main script, [onerror], [onmouseover], [style]"),
        0
    );
    let page = browser.text("main");
    for label in HOSTILE {
        assert!(page.contains(&shown(label)), "{label:?} is shown as the text it is");
    }
    assert!(browser.eval("document.title").as_str().is_some_and(|title| title.contains("window.hacked")));
    assert_eq!(browser.text("#command"), shown(&command));
    // And if something got in, the policy stops it.
    browser.eval("(() => { const script = document.createElement('script'); script.textContent = 'window.hacked = 6'; document.body.append(script); })()");
    browser.eval("(() => { const image = document.createElement('img'); image.src = 'http://127.0.0.1:9/'; document.body.append(image); })()");
    assert_eq!(browser.eval("typeof window.hacked"), "undefined");
    assert!(browser.complaints.iter().any(|line| line.contains("script-src")), "{:?}", browser.complaints);
}

#[test]
fn graphml_is_well_formed_and_says_it_all() {
    let mut browser = Browser::start();
    for answer in [hostile(), SampleTheft::new(300, 5, "Made-up theft").answer()] {
        let text = drawn(Drawing::GraphMl, &answer, COMMAND);
        let read = browser.eval(&format!(
            "(() => {{ const xml = new DOMParser().parseFromString({}, 'application/xml'); const all = name => [...xml.getElementsByTagName(name)]; \
             const ids = all('node').map(node => node.id), known = new Set(ids), keys = new Set(all('key').map(key => key.id)); \
             const value = (node, key) => {{ const found = [...node.children].find(data => data.getAttribute('key') === key); return found ? found.textContent : null; }}; \
             return {{ error: all('parsererror').map(error => error.textContent), nodes: ids.length, unique: known.size, \
               loose: all('edge').filter(edge => !known.has(edge.getAttribute('source')) || !known.has(edge.getAttribute('target'))).length, \
               unkeyed: all('data').filter(data => !keys.has(data.getAttribute('key'))).length, \
               coins: all('node').filter(node => value(node, 'kind') === 'coin').map(node => [value(node, 'outpoint'), value(node, 'haircut_taint_sat'), value(node, 'haircut_state'), value(node, 'labels')]), \
               spent: all('edge').filter(edge => value(edge, 'edge_kind') === 'spend').reduce((sum, edge) => sum + Number(value(edge, 'edge_haircut_taint_sat')), 0), \
               paid: all('edge').filter(edge => value(edge, 'edge_kind') === 'payment').reduce((sum, edge) => sum + Number(value(edge, 'edge_haircut_taint_sat')), 0) }}; }})()",
            json!(text)
        ));
        assert_eq!(read["error"], json!([]));
        assert_eq!(read["nodes"], read["unique"]);
        assert_eq!((&read["loose"], &read["unkeyed"]), (&json!(0), &json!(0)));
        let rule = &answer["rules"][0];
        let coins = rule["coins"].as_array().expect("coins");
        let found: BTreeSet<String> = read["coins"]
            .as_array()
            .expect("coins")
            .iter()
            .filter(|row| !row[1].is_null())
            .map(ToString::to_string)
            .collect();
        let expected = coins.iter().map(|coin| {
            let labels: Vec<_> = coin["labels"].as_array().expect("labels").iter().filter_map(Value::as_str).collect();
            // XML can't hold two noncharacters at all.
            let labels = shown(&labels.join("; ")).replace('\u{fffe}', "\\u{fffe}");
            json!([coin["outpoint"], coin["taint_sat"].to_string(), coin["state"], labels]).to_string()
        });
        assert_eq!(found, expected.collect());
        let total = |field: &str, wanted: &dyn Fn(&Value) -> bool| -> u64 {
            coins.iter().filter(|coin| wanted(coin)).filter_map(|coin| coin[field].as_u64()).sum()
        };
        assert_eq!(read["spent"], total("taint_sat", &|coin| coin["state"] == "spent"));
        assert_eq!(read["paid"], total("carried_sat", &|_| true));
    }
}

#[test]
fn dot_is_what_graphviz_reads_and_no_label_breaks_out_of_its_quotes() {
    for answer in [hostile(), SampleTheft::new(300, 5, "Made-up theft").answer()] {
        let text = drawn(Drawing::Dot, &answer, COMMAND);
        keep("trace.dot", || text.clone().into_bytes());
        let read = dot::read(&text);
        let all = |list: &str, field: &str| -> BTreeSet<String> {
            let rules = answer["rules"].as_array().expect("rules");
            let rows = rules.iter().flat_map(|rule| rule[list].as_array().expect("rows"));
            rows.map(|row| row[field].as_str().expect("a name").to_owned()).collect()
        };
        let (coins, transactions) = (all("coins", "outpoint"), all("transactions", "txid"));
        let expected: BTreeSet<_> = coins.union(&transactions).cloned().collect();
        assert_eq!(read.nodes.keys().cloned().collect::<BTreeSet<_>>(), expected);
        assert_eq!(read.nodes.len() + read.edges.len() + 3, read.statements, "nothing else is said");
        for (from, to) in &read.edges {
            assert!(expected.contains(from) && expected.contains(to), "{from} -> {to}");
            assert!(coins.contains(from) != coins.contains(to), "edges join a coin and a transaction");
        }
        for rule in answer["rules"].as_array().expect("rules") {
            for coin in rule["coins"].as_array().expect("coins") {
                let label = &read.nodes[coin["outpoint"].as_str().expect("a name")];
                for part in coin["labels"].as_array().expect("labels").iter().filter_map(Value::as_str) {
                    assert!(label.contains(&shown(part)), "{part:?} is in {label:?}");
                }
                let taint = btc(&coin["taint_sat"]);
                assert!(
                    label.contains(&format!("{}: {taint} BTC", rule["rule"].as_str().expect("a name"))),
                    "{label:?}"
                );
            }
        }
    }
}

#[test]
fn an_answer_of_another_shape_does_not_read_as_one_that_is_drawn() {
    for answer in [json!({}), json!([]), json!({"coverage": {}, "source": {}, "rules": [1]})] {
        assert!(TraceAnswer::deserialize(&answer).is_err(), "{answer}");
    }
    let answer = states();
    let read = TraceAnswer::deserialize(&answer).expect("an answer of trace");
    assert_eq!(serde_json::to_value(&read).expect("strings and numbers"), answer, "nothing is lost on the way");
}

#[test]
fn each_drawing_goes_by_its_name() {
    for drawing in Drawing::ALL {
        assert_eq!(drawing.name().parse(), Ok(drawing));
    }
    assert!("svg".parse::<Drawing>().is_err_and(|error| error.contains("dot, graphml and html")));
}
