//! `coinhound digest`: one SHA-256 over the derived state.

use serde::Serialize;

use super::{Context, open};
use crate::chain::Height;
use crate::cli;
use crate::error::{Error, Exit};
use crate::index::digest::digest;
use crate::output;
use crate::output::page::{Page, coverage_lines};
use crate::query::Coverage;
use crate::query::coverage::whole_coverage;

#[derive(Serialize)]
struct DigestAnswer {
    coverage: Coverage,
    at: Option<Height>,
    digest: Option<String>,
}

pub fn run(context: &Context, args: &cli::DigestArgs) -> Result<Exit, Error> {
    let snapshot = context.snapshot()?;
    let settled = snapshot.sweeps.settled().checked_sub(1);
    // The settled height is the last one with a digest.
    let at = match &args.at.at {
        Some(at) => open::height(&snapshot, Some(at))?,
        None => settled,
    };
    let hash = match at {
        Some(at) if settled >= Some(at) => digest(&snapshot.reader, at)?,
        _ => None,
    };
    let coverage = whole_coverage(&snapshot, at)?;
    let answer = DigestAnswer { coverage, at, digest: hash.map(|hash| hash.to_string()) };
    output::object(context.format, &answer, || {
        let mut page = Page::default();
        match (&answer.digest, answer.at) {
            (Some(digest), Some(at)) => page.line(format!("{digest}  after block {at}")),
            _ => page.line("no digest: that height is not settled yet"),
        }
        page.lines(coverage_lines(&answer.coverage));
        page
    })?;
    Ok(Exit::of(answer.digest.is_some()))
}
