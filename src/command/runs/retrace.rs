//! `coinhound retrace`: derives everything again from the records in the index.

use serde::Serialize;

use super::start;
use crate::chain::Height;
use crate::command::{Context, signals};
use crate::error::{Error, Exit};
use crate::index::Writer;
use crate::output;
use crate::output::page::{Page, coverage_lines};
use crate::output::progress::Progress;
use crate::query::Coverage;
use crate::query::at::Moment;
use crate::query::coverage::whole_coverage;
use crate::stop::Stop;
use crate::sync::sweep::retrace::retrace;

#[derive(Serialize)]
struct RetraceAnswer {
    coverage: Coverage,
    through: Option<Height>,
    orphans: u64,
    needs_blocks_from: Option<Height>,
    seconds: f64,
    stopped: bool,
}

pub fn run(context: &Context) -> Result<Exit, Error> {
    let settings = &context.settings;
    let stop = Stop::default();
    signals::listen(&stop)?;
    // Refuses an index of another chain than the one given.
    drop(context.snapshot_without_node()?);
    let writer = Writer::open(&settings.index)?;
    let mut progress = Progress::new(context.quiet);
    let retraced = retrace(&writer, start::pace(settings), &stop, &mut progress)?;
    drop(writer);
    let snapshot = context.snapshot()?;
    let answer = RetraceAnswer {
        coverage: whole_coverage(&snapshot, Moment::now(&snapshot))?,
        through: retraced.outcome.through,
        orphans: retraced.orphans,
        needs_blocks_from: retraced.needs_blocks_from,
        seconds: retraced.outcome.seconds,
        stopped: retraced.outcome.stopped,
    };
    output::object(context.format, &answer, || page(&answer))?;
    Ok(Exit::of(!answer.stopped && answer.needs_blocks_from.is_none() && answer.coverage.complete))
}

fn page(answer: &RetraceAnswer) -> Page {
    let mut page = Page::default();
    match (answer.stopped, answer.through) {
        (true, _) => page.line("stopped before the end; the next retrace, backfill or follow resumes it"),
        (false, Some(through)) => {
            page.line(format!("derived everything again through height {through}, {:.1} s", answer.seconds));
        }
        (false, None) => page.line("the index has no block yet, so there is nothing to derive"),
    }
    if answer.orphans > 0 {
        page.line(format!("removed {} rows that no record supports", answer.orphans));
    }
    if let Some(height) = answer.needs_blocks_from {
        page.line(format!(
            "blocks from height {height} are needed to follow coins that were not followed before: run `coinhound backfill`"
        ));
    }
    page.lines(coverage_lines(&answer.coverage));
    page
}
