//! `coinhound backfill`.

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use super::{Context, lists, signals};
use crate::chain::{Chain, Height};
use crate::cli;
use crate::config::Settings;
use crate::error::{Error, Exit};
use crate::index::meta::{Identity, TakenLists};
use crate::index::writer::{FolderState, folder_state};
use crate::index::{IndexError, Reader, Writer};
use crate::node::{Connection, Lane, Node, NodeError, NodeInfo};
use crate::output;
use crate::output::page::{Page, coverage_lines};
use crate::output::progress::Progress;
use crate::query::status::whole_coverage;
use crate::query::{Coverage, Snapshot};
use crate::stop::Stop;
use crate::sync::backfill::{self, Pace, Sweeper};
use crate::sync::interest::Needs;
use crate::sync::lists::Entries;
use crate::sync::source::NodeSource;
use crate::watchlist::entries::merge;

#[derive(Serialize)]
struct Answer {
    coverage: Coverage,
    from: Height,
    through: Option<Height>,
    blocks: u64,
    blocks_read: u64,
    lanes: Vec<&'static str>,
    touches: u64,
    undone: u64,
    seconds: f64,
    stopped: bool,
}

pub fn run(context: &Context, args: &cli::Backfill) -> Result<Exit, Error> {
    let settings = &context.settings;
    let stop = Stop::default();
    signals::listen(&stop)?;
    let lists = read_lists(settings, args)?;
    let node = Node::new(Connection::resolve(&settings.node)?, stop.clone());
    signals::hang_up_on(&node)?;
    let info = match first_contact(&node) {
        Err(NodeError::Stopped) => return stopped_early(context),
        info => info?,
    };
    let capabilities = match node.capabilities(&info) {
        Err(NodeError::Stopped) => return stopped_early(context),
        capabilities => capabilities?,
    };
    let lane = node.lane(settings.node.lane.value, &capabilities)?;
    let identity = identity(&info);
    let writer = match &lists {
        Some((entries, taken)) => {
            if folder_state(&settings.index)? == FolderState::Absent {
                // Before anything is made: a run that can't start leaves nothing behind.
                info_serves(&info, Needs::of_entries(entries), 0)?;
            }
            backfill::open(&settings.index, &identity, entries, taken)?
        }
        None => open_existing(settings, &identity)?,
    };
    prepare(&writer, &info, &lane)?;
    let name = lane.name();
    let mut progress = Progress::new(context.quiet);
    let pace = Pace { threads: settings.threads, batch_blocks: settings.batch_blocks };
    let source = Arc::new(NodeSource { node, lane, stop: stop.clone() });
    let outcome = Sweeper::new(&writer, source, pace, &stop).run(args.to, &mut progress)?;
    drop(writer);
    let snapshot = Snapshot::new(Reader::open(&settings.index)?, |taken| lists::changed(&settings.watch, taken))?;
    let answer = Answer {
        coverage: whole_coverage(&snapshot, snapshot.asked())?,
        from: outcome.from,
        through: outcome.through,
        blocks: outcome.tally.blocks,
        blocks_read: outcome.tally.blocks_read,
        lanes: vec![name],
        touches: outcome.tally.touches,
        undone: outcome.undone,
        seconds: outcome.seconds,
        stopped: outcome.stopped,
    };
    output::object(context.format, &answer, || page(&answer, args.to))?;
    let reached = args.to.is_none_or(|to| answer.through.is_some_and(|through| through >= to));
    Ok(Exit::of(answer.coverage.complete && reached && !outcome.stopped))
}

/// How long a node that answers may refuse our cookie at the start.
const LOGIN_PATIENCE: Duration = Duration::from_secs(5);

/// What node this is. One that is down is waited for; one that is up and goes on refusing us is another node than the one whose
/// directory was named, and no waiting mends that.
fn first_contact(node: &Node) -> Result<NodeInfo, NodeError> {
    match node.info_within(LOGIN_PATIENCE) {
        Err(NodeError::Unreachable { .. }) => node.info(),
        answer => answer,
    }
}

/// The chain the node is on, as an index states it.
fn identity(info: &NodeInfo) -> Identity {
    let challenge = info.signet_challenge.clone().filter(|_| info.chain == Chain::Signet);
    Identity { chain: info.chain, genesis: info.chain.genesis_hash(), challenge }
}

/// What the configured lists say; `None` where none is configured.
fn read_lists(settings: &Settings, args: &cli::Backfill) -> Result<Option<(Entries, TakenLists)>, Error> {
    if settings.watch.is_empty() {
        if folder_state(&settings.index)? == FolderState::Absent {
            let why = "there is nothing to look for: name a list with `--watch FILE`, or in the configuration as \
                       [[watchlist]]";
            return Err(Error::Usage(why.into()));
        }
        return Ok(None);
    }
    let mut taken = TakenLists { files: Vec::new(), quarantine_accepted: args.accept_quarantined };
    let mut read = Vec::new();
    for file in &settings.watch {
        let list = lists::read(file, settings.node.chain.value)?;
        let report = &list.report;
        tracing::info!("{}: {} rows taken in, {} of other chains", report.path, report.accepted, report.other_chain);
        if !report.quarantined.is_empty() {
            tracing::warn!(
                "{}: {} rows could not be read and are not looked for; `coinhound watch check` shows them",
                report.path,
                report.quarantined.len()
            );
        }
        taken.files.push(lists::taken(&list, file));
        read.push(list);
    }
    Ok(Some((merge(read, args.from.unwrap_or(0)), taken)))
}

/// The index as it is, where no list is configured.
fn open_existing(settings: &Settings, identity: &Identity) -> Result<Writer, Error> {
    let writer = backfill::open_existing(&settings.index, identity)?;
    tracing::info!("no list is configured: going on with the entries that the index has");
    Ok(writer)
}

/// Whether the node has what is missing, and what it will cost.
fn prepare(writer: &Writer, info: &NodeInfo, lane: &Lane) -> Result<(), Error> {
    let (next, _) = backfill::position(writer)?;
    let needs = Needs::of(writer)?;
    if needs.blocks_from.is_none() {
        tracing::warn!("no entry is flagged: only headers are read");
    }
    info_serves(info, needs, next)?;
    if info.ibd {
        tracing::warn!(
            "the node is in its initial block download: it has blocks through height {} and headers through {}; what it has is \
             scanned",
            info.blocks,
            info.headers
        );
    }
    if let Some(from) = needs.spent_from.map(|from| from.max(next)).filter(|from| *from <= info.blocks)
        && !lane.gives_spent_outputs_cheaply()
    {
        let blocks = info.blocks - from + 1;
        tracing::warn!(
            "some entries start above height 0, so the spent outputs of {blocks} blocks are needed, and this lane reads them by \
             `getblock` verbosity 3: most of a second a block, some {} h in all. Faster: rest=1 in bitcoin.conf of Bitcoin Core 30 \
             or Knots 29, or `--from 0`",
            blocks.div_ceil(5000)
        );
    }
    Ok(())
}

/// Whether the node still has every block that is missing from height `next` on.
fn info_serves(info: &NodeInfo, needs: Needs, next: Height) -> Result<(), NodeError> {
    match needs.blocks_from.map(|from| from.max(next)) {
        Some(first) if first <= info.blocks => info.serves_from(first),
        _ => Ok(()),
    }
}

/// A stop that came while the node was waited for: nothing was done.
fn stopped_early(context: &Context) -> Result<Exit, Error> {
    let snapshot = match context.snapshot() {
        Err(Error::Index(IndexError::Missing { .. })) => {
            tracing::warn!("stopped before the node answered; nothing was scanned");
            return Ok(Exit::Uncovered);
        }
        snapshot => snapshot?,
    };
    let answer = Answer {
        coverage: whole_coverage(&snapshot, snapshot.asked())?,
        from: snapshot.next,
        through: snapshot.next.checked_sub(1),
        blocks: 0,
        blocks_read: 0,
        lanes: Vec::new(),
        touches: 0,
        undone: 0,
        seconds: 0.0,
        stopped: true,
    };
    output::object(context.format, &answer, || page(&answer, None))?;
    Ok(Exit::Uncovered)
}

fn page(answer: &Answer, to: Option<Height>) -> Page {
    let mut page = Page::default();
    let lanes = answer.lanes.join(", ");
    if answer.undone > 0 {
        page.line(format!("undid {} blocks that the node's chain gave up", answer.undone));
    }
    match answer.through {
        _ if answer.blocks == 0 && answer.undone == 0 && !answer.stopped => {
            page.line("nothing to do: no block is missing")
        }
        Some(through) if answer.blocks > 0 => page.line(format!(
            "scanned heights {} to {through}: {} blocks read over {lanes}, {} touches, {:.1} s",
            answer.from, answer.blocks_read, answer.touches, answer.seconds
        )),
        _ => page.line("no block was scanned"),
    }
    if let Some(to) = to.filter(|to| answer.through.is_none_or(|through| through < *to) && !answer.stopped) {
        page.line(format!("the node has no block {to} yet"));
    }
    if answer.stopped {
        page.line("stopped before the end; run it again to go on");
    }
    page.lines(coverage_lines(&answer.coverage));
    page
}
