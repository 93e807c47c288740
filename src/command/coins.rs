//! `coinhound coins`.

use super::history::{page, print_page};
use super::{Context, open};
use crate::chain::Height;
use crate::cli::Coins;
use crate::error::{Error, Exit};
use crate::output::rows::column;
use crate::output::{Column, Kind, Stream};
use crate::query::coins::coins;

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

pub fn run(context: &Context, args: &Coins) -> Result<Exit, Error> {
    let snapshot = context.snapshot()?;
    let asked = open::asked(&snapshot, &args.pages.about)?;
    open::warn_unknown(&asked.targets);
    let page = page(&args.pages)?;
    let rows = coins(&snapshot, &asked.targets, asked.at.unwrap_or(Height::MAX), args.unspent, &page)?;
    let coverage = asked.targets.basis.coverage(&snapshot, asked.at);
    let stream = Stream { coverage: &coverage, head: open::unknown_field(&asked.targets), columns: &COLUMNS };
    print_page(context, &stream, rows, page.limit)?;
    // Coins older than the coverage that nobody spent yet are nobody's knowledge.
    Ok(Exit::of(coverage.complete && !asked.targets.has_older_coins()))
}
