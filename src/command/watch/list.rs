//! `coinhound watch list`: the entries of the index.

use serde_json::Map;

use crate::command::Context;
use crate::error::{Error, Exit};
use crate::output::columns::column;
use crate::output::{Column, Kind, Stream};
use crate::query::at::Moment;
use crate::query::coverage::whole_coverage;
use crate::query::entries::entries;

const COLUMNS: [Column; 6] = [
    column("address", "address", Kind::Text),
    column("script", "script", Kind::Script),
    column("roles", "roles", Kind::Text),
    column("from", "from", Kind::Number),
    column("through", "through", Kind::Number),
    column("label_texts", "labels", Kind::Text),
];

pub fn run(context: &Context) -> Result<Exit, Error> {
    let snapshot = context.snapshot()?;
    let coverage = whole_coverage(&snapshot, Moment::now(&snapshot))?;
    let rows = entries(&snapshot).map(|row| row.map_err(Error::from));
    Stream { coverage: &coverage, head: Map::new(), columns: &COLUMNS }.print(context.format, rows, Map::new)?;
    Ok(Exit::Answered)
}
