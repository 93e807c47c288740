//! `coinhound balance`.

use std::cell::Cell;

use serde_json::{Map, Value};

use super::open::Asked;
use crate::cli::TargetArgs;
use crate::command::Context;
use crate::error::{Error, Exit};
use crate::output::columns::column;
use crate::output::{Column, Kind};
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

pub fn run(context: &Context, args: &TargetArgs) -> Result<Exit, Error> {
    let asked = Asked::for_every_coin(context, args)?;
    let total = Cell::new(Some(0u64));
    let rows = balances(&asked.snapshot, &asked.targets, asked.at).map(|row| {
        let row = row?;
        total.set(total.get().zip(row.balance_sat).map(|(total, balance)| total.saturating_add(balance)));
        Ok::<_, Error>(row)
    });
    asked.stream(&COLUMNS).print(context.format, rows, || {
        Map::from_iter([("total_sat".to_owned(), total.get().map_or(Value::Null, Value::from))])
    })?;
    Ok(Exit::of(asked.coverage.complete))
}
