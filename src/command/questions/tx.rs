//! `coinhound tx`.

use crate::cli::TxArgs;
use crate::command::Context;
use crate::error::{Error, Exit};
use crate::output;
use crate::output::cell::{btc, time};
use crate::output::page::{Page, at_line, coverage_lines, holder};
use crate::query::QueryError;
use crate::query::by_rule::ByRule;
use crate::query::tx::{TxAnswer, transaction};
use crate::watchlist::{holds_key, masked};

pub fn run(context: &Context, args: &TxArgs) -> Result<Exit, Error> {
    let txid = args.txid.trim().parse().map_err(|_| {
        // What was pasted by mistake may be a key.
        let shown = if holds_key(&args.txid) { "(not shown)".into() } else { masked(&args.txid) };
        QueryError::Usage(format!("'{shown}' is no transaction id: 64 hex digits are meant"))
    })?;
    let (snapshot, moment) = context.snapshot_at(args.at.at.as_deref())?;
    let answer = transaction(&snapshot, txid, moment)?;
    output::note_at(context.format, answer.at.as_ref());
    output::object(context.format, &answer, || page(&answer))?;
    Ok(Exit::of(answer.coverage.complete))
}

fn page(answer: &TxAnswer) -> Page {
    let mut page = Page::default();
    let (Some(height), Some(block)) = (answer.height, answer.block) else {
        page.line(format!(
            "{} is not in the index: no block that it scanned has a transaction of this id that touches a flagged script or spends a \
             followed coin; `coinhound screen` asks the node about it",
            answer.txid
        ));
        page.lines(answer.at.iter().map(at_line));
        page.lines(coverage_lines(&answer.coverage));
        return page;
    };
    page.fields(&[
        ("transaction", answer.txid.to_string()),
        ("block", format!("{height} ({block})")),
        ("time (UTC)", answer.time.map(|seconds| time(i64::from(seconds))).unwrap_or_default()),
        ("fee BTC", answer.fee_sat.map_or("– (coinbase)".into(), btc)),
    ]);
    page.line("");
    page.line("inputs");
    let inputs = answer.inputs.iter().map(|input| {
        let source = if input.proven { "proven" } else { "told by the node" };
        vec![
            input.outpoint.clone(),
            btc(input.value_sat),
            holder(&input.info),
            input.info.labels.join("; "),
            taint(input.taint_sat.as_ref()),
            source.into(),
        ]
    });
    page.grid(&["outpoint", "BTC", "script", "labels", "taint BTC", "value"], &[false, true], inputs.collect());
    page.line("");
    page.line("outputs");
    let outputs = answer.outputs.iter().map(|output| {
        let spent = output.spent_by.as_ref().map(|by| format!("{} at {}", by.txid, by.height)).unwrap_or_default();
        vec![
            output.vout.to_string(),
            btc(output.value_sat),
            holder(&output.info),
            output.info.labels.join("; "),
            taint(output.taint_sat.as_ref()),
            output.state.name().into(),
            spent,
        ]
    });
    page.grid(&["vout", "BTC", "script", "labels", "taint BTC", "state", "spent by"], &[true, true], outputs.collect());
    page.line("");
    page.lines(answer.at.iter().map(at_line));
    page.lines(coverage_lines(&answer.coverage));
    page
}

/// Taint by rule, in a word.
fn taint(taint: Option<&ByRule>) -> String {
    let taint = taint.filter(|taint| taint.is_some());
    let words = taint.map(|taint| taint.iter().map(|(rule, satoshis)| format!("{rule} {}", btc(satoshis))).collect());
    words.map(|words: Vec<_>| words.join(", ")).unwrap_or_default()
}
