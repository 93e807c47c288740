//! Whole files through `read`: what is taken, what is refused and why, and that every row is counted once. Here is what the tests share.

use std::collections::BTreeMap;
use std::io::{self, Read};

use proptest::prelude::*;

use super::*;
use crate::watchlist::table::lines;

mod cases;
mod files;
mod formats;
mod malformed;
mod packed;
mod properties;
mod rows;
mod tables;
mod variants;

const A: &str = "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa";
const B: &str = "3P14159f73E4gFr7JterCCQh9QjiTjiZrG";
const C: &str = "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4";
const TRON: &str = "TEAqwfMhXLaomXhZ8KeMhx3njGmQEDnsUR";
const KEY: &str = "0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798";
const XPUB: &str =
    "xpub661MyMwAqRbcFtXgS5sYJABqqG9YLmC4Q1Rdap9gSE8NqtwybGhePY2gZ29ESFjqJoCu1Rupje8YtGqsefD265TMg7usUDFdp6W1EGMcet8";
const WIF: &str = "5HueCGU8rMjxEXxiPuD5BDku4MkFqeZyd4dZ1jvhTVqvbTLvyTJ";

fn with(bytes: impl AsRef<[u8]>, options: &ListOptions) -> Result<List, ListError> {
    read(&mut bytes.as_ref(), "list", Chain::Main, options)
}

fn list(bytes: impl AsRef<[u8]>) -> List {
    with(bytes, &ListOptions::default()).unwrap()
}

/// The report, also of a file without a valid row.
fn report(bytes: impl AsRef<[u8]>) -> Report {
    match with(bytes, &ListOptions::default()) {
        Ok(list) => list.report,
        Err(ListError::NoValidRow { report }) => *report,
        Err(error) => panic!("{error}"),
    }
}

fn data(name: &str) -> List {
    let path = format!("{}/tests/data/watchlists/{name}", env!("CARGO_MANIFEST_DIR"));
    read(&mut std::fs::File::open(path).unwrap(), name, Chain::Main, &ListOptions::default()).unwrap()
}

fn lines(report: &Report) -> Vec<u64> {
    report.quarantined.iter().map(|row| row.line).collect()
}

fn labels(list: &List) -> Vec<(u64, &str)> {
    list.listings.iter().map(|listing| (listing.label.line, listing.label.label.as_deref().unwrap_or(""))).collect()
}

fn counted(report: &Report) -> u64 {
    let counted =
        report.accepted + report.duplicates + report.other_chain + report.remarks + report.quarantined.len() as u64;
    assert_eq!(counted, report.rows, "{report:?}");
    counted
}
