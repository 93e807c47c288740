//! `coinhound balance`.

use std::cell::Cell;

use serde_json::{Map, Value};

use super::{Context, open};
use crate::chain::Height;
use crate::cli::Question;
use crate::error::{Error, Exit};
use crate::output::rows::column;
use crate::output::{Column, Kind, Stream};
use crate::query::balance::balances;

const COLUMNS: [Column; 12] = [
    column("address", "address", Kind::Text),
    column("script", "script", Kind::Script),
    column("received_sat", "received BTC", Kind::Btc),
    column("sent_sat", "sent BTC", Kind::Btc),
    column("balance_sat", "balance BTC", Kind::Btc),
    column("unspendable_sat", "", Kind::Btc),
    column("coins", "coins", Kind::Number),
    column("unspent", "unspent", Kind::Number),
    column("first_height", "first", Kind::Number),
    column("last_height", "last", Kind::Number),
    column("labels", "labels", Kind::Text),
    column("known", "", Kind::Text),
];

pub fn run(context: &Context, args: &Question) -> Result<Exit, Error> {
    let snapshot = context.snapshot()?;
    let asked = open::asked(&snapshot, &args.about)?;
    open::warn_unknown(&asked.targets);
    let coverage = asked.targets.basis.coverage(&snapshot, asked.at);
    let total = Cell::new(Some(0u64));
    let rows = balances(&snapshot, &asked.targets, asked.at.unwrap_or(Height::MAX)).map(|row| {
        let row = row?;
        total.set(total.get().zip(row.balance_sat).map(|(total, balance)| total.saturating_add(balance)));
        Ok::<_, Error>(row)
    });
    let stream = Stream { coverage: &coverage, head: open::unknown_field(&asked.targets), columns: &COLUMNS };
    stream.print(context.format, rows, || {
        Map::from_iter([("total_sat".to_owned(), total.get().map_or(Value::Null, Value::from))])
    })?;
    Ok(Exit::of(coverage.complete && total.get().is_some()))
}
