//! `trace --tree`: every coin under the one that it came from.

use std::collections::{HashMap, HashSet};

use bitcoin::{OutPoint, Txid};

use super::page::head;
use crate::output::Page;
use crate::output::cell::btc;
use crate::output::page::{at_line, coverage_lines, holder};
use crate::query::trace::{RuleAnswer, TraceAnswer, TracedCoinRow};

/// Deeper levels aren't indented further: a chain of a thousand hops must stay on the screen.
const DEEPEST: usize = 24;

/// The whole page.
pub fn page(answer: &TraceAnswer) -> Page {
    let mut page = Page::default();
    head(&mut page, answer);
    for of_rule in &answer.rules {
        page.line("");
        page.line(of_rule.rule.name());
        grow(&mut page, of_rule);
    }
    page.line("");
    page.lines(answer.at.iter().map(at_line));
    page.lines(coverage_lines(&answer.coverage));
    page
}

/// Adds all coins of a rule: sources at the left, below each what its spend made. A transaction with several tainted inputs is
/// shown once; the others point to it.
fn grow(page: &mut Page, of_rule: &RuleAnswer) {
    let mut made: HashMap<Txid, Vec<&TracedCoinRow>> = HashMap::new();
    for coin in &of_rule.coins {
        made.entry(coin.outpoint.txid).or_default().push(coin);
    }
    let mut shown: HashSet<OutPoint> = HashSet::new();
    let mut opened: HashSet<Txid> = HashSet::new();
    // Coins are in chain order after the sources, so a coin that no source has led to by then stands by itself.
    for root in &of_rule.coins {
        let mut ahead = vec![(root, 0)];
        while let Some((coin, depth)) = ahead.pop() {
            // A source paid by another source's change is shown there.
            if !shown.insert(coin.outpoint) {
                continue;
            }
            let again = coin.spent_by.as_ref().is_some_and(|by| opened.contains(&by.txid));
            page.line(line(coin, depth, again));
            let Some(by) = coin.spent_by.as_ref().filter(|by| opened.insert(by.txid)) else { continue };
            let children = made.get(&by.txid).into_iter().flatten().rev();
            ahead.extend(children.map(|child| (*child, depth + 1)));
        }
    }
}

fn line(coin: &TracedCoinRow, depth: usize, again: bool) -> String {
    let indent = "  ".repeat(depth.min(DEEPEST));
    let mark = if depth == 0 { "" } else { "└ " };
    let deep = if depth > DEEPEST { format!("[{depth}] ") } else { String::new() };
    let script = holder(&coin.info);
    let labels =
        if coin.info.labels.is_empty() { String::new() } else { format!(" ({})", coin.info.labels.join("; ")) };
    let height = coin.height.map(|height| format!(" at {height}")).unwrap_or_default();
    let of = if coin.taint_sat == coin.value_sat { String::new() } else { format!(" of {}", btc(coin.value_sat)) };
    let state = match (&coin.spent_by, again) {
        (Some(by), true) => format!("spent at {} with a coin above", by.height),
        (Some(by), false) => format!("spent at {} by {}", by.height, by.txid),
        (None, _) => coin.state.name().to_owned(),
    };
    format!("{indent}{mark}{deep}{}{of} BTC{height}, {script}{labels}, {}: {state}", btc(coin.taint_sat), coin.outpoint)
}
