//! `coinhound watch diff`: what a backfill would change in the entries of the index.

use serde::Serialize;
use serde_json::Map;

use crate::chain::Height;
use crate::command::Context;
use crate::command::runs::start;
use crate::error::{Error, Exit};
use crate::output::columns::column;
use crate::output::{Column, Kind, Stream};
use crate::query::at::Moment;
use crate::query::coverage::whole_coverage;
use crate::sync::plan::change::{Change, Changed, plan};

const COLUMNS: [Column; 6] = [
    column("change", "change", Kind::Text),
    column("address", "address", Kind::Text),
    column("script", "script", Kind::Script),
    column("from", "from", Kind::Number),
    column("before", "before", Kind::Number),
    column("labels", "labels", Kind::Text),
];

#[derive(Serialize)]
struct DiffRow {
    /// `new`, `new_service`, `lowered`, `raise_ignored`, `gone`, `relabelled`.
    change: &'static str,
    address: Option<String>,
    script: String,
    /// Height that it will be scanned from.
    from: Height,
    /// Height that it was scanned from; for `raise_ignored`, the height that its list now gives.
    before: Option<Height>,
    labels: Vec<String>,
}

pub fn run(context: &Context) -> Result<Exit, Error> {
    let snapshot = context.snapshot()?;
    let mut wanted = start::wanted(&context.settings, None, false)?;
    // This only compares, so there is nothing to refuse.
    wanted.accept_shrink = true;
    let plan = plan(&snapshot.reader, &wanted)?;
    let coverage = whole_coverage(&snapshot, Moment::now(&snapshot))?;
    let rows =
        plan.changed.iter().map(|changed| Ok::<_, Error>(diff_row(changed, snapshot.address(&changed.entry.script))));
    Stream { coverage: &coverage, head: Map::new(), columns: &COLUMNS }.print(context.format, rows, Map::new)?;
    Ok(Exit::Answered)
}

fn diff_row(changed: &Changed, address: Option<String>) -> DiffRow {
    let entry = &changed.entry;
    let (change, before) = match changed.what {
        Change::New => ("new", None),
        Change::NewService => ("new_service", None),
        Change::Lowered { from } => ("lowered", Some(from)),
        Change::RaiseIgnored { to } => ("raise_ignored", Some(to)),
        Change::Kept | Change::Forgotten => ("gone", None),
        Change::Relabelled => ("relabelled", None),
    };
    DiffRow {
        change,
        address,
        script: entry.script.to_hex_string(),
        from: entry.lowered.map_or(entry.from, |lowered| lowered.from),
        before,
        labels: entry.label_texts(),
    }
}
