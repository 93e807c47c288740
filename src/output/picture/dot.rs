//! A trace in Graphviz's language: `coinhound trace … --format dot | dot -Tsvg`.

use std::io::{self, Write};

use super::Caption;
use super::graph::{CoinNode, Edge, Graph, TxNode};
use crate::output::cell::{btc, escape, time};
use crate::output::page::holder;
use crate::query::facts::CoinState;
use crate::query::trace::TraceAnswer;

/// Writes the graph.
pub fn write(out: &mut impl Write, trace: &TraceAnswer, caption: &Caption) -> io::Result<()> {
    let graph = Graph::new(trace);
    let word = if trace.coverage.complete { "complete" } else { "NOT COMPLETE" };
    let at = trace.at.map_or("no block".to_owned(), |at| format!("after block {}", at.height));
    let tip = trace.coverage.tip.map_or("none".to_owned(), |tip| tip.to_string());
    writeln!(out, "digraph trace {{")?;
    let title = [
        format!("{} {at}, rules {}: {word}", trace.source.target, graph.rules.join(", ")),
        format!("chain {}, tip {tip}, lists {}", trace.coverage.chain, trace.coverage.lists),
        caption.command.clone(),
    ];
    writeln!(out, "  graph [rankdir=LR, labelloc=t, fontname=\"sans-serif\", label={}];", text(&title))?;
    writeln!(out, "  node [fontname=\"sans-serif\", fontsize=10, style=filled, fillcolor=white];")?;
    writeln!(out, "  edge [fontname=\"sans-serif\", fontsize=9];")?;
    for node in &graph.coins {
        coin(out, node, &graph.rules)?;
    }
    for node in &graph.transactions {
        transaction(out, node, &graph.rules)?;
    }
    let most = graph.most();
    for edge in &graph.payments {
        let (from, to) = (&graph.transactions[edge.transaction].id, &graph.coins[edge.coin].id);
        write_edge(out, from, to, edge, &graph.rules, most)?;
    }
    for edge in &graph.spends {
        let (from, to) = (&graph.coins[edge.coin].id, &graph.transactions[edge.transaction].id);
        write_edge(out, from, to, edge, &graph.rules, most)?;
    }
    writeln!(out, "}}")
}

fn coin(out: &mut impl Write, node: &CoinNode<'_>, rules: &[&str]) -> io::Result<()> {
    let coin = node.coin;
    let mut lines = vec![short(&coin.outpoint.to_string()), holder(&coin.info)];
    lines.extend(coin.info.labels.iter().cloned());
    lines.push(format!("{} BTC", btc(coin.value_sat)));
    let taints = rules.iter().zip(&node.taints).filter_map(|(rule, taint)| taint.map(|taint| (rule, taint)));
    lines.extend(
        taints.map(|(rule, (taint, hops, state))| format!("{rule}: {} BTC, {hops} hops, {}", btc(taint), state.name())),
    );
    let source = node.taints.iter().flatten().any(|(_, hops, _)| *hops == 0);
    let state = node.taints.iter().flatten().next().map_or(coin.state, |(_, _, state)| *state);
    let look = if source { "shape=house, fillcolor=\"#f6c7a9\", penwidth=2" } else { look(state) };
    writeln!(out, "  {} [{look}, label={}];", quoted(&node.id), text(&lines))
}

/// Shapes distinguish the states, colours only help.
fn look(state: CoinState) -> &'static str {
    match state {
        CoinState::Spent => "shape=ellipse",
        CoinState::Unspent => "shape=doublecircle, fillcolor=\"#bfe5d6\"",
        CoinState::Unspendable => "shape=octagon, fillcolor=\"#d9d9d9\"",
        CoinState::Service => "shape=house, orientation=180, fillcolor=\"#fbe3ac\", penwidth=2",
        CoinState::Flagged => "shape=doubleoctagon, fillcolor=\"#f6c7a9\"",
        CoinState::BelowMinTaint
        | CoinState::MaxHops
        | CoinState::AnyoneCanSpend
        | CoinState::TooFragmented
        | CoinState::NotFollowed => "shape=diamond, style=\"filled,dashed\", fillcolor=\"#ecd3e2\"",
    }
}

fn transaction(out: &mut impl Write, node: &TxNode<'_>, rules: &[&str]) -> io::Result<()> {
    let row = node.row;
    let mut lines =
        vec![short(&node.id), format!("block {}", row.height), format!("{} UTC", time(i64::from(row.time)))];
    let fees = rules.iter().zip(&node.fees).filter_map(|(rule, fee)| fee.map(|fee| (rule, fee)));
    lines.extend(fees.filter(|(_, fee)| *fee > 0).map(|(rule, fee)| format!("{rule}: {} BTC in the fee", btc(fee))));
    writeln!(out, "  {} [shape=box, label={}];", quoted(&node.id), text(&lines))
}

fn write_edge(out: &mut impl Write, from: &str, to: &str, edge: &Edge, rules: &[&str], most: u64) -> io::Result<()> {
    let taints: Vec<_> =
        rules.iter().zip(&edge.taints).filter_map(|(rule, taint)| taint.map(|taint| (rule, taint))).collect();
    let largest = taints.iter().map(|(_, taint)| *taint).max().unwrap_or_default();
    let lines: Vec<_> = taints.iter().map(|(rule, taint)| format!("{rule}: {}", btc(*taint))).collect();
    // From a hair to 8 points, in hundredths, so that no float is needed.
    let width = 40 + u128::from(largest) * 760 / u128::from(most);
    writeln!(
        out,
        "  {} -> {} [penwidth={}.{:02}, label={}];",
        quoted(from),
        quoted(to),
        width / 100,
        width % 100,
        text(&lines)
    )
}

/// A hash with its middle left out.
fn short(id: &str) -> String {
    match (id.get(..8), id.get(58..)) {
        (Some(head), Some(tail)) => format!("{head}…{tail}"),
        _ => id.to_owned(),
    }
}

/// Lines as one label: within quotes a backslash is Graphviz's own escape.
fn text(lines: &[String]) -> String {
    let lines: Vec<_> = lines.iter().map(|line| escape(line).replace('\\', "\\\\").replace('"', "\\\"")).collect();
    // Graphviz reads `&…;` as an HTML entity.
    format!("\"{}\"", lines.join("\\n").replace('&', "&amp;"))
}

/// A node's name. Ids are hashes and numbers, but bytes from an index are never trusted to be so.
fn quoted(id: &str) -> String {
    text(std::slice::from_ref(&id.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_stays_one_quoted_text_whatever_it_says() {
        let cases = [
            ("plain", "\"plain\""),
            ("a\"]; evil [label=\"", "\"a\\\"]; evil [label=\\\"\""),
            ("ends in \\", "\"ends in \\\\\""),
            ("\\N \\G", "\"\\\\N \\\\G\""),
            ("&lt;b&gt;", "\"&amp;lt;b&amp;gt;\""),
            ("two\nlines", "\"two\\\\u{a}lines\""),
            ("<b>html</b>", "\"<b>html</b>\""),
        ];
        for (label, expected) in cases {
            assert_eq!(text(&[label.to_owned()]), expected);
        }
    }
}
