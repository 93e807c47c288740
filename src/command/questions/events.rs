//! `coinhound events`: prints the log of events, and new ones as they come.

use std::io::{BufWriter, StdoutLock};
use std::time::{Duration, Instant};

use bitcoin::Network;
use serde::Serialize;
use serde_json::Value;

use crate::cli::EventsArgs;
use crate::command::{Context, signals};
use crate::error::{Error, Exit};
use crate::index::event_log::first_seq;
use crate::index::prune::prune;
use crate::index::stamp::Stamp;
use crate::index::{IndexError, Reader, View, Writer};
use crate::output;
use crate::output::cell;
use crate::output::columns::column;
use crate::output::lines::{RowPrinter, check_reader};
use crate::output::page::Page;
use crate::output::{Column, Format, Kind};
use crate::query::events::{after, id, last_seq, removed_after};
use crate::stop::Stop;

/// Between two looks at the files of the index.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// Each look at an index that is being written opens it. Looks then take a fifth of the time, but come at least this often.
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
const CSV: [Column; 29] = [
    column("seq", "", Kind::Text),
    column("id", "", Kind::Text),
    column("kind", "", Kind::Text),
    column("seen", "", Kind::Text),
    column("height", "", Kind::Text),
    column("block", "", Kind::Text),
    column("time", "", Kind::Text),
    column("txid", "", Kind::Text),
    column("tx_index", "", Kind::Text),
    column("touch", "", Kind::Text),
    column("outpoint", "", Kind::Text),
    column("vin", "", Kind::Text),
    column("from", "", Kind::Text),
    column("value_sat", "", Kind::Text),
    column("script", "", Kind::Text),
    column("address", "", Kind::Text),
    column("labels", "", Kind::Text),
    column("labels_complete", "", Kind::Text),
    column("taint", "", Kind::Text),
    column("spent", "", Kind::Text),
    column("inputs", "", Kind::Text),
    column("to", "", Kind::Text),
    column("outputs", "", Kind::Text),
    column("revised", "", Kind::Text),
    column("was", "", Kind::Text),
    column("reason", "", Kind::Text),
    column("fork", "", Kind::Text),
    column("stale_tip", "", Kind::Text),
    column("stale_height", "", Kind::Text),
];

pub fn run(context: &Context, args: &EventsArgs) -> Result<Exit, Error> {
    if let Some(before) = args.prune_before {
        return remove(context, before);
    }
    let stop = Stop::default();
    if args.follow {
        signals::listen(&stop)?;
    }
    let path = &context.settings.index;
    let mut stamp = Stamp::of(path);
    let reader = context.snapshot_without_node()?.reader;
    let identity = reader.identity().clone();
    let since = args.since.unwrap_or(0);
    let gap = removed_after(&reader, since)?;
    if let Some(first) = gap {
        tracing::warn!("the events below {first} were removed by `events --prune-before`: the log begins with {first}");
    }
    // Without `--since` the log that there is was asked for.
    let exit = Exit::of(gap.is_none() || args.since.is_none());
    let mut log = Log::new(context.format, identity.chain.network(), since)?;
    log.print(&reader, &stop)?;
    drop(reader);
    if !args.follow {
        log.end()?;
        return Ok(exit);
    }
    log.pause()?;
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
            // The index was being written at that moment; the next look finds the same events.
            Err(IndexError::Busy { .. }) => {}
            Err(error) => return Err(error.into()),
            Ok(reader) if !reader.identity().is_same_chain(&identity) => {
                return Err(IndexError::Replaced { path: path.clone() }.into());
            }
            Ok(reader) => {
                log.print(&reader, &stop)?;
                log.pause()?;
                stamp = now;
            }
        }
        pause = (began.elapsed() * 4).clamp(LOOK_EVERY, LOOK_AT_LEAST_EVERY);
    }
    log.end()?;
    Ok(exit)
}

/// The answer of `--prune-before`.
#[derive(Serialize)]
struct PruneAnswer {
    removed: u64,
    first: u64,
}

fn remove(context: &Context, before: u64) -> Result<Exit, Error> {
    let writer = Writer::open(&context.settings.index)?;
    let removed = prune(&writer, before)?;
    let answer = PruneAnswer { removed, first: first_seq(&writer)? };
    output::object(context.format, &answer, || {
        let mut page = Page::default();
        page.line(format!("removed {} events; the log now begins with number {}", answer.removed, answer.first));
        page
    })?;
    Ok(Exit::Answered)
}

/// Prints the log of events, and remembers how far.
pub(in crate::command) struct Log {
    lines: RowPrinter<'static, BufWriter<StdoutLock<'static>>>,
    network: Network,
    /// Events up to this seq were printed, or were not asked for.
    printed: u64,
    /// The last event that the log had when it was last read: its seq, and the id of its fact.
    last: Option<(u64, String)>,
    format: Format,
}

impl Log {
    /// Starts with the events after `since`, on stdout.
    ///
    /// # Errors
    /// [`crate::output::OutputError`], as in all that follow.
    pub(in crate::command) fn new(format: Format, network: Network, since: u64) -> Result<Self, Error> {
        let columns: &'static [Column] = if format == Format::Csv { &CSV } else { &TABLE };
        let lines = RowPrinter::to_stdout(format, columns)?;
        Ok(Self { lines, network, printed: since, last: None, format })
    }

    /// Flushes what was printed.
    ///
    /// # Errors
    /// As [`Self::new`]; [`crate::output::OutputError::Closed`] if the reader has gone.
    pub(in crate::command) fn pause(&mut self) -> Result<(), Error> {
        check_reader()?;
        Ok(self.lines.pause()?)
    }

    /// Ends the answer.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub(in crate::command) fn end(self) -> Result<(), Error> {
        Ok(self.lines.end()?)
    }

    /// Prints the events since the last call, or until a stop is requested.
    ///
    /// # Errors
    /// As [`Self::new`]; [`IndexError`], of which [`IndexError::Replaced`] means that the index was replaced by another.
    pub(in crate::command) fn print(&mut self, view: &View, stop: &Stop) -> Result<(), Error> {
        if let Some((seq, known)) = &self.last
            && *seq >= first_seq(view)?
            && id(view, self.network, *seq)?.as_ref() != Some(known)
        {
            // A log only grows. This is another log, of which events would be skipped or printed twice.
            return Err(IndexError::Replaced { path: view.path().to_owned() }.into());
        }
        let last = last_seq(view)?;
        if self.last.as_ref().is_none_or(|(known, _)| *known != last) {
            self.last = id(view, self.network, last)?.map(|id| (last, id));
        }
        if last <= self.printed {
            return Ok(());
        }
        for message in after(view, self.network, self.printed)? {
            let (seq, mut row) = message?;
            if self.format == Format::Table {
                row["what"] = what(&row).into();
            }
            self.lines.row(row)?;
            self.printed = seq;
            if stop.requested() {
                break;
            }
        }
        Ok(())
    }
}

/// The `what` column of a table: what the other columns have no room for, in words.
fn what(row: &Value) -> String {
    let [touch, outpoint, from, was, id, reason, block, inputs] =
        ["touch", "outpoint", "from", "was", "id", "reason", "block", "inputs"].map(|name| cell::plain(&row[name]));
    let [stale_height, stale_tip, fork] = ["stale_height", "stale_tip", "fork"].map(|name| cell::plain(&row[name]));
    match row["kind"].as_str().unwrap_or_default() {
        "touch" => format!("{touch} {outpoint}"),
        "moved" if row["inputs"] == 1 => format!("{from} with {}", taint_in_words(row)),
        "moved" => format!("{from} and others, {inputs} coins with {}", taint_in_words(row)),
        "service" => format!("{outpoint} with {}", taint_in_words(row)),
        "retracted" => format!("{was} {id} no longer holds ({reason})"),
        "reorg" => format!("block {stale_height} ({stale_tip}) and the others above height {fork} left the chain"),
        "caught_up" => block,
        _ => String::new(),
    }
}

fn taint_in_words(row: &Value) -> String {
    let shares = row["taint"].as_array().map(Vec::as_slice).unwrap_or_default();
    let words = shares.iter().map(|share| {
        format!("{} {}", cell::plain(&share["rule"]), cell::btc(share["taint_sat"].as_u64().unwrap_or_default()))
    });
    words.collect::<Vec<_>>().join(", ")
}
