//! Screens addresses, transactions and coins against an index, without a node:
//! `cargo run --example screening -- INDEX TARGET...`, for an index that `coinhound backfill` made.
//!
//! A program with a source of transactions of its own implements [`ChainLookup`](coinhound::ChainLookup) for it: then transactions
//! that the index doesn't hold can be shown to be clean, too.

use std::error::Error;
use std::io::Write;
use std::process::ExitCode;

use coinhound::{Index, NoLookup, Verdict};

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [folder, targets @ ..] = &arguments[..] else { return Err("usage: screening INDEX TARGET...".into()) };
    let index = Index::open(folder)?;
    let lookup = NoLookup("no node was asked".into());
    let mut screening = index.screening(&lookup)?;
    let mut out = std::io::stdout().lock();
    let mut found = false;
    for target in targets {
        for row in screening.screen(target, None)? {
            found |= matches!(row.verdict, Verdict::Flagged | Verdict::Derived);
            writeln!(out, "{}: {:?}: {}", row.target, row.verdict, row.why)?;
        }
    }
    for reason in &screening.coverage().why {
        writeln!(out, "NOT complete, so something may have been missed: {reason}")?;
    }
    Ok(if found { ExitCode::from(4) } else { ExitCode::SUCCESS })
}
