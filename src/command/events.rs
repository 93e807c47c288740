//! `coinhound events`.

use std::time::{Duration, Instant};

use serde_json::Value;

use super::{Context, signals};
use crate::cli::Events;
use crate::error::{Error, Exit};
use crate::index::stamp::Stamp;
use crate::index::{IndexError, Reader};
use crate::output::cell;
use crate::output::lines::{Lines, check_reader};
use crate::output::rows::column;
use crate::output::{Column, Format, Kind};
use crate::query::events::{after, last_seq};
use crate::stop::Stop;

/// Between two looks at the index's files.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// While the index is written to all the time each look is an open: then they take a fifth of the time, and come so often at least.
const LOOK_AT_LEAST_EVERY: Duration = Duration::from_secs(5);

const TABLE: [Column; 9] = [
    column("seq", "seq", Kind::Number),
    column("kind", "kind", Kind::Text),
    column("height", "height", Kind::Number),
    column("time", "time (UTC)", Kind::Time),
    column("value_sat", "BTC", Kind::Btc),
    column("what", "what", Kind::Text),
    column("labels", "labels", Kind::Text),
    column("address", "address", Kind::Text),
    column("txid", "txid", Kind::Text),
];
/// Every field of every kind.
const CSV: [&str; 25] = [
    "seq",
    "id",
    "kind",
    "seen",
    "height",
    "block",
    "time",
    "txid",
    "tx_index",
    "touch",
    "outpoint",
    "vin",
    "from",
    "value_sat",
    "script",
    "address",
    "labels",
    "taint",
    "to",
    "outputs",
    "was",
    "reason",
    "fork",
    "stale_tip",
    "stale_height",
];

pub fn run(context: &Context, args: &Events) -> Result<Exit, Error> {
    let stop = Stop::default();
    if args.follow {
        signals::listen(&stop)?;
    }
    let path = &context.settings.index;
    let mut stamp = Stamp::of(path);
    let reader = context.snapshot()?.reader;
    let csv = CSV.map(|field| column(field, "", Kind::Text));
    let columns: &[Column] = if context.format == Format::Csv { &csv } else { &TABLE };
    let mut lines = Lines::to_stdout(context.format, columns)?;
    let mut log = Log { printed: args.since.unwrap_or(0), known: 0, format: context.format };
    log.print(&reader, &mut |row| Ok(lines.row(row)?), &stop)?;
    if !args.follow {
        lines.end()?;
        return Ok(Exit::Answered);
    }
    let identity = reader.identity().clone();
    drop(reader);
    lines.pause()?;
    let mut pause = LOOK_EVERY;
    while !stop.wait(pause) {
        check_reader()?;
        let now = Stamp::of(path);
        pause = LOOK_EVERY;
        if now.is_some() && now == stamp {
            continue;
        }
        let began = Instant::now();
        match Reader::open(path) {
            // It is written to all the time: nothing is lost, only late.
            Err(IndexError::Busy { .. }) => {}
            Err(error) => return Err(error.into()),
            Ok(reader) if !reader.identity().is_same_chain(&identity) => {
                return Err(IndexError::Replaced { path: path.clone() }.into());
            }
            Ok(reader) => {
                log.print(&reader, &mut |row| Ok(lines.row(row)?), &stop)?;
                lines.pause()?;
                stamp = now;
            }
        }
        pause = (began.elapsed() * 4).clamp(LOOK_EVERY, LOOK_AT_LEAST_EVERY);
    }
    lines.end()?;
    Ok(Exit::Answered)
}

/// How far the log was printed.
struct Log {
    /// Messages up to this seq were, or weren't asked for.
    printed: u64,
    /// The last seq that the log was seen to have.
    known: u64,
    format: Format,
}

impl Log {
    /// Prints what has come since, or until somebody asks to stop.
    fn print(
        &mut self,
        reader: &Reader,
        print: &mut dyn FnMut(Value) -> Result<(), Error>,
        stop: &Stop,
    ) -> Result<(), Error> {
        let last = last_seq(reader)?;
        if last < self.known {
            // A log only grows: what follows would be left out without a word.
            return Err(IndexError::Replaced { path: reader.path().to_owned() }.into());
        }
        self.known = last;
        for message in after(reader, self.printed) {
            let (seq, mut row) = message?;
            if self.format == Format::Table {
                row["what"] = what(&row).into();
            }
            print(row)?;
            self.printed = seq;
            if stop.requested() {
                break;
            }
        }
        Ok(())
    }
}

/// In words, what the other columns of a table have no room for.
fn what(row: &Value) -> String {
    let text = |name: &str| cell::plain(&row[name]);
    let taint = || {
        let held = row["taint"].as_array().map(Vec::as_slice).unwrap_or_default();
        let words = held.iter().map(|held| {
            format!("{} {}", cell::plain(&held["rule"]), cell::btc(held["taint_sat"].as_u64().unwrap_or_default()))
        });
        words.collect::<Vec<_>>().join(", ")
    };
    match row["kind"].as_str().unwrap_or_default() {
        "touch" => format!("{} {}", text("touch"), text("outpoint")),
        "moved" => format!("{} with {}", text("from"), taint()),
        "service" => format!("{} with {}", text("outpoint"), taint()),
        "retracted" => format!("{} {} holds no more ({})", text("was"), text("id"), text("reason")),
        "reorg" => {
            format!("block {} ({}) and those above {} are stale", text("stale_height"), text("stale_tip"), text("fork"))
        }
        "caught_up" => text("block"),
        _ => String::new(),
    }
}
