//! The table of the tip: milliseconds from a block to its durable rows.

use serde::{Deserialize, Serialize};

use crate::results::median;
use crate::table::{figure, table};

const HEAD: [&str; 9] = [
    "block",
    "bytes",
    "blocks",
    "accepted: median ms",
    "worst",
    "returned: median ms",
    "worst",
    "sent: median ms",
    "worst",
];

/// One block at the tip.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Line {
    /// What kind of block.
    pub block: String,
    /// Its bytes.
    pub bytes: u64,
    /// Milliseconds until its line was printed, from when the node's log says that it is the tip.
    pub accepted_ms: f64,
    /// The same from when `submitblock` returned; below 0 where the line was first.
    pub returned_ms: f64,
    /// The same from when `submitblock` was sent.
    pub sent_ms: f64,
}

/// The table: one row for each kind of block.
pub fn page(lines: &[Line]) -> String {
    let mut kinds: Vec<&str> = Vec::new();
    for line in lines {
        if !kinds.contains(&line.block.as_str()) {
            kinds.push(&line.block);
        }
    }
    let rows = kinds.into_iter().map(|kind| {
        let those = || lines.iter().filter(|line| line.block == kind);
        let mut row = vec![
            kind.to_owned(),
            figure(Some(median(those().map(|line| line.bytes as f64).collect())), 0),
            those().count().to_string(),
        ];
        for value in [|line: &Line| line.accepted_ms, |line: &Line| line.returned_ms, |line: &Line| line.sent_ms] {
            row.push(figure(Some(median(those().map(value).collect())), 1));
            row.push(figure(those().map(value).reduce(f64::max), 1));
        }
        row
    });
    table(&HEAD, rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_of_block_has_its_median_and_its_worst() {
        let line = |block: &str, ms: f64| Line {
            block: block.to_owned(),
            bytes: 250,
            accepted_ms: ms,
            returned_ms: ms - 1.0,
            sent_ms: ms + 5.0,
        };
        let text = page(&[line("small", 10.0), line("large", 90.0), line("small", 30.0), line("small", 20.0)]);
        let rows: Vec<Vec<&str>> = text.lines().skip(2).map(|line| line.split('|').map(str::trim).collect()).collect();
        assert_eq!(rows[0][1..10], ["small", "250", "3", "20.0", "30.0", "19.0", "29.0", "25.0", "35.0"]);
        assert_eq!(rows[1][1..5], ["large", "250", "1", "90.0"]);
    }
}
