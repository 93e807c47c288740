//! A trace as GraphML: coins and transactions with their attributes, one set of taint attributes for each rule.

use std::io::{self, Write};

use super::Caption;
use super::graph::{Edge, Graph};
use crate::output::cell::{escape, time};
use crate::query::trace::TraceAnswer;

/// Attributes of nodes: name, type.
const NODE: [(&str, &str); 13] = [
    ("kind", "string"),
    ("name", "string"),
    ("outpoint", "string"),
    ("txid", "string"),
    ("height", "long"),
    ("tx_index", "long"),
    ("time", "long"),
    ("time_utc", "string"),
    ("value_sat", "long"),
    ("script", "string"),
    ("address", "string"),
    ("labels", "string"),
    ("source", "boolean"),
];
/// Attributes of nodes under each rule.
const NODE_BY_RULE: [(&str, &str); 4] =
    [("taint_sat", "long"), ("hops", "long"), ("state", "string"), ("fee_taint_sat", "long")];

/// Writes the graph.
pub fn write(out: &mut impl Write, trace: &TraceAnswer, caption: &Caption) -> io::Result<()> {
    let graph = Graph::new(trace);
    writeln!(out, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>")?;
    writeln!(
        out,
        "<graphml xmlns=\"http://graphml.graphdrawing.org/xmlns\" xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\" \
         xsi:schemaLocation=\"http://graphml.graphdrawing.org/xmlns http://graphml.graphdrawing.org/xmlns/1.0/graphml.xsd\">"
    )?;
    keys(out, &graph.rules)?;
    writeln!(out, "<graph id=\"trace\" edgedefault=\"directed\">")?;
    let about = [
        ("target", trace.source.target.clone()),
        ("at", trace.at.map(|at| at.height.to_string()).unwrap_or_default()),
        ("chain", trace.coverage.chain.to_string()),
        ("tip", trace.coverage.tip.map(|tip| tip.to_string()).unwrap_or_default()),
        ("lists", trace.coverage.lists.clone()),
        ("complete", trace.coverage.complete.to_string()),
        ("command", caption.command.clone()),
    ];
    for (name, value) in about {
        writeln!(out, "{}", data(&format!("graph_{name}"), &value))?;
    }
    coins(out, &graph)?;
    transactions(out, &graph)?;
    for edge in &graph.payments {
        write_edge(out, &graph.transactions[edge.transaction].id, &graph.coins[edge.coin].id, edge, &graph.rules)?;
    }
    for edge in &graph.spends {
        write_edge(out, &graph.coins[edge.coin].id, &graph.transactions[edge.transaction].id, edge, &graph.rules)?;
    }
    writeln!(out, "</graph>\n</graphml>")
}

fn keys(out: &mut impl Write, rules: &[&str]) -> io::Result<()> {
    for name in ["target", "at", "chain", "tip", "lists", "complete", "command"] {
        write_key(out, &format!("graph_{name}"), "graph", name, "string")?;
    }
    for (name, kind) in NODE {
        write_key(out, name, "node", name, kind)?;
    }
    for rule in rules {
        for (name, kind) in NODE_BY_RULE {
            let id = format!("{rule}_{name}");
            write_key(out, &id, "node", &id, kind)?;
        }
        write_key(out, &format!("edge_{rule}_taint_sat"), "edge", &format!("{rule}_taint_sat"), "long")?;
    }
    write_key(out, "edge_kind", "edge", "kind", "string")?;
    write_key(out, "edge_vin", "edge", "vin", "long")
}

fn write_key(out: &mut impl Write, id: &str, of: &str, name: &str, kind: &str) -> io::Result<()> {
    writeln!(out, "<key id=\"{}\" for=\"{of}\" attr.name=\"{}\" attr.type=\"{kind}\"/>", xml(id), xml(name))
}

fn coins(out: &mut impl Write, graph: &Graph<'_>) -> io::Result<()> {
    for node in &graph.coins {
        let coin = node.coin;
        let outpoint = coin.outpoint.to_string();
        let source = node.taints.iter().flatten().any(|(_, hops, _)| *hops == 0);
        let mut fields = vec![
            data("kind", "coin"),
            data("name", coin.info.address.as_deref().unwrap_or(&outpoint)),
            data("outpoint", &outpoint),
            data("value_sat", &coin.value_sat.to_string()),
            data("script", &coin.info.script),
            data("labels", &coin.info.labels.join("; ")),
            data("source", &source.to_string()),
        ];
        fields.extend(coin.info.address.as_deref().map(|address| data("address", address)));
        fields.extend(coin.height.map(|height| data("height", &height.to_string())));
        fields.extend(coin.time.into_iter().flat_map(times));
        for (rule, taint) in graph.rules.iter().zip(&node.taints) {
            if let Some((taint, hops, state)) = taint {
                fields.push(data(&format!("{rule}_taint_sat"), &taint.to_string()));
                fields.push(data(&format!("{rule}_hops"), &hops.to_string()));
                fields.push(data(&format!("{rule}_state"), state.name()));
            }
        }
        write_node(out, &node.id, &fields)?;
    }
    Ok(())
}

fn transactions(out: &mut impl Write, graph: &Graph<'_>) -> io::Result<()> {
    for node in &graph.transactions {
        let row = node.row;
        let mut fields = vec![
            data("kind", "transaction"),
            data("name", &node.id),
            data("txid", &node.id),
            data("height", &row.height.to_string()),
            data("tx_index", &row.tx_index.to_string()),
        ];
        fields.extend(times(row.time));
        for (rule, fee) in graph.rules.iter().zip(&node.fees) {
            fields.extend(fee.map(|fee| data(&format!("{rule}_fee_taint_sat"), &fee.to_string())));
        }
        write_node(out, &node.id, &fields)?;
    }
    Ok(())
}

fn write_node(out: &mut impl Write, id: &str, fields: &[String]) -> io::Result<()> {
    writeln!(out, "<node id=\"{}\">{}</node>", xml(id), fields.concat())
}

fn write_edge(out: &mut impl Write, from: &str, to: &str, edge: &Edge, rules: &[&str]) -> io::Result<()> {
    let mut fields = vec![data("edge_kind", if edge.vin.is_some() { "spend" } else { "payment" })];
    fields.extend(edge.vin.map(|vin| data("edge_vin", &vin.to_string())));
    for (rule, taint) in rules.iter().zip(&edge.taints) {
        fields.extend(taint.map(|taint| data(&format!("edge_{rule}_taint_sat"), &taint.to_string())));
    }
    writeln!(out, "<edge source=\"{}\" target=\"{}\">{}</edge>", xml(from), xml(to), fields.concat())
}

fn times(seconds: u32) -> [String; 2] {
    [data("time", &seconds.to_string()), data("time_utc", &time(i64::from(seconds)))]
}

fn data(key: &str, value: &str) -> String {
    format!("<data key=\"{}\">{}</data>", xml(key), xml(value))
}

/// Text within XML. What XML 1.0 forbids even as a reference is spelled out: controls by [`escape`], the two noncharacters here.
fn xml(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in escape(text).chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&apos;"),
            '\u{fffe}' | '\u{ffff}' => escaped.push_str(&character.escape_unicode().to_string()),
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_stays_text_and_within_what_xml_allows() {
        let cases = [
            ("plain ünïcode", "plain ünïcode"),
            ("</data><evil a='1' b=\"2\">&", "&lt;/data&gt;&lt;evil a=&apos;1&apos; b=&quot;2&quot;&gt;&amp;"),
            ("]]>", "]]&gt;"),
            ("\u{0}\u{1}\u{b}\n", "\\u{0}\\u{1}\\u{b}\\u{a}"),
            ("\u{fffe}\u{ffff}\u{202e}", "\\u{fffe}\\u{ffff}\\u{202e}"),
        ];
        for (label, expected) in cases {
            assert_eq!(xml(label), expected);
        }
    }
}
