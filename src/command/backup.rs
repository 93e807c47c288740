//! `coinhound backup`: a copy of the index, also while it is being written.

use serde::Serialize;

use super::Context;
use crate::cli;
use crate::error::{Error, Exit};
use crate::index::copy::copy;
use crate::output;
use crate::output::page::{Page, coverage_lines};
use crate::query::Coverage;
use crate::query::at::Moment;
use crate::query::coverage::whole_coverage;

#[derive(Serialize)]
struct BackupAnswer {
    coverage: Coverage,
    path: String,
    rows: u64,
}

pub fn run(context: &Context, args: &cli::BackupArgs) -> Result<Exit, Error> {
    let snapshot = context.snapshot()?;
    let rows = copy(&snapshot.reader, &args.dir)?;
    let coverage = whole_coverage(&snapshot, Moment::now(&snapshot))?;
    let answer = BackupAnswer { coverage, path: args.dir.display().to_string(), rows };
    output::object(context.format, &answer, || {
        let mut page = Page::default();
        page.line(format!("copied {} rows to {}; open it with `--index {}`", answer.rows, answer.path, answer.path));
        page.lines(coverage_lines(&answer.coverage));
        page
    })?;
    Ok(Exit::of(answer.coverage.complete))
}
