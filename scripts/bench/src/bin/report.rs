//! Prints one of the bench's tables: `report blocks|filters|matching|tip|growth RESULTS`.

use std::path::Path;

use anyhow::{Result, bail};
use bench_peers::report::{blocks, filters, growth, matching, tip};
use bench_peers::results::read;

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [table, path] = args.as_slice() else { bail!("usage: report blocks|filters|matching|tip|growth RESULTS") };
    let path = Path::new(path);
    let text = match table.as_str() {
        "blocks" => blocks::page(&read(path, table)?),
        "filters" => filters::page(&read(path, table)?, &read(path, "blocks")?),
        "matching" => matching::page(&read(path, table)?),
        "tip" => tip::page(&read(path, table)?),
        "growth" => growth::page(&read(path, table)?),
        other => bail!("there is no table '{other}'"),
    };
    print_table(&text);
    Ok(())
}

#[expect(clippy::print_stdout, reason = "the output of this program")]
fn print_table(text: &str) {
    print!("{text}");
}
