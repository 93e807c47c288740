//! The table of `trace`: what became of the money in a few lines, then the largest coins.

use std::cmp::Reverse;

use crate::output::Page;
use crate::output::cell::{btc, time};
use crate::output::page::{at_line, coverage_lines, holder};
use crate::query::facts::CoinState;
use crate::query::trace::answer::PaymentRow;
use crate::query::trace::{RuleAnswer, TraceAnswer, TracedCoinRow};

/// Coins and services shown; the other formats and `--tree` have all of them.
const SHOWN: usize = 20;

/// The whole page.
pub fn page(answer: &TraceAnswer) -> Page {
    let mut page = Page::default();
    head(&mut page, answer);
    for of_rule in &answer.rules {
        page.line("");
        summary(&mut page, of_rule);
        services(&mut page, of_rule);
        largest(&mut page, of_rule);
    }
    page.line("");
    page.lines(answer.at.iter().map(at_line));
    page.lines(coverage_lines(&answer.coverage));
    page
}

/// The question.
pub fn head(page: &mut Page, answer: &TraceAnswer) {
    let (source, gates) = (&answer.source, &answer.gates);
    let after = answer.at.map_or("in an index without a block".to_owned(), |at| format!("after block {}", at.height));
    page.line(format!(
        "{}: {}, {} BTC, {after}",
        source.target,
        counted(source.coins.len(), "source coin"),
        btc(source.coins_sat)
    ));
    let hops = gates.max_hops.map(|most| format!(" or over {most} hops")).unwrap_or_default();
    let stop = if gates.stop_flagged { "; stopping at other flagged scripts" } else { "" };
    page.line(format!("followed: all but coins with under {} BTC of taint{hops}{stop}", btc(gates.min_taint_sat)));
    for target in &answer.unknown {
        page.line(format!("unknown: {target}"));
    }
}

/// The sum, part by part.
fn summary(page: &mut Page, of_rule: &RuleAnswer) {
    let (sum, frontier) = (&of_rule.sum, &of_rule.frontier);
    let note = if of_rule.rule.conserves() { "" } else { " (exposure: the parts may exceed the source)" };
    page.line(format!("{}{note}", of_rule.rule));
    let lines = [
        ("  source", sum.source_sat, None),
        ("  unspent", sum.unspent_sat, Some(CoinState::Unspent)),
        ("  reached services", sum.service_sat, Some(CoinState::Service)),
        ("  fees", sum.fees_sat, None),
        ("  can't be spent", sum.unspendable_sat, Some(CoinState::Unspendable)),
        ("  on other flagged", sum.flagged_sat, Some(CoinState::Flagged)),
        ("  frontier", sum.frontier_sat, None),
        ("    below min taint", frontier.below_min_taint_sat, Some(CoinState::BelowMinTaint)),
        ("    too many hops", frontier.max_hops_sat, Some(CoinState::MaxHops)),
        ("    anyone can spend", frontier.anyone_can_spend_sat, Some(CoinState::AnyoneCanSpend)),
        ("    too fragmented", frontier.too_fragmented_sat, Some(CoinState::TooFragmented)),
        ("    spend not looked for", frontier.not_followed_sat, Some(CoinState::NotFollowed)),
    ];
    // The parts that a reader looks for first are shown even where they are 0.
    let always = ["  source", "  unspent", "  reached services", "  fees", "  frontier"];
    let lines = lines.into_iter().filter(|(name, satoshis, _)| *satoshis > 0 || always.contains(name));
    let lines: Vec<_> = lines.map(|(name, satoshis, state)| (name, part(of_rule, satoshis, state))).collect();
    page.fields(&lines);
}

/// A part of the sum, with the number of coins in the state that it is about.
fn part(of_rule: &RuleAnswer, satoshis: u64, state: Option<CoinState>) -> String {
    let coins = state.filter(|_| satoshis > 0).map(|state| {
        let count = of_rule.coins.iter().filter(|coin| coin.state == state).count();
        format!("  in {}", counted(count, "coin"))
    });
    format!("{:>17} BTC{}", btc(satoshis), coins.unwrap_or_default())
}

/// The services reached.
fn services(page: &mut Page, of_rule: &RuleAnswer) {
    if of_rule.services.is_empty() {
        return;
    }
    let rows = of_rule.services.iter().take(SHOWN).map(|service| {
        vec![
            service.info.labels.join("; "),
            holder(&service.info),
            btc(service.taint_sat),
            service.payments.len().to_string(),
            date(service.payments.first()),
            date(service.payments.last()),
        ]
    });
    page.grid(
        &["service", "address", "BTC", "payments", "first (UTC)", "last (UTC)"],
        &[false, false, true, true],
        rows.collect(),
    );
    more(page, of_rule.services.len(), "service");
}

fn date(payment: Option<&PaymentRow>) -> String {
    payment.and_then(|payment| payment.time).map(|seconds| time(i64::from(seconds))).unwrap_or_default()
}

/// Where most of the money is now.
fn largest(page: &mut Page, of_rule: &RuleAnswer) {
    let mut coins: Vec<&TracedCoinRow> = of_rule.coins.iter().filter(|coin| coin.state != CoinState::Spent).collect();
    if coins.is_empty() {
        return;
    }
    // Stable: of equal coins, the first in chain order.
    coins.sort_by_key(|coin| Reverse(coin.taint_sat));
    let rows = coins.iter().take(SHOWN).map(|coin| {
        vec![
            btc(coin.taint_sat),
            btc(coin.value_sat),
            coin.state.name().to_owned(),
            coin.hops.to_string(),
            coin.height.map(|height| height.to_string()).unwrap_or_default(),
            holder(&coin.info),
            coin.info.labels.join("; "),
            coin.outpoint.to_string(),
        ]
    });
    let titles = ["taint BTC", "of BTC", "state", "hops", "height", "script", "labels", "outpoint"];
    page.grid(&titles, &[true, true, false, true, true], rows.collect());
    more(page, coins.len(), "coin");
}

fn more(page: &mut Page, count: usize, noun: &str) {
    if let Some(more) = count.checked_sub(SHOWN).filter(|more| *more > 0) {
        page.line(format!("and {} more; --tree or --format json has all", counted(more, noun)));
    }
}

fn counted(count: usize, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}
