//! `coinhound trace`.

mod page;
mod tree;

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::open::{self, WARNED};
use crate::chain::Chain;
use crate::cli::{StopAt, TraceArgs};
use crate::command::Context;
use crate::error::{Error, Exit};
use crate::output::columns::column;
use crate::output::picture::{self, Caption, Drawing};
use crate::output::{self, Column, Format, Kind, Stream};
use crate::query::Snapshot;
use crate::query::trace::{TraceAnswer, TraceOptions, TracedCoinRow, trace};
use crate::trace::Rule;

/// One row of CSV: a coin under a rule.
const COLUMNS: [Column; 15] = [
    column("rule", "", Kind::Text),
    column("outpoint", "", Kind::Text),
    column("height", "", Kind::Number),
    column("time", "", Kind::Time),
    column("value_sat", "", Kind::Btc),
    column("taint_sat", "", Kind::Btc),
    column("carried_sat", "", Kind::Btc),
    column("hops", "", Kind::Number),
    column("state", "", Kind::Text),
    column("spent_by.txid", "", Kind::Text),
    column("spent_by.vin", "", Kind::Number),
    column("spent_by.height", "", Kind::Number),
    column("labels", "", Kind::Text),
    column("address", "", Kind::Text),
    column("script", "", Kind::Text),
];

/// A coin under a rule, in formats of one row a coin.
#[derive(Serialize)]
struct RuleCoinRow<'a> {
    rule: Rule,
    #[serde(flatten)]
    coin: &'a TracedCoinRow,
}

pub fn run(context: &Context, args: &TraceArgs) -> Result<Exit, Error> {
    let (snapshot, moment) = context.snapshot_at(args.at.at.as_deref())?;
    let range = args.range.range.as_deref().map(open::range).transpose()?;
    let gates = &context.settings.trace;
    let options = TraceOptions {
        rules: args.rule.clone(),
        min_taint: gates.min_taint_sat,
        max_hops: gates.max_hops,
        stop_flagged: args.stop == Some(StopAt::Flagged),
    };
    if args.tree && (context.picture.is_some() || context.format != Format::Table) {
        return Err(Error::Usage(
            "--tree is a table; leave out --tree or --format, since every other format has all coins".into(),
        ));
    }
    let answer = trace(&snapshot, &args.targets, range, &options, moment)?;
    warn_unknown(&answer.unknown);
    if let Some(drawing) = context.picture {
        let command = question(&snapshot, args, &options, drawing);
        picture::print(drawing, &answer, &Caption { command })?;
        return Ok(Exit::of(answer.coverage.complete));
    }
    output::note_at(context.format, answer.at.as_ref());
    match context.format {
        Format::Table if args.tree => output::object(context.format, &answer, || tree::page(&answer))?,
        Format::Table | Format::Json => output::object(context.format, &answer, || page::page(&answer))?,
        Format::Jsonl | Format::Csv => print_rows(context.format, &answer)?,
    }
    Ok(Exit::of(answer.coverage.complete))
}

/// Warns of targets that are no flagged entries; of many only a few by themselves.
fn warn_unknown(unknown: &[String]) {
    for target in unknown.iter().take(WARNED) {
        tracing::warn!("unknown: {target}: it is no flagged entry of the index, so its coins were not indexed");
    }
    if let Some(more) = unknown.len().checked_sub(WARNED).filter(|more| *more > 0) {
        tracing::warn!("unknown: {more} more targets; the field `unknown` of the answer names them all");
    }
}

/// The question as one would type it, quoted for a shell. A picture is made to be passed on, so it says what was asked, not where node,
/// index and lists of this machine are.
fn question(snapshot: &Snapshot, args: &TraceArgs, options: &TraceOptions, drawing: Drawing) -> String {
    let mut words = vec!["coinhound".to_owned()];
    if snapshot.chain() != Chain::Main {
        words.extend(["--chain".to_owned(), snapshot.chain().to_string()]);
    }
    words.push("trace".to_owned());
    words.extend(args.targets.iter().cloned());
    let rules: Vec<_> = options.rules.iter().map(|rule| rule.name()).collect();
    let given = [
        ("range", args.range.range.clone()),
        ("at", args.at.at.clone()),
        ("rule", (!rules.is_empty()).then(|| rules.join(","))),
        ("min-taint", options.min_taint.map(|sat| sat.to_string())),
        ("max-hops", options.max_hops.map(|hops| hops.most().map_or("none".to_owned(), |hops| hops.to_string()))),
        ("stop", options.stop_flagged.then(|| "flagged".to_owned())),
        ("format", Some(drawing.name().to_owned())),
    ];
    for (name, value) in given {
        words.extend(value.into_iter().flat_map(|value| [format!("--{name}"), value]));
    }
    words.iter().map(|word| quote(word)).collect::<Vec<_>>().join(" ")
}

fn quote(word: &str) -> String {
    let is_plain = word.chars().all(|c| c.is_ascii_alphanumeric() || "-_./,:=@%+".contains(c));
    if is_plain && !word.is_empty() { word.to_owned() } else { format!("'{}'", word.replace('\'', r"'\''")) }
}

/// Prints one row a coin; the rest of the answer goes before and after.
fn print_rows(format: Format, answer: &TraceAnswer) -> Result<(), Error> {
    let head = Map::from_iter([
        ("source".to_owned(), json!(answer.source)),
        ("at".to_owned(), json!(answer.at)),
        ("gates".to_owned(), json!(answer.gates)),
        ("unknown".to_owned(), json!(answer.unknown)),
    ]);
    let rows = answer
        .rules
        .iter()
        .flat_map(|of_rule| of_rule.coins.iter().map(|coin| Ok::<_, Error>(RuleCoinRow { rule: of_rule.rule, coin })));
    let sums: Vec<Value> = answer
        .rules
        .iter()
        .map(|of_rule| {
            json!({"rule": of_rule.rule, "sum": of_rule.sum, "frontier": of_rule.frontier, "services": of_rule.services})
        })
        .collect();
    let stream = Stream { coverage: &answer.coverage, head, columns: &COLUMNS };
    stream.print(format, rows, || Map::from_iter([("rules".to_owned(), Value::from(sums))]))
}
