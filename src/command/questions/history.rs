//! `coinhound history`.

use std::cell::RefCell;

use serde_json::{Map, Value};

use super::open::Asked;
use crate::cli::HistoryArgs;
use crate::command::Context;
use crate::error::{Error, Exit};
use crate::output::columns::column;
use crate::output::{Column, Kind, Stream};
use crate::query::Rows;
use crate::query::cursor::RowCursor;
use crate::query::history::history;

const COLUMNS: [Column; 13] = [
    column("height", "height", Kind::Number),
    column("time", "time (UTC)", Kind::Time),
    column("kind", "kind", Kind::Text),
    column("value_sat", "BTC", Kind::Btc),
    column("balance_sat", "balance BTC", Kind::Btc),
    column("txid", "txid", Kind::Text),
    column("labels", "labels", Kind::Text),
    column("address", "address", Kind::Text),
    column("block", "", Kind::Text),
    column("tx_index", "", Kind::Number),
    column("outpoint", "", Kind::Text),
    column("vin", "", Kind::Number),
    column("script", "", Kind::Text),
];

pub fn run(context: &Context, args: &HistoryArgs) -> Result<Exit, Error> {
    let after = args.after.as_deref().map(RowCursor::parse).transpose()?;
    let asked = Asked::new(context, &args.about)?;
    let rows = history(&asked.snapshot, &asked.targets, asked.at, after)?;
    print_page(context, &asked.stream(&COLUMNS), rows, args.limit)?;
    Ok(Exit::of(asked.coverage.complete))
}

/// Prints at most `limit` rows, and as `next` the cursor of the last if more follow.
pub fn print_page<T: serde::Serialize>(
    context: &Context,
    stream: &Stream<'_>,
    rows: Rows<'_, (RowCursor, T)>,
    limit: Option<u64>,
) -> Result<(), Error> {
    let next = RefCell::new(Value::Null);
    let mut rows = rows.peekable();
    let mut last: Option<RowCursor> = None;
    let mut left = limit.unwrap_or(u64::MAX);
    let shown = std::iter::from_fn(|| {
        if left == 0 {
            // A cursor is only given if a row follows it.
            let cursor = rows.peek().and(last).map(|cursor| cursor.to_string());
            next.replace(cursor.map_or(Value::Null, Value::from));
            return None;
        }
        left -= 1;
        let row = rows.next()?;
        Some(row.map_err(Error::from).map(|(cursor, row)| {
            last = Some(cursor);
            row
        }))
    });
    stream.print(context.format, shown.fuse(), || Map::from_iter([("next".to_owned(), next.take())]))
}
