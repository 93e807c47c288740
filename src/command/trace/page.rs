//! The table of `trace`: what became of the money in a few lines, then the largest coins.

use std::cmp::Reverse;

use crate::output::Page;
use crate::output::cell::{btc, short_script, time};
use crate::output::page::coverage_lines;
use crate::query::trace::answer::{PaymentRow, ServiceRow};
use crate::query::trace::{CoinRow, CoinState, RuleAnswer, TraceAnswer};

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
    page.lines(coverage_lines(&answer.coverage));
    page
}

/// What was asked.
pub fn head(page: &mut Page, answer: &TraceAnswer) {
    let (source, gates) = (&answer.source, &answer.gates);
    let after = answer.at.map_or("in an index without a block".to_owned(), |at| format!("after block {at}"));
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
    let count = |state| of_rule.coins.iter().filter(|coin| coin.state == state).count();
    let part = |satoshis: u64, state: Option<CoinState>| {
        let coins = state.map(|state| format!("  in {}", counted(count(state), "coin"))).unwrap_or_default();
        format!("{:>17} BTC{}", btc(satoshis), if satoshis == 0 { String::new() } else { coins })
    };
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
        ("    spend not looked for", frontier.not_followed_sat, Some(CoinState::NotFollowed)),
    ];
    // What a reader asks first is there also where it is nothing.
    let always = ["  source", "  unspent", "  reached services", "  fees", "  frontier"];
    let lines = lines.into_iter().filter(|(name, satoshis, _)| *satoshis > 0 || always.contains(name));
    let lines: Vec<_> = lines.map(|(name, satoshis, state)| (name, part(satoshis, state))).collect();
    page.fields(&lines);
}

/// The services reached.
fn services(page: &mut Page, of_rule: &RuleAnswer) {
    if of_rule.services.is_empty() {
        return;
    }
    let row = |service: &ServiceRow| {
        let date = |payment: Option<&PaymentRow>| {
            payment.and_then(|payment| payment.time).map(|seconds| time(i64::from(seconds))).unwrap_or_default()
        };
        vec![
            service.labels.join("; "),
            service.address.clone().unwrap_or_else(|| short_script(&service.script)),
            btc(service.taint_sat),
            service.payments.len().to_string(),
            date(service.payments.first()),
            date(service.payments.last()),
        ]
    };
    let rows: Vec<_> = of_rule.services.iter().take(SHOWN).map(row).collect();
    page.grid(
        &["service", "address", "BTC", "payments", "first (UTC)", "last (UTC)"],
        &[false, false, true, true],
        rows,
    );
    more(page, of_rule.services.len(), "service");
}

/// Where most of the money is now.
fn largest(page: &mut Page, of_rule: &RuleAnswer) {
    let mut coins: Vec<&CoinRow> = of_rule.coins.iter().filter(|coin| coin.state != CoinState::Spent).collect();
    if coins.is_empty() {
        return;
    }
    // Stable: of equal coins, the first in chain order.
    coins.sort_by_key(|coin| Reverse(coin.taint_sat));
    let row = |coin: &&CoinRow| {
        vec![
            btc(coin.taint_sat),
            btc(coin.value_sat),
            coin.state.name().to_owned(),
            coin.hops.to_string(),
            coin.height.map(|height| height.to_string()).unwrap_or_default(),
            coin.address.clone().unwrap_or_else(|| short_script(&coin.script)),
            coin.labels.join("; "),
            coin.outpoint.to_string(),
        ]
    };
    let rows = coins.iter().take(SHOWN).map(row).collect();
    let titles = ["taint BTC", "of BTC", "state", "hops", "height", "script", "labels", "outpoint"];
    page.grid(&titles, &[true, true, false, true, true], rows);
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
