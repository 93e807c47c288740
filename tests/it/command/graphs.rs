//! `trace`'s drawings for other programs: GraphML, read by a browser's XML parser, and Graphviz's language.

use std::collections::BTreeSet;

use coinhound::output::picture::Drawing;
use coinhound::query::trace::TraceAnswer;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::command::picture::{btc, drawn, hostile, keep, shown};
use crate::support::browser::Browser;
use crate::support::dot;
use crate::support::hand_traces::states;
use crate::support::sample_traces::SampleTheft;

const COMMAND: &str = "coinhound trace 'label:Made-up theft'";

#[test]
fn graphml_is_well_formed_and_complete() {
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
            // XML can't contain two noncharacters.
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
        assert_eq!(
            read.nodes.len() + read.edges.len() + 3,
            read.statements,
            "other statements than nodes, edges and defaults"
        );
        for (from, to) in &read.edges {
            assert!(expected.contains(from) && expected.contains(to), "{from} -> {to}");
            assert!(coins.contains(from) != coins.contains(to), "an edge that doesn't join a coin and a transaction");
        }
        for rule in answer["rules"].as_array().expect("rules") {
            for coin in rule["coins"].as_array().expect("coins") {
                let label = &read.nodes[coin["outpoint"].as_str().expect("a name")];
                for part in coin["labels"].as_array().expect("labels").iter().filter_map(Value::as_str) {
                    assert!(label.contains(&shown(part)), "no {part:?} in {label:?}");
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
