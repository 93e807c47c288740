//! Prints what came to some addresses and what left them, as far as an index knows:
//! `cargo run --example history -- INDEX TARGET...`, for an index that `coinhound backfill` made.

use std::error::Error;
use std::io::Write;

use coinhound::Index;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [folder, targets @ ..] = &arguments[..] else { return Err("usage: history INDEX TARGET...".into()) };
    let index = Index::open(folder)?;
    let question = index.question(targets)?;
    let mut out = std::io::stdout().lock();
    for row in question.history(None)? {
        let row = row?;
        let sign = if row.kind == "funding" { '+' } else { '-' };
        writeln!(out, "{:>7}  {}  {sign}{} sat", row.height, row.txid, row.value_sat)?;
    }
    for target in question.unknown() {
        writeln!(out, "{target} is on no list of this index, so nothing is known about it")?;
    }
    let coverage = question.coverage(None);
    match (coverage.complete, coverage.through) {
        (true, Some(through)) => writeln!(out, "complete through height {through}")?,
        _ => coverage.why.iter().try_for_each(|reason| writeln!(out, "NOT complete: {reason}"))?,
    }
    Ok(())
}
