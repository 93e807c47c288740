//! JSON in general: arrays of addresses, arrays of objects with named cells, objects of addresses by chain (0xB10C's, Bybit's, a
//! vendor's export, Bitcoin Core's listdescriptors).

use std::borrow::Cow;
use std::io::{self, BufRead};

use super::detection::ListFormat;
use super::json_tree::{self, Found};
use super::records::{Cell, Records};
use crate::watchlist::builder::ListBuilder;
use crate::watchlist::table::columns::{Columns, ListColumn, Purpose};
use crate::watchlist::target::currency::{Currency, currency};
use crate::watchlist::target::is_target_like;
use crate::watchlist::text::is_margin;

/// One JSON value.
pub const FORMAT: ListFormat = ListFormat { name: "json", detects, read };

fn detects(head: &[u8]) -> bool {
    let head = String::from_utf8_lossy(head);
    head.trim_start_matches(is_margin).starts_with(['{', '['])
}

fn read(_head: &[u8], input: &mut dyn BufRead, list: &mut ListBuilder) -> io::Result<()> {
    let mut records = Records::new(list);
    json_tree::read(input, &mut |path, line, found| match found {
        Found::Record(cells) => records.add(line, with_path(own(cells), path)),
        Found::Value(text) if is_target_like(&text) => records.add(line, with_path(vec![address(text)], path)),
        // Such as the day of the export.
        Found::Value(text) => records.remark(line, format!("{}: {text}", path.join("."))),
        Found::Element(text) if is_other_list(path) && !is_target_like(&text) => {
            records.remark(line, format!("{}: {text}", path.join(".")));
        }
        Found::Element(text) => records.add(line, with_path(vec![address(text)], path)),
    })?;
    records.finish()
}

/// Cells with the names that the file gives them.
pub fn own(cells: Vec<(String, String)>) -> Vec<Cell> {
    cells.into_iter().map(|(name, value)| (Cow::Owned(name), value)).collect()
}

fn address(text: String) -> Cell {
    (Cow::Borrowed("address"), text)
}

/// Adds what the names above say: of the chain, and the names themselves.
fn with_path(mut cells: Vec<Cell>, path: &[String]) -> Vec<Cell> {
    let chain = path.iter().rev().find(|name| currency(name) != Currency::Unknown);
    let mut add = |name: &'static str, value: String| {
        if !cells.iter().any(|(taken, _)| taken == name) {
            cells.push((Cow::Borrowed(name), value));
        }
    };
    if let Some(chain) = chain {
        add("chain", chain.clone());
    }
    if !path.is_empty() {
        add("path", path.join("."));
    }
    cells
}

/// Whether an array's name says that it holds something else than addresses, such as sources.
fn is_other_list(path: &[String]) -> bool {
    let Some(name) = path.last() else { return false };
    // Beside a column of addresses a name is known for what it is; lists are named by plurals.
    let names = [Cow::Borrowed("address"), Cow::Borrowed(name.trim_end_matches('s'))];
    let kind = Columns::of_header(&names, Purpose::Entries).map_or(ListColumn::Other, |columns| columns.kind(1));
    !matches!(kind, ListColumn::Address | ListColumn::Script | ListColumn::Currency | ListColumn::Other)
}
