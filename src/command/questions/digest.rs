//! `coinhound digest`: one SHA-256 over the derived state.

use serde::Serialize;

use crate::cli;
use crate::command::Context;
use crate::error::{Error, Exit};
use crate::index::digest::digest;
use crate::output;
use crate::output::page::{Page, at_line, coverage_lines};
use crate::query::Coverage;
use crate::query::at::{AtBlock, Moment};
use crate::query::coverage::whole_coverage;

#[derive(Serialize)]
struct DigestAnswer {
    coverage: Coverage,
    at: Option<AtBlock>,
    digest: Option<String>,
}

pub fn run(context: &Context, args: &cli::DigestArgs) -> Result<Exit, Error> {
    let (snapshot, moment) = context.snapshot_at(args.at.at.as_deref())?;
    let settled = snapshot.sweeps.settled().checked_sub(1);
    // The settled height is the last one with a digest.
    let height = if moment.is_now { settled } else { moment.height };
    let hash = match height {
        Some(height) if settled >= Some(height) => digest(&snapshot.reader, height)?,
        _ => None,
    };
    let coverage = whole_coverage(&snapshot, moment)?;
    let at = Moment { height, ..moment }.block(&snapshot)?;
    let answer = DigestAnswer { coverage, at, digest: hash.map(|hash| hash.to_string()) };
    output::note_at(context.format, answer.at.as_ref());
    output::object(context.format, &answer, || {
        let mut page = Page::default();
        match (&answer.digest, answer.at) {
            (Some(digest), Some(at)) => page.line(format!("{digest}  after block {}", at.height)),
            _ => page.line("no digest: that height is not settled yet"),
        }
        page.lines(answer.at.iter().map(at_line));
        page.lines(coverage_lines(&answer.coverage));
        page
    })?;
    Ok(Exit::of(answer.coverage.complete && answer.digest.is_some()))
}
