//! `coinhound backfill`: scans the chain for the listed scripts up to the node's tip, or up to a height.

use serde::Serialize;

use super::start::{self, Contact};
use crate::chain::Height;
use crate::cli;
use crate::command::questions::open::NODE_PATIENCE;
use crate::command::{Context, signals};
use crate::config::Settings;
use crate::error::{Error, Exit};
use crate::index::Writer;
use crate::index::folder::{FolderState, folder_state};
use crate::index::lost_tail;
use crate::node::NodeError;
use crate::output;
use crate::output::page::{Page, coverage_lines};
use crate::output::progress::Progress;
use crate::query::Coverage;
use crate::query::at::Moment;
use crate::query::coverage::whole_coverage;
use crate::stop::Stop;
use crate::sync::SyncError;
use crate::sync::plan::change::{Change, plan};
use crate::sync::plan::needs::Needs;
use crate::sync::plan::wanted::Wanted;
use crate::sync::sweep::run::Outcome;
use crate::sync::sweep::sweeper::Sweeper;

#[derive(Serialize)]
struct BackfillAnswer {
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

pub fn run(context: &Context, args: &cli::BackfillArgs) -> Result<Exit, Error> {
    let settings = &context.settings;
    let stop = Stop::default();
    signals::listen(&stop)?;
    let mut wanted = start::wanted(settings, args.entries.from, args.entries.accept_quarantined)?;
    wanted.forget = args.forget;
    wanted.accept_shrink = args.accept_shrink;
    if args.dry_run {
        return dry_run(context, &wanted);
    }
    if args.accept_lost_tail {
        accept_lost_tail(settings)?;
    }
    let Some(contact) = Contact::new(settings, &stop)? else { return stopped_early(context) };
    let writer = contact.open(settings, &mut wanted)?;
    // Long lists take much memory, and the index has them now.
    drop(wanted);
    let name = contact.lane.name();
    let mut progress = Progress::new(context.quiet);
    let outcome = sweep(context, contact, &writer, args.to, &stop, &mut progress)?;
    drop(writer);
    // With `--to` the answer is about that block, not about now, so the node isn't asked.
    let snapshot = match args.to {
        None => context.snapshot_within(NODE_PATIENCE)?,
        Some(_) => context.snapshot_without_node()?,
    };
    let moment = Moment { height: snapshot.asked(), is_now: args.to.is_none() };
    let answer = BackfillAnswer {
        coverage: whole_coverage(&snapshot, moment)?,
        from: outcome.from,
        through: outcome.through,
        blocks: outcome.tally.blocks,
        blocks_read: outcome.tally.blocks_read,
        lanes: start::lanes_used(&outcome.tally, name, settings.node.lane.value),
        touches: outcome.tally.touches,
        undone: outcome.undone,
        seconds: outcome.seconds,
        stopped: outcome.stopped,
    };
    output::object(context.format, &answer, || page(&answer, args.to))?;
    if outcome.undecided {
        tracing::warn!("two branches have the same work: run it again when the next block has decided between them");
    }
    let reached = args.to.is_none_or(|to| answer.through.is_some_and(|through| through >= to));
    Ok(Exit::of(answer.coverage.complete && reached && !outcome.stopped && !outcome.undecided && !outcome.held))
}

/// Sweeps as far as the node serves. Where it stops serving a sweep below the main one, the main one continues.
fn sweep(
    context: &Context,
    mut contact: Contact,
    writer: &Writer,
    to: Option<Height>,
    stop: &Stop,
    progress: &mut Progress,
) -> Result<Outcome, Error> {
    let settings = &context.settings;
    let mut below = None;
    loop {
        let mut sweeper = Sweeper::new(writer, contact.source(), start::pace(settings), stop);
        if let Some((from, why)) = &below {
            sweeper.hold(*from, why)?;
        }
        match sweeper.run(to, progress) {
            Err(SyncError::Below { from, source }) if below.is_none() => below = Some((from, *source)),
            outcome => return Ok(outcome?),
        }
        drop(sweeper);
        // The failure has ended all calls to the node.
        match Contact::new(settings, stop)? {
            Some(again) => contact = again,
            None => return Err(NodeError::Stopped.into()),
        }
    }
}

#[derive(Serialize)]
struct DryRunAnswer {
    coverage: Option<Coverage>,
    new: usize,
    new_services: usize,
    lowered: usize,
    kept: usize,
    forgotten: usize,
    relabelled: usize,
    parameters_changed: bool,
    /// The lowest height that the sweep would begin at.
    from: Option<Height>,
    /// The lowest block that the sweep would read; records below it are in the index.
    blocks_from: Option<Height>,
}

/// Answers what a backfill would scan; asks no node and changes nothing.
fn dry_run(context: &Context, wanted: &Wanted) -> Result<Exit, Error> {
    let settings = &context.settings;
    let mut answer = DryRunAnswer {
        coverage: None,
        new: 0,
        new_services: 0,
        lowered: 0,
        kept: 0,
        forgotten: 0,
        relabelled: 0,
        parameters_changed: false,
        from: Some(0),
        blocks_from: None,
    };
    let entries = wanted.lists.as_ref().map(|lists| &lists.entries);
    if folder_state(&settings.index)? == FolderState::Absent {
        answer.new = entries.map_or(0, |entries| entries.len());
        answer.blocks_from = entries.and_then(|entries| Needs::of_entries(entries).blocks_from);
    } else {
        let snapshot = context.snapshot_without_node()?;
        let plan = plan(&snapshot.reader, wanted)?;
        answer.coverage = Some(whole_coverage(&snapshot, Moment::now(&snapshot))?);
        answer.new = plan.count(|change| *change == Change::New);
        answer.new_services = plan.count(|change| *change == Change::NewService);
        answer.lowered = plan.count(|change| matches!(change, Change::Lowered { .. }));
        answer.kept = plan.count(|change| *change == Change::Kept);
        answer.forgotten = plan.count(|change| *change == Change::Forgotten);
        answer.relabelled = plan.count(|change| *change == Change::Relabelled);
        answer.parameters_changed = plan.parameters_changed;
        answer.from = Some(plan.start.map_or(snapshot.sweeps.settled(), |start| start.min(snapshot.sweeps.settled())));
        let missing = Needs::missing(&snapshot.reader)?.blocks_from;
        answer.blocks_from = missing.into_iter().chain(plan.first_block()).min();
    }
    output::object(context.format, &answer, || dry_page(&answer))?;
    Ok(Exit::Answered)
}

fn dry_page(answer: &DryRunAnswer) -> Page {
    let mut page = Page::default();
    page.fields(&[
        ("new entries", answer.new.to_string()),
        ("new services", answer.new_services.to_string()),
        ("from lower heights", answer.lowered.to_string()),
        ("on no list, kept", answer.kept.to_string()),
        ("on no list, forgotten", answer.forgotten.to_string()),
        ("with changed labels only", answer.relabelled.to_string()),
        ("trace settings change", if answer.parameters_changed { "yes" } else { "no" }.to_owned()),
        ("sweep from height", height_or_dash(answer.from)),
        ("blocks read from height", height_or_dash(answer.blocks_from)),
    ]);
    page.line("nothing was changed");
    page
}

fn height_or_dash(height: Option<Height>) -> String {
    height.map_or("–".to_owned(), |height| height.to_string())
}

/// Answers after a stop that came before the node did.
fn stopped_early(context: &Context) -> Result<Exit, Error> {
    let snapshot = match context.snapshot_without_node() {
        Err(error) if start::is_missing(&error) => {
            tracing::warn!("stopped before the node answered; nothing was scanned");
            return Ok(Exit::Uncovered);
        }
        snapshot => snapshot?,
    };
    let settled = snapshot.sweeps.settled();
    let answer = BackfillAnswer {
        coverage: whole_coverage(&snapshot, Moment::now(&snapshot))?,
        from: settled,
        through: settled.checked_sub(1),
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

fn page(answer: &BackfillAnswer, to: Option<Height>) -> Page {
    let mut page = Page::default();
    let lanes = answer.lanes.join(", ");
    if answer.undone > 0 {
        page.line(format!("disconnected {} blocks that left the node's chain", answer.undone));
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
        page.line("stopped before the end; run it again to continue");
    }
    page.lines(coverage_lines(&answer.coverage));
    page
}

/// Drops the damaged end of the index's log, and says what was lost.
fn accept_lost_tail(settings: &Settings) -> Result<(), Error> {
    match lost_tail::accept_lost_tail(&settings.index)? {
        None => tracing::info!("the index's log is whole: nothing was lost"),
        Some(lost) => {
            let tip = lost.tip.map_or("before the first block".to_owned(), |tip| format!("after block {tip}"));
            tracing::warn!(
                "the end of the index's log was lost: it breaks off at write {}, and {} had reached the disk. The index now ends {tip}; \
                 the blocks after it, changes of lists, and events about them are scanned and taken in again, and events that were printed \
                 may be printed once more under other numbers",
                lost.left,
                lost.synced
            );
        }
    }
    Ok(())
}
