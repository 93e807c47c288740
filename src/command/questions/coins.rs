//! `coinhound coins`.

use super::history::print_page;
use super::open::Asked;
use crate::cli::CoinsArgs;
use crate::command::Context;
use crate::error::{Error, Exit};
use crate::output::columns::column;
use crate::output::{Column, Kind};
use crate::query::coins::coins;
use crate::query::cursor::RowCursor;

const COLUMNS: [Column; 11] = [
    column("outpoint", "outpoint", Kind::Text),
    column("height", "height", Kind::Number),
    column("value_sat", "BTC", Kind::Btc),
    column("state", "state", Kind::Text),
    column("spent_by.height", "spent at", Kind::Number),
    column("spent_by.txid", "by", Kind::Text),
    column("labels", "labels", Kind::Text),
    column("address", "address", Kind::Text),
    column("spent_by.vin", "", Kind::Number),
    column("coinbase", "", Kind::Text),
    column("script", "", Kind::Text),
];

pub fn run(context: &Context, args: &CoinsArgs) -> Result<Exit, Error> {
    let after = args.pages.after.as_deref().map(RowCursor::parse).transpose()?;
    // The index can't know of coins older than the coverage that are still unspent.
    let asked = Asked::for_every_coin(context, &args.pages.about)?;
    let rows = coins(&asked.snapshot, &asked.targets, asked.at, args.unspent, after)?;
    print_page(context, &asked.stream(&COLUMNS), rows, args.pages.limit)?;
    Ok(Exit::of(asked.coverage.complete))
}
